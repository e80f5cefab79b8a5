"""Preset, file and command line become one config, or one error that names every problem and its place."""

from __future__ import annotations

import contextlib
from pathlib import Path

import jsonschema
import pytest
import yaml
from choices import choices
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clipft_cli.config.evaluate import EvaluateConfig
from clipft_cli.config.file import FileConfig
from clipft_cli.config.load import PRESETS_DIR, dump_yaml, load_config, preset_names
from clipft_cli.config.optim import ScheduleName
from clipft_cli.config.predict import PredictConfig
from clipft_cli.config.prepare import PrepareConfig
from clipft_cli.config.reference import json_schema
from clipft_cli.config.train import TrainConfig
from clipft_cli.errors import ConfigError


@pytest.fixture
def write(tmp_path):
    def write(text: str | bytes, name: str = "clipft.yaml") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def refused(file: Path | None = None, *sets: str, **flags: object) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(TrainConfig, file, sets, flags)
    return caught.value.message


@pytest.mark.parametrize(("text", "place"), [("{none}", "none"), ("data: {int: 3}", "data.int")])
def test_an_unknown_key_may_be_called_like_a_kind_of_value(write, text, place):
    file = write(text)
    assert refused(file).startswith(f"{file}:1: {place}: unknown key")


def test_later_layers_win(write):
    file = write("training: {num_epochs: 7, learning_rate: 3e-4}\nseed: 4")
    config = load_config(TrainConfig, file, ["training.num_epochs=9"], {"seed": 5})
    assert (config.training.num_epochs, config.training.learning_rate, config.seed) == (9, 3e-4, 5)
    assert load_config(TrainConfig, None, ["training.num_epochs=9", "training.num_epochs=2"]).training.num_epochs == 2


def test_a_file_overrides_the_preset_key_by_key(write):
    config = load_config(TrainConfig, write("preset: reference-full\ntraining: {num_epochs: 30}"))
    assert config.training.num_epochs == 30
    assert config.training.max_grad_norm == 0.5


@pytest.mark.parametrize(
    ("in_file", "on_command_line"),
    [("base_learning_rate", "learning_rate"), ("learning_rate", "base_learning_rate")],
)
def test_a_second_name_is_the_same_key_in_every_layer(write, in_file, on_command_line):
    file = write(f"training: {{{in_file}: 1e-5}}")
    config = load_config(TrainConfig, file, [f"training.{on_command_line}=2e-3"])
    assert config.training.learning_rate == 2e-3


def test_both_names_in_one_place_are_refused(write):
    file = write("seed: 1\ntraining: {learning_rate: 1e-5, base_learning_rate: 1e-4}")
    assert refused(file) == f"{file}:2: training: 'learning_rate' is given twice, under two of its names"


def test_an_unknown_key_is_refused_with_a_suggestion(write):
    file = write("training:\n  num_epoch: 5\n")
    assert refused(file) == f"{file}:2: training.num_epoch: unknown key, did you mean 'num_epochs' or 'epochs'?"


def test_all_problems_come_at_once_each_with_its_line(write):
    file = write("data:\n  batch_size: 0\ntraining:\n  warmup_ratio: 2\n  schedule: cosin\nnonsense: 1\n")
    message = refused(file, "seed=-1")
    assert message.splitlines()[0] == "5 problems in the configuration"
    assert f"{file}:2: data.batch_size: should be greater than or equal to 1 (given: 0)" in message
    assert f"{file}:4: training.warmup_ratio: should be less than 1 (given: 2)" in message
    assert f"{file}:5: training.schedule: should be {choices(ScheduleName)} (given: 'cosin')" in message
    assert f"{file}:6: nonsense: unknown key" in message
    assert "--set: seed: should be greater than or equal to 0 (given: -1)" in message


def test_a_problem_under_a_second_name_has_its_line_too(write):
    file = write("training:\n  num_epochs: 3\n  base_learning_rate: -1\n")
    assert refused(file).startswith(f"{file}:3: ")


