"""The model's transform as an ONNX graph: decoded pictures of any size in, normalised pixels out, as Pillow makes them.

Sizes are computed in the graph, by the formulas of `images.transforms.Preprocess`. A picture longer than MAX_ASPECT
times its width is cut to that length around its middle first: resized whole, 2 x 60,000 pixels would become gigabytes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ..images.transforms import MAX_ASPECT, Preprocess
from .onnx_tower import OPSET

PREPARED = "prepared_values"
"""The output: normalised pixels."""

_CUBIC: dict[str, Any] = {"mode": "cubic", "cubic_coeff_a": -0.5, "exclude_outside": 1, "antialias": 1}
_FILTERS: dict[str, dict[str, Any]] = {
    "bicubic": _CUBIC,
    "bilinear": {"mode": "linear", "exclude_outside": 1, "antialias": 1},
    "nearest": {"mode": "nearest", "nearest_mode": "round_prefer_ceil"},
}
"""Pillow's filters: its bicubic has a = -0.5, and weights outside of the picture are left out."""


def why_not_in_a_graph(preprocess: Preprocess) -> str | None:
    """A reason where ONNX has no such filter."""
    if preprocess.interpolation in _FILTERS:
        return None
    return f"ONNX has no '{preprocess.interpolation}' filter, with which this model's images are resized"


def pixels_graph(preprocess: Preprocess, ir_version: int, *, takes_planes: bool = False) -> onnx.ModelProto:
    """`image` (batch, height, width, 3) uint8, RGB -> PREPARED (batch, 3, H, W) float32.

    With `takes_planes` its input is `pixel_values` (batch, 3, height, width) float32 in 0..255.
    """
    build = _Builder()
    if takes_planes:
        image = helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, ["batch", 3, "height", "width"])
        planes = build.cast("pixel_values", TensorProto.UINT8)
    else:
        image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", "height", "width", 3])
        planes = build("Transpose", "image", perm=[0, 3, 1, 2])  # (batch, 3, height, width)
    if preprocess.resize_mode == "shortest":
        planes = _cut_very_long(build, planes)
    side = _sides(build, planes)
    new = _new_size(build, side, preprocess)
    planes = _resized(build, planes, new, preprocess)
    if preprocess.resize_mode != "squash":
        fill = preprocess.fill_color if preprocess.resize_mode == "longest" else 0
        planes = _crop_or_pad(build, planes, new, preprocess.size, fill)
    std, mean = np.array(preprocess.std), np.array(preprocess.mean)
    numbers = build("Cast", planes, to=TensorProto.FLOAT)
    scaled = build("Mul", numbers, build.constant((1 / (255 * std)).astype(np.float32).reshape(1, 3, 1, 1)))
    build("Sub", scaled, build.constant((mean / std).astype(np.float32).reshape(1, 3, 1, 1)), output=PREPARED)
    height, width = preprocess.size
    pixels = helper.make_tensor_value_info(PREPARED, TensorProto.FLOAT, ["batch", 3, height, width])
    graph = helper.make_graph(build.nodes, "pixels", [image], [pixels], build.constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=ir_version)


class _Builder:
    """Nodes with names made up as they come; calling it adds one and gives the name of its output."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def __call__(self, kind: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        output = output or f"pixels/{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], name=f"{output}/node", **attributes))
        return output

    def constant(self, value: object, dtype: type | None = None) -> str:
        """The name of a constant."""
        name = f"pixels/constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.array(value, dtype=dtype), name))
        return name

    def whole(self, value: object) -> str:
        """A constant of int64."""
        return self.constant(value, np.int64)

    def cast(self, name: str, kind: int) -> str:
        """`name` in another type."""
        return self("Cast", name, to=kind)


def _sides(build: _Builder, planes: str) -> str:
    """(2,) int64: height and width."""
    return build("Slice", build("Shape", planes), build.whole([2]), build.whole([4]))


def _cut_very_long(build: _Builder, planes: str) -> str:
    """Both sides cut to MAX_ASPECT times the shorter one, around the middle; an even number of pixels goes."""
    side = _sides(build, planes)
    longest = build("Mul", build("ReduceMin", side, keepdims=1), build.whole([MAX_ASPECT]))
    over = build("Max", build("Sub", side, longest), build.whole([0]))
    half = build("Div", over, build.whole([2]))
    return build("Slice", planes, half, build("Sub", side, half), build.whole([2, 3]))


def _new_size(build: _Builder, side: str, preprocess: Preprocess) -> str:
    """(2,) int64: height and width after resizing."""
    height, width = preprocess.size
    if preprocess.resize_mode == "squash":
        return build.whole([height, width])
    if preprocess.resize_mode == "shortest" and height == width:
        # int(edge * long / short), and edge for the shorter side
        return build("Div", build("Mul", side, build.whole([height])), build("ReduceMin", side, keepdims=1))
    sides = build.cast(side, TensorProto.DOUBLE)
    ratios = build("Div", sides, build.constant([height, width], np.float64))
    ratio = build("ReduceMax" if preprocess.resize_mode == "longest" else "ReduceMin", ratios, keepdims=1)
    rounded = build("Round", build("Div", sides, ratio))  # halves to even, as Python's round
    return build("Max", build.cast(rounded, TensorProto.INT64), build.whole([1]))


def _resized(build: _Builder, planes: str, new: str, preprocess: Preprocess) -> str:
    is_square = preprocess.size[0] == preprocess.size[1]
    # a "shortest" that is not square is bicubic whatever the config says, as in open_clip
    is_cubic = preprocess.resize_mode == "shortest" and not is_square
    kind = _CUBIC if is_cubic else _FILTERS[preprocess.interpolation]
    first = build("Slice", build("Shape", planes), build.whole([0]), build.whole([2]))
    sizes = build("Concat", first, new, axis=0)
    return build("Resize", planes, "", "", sizes, coordinate_transformation_mode="half_pixel", **kind)


def _crop_or_pad(build: _Builder, planes: str, new: str, size: tuple[int, int], fill: int) -> str:
    """The middle of `size`, with `fill` around what is smaller."""
    wanted = build.whole(list(size))
    canvas = build("Max", new, wanted)
    missing = build("Sub", canvas, new)
    before = build("Div", missing, build.whole([2]))
    pads = build("Concat", build.whole([0, 0]), before, build.whole([0, 0]), build("Sub", missing, before), axis=0)
    planes = build("Pad", planes, pads, build.constant(fill, np.uint8))
    half = build("Div", build.cast(build("Sub", canvas, wanted), TensorProto.DOUBLE), build.constant([2.0], np.float64))
    start = build.cast(build("Round", half), TensorProto.INT64)
    return build("Slice", planes, start, build("Add", start, wanted), build.whole([2, 3]))
