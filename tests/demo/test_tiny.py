"""The embedded model: it loads in plain open_clip, and it is an honest miniature of a pretrained CLIP."""

import numpy as np
import open_clip
import pytest
import torch
import torch.nn.functional as F

from clipft_cli.demo.breeds import BREEDS
from clipft_cli.demo.draw import draw_dog
from clipft_cli.demo.tiny import MODEL_NAME, WEIGHTS_PATH, register

PROMPTS = ("a photo of a {}.", "a drawing of a {}.", "a {}.", "a picture of a {}, a type of dog.")


@pytest.fixture(scope="module")
def tiny():
    """The model in evaluation mode and its preprocessing."""
    register()
    model, _, preprocess = open_clip.create_model_and_transforms(MODEL_NAME, pretrained=str(WEIGHTS_PATH))
    return model.eval(), preprocess


def test_the_weights_fit_into_the_wheel():
    assert WEIGHTS_PATH.stat().st_size <= 16e6


def test_registering_twice_changes_nothing():
    register()
    register()
    assert open_clip.list_models().count(MODEL_NAME) == 1


def test_the_image_tower_is_a_twelve_block_vit_in_float32(tiny):
    model, _ = tiny
    assert len(model.visual.transformer.resblocks) == 12
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_the_loaded_weights_are_not_the_initial_ones(tiny):
    fresh = open_clip.create_model(MODEL_NAME)
    assert not torch.equal(fresh.visual.conv1.weight, tiny[0].visual.conv1.weight)


def test_zero_shot_is_well_above_chance_and_well_below_saturation(tiny):
    model, preprocess = tiny
    tokenizer = open_clip.get_tokenizer(MODEL_NAME)
    names = list(BREEDS)[:10]
    images = torch.stack([preprocess(draw_dog(name, seed=0, index=i)) for name in names for i in range(10)])
    with torch.no_grad():
        features = model.encode_image(images, normalize=True)  # (100, D)
        prompts = [tokenizer([prompt.format(name.replace("_", " ")) for prompt in PROMPTS]) for name in names]
        head = torch.stack([F.normalize(model.encode_text(row, normalize=True).mean(0), dim=0) for row in prompts])
    guesses = (features @ head.T).argmax(1).numpy()
    assert 0.35 < (guesses == np.repeat(np.arange(10), 10)).mean() < 0.85
