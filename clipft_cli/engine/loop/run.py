"""Everything a run works with, and the state it is saved to and read from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ...config.train import TrainConfig
from ..checkpoint.card import Card
from ..events import Group
from ..frozen.prefix_cache import PrefixCache
from ..images.dataset import ImageDataset
from ..images.loader import Loader
from ..metrics.val import ValMetrics
from ..model.classifier import Classifier
from ..model.layers import Layer
from ..model.precision import Precision
from ..optim.build import LearningRates
from ..optim.ema import EMA, copy_into
from ..optim.unfreeze import UnfreezePlan
from ..run_dir import RunDir
from .records import restore_metrics
from .resume import Owners, TrainState, load_state, save_state
from .step import Stepper


@dataclass(frozen=True)
class Run:
    """Everything a run works with; what changes in number or time is in TrainState.

    `parameters` are all that may ever change, by name; `layers` and `plan` say when. `start` is what the start scores
    on val, `start_kind` "probe" or "text".
    """

    config: TrainConfig
    run_dir: RunDir
    classifier: Classifier
    layers: tuple[Layer, ...]
    parameters: dict[str, nn.Parameter]
    plan: UnfreezePlan
    rates: LearningRates
    stepper: Stepper
    ema: EMA | None
    train_set: ImageDataset
    val_set: ImageDataset
    prefix: PrefixCache
    loader: Loader
    precision: Precision
    card: Card
    start: ValMetrics
    start_kind: str

    @property
    def groups(self) -> tuple[Group, ...]:
        """Parameter groups, in the optimizer's order."""
        return self.rates.groups

    @property
    def datasets(self) -> dict[str, ImageDataset]:
        """What is trained and measured on, by split."""
        return {"train": self.train_set, "val": self.val_set}

    @property
    def is_finite(self) -> bool:
        """Whether all weights are numbers."""
        return all(bool(torch.isfinite(parameter).all()) for parameter in self.parameters.values())

    @property
    def _owners(self) -> Owners:
        return Owners(self.parameters, self.stepper.optimizer, self.stepper.scaler, self.ema)

    def put(self, values: Mapping[str, Tensor]) -> None:
        """Let the parameters be `values`, and the head what they make of the prompts where it follows them."""
        copy_into(self.parameters, values)
        self.settle_head()

    def settle_head(self) -> None:
        """Renew a head that follows the text tower; one that trains by itself stays as it is."""
        if self.stepper.prompts is not None:
            self.classifier.renew_head(self.stepper.prompts)

    def save(self, state: TrainState) -> None:
        """Write the state to resume from; weights that are not finite never replace what is saved."""
        if not self.is_finite:
            return
        state.micro_batch = self.stepper.micro_batch
        state.bad_images = {name: dataset.bad_as_json() for name, dataset in self.datasets.items()}
        save_state(self.run_dir.resume, state, self._owners)

    def load(self) -> tuple[TrainState, list[str]]:
        """The state saved last, put back, and metrics.jsonl as it was then; a sentence for what was damaged or lost."""
        state, damaged = load_state(self.run_dir.resume, self._owners)
        self.stepper.micro_batch = state.micro_batch or self.stepper.micro_batch
        for name, dataset in self.datasets.items():
            dataset.add_bad(state.bad_images.get(name, []))
        told = [f"{sentence}: the state before it is used" for sentence in damaged]
        lost = restore_metrics(self.run_dir, state)
        return state, [*told, lost] if lost else told
