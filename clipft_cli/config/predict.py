"""What `clipft predict` takes: what is shown for each image, and how it is written."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from .base import Config
from .export import Graph
from .model import HardwareConfig

_PICTURES = frozenset((".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".avif"))
OutputFormat = Literal["table", "json", "jsonl", "csv", "txt"]
WRITTEN_AS: dict[str, OutputFormat] = {
    ".txt": "txt",
    ".csv": "csv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".log": "txt",
    "": "txt",
}
"""The form of predictions that each suffix of `predict.output` stands for."""


EMBEDDINGS_SUFFIXES = (".npz", ".parquet")


class PredictOptions(Config):
    """What is shown for each image."""

    checkpoint: Path | None = Field(None, description="Run, checkpoint or pointer; none: newest finished run's best.")
    base: Path | None = Field(
        None,
        description="File of the base model's weights, for a checkpoint without its tower; none: it is looked for.",
    )
    graph: Graph = None
    top_k: int = Field(5, ge=1, description="Classes shown for each image.")
    threshold: float | None = Field(None, ge=0, le=1, description="Below this probability the answer is 'unknown'.")
    reject: bool = Field(
        False, description="Answer 'unknown' for an image that is like no class, by a threshold fitted on val."
    )
    known_share: float = Field(0.95, ge=0.5, lt=1, description="Share of the known images that --reject keeps.")
    coverage: float | None = Field(
        None, ge=0.5, lt=1, description="Give each image the set of classes that holds the right one with this chance."
    )
    data_dir: Path | None = Field(
        None,
        description="Prepared data set with the val that --reject and --coverage are fitted on; none: the run's own.",
    )
    format: OutputFormat = Field("table", description="How results are written.")
    output: Path | None = Field(None, description="File the results are written to.")
    embeddings: Path | None = Field(
        None, description="File that the features of the images are written to, rows of length 1: .npz or .parquet."
    )
    batch_size: int = Field(32, ge=1, description="Images in one batch.")

    @field_validator("output")
    @classmethod
    def _never_over_a_picture(cls, value: Path | None) -> Path | None:
        if value is not None and value.suffix.lower() in _PICTURES:
            raise ValueError(f"'{value.name}' is an image's name; results go to .txt, .csv, .json or .jsonl")
        return value

    @field_validator("embeddings")
    @classmethod
    def _of_a_known_form(cls, value: Path | None) -> Path | None:
        if value is not None and value.suffix.lower() not in EMBEDDINGS_SUFFIXES:
            raise ValueError(f"'{value.name}': features are written to {' or '.join(EMBEDDINGS_SUFFIXES)}")
        return value

    @model_validator(mode="after")
    def _suffix_says_what_is_written(self) -> PredictOptions:
        suffix = self.output.suffix.lower() if self.output else ""
        if self.output and suffix not in WRITTEN_AS and "format" not in self.model_fields_set:
            known = ", ".join(name for name in WRITTEN_AS if name)
            raise ValueError(
                f"'{self.output.name}': nothing is known to be written as {suffix} ({known} are; or say --format)"
            )
        return self


class PredictConfig(Config):
    """The slice of the file that `clipft predict` takes."""

    predict: PredictOptions = PredictOptions()
    hardware: HardwareConfig = HardwareConfig()
