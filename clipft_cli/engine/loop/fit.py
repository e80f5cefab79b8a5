"""The run itself: epochs of updates, measured on val, saved as they go."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ...errors import InterruptedRun, TrainingError
from ..checkpoint.card import with_result
from ..checkpoint.save import save_classifier
from ..events import EpochDone, EpochRecord, Note, OnEvent, StepDone
from ..files.visible import quoted
from ..frozen.prefix_store import AnyBatch
from ..images.dataset import ImageDataset
from ..images.loader import epoch_order, in_batches
from ..machine.memory import peak_memory_gib
from ..machine.signals import Stopped, StopRequest
from ..machine.thread_waits import WAITS
from ..metrics.val import ValMetrics, metrics_of
from ..model.layers import describe_layers
from ..run_dir import write_pointer
from .records import append_metrics
from .resume import TrainState
from .run import Run
from .slowed import SpeedWatch
from .step import Update, set_trainable
from .waiting import WAIT_LIMIT, waiting_advice

MAX_ROLLBACKS = 3


def fit(run: Run, state: TrainState, on_event: OnEvent, stop: StopRequest) -> TrainState:
    """Train to the end, to early stopping, or to a signal; returns the state at the end.

    Raises InterruptedRun after a signal, once the state is saved, and TrainingError where the loss stays
    non-finite.
    """
    watch = SpeedWatch(run.run_dir.path)
    _prune(run, state)  # a kill right before it leaves one checkpoint too many
    while state.epoch < run.config.training.epochs and not state.is_stopped_early:
        names = frozenset(name for i in run.plan.trains(state.epoch) for name in run.layers[i].parameters)
        set_trainable(run.parameters, names)
        run.stepper.freeze_below(run.prefix.stage_of(state.epoch).cut)
        if state.epoch in run.plan.stages:
            watch.new_stage()
        try:
            _train_epoch(run, state, watch, on_event, stop)
            _close_epoch(run, state, on_event, stop)
        except _NonFinite as trouble:
            state = _roll_back(run, state, trouble, on_event)
            continue
        except Stopped:
            run.save(state)
            raise interrupted(run, state) from None
        if stop.is_set:
            raise interrupted(run, state)
    return state


def interrupted(run: Run, state: TrainState) -> InterruptedRun:
    """The error that ends a run after a signal; everything is saved."""
    return InterruptedRun(
        f"interrupted after step {state.step}; everything up to it is saved",
        hint=f"go on with `clipft train --resume {quoted(run.run_dir.path)}`",
    )


class _NonFinite(Exception):
    """Several updates in a row were not finite, or the model's answers are not; the text says which."""

    @classmethod
    def updates(cls, run: Run, state: TrainState, update: Update, batches: Sequence[AnyBatch]) -> _NonFinite:
        """Of a row of updates that ends with `update`."""
        indexes = np.concatenate([batch.indexes for batch in batches])
        return cls(
            f"step {state.step}: loss {update.loss_sum / update.n_images:g}, gradient norm {update.grad_norm:g},"
            f" {state.non_finite_in_row} updates in a row were not finite{_where(run, state, run.train_set, indexes)}"
        )

    @classmethod
    def on_val(cls, run: Run, state: TrainState, logits: Tensor) -> _NonFinite:
        """Of a model that gives no numbers for val images, or has weights that are none."""
        indexes = (~torch.isfinite(logits).all(dim=1)).nonzero()[:, 0].numpy()
        what = f"the model's answers on {len(indexes)} val images" if len(indexes) else "weights"
        return cls(f"step {state.step}: {what} are not finite{_where(run, state, run.val_set, indexes)}")


def _where(run: Run, state: TrainState, dataset: ImageDataset, indexes: np.ndarray) -> str:
    """The images and the layers in play."""
    paths = ", ".join(dataset.rows[i].path for i in indexes[:5]) + (", ..." if len(indexes) > 5 else "")
    training = describe_layers(run.layers, run.plan.trains(state.epoch))
    return f" ({f'images: {paths}; ' if paths else ''}training: {training})"


