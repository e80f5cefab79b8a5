"""A run as the start of another: its model, its head by class names, its settings, and what it was trained on."""

from __future__ import annotations

import json
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_world import read_metrics, write_colours

from clipft_cli.config.evaluate import EvaluateConfig
from clipft_cli.config.load import load_config
from clipft_cli.engine.checkpoint.load import load_classifier
from clipft_cli.engine.evaluate import evaluate
from clipft_cli.engine.events import Note, StepDone
from clipft_cli.engine.files.signed import signed_json
from clipft_cli.engine.labels.class_names import ClassInfo
from clipft_cli.engine.manifest import digest_of, read_manifest, sorted_rows, write_manifest
from clipft_cli.engine.run_dir import find_checkpoint
from clipft_cli.engine.train import resume, train, train_on
from clipft_cli.errors import CheckpointError, ConfigError, InterruptedRun

CPU = torch.device("cpu")
SHORT = {"training.num_epochs": 1, "training.learning_rate": 3e-3, "model.pretrained": None}
PARENTS = {
    "lora": ("lora", {}),
    "dora": ("lora", {"lora.use_dora": True, "lora.r": 3}),
    "full": ("full", {}),
    "probe": ("linear_probe", {}),
    "both": ("lora", {"training.objective": "contrastive"}),
}


class Watch:
    """Keeps what is said; sends a signal after a step."""

    def __init__(self, stop_after: int = -1) -> None:
        self.stop_after = stop_after
        self.notes: list[str] = []

    def __call__(self, event: object) -> None:
        if isinstance(event, Note):
            self.notes.append(event.text)
        if isinstance(event, StepDone) and event.step == self.stop_after:
            signal.raise_signal(signal.SIGTERM)


@pytest.fixture(scope="module")
def parents(tiny, tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("parents")
    for name, (method, settings) in PARENTS.items():
        long = {"training.num_epochs": 4, "training.select_by": "loss", "model.head_start": "text"}
        own = {**SHORT, **(long if method == "lora" else {}), "model.pretrained": str(tiny.weights), **settings}
        alpha = train(tiny.config(method, root / name, own), Watch()).alpha
        assert alpha > 0 or method != "lora", name
    return {name: root / name for name in PARENTS}


def child(tiny, parent: Path, run: Path, method: str = "lora", watch: Watch | None = None, **settings: object):
    named = {key.replace("__", "."): value for key, value in settings.items()}
    return train(tiny.config(method, run, {**SHORT, "model.name": str(parent), **named}), watch or Watch())


def answers(run: Path, tiny) -> torch.Tensor:
    loaded = load_classifier(find_checkpoint(run), CPU)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        return loaded.classifier(torch.randn(4, 3, 32, 32, generator=generator))


@pytest.mark.parametrize("method", ["lora", "full", "linear_probe"])
@pytest.mark.parametrize("parent", PARENTS)
def test_any_run_is_a_start_for_any_method(tiny, tmp_path, parents, parent, method):
    """Where nothing is learned the answers are the parent's; the run then stands without its parent."""
    still = {f"training__{key}": False for key in ("wise_ft__enabled", "soup__enabled")}
    shutil.copytree(parents[parent], tmp_path / "parent")
    watch = Watch()
    result = child(tiny, tmp_path / "parent", tmp_path / "run", method, watch, training__learning_rate=1e-12, **still)
    if method == "linear_probe":
        assert result.start_kind == "probe"
        assert not any("the head of" in note for note in watch.notes)
    elif result.start_kind == "run":
        assert any("3 of 3 classes" in note and "starting from it" in note for note in watch.notes)
        ours, theirs = answers(tmp_path / "run", tiny), answers(parents[parent], tiny)
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)
    else:  # on val another start was better than the parent's head
        assert any("it is not the start" in note for note in watch.notes)
    has_own_base = parent in ("lora", "dora", "both")
    assert (tmp_path / "run" / "base").is_dir() == has_own_base
    if has_own_base or method == "full":
        before = answers(tmp_path / "run", tiny)
        shutil.rmtree(tmp_path / "parent")
        (tmp_path / "run").rename(tmp_path / "moved")
        torch.testing.assert_close(answers(tmp_path / "moved", tiny), before)


