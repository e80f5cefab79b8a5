from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from source_cases import asked

from clipft_cli.engine.sources import SOURCES, source_of
from clipft_cli.engine.sources.listing import Listing
from clipft_cli.errors import DataError

RNG = np.random.default_rng(0)
LABELS = np.arange(8) % 2


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def images(n: int = 8, *channels: int) -> np.ndarray:
    return RNG.integers(0, 256, (n, 6, 5, *channels), dtype=np.uint8)


def read(**arrays: np.ndarray) -> Listing:
    np.savez("a.npz", **arrays)
    kind, _ = source_of("a.npz")
    assert kind is SOURCES["arrays"]
    return kind.read(asked("a.npz", Path(f"w{len(list(Path().iterdir()))}")))


def counts(listing: Listing) -> dict[tuple[str | None, str], int]:
    return dict(Counter((item.split, item.label) for item in listing.items))


@pytest.mark.parametrize("names", [("x", "y"), ("images", "labels"), ("x_train", "y_train"), ("data", "target")])
def test_one_pair_of_arrays_is_a_set_without_splits(names: tuple[str, str]) -> None:
    pixels = images(8, 3)
    listing = read(**{names[0]: pixels, names[1]: LABELS})
    assert counts(listing) == {(None, "0"): 4, (None, "1"): 4}
    assert np.array_equal(np.asarray(Image.open(listing.items[3].file)), pixels[3])


def test_medmnist_keeps_its_splits_and_its_labels_of_one_column() -> None:
    arrays = {}
    for split in ("train", "val", "test"):
        arrays |= {f"{split}_images": images(), f"{split}_labels": LABELS[:, None]}
    expected = {(split, label): 4 for split in ("train", "val", "test") for label in ("0", "1")}
    assert counts(read(**arrays)) == expected


@pytest.mark.parametrize(
    ("pixels", "labels"),
    [
        (images(8, 1), LABELS),
        (images(8, 3).transpose(0, 3, 1, 2), LABELS),
        (images() / 255, LABELS.astype(float)),
        (images(8, 4), np.eye(2)[LABELS]),
        (images().astype(np.int64), np.array(["0", "1"] * 4)),
    ],
)
def test_shapes_and_types_in_which_people_save_images(pixels: np.ndarray, labels: np.ndarray) -> None:
    assert counts(read(x=pixels, y=labels)) == {(None, "0"): 4, (None, "1"): 4}


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"x": images()}, "no arrays of images with labels: x"),
        ({"x": images(), "y": LABELS[:-1]}, "8 images, 'y' 7 labels"),
        ({"x": images() / 255 - 0.5, "y": LABELS}, "what is black and white is not known"),
        ({"x": images(), "y": np.ones((8, 2))}, "several classes"),
        ({"x": images().reshape(8, -1), "y": LABELS}, "none of images"),
        ({"x": images(), "y": np.array([{}] * 8)}, "Python objects, which could run programs"),
    ],
)
def test_what_cannot_be_read_is_refused_in_words(arrays: dict[str, np.ndarray], words: str) -> None:
    with pytest.raises(DataError, match=words):
        read(**arrays)


def test_a_damaged_file_is_an_error_of_data() -> None:
    Path("a.npz").write_bytes(b"PK\x03\x04 no zip")
    with pytest.raises(DataError, match="cannot be read"):
        source_of("a.npz")[0].read(asked("a.npz", Path("w")))
