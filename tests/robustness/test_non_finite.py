"""Losses and weights that are not finite: skipped, counted, stopped or rolled back, never saved."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from clipft_cli.engine.events import Note
from clipft_cli.engine.loop.step import Stepper
from clipft_cli.engine.train import resume, train
from clipft_cli.errors import ModelError, TrainingError


@pytest.fixture
def spoil(monkeypatch):
    """spoil(updates, what): at these updates (from 0) the loss, or the weights after it, are not finite."""

    def at(updates, what="loss"):
        n = -1
        real = Stepper.update

        def update(self, batches, rates, seed):
            nonlocal n
            n += 1
            if n in updates and what == "loss":
                self.class_weights = torch.full((3,), float("nan"))
            done = real(self, batches, rates, seed)
            self.class_weights = None
            if n in updates and what == "weights":
                with torch.no_grad():
                    self.classifier.head.weight.fill_(float("inf"))
            return done

        monkeypatch.setattr(Stepper, "update", update)

    return at


def trained(tiny, folder, **settings):
    events: list = []
    config = tiny.config("full", folder, {k.replace("__", "."): v for k, v in settings.items()})
    return train(config, events.append, is_rehearsed=True), [e.text for e in events if isinstance(e, Note)]


def all_saved_is_finite(run):
    files = list(run.rglob("*.safetensors"))
    assert files
    return all(bool(torch.isfinite(t).all()) for file in files for t in load_file(file).values())


def test_one_bad_update_is_skipped_and_counted(tiny, tmp_path, spoil, count):
    spoil({2})
    result, notes = trained(tiny, tmp_path / "run")
    assert result.skipped_steps == 1
    assert any("step 3: the loss or a gradient is not finite, the update is skipped" in text for text in notes)
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["skipped_steps"] == 1
    assert all_saved_is_finite(tmp_path / "run")
    count("non-finite loss or weights", 1, 1, "one update skipped")


def test_three_in_a_row_stop_the_run_and_name_the_step(tiny, tmp_path, spoil, count):
    spoil({1, 2, 3})
    with pytest.raises(TrainingError, match=r"step 4: loss nan.*3 updates in a row.*images: train/.*training: all"):
        trained(tiny, tmp_path / "run", checkpoint__every_steps=1)
    assert all_saved_is_finite(tmp_path / "run")
    count("non-finite loss or weights", 1, 1, "stopped")


def test_a_rollback_goes_to_before_the_row_with_half_the_rate(tiny, tmp_path, spoil, count):
    spoil({1, 2, 3})
    result, notes = trained(tiny, tmp_path / "run", checkpoint__every_steps=1, training__non_finite="rollback")
    assert any("back to step 1 with 0.5 of the learning rate" in text for text in notes)
    assert result.epochs == 2
    assert all_saved_is_finite(tmp_path / "run")
    count("non-finite loss or weights", 1, 1, "rolled back")


SAYING = {
    1: r"step 5: loss nan.* 3 updates in a row were not finite \(images: train/.*; training: all\)",
    4: r"step 5: the model's answers on 15 val images are not finite \(images: val/.*; training: all\)",
}


@pytest.mark.parametrize("update", SAYING)
def test_spoilt_weights_are_never_saved(tiny, tmp_path, spoil, count, update):
    """After update 5 of 5 no training loss shows it: val does."""
    spoil({update}, "weights")
    with pytest.raises(TrainingError, match=SAYING[update]):
        trained(tiny, tmp_path / "run", checkpoint__every_steps=1)
    assert all_saved_is_finite(tmp_path / "run")
    count("non-finite loss or weights", 1, 1, f"weights after update {update + 1}")


def test_a_base_model_that_gives_no_numbers_is_refused_by_name(tiny, tmp_path):
    weights = load_file(tiny.weights)
    weights["visual.conv1.weight"][0, 0, 0, 0] = float("nan")
    save_file(weights, tmp_path / "nan.safetensors")
    with pytest.raises(ModelError, match=r"features of 15 val images are not finite \(val/") as caught:
        trained(tiny, tmp_path / "run", model__pretrained=str(tmp_path / "nan.safetensors"))
    assert "mixed_precision=no" in caught.value.hint


def test_spoilt_weights_are_rolled_back_bit_for_bit(tiny, tmp_path, spoil):
    """The optimizer's state goes back too, also where nothing was saved of it yet."""
    spoil({1, 2, 3}, "loss")
    result, _ = trained(tiny, tmp_path / "run", training__non_finite="rollback", training__non_finite_limit=3)
    assert result.epochs == 2


def test_a_stopped_run_can_be_resumed_from_what_is_good(tiny, tmp_path, spoil, monkeypatch):
    spoil({1, 2, 3})
    with pytest.raises(TrainingError):
        trained(tiny, tmp_path / "run", checkpoint__every_steps=1)
    monkeypatch.undo()
    assert resume(tmp_path / "run", lambda event: None).skipped_steps == 0
