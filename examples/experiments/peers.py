"""Other libraries' usual recipes on the same tower, images in memory, bf16, batch 32, best epoch by val kept.

Their starting points: the tower as pretrained, and a new head (none of them knows class prompts or a probe).
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from images import SOURCE_PX, Augmented, EvalImages, eval_images, pil_images
from job import Clock, Job, Outcome, calibrated_loss
from torch import nn
from torchvision.transforms import Compose, Normalize, RandomHorizontalFlip, RandomResizedCrop, ToTensor
from tower import backbone_in, hugging_face_classifier, timm_classifier

from clipft_cli.engine.manifest import read_manifest
from clipft_cli.engine.metrics.val import metrics_of

BATCH = 32


@dataclass
class Keeper:
    """Measures on val after an epoch and keeps the best weights."""

    val: EvalImages
    clock: Clock = field(default_factory=Clock)
    course: list[tuple[float, float]] = field(default_factory=list)
    best: tuple[float, float, int] = (-1.0, 0.0, 0)
    weights: dict[str, Any] = field(default_factory=dict)

    def epoch_done(self, model: nn.Module) -> None:
        """After an epoch of `model`, whose weights are what would be used."""
        logits = self.val.logits(model)
        metrics = metrics_of(logits, self.val.labels)
        self.course.append((round(self.clock.seconds, 1), round(metrics.top1, 4)))
        if metrics.top1 > self.best[0]:
            self.best = metrics.top1, calibrated_loss(logits, self.val.labels), len(self.course)
            self.weights = {name: value.detach().clone() for name, value in model.state_dict().items()}


def run_trainer(job: Job) -> Outcome:
    """Hugging Face's Trainer with TrainingArguments as they come: AdamW 5e-5, linear decay, no warm-up, no decay."""
    torch.manual_seed(job.seed)
    model = hugging_face_classifier(job.weights, _n_classes(job))
    described = {"schedule": "Trainer's defaults: AdamW 5e-5, linear to 0, no warm-up, weight decay 0, clip 1"}
    return _trainer(job, model, 5e-5, described)


def run_peft(job: Job) -> Outcome:
    """peft's LoRA: LoraConfig's r 8, alpha 8, no dropout, on q_proj and v_proj; the head trains too.

    lr 1e-3: peft's image classification guide takes 5e-3 at an effective batch of 512.
    """
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(job.seed)
    model = hugging_face_classifier(job.weights, _n_classes(job))
    settings = LoraConfig(target_modules=["q_proj", "v_proj"], modules_to_save=["classifier"])
    described = {"schedule": "Trainer: AdamW 1e-3, linear to 0, no warm-up; LoraConfig r 8, alpha 8, q_proj, v_proj"}
    return _trainer(job, get_peft_model(model, settings), 1e-3, described)


