"""Files from elsewhere: nothing runs, nothing is fetched, nothing is written outside."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import re
import shutil
import socket
from pathlib import Path

import pytest
import torch
from broken_runs import clipft_in
from typer.testing import CliRunner

from clipft_cli.cli.app import app
from clipft_cli.engine.checkpoint.load import load_classifier
from clipft_cli.engine.files.signed import signed_json
from clipft_cli.errors import ClipftError

VISION, TEXT = (
    {"image_size": 32, "patch_size": 16, "width": 32, "layers": 3, "head_width": 16},
    {
        "context_length": 16,
        "vocab_size": 49408,
        "width": 8,
        "heads": 2,
        "layers": 1,
    },
)


class Malice:
    """A pickle that leaves a mark where it is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch {self.mark}",)


@pytest.fixture
def no_network(monkeypatch):
    """Any attempt to connect fails the test."""
    tried = []

    def refuse(self, address):
        tried.append(address)
        raise OSError("no network in this test")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *where, **how: refuse(None, where))
    yield
    assert tried == []


@pytest.fixture(scope="session")
def finished(built_place):
    done = clipft_in(built_place, "train", "-c", "run.yaml", "-o", "trusted", "--set", "training.num_epochs=1")
    assert done.code == 0, done.err
    return built_place / "trusted" / "checkpoint-epoch-1"


def invoke(*args: object):
    done = CliRunner().invoke(app, [str(arg) for arg in args])
    assert isinstance(done.exception, SystemExit | None), done.exception
    assert "Traceback" not in done.stderr
    return done


@pytest.mark.parametrize("name", ["weights.pt", "weights.bin", "weights.safetensors", "weights.pth"])
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_pickle_is_not_run(place, monkeypatch, count, name, protocol):
    monkeypatch.chdir(place)
    mark = place / "mark"
    Path(name).write_bytes(pickle.dumps({"state_dict": Malice(mark)}, protocol=protocol))
    done = invoke("train", "-c", "run.yaml", "--set", f"model.pretrained={name}", "-o", "run")
    assert done.exit_code in (4, 5)
    assert not mark.exists()
    torch.save({"state_dict": Malice(mark)}, name)
    assert invoke("train", "-c", "run.yaml", "--set", f"model.pretrained={name}", "-o", "run").exit_code in (4, 5)
    assert not mark.exists()
    count("malicious file", 2, 2, f"pickle as {name}")


def test_a_pickle_in_a_model_folder_is_not_run(place, monkeypatch, count):
    monkeypatch.chdir(place)
    folder = place / "model"
    folder.mkdir()
    (folder / "open_clip_config.json").write_text(
        json.dumps({"model_cfg": {"embed_dim": 24, "vision_cfg": VISION, "text_cfg": TEXT}, "preprocess_cfg": {}})
    )
    for name in ("open_clip_pytorch_model.bin", "open_clip_model.safetensors", "pytorch_model.bin"):
        torch.save({"state_dict": Malice(place / "mark")}, folder / name)
        assert invoke(
            "train", "-c", "run.yaml", "--set", f"model.name={folder}", "--set", "model.pretrained=null", "-o", "run"
        ).exit_code in (4, 5)
        assert not (place / "mark").exists()
        (folder / name).unlink()
    count("malicious file", 3, 3, "pickle in a model folder")


EVIL_CONFIGS = {
    "remote code": {
        "text_cfg": {**TEXT, "hf_tokenizer_name": "bert-base-uncased", "tokenizer_kwargs": {"trust_remote_code": True}}
    },
    "foreign tokenizer": {"text_cfg": {**TEXT, "hf_tokenizer_name": "evil/tokenizer"}},
    "foreign text tower": {"text_cfg": {**TEXT, "hf_model_name": "evil/model"}},
    "a folder as text tower": {"text_cfg": {**TEXT, "hf_model_name": "/tmp"}},
    "timm from the hub": {"vision_cfg": {"timm_model_name": "hf-hub:evil/model", "image_size": 32}},
    "timm download": {"vision_cfg": {"timm_model_name": "resnet18", "timm_model_pretrained": True, "image_size": 32}},
    "a billion layers": {"vision_cfg": {**VISION, "layers": 10**9}},
    "a layer for every memory": {"vision_cfg": {**VISION, "width": 10**9}},
    "a giant vocabulary": {"text_cfg": {**TEXT, "vocab_size": 10**12}},
    "no mapping": {"vision_cfg": [1, 2]},
    "negative": {"embed_dim": -1},
}


