from __future__ import annotations

from pathlib import Path

import pytest
from prepare_cases import config
from small_pictures import class_folders

from clipft_cli.engine.metrics.intervals import wilson
from clipft_cli.engine.preparation.split_checks import accuracy_note
from clipft_cli.engine.prepare import prepare


@pytest.mark.parametrize(("n", "points"), [(30, "17"), (150, "8"), (2000, "2")])
def test_the_exactness_is_half_of_wilsons_interval_at_half_right(n: int, points: str) -> None:
    assert f": accuracy will be known to {points} points" in accuracy_note(n)
    assert round(100 * wilson(n // 2, n).margin) == int(points)


def test_many_images_tell_tenths_of_points() -> None:
    assert accuracy_note(10_000).startswith("10,000 test images: accuracy will be known to 1.0 points")


@pytest.mark.parametrize("labels", [("0", "1"), ("n01440764", "n02102040"), ("0", "dog")])
def test_classes_that_say_nothing_to_clip_are_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, labels: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    class_folders(tmp_path / "set", 6, labels)
    warned = any("say nothing to CLIP" in warning for warning in prepare(config(source="set")).warnings)
    assert warned == ("dog" not in labels)
    (tmp_path / "set" / "words.csv").write_text("id,name\n" + "".join(f"{label},a {label}\n" for label in labels))
    again = prepare(config(source="set", output_dir="again"))
    assert not any("say nothing to CLIP" in warning for warning in again.warnings)
    if warned:
        assert [one.readable for one in again.classes] == [f"a {label}" for label in labels]
