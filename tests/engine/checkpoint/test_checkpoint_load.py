"""A checkpoint from elsewhere: what is in it is checked before it answers, whichever way it is opened."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from clipft_cli.cli.app import app
from clipft_cli.config.model import HardwareConfig
from clipft_cli.engine.checkpoint.load import load_classifier
from clipft_cli.engine.checkpoint.opened import opened
from clipft_cli.engine.files.digest import file_digest
from clipft_cli.engine.files.signed import signed_json
from clipft_cli.engine.load import load
from clipft_cli.engine.train import train
from clipft_cli.errors import CheckpointError, ClipftError, ModelError

CPU = torch.device("cpu")
METHODS = ("full", "lora", "linear_probe")
IMAGES = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def trained(tiny, tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("trained")
    settings = {"training.num_epochs": 1, "model.head": "linear"}
    return {m: train(tiny.config(m, folder / m, settings), lambda event: None).checkpoint for m in METHODS}


def forged(source: Path, target: Path, **changes: Callable) -> Path:
    """A copy whose files and card are changed, with digests and checksum that are right again.

    `changes`: by a file's stem what is done to its tensors, by `card` what is done to checkpoint.json.
    """
    shutil.copytree(source, target)
    base = Path(json.loads((source.parent / "places.json").read_text())["base file"]["absolute"])
    with contextlib.suppress(FileExistsError):
        (target.parent / base.name).symlink_to(base)
    card = json.loads((target / "checkpoint.json").read_text())
    for stem, change in changes.items():
        if stem != "card":
            file = target / f"{stem}.safetensors"
            tensors = load_file(file)
            change(tensors)
            save_file(tensors, file)
            card["files"][file.name] = file_digest(file)
    changes.get("card", lambda card: None)(card)
    (target / "checkpoint.json").write_text(signed_json(card))
    return target


def both_ways(checkpoint: Path) -> list[torch.Tensor]:
    """Logits by the one road and by the other; a refusal is the same on both."""

    def logits(load: Callable) -> torch.Tensor | str:
        try:
            loaded = load()
        except ClipftError as error:
            return error.message
        with torch.inference_mode():
            return loaded.classifier(loaded.preprocess.normalise((IMAGES * 40 + 128).clamp(0, 255).byte()))

    with opened(checkpoint) as files:
        one = logits(lambda: files.load(CPU))
    other = logits(lambda: load_classifier(checkpoint, CPU))
    assert type(one) is type(other)
    if isinstance(one, str):
        assert len(one.splitlines()) == 1
        raise CheckpointError(one)
    assert torch.equal(one, other)
    return [one]


FORGED = {
    "a bias of one number": {"head": lambda t: t.update(bias=torch.zeros(1))},
    "a bias for another number of classes": {"head": lambda t: t.update(bias=torch.zeros(5))},
    "scale 0": {"head": lambda t: t.update(scale=torch.tensor(0.0))},
    "a negative scale": {"head": lambda t: t.update(scale=torch.tensor(-1.0))},
    "an infinite scale": {"head": lambda t: t.update(scale=torch.tensor(torch.inf))},
    "two scales": {"head": lambda t: t.update(scale=torch.ones(2))},
    "features of another width": {"head": lambda t: t.update(weight=torch.zeros(3, 7))},
    "a weight of one dimension": {"head": lambda t: t.update(weight=torch.zeros(3))},
    "whole numbers": {"head": lambda t: t.update(weight=t["weight"].to(torch.int32))},
    "complex numbers": {"head": lambda t: t.update(weight=t["weight"].to(torch.complex64))},
    "not a number": {"head": lambda t: t["weight"].__setitem__((0, 0), torch.nan)},
    "a bias near the largest float": {"head": lambda t: t["bias"].__setitem__(0, 3.4e38)},
    "a weight beyond all logits": {"head": lambda t: t["weight"].__setitem__((0, 0), -1e30)},
    "temperature inf": {"card": lambda c: c.update(temperature=float("inf"))},
    "temperature 1e300": {"card": lambda c: c.update(temperature=1e300)},
    "temperature true": {"card": lambda c: c.update(temperature=True)},
    "std 1e30": {"card": lambda c: c["preprocess"].update(std=[1e30] * 3)},
    "mean false": {"card": lambda c: c["preprocess"].update(mean=[False] * 3)},
    "a model that is no mapping": {"card": lambda c: c["base"].update(model_cfg=[1])},
    "a class twice": {"card": lambda c: c["classes"].__setitem__(0, c["classes"][1])},
    "a class that is no text": {"card": lambda c: c["classes"][0].update(name=["x"])},
    "a template with two names": {"card": lambda c: c.update(templates=["{} {}"])},
    "a template that looks inside": {"card": lambda c: c.update(templates=["{0.__class__}"])},
}


@pytest.mark.parametrize("kind", FORGED)
@pytest.mark.parametrize("method", ["full", "linear_probe"])
def test_what_cannot_be_a_classifier_is_refused_in_one_line(trained, tmp_path, method, kind):
    with pytest.raises(ClipftError) as refused:
        both_ways(forged(trained[method], tmp_path / "forged", **FORGED[kind]))
    assert refused.value.exit_code == 5
    assert len(str(refused.value).splitlines()) == 1


def test_adapters_and_towers_are_checked_too(trained, tmp_path):
    def spoil(tensors: dict) -> None:
        tensors[sorted(tensors)[0]].view(-1)[0] = torch.inf

    def round_off(tensors: dict) -> None:
        name = sorted(name for name in tensors if "visual" in name or "lora" in name)[0]
        tensors[name] = tensors[name].to(torch.int64)

    for number, change in enumerate((spoil, round_off)):
        with pytest.raises(CheckpointError):
            both_ways(forged(trained["lora"], tmp_path / f"adapter-{number}", adapter=change))

    def spoil_image_tower(tensors: dict) -> None:
        tensors["visual.proj"][0, 0] = torch.nan

    for number, change in enumerate((spoil_image_tower, round_off)):
        with pytest.raises(CheckpointError):
            both_ways(forged(trained["full"], tmp_path / f"tower-{number}", open_clip_model=change))


@pytest.mark.parametrize("number", [1e30, 3.4e38])
@pytest.mark.parametrize(
    ("method", "stem", "name"),
    [("full", "open_clip_model", "visual.proj"), ("lora", "adapter", "blocks.0.fc1.lora_B")],
)
def test_a_weight_that_no_score_comes_out_of_is_refused(trained, tmp_path, method, stem, name, number):
    with pytest.raises(CheckpointError, match="no score comes out of them"):
        both_ways(forged(trained[method], tmp_path / "forged", **{stem: lambda t: t[name].view(-1)[:1].fill_(number)}))


def test_features_of_infinite_length_are_no_answer(trained, tmp_path, tiny):
    """Divided by an infinite length they would be 0, and every image would be of the class with the largest bias."""

    def stretch(tensors: dict) -> None:
        tensors["visual.proj"].fill_(9e9)
        tensors["visual.ln_post.weight"].fill_(9e9)
        tensors["visual.ln_post.bias"].fill_(9e9)

    stretched = forged(trained["full"], tmp_path / "forged", open_clip_model=stretch)
    images = [str(path) for path in (tiny.data / "test").rglob("*.jpg")]
    predicted = CliRunner().invoke(app, ["predict", "--checkpoint", str(stretched), *images])
    measured = CliRunner().invoke(app, ["evaluate", "--checkpoint", str(stretched), "--data-dir", str(tiny.data)])
    for done in (predicted, measured):
        assert done.exit_code == 5, done.output
        assert "finite" in done.stderr
    model = load(stretched, HardwareConfig(device="cpu", mixed_precision="no"))
    assert all(answer.problem and not answer.answers for answer in model.predict(images))
    with pytest.raises(ModelError):
        model.embed(images)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("method", METHODS)
def test_numbers_of_another_width_are_honest_and_are_cast(trained, tmp_path, method, dtype):
    def cast(tensors: dict) -> None:
        tensors.update({name: tensor.to(dtype) for name, tensor in tensors.items() if tensor.is_floating_point()})

    stems = {path.stem for path in trained[method].glob("*.safetensors")}
    (given,) = both_ways(forged(trained[method], tmp_path / "cast", **dict.fromkeys(stems, cast)))
    (own,) = both_ways(trained[method])
    assert given.dtype == torch.float32
    assert torch.allclose(given, own, atol=0.1 * float(own.std()) + 0.05 * float(own.abs().max()))


def mutate(value: object, rng: random.Random) -> object:
    strange = [None, True, -1, 0, 1e308, float("inf"), float("nan"), "", "x" * 9, [], {}, [None], "../..", "\0", 2**70]
    return rng.choice([v for v in strange if v != value])


@pytest.mark.parametrize("method", ["full", "lora"])
def test_a_mutated_checkpoint_answers_as_before_or_is_refused(trained, tmp_path, method):
    """Every place of the card in turn and at random, signed again: no traceback, no other answer in silence."""
    rng = random.Random(0)
    own = both_ways(trained[method])[0]
    target = forged(trained[method], tmp_path / "mutated")
    content = json.loads((target / "checkpoint.json").read_text())
    n_refused = 0
    for _ in range(int(os.environ.get("CLIPFT_FUZZ_CASES", "60"))):
        card = json.loads(json.dumps(content))
        place, key = card, rng.choice(sorted(card.keys() - {"sha256"}))
        while isinstance(place[key], dict | list) and place[key] and rng.random() < 0.8:
            place = place[key]
            key = rng.choice(sorted(place)) if isinstance(place, dict) else rng.randrange(len(place))
        is_meaning = key in (
            "mean",
            "std",
            "resize_mode",
            "interpolation",
            "size",
            "alpha",
            "lora_alpha",
        ) or isinstance(place, list)
        place[key] = mutate(place[key], rng)
        (target / "checkpoint.json").write_text(signed_json(card), encoding="utf-8", errors="replace")
        try:
            answers = both_ways(target)[0]
        except ClipftError:
            n_refused += 1
            continue
        assert is_meaning or torch.equal(answers, own), (key, place[key])
    assert n_refused > 10


@pytest.fixture
def named_base(trained, tmp_path):
    """A checkpoint whose description names that path as the file of its base."""

    def build(path: Path) -> Path:
        return forged(
            trained["lora"],
            tmp_path / "named",
            card=lambda c: c["base"].update(file=str(path), pretrained=str(path)),
        )

    return build


@pytest.mark.parametrize("kind", ["device", "pipe", "sparse", "folder", "text"])
def test_a_base_that_has_no_end_is_not_read(named_base, tmp_path, tiny, kind):
    path = tmp_path / "base.safetensors"
    if kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "sparse":
        path.touch()
        os.truncate(path, 200 << 30)
    elif kind == "folder":
        path.mkdir()
    else:
        path.write_text("no weights")
    began = time.perf_counter()
    image = next((tiny.data / "test").rglob("*.jpg"))
    for args in (["predict", "--checkpoint", str(named_base(path)), str(image)],):
        done = CliRunner().invoke(app, args)
        assert done.exit_code in (4, 5), done.stderr
        assert done.stderr.count("error: ") == 1
        assert "Traceback" not in done.stderr
    assert time.perf_counter() - began < 10
