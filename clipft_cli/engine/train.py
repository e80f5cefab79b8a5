"""`clipft train`: from a prepared data set to a fine-tuned classifier in a run directory."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import filelock
import torch

from ..config.commands import TrainConfig
from ..config.load import dump_yaml, load_config
from ..errors import CheckpointError, InterruptedRun, ResourceError
from .data.changes import find_changes
from .data.dataset import BadImage, ImageDataset
from .data.manifest import read_manifest
from .data.problems import Problem, write_problems
from .loop.assemble import Material, assemble, card_of, load_material
from .loop.checkpoint import save_classifier, text_head, with_result
from .loop.events import EpochDone, EpochRecord, Event, Note, OnEvent
from .loop.finish import Finished, calibrate, finish, start_values
from .loop.fit import Run, append_metrics, cut_metrics, fit
from .loop.inference import ValMetrics, split_logits
from .loop.memory import peak_device_memory_gib, peak_host_memory_gib, peak_memory_gib
from .loop.plan import n_trainable, plan_of
from .loop.resume import KEPT, TrainState, generations
from .loop.signals import Stopped, StopRequest
from .loop.start import DamagedStart, Start, choose_start, read_start, save_start
from .methods import METHODS
from .methods.base import Method
from .run_dir import RunDir, new_run_dir, newest_unfinished_run, write_pointer, write_text


@dataclass(frozen=True)
class TrainResult:
    """A finished run. Metrics are on val; `zero_shot` is the pretrained model's, `start` the run's own start."""

    run_dir: Path
    checkpoint: Path
    method: str
    start_kind: str
    zero_shot: ValMetrics
    start: ValMetrics
    best: ValMetrics
    best_epoch: int
    epochs: int
    alpha: float
    alpha_curve: tuple[tuple[float, float], ...]
    temperature: float
    ece_before: float
    ece_after: float
    trainable_parameters: int
    total_parameters: int
    train_seconds: float
    total_seconds: float
    peak_memory_gib: float
    peak_host_memory_gib: float
    peak_device_memory_gib: float | None
    skipped_steps: int
    bad_images: int
    stopped_early: bool

    def to_json(self) -> dict[str, Any]:
        """As in summary.json."""
        return {**asdict(self), "run_dir": str(self.run_dir), "checkpoint": self.checkpoint.name}


def train(config: TrainConfig, on_event: OnEvent) -> TrainResult:
    """Fine-tune a CLIP model on a prepared data set, in a new run directory."""
    began = time.perf_counter()
    manifest = read_manifest(config.data.dir)
    changes = find_changes(manifest)
    if changes:
        on_event(Note(changes.describe(), is_warning=True))
    material = load_material(config, manifest)
    run_dir, is_numbered = new_run_dir(config.output_dir, config.preset or config.method)
    if is_numbered:
        on_event(Note(f"that name is taken: this run is {run_dir.path}"))
    with _disk_errors(run_dir), _locked(run_dir), contextlib.closing(material.loader), StopRequest() as stop:
        write_text(run_dir.config, dump_yaml(material.config))
        start = _measured_start(material, run_dir, on_event, stop)
        return _run(material, start, run_dir, on_event, stop, began, is_resumed=False)


def resume(path: Path | None, on_event: OnEvent) -> TrainResult:
    """Go on with an interrupted run (None: the newest) from its last saved state, bit for bit."""
    began = time.perf_counter()
    run_dir = RunDir(path) if path is not None else newest_unfinished_run()
    if not run_dir.config.is_file():
        raise CheckpointError(
            f"{run_dir.path}: is no run directory (it has no config.yaml)",
            hint="start a run: `clipft train --config clipft.yaml`",
        )
    if run_dir.is_finished:
        shutil.rmtree(run_dir.resume, ignore_errors=True)  # a kill right after the summary leaves it
        raise CheckpointError(
            f"{run_dir.path}: this run is finished, there is nothing to resume",
            hint=f"evaluate it: `clipft evaluate --checkpoint {run_dir.path}`",
        )
    config = load_config(TrainConfig, run_dir.config)
    with _disk_errors(run_dir), _locked(run_dir), StopRequest() as stop:
        run_dir.sweep()
        material = load_material(config, read_manifest(config.data.dir))
        with contextlib.closing(material.loader):
            start = _known_start(material, run_dir, on_event) or _measured_start(material, run_dir, on_event, stop)
            return _run(material, start, run_dir, on_event, stop, began, is_resumed=True)


def dry_run(config: TrainConfig, on_event: OnEvent) -> dict[str, Any]:
    """Show the plan, with memory and speed measured on a few real updates; nothing is written."""
    from .loop.dry_run import measure

    material = load_material(config, read_manifest(config.data.dir))
    with contextlib.closing(material.loader):
        return measure(material, _text_start(material), on_event)


def _known_start(material: Material, run_dir: RunDir, on_event: OnEvent) -> Start | None:
    """The start as the run has kept it; None where it must be measured again, which gives the same."""
    if not run_dir.start.is_dir():
        return None
    try:
        start = read_start(run_dir.start, _digests(material))
    except DamagedStart as error:
        on_event(Note(f"{error.message}: it is measured again", is_warning=True))
        return None
    return start if METHODS[material.config.method].trains_by_epochs else None


def _measured_start(material: Material, run_dir: RunDir, on_event: OnEvent, stop: StopRequest) -> Start:
    """Measured on train and val, and kept. Raises InterruptedRun after a signal."""
    text = text_head(material.backbone, material.manifest.classes, material.templates)
    try:
        start = choose_start(
            material.backbone.model,
            text,
            material.train_set,
            material.val_set,
            material.loader,
            material.precision,
            material.eval_batch,
            material.config,
            on_event,
            stop,
        )
    except Stopped:
        raise InterruptedRun(
            "interrupted while the start was measured; nothing is trained yet",
            hint=f"go on with `clipft train --resume {run_dir.path}`",
        ) from None
    save_start(run_dir.start, start, _digests(material))
    return start


def _digests(material: Material) -> dict[str, str]:
    """What a resumed run must find unchanged."""
    config = hashlib.sha256(dump_yaml(material.config).encode()).hexdigest()
    return {"config": config, **material.digests}


def _text_start(material: Material) -> Start:
    nothing = ValMetrics(0.0, 0.0, 0.0, 0.0)
    head = text_head(material.backbone, material.manifest.classes, material.templates)
    return Start(head, "text", nothing, None, None, torch.empty(0))


def _run(
    material: Material,
    start: Start,
    run_dir: RunDir,
    on_event: OnEvent,
    stop: StopRequest,
    began: float,
    *,
    is_resumed: bool,
) -> TrainResult:
    method = METHODS[material.config.method]
    if not method.trains_by_epochs:
        with _listing_bad(material, run_dir, on_event):
            return _keep_start(material, start, run_dir, method, on_event, began)
    from .loop.tensorboard import TensorBoard

    run = assemble(material, start, run_dir)
    _check_space(run)
    begin_with = start_values(run.classifier, run.parameters)
    state = _begin(run, start, on_event, is_resumed)
    on_event(plan_of(run, material))
    on_event(EpochDone(_start_record(start.zero_shot), is_best=False))
    with (
        _listing_bad(material, run_dir, on_event),
        TensorBoard(run_dir, run.groups, run.rates.at, state.step) as board,
    ):

        def tell(event: Event) -> None:
            board(event)
            on_event(event)

        state = fit(run, state, tell, stop)
        finished = finish(run, state, begin_with, on_event, stop)
        logits = split_logits(run.classifier, run.val_set, run.loader, run.precision, run.eval_batch)
        board.add_mistakes(run.val_set, logits, state.step)
    result = _result(run, state, start, finished, time.perf_counter() - began)
    _close(run_dir, result)
    return result


def _begin(run: Run, start: Start, on_event: OnEvent, is_resumed: bool) -> TrainState:
    if is_resumed and generations(run.run_dir.resume):
        state, damaged = run.load()
        for sentence in damaged:
            on_event(Note(f"{sentence}: the state before it is used", is_warning=True))
        on_event(Note(f"resuming {run.run_dir.path} in epoch {state.epoch + 1}, after step {state.step}"))
        return state
    if is_resumed:
        on_event(Note(f"{run.run_dir.path}: nothing was saved yet, the run begins with its first update"))
    cut_metrics(run.run_dir, 0)
    state = TrainState()
    append_metrics(run.run_dir, _start_record(start.zero_shot), state)
    run.save(state)
    return state


def _start_record(metrics: ValMetrics) -> EpochRecord:
    return EpochRecord(
        epoch=0,
        step=0,
        train_loss=None,
        val_loss=metrics.loss,
        val_top1=metrics.top1,
        val_top5=metrics.top5,
        val_macro_f1=metrics.macro_f1,
        lr=0.0,
        trains="zero-shot",
        skipped_steps=0,
        seconds=0.0,
        images_per_second=0.0,
        data_wait_share=0.0,
    )


def _keep_start(
    material: Material, start: Start, run_dir: RunDir, method: Method, on_event: OnEvent, began: float
) -> TrainResult:
    """The run of a method without a loop: its start is its result."""
    state = TrainState()
    cut_metrics(run_dir, 0)
    append_metrics(run_dir, _start_record(start.zero_shot), state)
    on_event(EpochDone(_start_record(start.zero_shot), is_best=method.name == "zero_shot"))
    labels = torch.from_numpy(material.val_set.labels)
    temperature, before, after = calibrate(start.val_logits, labels)
    classifier = method.attach(material.backbone.model, start.head, material.config)
    metrics = {f"val_{name}": value for name, value in asdict(start.metrics).items()}
    folder = run_dir.checkpoint(0)
    card = with_result(card_of(material, start), epoch=0, step=0, metrics=metrics, temperature=temperature)
    save_classifier(folder, classifier, card)
    for pointer in (run_dir.best, run_dir.last):
        write_pointer(pointer, folder, epoch=0)
    n_head = sum(parameter.numel() for parameter in start.head.parameters())
    seconds = time.perf_counter() - began
    result = TrainResult(
        run_dir=run_dir.path,
        checkpoint=folder,
        method=method.name,
        start_kind=start.kind,
        zero_shot=start.zero_shot,
        start=start.metrics,
        best=start.metrics,
        best_epoch=0,
        epochs=0,
        alpha=1.0,
        alpha_curve=(),
        temperature=temperature,
        ece_before=before,
        ece_after=after,
        trainable_parameters=0 if method.name == "zero_shot" else n_head,
        total_parameters=sum(parameter.numel() for parameter in classifier.parameters()),
        train_seconds=seconds,
        total_seconds=seconds,
        peak_memory_gib=peak_memory_gib(material.precision.device),
        peak_host_memory_gib=peak_host_memory_gib(),
        peak_device_memory_gib=peak_device_memory_gib(material.precision.device),
        skipped_steps=0,
        bad_images=len(material.train_set.bad) + len(material.val_set.bad),
        stopped_early=False,
    )
    _close(run_dir, result)
    return result


def _result(run: Run, state: TrainState, start: Start, finished: Finished, seconds: float) -> TrainResult:
    return TrainResult(
        run_dir=run.run_dir.path,
        checkpoint=finished.checkpoint,
        method=run.config.method,
        start_kind=start.kind,
        zero_shot=start.zero_shot,
        start=start.metrics,
        best=finished.metrics,
        best_epoch=state.best_epoch,
        epochs=state.epoch,
        alpha=finished.alpha,
        alpha_curve=finished.curve,
        temperature=finished.temperature,
        ece_before=finished.ece_before,
        ece_after=finished.ece_after,
        trainable_parameters=n_trainable(run),
        total_parameters=sum(parameter.numel() for parameter in run.classifier.parameters()),
        train_seconds=state.train_seconds,
        total_seconds=seconds,
        peak_memory_gib=peak_memory_gib(run.precision.device),
        peak_host_memory_gib=peak_host_memory_gib(),
        peak_device_memory_gib=peak_device_memory_gib(run.precision.device),
        skipped_steps=state.skipped_steps,
        bad_images=len(run.train_set.bad) + len(run.val_set.bad),
        stopped_early=state.is_stopped_early,
    )


def _close(run_dir: RunDir, result: TrainResult) -> None:
    """The summary makes the run a finished one; the state to resume from is of no more use."""
    write_text(run_dir.summary, json.dumps(result.to_json(), indent=2) + "\n")
    shutil.rmtree(run_dir.resume, ignore_errors=True)


@contextlib.contextmanager
def _listing_bad(material: Material, run_dir: RunDir, on_event: OnEvent) -> Iterator[None]:
    """Images that could not be read are listed and told of at the end, however the run ends."""
    try:
        yield
    finally:
        _report_bad(run_dir, [material.train_set, material.val_set], on_event)


def _report_bad(run_dir: RunDir, datasets: list[ImageDataset], on_event: OnEvent) -> None:
    bad = [image for dataset in datasets for image in dataset.bad.values()]
    if bad:
        write_problems(
            run_dir.problems,
            [Problem(image.path, image.reason, _replaced_by(image)) for image in bad],
        )
        on_event(
            Note(
                f"{len(bad)} images could not be read and were replaced by others of their class:"
                f" see {run_dir.problems}",
                is_warning=True,
            )
        )


def _replaced_by(image: BadImage) -> str:
    return f"replaced by {image.stand_in}" if image.stand_in else "no other image of its class can be read"


def _check_space(run: Run) -> None:
    """Raises ResourceError where the disk cannot hold what the run will keep."""
    trainable = 4 * n_trainable(run)
    saves_tower = METHODS[run.config.method].saves_tower
    model = 4 * sum(p.numel() for p in run.classifier.parameters()) if saves_tower else trainable
    # the start's mix and one that is being written come on top
    checkpoints = (run.config.checkpoint.keep_last + run.config.checkpoint.keep_best + 2) * model
    needed = checkpoints + (KEPT + 1) * trainable * (4 if run.ema is not None else 3)
    free = shutil.disk_usage(run.run_dir.path).free
    if free < needed:
        raise ResourceError(
            f"{run.run_dir.path}: the run needs {needed / 2**30:.1f} GiB of disk space, {free / 2**30:.1f} are free",
            hint="free some space, or choose an --output-dir on another disk",
        )


@contextlib.contextmanager
def _disk_errors(run_dir: RunDir) -> Iterator[None]:
    """A full or failing disk ends the run with what failed, and with the way back to what was saved."""
    try:
        yield
    except OSError as error:
        again = f"`clipft train --resume {run_dir.path}`" if run_dir.config.is_file() else "start the run again"
        raise ResourceError(
            f"{error.filename or run_dir.path}: {error.strerror or error}",
            hint=f"what was saved is whole: make room or restore access, then {again}",
        ) from error


@contextlib.contextmanager
def _locked(run_dir: RunDir) -> Iterator[None]:
    """Only one process works in a run directory. Raises ResourceError for the second."""
    lock = filelock.FileLock(run_dir.lock)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise ResourceError(
            f"{run_dir.path}: another process is training here", hint="wait for it, or start a new run"
        ) from None
    try:
        yield
    finally:
        lock.release()
