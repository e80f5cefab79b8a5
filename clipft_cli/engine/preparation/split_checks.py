"""What a person must know of the splits while they can be changed: what is missing, and what they can show."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ...config.data import SplitName
from ..files.visible import shown
from ..labels.alike import is_code
from ..labels.class_names import ClassInfo
from .checks import Picture
from .split import Shares, is_test_only

_N_NAMED = 5
_Z = 1.96
"""Of a normal distribution, 95% lie within so many standard deviations."""


def warn_about_splits(
    pictures: Sequence[Picture],
    splits: Sequence[SplitName],
    classes: Sequence[ClassInfo],
    warnings: list[str],
    shares: Shares,
) -> None:
    """Warn of splits without images, of classes that a split lacks, and of names that are numbers."""
    present = {(picture.item.label, split) for picture, split in zip(pictures, splits, strict=True)}
    found = {split for _, split in present}
    if "test" not in found and shares[2] > 0:
        warnings.append("there are no test images: nothing can be measured at the end but val, which chose the epoch")
    if "val" not in found and not is_test_only(shares):
        warnings.append("there are no val images: no epoch can be chosen")
    for split in ("val", "test"):
        without = [info.name for info in classes if (info.name, split) not in present]
        if split in found and without:
            named = ", ".join(shown(name, 40) for name in without[:_N_NAMED])
            more = ", ..." if len(without) > _N_NAMED else ""
            lead = "1 class has" if len(without) == 1 else f"{len(without)} classes have"
            warnings.append(f"{lead} no {split} images: {named}{more}")
    if all(is_code(info.readable) for info in classes):
        warnings.append("class names are numbers, which say nothing to CLIP: edit classes.txt")


def accuracy_note(n_test: int) -> str:
    """How exactly `n_test` images tell accuracy: half of Wilson's 95% interval where it is widest, at half right.

    There it is z / (2 sqrt(n + z^2)).
    """
    points = 100 * _Z / (2 * math.sqrt(n_test + _Z**2))
    said = f"{points:.0f} points" if points >= 1.5 else f"{points:.1f} points"
    return f"{n_test:,} test image{'' if n_test == 1 else 's'}: accuracy will be known to {said} (95% interval)"
