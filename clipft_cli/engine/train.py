"""`clipft train`: from a prepared data set to a fine-tuned classifier in a run directory."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from ..config.load import dump_yaml
from ..config.train import TrainConfig
from ..errors import CheckpointError, InterruptedRun
from .checkpoint.card import with_result
from .checkpoint.kept import Kept
from .checkpoint.parent import write_model
from .checkpoint.run_config import places_of, run_config
from .checkpoint.save import save_classifier
from .checkpoint.trained_on import TrainedOn, trained_before
from .checkpoint.zero_shot import text_head
from .events import EpochDone, Event, Note, OnEvent
from .files.places import PLACES_FILE
from .files.visible import quoted
from .files.write import write_text
from .images.shapes import what_is_cut_off
from .loop.activation import tell_of_activation
from .loop.assemble import assemble, card_of, check_layers
from .loop.bad_images import listing_bad
from .loop.disk import check_space, disk_errors
from .loop.dry_run import measure, rehearsed
from .loop.finish import calibrate, finish, start_values
from .loop.fit import fit
from .loop.going_on import going_on
from .loop.inputs import inputs_text
from .loop.material import Material, load_material
from .loop.packing import pack_images
from .loop.plan import plan_of, plan_without_loop
from .loop.records import append_metrics, begin_metrics, start_record, zero_shot_record
from .loop.result import TrainResult, result_of
from .loop.resume import TrainState, generations
from .loop.run import Run
from .loop.slowed import kept_threads
from .loop.start import (
    DamagedStart,
    Start,
    choose_start,
    read_start,
    refuse_changed,
    save_start,
)
from .loop.unchanged import refuse_other_inputs
from .machine.energy import EnergyMeter, joules_of
from .machine.memory import peak_device_memory_gib, peak_host_memory_gib, peak_memory_gib
from .machine.signals import Stopped, StopRequest
from .manifest import Manifest, read_manifest
from .methods import METHODS
from .methods.base import Method, MethodSettings
from .metrics.never_answered import never_answered, told_of
from .metrics.val import ValMetrics
from .pages.model_card import on_val, recipe_of, write_model_card
from .preparation.changes import find_changes
from .run_dir import RunDir, interrupted_run, new_run_dir, refuse_finished, write_pointer
from .trackers.curves import Curves
from .trackers.reporting import Reporting, require_trackers


def train(config: TrainConfig, on_event: OnEvent, *, is_rehearsed: bool = False) -> TrainResult:
    """Fine-tune a CLIP model on a prepared data set, in a new run directory.

    `is_rehearsed`: what to expect of it has been measured and told already.
    """
    began = time.perf_counter()
    require_trackers(config.training.report_to)
    material = load_material(config, _read_data(config, on_event))
    _warn_of_shapes(material, on_event)
    meter = EnergyMeter(material.precision.device)
    on_event = meter.watching(on_event)
    check_layers(material)
    name = config.preset or config.method
    # Signals are heard from before the folder is there: one that comes as it appears leaves a run to go on with.
    with contextlib.closing(material.loader), StopRequest() as stop:
        before = _before(material)
        run_dir, is_numbered = new_run_dir(
            config.output_dir, name, dump_yaml(material.config), lambda run: _began_with(run, material, config, before)
        )
        if is_numbered:
            on_event(Note(f"that name is taken: this run is {run_dir.path}"))
        stop.farewell = _farewell(run_dir)
        with disk_errors(run_dir), _freed_if_nothing_trained(run_dir), run_dir.locked():
            material = _with_own_base(material, run_dir)
            _tell_of_seen(material, before, on_event)
            pack_images(material, run_dir, on_event, stop)
            start = _measured_start(material, run_dir, on_event, stop)
            return _run(material, start, run_dir, on_event, stop, began, meter, is_rehearsed=is_rehearsed)


def resume(
    path: Path | None, on_event: OnEvent, *, data_dir: Path | None = None, base: Path | None = None
) -> TrainResult:
    """Go on with an interrupted run (None: the newest) from its last saved state, bit for bit.

    `data_dir` and `base` say where its data set and the file of its base weights are now, if not where they were.
    """
    began = time.perf_counter()
    run_dir = interrupted_run(path)
    with disk_errors(run_dir), run_dir.locked(), StopRequest() as stop:
        stop.farewell = _farewell(run_dir)
        refuse_finished(run_dir)
        run_dir.sweep()
        config, moved = run_config(run_dir, {"data.dir": data_dir, "model.pretrained": base})
        for sentence in (*moved, *filter(None, [kept_threads(config.hardware.num_threads)])):
            on_event(Note(sentence))
        with _stopping_at_once(run_dir, stop, "while model and data were read; the run is as it was saved"):
            material = load_material(config, _read_data(config, on_event), run_dir.base)
            material = _with_own_base(material, run_dir)
            before = _before(material)
            write_text(run_dir.trained_on, _after(material, before).text)
            _tell_of_seen(material, before, on_event)
        refuse_other_inputs(run_dir, material.inputs, on_event)
        with contextlib.closing(material.loader):
            pack_images(material, run_dir, on_event, stop)
            start = _known_start(material, run_dir, on_event) or _measured_start(material, run_dir, on_event, stop)
            return _run(material, start, run_dir, on_event, stop, began, None, is_rehearsed=True)


def train_on(path: Path, num_epochs: int, on_event: OnEvent, *, data_dir: Path | None = None) -> TrainResult:
    """A new run that goes on from a finished one: its weights and its head, its settings, `num_epochs` more epochs.

    Raises CheckpointError where that run is not finished.
    """
    run_dir = RunDir(path)
    if not run_dir.is_finished or not run_dir.config.is_file():
        hint = f"go on with it: `clipft train --resume {quoted(path)}`" if run_dir.config.is_file() else None
        raise CheckpointError(f"{path}: is no finished run to train on from", hint=hint)
    config, moved = run_config(run_dir, {"data.dir": data_dir})
    for sentence in moved:
        on_event(Note(sentence))
    config = going_on(config, path, num_epochs)
    schedule = f"a new warm-up and {config.training.schedule} schedule"
    on_event(Note(f"training on from the model that {path} kept: {num_epochs} epochs more, with {schedule}"))
    return train(config, on_event)


def dry_run(config: TrainConfig, on_event: OnEvent) -> dict[str, Any]:
    """Show the plan, with memory and speed measured on a few real updates; nothing is written."""
    material = load_material(config, _read_data(config, on_event))
    _warn_of_shapes(material, on_event)
    with contextlib.closing(material.loader):
        return measure(material, _text_start(material), on_event)


def _began_with(run: RunDir, material: Material, config: TrainConfig, before: TrainedOn) -> dict[Path, str]:
    """What a run has from its beginning besides its config: all that a resume is held against."""
    return {
        run.inputs: inputs_text(material.inputs),
        run.path / PLACES_FILE: places_of(run, config, material.backbone.base.file),
        run.trained_on: _after(material, before).text,
    }


def _with_own_base(material: Material, run_dir: RunDir) -> Material:
    """With a base model that is nowhere else on disk written into the run."""
    return replace(material, backbone=write_model(run_dir.base, material.backbone))


def _before(material: Material) -> TrainedOn:
    """What the runs before this one were trained on."""
    parent = material.parent.checkpoint if material.parent is not None else None
    return trained_before(material.config.model, parent) or TrainedOn(is_whole=False)


def _after(material: Material, before: TrainedOn) -> TrainedOn:
    """What this run is trained on, too."""
    return before.and_then(material.train_set.rows if METHODS[material.config.method].learns else ())


def _tell_of_seen(material: Material, before: TrainedOn, on_event: OnEvent) -> None:
    """What the runs before it were trained on, held against val and test."""
    named = material.parent.checkpoint.parent if material.parent is not None else material.config.model.name
    for split in ("val", "test"):
        rows = [row for row in material.manifest.rows if row.split == split]
        if seen := before.n_of(rows):
            told = f"{seen} of the {len(rows)} {split} images were trained on by {named} or a run before it"
            on_event(Note(f"{told}: figures on them are too good", is_warning=True))
    if not before.is_whole:
        told = f"{named} or a run before it keeps no list of the images that it was trained on (an earlier version)"
        on_event(Note(f"{told}: whether they are among val and test could not be checked", is_warning=True))


def _read_data(config: TrainConfig, on_event: OnEvent) -> Manifest:
    manifest = read_manifest(config.data.dir)
    changes = find_changes(manifest)
    if changes:
        on_event(Note(changes.describe(), is_warning=True))
    return manifest


def _warn_of_shapes(material: Material, on_event: OnEvent) -> None:
    if material.config.data.resize == "auto":
        told = what_is_cut_off(material.train_set.files, material.backbone.preprocess)
        if told is not None:
            on_event(Note(told, is_warning=True))


@contextlib.contextmanager
def _freed_if_nothing_trained(run_dir: RunDir) -> Iterator[None]:
    """A new run that fails before its first update is no run: its name is free, and nothing offers to resume it."""
    try:
        yield
    except InterruptedRun:
        raise
    except Exception:
        if not run_dir.has_begun_to_train:
            run_dir.clear_start()
        raise


def _farewell(run_dir: RunDir) -> str:
    return f"the run is as it was last saved: go on with `clipft train --resume {quoted(run_dir.path)}`"


def _tell_of_never_answered(material: Material, logits: torch.Tensor, on_event: OnEvent) -> None:
    names = [info.name for info in material.manifest.classes]
    never = never_answered(logits.detach().cpu().float().numpy(), material.val_set.labels, names)
    if never:
        learns = METHODS[material.config.method].learns
        may_help = learns and material.config.data.class_balance == "none"
        on_event(Note(told_of(never, "val", balance_may_help=may_help), is_warning=learns))


def _known_start(material: Material, run_dir: RunDir, on_event: OnEvent) -> Start | None:
    """The start as the run has kept it; None where it must be measured again, which gives the same."""
    if not run_dir.start.is_dir():
        return None
    try:
        start = read_start(run_dir.start, material.inputs.digests)
    except DamagedStart as error:
        on_event(Note(f"{error.message}: it is measured again", is_warning=True))
        return None
    return start if METHODS[material.config.method].trains_by_epochs else None


def _measured_start(material: Material, run_dir: RunDir, on_event: OnEvent, stop: StopRequest) -> Start:
    """Measured on train and val, and kept. Raises InterruptedRun after a signal."""
    datasets = [material.train_set, material.val_set]
    when = "while the start was measured; nothing is trained yet"
    with _stopping_at_once(run_dir, stop, when), listing_bad(datasets, run_dir, on_event):
        tell_of_activation(material, on_event)
        text = text_head(material.backbone, material.manifest.classes, material.templates)
        start = choose_start(material, text, on_event)
    save_start(run_dir.start, start, material.inputs.digests)
    return start


@contextlib.contextmanager
def _stopping_at_once(run_dir: RunDir, stop: StopRequest, when: str) -> Iterator[None]:
    """A block in which nothing is trained, so that a signal need not wait. Raises InterruptedRun after one."""
    try:
        with stop.at_once():
            yield
    except Stopped:
        raise InterruptedRun(
            f"interrupted {when}",
            hint=f"go on with `clipft train --resume {quoted(run_dir.path)}`",
        ) from None


def _text_start(material: Material) -> Start:
    nothing = ValMetrics(loss=0.0, top1=0.0)
    head = text_head(material.backbone, material.manifest.classes, material.templates)
    return Start(head, "text", nothing, None, None, torch.empty(0))


def _run(
    material: Material,
    start: Start,
    run_dir: RunDir,
    on_event: OnEvent,
    stop: StopRequest,
    began: float,
    meter: EnergyMeter | None,
    *,
    is_rehearsed: bool,
) -> TrainResult:
    """The run from its start, or, without a meter, from where it was interrupted."""
    method = METHODS[material.config.method]
    if not method.trains_by_epochs:
        with listing_bad([material.train_set, material.val_set], run_dir, on_event):
            return _keep_start(material, start, run_dir, method, on_event, began, meter)
    from .loop.tensorboard import TensorBoard

    run = assemble(material, start, run_dir)
    check_space(run)
    begin_with = start_values(run.parameters)
    state = _begin(run, start, on_event, material.inputs.digests, is_resumed=meter is None)
    when = "while a few updates were rehearsed; nothing is trained yet"
    with _stopping_at_once(run_dir, stop, when), listing_bad([material.train_set, material.val_set], run_dir, on_event):
        expected = None if is_rehearsed else rehearsed(run, with_start=False)
    on_event(plan_of(run, material, expected))
    on_event(EpochDone(zero_shot_record(start.zero_shot), is_best=False))
    with (
        listing_bad([material.train_set, material.val_set], run_dir, on_event),
        TensorBoard(run_dir, state.step) if _has_board(material) else contextlib.nullcontext() as board,
        _reporting(material, run_dir, on_event) as trackers,
    ):
        curves = Curves(run.groups, run.plan)

        def tell(event: Event) -> None:
            values = curves.of(event)
            if board is not None:
                board(event, values)
            trackers(event, values)
            on_event(event)

        tell(EpochDone(start_record(start), is_best=False))
        state = fit(run, state, tell, stop)
        finished = finish(run, state, begin_with, on_event, stop)
        run.prefix.close(on_event)
        _tell_of_never_answered(material, finished.logits, on_event)
        if board is not None:
            board.add_mistakes(run.val_set, finished.logits, state.step)
    measured = on_val(finished.card, finished.logits.numpy(), run.val_set.labels)
    write_model_card(finished.checkpoint, finished.card, [measured], len(run.train_set), recipe_of(run.config))
    result = result_of(run, state, start, finished, time.perf_counter() - began, joules_of(meter))
    _close(run_dir, result)
    return result


def _has_board(material: Material) -> bool:
    return "tensorboard" in material.config.training.report_to


def _reporting(material: Material, run_dir: RunDir, on_event: OnEvent) -> Reporting:
    config = material.config
    return Reporting(config.training.report_to, run_dir.path, config.model_dump(mode="json"), on_event)


def _begin(run: Run, start: Start, on_event: OnEvent, digests: dict[str, str], *, is_resumed: bool) -> TrainState:
    if is_resumed and generations(run.run_dir.resume):
        state, told = run.load()
        refuse_changed(run.run_dir.path, state.belongs_to, digests)
        for sentence in told:
            on_event(Note(sentence, is_warning=True))
        on_event(Note(f"resuming {run.run_dir.path} in epoch {state.epoch + 1}, after step {state.step}"))
        return state
    if is_resumed:
        _refuse_lost_state(run.run_dir)
        on_event(Note(f"{run.run_dir.path}: nothing was saved yet, the run begins with its first update"))
    begin_metrics(run.run_dir)
    state = TrainState(belongs_to=digests)
    append_metrics(run.run_dir, zero_shot_record(start.zero_shot), state)
    append_metrics(run.run_dir, start_record(start), state)
    run.save(state)
    return state


def _refuse_lost_state(run_dir: RunDir) -> None:
    """Raises CheckpointError where epochs were trained and the state after them is gone: nothing is trained over."""
    epochs = run_dir.checkpoints()
    if epochs:
        raise CheckpointError(
            f"{run_dir.resume}: the saved state is missing, though {epochs[-1][1].name} is there",
            hint="put the folder back, or start a new run;"
            f" `clipft evaluate --checkpoint {quoted(epochs[-1][1])}` measures it",
        )


def _keep_start(
    material: Material,
    start: Start,
    run_dir: RunDir,
    method: Method,
    on_event: OnEvent,
    began: float,
    meter: EnergyMeter | None,
) -> TrainResult:
    """The run of a method without a loop: its start is its result."""
    on_event(plan_without_loop(material))
    state = TrainState()
    begin_metrics(run_dir)
    append_metrics(run_dir, zero_shot_record(start.zero_shot), state)
    on_event(EpochDone(zero_shot_record(start.zero_shot), is_best=False))
    if method.learns:
        append_metrics(run_dir, start_record(start), state)
        on_event(EpochDone(start_record(start), is_best=False))
    measured_once = EpochDone(start_record(start), is_best=False)
    with _reporting(material, run_dir, on_event) as trackers:
        trackers(measured_once, Curves().of(measured_once))
    kept = Kept(epoch=0, start=start.kind)
    labels = torch.from_numpy(material.val_set.labels)
    temperature, before, after = calibrate(start.val_logits, labels)
    _tell_of_never_answered(material, start.val_logits, on_event)
    classifier = method.attach(material.backbone.model, start.head, MethodSettings.of(material.config))
    metrics = start.metrics.columns
    folder = run_dir.checkpoint(0)
    card = with_result(card_of(material, start), epoch=0, step=0, metrics=metrics, temperature=temperature, kept=kept)
    save_classifier(folder, classifier, card)
    measured = on_val(card, start.val_logits.numpy(), material.val_set.labels)
    write_model_card(folder, card, [measured], len(material.train_set))
    for pointer in (run_dir.best, run_dir.last):
        write_pointer(pointer, folder, epoch=0, kept=kept.words)
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
        kept=kept,
        epochs=0,
        learning_rate=0.0,
        alpha_curve=(),
        temperature=temperature,
        ece_before=before,
        ece_after=after,
        trainable_parameters=n_head if method.learns else 0,
        total_parameters=sum(parameter.numel() for parameter in classifier.parameters()),
        train_seconds=seconds,
        total_seconds=seconds,
        peak_memory_gib=peak_memory_gib(material.precision.device),
        peak_host_memory_gib=peak_host_memory_gib(),
        peak_device_memory_gib=peak_device_memory_gib(material.precision.device),
        energy_joules=joules_of(meter),
        skipped_steps=0,
        bad_images=len(material.train_set.bad) + len(material.val_set.bad),
        stopped_early=False,
    )
    _close(run_dir, result)
    return result


def _close(run_dir: RunDir, result: TrainResult) -> None:
    """The summary makes the run a finished one; the state to resume from is of no more use."""
    write_text(run_dir.summary, json.dumps(result.to_json(), indent=2) + "\n")
    shutil.rmtree(run_dir.resume, ignore_errors=True)
