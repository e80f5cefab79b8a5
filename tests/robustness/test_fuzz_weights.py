"""Fuzzing of what is read to answer: a checkpoint's tensors and an export's files, damaged or forged.

What is damaged is refused or answers as before, to the bit. What is forged, with digests that are right again,
answers with probabilities or is refused in one line.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from broken_runs import clipft_in
from safetensors.torch import load_file, save_file

from clipft_cli.config.model import HardwareConfig
from clipft_cli.engine.exports.runtime import open_onnx
from clipft_cli.engine.files.digest import file_digest
from clipft_cli.engine.files.signed import signed_json
from clipft_cli.engine.load import load
from clipft_cli.errors import ClipftError

CASES = int(os.environ.get("CLIPFT_FUZZ_CASES", "500"))
SECONDS = 30
ON_CPU = HardwareConfig(device="cpu", mixed_precision="no")
PIXELS = np.random.default_rng(0).integers(0, 256, (3, 3, 32, 32), np.uint8)
PICTURES = [np.ascontiguousarray(image.transpose(1, 2, 0)) for image in PIXELS]
STRANGE = [0.0, -1.0, 1e-45, 1e6, 1e9, 1e11, 1e30, 3.4e38, float("inf"), float("-inf"), float("nan")]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def runs(built_place) -> dict[str, Path]:
    found = {}
    for method in ("full", "lora"):
        args = ("--method", method, "--set", "training.num_epochs=1", "--set", "model.head=linear")
        done = clipft_in(built_place, "train", "-c", "run.yaml", "-o", f"weights-{method}", *args)
        assert done.code == 0, done.err
        found[method] = built_place / f"weights-{method}" / "checkpoint-epoch-1"
    done = clipft_in(built_place, "export", "weights-full", "--to", "onnx", "-o", "weights-onnx")
    assert done.code == 0, done.err
    return {**found, "onnx": built_place / "weights-onnx"}


def answers(folder: Path, kind: str) -> np.ndarray | None:
    """(3, C); None where it is refused in one line. Raises AssertionError for probabilities that are none."""
    began = time.perf_counter()
    try:
        if kind == "onnx":
            rows = open_onnx(folder, 1).probabilities(PIXELS)
        else:
            found = load(folder, ON_CPU).predict(PICTURES, top_k=9)
            if any(one.problem is not None for one in found):
                assert all("no finite score" in one.problem for one in found if one.problem is not None)
                return None
            order = [{answer.info.name: answer.probability for answer in one.answers} for one in found]
            rows = np.array([[one[name] for name in sorted(one)] for one in order])
    except ClipftError as error:
        if len(str(error).splitlines()) != 1:
            raise AssertionError(f"more than a line: {error}") from None
        return None
    finally:
        assert time.perf_counter() - began < SECONDS
    if np.isfinite(rows).all():
        assert np.allclose(rows.sum(axis=1), 1)
        return rows
    assert kind == "onnx", "probabilities that are not finite"  # `predict` and `evaluate` say so of an export
    return None


def damaged(content: bytes, rng: random.Random) -> bytes:
    found = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(max(1, min(len(found), rng.choice([8, 64, 2048, len(found)]))))
        kind = rng.choice(["bit", "set", "cut", "insert", "end"])
        if kind == "bit":
            found[at : at + 1] = bytes(byte ^ 1 << rng.randrange(8) for byte in found[at : at + 1])
        elif kind == "set":
            found[at : at + 8] = rng.randbytes(min(8, len(found) - at))
        elif kind == "cut":
            del found[at : at + rng.randint(1, 16)]
        elif kind == "insert":
            found[at:at] = rng.randbytes(rng.randint(1, 16))
        else:
            del found[at + 1 :]
    return bytes(found)


def signed_again(folder: Path, file: Path, description: str) -> None:
    card = json.loads((folder / description).read_text(encoding="utf-8"))
    card["files"][file.name] = file_digest(file)
    (folder / description).write_text(signed_json(card), encoding="utf-8")


def copy_of(source: Path, target: Path) -> Path:
    """Beside a link to the base weights, which a LoRA checkpoint looks for there."""
    shutil.copytree(source, target)
    for base in source.parents[1].glob("*.safetensors"):
        (target.parent / base.name).symlink_to(base)
    return target


@pytest.mark.parametrize("is_signed", [False, True])
@pytest.mark.parametrize("kind", ["full", "lora", "onnx"])
def test_damaged_files_of_a_model_answer_as_before_or_are_refused(runs, tmp_path, count, kind, is_signed):
    folder, description = copy_of(runs[kind], tmp_path / "m"), "export.json" if kind == "onnx" else "checkpoint.json"
    own, rng = answers(folder, kind), random.Random(f"{kind}{is_signed}")
    assert own is not None
    names = ("prepared.onnx",) if is_signed and kind == "onnx" else ("*.safetensors",) if is_signed else ("*",)
    files = sorted(file for name in names for file in folder.glob(name) if file.is_file())
    written = (folder / description).read_bytes()
    for _ in range(CASES):
        file = rng.choice(files)
        content = file.read_bytes()
        file.write_bytes(damaged(content, rng))
        if is_signed:
            signed_again(folder, file, description)
        found = answers(folder, kind)
        assert is_signed or found is None or np.array_equal(found, own), file.name
        file.write_bytes(content)
        (folder / description).write_bytes(written)
    name = "forged file of a checkpoint or export" if is_signed else "damaged file of a checkpoint or export"
    count(f"fuzzing: a {name} is refused or answers", CASES, CASES)


@pytest.mark.parametrize("kind", ["full", "lora"])
def test_forged_tensors_answer_or_are_refused(runs, tmp_path, count, kind):
    folder, rng, n_answered = copy_of(runs[kind], tmp_path / "m"), random.Random(kind), 0
    files = sorted(folder.glob("*.safetensors"))
    written = (folder / "checkpoint.json").read_bytes()
    for _ in range(CASES):
        file = rng.choice(files)
        content, tensors = file.read_bytes(), load_file(file)
        name = rng.choice(sorted(tensors))
        save_file({**tensors, **forged(name, tensors[name], rng)}, file)
        signed_again(folder, file, "checkpoint.json")
        n_answered += answers(folder, kind) is not None
        file.write_bytes(content)
        (folder / "checkpoint.json").write_bytes(written)
    assert 0 < n_answered < CASES
    count("fuzzing: forged tensors of a checkpoint answer or are refused", CASES, CASES)


def forged(name: str, tensor: torch.Tensor, rng: random.Random) -> dict[str, torch.Tensor]:
    changed = tensor.clone()
    kind = rng.choice(["one", "all", "shape", "type", "name", "empty"])
    if kind == "one" and changed.numel():
        changed.view(-1)[rng.randrange(changed.numel())] = rng.choice(STRANGE) if changed.is_floating_point() else 7
    elif kind == "all":
        changed = torch.full_like(tensor, rng.choice(STRANGE) if tensor.is_floating_point() else 7)
    elif kind == "shape":
        changed = torch.cat([tensor.flatten(), tensor.flatten()])
    elif kind == "type":
        other = rng.choice([torch.int64, torch.bool, torch.float16, torch.complex64, torch.uint8, torch.float64])
        changed = tensor.to(other)
    elif kind == "name":
        return {name + rng.choice(["", ".x", "\u202e", "0"]): changed, "beside": torch.zeros(1)}
    else:
        changed = tensor.new_zeros((0,))
    return {name: changed}
