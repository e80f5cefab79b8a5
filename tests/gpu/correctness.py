"""Part one: the same results on the device as on the CPU, and the same again after a kill."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from tiny_world import write_model

from clipft_cli.config.load import load_config
from clipft_cli.config.prepare import PrepareConfig
from clipft_cli.config.train import TrainConfig
from clipft_cli.engine.metrics.scores import SCORES_FILE
from clipft_cli.engine.prepare import prepare
from clipft_cli.engine.train import dry_run, train

from .tier import Machine, Skipped

METHODS = ("full", "lora", "qlora", "linear_probe", "zero_shot", "contrastive")
BOUNDS = {"no": 0.02, "bf16": 0.06, "fp16": 0.06}
"""How far a loss may lie from the CPU's in float32, as a share of it: TF32 products, half precision."""


@cache
def drawn_dogs(root: Path, per_class: int) -> Path:
    """A small set of the drawn dogs, ten classes."""
    folder = root / f"dogs-{per_class}"
    if not (folder / "dataset.json").is_file():
        flags = {"prepare.num_classes": 10, "prepare.samples_per_class": per_class, "prepare.output_dir": folder}
        with contextlib.chdir(root):
            prepare(load_config(PrepareConfig, flags=flags))
    return folder


def _data(machine: Machine) -> Path:
    return drawn_dogs(machine.root, 10 if machine.is_small else 40)


def settings(machine: Machine, method: str, **more: Any) -> dict[str, Any]:
    """A short run of `method` ("contrastive": full, both towers) on the device; `more` has __ for dots."""
    flags = {
        "method": "full" if method == "contrastive" else method,
        "data.dir": _data(machine),
        "data.batch_size": 32,
        "training.num_epochs": 1,
        "hardware.device": machine.device.type,
        "cache.features_gb": 0,
        "model.name": "clipft-tiny",
    }
    if method == "contrastive":
        flags |= {"training.objective": "contrastive", "model.head_start": "text"}
    return flags | {key.replace("__", "."): value for key, value in more.items()}


def run(machine: Machine, name: str, method: str, **more: Any) -> dict[str, Any]:
    """Train in this process; the losses of its epochs as metrics.jsonl has them."""
    folder = machine.root / "runs" / name
    config = load_config(TrainConfig, flags={**settings(machine, method, **more), "output_dir": folder})
    result = train(config, lambda event: None, is_rehearsed=True)
    lines = [json.loads(line) for line in (result.run_dir / "metrics.jsonl").read_text().splitlines()]
    return {
        "folder": result.run_dir,
        "train_loss": lines[-1]["train_loss"],
        "val_loss": lines[-1]["val_loss"],
        "top1": result.best.top1,
        "skipped": result.skipped_steps,
    }


def methods_agree_with_cpu(machine: Machine) -> dict[str, Any]:
    """Each method, one epoch in each precision, against the CPU in float32."""
    on_cpu = Machine(torch.device("cpu"), machine.root, machine.is_small)
    precisions = ("no", "bf16", "fp16") if machine.is_cuda else ("no", "bf16")
    seen: dict[str, Any] = {}
    wrong = []
    for method in METHODS:
        if method == "qlora" and find_spec("bitsandbytes") is None:
            seen[method] = "skipped: bitsandbytes is not installed"
            continue
        expected = run(on_cpu, f"cpu-{method}", method, hardware__mixed_precision="no")
        seen[method] = {"cpu": [expected["train_loss"], expected["val_loss"]]}
        for precision in precisions:
            try:
                got = run(machine, f"{precision}-{method}", method, hardware__mixed_precision=precision)
            except Exception as error:  # one method's failure must not hide the others'
                seen[method][precision] = f"{type(error).__name__}: {error}"
                wrong.append(f"{method} {precision}")
                continue
            seen[method][precision] = [got["train_loss"], got["val_loss"], got["skipped"]]
            for key in ("train_loss", "val_loss"):
                if expected[key] is None:
                    continue
                if abs(got[key] - expected[key]) > BOUNDS[precision] * abs(expected[key]):
                    wrong.append(f"{method} {precision} {key}")
    assert not wrong, f"{wrong}: {json.dumps(seen)}"
    return seen


