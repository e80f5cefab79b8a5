"""The benchmark times equal work or nothing, and shows what was missed as missed. Nothing is timed here."""

from __future__ import annotations

import importlib
import inspect
from dataclasses import replace

import pytest

from . import own, own_stages, peers
from .driver import SideFailed, UnequalWork, check_equal, measure
from .figures import Figure, figure_of
from .page import page_of
from .results import add_row, read_results
from .rows import GEMM, HF, OPEN_CLIP, OWN, PEFT_HF, ROWS, Row, Side
from .schedule import EPOCHS, EPOCHS_RUN, WEIGHTS
from .shapes import forward_flops, training_flops
from .work import Task
from .world import build_world

B32 = {"image_size": 224, "patch_size": 32, "width": 768, "layers": 12}
TWO_SIDES = Row("step", {OWN: Side("own:full_step"), OPEN_CLIP: Side("peers:open_clip_full_step")}, ())


@pytest.fixture(scope="module")
def task(tmp_path_factory, open_clip_models_of_module) -> Task:
    photos = {"photographs": (12, (48, 40))}
    return Task(build_world(tmp_path_factory.mktemp("bench"), "tiny", photos), 8, "fp32", 1, {})


@pytest.fixture(scope="module")
def open_clip_models_of_module():
    import open_clip

    before = dict(open_clip.factory._MODEL_CONFIGS), list(open_clip.factory._MODEL_CONFIG_PATHS)
    yield
    open_clip.factory._MODEL_CONFIGS, open_clip.factory._MODEL_CONFIG_PATHS = before


@pytest.fixture(scope="module")
def facts(task) -> dict[str, dict]:
    """Of a full step by the engine, and by a plain loop around open_clip."""
    return {
        OWN: {"facts": own.full_step(task).facts},
        OPEN_CLIP: {"facts": peers.open_clip_full_step(task).facts},
    }


def test_the_same_step_counts_as_equal_work(facts):
    check_equal(TWO_SIDES, facts, 1e-5)
    assert facts[OWN]["facts"]["losses"][0] != facts[OWN]["facts"]["losses"][1]


@pytest.mark.parametrize("change", ["batch", "method", "loss"])
def test_other_work_is_refused(task, facts, change):
    other = {
        "batch": lambda: own.full_step(replace(task, batch_size=4)).facts,
        "method": lambda: own.lora_step(replace(task, options={"targets": ("q", "v")})).facts,
        "loss": lambda: {**facts[OWN]["facts"], "losses": [loss * 1.01 for loss in facts[OWN]["facts"]["losses"]]},
    }[change]()
    with pytest.raises(UnequalWork, match={"batch": "images", "method": "trained", "loss": "losses"}[change]):
        check_equal(TWO_SIDES, {**facts, OWN: {"facts": other}}, 1e-3)


def test_a_difference_that_is_declared_is_let_pass(facts):
    sides = {**TWO_SIDES.sides, OPEN_CLIP: Side("", differs={"losses": "it has another start"})}
    changed = {"facts": {**facts[OPEN_CLIP]["facts"], "losses": [0.0, 0.0]}}
    check_equal(replace(TWO_SIDES, sides=sides), {**facts, OPEN_CLIP: changed}, 1e-5)


@pytest.mark.parametrize("blocks", [0, 2])
def test_a_stage_is_the_same_cached_and_recomputed(task, blocks):
    row = Row("stage", {OWN: Side(""), OPEN_CLIP: Side("")}, ())
    cached, recomputed = (
        {"facts": own_stages.stage(replace(task, options={"blocks": blocks, "cache": cache})).facts}
        for cache in (True, False)
    )
    check_equal(row, {OWN: cached, OPEN_CLIP: recomputed}, 1e-5)


@pytest.mark.slow
def test_hugging_face_and_timm_do_the_same_step(task, facts):
    pytest.importorskip("transformers")
    pytest.importorskip("peft")
    for build in (peers.hf_full_step, peers.timm_full_step):
        check_equal(TWO_SIDES, {**facts, OPEN_CLIP: {"facts": build(task).facts}}, 1e-5)
    adapted = replace(task, options={"targets": ("q", "v")})
    sides = {OWN: {"facts": own.lora_step(adapted).facts}, PEFT_HF: {"facts": peers.hf_lora_step(adapted).facts}}
    check_equal(replace(TWO_SIDES, sides={OWN: Side(""), PEFT_HF: Side("")}), sides, 1e-4)


