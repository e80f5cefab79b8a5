"""Training end to end: real small models, real images, every file of a run."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import signal
from importlib.util import find_spec
from pathlib import Path

import filelock
import numpy as np
import open_clip
import pytest
import torch
import yaml
from safetensors.torch import load_file
from tiny_world import read_metrics, row_of, trained_epochs, write_colours, write_model

from clipft_cli.cli.interrupt import signals_raise
from clipft_cli.config.load import load_config
from clipft_cli.config.train import TrainConfig
from clipft_cli.engine.checkpoint.load import load_classifier
from clipft_cli.engine.events import EpochDone, Note, Plan, StepDone
from clipft_cli.engine.files.signed import signed_json
from clipft_cli.engine.images.decode import decode_image
from clipft_cli.engine.manifest import read_manifest
from clipft_cli.engine.methods import METHODS as METHODS_BUILT
from clipft_cli.engine.methods.base import MethodSettings
from clipft_cli.engine.model.nf4 import unpack
from clipft_cli.engine.run_dir import RunDir, find_checkpoint
from clipft_cli.engine.train import dry_run, resume, train
from clipft_cli.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    InterruptedRun,
    ModelError,
    ResourceError,
    TrainingError,
)

CPU = torch.device("cpu")
METHODS = ("full", "lora", *(("qlora",) if find_spec("bitsandbytes") else ()), "linear_probe", "zero_shot")
FOUR_EPOCHS = {"training.num_epochs": 4, "training.learning_rate": 3e-3}


class Recorder(list):
    """What a run told, in order."""

    def __call__(self, event: object) -> None:
        self.append(event)

    def of(self, kind: type) -> list:
        return [event for event in self if isinstance(event, kind)]

    @property
    def notes(self) -> str:
        return "\n".join(event.text for event in self.of(Note))


@pytest.fixture(scope="module")
def runs(tiny, tmp_path_factory):
    """One finished run of each method, from the class prompts where there is a choice."""
    root = tmp_path_factory.mktemp("runs")
    finished = {}
    for method in METHODS:
        settings = {"model.head_start": "probe" if method == "linear_probe" else "text", **FOUR_EPOCHS}
        events = Recorder()
        finished[method] = train(tiny.config(method, root / method, settings), events), events
    return finished


def val_images(tiny) -> tuple[torch.Tensor, torch.Tensor]:
    """val as open_clip's own validation transform gives it, and its labels."""
    manifest = read_manifest(tiny.data)
    open_clip.add_model_config(tiny.architecture)
    transform = open_clip.create_model_and_transforms(tiny.architecture.stem)[2]
    rows = manifest.split("val")
    images = torch.stack([transform(decode_image(manifest.file(row))) for row in rows])
    return images, torch.tensor([row.label for row in rows])


@pytest.mark.parametrize("method", METHODS)
def test_a_run_leaves_every_file(runs, method):
    result, _ = runs[method]
    run = result.run_dir
    for name in ("config.yaml", "metrics.jsonl", "summary.json", "best", "last"):
        assert (run / name).is_file(), name
    trains = method in ("full", "lora", "qlora")
    assert bool(list(run.glob("events.out.tfevents.*"))) is trains
    assert len(read_metrics(run)) == (1 if method == "zero_shot" else 2 + result.epochs)
    assert json.loads((run / "summary.json").read_text())["best"]["top1"] == result.best.top1
    assert find_checkpoint(run / "best") == result.checkpoint
    assert find_checkpoint(run / "last").is_dir()
    assert not (run / "resume").exists()
    assert not [path for path in run.rglob(".*") if path.name != ".lock"]


@pytest.mark.parametrize("method", METHODS)
def test_nothing_in_a_run_is_a_pickle(runs, method):
    for path in runs[method][0].run_dir.rglob("*"):
        if path.is_file() and "tfevents" not in path.name:
            assert path.suffix in (".safetensors", ".json", ".jsonl", ".yaml", "") or path.name in (
                "problems.csv",
                "trained_on.txt",
                "README.md",
            )
            assert not path.read_bytes().startswith((b"PK", b"\x80"))


@pytest.mark.parametrize("method", METHODS)
def test_the_saved_config_is_the_whole_of_it(runs, tiny, method):
    run = runs[method][0].run_dir
    saved = load_config(TrainConfig, run / "config.yaml")
    by_rule = {"hardware.num_threads": torch.get_num_threads()}
    settings = {"model.head_start": "probe" if method == "linear_probe" else "text", **FOUR_EPOCHS, **by_rule}
    assert saved == tiny.config(method, run, settings)