def kill_and_resume(machine: Machine) -> dict[str, Any]:
    """SIGKILL in mid-epoch, resumed: every tensor that is kept equals the uninterrupted run's, bit for bit."""
    seen: dict[str, Any] = {}
    for method in ("lora",) if machine.is_small else ("full", "lora"):
        flags = {
            "hardware.deterministic": True,
            "training.num_epochs": 2 if machine.is_small else 6,
            "data.batch_size": 8,
            "checkpoint.every_steps": 3,
        }
        whole = _clipft(machine, method, "whole", flags)
        _finish(whole, 240)
        broken = _clipft(machine, method, "broken", flags)
        folder = _folder(machine, method, "broken")
        _wait_for(lambda folder=folder: _steps_saved(folder) > 0, broken, 120)
        broken.send_signal(signal.SIGKILL)
        broken.communicate()
        assert not (folder / "summary.json").exists(), "the run was over before it was killed"
        _finish(_start(machine, ["train", "--resume", str(folder)]), 240)
        differ = differing(_folder(machine, method, "whole"), folder)
        seen[method] = {"files_that_differ": differ}
        assert not differ, f"{method}: {differ}"
    return seen


def _folder(machine: Machine, method: str, name: str) -> Path:
    return machine.root / "kills" / f"{method}-{name}"


def _clipft(machine: Machine, method: str, name: str, flags: Mapping[str, Any]) -> subprocess.Popen[str]:
    given = settings(machine, method) | dict(flags)
    named = [given.pop("method"), str(given.pop("data.dir"))]
    sets = [text for key, value in given.items() for text in ("--set", f"{key}={str(value).lower()}")]
    folder = str(_folder(machine, method, name))
    return _start(machine, ["train", "--method", named[0], "--data-dir", named[1], "--output-dir", folder, *sets])