def test_the_parents_head_is_taken_where_it_is_as_good_as_any_other(tiny, tmp_path, parents):
    parent = json.loads((parents["full"] / "summary.json").read_text())
    watch = Watch()
    result = child(tiny, parents["full"], tmp_path / "run", "full", watch)
    assert result.start_kind == "run"
    assert result.start.top1 == parent["best"]["top1"]
    assert result.best.top1 >= result.start.top1


def test_classes_are_met_by_name_and_new_ones_get_a_head_of_their_own(tiny, tmp_path, parents):
    """One class is called otherwise, and comes first."""
    manifest = write_colours(tmp_path / "data")
    new = [2, 0, 1]  # red, blue, green -> "pink", blue, green
    infos = (ClassInfo("apink", "pink patch"), *manifest.classes[:2])
    rows = sorted_rows(replace(row, label=new.index(row.label)) for row in manifest.rows)
    write_manifest(replace(manifest, classes=infos, rows=rows, digest=digest_of(infos, rows)))
    watch = Watch()
    settings = {"data__dir": tmp_path / "data", "training__learning_rate": 1e-12, "training__soup__enabled": False}
    result = child(tiny, parents["full"], tmp_path / "run", "full", watch, **settings)
    assert any("2 of 3 classes" in note for note in watch.notes)
    if result.start_kind == "run":
        ours, theirs = answers(tmp_path / "run", tiny), answers(parents["full"], tiny)
        torch.testing.assert_close(ours[:, 1:], theirs[:, :2], rtol=1e-3, atol=1e-3)


def test_interrupted_it_goes_on_bit_for_bit(tiny, tmp_path, parents):
    for name, stop_after in (("whole", -1), ("cut", 3)):
        watch = Watch(stop_after)
        try:
            child(tiny, parents["lora"], tmp_path / name, "lora", watch, checkpoint__every_steps=1)
        except InterruptedRun:
            resume(tmp_path / name, Watch())
    assert read_metrics(tmp_path / "cut") == read_metrics(tmp_path / "whole")
    ours, theirs = (load_file(find_checkpoint(tmp_path / name) / "adapter.safetensors") for name in ("cut", "whole"))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize("parent", ["lora", "full"])
def test_more_epochs_are_a_new_run_with_the_settings_of_the_old_one(tiny, tmp_path, parents, parent):
    shutil.copytree(parents[parent], tmp_path / "run")
    watch = Watch()
    result = train_on(tmp_path / "run", 2, watch)
    assert (result.run_dir, result.epochs, result.method) == (tmp_path / "run-2", 2, PARENTS[parent][0])
    assert result.best.top1 >= json.loads((tmp_path / "run" / "summary.json").read_text())["best"]["top1"]
    assert any("the head of" in note for note in watch.notes)
    assert any("2 epochs more, with a new warm-up and cosine schedule" in note for note in watch.notes)
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == sorted(p.name for p in parents[parent].iterdir())


def test_a_method_without_epochs_says_what_can_be_trained_instead(tiny, parents):
    with pytest.raises(ConfigError, match="linear_probe has no epochs to add to") as caught:
        train_on(parents["probe"], 2, Watch())
    assert f"--set model.name={parents['probe']}" in caught.value.hint


def test_more_epochs_need_a_finished_run(tiny, tmp_path, parents):
    shutil.copytree(parents["lora"], tmp_path / "run")
    (tmp_path / "run" / "summary.json").unlink()
    with pytest.raises(CheckpointError, match="is no finished run to train on from") as caught:
        train_on(tmp_path / "run", 2, Watch())
    assert "--resume" in caught.value.hint


def test_a_finished_run_says_how_to_train_on(parents):
    with pytest.raises(CheckpointError, match="nothing to resume") as caught:
        resume(parents["lora"], Watch())
    assert "--more-epochs 5" in caught.value.hint
    assert f"--set model.name={parents['lora']}" in caught.value.hint