def _train_epoch(run: Run, state: TrainState, watch: SpeedWatch, on_event: OnEvent, stop: StopRequest) -> None:
    data, training = run.config.data, run.config.training
    order = epoch_order(run.train_set.labels, seed=run.config.seed, epoch=state.epoch, balance=data.class_balance)
    updates = [
        in_batches(update, data.batch_size)
        for update in in_batches(order, data.batch_size * training.gradient_accumulation_steps)
    ][state.step_in_epoch :]
    run.loader.take_waited()  # what was waited for before is not this epoch's
    began = time.perf_counter()
    with stop.at_once():
        loaded = run.prefix.train_batches(
            [batch for update in updates for batch in update], state.epoch, on_event, stop
        )
    state.epoch_seconds += time.perf_counter() - began
    saved_at = time.monotonic()
    with contextlib.closing(loaded):  # type: ignore[type-var]
        for update in updates:
            started, waited = time.perf_counter(), run.loader.waited_seconds
            with stop.at_once():  # a file that does not come must not hold up a stop
                batches = [next(loaded) for _ in update]
            seed = run.config.seed * 1_000_003 + state.step
            done = run.stepper.update(batches, run.rates.at(state.step, state.lr_scale), seed)
            _account(run, state, done, batches, on_event)
            seconds = time.perf_counter() - started
            state.epoch_seconds += seconds
            _tell(run, state, done, on_event, seconds=seconds, waited=run.loader.waited_seconds - waited)
            slowed = watch.after(done.n_images, seconds, WAITS.others)
            if slowed is not None:
                on_event(Note(slowed, is_warning=True))
            stop.check()
            if _is_save_due(run, state, time.monotonic() - saved_at):
                run.save(state)
                saved_at = time.monotonic()


def _account(run: Run, state: TrainState, done: Update, batches: Sequence[AnyBatch], on_event: OnEvent) -> None:
    """Count the update; average the weights; notice trouble."""
    if state.micro_batch and run.stepper.micro_batch < state.micro_batch:
        on_event(
            Note(
                f"out of memory: the micro-batch is now {run.stepper.micro_batch} images;"
                " the effective batch stays as it was",
                is_warning=True,
            )
        )
    state.micro_batch = run.stepper.micro_batch
    state.step += 1
    state.step_in_epoch += 1
    if done.is_applied:
        state.loss_sum += done.loss_sum
        state.n_images += done.n_images
        state.non_finite_in_row = 0
        if run.ema is not None:
            run.ema.update({name: p for name, p in run.parameters.items() if p.requires_grad})
        return
    state.skipped_steps += 1
    if not done.is_finite:
        state.non_finite_in_row += 1
        on_event(Note(f"step {state.step}: the loss or a gradient is not finite, the update is skipped", True))
        if state.non_finite_in_row >= run.config.training.non_finite_limit:
            raise _NonFinite.updates(run, state, done, batches)


def _tell(run: Run, state: TrainState, done: Update, on_event: OnEvent, *, seconds: float, waited: float) -> None:
    rates = run.rates.at(state.step - 1, state.lr_scale)
    on_event(
        StepDone(
            step=state.step,
            epoch=state.epoch + 1,
            n_images=done.n_images,
            loss=done.loss_sum / done.n_images,
            lr=rates[-1],
            grad_norm=done.grad_norm,
            images_per_second=done.n_images / max(seconds, 1e-9),
            data_wait_share=min(1.0, waited / max(seconds, 1e-9)),
            memory_gib=peak_memory_gib(run.precision.device),
            rates=tuple(rates),
        )
    )


def _is_save_due(run: Run, state: TrainState, seconds: float) -> bool:
    rule = run.config.checkpoint
    if state.non_finite_in_row:
        return False  # a rollback must lead to before the row
    by_steps = rule.every_steps is not None and state.step % rule.every_steps == 0
    return by_steps or (rule.every is not None and seconds >= rule.every)


def _close_epoch(run: Run, state: TrainState, on_event: OnEvent, stop: StopRequest) -> None:
    """Measure on val, record, save; all with the averaged weights where there are any."""
    seconds = state.epoch_seconds
    wait_share = min(1.0, run.loader.take_waited() / max(seconds, 1e-9))
    averaged = run.ema.swapped_in(run.parameters) if run.ema is not None else contextlib.nullcontext()
    with averaged:
        with stop.at_once():
            run.settle_head()
            logits = run.prefix.val_logits(state.epoch, on_event, stop)
        if not (bool(torch.isfinite(logits).all()) and run.is_finite):
            raise _NonFinite.on_val(run, state, logits)
        metrics = metrics_of(logits, torch.from_numpy(run.val_set.labels))
        record = _record(run, state, metrics, seconds, wait_share)
        is_best = _note_best(run, state, record)
        _save_checkpoint(run, state, record, is_best)
    append_metrics(run.run_dir, record, state)
    _advise_on_waiting(run, state, wait_share, on_event)
    state.epoch += 1
    state.step_in_epoch = 0
    state.loss_sum, state.n_images, state.epoch_seconds = 0.0, 0, 0.0
    state.train_seconds += seconds
    run.save(state)
    _prune(run, state)
    select_by = run.config.training.select_by
    is_gain = metrics.rank(select_by) > run.start.rank(select_by)
    on_event(EpochDone(record, is_best and is_gain))


