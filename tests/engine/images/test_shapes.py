"""Images that are not square: what is lost is said, and `data.resize` decides it everywhere alike."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
from PIL import Image
from tiny_world import row_of

from clipft_cli.config.data import DataConfig
from clipft_cli.config.evaluate import EvaluateConfig
from clipft_cli.config.load import load_config
from clipft_cli.engine.evaluate import evaluate
from clipft_cli.engine.events import Note
from clipft_cli.engine.images.augmentations import AUGMENTATIONS, augmentation_of
from clipft_cli.engine.images.crops import whole
from clipft_cli.engine.images.draws import Draws
from clipft_cli.engine.images.shapes import what_is_cut_off
from clipft_cli.engine.images.transforms import Preprocess
from clipft_cli.engine.labels.class_names import ClassInfo
from clipft_cli.engine.manifest import Manifest, Origin, digest_of, sorted_rows, write_manifest
from clipft_cli.engine.run_dir import find_checkpoint
from clipft_cli.engine.train import train

PLAIN = Preprocess((32, 32), (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
ENDS = {"left": ((250, 20, 20), (20, 20, 20)), "right": ((20, 20, 20), (250, 20, 20))}


def strip(width: int, height: int, left: tuple[int, ...], right: tuple[int, ...]) -> Image.Image:
    """Grey, with a sixth of colour at each end."""
    pixels = np.full((height, width, 3), 128, dtype=np.uint8)
    pixels[:, : width // 6], pixels[:, -(width // 6) :] = left, right
    return Image.fromarray(pixels)


@pytest.fixture(scope="module")
def strips(tmp_path_factory) -> Manifest:
    """Six to one; the class is at the ends alone."""
    root = tmp_path_factory.mktemp("strips")
    rng, rows = np.random.default_rng(0), []
    for split, n in {"train": 10, "val": 6, "test": 6}.items():
        for label, (name, colours) in enumerate(ENDS.items()):
            for i in range(n):
                path = root / split / name / f"{i:02}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                pixels = np.asarray(strip(192, 32, *colours)) + rng.normal(0, 20, (32, 192, 3))
                Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)
                rows.append(row_of(root, path, label, split))
    classes = tuple(ClassInfo(name, f"{name} end") for name in ENDS)
    manifest = Manifest(root, "strips", classes, sorted_rows(rows), digest_of(classes, rows), Origin(source="test"))
    write_manifest(manifest)
    return manifest


@pytest.mark.parametrize(("how", "top1"), [("crop", None), ("pad", 1.0), ("squash", 1.0)])
@pytest.mark.parametrize("augmentation", ["none", "standard"])
def test_a_run_sees_what_resize_says_and_so_does_its_checkpoint(tiny, tmp_path, strips, how, top1, augmentation):
    settings = {
        "data.dir": strips.root,
        "data.resize": how,
        "data.augmentation": augmentation,
        "data.horizontal_flip": False,
        "training.num_epochs": 1,
    }
    told: list[str] = []
    result = train(
        tiny.config("full", tmp_path / "run", settings), lambda e: told.append(e.text) if isinstance(e, Note) else None
    )
    assert not [text for text in told if "cropped away" in text]  # it was asked for
    card = json.loads((find_checkpoint(result.run_dir) / "checkpoint.json").read_text())
    assert card["preprocess"]["resize_mode"] == {"crop": "shortest", "pad": "longest", "squash": "squash"}[how]
    flags = {"evaluate.checkpoint": result.run_dir, "evaluate.output_dir": tmp_path / "out", "hardware.device": "cpu"}
    measured = evaluate(load_config(EvaluateConfig, flags=flags), lambda event: None)
    found = measured.metrics.top1.value
    assert found == top1 if top1 is not None else found < 0.9


def test_the_share_that_is_lost_is_told_before_anything_is_trained(tiny, tmp_path, strips):
    told: list[str] = []
    train(
        tiny.config("zero_shot", tmp_path / "run", {"data.dir": strips.root}),
        lambda e: told.append(e.text) if isinstance(e, Note) and e.is_warning else None,
    )
    (warning,) = [text for text in told if "cropped away" in text]
    assert "192 x 32" in warning
    assert "83% of the median image" in warning
    assert "data.resize=pad" in warning


@pytest.mark.parametrize(
    ("sizes", "lost"),
    [([(60, 60)], None), ([(90, 60), (60, 90)], None), ([(160, 60), (160, 60), (60, 60)], 0.62)],
)
def test_photographs_of_the_usual_shapes_are_not_told_of(tmp_path, sizes, lost):
    files = []
    for i, size in enumerate(sizes):
        files.append(tmp_path / f"{i}.png")
        Image.new("RGB", size).save(files[-1])
    (tmp_path / "no.png").write_text("no image")
    told = what_is_cut_off([*files, tmp_path / "no.png"], PLAIN)
    assert (told is None) == (lost is None)
    if lost is not None:
        assert f"{lost:.0%}" in told
    assert what_is_cut_off(files, PLAIN.resizing("squash")) is None


@pytest.mark.parametrize("how", ["pad", "squash"])
@pytest.mark.parametrize("size", [(192, 32), (32, 192), (48, 48), (301, 77)])
def test_crops_are_taken_from_the_whole_of_an_image(how, size):
    """Its ends are in what is cropped, where they are in the evaluated pixels."""
    image = strip(*size, (250, 20, 20), (20, 20, 250))
    preprocess = PLAIN.resizing(how)
    seen = whole(np.asarray(image), preprocess, 32)
    assert seen.shape[:2] == (32, 32) or size == (48, 48)
    if size != (48, 48):
        difference = np.abs(seen.astype(float).transpose(2, 0, 1) - preprocess.pixels(image))
        assert difference.mean() < 6


AUGMENTED = [name for name, make in AUGMENTATIONS.items() if make(DataConfig(augmentation=name)) is not None]


@pytest.mark.parametrize("name", AUGMENTED)
@pytest.mark.parametrize("how", ["auto", "crop"])
def test_where_the_middle_is_cut_out_nothing_is_different(name, how):
    source = np.asarray(strip(100, 60, (250, 20, 20), (20, 20, 250)))
    augmentation = augmentation_of(DataConfig(augmentation=name))
    pixels = augmentation.pixels(source, PLAIN.resizing(how), Draws(0, 1, 2))
    array = augmentation.crops.cut(source, PLAIN, draws := Draws(0, 1, 2))
    for step in augmentation.steps:
        array = step(array, draws)
    assert np.array_equal(pixels, array.transpose(2, 0, 1))


def test_damaged_metadata_is_no_remark_of_a_library(tmp_path, recwarn):
    file = tmp_path / "wide.jpg"
    orientation = struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0)
    too_long = struct.pack("<HHII", 0x010F, 2, 5000, 38)
    exif = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 2) + too_long + orientation + bytes(4)
    Image.new("RGB", (60, 160)).save(file, exif=exif)
    told = what_is_cut_off([file], PLAIN)
    assert "160 x 60" in str(told)
    assert [str(warning.message) for warning in recwarn.list] == []
