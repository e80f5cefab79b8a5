"""Out of memory, simulated at chosen points: the micro-batch is split, the run's meaning stays."""

from __future__ import annotations

import json
import signal

import pytest
import torch
from typer.testing import CliRunner

from clipft_cli.cli.app import app
from clipft_cli.engine.events import Note, StepDone
from clipft_cli.engine.model.classifier import Classifier
from clipft_cli.engine.train import resume, train
from clipft_cli.errors import InterruptedRun, ResourceError, is_out_of_memory

ERRORS = {
    "cuda": lambda: torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB"),
    "cpu": lambda: RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"),
    "python": MemoryError,
}


@pytest.fixture
def small_memory(monkeypatch):
    """small_memory(most, kind, after, while_training): more than `most` images at once do not fit from a call on."""

    def shrink(most: int, kind: str = "cuda", after: int = 0, is_training: bool | None = None) -> None:
        calls = 0
        for name in ("forward", "features"):
            real = getattr(Classifier, name)

            def limited(self, images, *rest, real=real):
                nonlocal calls
                calls += 1
                if calls > after and len(images) > most and is_training in (None, torch.is_grad_enabled()):
                    raise ERRORS[kind]()
                return real(self, images, *rest)

            monkeypatch.setattr(Classifier, name, limited)

    return shrink


def trained(tiny, folder, **settings):
    events: list = []
    flags = {
        "training.num_epochs": 2,
        "data.augmentation": "none",
        **{k.replace("__", "."): v for k, v in settings.items()},
    }
    result = train(tiny.config("full", folder, flags), events.append)
    return result, [event.text for event in events if isinstance(event, Note)]


def losses(run):
    return [json.loads(line)["train_loss"] for line in (run / "metrics.jsonl").read_text().splitlines()][2:]


@pytest.mark.parametrize(("kind", "after"), [("cuda", 0), ("cpu", 8), ("python", 13)])
def test_training_goes_on_with_a_smaller_micro_batch(tiny, tmp_path, small_memory, count, kind, after):
    trained(tiny, tmp_path / "whole")
    small_memory(3, kind, after, is_training=True)
    _, notes = trained(tiny, tmp_path / "split")
    assert any("the micro-batch is now 2 images" in text for text in notes)
    assert losses(tmp_path / "split") == pytest.approx(losses(tmp_path / "whole"), rel=1e-4)
    count("simulated out of memory", 1, 1, f"training, {kind}, from forward {after}")


@pytest.mark.parametrize("kind", ERRORS)
def test_passes_without_gradients_are_split_once_and_remembered(tiny, tmp_path, small_memory, count, kind):
    whole, _ = trained(tiny, tmp_path / "whole")
    small_memory(5, kind, is_training=False)
    split, notes = trained(tiny, tmp_path / "split")
    said = [text for text in notes if "out of memory without gradients" in text]
    assert len(said) == 1, said  # halved as often as it takes, said once, then never again
    assert split.best.top1 == whole.best.top1
    assert split.best.loss == pytest.approx(whole.best.loss, rel=1e-4)
    count("simulated out of memory", 1, 1, f"val and features, {kind}")


def test_the_smaller_micro_batch_is_remembered_over_a_resume(tiny, tmp_path, small_memory, monkeypatch, count):
    def stop_after_three(event):
        if isinstance(event, StepDone) and event.step == 3:
            signal.raise_signal(signal.SIGTERM)

    small_memory(3, is_training=True)
    with pytest.raises(InterruptedRun):
        train(tiny.config("full", tmp_path / "run", {"data.augmentation": "none"}), stop_after_three)
    monkeypatch.undo()
    sizes, real = [], Classifier.forward

    def seen(self, images, *rest):
        if torch.is_grad_enabled():
            sizes.append(len(images))
        return real(self, images, *rest)

    monkeypatch.setattr(Classifier, "forward", seen)
    resume(tmp_path / "run", lambda event: None)
    assert max(sizes) == 2
    count("simulated out of memory", 1, 1, "remembered over a resume")


def test_predict_and_evaluate_take_fewer_images_at_once(tiny, tmp_path, small_memory, monkeypatch, count):
    trained(tiny, tmp_path / "run", training__num_epochs=1)
    monkeypatch.chdir(tmp_path)
    commands = (["predict", "--checkpoint", "run", str(tiny.data / "test"), "--json"], ["evaluate", "--json"])
    commands[1].extend(["--checkpoint", "run", "--set", "hardware.mixed_precision=no"])

    def answers():
        texts = [CliRunner().invoke(app, command) for command in commands]
        assert [done.exit_code for done in texts] == [0, 0], texts[0].stderr + texts[1].stderr
        predicted, measured = (json.loads(done.stdout.splitlines()[-1]) for done in texts)
        return [one["predicted"] for one in predicted["results"]], measured["top1"]

    whole = answers()
    small_memory(2, "cpu", is_training=False)
    assert answers() == whole
    count("simulated out of memory", 2, 2, "predict and evaluate")


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("MPS backend out of memory (MPS allocated: 17.1 GB, other allocations: 1.0 GB)"),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory"),
        torch.cuda.OutOfMemoryError("Tried to allocate 20.00 MiB"),
        MemoryError(),
    ],
    ids=["mps", "cuda", "cublas", "cpu", "torch", "python"],
)
def test_it_is_known_by_all_its_names(error):
    assert is_out_of_memory(error)
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))


@pytest.mark.parametrize("is_training", [True, False])
def test_where_one_image_does_not_fit_the_way_out_is_named(tiny, tmp_path, small_memory, is_training):
    small_memory(0, is_training=is_training)
    with pytest.raises(ResourceError, match="not even one image at a time fits") as caught:
        trained(tiny, tmp_path / "run")
    for way in ("gradient_checkpointing", "--method lora", "smaller model"):
        assert way in caught.value.hint


def test_memory_that_runs_out_elsewhere_is_no_defect(tiny, monkeypatch):
    from clipft_cli.engine import train as engine

    def greedy(*args):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(engine, "train", greedy)
    done = CliRunner().invoke(app, ["train", "-d", str(tiny.data)])
    assert done.exit_code == 7
    assert done.stderr.startswith("error: out of memory\nhint: ")
