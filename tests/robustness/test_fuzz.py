"""Fuzzing: whatever is put in, what comes out is right or a clear refusal."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from broken_runs import PASSED, clipft_in
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from clipft_cli.cli.app import app
from clipft_cli.config.file import FileConfig
from clipft_cli.config.load import dump_yaml, load_config
from clipft_cli.engine.checkpoint.load import load_classifier
from clipft_cli.engine.files.signed import signed_json
from clipft_cli.engine.images.decode import ImageError, decode_image
from clipft_cli.engine.manifest import read_manifest
from clipft_cli.errors import CheckpointError, ClipftError, ConfigError, DataError

CASES = int(os.environ.get("CLIPFT_FUZZ_CASES", "200"))
fuzzed = settings(
    max_examples=CASES, deadline=None, suppress_health_check=list(HealthCheck), database=None, print_blob=True
)


@pytest.fixture(autouse=True)
def told(request, count):
    """A line for the table once all cases of a test have passed."""
    yield
    if request.node.stash.get(PASSED, False):
        count(f"fuzzing: {request.node.name.removeprefix('test_').replace('_', ' ')}", CASES, CASES)


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(
        [
            "1e-5",
            "auto",
            "full",
            "lora",
            "10m",
            "../..",
            "\0",
            "{}",
            "9" * 400,
            "\u202e",
            "yes",
            "~",
            "-1",
            "nan",
            ".inf",
        ]
    )
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def keys_of(model=FileConfig, prefix=""):
    found = []
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and hasattr(inner, "model_fields"):
            found += [prefix + name, *keys_of(inner, f"{prefix}{name}.")]
        else:
            found.append(prefix + name)
    return found


KEYS = st.sampled_from(keys_of()) | st.text(max_size=12)


@fuzzed
@given(st.dictionaries(KEYS, ANYTHING, max_size=5))
def test_a_config_is_read_back_the_same_or_refused(tmp_path_factory, values):
    try:
        config = load_config(FileConfig, flags=values)
    except ConfigError:
        return
    file = tmp_path_factory.getbasetemp() / "fuzzed.yaml"
    file.write_text(dump_yaml(config), encoding="utf-8")
    assert load_config(FileConfig, file) == config


@fuzzed
@given(st.binary(max_size=200) | ANYTHING.map(lambda v: json.dumps(v).encode()))
def test_a_config_file_of_any_bytes_is_read_or_refused(tmp_path_factory, content):
    file = tmp_path_factory.getbasetemp() / "bytes.yaml"
    file.write_bytes(content)
    with contextlib.suppress(ConfigError):
        load_config(FileConfig, file)


WORDS = st.sampled_from(
    [
        "--set",
        "-c",
        "-d",
        "-o",
        "--json",
        "--quiet",
        "--resume",
        "--method",
        "lora",
        "full",
        "seed=1",
        "training.num_epochs=x",
        "--seed",
        "3",
        "-1",
        "--dry-run",
        "--checkpoint",
        "--split",
        "test",
        "--top-k",
        "0",
        "--threshold",
        "-",
        "nothing",
        "--version",
        "--format",
        "csv",
        "--in-place",
        "--force",
        "--",
    ]
)


@fuzzed
@given(
    st.sampled_from(["prepare", "train", "evaluate", "predict", "nosuch"]),
    st.lists(WORDS | st.text(max_size=10), max_size=6),
)
def test_a_command_line_is_run_or_refused(tmp_path_factory, command, words):
    here = os.getcwd()
    folder = tmp_path_factory.getbasetemp() / "empty"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "data").write_text("a file, so that nothing is prepared for real")
    os.chdir(folder)
    try:
        done = CliRunner().invoke(app, [command, *words])
    finally:
        os.chdir(here)
    assert isinstance(done.exception, SystemExit | None), (words, done.exception)
    assert done.exit_code in (0, 2, 3, 5, 7, 10), (words, done.stderr)
    assert "Traceback" not in done.stderr


def pictures() -> list[bytes]:
    ramp = np.linspace(0, 255, 24 * 20 * 3).reshape(20, 24, 3).astype(np.uint8)
    found = []
    for form, mode in [
        ("JPEG", "RGB"),
        ("PNG", "RGBA"),
        ("GIF", "P"),
        ("WEBP", "RGB"),
        ("TIFF", "RGB"),
        ("BMP", "RGB"),
        ("PPM", "L"),
        ("JPEG", "CMYK"),
    ]:
        image = Image.fromarray(ramp).convert(mode)
        kept = io.BytesIO()
        image.save(kept, form)
        found.append(kept.getvalue())
    wide = io.BytesIO()
    Image.fromarray(ramp[..., 0].astype(np.uint16) * 257).save(wide, "PNG")
    return [*found, wide.getvalue()]


@st.composite
def damaged_pictures(draw):
    content = bytearray(draw(st.sampled_from(pictures())))
    for _ in range(draw(st.integers(1, 6))):
        kind = draw(st.sampled_from(["set", "cut", "insert", "zero"]))
        at = draw(st.integers(0, max(0, len(content) - 1)))
        if kind == "set" and content:
            content[at] = draw(st.integers(0, 255))
        elif kind == "cut":
            del content[at:]
        elif kind == "insert":
            content[at:at] = draw(st.binary(max_size=8))
        else:
            content[at : at + 16] = bytes(len(content[at : at + 16]))
    return bytes(content)


@fuzzed
@given(damaged_pictures())
def test_a_damaged_picture_is_a_picture_or_a_reason(content):
    try:
        image = decode_image(content)
    except ImageError:
        return
    assert image.mode == "RGB"
    assert min(image.size) > 0


@pytest.fixture(scope="module")
def data(built_place, tmp_path_factory):
    return Path(shutil.copytree(built_place / "data" / "colours", tmp_path_factory.mktemp("fuzz") / "colours"))


@fuzzed
@given(change=st.data())
def test_a_changed_manifest_is_refused(data, change):
    file = data / change.draw(st.sampled_from(["manifest.jsonl", "dataset.json"]))
    content = file.read_bytes()
    at = change.draw(st.integers(0, len(content) - 1))
    new = change.draw(st.binary(max_size=6) | SCALARS.map(lambda v: json.dumps(v).encode()))
    length = change.draw(st.integers(0, 6))
    before = read_manifest(data)
    try:
        file.write_bytes(content[:at] + new + content[at + length :])
        after = read_manifest(data)
    except DataError:
        return
    finally:
        file.write_bytes(content)
    # what was changed and accepted must be none of what a result depends on
    assert [(r.label, r.split, r.sha256) for r in sorted(after.rows, key=lambda r: r.sha256)] == [
        (r.label, r.split, r.sha256) for r in sorted(before.rows, key=lambda r: r.sha256)
    ]
    assert [c.name for c in after.classes] == [c.name for c in before.classes]


@pytest.fixture(scope="module")
def checkpoint(built_place, tmp_path_factory):
    done = clipft_in(built_place, "train", "-c", "run.yaml", "-o", "fuzzed", "--set", "training.num_epochs=1")
    assert done.code == 0, done.err
    return Path(shutil.copytree(built_place / "fuzzed" / "checkpoint-epoch-1", tmp_path_factory.mktemp("fuzz") / "c"))


@fuzzed
@given(change=st.data())
def test_a_changed_description_is_refused(checkpoint, change):
    file = checkpoint / "checkpoint.json"
    content = file.read_bytes()
    at = change.draw(st.integers(0, len(content) - 1))
    new = change.draw(st.binary(min_size=1, max_size=6))
    damaged = content[:at] + new + content[at + change.draw(st.integers(0, 6)) :]
    if damaged == content:
        return
    try:
        file.write_bytes(damaged)
        with pytest.raises(CheckpointError):
            load_classifier(checkpoint, torch.device("cpu"))
    finally:
        file.write_bytes(content)


@fuzzed
@given(change=st.data())
def test_a_forged_description_loads_or_is_refused(checkpoint, change):
    """Signed again, as somebody who means harm would: a model or a ClipftError, nothing else."""
    file = checkpoint / "checkpoint.json"
    content = file.read_bytes()
    card = json.loads(content)
    place = card
    while True:
        key = change.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        inner = place[key]
        if not inner or not isinstance(inner, dict | list) or change.draw(st.booleans()):
            break
        place = inner
    place[key] = change.draw(ANYTHING)
    try:
        file.write_text(signed_json(card), encoding="utf-8", errors="replace")
        load_classifier(checkpoint, torch.device("cpu"))
    except ClipftError:
        pass
    finally:
        file.write_bytes(content)