def test_rounds_are_driven_in_turn_and_end_in_figures(task, tmp_path):
    sides = {"a": Side("gemm:square", is_compared=False), "b": Side("gemm:square", is_compared=False)}
    row = Row("products", sides, (Figure("a over b", "faster", "a", "b", at_least=1e9),))
    result = measure(row, task, 2, lambda text: None)
    assert [len(side["seconds"]) for side in result["sides"].values()] == [2, 2]
    results = add_row(tmp_path / "results.json", "products", result)
    assert read_results(tmp_path / "results.json") == results
    assert "| a over b |" in page_of(results)
    assert "| >= 1e+09 | **no** |" in page_of(results)


def test_a_missed_figure_comes_with_its_reason(tmp_path):
    missed = next(figure for figure in ROWS["full_step"].figures if figure.at_least == 0.85)
    sides = {name: {"seconds": [1.0], "units": 1, "peak_gib": 1.0, "notes": {"flops": 0.5}} for name in (OWN, GEMM)}
    row = {"title": "step", "model": "tiny", "batch_size": 1, "threads": 1, "sides": sides, "differs": {}}
    results = add_row(tmp_path / "results.json", "full_step", {**row, "figures": [figure_of(missed, sides)]})
    assert f"- step (tiny), {missed.what}: {missed.why_missed}." in page_of(results)


def test_a_side_that_cannot_be_built_says_why(task):
    row = Row("products", {"a": Side("gemm:round", is_compared=False)}, ())
    with pytest.raises(SideFailed, match="no attribute 'round'"):
        measure(row, task, 1, lambda text: None)


def test_a_ratio_is_of_one_round():
    sides = {
        OWN: {"seconds": [1.0, 2.0, 4.0], "units": 1, "peak_gib": 1.0, "notes": {"flops": 3.0}},
        HF: {"seconds": [2.0, 3.0, 5.0], "units": 1, "peak_gib": 2.0, "notes": {}},
        GEMM: {"seconds": [1.0, 1.0, 2.0], "units": 6.0, "peak_gib": None, "notes": {}},
    }
    faster = figure_of(Figure("", "faster", OWN, HF, at_least=1.5), sides)
    assert (faster["median"], faster["quartiles"], faster["is_met"]) == (1.5, [1.375, 1.75], True)
    assert figure_of(Figure("", "gemm_share", OWN, GEMM), sides)["median"] == 0.25
    memory = figure_of(Figure("", "memory", OWN, HF, at_most=0.4), sides)
    assert (memory["median"], memory["is_met"]) == (0.5, False)


def test_a_schedule_is_the_sum_of_its_stages():
    sides = {
        OWN: {"seconds": [2.0, 0.0, 3.0, 1.0, 5.0, 4.0], "units": 1},
        HF: {"seconds": [4.0, 0.0, 6.0, 2.0, 10.0, 8.0], "units": 1},
    }
    assert figure_of(Figure("", "schedule", OWN, HF), sides)["median"] == 2.0
    assert sum(WEIGHTS) == EPOCHS
    assert len(WEIGHTS) == len(EPOCHS_RUN)


def test_operations_of_a_vit_b_32():
    assert forward_flops(B32, 512) / 1e9 == pytest.approx(8.8, abs=0.05)
    assert training_flops(B32, 512) / 1e9 == pytest.approx(26.2, abs=0.1)


@pytest.mark.parametrize("name", ROWS)
def test_rows_name_sides_and_functions_that_exist(name):
    row = ROWS[name]
    for side in row.sides.values():
        module, function = side.variant.split(":")
        assert inspect.signature(getattr(importlib.import_module(f".{module}", __package__), function)).parameters
    named = {figure.side for figure in row.figures} | {figure.against for figure in row.figures} - {""}
    assert named <= set(row.sides)
