"""Progressive unfreezing: the reference's schedule does what it says."""

from __future__ import annotations

import pytest

from clipft_cli.config.optim import ProgressiveUnfreezingConfig
from clipft_cli.engine.model.layers import HEAD, STEM, TOP, Layer, head_layer
from clipft_cli.engine.optim.unfreeze import plan_unfreezing
from clipft_cli.errors import ConfigError

REFERENCE = [
    {"epoch": 0, "layers": ["classifier"]},
    {"epoch": 2, "layers": ["vision_model.encoder.layers.11"]},
    {"epoch": 6, "layers": ["all"]},
]


def tower(depth: int) -> tuple[Layer, ...]:
    blocks = (Layer(f"block.{i}", (f"b{i}",), (f"vision_model.encoder.layers.{i}",)) for i in range(depth))
    return (Layer(STEM, ("s",)), *blocks, Layer(TOP, ("t",)), head_layer(("h",)))


def plan(schedule: object, depth: int = 12, epochs: int = 20):
    config = ProgressiveUnfreezingConfig.model_validate({"enabled": True, "unfreeze_schedule": schedule})
    return plan_unfreezing(config, tower(depth), epochs)


def names(schedule: object, epoch: int, depth: int = 12, epochs: int = 20) -> set[str]:
    layers = tower(depth)
    return {layers[i].name for i in plan(schedule, depth, epochs).trains(epoch)}


@pytest.mark.parametrize("epoch", [0, 1])
def test_at_first_the_head_alone_trains(epoch):
    assert names(REFERENCE, epoch) == {HEAD}


@pytest.mark.parametrize("epoch", [2, 3, 4, 5])
def test_then_the_last_block_joins(epoch):
    assert names(REFERENCE, epoch) == {HEAD, "block.11"}


@pytest.mark.parametrize("epoch", [6, 7, 19])
def test_then_everything_trains(epoch):
    assert names(REFERENCE, epoch) == {layer.name for layer in tower(12)}


def test_the_stages_are_those_written():
    assert plan(REFERENCE).stages == (0, 2, 6)


def test_the_order_in_the_file_does_not_matter():
    assert plan(REFERENCE[::-1]) == plan(REFERENCE)


def test_what_is_unfrozen_stays_so_from_its_first_mention():
    schedule = [{"epoch": 0, "layers": ["all"]}, {"epoch": 5, "layers": ["classifier"]}]
    assert plan(schedule).first_epoch == (0,) * 15


def test_what_is_never_named_never_trains():
    assert plan([{"epoch": 0, "layers": ["classifier", "top"]}]).first_epoch == (*(None,) * 13, 0, 0)


@pytest.mark.parametrize(
    ("epochs", "depth", "stages"),
    [
        (20, 12, (0, 2, 6)),
        (10, 12, (0, 1, 3)),
        (40, 24, (0, 4, 12)),
        (100, 6, (0, 10, 30)),
        (3, 12, (0, 1)),
        (1, 12, (0,)),
    ],
)
def test_without_a_schedule_the_references_is_scaled_to_the_run(epochs, depth, stages):
    scaled = plan(None, depth, epochs)
    assert scaled.stages == stages
    assert scaled.trains(epochs - 1) == frozenset(range(depth + 3))


def test_the_scaled_schedule_takes_the_towers_own_last_block():
    assert names(None, 2, depth=24) == {HEAD, "block.23"}


def test_disabled_means_everything_from_the_start():
    assert plan_unfreezing(ProgressiveUnfreezingConfig(), tower(3), 5).first_epoch == (0,) * 6


def test_an_unknown_layer_is_refused_with_near_ones():
    with pytest.raises(ConfigError, match=r"no layer is called 'block\.12'; near ones: block\.2, block\.1, block\.11"):
        plan([{"epoch": 0, "layers": ["block.12"]}])


def test_a_stage_behind_the_last_epoch_is_refused():
    with pytest.raises(ConfigError) as caught:
        plan(REFERENCE, epochs=6)
    assert caught.value.message == (
        "training.progressive_unfreezing.unfreeze_schedule: epoch 6 lies behind the last epoch, 5 (epochs count from 0)"
    )
