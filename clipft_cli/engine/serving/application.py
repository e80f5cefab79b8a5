"""The service: POST /predict, /health, /metrics, /openapi.json, and a page at /."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from ...config.serve import ServeOptions
from ..exports.runtime import OnnxClassifier
from .batches import Batches
from .measures import CONTENT_TYPE, Measures
from .request import image_bytes, pixels_of

TEMPLATES = Path(__file__).parent / "templates"
N_DECODERS = 2


class Service:
    """One export and what is on the way to it."""

    def __init__(self, model: OnnxClassifier, options: ServeOptions) -> None:
        self.model, self.options = model, options
        self.measures = Measures()
        self._in_flight = 0
        self._decoders = ThreadPoolExecutor(N_DECODERS, "decode")

    @contextlib.asynccontextmanager
    async def running(self, app: Starlette) -> AsyncIterator[None]:
        """While the application is up."""
        options = self.options
        self._batches = Batches(
            self.model.probabilities, options.max_batch, options.max_wait_ms / 1000, self.measures.batches.observe
        )
        task = asyncio.create_task(self._batches.run())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            self._batches.close()
            self._decoders.shutdown(wait=True, cancel_futures=True)

    async def predict(self, request: Request) -> Response:
        """The classes of one image, by falling probability."""
        began, status = time.perf_counter(), 500
        try:
            with self._one_more():
                response = JSONResponse(await self._answer(request))
            status = response.status_code
            return response
        except HTTPException as error:
            status = error.status_code
            raise
        finally:
            self.measures.requests.labels(str(status)).inc()
            self.measures.seconds.observe(time.perf_counter() - began)

    @contextlib.contextmanager
    def _one_more(self) -> Iterator[None]:
        if self._in_flight >= self.options.max_in_flight:
            raise HTTPException(
                503, f"{self._in_flight} requests are worked on already, try again", headers={"Retry-After": "1"}
            )
        self._in_flight += 1
        self.measures.in_flight.set(self._in_flight)
        try:
            yield
        finally:
            self._in_flight -= 1
            self.measures.in_flight.set(self._in_flight)

    async def _answer(self, request: Request) -> dict[str, Any]:
        top_k, seconds = self._top_k(request), self.options.timeout_seconds
        try:
            data = await asyncio.wait_for(image_bytes(request, self.options.max_bytes), seconds)
        except TimeoutError:
            raise HTTPException(408, f"the body did not come within {seconds:g} seconds") from None
        try:
            row = await asyncio.wait_for(self._probabilities(data), seconds)
        except TimeoutError:
            raise HTTPException(504, f"there was no answer within {seconds:g} seconds") from None
        best = sorted(zip(self.model.classes, row, strict=True), key=lambda pair: -pair[1])[:top_k]
        top = [{"class": info.name, "name": info.readable, "probability": float(value)} for info, value in best]
        return {"class": top[0]["class"], "probability": top[0]["probability"], "top": top}

    async def _probabilities(self, data: bytes) -> Any:
        loop = asyncio.get_running_loop()
        preprocess, most = self.model.preprocess, self.options.max_pixels
        pixels = await loop.run_in_executor(self._decoders, pixels_of, data, preprocess, most)
        return await self._batches.probabilities(pixels)

    def _top_k(self, request: Request) -> int:
        given = request.query_params.get("top_k", str(self.options.top_k))
        if not (given.isascii() and given.isdecimal() and 0 < len(given) < 7 and int(given) > 0):
            raise HTTPException(400, "top_k: must be a whole number above 0")
        return int(given)

    async def health(self, request: Request) -> Response:
        """Whether it can answer, and as which model."""
        classes = [info.name for info in self.model.classes]
        return JSONResponse({"status": "ok", "precision": self.model.precision, "classes": classes})

    async def metrics(self, request: Request) -> Response:
        """For Prometheus."""
        return Response(self.measures.text(), media_type=CONTENT_TYPE)


def application(model: OnnxClassifier, options: ServeOptions) -> Starlette:
    """The ASGI application of one export."""
    service = Service(model, options)
    page = (TEMPLATES / "page.html").read_text(encoding="utf-8")
    openapi = json.loads((TEMPLATES / "openapi.json").read_text(encoding="utf-8"))
    only_self = {"Content-Security-Policy": "default-src 'self' 'unsafe-inline'; img-src 'self' blob:"}

    async def show_page(request: Request) -> Response:
        return HTMLResponse(page, headers=only_self)

    async def show_openapi(request: Request) -> Response:
        return JSONResponse(openapi)

    async def refuse(request: Request, error: Exception) -> Response:
        is_known = isinstance(error, HTTPException)
        text, status = (error.detail, error.status_code) if is_known else ("the model could not answer", 500)  # type: ignore[attr-defined]
        return JSONResponse({"error": text}, status, headers=getattr(error, "headers", None))

    return Starlette(
        routes=[
            Route("/predict", service.predict, methods=["POST"]),
            Route("/health", service.health),
            Route("/metrics", service.metrics),
            Route("/openapi.json", show_openapi),
            Route("/", show_page),
        ],
        exception_handlers={HTTPException: refuse, Exception: refuse},
        lifespan=service.running,
    )