def test_images_that_an_ancestor_was_trained_on_are_counted(tiny, tmp_path, parents):
    """A grandchild on a split in which some of the old training images are val and test images."""
    data = shutil.copytree(tiny.data, tmp_path / "data")
    manifest = read_manifest(data)
    moved = {row.path: "val" if i < 2 else "test" for i, row in enumerate(manifest.split("train")[:5])}
    rows = sorted_rows(replace(row, split=moved.get(row.path, row.split)) for row in manifest.rows)
    write_manifest(replace(manifest, rows=rows, digest=digest_of(manifest.classes, rows)))
    child(tiny, parents["lora"], tmp_path / "second", "linear_probe")  # on the old data
    watch = Watch()
    child(tiny, tmp_path / "second", tmp_path / "third", "lora", watch, data__dir=data)
    told = [note for note in watch.notes if "were trained on by" in note]
    assert len(told) == 2
    assert told[0].startswith("2 of the 17 val images")
    assert told[1].startswith("3 of the 15 test images")
    away = shutil.copytree(find_checkpoint(tmp_path / "third"), tmp_path / "away" / "model")
    shutil.copy(tmp_path / "second" / "base" / "open_clip_model.safetensors", away)
    for checkpoint in (tmp_path / "third", away):  # given away alone it knows as much
        assert any("3 of these 15 images were trained on" in note for note in measured(checkpoint, data, tmp_path))


def measured(checkpoint: Path, data: Path, folder: Path, watch: Watch | None = None) -> tuple[str, ...]:
    """The notes of an evaluation on `data`."""
    flags = {"checkpoint": checkpoint, "output_dir": folder / "out", "data_dir": data}
    named = {f"evaluate.{key}": value for key, value in flags.items()}
    config = load_config(EvaluateConfig, flags={**named, "hardware.device": "cpu"})
    return evaluate(config, watch or Watch()).notes


@pytest.mark.parametrize("how", ["checkpoint", "weights"])
def test_a_checkpoint_that_was_given_away_tells_what_it_was_trained_on(tiny, tmp_path, parents, how):
    """As the start of a run elsewhere, whether it is named itself or the file of its weights."""
    data = shutil.copytree(tiny.data, tmp_path / "data")
    manifest = read_manifest(data)
    moved = {row.path: "val" for row in manifest.split("train")[:2]}
    rows = sorted_rows(replace(row, split=moved.get(row.path, row.split)) for row in manifest.rows)
    write_manifest(replace(manifest, rows=rows, digest=digest_of(manifest.classes, rows)))
    away = shutil.copytree(find_checkpoint(parents["full"]), tmp_path / "away" / "model")
    named = {"model.name": str(away)}
    if how == "weights":
        named = {"model.name": str(tiny.architecture), "model.pretrained": str(away / "open_clip_model.safetensors")}
    watch = Watch()
    train(tiny.config("linear_probe", tmp_path / "run", {**SHORT, **named, "data.dir": data}), watch)
    assert any(note.startswith("2 of the 17 val images were trained on by") for note in watch.notes)


def test_where_no_list_of_its_images_goes_with_a_model_it_is_said_by_it_and_by_all_after_it(tiny, tmp_path, parents):
    """As of a checkpoint that an earlier version wrote."""
    old = shutil.copytree(parents["full"], tmp_path / "old")
    for file in (old / "trained_on.txt", *old.glob("*/trained_on.txt")):
        file.unlink()
    for card in old.glob("*/checkpoint.json"):
        content = json.loads(card.read_text())
        del content["files"]["trained_on.txt"]
        card.write_text(signed_json(content))
    watch = Watch()
    child(tiny, old, tmp_path / "second", "linear_probe", watch)
    assert any("keeps no list of the images" in note and "could not be checked" in note for note in watch.notes)
    assert any("has no list of the images" in note for note in measured(tmp_path / "second", tiny.data, tmp_path))
    watch = Watch()
    measured(old, tiny.data, tmp_path, watch)
    assert any("could not be checked" in note for note in watch.notes)


def test_a_damaged_list_of_what_was_trained_on_is_refused(tiny, tmp_path, parents):
    run = shutil.copytree(parents["full"], tmp_path / "run")
    file = find_checkpoint(run) / "trained_on.txt"
    file.write_text(file.read_text()[:-4] + "\n")
    with pytest.raises(CheckpointError, match=r"trained_on\.txt: is damaged"):
        child(tiny, run, tmp_path / "second", "linear_probe")
    with pytest.raises(CheckpointError, match=r"trained_on\.txt: is damaged"):
        measured(run, tiny.data, tmp_path)
