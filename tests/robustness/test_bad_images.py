"""Images that are deleted, cut or replaced after prepare has seen them."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest
from broken_runs import clean_error, clipft_in
from PIL import Image

TRAIN = ("-c", "run.yaml", "--set", "training.num_epochs=1", "--set", "data.max_bad_share=0.2")


def other_image(path: Path) -> None:
    Image.new("RGB", (40, 40), (1, 2, 3)).save(path)


DAMAGE = {
    "deleted": (Path.unlink, "file not found"),
    "cut": (lambda path: path.write_bytes(path.read_bytes()[:200]), ""),
    "emptied": (lambda path: path.write_bytes(b""), "empty file"),
    "another image": (other_image, "another image than the one prepared"),
    "a folder": (lambda path: (path.unlink(), path.mkdir()), ""),
    "a pipe": (lambda path: (path.unlink(), __import__("os").mkfifo(path)), "not a regular file"),
    "a link to itself": (lambda path: (path.unlink(), path.symlink_to(path.name)), ""),
    "text": (lambda path: path.write_text("no image"), "text, not an image"),
}


@pytest.mark.parametrize("split", ["train", pytest.param("val", marks=pytest.mark.slow)])
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_bad_image_is_replaced_counted_and_listed(place, count, damage, split):
    spoil, reason = DAMAGE[damage]
    spoil(place / "data" / "colours" / split / "red" / "red-02.jpg")
    done = clipft_in(place, "train", "-o", "run", *TRAIN)
    assert done.code == 0, done.err
    with (place / "run" / "problems.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == [f"{split}/red/red-02.jpg"]
    assert reason in rows[0]["reason"]
    assert rows[0]["detail"].startswith(f"replaced by {split}/red/red-")
    count("bad image in a run", 1, 1, f"{damage}, {split}")


def test_too_many_bad_images_stop_the_run_with_the_list(place):
    for n in range(0, 12, 2):
        (place / f"data/colours/train/red/red-{n:02}.jpg").unlink()
    done = clipft_in(place, "train", "-o", "run", *TRAIN, "--set", "data.max_bad_share=0.05")
    clean_error(done, 3, "cannot be read any more", "train/red/red-", "hint: ", "see run/problems.csv")
    with (place / "run" / "problems.csv").open() as file:
        assert {row["file"] for row in csv.DictReader(file)} <= {f"train/red/red-{n:02}.jpg" for n in range(0, 12, 2)}


def test_a_class_with_no_image_left_stops_the_run(place):
    shutil.rmtree(place / "data/colours/val/red")
    clean_error(
        clipft_in(place, "train", "-o", "run", *TRAIN, "--set", "data.max_bad_share=1"), 3, "no other readable image"
    )


@pytest.fixture(scope="module")
def trained(built_place, tmp_path_factory):
    """The folder with a finished run in it."""
    root = Path(shutil.copytree(built_place, tmp_path_factory.mktemp("trained") / "place"))
    assert clipft_in(root, "train", "-o", "run", *TRAIN).code == 0
    return root


@pytest.mark.parametrize("damage", ["deleted", "another image", "cut"])
def test_evaluation_leaves_a_bad_image_out_and_says_so(trained, tmp_path, count, damage):
    place = Path(shutil.copytree(trained, tmp_path / "place"))
    DAMAGE[damage][0](place / "data/colours/test/red/red-02.jpg")
    done = clipft_in(place, "evaluate", "--checkpoint", "run", "--set", "data.max_bad_share=0.2")
    assert done.code == 0, done.err
    assert "left out, cannot be read: test/red/red-02.jpg" in done.err
    count("bad image in an evaluation", 1, 1, damage)
