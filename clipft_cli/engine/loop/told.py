"""Who is told of a run besides the screen: trackers, TensorBoard, and what a reader of the figures must know."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from ...config.train import TrainConfig
from ..events import Event, Note, OnEvent
from ..methods import METHODS
from ..metrics.never_answered import never_answered, told_of
from ..trackers.curves import Curves
from ..trackers.reporting import Reporting
from .context import RunContext
from .material import Material
from .run import Run

if TYPE_CHECKING:
    from .tensorboard import TensorBoard


@dataclass(frozen=True)
class Audience:
    """All who hear of a run with a loop."""

    context: RunContext
    curves: Curves
    trackers: Reporting
    board: TensorBoard | None

    def __call__(self, event: Event) -> None:
        """Tell each of them."""
        values = self.curves.of(event)
        if self.board is not None:
            self.board(event, values)
        self.trackers(event, values)
        self.context.on_event(event)

    def show_mistakes(self, run: Run, val_logits: Tensor, step: int) -> None:
        """The val images that the model is most surely wrong about, on the board."""
        if self.board is not None:
            self.board.add_mistakes(run.val_set, val_logits, step)


@contextlib.contextmanager
def audience_of(run: Run, context: RunContext, step: int) -> Iterator[Audience]:
    """Open from `step` of the run to the end of the block."""
    from .tensorboard import TensorBoard  # a second, which a run without curves does without

    wants_board = "tensorboard" in run.config.training.report_to
    with (
        TensorBoard(run.run_dir, step) if wants_board else contextlib.nullcontext() as board,
        trackers_of(run.config, context) as trackers,
    ):
        yield Audience(context, Curves(run.groups, run.plan), trackers, board)


def trackers_of(config: TrainConfig, context: RunContext) -> Reporting:
    """The trackers that the run reports to."""
    return Reporting(config.training.report_to, context.run_dir.path, config.model_dump(mode="json"), context.on_event)


def tell_of_never_answered(material: Material, logits: Tensor, on_event: OnEvent) -> None:
    """Name the classes that the model gives no val image."""
    names = [info.name for info in material.manifest.classes]
    never = never_answered(logits.detach().cpu().float().numpy(), material.val_set.labels, names)
    if never:
        learns = METHODS[material.config.method].learns
        may_help = learns and material.config.data.class_balance == "none"
        on_event(Note(told_of(never, "val", balance_may_help=may_help), is_warning=learns))