def _advise_on_waiting(run: Run, state: TrainState, share: float, on_event: OnEvent) -> None:
    """Once a run; not after the first of several epochs, which decodes what later ones read."""
    n_epochs = run.config.training.epochs
    if share > WAIT_LIMIT and not state.is_wait_told and (state.epoch > 0 or n_epochs == 1):
        state.is_wait_told = True
        on_event(Note(waiting_advice(share, run.loader.workers, run.train_set)))


def _record(run: Run, state: TrainState, metrics: ValMetrics, seconds: float, wait_share: float) -> EpochRecord:
    return EpochRecord(
        epoch=state.epoch + 1,
        step=state.step,
        train_loss=state.loss_sum / state.n_images if state.n_images else None,
        val=metrics,
        lr=run.rates.at(state.step - 1, state.lr_scale)[-1],
        trains=describe_layers(run.layers, run.plan.trains(state.epoch)),
        skipped_steps=state.skipped_steps,
        seconds=seconds,
        images_per_second=len(run.train_set) / max(seconds, 1e-9),
        data_wait_share=wait_share,
    )


def _note_best(run: Run, state: TrainState, record: EpochRecord) -> bool:
    training = run.config.training
    value, closeness = record.val.rank(training.select_by)
    ranked = sorted([*state.ranked, [record.epoch, value, closeness]], key=lambda row: (-row[1], -row[2], row[0]))
    state.ranked = ranked[: run.config.checkpoint.keep_best]
    is_best = state.ranked[0][0] == record.epoch
    # an equal metric at a lower loss is kept, but patience does not wait for it
    is_improved = state.best_value is None or value > state.best_value
    state.epochs_without_improvement = 0 if is_improved else state.epochs_without_improvement + 1
    if is_best:
        state.best_epoch, state.best_value = record.epoch, value
    if state.epoch in run.plan.stages:
        state.epochs_without_improvement = 0  # what has just joined gets the whole of the patience
    is_last_stage = state.epoch >= run.plan.stages[-1]
    out_of_patience = state.epochs_without_improvement >= training.early_stopping.patience
    # a stage of unfreezing still to come is what the run waits for: no early stop before it
    state.is_stopped_early = training.early_stopping.enabled and out_of_patience and is_last_stage
    return is_best


def _save_checkpoint(run: Run, state: TrainState, record: EpochRecord, is_best: bool) -> None:
    folder = run.run_dir.checkpoint(record.epoch)
    card = with_result(run.card, epoch=record.epoch, step=record.step, metrics=record.val.columns)
    save_classifier(folder, run.classifier, card)
    write_pointer(run.run_dir.last, folder, epoch=record.epoch)
    if is_best:
        write_pointer(run.run_dir.best, folder, epoch=record.epoch, value=state.best_value)


def _prune(run: Run, state: TrainState) -> None:
    """Only the newest and the best epochs' checkpoints stay; what a state before this one left ahead stays too."""
    rule = run.config.checkpoint
    keep = {state.best_epoch, *(int(epoch) for epoch, *_ in state.ranked)}
    for epoch, folder in run.run_dir.checkpoints():
        if epoch <= state.epoch - rule.keep_last and epoch not in keep:
            run.run_dir.remove(folder)


def _roll_back(run: Run, state: TrainState, trouble: _NonFinite, on_event: OnEvent) -> TrainState:
    """Back to the last saved state with half the learning rate, or the end. Raises TrainingError."""
    what = str(trouble)
    rolled = state.rollbacks + 1
    if run.config.training.non_finite == "stop" or rolled > MAX_ROLLBACKS:
        raise TrainingError(
            what,
            hint="lower training.learning_rate, or set training.non_finite=rollback; the last good"
            f" state is in {run.run_dir.resume}",
        )
    scale = state.lr_scale / 2
    state, _ = run.load()
    state = replace(state, lr_scale=scale, rollbacks=rolled, non_finite_in_row=0)
    on_event(Note(f"{what}; back to step {state.step} with {scale:g} of the learning rate", True))
    return state