def _start(machine: Machine, arguments: list[str]) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(
        [sys.executable, "-m", "clipft_cli", *arguments],
        cwd=machine.root,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _finish(process: subprocess.Popen[str], seconds: float) -> str:
    out, _ = process.communicate(timeout=seconds)
    assert process.returncode == 0, out[-1500:]
    return out


def _wait_for(is_there: Any, process: subprocess.Popen[str], seconds: float) -> None:
    until = time.monotonic() + seconds
    while not is_there():
        assert process.poll() is None, process.communicate()[0][-1500:]
        assert time.monotonic() < until, "nothing was saved in time"
        time.sleep(0.005)


def _steps_saved(folder: Path) -> int:
    """States that are on disk, whole, after the first update."""
    return sum(1 for state in folder.glob("resume/*/state.json") if json.loads(state.read_text())["state"]["step"] > 0)


def differing(one: Path, other: Path) -> list[str]:
    """Tensor files of two runs that are not equal bit for bit, with the largest difference."""
    differ = []
    for file in sorted(one.glob("checkpoint-*/*.safetensors")):
        name = file.relative_to(one)
        if not (other / name).is_file():
            differ.append(f"{name}: missing")
            continue
        a, b = load_file(file), load_file(other / name)
        unequal = [key for key in a if not torch.equal(a[key], b[key])]
        if unequal:
            most = max(float((a[key].float() - b[key].float()).abs().max()) for key in unequal)
            differ.append(f"{name}: {len(unequal)} of {len(a)} tensors, by {most:.3g} at most")
    return differ


def deterministic_twice(machine: Machine) -> dict[str, Any]:
    """The deterministic flag: two runs are equal bit for bit; without it the difference is told."""
    seen: dict[str, Any] = {}
    for wish in (False, True):
        folders = [
            run(machine, f"twice-{wish}-{i}", "full", hardware__deterministic=wish, training__num_epochs=2)["folder"]
            for i in range(2)
        ]
        seen["deterministic" if wish else "as it is"] = differing(*folders)
    torch.use_deterministic_algorithms(False)
    assert not seen["deterministic"], seen
    return seen


@contextlib.contextmanager
def memory_taken(machine: Machine, leave_gib: float) -> Iterator[float]:
    """A block in which all of the device's memory but `leave_gib` is held by someone else."""
    free, _ = torch.cuda.mem_get_info(machine.device)
    size = int(free - leave_gib * 2**30)
    filler = torch.empty(size, dtype=torch.uint8, device=machine.device)
    try:
        yield size / 2**30
    finally:
        del filler
        torch.cuda.empty_cache()


def out_of_memory_recovered(machine: Machine) -> dict[str, Any]:
    """A real out-of-memory: the micro-batch is halved, the update is the same one."""
    from benchmarks.own import assembled, first_batch

    from clipft_cli.engine.loop.step import set_trainable

    from .speed import task_of

    size = 256
    task = task_of(machine, "ViT-B-32-quickgelu", size)
    losses, micro = [], []
    for is_tight in (False, True):
        built = assembled(task, {})
        set_trainable(built.parameters, frozenset(built.parameters))
        batch = first_batch(built, size)
        rates = [1e-5] * len(built.groups)
        built.stepper.update([batch], rates, seed=0)  # the optimizer's state is there
        machine.wait()
        torch.cuda.empty_cache()
        block = memory_taken(machine, 2.5) if is_tight else contextlib.nullcontext(0.0)
        with block:
            losses.append([built.stepper.update([batch], rates, seed=0).loss_sum / size for _ in range(2)])
        micro.append(built.stepper.micro_batch)
        del built
        machine.release()
    difference = max(abs(a - b) / abs(a) for a, b in zip(*losses, strict=True))
    seen = {"micro_batch": micro, "losses": losses, "largest_relative_difference": difference}
    assert micro[1] < micro[0], f"nothing ran out of memory: {seen}"
    assert difference < 0.01, seen
    return seen


def packed_as_bitsandbytes(machine: Machine) -> dict[str, Any]:
    """Own NF4 on the device: packed on the CPU, unpacked on both, against bitsandbytes' own layer there."""
    if find_spec("bitsandbytes") is None:
        raise Skipped("bitsandbytes is not installed")
    from bitsandbytes import functional

    from clipft_cli.engine.model.nf4 import Nf4Weight, frozen_linear

    torch.manual_seed(0)
    weight, rows = torch.randn(256, 192), torch.randn(32, 192)
    packed = Nf4Weight(weight)
    on_cpu = packed.dense(torch.float32)
    packed = packed.to(machine.device)
    on_device = packed.dense(torch.float32).cpu()
    quantised, state = functional.quantize_4bit(
        weight.to(machine.device), blocksize=64, compress_statistics=True, quant_type="nf4"
    )
    theirs = functional.dequantize_4bit(quantised, state).float().cpu()
    product = frozen_linear(rows.to(machine.device), packed, None).cpu()
    seen = {
        "device_against_cpu": float((on_device - on_cpu).abs().max()),
        "against_bitsandbytes_on_device": float((on_device - theirs).abs().max()),
        "error_of_four_bits": float((theirs - weight).abs().max()),
        "product_against_cpu": float((product - rows @ on_cpu.T).abs().max()),
    }
    assert seen["device_against_cpu"] < 1e-5, seen
    assert seen["against_bitsandbytes_on_device"] < 0.02, seen
    assert seen["product_against_cpu"] < 0.1, seen
    return seen


def compiled_alike(machine: Machine) -> dict[str, Any]:
    """torch.compile on and off: the same losses within rounding, and no gradient that the compiler loses."""
    losses = {}
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", RuntimeWarning)
        for wish in (False, True):
            got = run(machine, f"compile-{wish}", "full", hardware__compile=wish, training__num_epochs=2)
            losses[str(wish)] = [got["train_loss"], got["val_loss"]]
    failed = [str(warning.message) for warning in told if "torch.compile failed" in str(warning.message)]
    assert not failed, failed
    difference = max(abs(a - b) / abs(a) for a, b in zip(losses["True"], losses["False"], strict=True))
    assert difference < BOUNDS["bf16"], losses
    return {"losses": losses, "largest_relative_difference": difference}


def channels_last_alike(machine: Machine) -> dict[str, Any]:
    """A tower of convolutions, both layouts: the same losses within rounding."""
    folder = machine.root / "resnet"
    folder.mkdir(exist_ok=True)
    architecture, weights = write_model(folder, "resnet")
    losses = {}
    for wish in (False, True):
        got = run(
            machine,
            f"layout-{wish}",
            "full",
            hardware__channels_last=wish,
            hardware__mixed_precision="no",
            model__name=str(architecture),
            model__pretrained=str(weights),
            model__head_start="text",
        )
        losses[str(wish)] = [got["train_loss"], got["val_loss"]]
    difference = max(abs(a - b) / abs(a) for a, b in zip(losses["True"], losses["False"], strict=True))
    assert difference < BOUNDS["no"], losses
    return {"losses": losses, "largest_relative_difference": difference}


def copies_arrive_whole(machine: Machine) -> dict[str, Any]:
    """Pinned, asynchronous copies beside a busy device: every pixel as it was on the CPU."""
    from clipft_cli.engine.images.loader import Loader, in_batches

    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (64, 3, 96, 96), dtype=np.uint8)
    loader = Loader(4)
    busy = torch.randn(2048 if machine.is_cuda else 64, 2048 if machine.is_cuda else 64, device=machine.device)
    wrong = 0
    for _ in range(4 if machine.is_small else 20):
        order = in_batches(rng.permutation(64), 8)
        for batch in loader.batches(order, lambda index: images[index], np.arange(64), machine.device):
            busy = (busy @ busy).clamp(-1, 1)
            wrong += int(not np.array_equal(batch.pixels.cpu().numpy(), images[batch.indexes]))
            wrong += int(not np.array_equal(batch.labels.cpu().numpy(), batch.indexes))
    loader.close()
    assert wrong == 0, f"{wrong} batches differ"
    return {"batches_that_differ": wrong}