@pytest.mark.parametrize("kind", EVIL_CONFIGS)
@pytest.mark.parametrize("way", ["config file", "model folder", "checkpoint"])
def test_a_description_names_shapes_and_nothing_else(place, finished, monkeypatch, no_network, count, kind, way):
    monkeypatch.chdir(place)
    cfg = {"embed_dim": 24, "vision_cfg": VISION, "text_cfg": TEXT, **EVIL_CONFIGS[kind]}
    if way == "config file":
        Path("evil.json").write_text(json.dumps(cfg))
        done = invoke("train", "-c", "run.yaml", "--set", "model.name=evil.json", "-o", "run")
    elif way == "model folder":
        Path("evil").mkdir()
        Path("evil/open_clip_config.json").write_text(json.dumps({"model_cfg": cfg, "preprocess_cfg": {}}))
        shutil.copy("tiny-vit-0.safetensors", "evil/open_clip_model.safetensors")
        done = invoke(
            "train", "-c", "run.yaml", "--set", "model.name=evil", "--set", "model.pretrained=null", "-o", "run"
        )
    else:
        with_card(finished, Path("evil"), lambda card: card["base"].update(model_cfg=cfg))
        done = invoke("predict", "--checkpoint", "evil", "data/colours/test/red/red-00.jpg")
    assert done.exit_code in (4, 5), done.stderr
    assert done.stderr.count("error: ") == 1
    assert kind == "no mapping" or "never code or a place to fetch from" in done.stderr
    count("malicious file", 1, 1, f"{way}: {kind}")


def with_card(source: Path, target: Path, change) -> None:
    """A copy of a checkpoint whose description is changed and signed again."""
    shutil.copytree(source, target)
    card = json.loads((target / "checkpoint.json").read_text())
    change(card)
    (target / "checkpoint.json").write_text(signed_json(card))


FORGED = {
    "a picture of the whole memory": lambda card: card["preprocess"].update(size=[200_000, 200_000]),
    "no pixels": lambda card: card["preprocess"].update(size=[0, -1]),
    "divided by zero": lambda card: card["preprocess"].update(std=[0, 0, 0]),
    "no number": lambda card: card["preprocess"].update(mean=[float("nan")] * 3),
    "a class too few": lambda card: card["classes"].pop(),
    "a class too many": lambda card: card["classes"].append({"name": "x", "readable": "y"}),
    "no temperature": lambda card: card.update(temperature=0),
    "another head": lambda card: card.update(head="cosine"),
    "a rank for the whole memory": lambda card: card.update(method="lora", lora={"r": 10**9}),
}


@pytest.mark.parametrize("kind", FORGED)
def test_a_forged_description_is_refused_before_an_image_is_classified(place, finished, monkeypatch, count, kind):
    monkeypatch.chdir(place)
    with_card(finished, Path("evil"), FORGED[kind])
    done = invoke("predict", "--checkpoint", "evil", "data/colours/test/red/red-00.jpg")
    assert done.exit_code in (4, 5), done.stderr
    assert done.stderr.count("error: ") == 1
    assert done.stdout == ""
    count("malicious file", 1, 1, f"forged description: {kind}")


@pytest.mark.parametrize(
    ("name", "args", "code"),
    [
        ("data/colours/dataset.json", ("train", "-c", "run.yaml", "-o", "run"), 3),
        ("data/colours/manifest.jsonl", ("train", "-c", "run.yaml", "-o", "run"), 3),
        ("data/colours/classes.txt", ("train", "-c", "run.yaml", "-o", "run"), 3),
        ("run.yaml", ("train", "-c", "run.yaml"), 2),
        ("tiny-vit.json", ("train", "-c", "run.yaml", "-o", "run"), 4),
        ("checkpoint/checkpoint.json", ("predict", "--checkpoint", "checkpoint", "run.yaml"), 5),
        ("checkpoint/head.safetensors", ("predict", "--checkpoint", "checkpoint", "run.yaml"), 5),
    ],
)
def test_a_file_without_end_is_not_read_to_its_end(place, finished, monkeypatch, count, name, args, code):
    monkeypatch.chdir(place)
    shutil.copytree(finished, "checkpoint")
    Path(name).unlink(missing_ok=True)
    Path(name).symlink_to("/dev/zero")
    done = invoke(*args)
    assert done.exit_code == code, done.stderr
    assert done.stderr.count("error: ") == 1
    count("malicious file", 1, 1, f"{name} is a device")


@pytest.mark.parametrize("name", ["../../x", "/etc/passwd", "..", "", ".", "a/b", "\0", "x" * 300])
def test_files_of_a_checkpoint_lie_inside_it(finished, tmp_path, name):
    with_card(finished, tmp_path / "evil", lambda card: card["files"].update({name: "0" * 64}))
    with pytest.raises(ClipftError):
        load_classifier(tmp_path / "evil", torch.device("cpu"))


