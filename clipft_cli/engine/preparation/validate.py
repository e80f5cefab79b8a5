"""`clipft prepare --validate`: does an existing data set still hold what its manifest promises?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ...errors import DataError
from ..files.amounts import count
from ..files.visible import quoted, shown
from ..manifest import SPLITS, read_manifest
from ..sources.listing import Item
from .changes import find_changes
from .checks import Picture, look_at_all
from .duplicates import telling_pairs
from .summary import ClassCounts, class_counts

_SHOWN_FAULTS = 20


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong: the file or class it is wrong with, and what."""

    where: str
    what: str


@dataclass
class ValidationReport:
    """What was found in a data set; it is whole where `faults` is empty. `warnings` do not make it fail."""

    data_dir: Path
    name: str
    classes: list[ClassCounts]
    faults: list[Fault] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Everything, as plain values."""
        return {
            "data_dir": self.data_dir.as_posix(),
            "name": self.name,
            "is_valid": not self.faults,
            "counts": {split: sum(getattr(c, split) for c in self.classes) for split in SPLITS},
            "classes": [asdict(c) for c in self.classes],
            "faults": [asdict(fault) for fault in self.faults],
            "warnings": self.warnings,
        }

    def raise_on_faults(self) -> None:
        """Raises DataError that names the faults, where there are any."""
        if not self.faults:
            return
        lines = [f"  {shown(fault.where)}: {fault.what}" for fault in self.faults[:_SHOWN_FAULTS]]
        if len(self.faults) > _SHOWN_FAULTS:
            lines.append(f"  ... and {len(self.faults) - _SHOWN_FAULTS} more (all with --json)")
        n = len(self.faults)
        raise DataError(
            f"{self.data_dir}: {n} fault{'' if n == 1 else 's'}\n" + "\n".join(lines),
            hint=f"`clipft prepare {quoted(self.data_dir)}` takes in what changed and lists what cannot be used",
        )


def validate(
    data_dir: Path, distance: int | None, on_progress: Callable[[str, int, int | None], None]
) -> ValidationReport:
    """Read a data set and every image of it, and list each fault.

    `distance`: bits perceptual hashes may differ by in near duplicates; None: these are not looked for.
    Raises DataError where there is no data set that can be read at all.
    """
    manifest = read_manifest(data_dir)
    report = ValidationReport(Path(data_dir), manifest.name, class_counts(manifest))
    report.faults += _count_faults(report.classes)
    changes = find_changes(manifest)
    report.faults += [Fault(path, "was added since the data set was prepared") for path in changes.added]
    report.faults += [Fault(path, "is missing") for path in changes.removed]
    gone = set(changes.removed)
    rows = {row.path: row for row in manifest.rows if row.path not in gone}
    items = [Item(manifest.file(row), row.path, manifest.classes[row.label].name, row.split) for row in rows.values()]
    pictures, problems = look_at_all(items, lambda done, total: on_progress("checking", done, total))
    report.faults += [Fault(p.file, p.reason + (f" ({p.detail})" if p.detail else "")) for p in problems]
    report.faults += [
        Fault(picture.item.name, "is not the file that was prepared (its content changed)")
        for picture in pictures
        if picture.sha256 != rows[picture.item.name].sha256
    ]
    report.faults += _leaks(pictures, distance, report.warnings)
    report.warnings += _small_splits(report.classes)
    return report


def _count_faults(classes: list[ClassCounts]) -> list[Fault]:
    if classes and all(c.total == c.test for c in classes):
        return []  # for measuring only
    faults = [Fault(split, "has no images") for split in SPLITS if not any(getattr(c, split) for c in classes)]
    if len(classes) < 2:
        faults.append(Fault("classes", f"there are {len(classes)}, a classifier needs at least 2"))
    faults += [Fault(f"class {c.name}", "has no train images") for c in classes if not c.train]
    for split in ("val", "test"):
        if any(getattr(c, split) for c in classes):
            faults += [Fault(f"class {c.name}", f"has no {split} images") for c in classes if not getattr(c, split)]
    return faults


def _leaks(pictures: list[Picture], distance: int | None, warnings: list[str]) -> list[Fault]:
    """The same picture in two splits, or under two labels."""
    faults = []
    for a, b in _copies(pictures, distance, warnings):
        same = "a copy" if a.sha256 == b.sha256 else "a near copy"
        if a.item.split != b.item.split:
            faults.append(Fault(a.item.name, f"is {same} of {b.item.name}, in another split"))
        elif a.sha256 == b.sha256 and a.item.label != b.item.label:
            faults.append(Fault(a.item.name, f"is a copy of {b.item.name}, under another label"))
    return faults


def _copies(pictures: list[Picture], distance: int | None, warnings: list[str]) -> Iterator[tuple[Picture, Picture]]:
    """Each copy with the first of its content, then near duplicates, where those are looked for."""
    firsts: dict[str, Picture] = {}
    for picture in pictures:
        first = firsts.setdefault(picture.sha256, picture)
        if first is not picture:
            yield first, picture
    if distance is not None:
        different = list(firsts.values())
        pairs = telling_pairs(different, distance, warnings)
        for i, j in zip(pairs.first.tolist(), pairs.second.tolist(), strict=True):
            yield different[i], different[j]


def _small_splits(classes: list[ClassCounts]) -> list[str]:
    few = [c.name for c in classes if 0 < c.test < 5]
    if not few:
        return []
    named = ", ".join(shown(name, 40) for name in few[:5]) + (", ..." if len(few) > 5 else "")
    return [
        f"{count(len(few), 'class has', 'classes have')} fewer than 5 test images, the figures will be rough: {named}"
    ]