@pytest.mark.parametrize("method", METHODS)
def test_epoch_zero_is_open_clips_own_zero_shot_classifier(runs, tiny, method):
    images, labels = val_images(tiny)
    model = open_clip.create_model(tiny.architecture.stem, pretrained=str(tiny.weights)).eval()
    if method == "qlora":  # the packed tower is what it starts from
        METHODS_BUILT["qlora"].prepare(model, MethodSettings.of(TrainConfig(method="qlora")))
        unpack(model.visual)
    names = [cls.readable for cls in read_manifest(tiny.data).classes]
    templates = load_classifier(runs[method][0].checkpoint, CPU).card.templates
    weight = open_clip.build_zero_shot_classifier(
        model, open_clip.get_tokenizer(tiny.architecture.stem), names, templates
    )
    with torch.no_grad():
        logits = model.logit_scale.exp() * model.encode_image(images, normalize=True) @ weight
    start = read_metrics(runs[method][0].run_dir)[0]
    assert start["epoch"] == 0
    assert start["val_top1"] == float((logits.argmax(1) == labels).double().mean())
    assert start["val_loss"] == pytest.approx(float(torch.nn.functional.cross_entropy(logits, labels)), rel=1e-4)
    if method == "zero_shot":
        loaded = load_classifier(runs[method][0].checkpoint, CPU)
        with torch.no_grad():
            torch.testing.assert_close(loaded.classifier(images), logits, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("method", ["full", "lora", "linear_probe"])
def test_training_beats_its_own_zero_shot(runs, method):
    result, _ = runs[method]
    assert result.best.top1 >= result.zero_shot.top1 + 0.2
    assert result.best.top1 > 0.6


@pytest.mark.parametrize("method", METHODS)
def test_a_checkpoint_gives_the_metrics_it_was_chosen_for(runs, tiny, method):
    result, _ = runs[method]
    images, labels = val_images(tiny)
    loaded = load_classifier(result.checkpoint, CPU)
    with torch.no_grad():
        logits = loaded.classifier(images)
    assert float((logits.argmax(1) == labels).double().mean()) == result.best.top1
    assert loaded.temperature == result.temperature
    assert [cls.name for cls in loaded.classes] == ["blue", "green", "red"]


def test_a_checkpoint_loads_in_plain_open_clip_with_the_same_logits(runs, tiny):
    checkpoint = runs["full"][0].checkpoint
    images, _ = val_images(tiny)
    loaded = load_classifier(checkpoint, CPU)
    plain, transform = open_clip.create_model_from_pretrained(f"local-dir:{checkpoint}")
    head = load_file(checkpoint / "head.safetensors")
    with torch.no_grad():
        features = plain.eval().encode_image(images, normalize=True)
        torch.testing.assert_close(
            features, torch.nn.functional.normalize(loaded.classifier.features(images)), rtol=1e-4, atol=1e-5
        )
        if set(head) == {"weight", "scale"}:
            logits = head["scale"] * features @ torch.nn.functional.normalize(head["weight"]).T
            torch.testing.assert_close(logits, loaded.classifier(images), rtol=1e-4, atol=1e-4)
    assert tuple(transform.transforms[-1].mean) == loaded.preprocess.mean


@pytest.mark.parametrize("method", [method for method in METHODS if method in ("full", "lora", "qlora")])
def test_the_mix_at_alpha_0_is_the_start(runs, method):
    result, _ = runs[method]
    assert dict(result.alpha_curve)[0.0] == result.start.top1


def test_full_moves_the_image_tower_and_never_the_text_tower(runs, tiny):
    before = load_file(tiny.weights)
    after = load_file(find_checkpoint(runs["full"][0].run_dir / "last") / "open_clip_model.safetensors")
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert {name for name in moved if not name.startswith("visual.")} == set()
    assert {name for name in before if name.startswith("visual.")} == moved


def test_the_plan_says_what_trains(runs):
    for method in ("full", "lora"):
        result, events = runs[method]
        plan = events.of(Plan)[0]
        assert sum(group.n_parameters for group in plan.groups) == result.trainable_parameters
        assert plan.total_steps == plan.steps_per_epoch * plan.num_epochs == 5 * 4
        assert [event.step for event in events.of(StepDone)] == list(range(1, 21))
        assert [event.record.epoch for event in events.of(EpochDone)] == [0, 0, 1, 2, 3, 4]


def test_the_plan_says_which_projections_a_tower_does_not_have(tiny, tmp_path, open_clip_models):
    architecture, weights = write_model(tmp_path, "convnext")
    settings = {"model.name": str(architecture), "model.pretrained": str(weights), "training.num_epochs": 1}
    events = Recorder()
    train(tiny.config("lora", tmp_path / "run", settings), events)
    assert dict(events.of(Plan)[0].facts)["adapters"] == (
        "on fc1, fc2; this tower has no linear layer that can be adapted for q, k, v, out"
    )


def test_an_existing_run_is_never_overwritten(tiny, tmp_path):
    """Nor is the wish given up for another name: whoever reads that name later would measure the older run."""
    config = tiny.config("zero_shot", tmp_path / "zs")
    first = train(config, Recorder())
    content = (first.run_dir / "summary.json").read_bytes()
    with pytest.raises(ResourceError, match="is taken") as caught:
        train(config, Recorder())
    assert caught.value.hint == f"remove it (`rm -r {first.run_dir}`), or choose another --output-dir"
    assert (first.run_dir / "summary.json").read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == ["zs"]


def test_a_signal_as_the_folder_appears_leaves_a_run_to_go_on_with(tiny, tmp_path, monkeypatch):
    """The first that is said once the folder is there: its name was taken."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "outputs" / "full").mkdir(parents=True)
    (tmp_path / "outputs" / "full" / "notes.txt").touch()
    config = tiny.config("full", Path("unused"), {"training.num_epochs": 1}).model_copy(update={"output_dir": None})

    def stop(event: object) -> None:
        if isinstance(event, Note) and "name is taken" in event.text:
            signal.raise_signal(signal.SIGTERM)  # which no shell has ignored in the background

    with signals_raise(), pytest.raises(InterruptedRun, match=r"nothing (new )?is trained yet"):
        train(config, stop)
    assert resume(Path("outputs/full-2"), Recorder()).epochs == 1


def test_two_runs_of_one_seed_are_one_run(tiny, tmp_path):
    finals = [train(tiny.config("full", tmp_path / name), Recorder()) for name in "ab"]
    heads = [load_file(result.checkpoint / "head.safetensors") for result in finals]
    assert all(torch.equal(heads[0][name], heads[1][name]) for name in heads[0])
    assert read_metrics(finals[0].run_dir) == read_metrics(finals[1].run_dir)


def test_workers_and_cache_change_no_result(tiny, tmp_path):
    settings = [{}, {"data.num_workers": 3, "data.image_cache_gb": 0}]
    finals = [train(tiny.config("full", tmp_path / str(i), change), Recorder()) for i, change in enumerate(settings)]
    assert read_metrics(finals[0].run_dir) == read_metrics(finals[1].run_dir)


def test_a_second_process_in_one_run_directory_is_refused(tiny, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    shutil.copy(write_config(tiny, run), run / "config.yaml")
    with filelock.FileLock(run / ".lock"), pytest.raises(ResourceError, match="another process is training here"):
        resume(run, Recorder())


def write_config(tiny, run: Path) -> Path:
    from clipft_cli.config.load import dump_yaml

    path = run.parent / "config-of-it.yaml"
    path.write_text(dump_yaml(tiny.config("full", run)))
    return path


def test_early_stopping_waits_for_its_patience(tiny, tmp_path):
    settings = {
        "training.num_epochs": 12,
        "training.learning_rate": 1e-12,
        "training.early_stopping.patience": 2,
        "training.ema.enabled": False,
    }
    result = train(tiny.config("full", tmp_path / "run", settings), Recorder())
    assert result.stopped_early
    assert result.epochs == 3  # the first is the best so far, then two without improvement


def test_of_epochs_with_equal_accuracy_the_one_with_the_lowest_loss_is_best(tiny, tmp_path):
    settings = {**FOUR_EPOCHS, "training.wise_ft.enabled": False, "checkpoint.keep_best": 2, "training.num_epochs": 6}
    result = train(tiny.config("full", tmp_path / "run", settings), Recorder())
    records = trained_epochs(tmp_path / "run")
    top1 = max(record["val_top1"] for record in records)
    equals = sorted((record["val_loss"], record["epoch"]) for record in records if record["val_top1"] == top1)
    assert equals[0][1] != min(epoch for _, epoch in equals)
    assert result.best_epoch == equals[0][1]
    kept = {epoch for epoch, _ in RunDir(tmp_path / "run").checkpoints()}
    assert kept >= {epoch for _, epoch in equals[:2]}


def test_each_stage_of_unfreezing_has_the_whole_patience(tiny, tmp_path):
    schedule = [{"epoch": 0, "layers": ["classifier"]}, {"epoch": 4, "layers": ["all"]}]
    settings = {
        "training.num_epochs": 10,
        "training.learning_rate": 1e-9,  # nothing ever improves after the first epoch
        "training.early_stopping.patience": 2,
        "training.ema.enabled": False,
        "training.progressive_unfreezing.enabled": True,
        "training.progressive_unfreezing.unfreeze_schedule": schedule,
    }
    result = train(tiny.config("full", tmp_path / "run", settings), Recorder())
    assert result.stopped_early
    assert result.epochs == 7  # the stage begins in epoch 5 and gets two more


def test_an_unknown_layer_leaves_no_run_behind(tiny, tmp_path):
    schedule = [{"epoch": 0, "layers": ["classifier", "block.7", "nothing"]}]
    settings = {
        "training.progressive_unfreezing.enabled": True,
        "training.progressive_unfreezing.unfreeze_schedule": schedule,
    }
    with pytest.raises(ConfigError, match=r"(?s)'block\.7'.*'nothing'"):
        train(tiny.config("full", tmp_path / "run", settings), Recorder())
    assert not (tmp_path / "run").exists()


def test_an_explicit_cosine_head_is_kept(tiny, tmp_path):
    settings = {"model.head": "cosine", "model.head_start": "auto", "training.num_epochs": 1}
    result = train(tiny.config("full", tmp_path / "run", settings), Recorder())
    assert json.loads((tmp_path / "run" / result.checkpoint.name / "checkpoint.json").read_text())["head"] == "cosine"


def test_two_classes_of_one_name_are_refused(tiny, tmp_path, data):
    names = "".join(f"{cls.name} = colour\n" for cls in data.classes)
    (data.root / "classes.txt").write_text(names, encoding="utf-8")
    with pytest.raises(DataError, match="are both called 'colour'"):
        train(tiny.config("full", tmp_path / "run", {"data.dir": data.root}), Recorder())


def test_without_early_stopping_every_epoch_runs(tiny, tmp_path):
    settings = {
        "training.num_epochs": 5,
        "training.learning_rate": 1e-12,
        "training.early_stopping.enabled": False,
        "training.early_stopping.patience": 1,
    }
    assert train(tiny.config("full", tmp_path / "run", settings), Recorder()).epochs == 5


UNFREEZING = {
    "training.num_epochs": 3,
    "training.learning_rate": 3e-3,
    "training.ema.enabled": False,
    "training.wise_ft.enabled": False,
    "checkpoint.keep_last": 3,
    "training.progressive_unfreezing.enabled": True,
    "training.progressive_unfreezing.unfreeze_schedule": [
        {"epoch": 0, "layers": ["classifier"]},
        {"epoch": 1, "layers": ["vision_model.encoder.layers.2"]},
        {"epoch": 2, "layers": ["all"]},
    ],
}


def test_frozen_layers_are_bit_equal_until_they_thaw(tiny, tmp_path):
    result = train(tiny.config("full", tmp_path / "run", UNFREEZING), Recorder())
    states = [load_file(tiny.weights)]
    states += [
        load_file(result.run_dir / f"checkpoint-epoch-{epoch}" / "open_clip_model.safetensors") for epoch in (1, 2, 3)
    ]
    moved = [
        {name for name in before if not torch.equal(before[name], after[name])}
        for before, after in itertools.pairwise(states)
    ]
    assert moved[0] == set()
    assert {name.split(".")[3] for name in moved[1]} == {"2"}
    assert moved[1] == {name for name in states[0] if name.startswith("visual.transformer.resblocks.2.")}
    assert moved[2] == {name for name in states[0] if name.startswith("visual.")}
    assert [line["trains"] for line in read_metrics(result.run_dir)] == [
        "zero-shot",
        "start (linear probe)",
        "classifier",
        "block.2 + classifier",
        "all",
    ]


def test_tensorboard_tells_what_trains_and_at_which_rate(tiny, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    result = train(tiny.config("full", tmp_path / "run", UNFREEZING), Recorder())
    events = EventAccumulator(str(tmp_path / "run")).Reload()
    counts = [scalar.value for scalar in events.Scalars("work/trainable_parameters")]
    assert counts == sorted(counts)
    assert len(set(counts)) > 1
    scalars = events.Tags()["scalars"]
    assert sorted({tag.split("/")[0] for tag in scalars}) == ["loss", "val", "work"]  # as TensorBoard orders them
    assert events.Scalars("val/top1")[0].step == 0
    assert events.Scalars("val/top1")[0].value == pytest.approx(result.start.top1)
    head, stem = (events.Scalars(f"work/learning_rate of {name}")[0] for name in ("classifier", "stem"))
    assert head.value > 0.0
    assert head.step == 1
    assert stem.step == events.Scalars("val/top1")[2].step + 1


def test_few_shot_and_fraction_train_on_what_they_say(tiny, tmp_path):
    few = Recorder()
    train(tiny.config("full", tmp_path / "few", {"data.few_shot": 3, "training.num_epochs": 1}), few)
    assert sum(event.n_images for event in few.of(StepDone)) == 9
    half = Recorder()
    train(tiny.config("full", tmp_path / "half", {"data.fraction": 0.5, "training.num_epochs": 1}), half)
    assert sum(event.n_images for event in half.of(StepDone)) == 18


@pytest.mark.parametrize("balance", ["sampler", "loss"])
def test_balanced_classes_train(tiny, tmp_path, balance):
    settings = {"data.class_balance": balance, "training.num_epochs": 1}
    assert train(tiny.config("full", tmp_path / "run", settings), Recorder()).epochs == 1


def test_accumulation_takes_the_micro_batches_of_one_update(tiny, tmp_path):
    settings = {"training.num_epochs": 1, "data.batch_size": 4, "training.gradient_accumulation_steps": 4}
    events = Recorder()
    train(tiny.config("full", tmp_path / "run", settings), events)
    assert [event.n_images for event in events.of(StepDone)] == [16, 16, 4]


def test_old_checkpoints_go_the_best_and_the_newest_stay(runs):
    result, _ = runs["full"]
    kept = {path.name for path in result.run_dir.glob("checkpoint-epoch-*")}
    lines = [line for line in read_metrics(result.run_dir) if line["epoch"] > 0]
    best = [line["epoch"] for line in sorted(lines, key=lambda line: (-line["val_top1"], line["val_loss"]))[:3]]
    assert kept == {f"checkpoint-epoch-{epoch}" for epoch in {4, *best}}


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["head.safetensors", "open_clip_model.safetensors", "open_clip_config.json"])
@pytest.mark.parametrize("fault", ["flipped", "cut", "missing"])
def test_a_damaged_checkpoint_is_refused_by_name(runs, tmp_path, name, fault):
    checkpoint = Path(shutil.copytree(runs["full"][0].checkpoint, tmp_path / "damaged"))
    path = checkpoint / name
    if fault == "flipped":
        flip(path)
    elif fault == "cut":
        path.write_bytes(path.read_bytes()[:-10])
    else:
        path.unlink()
    with pytest.raises(CheckpointError, match=name.replace(".", r"\.")):
        load_classifier(checkpoint, CPU)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"{}", b'{"format": 99}', b'{"format": 1}', b"\xff\xfe", b"[" * 9999]
)
def test_a_damaged_card_is_refused(runs, tmp_path, content):
    checkpoint = Path(shutil.copytree(runs["full"][0].checkpoint, tmp_path / "damaged"))
    (checkpoint / "checkpoint.json").write_bytes(content)
    with pytest.raises(CheckpointError):
        load_classifier(checkpoint, CPU)


def test_every_field_of_a_card_can_be_missing_or_wrong(runs, tmp_path):
    checkpoint = Path(shutil.copytree(runs["full"][0].checkpoint, tmp_path / "damaged"))
    card = checkpoint / "checkpoint.json"
    whole = json.loads(card.read_text())
    for key in whole.keys() - {"sha256"}:
        for value in (None, 7, "x", [], {}, [[]], {"a": 1}):
            card.write_text(signed_json({**whole, key: value}))
            try:
                load_classifier(checkpoint, CPU)
            except (CheckpointError, ModelError) as error:
                assert "\n" not in error.message  # noqa: PT017
        card.write_text(signed_json({k: v for k, v in whole.items() if k != key}))
        if key not in ("kept", "metrics", "objective", "precision", "selected_on", "versions"):
            with pytest.raises(CheckpointError):
                load_classifier(checkpoint, CPU)


def test_another_activation_than_the_recorded_one_is_refused(runs, tmp_path):
    checkpoint = Path(shutil.copytree(runs["full"][0].checkpoint, tmp_path / "damaged"))
    card = checkpoint / "checkpoint.json"
    content = json.loads(card.read_text())
    content["base"]["quick_gelu"] = True
    card.write_text(signed_json(content))
    with pytest.raises(CheckpointError, match="the activation built"):
        load_classifier(checkpoint, CPU)


def test_adapters_on_another_base_are_refused(tiny, tmp_path, open_clip_models):
    architecture, weights = write_model(tmp_path, seed=0)
    settings = {"model.name": str(architecture), "model.pretrained": str(weights), "training.num_epochs": 1}
    result = train(tiny.config("lora", tmp_path / "run", settings), Recorder())
    load_classifier(result.checkpoint, CPU)
    architecture.unlink()  # the checkpoint describes it
    load_classifier(result.checkpoint, CPU)
    away = weights.rename(tmp_path / "elsewhere.safetensors")
    with pytest.raises(CheckpointError, match="its base model is not there") as error:
        load_classifier(result.checkpoint, CPU)
    assert "--base FILE" in error.value.hint
    load_classifier(result.checkpoint, CPU, base=away)
    weights.symlink_to(away)
    load_classifier(result.checkpoint, CPU)
    weights.unlink()
    shutil.copy(write_model(tmp_path, seed=1)[1], weights)
    with pytest.raises(CheckpointError, match="belongs to another base model: the weights"):
        load_classifier(result.checkpoint, CPU)
    shutil.copy(away, result.checkpoint / weights.name)  # beside the adapters it goes before
    load_classifier(result.checkpoint, CPU)


@pytest.mark.parametrize("method", [method for method in METHODS if METHODS_BUILT[method].has_adapters])
def test_a_tower_that_adapters_cannot_reach_leaves_no_run_behind(tiny, tmp_path, open_clip_models, method):
    architecture, weights = write_model(tmp_path, "convnext")
    settings = {"model.name": str(architecture), "model.pretrained": str(weights), "lora.target_modules": ["q", "v"]}
    with pytest.raises(ModelError, match="ConvNeXt has no linear layers LoRA can adapt for q, v") as error:
        train(tiny.config(method, tmp_path / "run", settings), Recorder())
    assert error.value.hint.startswith("it has some for fc1, fc2 (lora.target_modules); or fine-tune all of it")
    assert not (tmp_path / "run").exists()


@pytest.fixture
def data(tmp_path, monkeypatch):
    from clipft_cli.engine.images import dataset

    monkeypatch.setattr(dataset, "RETRY_SECONDS", 0.0)
    return write_colours(tmp_path / "data")


def test_a_run_that_fails_before_its_first_update_leaves_its_name_free(tiny, tmp_path, data):
    """And all images that are gone are counted, not those that were met."""
    gone = data.split("train")[:8]
    for row in gone:
        (data.root / row.path).unlink()
    with pytest.raises(DataError, match="8 of 36 images cannot be read any more"):
        train(tiny.config("full", tmp_path / "run", {"data.dir": data.root}), Recorder())
    left = (tmp_path / "run" / "problems.csv").read_text()
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["problems.csv"]
    assert all(row.path in left for row in gone)
    with pytest.raises(CheckpointError, match="is no run directory"):
        resume(tmp_path / "run", Recorder())
    settings = {"data.dir": data.root, "data.max_bad_share": 0.5, "training.num_epochs": 1}
    events = Recorder()
    assert train(tiny.config("full", tmp_path / "run", settings), events).bad_images == 8
    assert "8 images could not be read, another of the class stands in" in events.notes


def test_images_that_went_bad_are_counted_and_listed(tiny, tmp_path, data):
    data.file(data.split("train")[0]).unlink()
    settings = {"data.dir": data.root, "training.num_epochs": 1}
    events = Recorder()
    result = train(tiny.config("full", tmp_path / "run", settings), events)
    assert result.bad_images == 1
    listed = (result.run_dir / "problems.csv").read_text()
    assert "train/blue/blue-00.jpg" in listed
    assert "replaced by train/blue/blue-01.png" in listed
    assert "1 removed (train/blue/blue-00.jpg)" in events.notes
    assert events.notes.count("1 image could not be read, another of the class stands in: see ") == 1


def test_too_many_bad_images_stop_the_run(tiny, tmp_path, data):
    for row in data.split("train")[::6]:
        data.file(row).unlink()
    with pytest.raises(DataError, match="images cannot be read any more"):
        train(tiny.config("full", tmp_path / "run", {"data.dir": data.root}), Recorder())


def test_images_added_since_prepare_are_said(tiny, tmp_path, data):
    shutil.copy(data.file(data.split("train")[0]), data.root / "train" / "blue" / "new.jpg")
    events = Recorder()
    train(tiny.config("zero_shot", tmp_path / "run", {"data.dir": data.root}), events)
    assert "1 added (train/blue/new.jpg)" in events.notes
    assert f"`clipft prepare {data.root}`" in events.notes


@pytest.mark.parametrize("classes", [1, 2])
def test_a_class_without_training_images_is_refused(tiny, tmp_path, data, classes):
    from dataclasses import replace

    from clipft_cli.engine.manifest import digest_of, write_manifest

    kept = tuple(row for row in data.rows if row.split != "train" or row.label < classes)
    write_manifest(replace(data, rows=kept, digest=digest_of(data.classes, kept)))
    with pytest.raises(DataError, match=r"no training images for .*red"):
        train(tiny.config("full", tmp_path / "run", {"data.dir": data.root}), Recorder())
    assert not (tmp_path / "run").exists()


def test_a_data_set_without_val_is_refused(tiny, tmp_path):
    data = write_colours(tmp_path / "data", {"train": 2, "test": 2})
    with pytest.raises(DataError, match=r"the split 'val' has no images \(train: 6, val: 0, test: 6\)"):
        train(tiny.config("full", tmp_path / "run", {"data.dir": data.root}), Recorder())


class Poison:
    """Makes the loss of chosen calls infinite, by way of the head's own output."""

    def __init__(self, monkeypatch, is_bad) -> None:
        from clipft_cli.engine.loop.step import Stepper

        self.calls = 0
        own = Stepper._loss

        def loss(stepper, logits, labels):
            self.calls += 1
            rate = stepper.optimizer.param_groups[-1]["lr"]
            return own(stepper, logits, labels) * (float("inf") if is_bad(self.calls, rate) else 1.0)

        monkeypatch.setattr(Stepper, "_loss", loss)


def test_a_non_finite_update_is_skipped_and_counted(tiny, tmp_path, monkeypatch):
    Poison(monkeypatch, lambda call, rate: call in (3, 5))
    result = train(tiny.config("full", tmp_path / "run"), Recorder(), is_rehearsed=True)
    assert result.skipped_steps == 2
    assert [line["skipped_steps"] for line in trained_epochs(result.run_dir)] == [2, 2]


def test_too_many_in_a_row_stop_the_run_naming_step_and_images(tiny, tmp_path, monkeypatch):
    Poison(monkeypatch, lambda call, rate: call >= 3)
    with pytest.raises(TrainingError) as caught:
        train(tiny.config("full", tmp_path / "run"), Recorder(), is_rehearsed=True)
    message = caught.value.message
    assert message.startswith("step 5: loss inf, gradient norm nan, 3 updates in a row were not finite (images: train/")
    assert message.endswith("training: all)")
    assert "non_finite=rollback" in (caught.value.hint or "")


def test_a_rollback_halves_the_learning_rate(tiny, tmp_path, monkeypatch):
    Poison(monkeypatch, lambda call, rate: rate > 1.1e-3)
    settings = {
        "training.non_finite": "rollback",
        "training.learning_rate": 4e-3,
        "training.schedule": "constant",
        "training.warmup_ratio": 0,
    }
    events = Recorder()
    result = train(tiny.config("full", tmp_path / "run", settings), events)
    assert "back to step 0 with 0.5 of the learning rate" in events.notes
    assert "back to step 0 with 0.25 of the learning rate" in events.notes
    assert [line["lr"] for line in trained_epochs(result.run_dir)] == [1e-3, 1e-3]


def test_a_rollback_is_the_run_that_never_went_wrong(tiny, tmp_path, monkeypatch):
    """Moments of the optimizer go back too, to none at all at the first step."""
    settings = {
        "training.non_finite": "rollback",
        "training.learning_rate": 2e-3,
        "training.schedule": "constant",
        "training.warmup_ratio": 0,
        "model.head_start": "text",
    }
    plain = train(
        tiny.config("full", tmp_path / "plain", {**settings, "training.learning_rate": 1e-3}),
        Recorder(),
        is_rehearsed=True,
    )
    Poison(monkeypatch, lambda call, rate: rate > 1.1e-3 and call > 2)
    rolled = train(tiny.config("full", tmp_path / "rolled", settings), Recorder(), is_rehearsed=True)
    assert read_metrics(rolled.run_dir) == read_metrics(plain.run_dir)


def test_rollbacks_come_to_an_end(tiny, tmp_path, monkeypatch):
    Poison(monkeypatch, lambda call, rate: True)
    with pytest.raises(TrainingError, match="3 updates in a row"):
        train(tiny.config("full", tmp_path / "run", {"training.non_finite": "rollback"}), Recorder(), is_rehearsed=True)


def test_a_dry_run_writes_nothing(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    measured = dry_run(tiny.config("full", tmp_path / "run"), Recorder())
    assert measured["images_per_second"] > 0
    assert measured["total_steps"] == 10
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("method", METHODS)
def test_a_dry_run_of_any_method_measures_and_names_the_trees_pick(tiny, tmp_path, monkeypatch, method):
    monkeypatch.chdir(tmp_path)
    events = Recorder()
    measured = dry_run(tiny.config(method, tmp_path / "run"), events)
    assert measured["peak_host_memory_gib"] > 0
    assert measured["estimated_seconds"] > 0
    assert (measured["epochs"] > 0) is (method in ("full", "lora", "qlora"))
    assert measured["advice"] == {
        "tree": "LoRA or QLoRA",
        "method": "lora",
        "why": "63 images; without a GPU its memory does not decide",
    }
    facts = dict(events.of(Plan)[0].facts)
    assert re.match(r"about .*; \d+ images/s, peak memory .* GiB of the host \(measured: ", facts["expect"])
    assert facts["advice"].startswith("the decision tree says LoRA or QLoRA (63 images")
    assert list(tmp_path.iterdir()) == []


def test_a_run_is_rehearsed_and_nothing_of_it_stays(tiny, tmp_path):
    """Weights, moments and the draw of dropout after a rehearsal are those of a run without one."""
    settings = {"lora.lora_dropout": 0.3, "hardware.mixed_precision": "no"}
    events = Recorder()
    with_rehearsal = train(tiny.config("lora", tmp_path / "a", settings), events)
    without = train(tiny.config("lora", tmp_path / "b", settings), Recorder(), is_rehearsed=True)
    assert "expect" in dict(events.of(Plan)[0].facts)
    ours, theirs = (load_file(result.checkpoint / "adapter.safetensors") for result in (with_rehearsal, without))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    rows, others = (read_metrics(result.run_dir) for result in (with_rehearsal, without))
    assert [row["train_loss"] for row in rows] == [row["train_loss"] for row in others]


def test_without_a_mix_too_no_run_ends_below_its_start(tiny, tmp_path):
    spoilt = {"training.learning_rate": 2.0, "training.ema.enabled": False, "training.wise_ft.enabled": False}
    events = Recorder()
    result = train(tiny.config("full", tmp_path / "run", {"model.head_start": "probe", **spoilt}), events)
    assert (result.alpha, result.best.top1, result.alpha_curve) == (0.0, result.start.top1, ())
    assert "the start is kept" in events.notes


def test_a_run_chosen_by_loss_says_so_and_its_curve_is_of_accuracy(tiny, tmp_path):
    events = Recorder()
    result = train(tiny.config("full", tmp_path / "run", {"training.select_by": "loss"}), events)
    assert result.best.loss <= result.start.loss
    assert "(WiSE-FT), loss on val: 0: " in events.notes
    assert "-" not in events.notes.partition("(WiSE-FT), loss on val:")[2].partition(";")[0]
    assert dict(result.alpha_curve)[result.alpha] == result.best.top1


def test_where_fine_tuning_does_not_help_the_start_is_kept(tiny, tmp_path):
    settings = {"model.head_start": "probe", "training.learning_rate": 2.0, "training.ema.enabled": False}
    events = Recorder()
    result = train(tiny.config("full", tmp_path / "run", settings), events)
    assert result.best.top1 >= result.start.top1
    assert result.alpha == 0.0
    assert "the start is kept" in events.notes


@pytest.mark.parametrize("family", ["quickgelu", "resnet", "timm-vit", "attention-pool", "convnext"])
def test_every_tower_family_trains_and_comes_back(tiny, tmp_path, open_clip_models, family):
    architecture, weights = write_model(tmp_path, family)
    settings = {"model.name": str(architecture), "model.pretrained": str(weights), "training.num_epochs": 1}
    result = train(tiny.config("full", tmp_path / "run", settings), Recorder())
    loaded = load_classifier(result.checkpoint, CPU)
    saved = yaml.safe_load((result.run_dir / "config.yaml").read_text())
    assert saved["model"]["name"] == str(architecture)
    images, labels = val_images(tiny)
    with torch.no_grad():
        pixels = [loaded.preprocess.pixels(decode_image(p)) for p in val_paths(tiny)]
        logits = loaded.classifier(loaded.preprocess.normalise(torch.from_numpy(np.stack(pixels))))
    assert images.shape[0] == len(logits)
    assert float((logits.argmax(1) == labels).double().mean()) == result.best.top1


def val_paths(tiny) -> list[Path]:
    manifest = read_manifest(tiny.data)
    return [manifest.file(row) for row in manifest.split("val")]


def test_two_classes_with_one_image_each_train(tiny, tmp_path):
    data = write_colours(tmp_path / "data", {"train": 1, "val": 1})
    assert row_of(data.root, data.file(data.rows[0]), 0, "train").sha256 == data.rows[0].sha256
    assert train(tiny.config("full", tmp_path / "run", {"data.dir": data.root}), Recorder()).epochs == 2