def test_a_problem_inside_a_list_has_the_line_of_its_item(write):
    file = write(
        "training:\n  progressive_unfreezing:\n    enabled: true\n    unfreeze_schedule:\n"
        "      - {epoch: 0, layers: [all]}\n      - {epoch: -1, layers: [all]}\n"
    )
    assert refused(file).startswith(f"{file}:6: ")


def test_a_flag_is_named_as_typed():
    assert refused(method="ful").startswith("--method: method: should be 'zero_shot', 'linear_probe', 'full'")


@pytest.mark.parametrize("text", ["training", "=5", "training..x=1", ".=1", ""])
def test_a_set_without_key_or_value_is_refused(text):
    assert refused(None, text) == f"--set {text}: must be key=value, such as training.num_epochs=5"


def test_an_unreadable_set_value_is_refused():
    assert refused(None, "seed=[1") == "--set seed=[1: the value cannot be read (quote it for your shell)"


def test_a_key_given_twice_is_refused_with_its_line(write):
    file = write("seed: 1\ndata: {batch_size: 4}\nseed: 2\n")
    assert refused(file) == f"{file}:3: not valid YAML: the key 'seed' is given twice"


def test_aliases_are_refused_so_that_no_bomb_goes_off(write):
    layers = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    layers += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    file = write("\n".join(layers))
    assert refused(file) == f"{file}:2: not valid YAML: aliases (*name) are not supported"


@pytest.mark.parametrize("value", ["&a [*a]", "[&a [x, x], *a, *a]"])
def test_aliases_on_the_command_line_are_refused_too(value):
    assert "--set" in refused(None, f"data.templates={value}")


def test_python_tags_are_not_executed(write, tmp_path):
    victim = tmp_path / "touched"
    file = write(f"seed: !!python/object/apply:os.mkdir ['{victim}']")
    assert "not valid YAML" in refused(file)
    assert not victim.exists()


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("- a\n- b\n", ": expected keys with values, found a list"),
        ("just words", ": expected keys with values, found a str"),
        (b"\xff\xfe\xfa", ": is not UTF-8 text"),
        ("a: [1, 2", ":1: a list in brackets that is not closed, or lacks a comma"),
        ("x: 2020-13-45", ": not valid YAML: month must be in 1..12"),
        ("[" * 5000, ": not valid YAML: nested too deeply"),
        ("#" * (2 << 20), ": larger than 1 MiB, which no configuration is"),
    ],
    ids=["list", "text", "not utf-8", "broken", "no date", "deep", "large"],
)
def test_what_is_no_configuration_is_refused_in_one_line(write, text, end):
    file = write(text)
    message = refused(file)
    assert message.startswith(str(file))
    assert end.split(": ")[-1] in message
    assert "\n" not in message


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    assert refused(tmp_path / "none.yaml") == f"{tmp_path / 'none.yaml'}: no such file"
    assert refused(tmp_path) == f"{tmp_path}: is a folder, a YAML file is needed"


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "---\n"])
def test_an_empty_file_is_all_defaults(write, text):
    assert load_config(TrainConfig, write(text)) == load_config(TrainConfig)


def test_a_byte_order_mark_is_no_key(write):
    assert load_config(TrainConfig, write(b"\xef\xbb\xbfseed: 3")).seed == 3


@pytest.mark.parametrize("command", [PrepareConfig, TrainConfig, EvaluateConfig, PredictConfig])
def test_each_command_takes_its_slice_and_checks_the_whole_file(write, command):
    whole = write("seed: 1\nprepare: {num_classes: 3}\nevaluate: {split: val}\npredict: {top_k: 2}\n")
    assert isinstance(load_config(command, whole), command)
    wrong = write("predict: {top_k: 0}\n", "wrong.yaml")
    with pytest.raises(ConfigError, match=r"wrong\.yaml:1: predict\.top_k"):
        load_config(command, wrong)


def test_preset_and_method_must_agree(write):
    assert refused(None, preset="few-shot", method="full") == "preset 'few-shot' is for method lora, but method is full"
    assert "unknown preset 'few-shoot', did you mean 'few-shot'" in refused(preset="few-shoot")
    assert load_config(TrainConfig, flags={"preset": "few-shot"}).method == "lora"
    assert load_config(TrainConfig, flags={"method": "lora"}).preset == "lora"
    assert load_config(TrainConfig).preset == "full"