def evaluation_as_on_cpu(machine: Machine) -> dict[str, Any]:
    """One checkpoint, evaluated on both: probabilities within rounding, in float32 and as it comes."""
    folder = run(machine, "to-evaluate", "lora", training__num_epochs=2)["folder"]
    reference = _evaluated(machine, folder, "cpu", "no")
    seen = {
        precision: float(np.abs(_evaluated(machine, folder, machine.device.type, precision) - reference).max())
        for precision in ("no", "auto")
    }
    assert seen["no"] < 2e-2, seen  # TF32 products on CUDA
    assert seen["auto"] < 8e-2, seen
    return {"largest_difference_of_probability": seen}


def _evaluated(machine: Machine, run_folder: Path, device: str, precision: str) -> np.ndarray:
    out = machine.root / "evaluations" / f"{device}-{precision}"
    arguments = ["evaluate", "--checkpoint", str(run_folder), "--split", "val", "--output-dir", str(out), "--json"]
    sets = ["--set", f"hardware.device={device}", "--set", f"hardware.mixed_precision={precision}"]
    _finish(_start(machine, [*arguments, *sets]), 120)
    return _probabilities(out)


def _probabilities(folder: Path) -> np.ndarray:
    """(N, C) of an evaluation, without its temperature, from its file of scores."""
    return load_file(folder / SCORES_FILE)["logits"].double().softmax(dim=1).numpy()


def plan_against_peak(machine: Machine) -> dict[str, Any]:
    """What `--dry-run` says of memory, against the peak of the run itself."""
    seen = {}
    for method in ("full", "lora"):
        config = load_config(TrainConfig, flags=settings(machine, method, data__batch_size=64))
        machine.release()
        planned = dry_run(config, lambda event: None)["peak_device_memory_gib"]
        machine.release()
        folder = machine.root / "runs" / f"peak-{method}"
        whole = load_config(TrainConfig, flags=settings(machine, method, data__batch_size=64) | {"output_dir": folder})
        measured = train(whole, lambda event: None, is_rehearsed=True).peak_device_memory_gib
        seen[method] = {"planned_gib": planned, "measured_gib": measured}
    if machine.is_cuda:
        far = {m: v for m, v in seen.items() if abs(v["planned_gib"] - v["measured_gib"]) > 0.1 * v["measured_gib"]}
        assert not far, seen
    return seen
