"""What `clipft prepare` reports: counts, balance, sizes, prompts, what was left out, and what comes next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..labels.templates import TEMPLATE_SETS
from ..manifest import SPLITS, Manifest
from ..sources.problems import ProblemSummary
from .checks import Picture


@dataclass(frozen=True)
class ClassCounts:
    """One class: its folder, the words of its prompt, and how many images each split has."""

    name: str
    readable: str
    train: int
    val: int
    test: int

    @property
    def total(self) -> int:
        """Images of all splits."""
        return self.train + self.val + self.test


@dataclass(frozen=True)
class SizeRange:
    """Width and height in pixels of the smallest, the median and the largest image by area."""

    smallest: tuple[int, int]
    median: tuple[int, int]
    largest: tuple[int, int]


@dataclass
class PrepareResult:
    """The data set that is there now, and how it came about."""

    data_dir: Path
    name: str
    source: str
    classes: list[ClassCounts]
    digest: str
    is_drawn: bool = False
    already_prepared: bool = False
    sizes: SizeRange | None = None
    left_out: list[ProblemSummary] = field(default_factory=list)
    n_left_out: int = 0
    ignored: int = 0
    near_duplicate_groups: int = 0
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    method: str | None = None
    method_tree: str | None = None
    method_why: str | None = None
    config_file: str | None = None
    image_file: str | None = None
    next_command: str = ""
    reading: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def counts(self) -> dict[str, int]:
        """Images of each split."""
        return {split: sum(getattr(c, split) for c in self.classes) for split in SPLITS}

    @property
    def imbalance(self) -> float:
        """Images of the largest class over those of the smallest."""
        totals = [c.total for c in self.classes]
        return max(totals) / max(1, min(totals)) if totals else 1.0

    def prompts(self) -> list[list[str]]:
        """The prompts of each class, under the templates that `train` chooses by itself."""
        templates = TEMPLATE_SETS["drawings" if self.is_drawn else "photos"]
        return [[template.format(c.readable) for template in templates] for c in self.classes]

    def to_json(self) -> dict[str, Any]:
        """Everything, as plain values."""
        values = asdict(self)
        values["data_dir"] = self.data_dir.as_posix()
        values["counts"] = self.counts
        values["n_images"] = sum(self.counts.values())
        values["imbalance"] = round(self.imbalance, 3)
        values["prompts"] = self.prompts()
        return values


def class_counts(manifest: Manifest) -> list[ClassCounts]:
    """Images of each class and split, in class order."""
    counts = Counter((row.label, row.split) for row in manifest.rows)
    return [
        ClassCounts(info.name, info.readable, *(counts[label, split] for split in SPLITS))
        for label, info in enumerate(manifest.classes)
    ]


def size_range(pictures: Sequence[Picture]) -> SizeRange | None:
    """Sizes of the smallest, median and largest picture; None without pictures."""
    sizes = sorted(((p.width, p.height) for p in pictures), key=lambda size: (size[0] * size[1], size))
    return SizeRange(sizes[0], sizes[len(sizes) // 2], sizes[-1]) if sizes else None