def _trainer(job: Job, model: Any, learning_rate: float, described: dict[str, str]) -> Outcome:
    from transformers import Trainer, TrainerCallback, TrainingArguments

    preprocess = backbone_in(job.weights).preprocess
    train = Augmented(*pil_images(job.data_dir, "train", SOURCE_PX), _crop_and_flip(preprocess))
    keeper = Keeper(eval_images(job.data_dir, "val", preprocess))

    class Watch(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            if job.on_step is not None:
                job.on_step()

        def on_epoch_end(self, *_: Any, **__: Any) -> None:
            keeper.epoch_done(model)

    arguments = TrainingArguments(
        output_dir=str(job.scratch / "trainer"),
        per_device_train_batch_size=BATCH,
        num_train_epochs=job.n_epochs,
        learning_rate=learning_rate,
        seed=job.seed,
        bf16=True,
        use_cpu=True,
        report_to="none",
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
        remove_unused_columns=False,
    )
    keeper.clock = Clock()
    Trainer(model=model, args=arguments, train_dataset=train, callbacks=[Watch()]).train()
    described |= {
        "start": "pretrained tower; head: random (CLIPForImageClassification)",
        "head": "linear on the mean of the patch tokens",
        "augmentation": "RandomResizedCrop(224), scale 0.08 to 1, flip (run_image_classification.py)",
    }
    return _outcome(job, model, keeper, described)


def run_timm(job: Job) -> Outcome:
    """A timm-style recipe from timm's own parts: layer decay 0.75, EMA, RandAugment, smoothing 0.1, cosine.

    RandAugment's magnitude ends at 9: at 10 timm 1.0.31 asks Pillow 13 to keep 0 bits, which is refused.
    """
    from timm.data import create_transform
    from timm.loss import LabelSmoothingCrossEntropy
    from timm.optim import create_optimizer_v2
    from timm.scheduler import CosineLRScheduler
    from timm.utils import ModelEmaV3

    torch.manual_seed(job.seed)
    random.seed(job.seed)
    np.random.seed(job.seed)
    preprocess = backbone_in(job.weights).preprocess
    model = timm_classifier(job.weights, _n_classes(job))
    optimizer = create_optimizer_v2(model, opt="adamw", lr=5e-4, weight_decay=0.05, layer_decay=0.75)
    transform: Any = create_transform(
        224,
        is_training=True,
        auto_augment="rand-m9-mstd0.5-mmax9-inc1",
        interpolation="bicubic",
        mean=preprocess.mean,
        std=preprocess.std,
    )
    train = Augmented(*pil_images(job.data_dir, "train", SOURCE_PX), transform)
    loader = torch.utils.data.DataLoader(train, BATCH, shuffle=True)
    n_steps = len(loader) * job.n_epochs
    schedule = CosineLRScheduler(
        optimizer,
        t_initial=n_steps,
        warmup_t=max(1, n_steps // 10),
        warmup_lr_init=1e-6,
        warmup_prefix=False,
        t_in_epochs=False,
    )
    average = ModelEmaV3(model, decay=float(np.exp(-10 / n_steps)), use_warmup=True, foreach=True)
    loss_of = LabelSmoothingCrossEntropy(0.1)
    keeper = Keeper(eval_images(job.data_dir, "val", preprocess))
    keeper.clock = Clock()
    step = 0
    for _ in range(job.n_epochs):
        model.train()
        for batch in loader:
            with torch.autocast("cpu", torch.bfloat16):
                loss = loss_of(model(batch["pixel_values"]).float(), batch["labels"])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
            schedule.step_update(step)
            average.update(model, step)
            if job.on_step is not None:
                job.on_step()
        keeper.epoch_done(average.module)
    described = {
        "start": "pretrained tower; head: zeros",
        "head": "linear on the class token",
        "augmentation": "timm create_transform: RandAugment rand-m9-mstd0.5-mmax9-inc1, scale 0.08 to 1, flip",
        "schedule": "AdamW 5e-4, decay 0.05, cosine, 0.1 warm-up, layer decay 0.75, smoothing 0.1, EMA of 0.1",
    }
    return _outcome(job, average.module, keeper, described)


PEERS: dict[str, Callable[[Job], Outcome]] = {"hf-trainer": run_trainer, "peft-lora": run_peft, "timm-style": run_timm}


def _outcome(job: Job, model: nn.Module, keeper: Keeper, described: dict[str, str]) -> Outcome:
    seconds = keeper.clock.seconds
    top1, loss, epoch = keeper.best
    hits = np.zeros(0, dtype=bool)
    if job.with_test:
        model = copy.deepcopy(model)
        model.load_state_dict(keeper.weights)
        test = eval_images(job.data_dir, "test", keeper.val.preprocess)
        hits = (test.logits(model).argmax(dim=1) == test.labels).numpy()
    return Outcome(described, job.n_epochs, seconds, top1, loss, f"epoch {epoch}", tuple(keeper.course), hits)


def _crop_and_flip(preprocess: Any) -> Compose:
    return Compose(
        [RandomResizedCrop(224), RandomHorizontalFlip(), ToTensor(), Normalize(preprocess.mean, preprocess.std)]
    )


def _n_classes(job: Job) -> int:
    return len(read_manifest(job.data_dir).classes)
