"""ONNX graphs run by onnxruntime: what predict, evaluate and serve use of an export. No torch is needed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from ...config.export import GraphName
from ...errors import CheckpointError, ConfigError, MissingExtraError
from ..images.transforms import Preprocess
from ..labels.class_names import ClassInfo
from ..machine.processors import usable_processors
from .record import Export, read_export

if TYPE_CHECKING:
    import onnxruntime

MODEL_FILE, PREPARED_FILE = "model.onnx", "prepared.onnx"
MODEL_INT8_FILE, PREPARED_INT8_FILE = "model_int8.onnx", "prepared_int8.onnx"


def require_onnxruntime() -> None:
    """Raises MissingExtraError where an export cannot be run."""
    if find_spec("onnxruntime") is None:
        raise MissingExtraError(
            "an ONNX export is run by onnxruntime, which is not installed",
            hint="pip install 'clipft-cli[onnx]'",
        )


def session_of(path: Path, n_threads: int | None = None) -> onnxruntime.InferenceSession:
    """A graph ready to run on the CPU. Raises CheckpointError where the file is none."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors, which are raised too
    if n_threads is not None:
        options.intra_op_num_threads = n_threads
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"], enable_fallback=0)
    except Exception as error:  # onnxruntime has a kind for each way in which a file can be damaged
        raise CheckpointError(f"{path}: cannot be loaded: {str(error).splitlines()[0][:200]}") from None


def picture_probabilities(session: onnxruntime.InferenceSession, pictures: Sequence[Image.Image]) -> np.ndarray:
    """(N, C) of decoded pictures of any size, each by itself."""
    rows = [session.run(["probabilities"], {"image": np.asarray(picture)[None]})[0] for picture in pictures]
    return np.concatenate([np.asarray(row) for row in rows])


def tensor_outputs(
    session: onnxruntime.InferenceSession,
    preprocess: Preprocess,
    pixels: np.ndarray,
    output: str = "probabilities",
    *,
    each_alone: bool = False,
) -> np.ndarray:
    """(B, C) of pixels (B, 3, H, W) uint8 as `preprocess` gives them.

    `each_alone`: for a graph of eight-bit weights, which takes one range for the activations of all that it is given
    at once, so that the answer for an image would depend on its neighbours in the batch.
    """
    std = np.array(preprocess.std, dtype=np.float32).reshape(1, 3, 1, 1)
    mean = np.array(preprocess.mean, dtype=np.float32).reshape(1, 3, 1, 1)
    normalised = np.ascontiguousarray(pixels, dtype=np.float32)
    normalised *= 1 / (255 * std)
    normalised -= mean / std
    batches = [image[None] for image in normalised] if each_alone else [normalised]
    return np.concatenate([np.asarray(session.run([output], {"pixel_values": batch})[0]) for batch in batches])


class OnnxClassifier:
    """A verified export, ready to use; every answer is at the temperature that was fitted on val.

    Images of a batch are answered side by side, each alone on one processor: on two cores that gave 1.2 times (float32)
    and 1.4 times (eight bits) the images a second of one run on both, and no answer depends on the others.
    """

    def __init__(self, export: Export, n_threads: int | None = None, graph: GraphName | None = None) -> None:
        self.export = export
        has_int8 = PREPARED_INT8_FILE in export.files
        if graph == "int8" and not has_int8:
            raise ConfigError(
                f"graph: {export.folder} has no graph of eight-bit weights",
                hint="leave --graph out, or export the run again with --int8",
            )
        self.file = PREPARED_INT8_FILE if has_int8 and graph != "fp32" else PREPARED_FILE
        self.choice = (
            "the graph of eight-bit weights answers; `--graph fp32` takes the other" if has_int8 and not graph else None
        )
        """What a person should know who has not chosen one of two graphs."""

        export.verify(self.file)
        self._session = session_of(export.folder / self.file, 1)
        self._pool = ThreadPoolExecutor(n_threads or usable_processors(), "graph")
        _refuse_others(export, self.file, self._session.get_modelmeta().custom_metadata_map)

    @property
    def classes(self) -> tuple[ClassInfo, ...]:
        """In the order of the probabilities."""
        return self.export.classes

    @property
    def preprocess(self) -> Preprocess:
        """The model's own transform."""
        return self.export.preprocess

    @property
    def precision(self) -> str:
        """Of the weights."""
        return "int8" if self.file == PREPARED_INT8_FILE else "fp32"

    def probabilities(self, pixels: np.ndarray) -> np.ndarray:
        """(B, C) float64 of pixels (B, 3, H, W) uint8; rows add up to 1."""
        logits = self._outputs(pixels).astype(np.float64)
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))

    def logits(self, pixels: np.ndarray) -> np.ndarray:
        """(B, C) float32 of pixels (B, 3, H, W) uint8, before the temperature."""
        return np.asarray(self._outputs(pixels) * np.float32(self.export.temperature))

    def _outputs(self, pixels: np.ndarray) -> np.ndarray:
        if len(pixels) == 1:
            return self._output(pixels)
        return np.concatenate(list(self._pool.map(self._output, np.split(pixels, len(pixels)))))

    def _output(self, image: np.ndarray) -> np.ndarray:
        return tensor_outputs(self._session, self.preprocess, image, "logits")


def open_onnx(folder: Path, n_threads: int | None = None, graph: GraphName | None = None) -> OnnxClassifier:
    """The classifier in the folder of an ONNX export.

    Raises CheckpointError where it is damaged or of another format, ConfigError where it has no such graph,
    MissingExtraError without onnxruntime.
    """
    export = read_export(folder)
    if PREPARED_FILE not in export.files:
        raise CheckpointError(
            f"{folder}: is an export of format {export.kind}, which clipft does not run",
            hint="clipft runs an ONNX export: `clipft export RUN --to onnx`",
        )
    require_onnxruntime()
    return OnnxClassifier(export, n_threads, graph)


def _refuse_others(export: Export, file: str, metadata: dict[str, Any]) -> None:
    """Raises CheckpointError where the graph knows other classes than the record."""
    try:
        named = json.loads(metadata["classes"])
    except (KeyError, ValueError):
        named = None
    if named != [info.name for info in export.classes]:
        raise CheckpointError(
            f"{export.folder / file}: its classes are not those of export.json: it is another run's",
            hint="export the run again: `clipft export RUN --to onnx`",
        )
