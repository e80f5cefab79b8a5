"""Schema and code name the same things."""

from __future__ import annotations

from typing import get_args

import pytest
import yaml

from clipft_cli.config.data import AugmentationName, DataConfig, TemplateSet
from clipft_cli.config.load import PRESETS_DIR, load_config, preset_names
from clipft_cli.config.methods import METHOD_FACTS, MethodName
from clipft_cli.config.metrics import MetricName, SelectionMetric
from clipft_cli.config.optim import ScheduleName, TrackerName
from clipft_cli.config.train import TrainConfig
from clipft_cli.engine.images.augmentations import AUGMENTATIONS
from clipft_cli.engine.labels.templates import TEMPLATE_SETS
from clipft_cli.engine.methods import METHODS
from clipft_cli.engine.methods.base import MethodSettings
from clipft_cli.engine.metrics import METRICS, VAL_METRICS
from clipft_cli.engine.optim.schedule import SCHEDULES
from clipft_cli.engine.trackers import TRACKERS
from clipft_cli.errors import EXIT_CODES, ClipftError, ConfigError


def test_every_method_of_the_schema_is_built():
    assert set(METHODS) == set(get_args(MethodName))
    assert {name: method.name for name, method in METHODS.items()} == {name: name for name in METHODS}
    assert list(METHOD_FACTS) == list(get_args(MethodName))


@pytest.mark.parametrize("name", METHOD_FACTS)
def test_a_methods_own_section_is_in_the_configuration_and_reaches_it(name):
    facts, config = METHOD_FACTS[name], TrainConfig(method=name)
    own = getattr(config, facts.section) if facts.section else None
    assert (facts.settings is None) == (facts.section is None)
    assert type(own) is (facts.settings or type(None))
    assert MethodSettings.of(config).own == own


@pytest.mark.parametrize("name", METHOD_FACTS)
def test_only_a_method_that_can_train_both_towers_takes_the_contrastive_objective(name):
    settings = {"training.objective": "contrastive", "model.head": "cosine", "model.head_start": "text"}
    if METHOD_FACTS[name].may_be_contrastive:
        assert load_config(TrainConfig, flags={"method": name, **settings}).trains_text
        return
    with pytest.raises(ConfigError, match=f"contrastive is built for full and lora, not for {name}"):
        load_config(TrainConfig, flags={"method": name, **settings})


def test_every_schedule_of_the_schema_is_built():
    assert set(SCHEDULES) == set(get_args(ScheduleName))


def test_every_tracker_of_the_schema_is_built():
    assert {"tensorboard", *TRACKERS} == set(get_args(TrackerName))


def test_every_augmentation_of_the_schema_is_built():
    assert set(AUGMENTATIONS) == set(get_args(AugmentationName))
    made = {name: make(DataConfig()) for name, make in AUGMENTATIONS.items()}
    assert made.pop("none") is None
    assert {name: augmentation.name for name, augmentation in made.items()} == {name: name for name in made}


def test_every_method_has_a_preset_of_its_name():
    assert set(get_args(MethodName)) <= set(preset_names())


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_is_valid_and_names_its_method(name):
    values = yaml.safe_load((PRESETS_DIR / f"{name}.yaml").read_text(encoding="utf-8"))
    config = load_config(TrainConfig, flags={"preset": name})
    assert config.preset == name
    assert config.method == values["method"]


def test_every_kind_of_error_has_its_own_exit_code():
    kinds = ClipftError.__subclasses__()
    assert len({kind.exit_code for kind in kinds}) == len(kinds)
    assert {kind.exit_code: kind.kind for kind in kinds}.items() <= EXIT_CODES.items()


def test_every_template_set_of_the_schema_is_built():
    assert set(TEMPLATE_SETS) | {"auto"} == set(get_args(TemplateSet))


@pytest.mark.parametrize("name", sorted(set(get_args(TemplateSet)) - {"auto"}))
def test_every_template_takes_one_class_name(name):
    for template in TEMPLATE_SETS[name]:
        assert template.count("{}") == 1


def test_every_metric_of_the_schema_is_built_under_its_own_name():
    assert list(METRICS) == list(get_args(MetricName))
    assert {name: metric.name for name, metric in METRICS.items()} == {name: name for name in METRICS}


def test_what_may_choose_is_measured_on_val():
    assert set(get_args(SelectionMetric)) <= {metric.name for metric in VAL_METRICS}
