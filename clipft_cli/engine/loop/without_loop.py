"""The run of a method without a loop (zero_shot, linear_probe): its start is its result."""

from __future__ import annotations

import torch

from ..checkpoint.card import with_result
from ..checkpoint.kept import Kept
from ..checkpoint.save import save_classifier
from ..events import EpochDone
from ..machine.memory import peak_device_memory_gib, peak_host_memory_gib, peak_memory_gib
from ..methods import METHODS
from ..run_dir import write_pointer
from ..trackers.curves import Curves
from .assemble import card_of
from .context import RunContext
from .finish import Finished, calibrate
from .material import Material
from .plan import plan_without_loop
from .records import append_metrics, begin_metrics, start_record, zero_shot_record
from .result import TrainResult
from .resume import TrainState
from .start import Start
from .told import tell_of_never_answered, trackers_of


def keep_start(material: Material, start: Start, context: RunContext) -> tuple[Finished, TrainResult]:
    """The start, calibrated and saved as the run's model."""
    method, run_dir, on_event = METHODS[material.config.method], context.run_dir, context.on_event
    on_event(plan_without_loop(material))
    state = TrainState()
    begin_metrics(run_dir)
    append_metrics(run_dir, zero_shot_record(start.zero_shot), state)
    on_event(EpochDone(zero_shot_record(start.zero_shot), is_best=False))
    measured_once = EpochDone(start_record(start), is_best=False)
    if method.learns:
        append_metrics(run_dir, start_record(start), state)
        on_event(measured_once)
    with trackers_of(material.config, context) as trackers:
        trackers(measured_once, Curves().of(measured_once))
    kept = Kept(epoch=0, start=start.kind)
    labels = torch.from_numpy(material.val_set.labels)
    temperature, before, after = calibrate(start.val_logits, labels)
    tell_of_never_answered(material, start.val_logits, on_event)
    classifier = method.attach(material.backbone.model, start.head, material.settings)
    metrics = start.metrics.columns
    folder = run_dir.checkpoint(0)
    card = with_result(card_of(material, start), epoch=0, step=0, metrics=metrics, temperature=temperature, kept=kept)
    save_classifier(folder, classifier, card)
    for pointer in (run_dir.best, run_dir.last):
        write_pointer(pointer, folder, epoch=0, kept=kept.words)
    finished = Finished(folder, card, kept, start.metrics, (), temperature, before, after, start.val_logits)
    n_head = sum(parameter.numel() for parameter in start.head.parameters())
    seconds = context.seconds
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
        energy_joules=context.joules,
        skipped_steps=0,
        bad_images=len(material.train_set.bad) + len(material.val_set.bad),
        stopped_early=False,
        n_test_images=material.manifest.count("test"),
    )
    return finished, result
