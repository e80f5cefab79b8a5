"""What a run tells those who watch. Nothing here can change anything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .metrics.val import ValMetrics  # scipy, which `predict` starts without


@dataclass(frozen=True)
class Note:
    """A sentence for a person; a warning where `is_warning`."""

    text: str
    is_warning: bool = False


@dataclass(frozen=True)
class Begins:
    """One run of several inside a larger command begins."""

    text: str


@dataclass(frozen=True)
class Progress:
    """`done` of `total` images in a pass without training (features, val)."""

    what: str
    done: int
    total: int


@dataclass(frozen=True)
class Group:
    """Parameters that share a layer and a decay. `layer` indexes the method's layer list."""

    name: str
    layer: int
    parameters: tuple[str, ...]
    n_parameters: int
    peak_lr: float
    weight_decay: float


@dataclass(frozen=True)
class Plan:
    """What is about to happen: facts as (label, value) lines, groups, and the stages of unfreezing as
    (first epoch, from 0; what trains from then on)."""

    facts: tuple[tuple[str, str], ...]
    groups: tuple[Group, ...]
    stages: tuple[tuple[int, str], ...]
    num_epochs: int
    total_steps: int
    steps_per_epoch: int
    n_classes: int


@dataclass(frozen=True)
class StepDone:
    """One update. `loss` is the mean over its images, `lr` the top layer's, `rates` those of all groups in order."""

    step: int
    epoch: int
    n_images: int
    loss: float
    lr: float
    grad_norm: float
    images_per_second: float
    data_wait_share: float
    memory_gib: float
    rates: tuple[float, ...] = ()


@dataclass(frozen=True)
class EpochRecord:
    """One row of metrics.jsonl; `trains` names what was unfrozen.

    Epoch 0 is before any update, and has two rows: of zero-shot, and of what the run starts from.
    """

    epoch: int
    step: int
    train_loss: float | None
    val: ValMetrics
    lr: float
    trains: str
    skipped_steps: int
    seconds: float
    images_per_second: float
    data_wait_share: float

    def to_json(self) -> dict[str, Any]:
        """As in metrics.jsonl: a column `val_NAME` for each metric of val."""
        fields = vars(self).items()
        return dict(chain.from_iterable(self.val.columns.items() if key == "val" else [(key, v)] for key, v in fields))


@dataclass(frozen=True)
class EpochDone:
    """An epoch has been trained and measured on val. `is_best`: better than every one before it, and than the start."""

    record: EpochRecord
    is_best: bool


Event = Note | Begins | Progress | Plan | StepDone | EpochDone
OnEvent = Callable[[Event], None]


def unheard(event: object) -> None:
    """Where nobody watches."""