@pytest.mark.parametrize(
    ("written", "seconds"), [("90s", 90), ("10m", 600), ("1h", 3600), ("1.5h", 5400), ("45", 45), ("null", None)]
)
def test_durations(write, written, seconds):
    assert load_config(TrainConfig, write(f"checkpoint: {{every: {written}}}")).checkpoint.every == seconds


@pytest.mark.parametrize("written", ["soon", "10 days", "-1", "0"])
def test_what_is_no_duration_is_refused(write, written):
    assert "checkpoint.every" in refused(write(f"checkpoint: {{every: {written}}}"))


@pytest.mark.parametrize(
    "text",
    [
        "training: {progressive_unfreezing: {enabled: true, unfreeze_schedule: []}}",
        "training: {progressive_unfreezing: {unfreeze_schedule: [{epoch: 1, layers: [all]}]}}",
    ],
)
def test_a_schedule_that_trains_nothing_at_first_is_refused(write, text):
    assert "unfreeze_schedule must name at least one layer at epoch 0" in refused(write(text))


@pytest.mark.parametrize("template", ["a photo", "{} and {}", "a {name}", "a {} in {place}", "a {} {"])
def test_a_template_takes_exactly_one_class_name(write, template):
    assert "data.templates" in refused(write(f"data: {{templates: ['{template}']}}"))


@pytest.mark.parametrize("value", [".nan", ".inf", "-.inf"])
@pytest.mark.parametrize("key", ["training.learning_rate", "training.weight_decay", "lora.lora_alpha"])
def test_numbers_are_finite(key, value):
    assert key in refused(None, f"{key}={value}")
    assert "greater than 0" in refused(None, f"linear_probe.c_values=[1.0, {value}]")


@pytest.mark.parametrize("name", preset_names())
def test_dumped_yaml_loads_back_equal(write, name):
    config = load_config(TrainConfig, flags={"preset": name, "data.dir": Path("größe/ü b"), "data.few_shot": 4})
    assert load_config(TrainConfig, write(dump_yaml(config))) == config


@pytest.mark.parametrize("name", preset_names())
def test_the_schema_accepts_the_presets_and_the_resolved_config(name):
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    preset = yaml.safe_load((PRESETS_DIR / f"{name}.yaml").read_text(encoding="utf-8"))
    jsonschema.validate(preset, schema)
    jsonschema.validate(yaml.safe_load(dump_yaml(load_config(TrainConfig, flags={"preset": name}))), schema)


@pytest.mark.parametrize(
    "value",
    [
        {"training": {"base_learning_rate": 1e-5, "epochs": 3}},
        {"lora": {"rank": 4, "alpha": 8, "dropout": 0.1, "target_modules": "all"}},
        {"checkpoint": {"every": "10m"}},
        {"hardware": {"mixed_precision": True}},
        {"hardware": {"mixed_precision": "fp32"}},
        {"prepare": {"split": "0.7/0.15/0.15"}},
        {"training": {"max_grad_norm": None}},
    ],
    ids=str,
)
def test_the_schema_accepts_what_the_loader_accepts(write, value):
    FileConfig.model_validate(value)
    jsonschema.validate(value, json_schema())


def test_the_schema_refuses_an_unknown_key():
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"training": {"num_epoch": 3}}, json_schema())


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates()
KEYS = (
    st.sampled_from([*FileConfig.model_fields, "num_epochs", "learning_rate", "epochs", "base_learning_rate"]) | SCALARS
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.dictionaries(KEYS, VALUES, max_size=5))
def test_whatever_a_file_holds_the_answer_is_a_config_or_a_config_error(tmp_path, values):
    file = tmp_path / "fuzz.yaml"
    file.write_text(yaml.safe_dump(values, allow_unicode=True), encoding="utf-8")
    with contextlib.suppress(ConfigError):
        config = load_config(TrainConfig, file)
        file.write_text(dump_yaml(config), encoding="utf-8")
        assert load_config(TrainConfig, file) == config


