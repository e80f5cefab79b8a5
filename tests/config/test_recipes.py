"""Each method's configuration out of one file: what is one method's own spoils no other."""

from __future__ import annotations

import pytest

from clipft_cli.config.recipes import method_recipes
from clipft_cli.errors import ConfigError


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "clipft.yaml"
    path.write_text(
        "method: full\n"
        "data: {dir: data/mine, batch_size: 8, crop_scale_min: 0.9}\n"
        "model: {name: clipft-tiny, head_start: text}\n"
        "training: {base_learning_rate: 1.0e-5, num_epochs: 3}\n"
    )
    return path


def test_the_files_recipe_is_for_its_own_method_alone(file):
    recipes, notes = method_recipes(file)
    assert (recipes["full"].training.learning_rate, recipes["full"].training.num_epochs) == (1e-5, 3)
    assert (recipes["lora"].training.learning_rate, recipes["lora"].training.num_epochs) == ("auto", "auto")
    assert (recipes["full"].data.crop_scale_min, recipes["lora"].data.crop_scale_min) == (0.9, 0.5)
    assert (recipes["full"].model.head_start, recipes["linear_probe"].model.head_start) == ("text", "probe")
    assert {recipe.model.name for recipe in recipes.values()} == {"clipft-tiny"}
    assert {recipe.data.batch_size for recipe in recipes.values()} == {8}
    assert {name: recipe.preset for name, recipe in recipes.items()} == {name: name for name in recipes}
    assert len(notes) == 1
    assert "training.base_learning_rate, training.num_epochs are for full" in notes[0]


def test_what_the_command_line_sets_is_for_all(file):
    sets = ["training.num_epochs=2", "model.name=ViT-B-16", "data.batch_size=4"]
    recipes, _ = method_recipes(file, sets, {"data.dir": "elsewhere"})
    assert {recipe.training.num_epochs for recipe in recipes.values()} == {2}
    assert {(recipe.model.name, recipe.data.batch_size) for recipe in recipes.values()} == {("ViT-B-16", 4)}
    assert {str(recipe.data.dir) for recipe in recipes.values()} == {"elsewhere"}


def test_a_preset_is_for_the_method_it_names():
    recipes, _ = method_recipes(None, ["preset=reference-lora"])
    assert (recipes["lora"].preset, recipes["lora"].lora.lora_alpha) == ("reference-lora", 32)
    assert (recipes["full"].preset, recipes["full"].training.num_epochs) == ("full", "auto")


def test_a_mistake_in_the_file_is_found(file):
    file.write_text("training: {num_epoch: 3}\n")
    with pytest.raises(ConfigError, match="did you mean"):
        method_recipes(file)