def test_a_tower_that_is_not_listed_is_not_read(finished, tmp_path):
    with_card(finished, tmp_path / "evil", lambda card: card["files"].pop("open_clip_model.safetensors"))
    with pytest.raises(ClipftError, match="does not list"):
        load_classifier(tmp_path / "evil", torch.device("cpu"))


YAMLS = {
    "python object": "data: !!python/object/apply:os.system ['touch mark']",
    "python name": "method: !!python/name:os.system",
    "aliases": "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b,*b,*b,*b]",
    "deep": "data: " + "[" * 20_000 + "]" * 20_000,
    "deep mappings": "".join(" " * n + "a:\n" for n in range(2000)),
    "huge": "# " + "x" * 3_000_000,
    "not text": "\x00\x01\x02",
    "twice": "seed: 1\nseed: 2",
    "a list": "- 1",
    "a date": "seed: 2020-01-01",
    "a long number": "seed: " + "9" * 10_000,
    "binary": "seed: !!binary aGVsbG8=",
    "merge": "<<: {seed: 1}\nnothing: 2",
}


@pytest.mark.parametrize("kind", YAMLS)
@pytest.mark.parametrize("command", ["prepare", "train", "evaluate", "predict"])
def test_yaml_is_data(tmp_path, monkeypatch, kind, command):
    monkeypatch.chdir(tmp_path)
    Path("evil.yaml").write_text(YAMLS[kind])
    done = invoke(command, "-c", "evil.yaml")
    assert done.exit_code == 2
    assert done.stderr.count("error: ") == 1
    assert len(done.stderr) < 5000
    assert not Path("mark").exists()


@pytest.mark.parametrize("path", ["../../../etc/passwd", "/etc/passwd", "a/../../b", "", "x\0y"])
def test_a_manifest_leads_nowhere_else(place, monkeypatch, path):
    monkeypatch.chdir(place)
    manifest = place / "data/colours/manifest.jsonl"
    lines = manifest.read_text().splitlines()
    lines[0] = json.dumps({**json.loads(lines[0]), "path": path})
    manifest.write_text("\n".join(lines) + "\n")
    assert invoke("train", "-c", "run.yaml", "-o", "run").exit_code == 3


NAMES = [
    "<script>alert(1)</script>",
    "=cmd()|' /C calc'!A0",
    "a\nb",
    "\u202egnp.exe",
    "n" * 255,
    "+1",
    "@x",
    "-rf",
    "\U0001f436 dog",
    "[red]x[/red]",
    'a,b"c',
    "{}",
]


def test_class_and_file_names_are_names_and_nothing_else(tmp_path, monkeypatch, count):
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    for n, name in enumerate(NAMES):
        for i in range(8):
            file = tmp_path / "pets" / name.replace("/", "|") / f"={i}<b>.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.effect_noise((24, 24), 10 + n * 8 + i).convert("RGB").save(file)
    done = invoke("prepare", "pets", "--json")
    assert done.exit_code == 0, done.stderr
    words = tmp_path / "data/pets/classes.txt"
    words.write_text(re.sub(r"(?m)^(=cmd.*) = .*$", r"\1 = <script>alert(1)</script>", words.read_text()))
    names = [line["name"] for line in json.loads((tmp_path / "data/pets/dataset.json").read_text())["classes"]]
    assert len(names) == len(NAMES)
    train = ("--set", "model.name=clipft-tiny", "--set", "hardware.mixed_precision=no", "--method", "zero_shot")
    assert invoke("train", "-d", "data/pets", "-o", "run", *train).exit_code == 0
    done = invoke("evaluate", "--checkpoint", "run", "--json")
    assert done.exit_code == 0, done.stderr
    assert invoke("compare", "run", "linear_probe", "-d", "data/pets", "-q", *train[:4]).exit_code == 0
    page, text = ((tmp_path / "outputs/compare" / f"compare.{kind}").read_text() for kind in ("html", "md"))
    assert "script&gt;alert(1)" in page
    assert "<script>alert" not in page + text
    for table in (tmp_path / "run").rglob("*.csv"):
        import csv

        with table.open(newline="") as file:
            for row in csv.reader(file):
                for cell in row:
                    assert cell[:1] not in ("=", "+", "@"), (table, cell)
                    assert "\n" not in cell, (table, cell)
    count("malicious file", len(NAMES), len(NAMES), "class names")


def test_a_digest_is_checked_before_anything_is_read(finished, tmp_path):
    folder = Path(shutil.copytree(finished, tmp_path / "c"))
    file = folder / "open_clip_model.safetensors"
    file.write_bytes(file.read_bytes()[:8] + b"\xff" * 16)
    assert hashlib.sha256(file.read_bytes()).hexdigest() != ""
    with pytest.raises(ClipftError, match="checksum differs"):
        load_classifier(folder, torch.device("cpu"))