@settings(max_examples=150, deadline=None)
@given(text=st.text(max_size=40) | st.builds("{}={}".format, st.sampled_from(["seed", "data.dir", "lora"]), st.text()))
def test_whatever_set_is_given_the_answer_is_a_config_or_a_config_error(text):
    with contextlib.suppress(ConfigError):
        load_config(TrainConfig, None, [text])


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=60) | st.text(alphabet="{}[]:,-&*!|>'\"#%@ \n\tab01", max_size=60).map(str.encode))
def test_whatever_bytes_a_file_holds_the_answer_is_a_config_or_a_config_error(tmp_path, content):
    file = tmp_path / "fuzz.yaml"
    file.write_bytes(content)
    with contextlib.suppress(ConfigError):
        load_config(TrainConfig, file)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("lora.target_modules=[q_proj, q_prj]", "unknown projection 'q_prj', did you mean"),
        ("predict.output=photo.JPG", "is an image's name"),
    ],
)
def test_a_wrong_value_is_refused_before_any_work(setting, said):
    with pytest.raises(ConfigError, match=said):
        load_config(FileConfig, None, [setting])


def test_a_stage_behind_the_last_epoch_is_refused():
    with pytest.raises(ConfigError, match="stage at epoch 6, behind the last epoch 4"):
        load_config(FileConfig, None, ["preset=reference-full", "training.num_epochs=5"])


def test_a_probe_with_a_cosine_head_is_refused():
    with pytest.raises(ConfigError, match="a probe has free weights and a bias"):
        load_config(FileConfig, None, ["model.head=cosine", "model.head_start=probe"])


def test_a_section_with_all_its_keys_commented_out_is_empty(tmp_path):
    (tmp_path / "a.yaml").write_text("data:\n  # dir: x\n")
    assert load_config(FileConfig, tmp_path / "a.yaml").data == FileConfig().data


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("cache.enabled", "maybe", "should be a valid boolean, unable to interpret input or 'auto' (given: 'maybe')"),
        ("data.templates", 3, "should be 'auto', 'short', 'photos' or 'drawings' or a valid tuple (given: 3)"),
    ],
)
def test_a_key_that_may_be_of_several_kinds_is_one_problem(key, value, text):
    with pytest.raises(ConfigError) as caught:
        load_config(TrainConfig, flags={key: value})
    assert caught.value.message.endswith(f": {key}: {text}")


def test_weights_of_a_file_stay_with_its_model(tmp_path):
    file = tmp_path / "clipft.yaml"
    file.write_text("model:\n  name: ViT-B-32\n  pretrained: laion2b_s34b_b79k\n")
    assert load_config(TrainConfig, file).model.pretrained == "laion2b_s34b_b79k"
    assert load_config(TrainConfig, file, ["model.name=ViT-B-32"]).model.pretrained == "laion2b_s34b_b79k"
    assert load_config(TrainConfig, file, ["model.name=clipft-tiny"]).model.pretrained is None
    file.write_text("model:\n  name: ViT-B-32\n  pretrained: mine.safetensors\n")
    found = load_config(TrainConfig, file, ["model.name=ViT-B-32-quickgelu"]).model.pretrained
    assert str(found).endswith("mine.safetensors")
    for sets in (["model.name=RN50", "model.pretrained=openai"], ["model.pretrained=openai", "model.name=RN50"]):
        assert load_config(TrainConfig, file, sets).model.pretrained == "openai"


@pytest.mark.parametrize(
    ("setting", "meant"),
    [("training.patience=3", "training.early_stopping.patience"), ("training.head_start=text", "model.head_start")],
)
def test_a_key_in_the_wrong_place_is_answered_with_its_own(setting, meant):
    with pytest.raises(ConfigError, match=rf"unknown key, did you mean {meant}"):
        load_config(TrainConfig, None, [setting])


def test_a_path_that_is_none_is_refused_in_words():
    with pytest.raises(ConfigError, match=r"data\.dir: should be a path"):
        load_config(TrainConfig, None, ["data.dir=null"])
