"""`clipft train`: from a prepared data set to a fine-tuned classifier in a run directory."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..config.load import dump_yaml
from ..config.train import TrainConfig
from ..errors import CheckpointError, InterruptedRun
from .checkpoint.parent import write_model
from .checkpoint.run_config import places_of, run_config
from .checkpoint.trained_on import TrainedOn
from .events import EpochDone, Note, OnEvent
from .files.places import PLACES_FILE
from .files.visible import quoted
from .files.write import write_text
from .images.shapes import what_is_cut_off
from .loop.assemble import assemble, check_layers
from .loop.begin import begin
from .loop.context import RunContext
from .loop.disk import check_space, disk_errors
from .loop.dry_run import measure, rehearsed
from .loop.finish import Finished, finish, start_values
from .loop.fit import fit
from .loop.going_on import going_on
from .loop.inputs import inputs_text
from .loop.kept_start import known_start, measured_start, text_start
from .loop.material import Material, load_material
from .loop.packing import pack_images
from .loop.plan import plan_of
from .loop.records import start_record, zero_shot_record
from .loop.result import TrainResult, result_of
from .loop.seen import seen_after, seen_before, tell_of_seen
from .loop.slowed import kept_threads
from .loop.start import Start
from .loop.told import audience_of, tell_of_never_answered
from .loop.unchanged import refuse_other_inputs
from .loop.without_loop import keep_start
from .machine.energy import EnergyMeter
from .machine.signals import StopRequest
from .manifest import Manifest, read_manifest
from .methods import METHODS
from .pages.model_card import on_val, recipe_of, write_model_card
from .preparation.changes import find_changes
from .run_dir import RunDir
from .runs.new_run import new_run_dir
from .runs.unfinished import interrupted_run, refuse_finished
from .trackers.reporting import require_trackers


def train(config: TrainConfig, on_event: OnEvent, *, is_rehearsed: bool = False) -> TrainResult:
    """Fine-tune a CLIP model on a prepared data set, in a new run directory.

    `is_rehearsed`: what to expect of it has been measured and told already.
    """
    began = time.perf_counter()
    require_trackers(config.training.report_to)
    material = load_material(config, _read_data(config.data.dir, on_event))
    _warn_of_shapes(material, on_event)
    meter = EnergyMeter(material.precision.device)
    on_event = meter.watching(on_event)
    check_layers(material)
    name = config.preset or config.method
    # Signals are heard from before the folder is there: one that comes as it appears leaves a run to go on with.
    with contextlib.closing(material.loader), StopRequest() as stop:
        before = seen_before(material)
        run_dir, is_numbered = new_run_dir(
            config.output_dir, name, dump_yaml(material.config), lambda run: _began_with(run, material, config, before)
        )
        if is_numbered:
            on_event(Note(f"that name is taken: this run is {run_dir.path}"))
        stop.farewell = _farewell(run_dir)
        with disk_errors(run_dir), _freed_if_nothing_trained(run_dir), run_dir.locked():
            material = _with_own_base(material, run_dir)
            tell_of_seen(material, before, on_event)
            context = RunContext(run_dir, on_event, stop, meter, began)
            pack_images(material, context)
            return _run(material, measured_start(material, context), context, is_rehearsed=is_rehearsed)


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
        context = RunContext(run_dir, on_event, stop, None, began)
        with context.stopping_at_once("while model and data were read; the run is as it was saved"):
            material = load_material(config, _read_data(config.data.dir, on_event), run_dir.base)
            material = _with_own_base(material, run_dir)
            before = seen_before(material)
            write_text(run_dir.trained_on, seen_after(material, before).text)
            tell_of_seen(material, before, on_event)
        refuse_other_inputs(run_dir, material.inputs, on_event)
        with contextlib.closing(material.loader):
            pack_images(material, context)
            start = known_start(material, context) or measured_start(material, context)
            return _run(material, start, context, is_rehearsed=True)


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
    material = load_material(config, _read_data(config.data.dir, on_event))
    _warn_of_shapes(material, on_event)
    with contextlib.closing(material.loader):
        return measure(material, text_start(material), on_event)


def _began_with(run: RunDir, material: Material, config: TrainConfig, before: TrainedOn) -> dict[Path, str]:
    """What a run has from its beginning besides its config: all that a resume is held against."""
    return {
        run.inputs: inputs_text(material.inputs),
        run.path / PLACES_FILE: places_of(run, config, material.backbone.base.file),
        run.trained_on: seen_after(material, before).text,
    }


def _with_own_base(material: Material, run_dir: RunDir) -> Material:
    """With a base model that is nowhere else on disk written into the run."""
    return replace(material, backbone=write_model(run_dir.base, material.backbone))


def _read_data(data_dir: Path, on_event: OnEvent) -> Manifest:
    manifest = read_manifest(data_dir)
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


def _run(material: Material, start: Start, context: RunContext, *, is_rehearsed: bool) -> TrainResult:
    """The run from its start, or from where it was interrupted, to its summary, which makes it a finished one."""
    if METHODS[material.config.method].trains_by_epochs:
        result = _by_epochs(material, start, context, is_rehearsed=is_rehearsed)
    else:
        with context.listing_bad(material.train_set, material.val_set):
            finished, result = keep_start(material, start, context)
            _write_card(finished, material)
    write_text(context.run_dir.summary, json.dumps(result.to_json(), indent=2) + "\n")
    shutil.rmtree(context.run_dir.resume, ignore_errors=True)
    return result


def _by_epochs(material: Material, start: Start, context: RunContext, *, is_rehearsed: bool) -> TrainResult:
    run = assemble(material, start, context.run_dir)
    check_space(run)
    begin_with = start_values(run.parameters)
    state = begin(run, start, material.inputs.digests, context)
    when = "while a few updates were rehearsed; nothing is trained yet"
    with context.stopping_at_once(when), context.listing_bad(run.train_set, run.val_set):
        expected = None if is_rehearsed else rehearsed(run, with_start=False)
    context.on_event(plan_of(run, material, expected))
    context.on_event(EpochDone(zero_shot_record(start.zero_shot), is_best=False))
    with context.listing_bad(run.train_set, run.val_set), audience_of(run, context, state.step) as tell:
        tell(EpochDone(start_record(start), is_best=False))
        state = fit(run, state, tell, context.stop)
        finished = finish(run, state, begin_with, context.on_event, context.stop)
        run.prefix.close(context.on_event)
        tell_of_never_answered(material, finished.logits, context.on_event)
        tell.show_mistakes(run, finished.logits, state.step)
    _write_card(finished, material, recipe_of(run.config))
    return result_of(run, state, start, finished, seconds=context.seconds, joules=context.joules)


def _write_card(finished: Finished, material: Material, recipe: Mapping[str, str] | None = None) -> None:
    measured = on_val(finished.card, finished.logits.numpy(), material.val_set.labels)
    write_model_card(finished.checkpoint, finished.card, [measured], len(material.train_set), recipe)
