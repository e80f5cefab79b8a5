"""What `clipft serve` takes: the export, where it listens, and the bounds of what it accepts."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from .base import Config
from .export import Graph


class ServeOptions(Config):
    """Which export answers, where, and what one request and all of them may ask for."""

    export: Path | None = Field(None, description="Folder of an ONNX export.")
    graph: Graph = None
    host: str = Field(
        "127.0.0.1",
        min_length=1,
        description="Address to listen on; others than this machine's are open to all who reach it.",
    )
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0: one that is free.")
    top_k: int = Field(5, ge=1, description="Classes in an answer; ?top_k=N in a request asks for others.")
    max_bytes: int = Field(20 << 20, ge=1, le=512 << 20, description="Largest body of a request, in bytes (413).")
    max_pixels: int = Field(50_000_000, ge=1, le=89_478_485, description="Largest picture, in pixels (413).")
    max_in_flight: int = Field(64, ge=1, le=10_000, description="Requests that are worked on at a time (503 beyond).")
    timeout_seconds: float = Field(
        10.0, gt=0, le=3600, description="Longest time for a body to come (408), and for an answer (504)."
    )
    max_batch: int = Field(16, ge=1, le=1024, description="Images that the graph is given at once.")
    max_wait_ms: float = Field(2.0, ge=0, le=1000, description="Longest wait of an image for others to join its batch.")


class ServeConfig(Config):
    """The slice of the file that `clipft serve` takes."""

    serve: ServeOptions = ServeOptions()
