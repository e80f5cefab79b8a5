"""`onnx`: one graph from pictures to probabilities, a second from a prepared tensor, and a script that runs it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from ...config.export import ExportOptions
from ...errors import MissingExtraError, ModelError
from ..images.transforms import Preprocess
from .base import Format, Reader
from .runtime import (
    MODEL_FILE,
    MODEL_INT8_FILE,
    PREPARED_FILE,
    PREPARED_INT8_FILE,
    picture_probabilities,
    session_of,
    tensor_outputs,
)
from .source import Source

if TYPE_CHECKING:
    import onnx

SCRIPT = Path(__file__).parent / "templates" / "predict.py"

USAGE = """\
import json, numpy as np, onnxruntime
from PIL import Image
session = onnxruntime.InferenceSession("model.onnx")
classes = json.loads(session.get_modelmeta().custom_metadata_map["classes"])
image = np.asarray(Image.open("photo.jpg").convert("RGB"))[None]  # of any size: the graph prepares it
print(dict(zip(classes, session.run(["probabilities"], {"image": image})[0][0].tolist())))"""

PICTURE_BOUND, TENSOR_BOUND = 0.02, 1e-4
"""The filter inside the graph rounds one pixel in some thousands another way than Pillow, by one or two of 255."""


def require() -> None:
    """Raises MissingExtraError where the graph cannot be made or run."""
    missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if find_spec(name) is None]
    if missing:
        raise MissingExtraError(f"an ONNX export needs {', '.join(missing)}", hint="pip install 'clipft-cli[onnx]'")


def why_not(source: Source) -> str | None:
    """A reason where ONNX has no such filter, or the file would be too large."""
    from .onnx_pixels import why_not_in_a_graph
    from .onnx_tower import why_too_large

    return why_not_in_a_graph(source.loaded.preprocess) or why_too_large(source)


def write(source: Source, folder: Path, options: ExportOptions) -> None:
    """Both graphs, the eight-bit ones where they are asked for, and predict.py.

    Raises ModelError where torch cannot write this tower as a graph.
    """
    import onnx

    from .onnx_tower import describe

    tower = graph_of(source)
    describe(tower, source)
    onnx.save(tower, folder / PREPARED_FILE)
    save_with_pixels(tower, source, folder / MODEL_FILE)
    if options.int8:
        quantised = eight_bit(folder / PREPARED_FILE, folder / PREPARED_INT8_FILE)
        describe(quantised, source)
        onnx.save(quantised, folder / PREPARED_INT8_FILE)
        save_with_pixels(quantised, source, folder / MODEL_INT8_FILE)
    shutil.copyfile(SCRIPT, folder / "predict.py")


def graph_of(source: Source) -> onnx.ModelProto:
    """The tower as a graph. Raises ModelError where torch cannot write it as one."""
    from .onnx_tower import tower_graph

    try:
        return tower_graph(source)
    except Exception as error:  # torch's exporter raises nearly every kind
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise ModelError(
            f"{source.checkpoint}: has no equal in onnx: torch cannot write its tower: {reason}"
        ) from error


def save_with_pixels(tower: onnx.ModelProto, source: Source, path: Path, *, takes_planes: bool = False) -> None:
    """Write `tower` with the transform in front of it: of whole pictures, or of their colours as planes of numbers."""
    import onnx

    from .onnx_pixels import PREPARED, pixels_graph
    from .onnx_tower import describe

    pixels = pixels_graph(source.loaded.preprocess, tower.ir_version, takes_planes=takes_planes)
    del pixels.opset_import[:]
    pixels.opset_import.extend(tower.opset_import)
    whole = onnx.compose.merge_models(pixels, tower, io_map=[(PREPARED, "pixel_values")])
    describe(whole, source)
    onnx.checker.check_model(whole)
    onnx.save(whole, path)


def eight_bit_of(tower: onnx.ModelProto, place: Path) -> onnx.ModelProto:
    """`eight_bit` of a graph in memory; `place` is a folder to work in."""
    import onnx

    onnx.save(tower, place / PREPARED_FILE)
    return eight_bit(place / PREPARED_FILE, place / PREPARED_INT8_FILE)


def eight_bit(fp32: Path, target: Path) -> onnx.ModelProto:
    """The graph with the weights of its products as signed bytes, a scale for each channel."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    from .onnx_tower import quiet

    with quiet():
        quantize_dynamic(
            fp32, target, per_channel=True, weight_type=QuantType.QInt8, op_types_to_quantize=["MatMul", "Gemm"]
        )
    return onnx.load(target)


def readers(folder: Path, source: Source) -> tuple[Reader, ...]:
    """Every graph in the folder, run by onnxruntime."""
    import onnxruntime

    runtime = f"onnxruntime {onnxruntime.__version__}"
    found = [picture_reader(folder / MODEL_FILE, runtime), tensor_reader(folder / PREPARED_FILE, runtime)]
    if (folder / MODEL_INT8_FILE).is_file():
        found.append(picture_reader(folder / MODEL_INT8_FILE, runtime, beside=MODEL_FILE))
        found.append(tensor_reader(folder / PREPARED_INT8_FILE, runtime, beside=PREPARED_FILE))
    return tuple(found)


def picture_reader(path: Path, runtime: str, beside: str | None = None) -> Reader:
    """A graph that takes decoded pictures."""
    answer = partial(picture_probabilities, session_of(path))
    return Reader(path.name, runtime, answer, PICTURE_BOUND, beside)


def tensor_reader(path: Path, runtime: str, beside: str | None = None) -> Reader:
    """A graph that takes normalised pixels, with the transform that its metadata names."""
    session = session_of(path)
    preprocess = Preprocess.from_config(json.loads(session.get_modelmeta().custom_metadata_map["preprocess"]))

    def answer(pictures: Sequence[Image.Image]) -> np.ndarray:
        pixels = np.stack([preprocess.pixels(picture) for picture in pictures])
        return tensor_outputs(session, preprocess, pixels, each_alone=beside is not None)

    return Reader(path.name, runtime, answer, TENSOR_BOUND, beside)


ONNX = Format(
    "onnx",
    "one graph from a picture of any size to probabilities, one from a prepared tensor, and a script that runs it",
    write,
    readers,
    USAGE,
    packages=("onnxruntime", "numpy", "pillow"),
    library="onnx",
    tags=("onnx",),
    has_int8=True,
    why_not=why_not,
    require=require,
)
