"""This project's own methods and the reference's recipes, through the real `train` of the engine."""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import dataclass, field

import numpy as np
import torch
from job import Clock, Job, Outcome, calibrated_loss
from tower import architecture_in, weights_in

from clipft_cli.config.data import SplitName
from clipft_cli.config.load import load_config
from clipft_cli.config.train import TrainConfig
from clipft_cli.engine.checkpoint.load import load_classifier
from clipft_cli.engine.events import EpochDone, Event, Note, StepDone
from clipft_cli.engine.images.dataset import ImageDataset
from clipft_cli.engine.images.loader import Loader
from clipft_cli.engine.loop.result import TrainResult
from clipft_cli.engine.manifest import read_manifest
from clipft_cli.engine.model.inference import Inference, split_logits
from clipft_cli.engine.model.precision import set_up
from clipft_cli.engine.train import train

PRESETS = ("zero_shot", "linear_probe", "full", "lora", "few-shot", "reference-full", "reference-lora")


@dataclass
class Watcher:
    """What a run says, with the CPU seconds at which it says it."""

    job: Job
    clock: Clock = field(default_factory=Clock)
    course: list[tuple[float, float]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        if isinstance(event, EpochDone):
            self.course.append((round(self.clock.seconds, 1), round(event.record.val.top1, 4)))
        elif isinstance(event, Note):
            self.notes.append(event.text)
        elif isinstance(event, StepDone) and self.job.on_step is not None:
            self.job.on_step()


def run_own(preset: str, job: Job) -> Outcome:
    """One preset of this project. The clock covers decoding, the probe, every epoch, val, and the mix at the end."""
    shutil.rmtree(job.scratch / "run", ignore_errors=True)
    config = _config(preset, job)
    watcher = Watcher(job)
    result = train(config, watcher)
    seconds = watcher.clock.seconds
    if result.start_kind == "probe" and watcher.course:
        watcher.course[0] = (watcher.course[0][0], round(result.start.top1, 4))
    val_loss, hits = _again(result, job)
    return Outcome(
        described=_described(config, result, watcher),
        n_epochs=result.epochs,
        cpu_seconds=seconds,
        val_top1=result.best.top1,
        val_loss=val_loss,
        kept=_kept(result),
        course=tuple(watcher.course),
        hits=hits,
    )


def _kept(result: TrainResult) -> str:
    if result.alpha == 0 or not result.epochs:
        return f"start ({result.start_kind})"
    return f"epoch {result.best_epoch}, alpha {result.alpha:g}"


def _config(preset: str, job: Job) -> TrainConfig:
    flags = {
        "preset": preset,
        "seed": job.seed,
        "output_dir": str(job.scratch / "run"),
        "data.dir": str(job.data_dir),
        "data.num_workers": 1,
        "model.name": str(architecture_in(job.weights)),
        "model.pretrained": str(weights_in(job.weights)),
        "hardware.device": "cpu",
        "hardware.mixed_precision": "bf16",
        "hardware.num_threads": 1,
        "cache.features_gb": 0,  # a probe's features out of an earlier run would cost this one nothing
    }
    if job.n_epochs:
        flags["training.num_epochs"] = job.n_epochs
    is_staged = not any("progressive_unfreezing" in text for text in job.sets)  # a cost is that of all layers
    if preset == "reference-full" and job.n_epochs != 20 and is_staged:
        flags["training.progressive_unfreezing"] = {"enabled": True, "unfreeze_schedule": None}
    return load_config(TrainConfig, None, job.sets, flags)


def _described(config: TrainConfig, result: TrainResult, watcher: Watcher) -> dict[str, str]:
    training, data = config.training, config.data
    decay = training.layerwise_lr.decay_rate if training.layerwise_lr.enabled else 1.0
    ema = training.ema.horizon_ratio if training.ema.enabled else 0.0
    rules = [note for note in watcher.notes if note.startswith("start:")]
    if not result.epochs:
        return {"start": "pretrained tower", "head": result.start_kind, "augmentation": "none", "schedule": "none"}
    return {
        "start": f"pretrained tower; head: {result.start_kind}" + (f" ({rules[0]})" if rules else ""),
        "augmentation": f"{data.augmentation}, crops from {data.crop_scale_min:g}, flip",
        "schedule": (
            f"AdamW {training.learning_rate}, {training.schedule}, warm-up {training.warmup_ratio:g},"
            f" layer decay {decay:g}, label smoothing {training.label_smoothing:g}, EMA {ema:g}"
        ),
        "head": "cosine or linear, as the start; " + f"{result.trainable_parameters} parameters train",
    }


def _again(result: TrainResult, job: Job) -> tuple[float, np.ndarray]:
    """Val loss at the fitted temperature, and the hits on test, of the checkpoint as it was written."""
    hardware = load_config(TrainConfig, None, ["hardware.device=cpu", "hardware.mixed_precision=bf16"]).hardware
    precision = set_up(hardware)
    torch.set_num_threads(1)
    loaded = load_classifier(result.checkpoint, precision.device)
    manifest = read_manifest(job.data_dir)

    def logits_of(split: SplitName) -> tuple[torch.Tensor, torch.Tensor]:
        images = ImageDataset(manifest, manifest.split(split), loaded.preprocess)
        with contextlib.closing(Loader(1)) as loader:
            inference = Inference(loader, precision, batch_size=64)
            return split_logits(loaded.classifier, images, inference), torch.from_numpy(images.labels)

    loss = calibrated_loss(*logits_of("val"))
    if not job.with_test:
        return loss, np.zeros(0, dtype=bool)
    logits, labels = logits_of("test")
    return loss, (logits.argmax(dim=1) == labels).numpy()
