"""`page`: one HTML file that classifies images in a browser, with the eight-bit graph and its runtime inside."""

from __future__ import annotations

import base64
import gzip
import html
import json
import re
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ...config.export import ExportOptions
from ...errors import ConfigError
from ..files.regular import regular_bytes, regular_text
from .base import Format, Reader
from .one_file import calibrated
from .onnx_folder import PICTURE_BOUND, eight_bit_of, graph_of, require, save_with_pixels, why_not
from .runtime import picture_probabilities, session_of
from .source import Source

PAGE_FILE = "index.html"
SCRIPT_FILE, WASM_FILE = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"
TEMPLATE = Path(__file__).parent / "templates" / "page.html"
ITSELF = "the model itself"
_GET_RUNTIME = (
    "curl -O https://registry.npmjs.org/onnxruntime-web/-/onnxruntime-web-1.30.0.tgz && "
    "tar xzf onnxruntime-web-1.30.0.tgz package/dist, then add `--runtime package/dist`"
)


def write(source: Source, folder: Path, options: ExportOptions) -> None:
    """One file. Raises ConfigError where the browser's runtime is not there."""
    runtime = _runtime(options.runtime)
    with tempfile.TemporaryDirectory(prefix="clipft-") as place:
        graph = Path(place) / "page.onnx"
        save_with_pixels(eight_bit_of(graph_of(source), Path(place)), source, graph)
        parts = {"RUNTIME": runtime[0], "WASM": runtime[1], "GRAPH": graph.read_bytes()}
    names = json.dumps([info.readable for info in source.loaded.classes]).replace("<", "\\u003c")  # no tag ends there
    values = {key: base64.b64encode(gzip.compress(content, mtime=0)).decode() for key, content in parts.items()}
    values["CLASSES"] = names
    page = re.sub("@@([A-Z]+)@@", lambda found: values[found[1]], TEMPLATE.read_text(encoding="utf-8"))
    (folder / PAGE_FILE).write_text(page, encoding="utf-8")


def _runtime(folder: Path | None) -> tuple[bytes, bytes]:
    """onnxruntime-web's script and its WebAssembly. It is some 14 MB, and no part of this package."""
    if folder is None:
        raise ConfigError("--to page: needs onnxruntime-web, which the page contains", hint=_GET_RUNTIME)
    try:
        return regular_bytes(folder / SCRIPT_FILE), regular_bytes(folder / WASM_FILE)
    except OSError as error:
        raise ConfigError(
            f"--runtime: {folder}: has no {Path(error.filename or SCRIPT_FILE).name} of onnxruntime-web",
            hint=_GET_RUNTIME,
        ) from None


def graph_in(page: Path) -> bytes:
    """The graph of a page. Raises ValueError where it has none."""
    found = re.search(r'id="graph">([A-Za-z0-9+/=]+)<', regular_text(page))
    if found is None:
        raise ValueError(f"{html.escape(page.name)}: holds no graph")
    return gzip.decompress(base64.b64decode(found[1]))


def readers(folder: Path, source: Source) -> tuple[Reader, ...]:
    """The graph that lies in the page, run by onnxruntime; it has eight bits, and is held against the model."""
    import onnxruntime

    def answer(pictures: Sequence[Image.Image]) -> np.ndarray:
        preprocess = source.loaded.preprocess
        pixels = torch.from_numpy(np.stack([preprocess.pixels(picture) for picture in pictures]))
        with torch.inference_mode():
            return calibrated(source.head, source.merged.features(preprocess.normalise(pixels)))

    with tempfile.TemporaryDirectory(prefix="clipft-") as place:
        graph = Path(place) / "page.onnx"
        graph.write_bytes(graph_in(folder / PAGE_FILE))
        session = session_of(graph)
    return (
        Reader(ITSELF, f"torch {torch.__version__}", answer, PICTURE_BOUND),
        Reader(
            PAGE_FILE,
            f"onnxruntime {onnxruntime.__version__}",
            partial(picture_probabilities, session),
            PICTURE_BOUND,
            beside=ITSELF,
        ),
    )


PAGE = Format(
    "page",
    "one HTML file that classifies images in a browser, without a network",
    write,
    readers,
    "open index.html",
    packages=(),
    library="onnx",
    tags=("onnx",),
    language="text",
    needs="Open the page in a browser, from the disk or from any static server; nothing is sent anywhere.",
    why_not=why_not,
    require=require,
)
