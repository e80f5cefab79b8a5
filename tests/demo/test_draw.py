"""The drawn data set: a picture is a function of (seed, breed, index), and nothing else."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from clipft_cli.demo.breeds import BREEDS
from clipft_cli.demo.draw import draw_dog


def pixels(breed: str, seed: int, index: int) -> np.ndarray:
    """(224, 224, 3) float, so that differences do not wrap."""
    return np.asarray(draw_dog(breed, seed=seed, index=index), float)


def test_there_are_twenty_breeds_in_alphabetical_order():
    assert len(BREEDS) == 20
    assert list(BREEDS) == sorted(BREEDS)


def test_the_first_ten_hold_the_confusable_pairs():
    first_ten = set(list(BREEDS)[:10])
    for pair in (
        {"basset_hound", "beagle"},
        {"golden_retriever", "labrador_retriever"},
        {"alaskan_malamute", "husky"},
    ):
        assert pair <= first_ten


@pytest.mark.parametrize("breed", BREEDS)
def test_every_breed_gives_a_224_px_rgb_picture(breed):
    picture = draw_dog(breed, seed=0, index=0)
    assert isinstance(picture, Image.Image)
    assert (picture.mode, picture.size) == ("RGB", (224, 224))
    assert np.asarray(picture).std() > 10


def test_a_picture_does_not_depend_on_what_was_drawn_before():
    alone = pixels("beagle", seed=3, index=5)
    draw_dog("husky", seed=3, index=5)
    draw_dog("beagle", seed=3, index=4)
    assert (pixels("beagle", seed=3, index=5) == alone).all()


@pytest.mark.parametrize(("breed", "seed", "index"), [("beagle", 0, 1), ("beagle", 1, 0), ("husky", 0, 0)])
def test_another_index_seed_or_breed_is_another_picture(breed, seed, index):
    assert abs(pixels("beagle", 0, 0) - pixels(breed, seed, index)).mean() > 5


def test_an_unknown_breed_is_refused():
    with pytest.raises(KeyError, match="unicorn"):
        draw_dog("unicorn", seed=0, index=0)


def test_drawing_imports_neither_torch_nor_open_clip():
    code = (
        "import sys, clipft_cli.demo.draw, clipft_cli.demo.breeds, clipft_cli.demo.tiny;"
        "print(sorted({'torch', 'open_clip'} & set(sys.modules)))"
    )
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert printed.strip() == "[]"
