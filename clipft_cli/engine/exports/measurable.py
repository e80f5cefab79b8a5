"""An export as `clipft evaluate` measures it, by onnxruntime."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np

from ...config.evaluate import EvaluateConfig
from ...errors import ConfigError
from ..checkpoint.base_file import needless_base
from ..checkpoint.measurable import Measurable
from ..checkpoint.subject import Subject, choose_subject
from ..events import Note, OnEvent, Progress
from ..files.digest import file_digest
from ..images.measured_split import MeasuredSplit
from ..machine.ahead import Ahead
from ..machine.hardware import worker_count
from ..run_dir import EXPORT_FILE, is_export
from .record import read_export

BATCH = 32


def subject_of(config: EvaluateConfig) -> Subject:
    """The export that was named, or what `choose_subject` finds.

    Raises CheckpointError where there is none, ConfigError where an export has no untouched model to be measured.
    """
    folder = config.evaluate.checkpoint
    if folder is None or not is_export(folder):
        if config.evaluate.graph is not None:
            raise ConfigError("--graph: what is measured is no ONNX export, and has no graph")
        return choose_subject(config)
    if config.evaluate.base is not None:
        raise needless_base(folder)
    if config.evaluate.zero_shot:
        raise ConfigError(
            f"--zero-shot: {folder} is an export, and does not hold the untouched model", hint="name the run"
        )
    export = read_export(folder)
    return Subject(folder, {"data": dict(export.model.get("data") or {})}, file_digest(folder / EXPORT_FILE), False)


def measurable_export(folder: Path, config: EvaluateConfig, on_event: OnEvent) -> Measurable:
    """The ONNX export in a folder, run without torch.

    Raises CheckpointError where it is damaged or of another format, MissingExtraError without onnxruntime.
    """
    from .runtime import open_onnx

    model = open_onnx(folder, graph=config.evaluate.graph)
    if model.choice is not None:
        on_event(Note(model.choice))
    known = model.export.model
    facts = {
        "method": known.get("method"),
        "label": known.get("label") or known.get("method"),
        "kept": known.get("kept"),
        "model": known.get("base"),
        "pretrained": known.get("pretrained"),
        "weights_digest": known.get("weights_digest"),
        "epoch": known.get("epoch"),
        "selected_on": known.get("selected_on"),
    }

    def logits(images: MeasuredSplit, batch_size: int | None, on_event: OnEvent) -> np.ndarray:
        rows, step, n_done = [], batch_size or BATCH, 0
        with ThreadPoolExecutor(worker_count(config.data.num_workers) or 1, thread_name_prefix="clipft-decode") as pool:
            decoded = iter(Ahead(pool, images.eval_pixels, range(len(images)), 2 * step))
            while batch := list(islice(decoded, step)):
                rows.append(model.logits(np.stack(batch)))
                n_done += len(batch)
                on_event(Progress(config.evaluate.split, n_done, len(images)))
        return np.concatenate(rows)

    return Measurable(
        model.classes,
        model.preprocess,
        model.export.temperature,
        facts,
        "cpu (onnxruntime)",
        model.precision,
        logits,
    )
