"""The model as an ONNX graph for a prepared tensor: normalised pixels in, probabilities and calibrated logits out."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from .source import Source

OPSET = 18
"""The first whose Resize can be told to filter as Pillow does."""

MAX_BYTES = 2_000_000_000
"""A protobuf file ends at 2 GiB; weights beside it would be a second file to lose."""


class Calibrated(nn.Module):
    """Tower, head and temperature as one function of normalised pixels."""

    def __init__(self, source: Source) -> None:
        super().__init__()
        self.classifier = source.merged
        self.scale = source.head.scale
        self.register_buffer("vectors", source.head.vectors)
        self.register_buffer("bias", source.head.bias)

    vectors: Tensor
    bias: Tensor

    def forward(self, pixel_values: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 3, H, W) -> probabilities (B, C) and the logits (B, C) they are the softmax of."""
        features = self.classifier.features(pixel_values)
        features = features / torch.linalg.vector_norm(features, dim=-1, keepdim=True).clamp(min=1e-12)
        logits = self.scale * features @ self.vectors.T + self.bias
        return logits.softmax(dim=-1), logits


def tower_graph(source: Source) -> onnx.ModelProto:
    """`pixel_values` (batch, 3, H, W) float32 -> `probabilities` and `logits` (batch, C), any batch.

    Raises whatever torch raises for an operation that ONNX does not have.
    """
    height, width = source.loaded.preprocess.size
    example = torch.zeros(2, 3, height, width)
    with quiet(), torch.no_grad():
        program: Any = torch.onnx.export(
            Calibrated(source).eval(),
            (example,),
            input_names=["pixel_values"],
            output_names=["probabilities", "logits"],
            dynamic_shapes={"pixel_values": {0: torch.export.Dim("batch")}},
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    graph: onnx.ModelProto = program.model_proto
    del graph.graph.value_info[:]  # shapes inside, wrong in torch 2.10; whoever needs them infers them
    for node in graph.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    return graph


def why_too_large(source: Source) -> str | None:
    """A reason where the weights do not fit into one ONNX file."""
    visual: Any = source.loaded.classifier.clip.visual
    n_bytes = 4 * sum(tensor.numel() for tensor in visual.state_dict().values())
    if n_bytes > MAX_BYTES:
        return f"its image tower has {n_bytes / 1e9:.1f} GB of weights, and one ONNX file holds 2 GB"
    return None


def describe(graph: onnx.ModelProto, source: Source) -> None:
    """Put into the graph's metadata what a user of it must know: classes, preprocessing, where it is from."""
    facts = {
        "classes": source.class_names,
        "readable": [info.readable for info in source.loaded.classes],
        "preprocess": source.loaded.preprocess.to_json(),
        "temperature": source.loaded.temperature,
        "head": {key: value for key, value in asdict(source.card.base).items() if key in ("name", "quick_gelu")},
    }
    del graph.metadata_props[:]
    for key, value in facts.items():
        graph.metadata_props.add(key=key, value=json.dumps(value))  # ASCII: every reader of JSON makes text of it


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Exporter and quantiser tell of each of their steps: in print, in warnings and in the log."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
