from __future__ import annotations

import pytest

from clipft_cli.engine.metrics.intervals import wilson
from clipft_cli.engine.preparation.split_checks import accuracy_note


@pytest.mark.parametrize(("n", "points"), [(30, "17"), (150, "8"), (2000, "2")])
def test_the_exactness_is_half_of_wilsons_interval_at_half_right(n: int, points: str) -> None:
    assert f": accuracy will be known to {points} points" in accuracy_note(n)
    assert round(100 * wilson(n // 2, n).margin) == int(points)


def test_many_images_tell_tenths_of_points() -> None:
    assert accuracy_note(10_000).startswith("10,000 test images: accuracy will be known to 1.0 points")
