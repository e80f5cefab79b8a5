"""What of a run became its model, said here alone: for screen, reports, checkpoint.json, summary.json and pointer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ...config.methods import METHOD_FACTS

START_NAMES = {"probe": "linear probe", "text": "class prompts", "run": "head of the run before it"}
"""What a run can start from; the class prompts are zero-shot."""


@dataclass(frozen=True)
class Kept:
    """`epoch` 0 is the start, which is of the kind `start` ("probe", "text", "run"; empty where an earlier version
    did not say).

    `soup` are the epochs that were averaged, where there are several; `alpha` is the share of what was trained in a mix
    with the start. `epochs` were trained in all: 0 by a method whose start is its result.
    """

    epoch: int
    start: str = ""
    soup: tuple[int, ...] = ()
    alpha: float = 1.0
    epochs: int = 0

    @property
    def is_start(self) -> bool:
        """Whether nothing that was trained by epochs is in the model."""
        return self.epoch == 0

    @property
    def start_name(self) -> str:
        """`linear probe`, `class prompts`."""
        return START_NAMES.get(self.start, "start")

    @property
    def words(self) -> str:
        """`its start (linear probe)`, `epoch 4`, `soup of epochs 2, 4, mixed with its start at alpha 0.5`."""
        if self.is_start:
            named = f" ({self.start_name})" if self.start in START_NAMES else ""
            return f"its start{named}" if self.epochs else self.start_name
        which = f"soup of epochs {', '.join(map(str, sorted(self.soup)))}" if self.soup else f"epoch {self.epoch}"
        which += f" of {self.epochs}" if self.epochs else ""
        return which + (f", mixed with its start at alpha {self.alpha:g}" if self.alpha < 1 else "")

    def label(self, method: str) -> str:
        """The method's name, and that its merit is another's where its start was kept."""
        facts = METHOD_FACTS.get(method)  # type: ignore[call-overload]
        must_probe = facts is not None and facts.start_from_probe == "must"
        if not self.epochs and must_probe and self.start == "text":
            return f"{method}, its start kept (class prompts)"
        if not self.is_start or not self.epochs:
            return method
        named = f" ({self.start_name})" if self.start in START_NAMES else ""
        return f"{method}, its start kept{named}"

    def to_json(self) -> dict[str, Any]:
        """As in checkpoint.json, summary.json and the pointer to the best."""
        return {**asdict(self), "soup": list(self.soup), "words": self.words}


def kept_of_summary(summary: Mapping[str, Any]) -> Kept:
    """From summary.json of this version or an earlier one, which is not trusted to be whole."""
    soup = summary.get("soup")
    epochs = soup.get("epochs") if isinstance(soup, Mapping) else None
    members = tuple(e for e in epochs if isinstance(e, int)) if isinstance(epochs, list) else ()
    alpha, best, start = summary.get("alpha"), summary.get("best_epoch"), summary.get("start_kind")
    told = summary.get("epochs")
    n_epochs = told if isinstance(told, int) else 0
    fell_back = not n_epochs or alpha == 0
    return Kept(
        epoch=0 if fell_back or not isinstance(best, int) else best,
        start=start if isinstance(start, str) else "",
        soup=() if fell_back or len(members) < 2 else members,
        alpha=float(alpha) if isinstance(alpha, int | float) else 1.0,
        epochs=n_epochs,
    )


def kept_of_card(meta: Mapping[str, Any]) -> Kept | None:
    """From a checkpoint.json that says nothing of it: of an earlier version; None where all is the method's own."""
    metrics = meta.get("metrics")
    alpha = metrics.get("wise_ft_alpha") if isinstance(metrics, Mapping) else None
    return Kept(epoch=0, alpha=0.0, epochs=1) if alpha == 0 else None
