"""What is said of each key, wherever it is said."""

from __future__ import annotations

import jsonschema
import pytest
import yaml

from clipft_cli.config.base import may_be_open
from clipft_cli.config.file import FileConfig
from clipft_cli.config.load import load_config, preset_names, resolve
from clipft_cli.config.reference import all_keys, explained, find_key, json_schema, presets_in_words
from clipft_cli.config.train import TrainConfig
from clipft_cli.errors import ConfigError

OPEN = [key for key in all_keys().values() if may_be_open(key.model, key.name.rpartition(".")[2])]
LOADED_AS = {"cache.views": "data.augmentation=crop"}


@pytest.mark.parametrize("word", ["none", "null", "None", " NULL "])
@pytest.mark.parametrize("key", OPEN, ids=lambda key: key.name)
def test_none_and_null_leave_open_whatever_may_be(key, word):
    config = resolve(sets=[f"{key.name}={word}"]).config
    for part in key.name.split("."):
        config = getattr(config, part)
    if key.name == "preset":
        assert config == "full"  # the method's own
    else:
        assert config is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("data.augmentation", "none"),
        ("data.class_balance", "none"),
        ("compare.correction", "none"),
        ("prepare.merge", ("none",)),
        ("prepare.label_column", "none"),
        ("prepare.split_column", "none"),
        ("prepare.group_column", "none"),
    ],
)
def test_where_none_is_a_choice_it_is_one(key, value):
    section, name = key.split(".")
    assert getattr(getattr(resolve(sets=[f"{key}=none"]).config, section), name) == value


def test_a_folder_called_none_is_written_with_its_place():
    assert str(resolve(flags={"output_dir": "./none"}).config.output_dir) == "none"
    assert resolve(flags={"output_dir": "none"}).config.output_dir is None


@pytest.mark.parametrize(
    ("key", "default"),
    [
        ("training.early_stopping.patience", "10 with few-shot, full, lora, qlora; else 3"),
        ("training.soup.enabled", "true with few-shot, full, lora, qlora; else false"),
        ("output_dir", "none"),
        ("prepare.label_column", "null"),
        ("prepare.split", "[0.7, 0.15, 0.15]"),
        ("data.horizontal_flip", "true"),
        ("data.dir", "data/dogs"),
    ],
)
def test_defaults_are_yaml_and_those_of_presets_come_first(key, default):
    assert all_keys()[key].default == default


@pytest.mark.parametrize("preset", preset_names())
def test_what_is_said_of_a_preset_is_what_a_run_with_it_has(preset):
    config = load_config(TrainConfig, flags={"preset": preset})
    for key in all_keys().values():
        if preset in key.by_preset and key.name.startswith("training."):
            value = config
            for part in key.name.split("."):
                value = getattr(value, part)
            said = load_config(TrainConfig, base={"preset": preset}, flags={key.name: key.by_preset[preset]})
            for part in key.name.split("."):
                said = getattr(said, part)
            assert value == said
    assert presets_in_words()[preset]


def test_a_key_is_found_by_its_end_and_by_its_second_name():
    assert find_key("patience").name == "training.early_stopping.patience"
    assert find_key("epochs").name == "training.num_epochs"
    with pytest.raises(ConfigError, match=r"did you mean training\.max_grad_norm"):
        find_key("max_grad")
    with pytest.raises(ConfigError, match=r"data\.dir"):
        find_key("dir")


def test_the_schema_takes_the_words_and_says_the_presets():
    schema = json_schema()
    jsonschema.validate({"output_dir": "none", "training": {"max_grad_norm": "none"}}, schema)
    told = schema["$defs"]["EarlyStoppingConfig"]["properties"]["patience"]["description"]
    assert told.endswith("Default: 10 with few-shot, full, lora, qlora; else 3.")


def test_an_explained_configuration_is_the_configuration(tmp_path):
    file = tmp_path / "my.yaml"
    file.write_text("method: lora\ntraining:\n  num_epochs: 3\n")
    resolved = resolve(file, ["training.schedule=linear"], {"seed": 4})
    text = explained(resolved, TrainConfig)
    assert load_config(TrainConfig, base=_flat(yaml.safe_load(text))) == load_config(
        TrainConfig, file, ["training.schedule=linear"], {"seed": 4}
    )
    for line in (
        f"  num_epochs: 3  # {file}:3. Passes over",
        "  schedule: linear  # --set. ",
        "seed: 4  # --seed. ",
        "    patience: 10  # preset lora. ",
        "  max_grad_norm: 1.0  # default. ",
    ):
        assert line in text


def _flat(values: dict, prefix: str = "") -> dict:
    found = {}
    for key, value in values.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{prefix}{key}.")
        elif value is not None:
            found[f"{prefix}{key}"] = value
    return found


def test_every_key_has_a_meaning():
    assert all(key.meaning for key in all_keys().values())
    assert len(all_keys()) > 100
    assert set(FileConfig.model_fields) >= {name.split(".")[0] for name in all_keys()}


@pytest.mark.parametrize(
    ("file", "flags", "preset"),
    [
        ("preset: full", {"method": "lora"}, "lora"),
        ("method: full", {"preset": "few-shot"}, "few-shot"),
        ("preset: reference-lora", {"method": "lora"}, "reference-lora"),
    ],
)
def test_an_option_goes_before_a_files_preset_and_method(tmp_path, file, flags, preset):
    path = tmp_path / "a.yaml"
    path.write_text(file)
    assert load_config(TrainConfig, path, flags=flags).preset == preset


def test_a_file_that_contradicts_itself_is_refused(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("preset: full\nmethod: lora")
    with pytest.raises(ConfigError, match="preset 'full' is for method full, but method is lora"):
        load_config(TrainConfig, path)
