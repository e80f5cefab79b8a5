"""Part two: updates a second beside the loops that people write, on equal work, interleaved in one process."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

import torch
from benchmarks import own, peers
from benchmarks.peer_stages import Photographs
from benchmarks.rows import ALL_LINEAR
from benchmarks.shapes import flops_of_step
from benchmarks.work import Task, Work
from benchmarks.world import World, build_world

from clipft_cli.config.load import load_config
from clipft_cli.config.train import TrainConfig
from clipft_cli.engine.train import train

from .tier import Machine

ROUNDS = 5
UPDATES = 6
"""Updates in one round: enough that a host that is late once does not decide it."""

BATCHES = {"ViT-B-32-quickgelu": 256, "ViT-B-16-quickgelu": 128, "ViT-L-14-quickgelu": 64}


@cache
def world_of(root: Path, model: str) -> World:
    """Random weights of `model`, and drawn photographs that all models share."""
    photos = {"photographs": (256, (500, 375)), "large": (8, (1600, 1200))}
    if model == "tiny":
        photos = {"photographs": (32, (80, 60)), "large": (4, (160, 120))}
    return build_world(root / "bench", model, photos)


def task_of(machine: Machine, model: str, batch_size: int, **options: Any) -> Task:
    """The work of one side on the device, in bf16."""
    model, batch_size = ("tiny", 8) if machine.is_small else (model, batch_size)
    world = world_of(machine.root, model)
    return Task(world, batch_size, "bf16", torch.get_num_threads(), options, device=machine.device.type)


def train_steps(machine: Machine, model: str, *, with_compile: bool) -> dict[str, Any]:
    """Full steps of all sides: seconds an update, ratios round by round, share of the bf16 peak."""
    task = task_of(machine, model, BATCHES[model])
    sides: dict[str, Callable[[], Work]] = {
        "clipft": lambda: own.full_step(task),
        "hf sdpa": lambda: peers.hf_full_step(task),
        "open_clip": lambda: peers.open_clip_full_step(task),
        "timm": lambda: peers.timm_full_step(task),
    }
    if with_compile and machine.is_cuda:
        sides["clipft, compiled"] = lambda: own.compiled_full_step(task)
        sides["hf, compiled"] = lambda: peers.hf_compiled_full_step(task)
    works, build_seconds, losses = {}, {}, {}
    for name, build in sides.items():
        began = time.perf_counter()
        works[name] = build()
        machine.wait()
        build_seconds[name] = round(time.perf_counter() - began, 1)
        losses[name] = works[name].facts["losses"]
    times = _rounds(machine, works)
    seen = _figures(times, "clipft")
    flops = flops_of_step(task)
    seen["share_of_bf16_peak"] = {
        name: round(flops / median(values) / peak_flops(machine), 3) for name, values in times.items()
    }
    seen |= {"batch_size": task.batch_size, "build_seconds": build_seconds, "losses": losses}
    seen["peak_gib_of_all_sides"] = _peak(machine)
    reference = losses["clipft"][0]
    far = {name: values for name, values in losses.items() if abs(values[0] - reference) > 0.03 * abs(reference)}
    assert not far, f"the sides do not do the same work: {losses}"
    return seen


def lora_steps(machine: Machine) -> dict[str, Any]:
    """LoRA on all linear layers of L/14, beside peft on HF, and beside the own full step; peak memory of each alone."""
    model = "ViT-L-14-quickgelu"
    task = task_of(machine, model, BATCHES[model], targets=ALL_LINEAR)
    sides: dict[str, Callable[[], Work]] = {
        "clipft lora": lambda: own.lora_step(task),
        "peft on hf": lambda: peers.hf_lora_step(task),
        "clipft full": lambda: own.full_step(task),
    }
    memory = {}
    for name, build in sides.items():
        machine.release()
        work = build()
        work.run()
        memory[name] = _peak(machine)
        del work
    works = {name: build() for name, build in sides.items()}
    return _figures(_rounds(machine, works), "clipft lora") | {"peak_gib": memory, "batch_size": task.batch_size}


def _rounds(machine: Machine, works: Mapping[str, Work]) -> dict[str, list[float]]:
    """Seconds an update of each side, by round; the first round warms up and is not kept."""
    times: dict[str, list[float]] = {name: [] for name in works}
    n_updates, n_rounds = (1, 2) if machine.is_small else (UPDATES, ROUNDS)
    for number in range(n_rounds + 1):
        for name, work in works.items():
            machine.wait()
            began = time.perf_counter()
            for _ in range(n_updates):
                work.run()
            machine.wait()
            if number:
                times[name].append((time.perf_counter() - began) / n_updates)
    return times


def _figures(times: Mapping[str, list[float]], ours: str) -> dict[str, Any]:
    ratios = {
        name: round(median(theirs / mine for theirs, mine in zip(values, times[ours], strict=True)), 3)
        for name, values in times.items()
        if name != ours
    }
    milliseconds = {name: round(1000 * median(values), 2) for name, values in times.items()}
    return {"milliseconds": milliseconds, f"{ours} is faster than": ratios}


def _peak(machine: Machine) -> float | None:
    return round(torch.cuda.max_memory_allocated(machine.device) / 2**30, 2) if machine.is_cuda else None


@cache
def peak_flops(machine: Machine) -> float:
    """What a square bf16 product reaches here, in operations a second: the ceiling that steps are held against."""
    size = 8192 if machine.is_cuda else 256
    a, b = (torch.randn(size, size, device=machine.device, dtype=torch.bfloat16) for _ in range(2))
    for _ in range(3):
        a @ b
    rates = []
    for _ in range(5):
        machine.wait()
        began = time.perf_counter()
        for _ in range(5):
            a @ b
        machine.wait()
        rates.append(5 * 2 * size**3 / (time.perf_counter() - began))
    return median(rates)


def ceiling(machine: Machine) -> dict[str, Any]:
    """The bf16 product and a copy in the device's memory."""
    seen = {"bf16_tflops": round(peak_flops(machine) / 1e12, 1)}
    if machine.is_cuda:
        source = torch.empty(2**30, dtype=torch.uint8, device=machine.device)
        target = torch.empty_like(source)
        target.copy_(source)
        machine.wait()
        began = time.perf_counter()
        for _ in range(10):
            target.copy_(source)
        machine.wait()
        seen["copy_tb_per_second"] = round(10 * 2 * 2**30 / (time.perf_counter() - began) / 1e12, 2)
    return seen


def fed_from_files(machine: Machine) -> dict[str, Any]:
    """A run of `train` on B/32 from JPEG files, decoded at every use, and from packed pixels: images/s, waiting."""
    world = world_of(machine.root, "tiny" if machine.is_small else "ViT-B-32-quickgelu")
    data = many_photographs(world.data, machine.root / "many", copies=2 if machine.is_small else 16)
    seen = {}
    for name, pack_gb in (("jpeg", 0), ("packed", 4)):
        flags = {
            "method": "full",
            "data.dir": data,
            "data.batch_size": 8 if machine.is_small else 256,
            "data.image_cache_gb": pack_gb,
            "data.augmentation": "standard",
            "model.name": world.name,
            "model.pretrained": str(world.weights),
            "model.head_start": "text",
            "training.num_epochs": 3,
            "training.ema.enabled": False,
            "training.soup.enabled": False,
            "training.wise_ft.enabled": False,
            "hardware.device": machine.device.type,
            "cache.features_gb": 0,
            "output_dir": machine.root / "fed" / name,
        }
        result = train(load_config(TrainConfig, flags=flags), lambda event: None, is_rehearsed=True)
        lines = [json.loads(line) for line in (result.run_dir / "metrics.jsonl").read_text().splitlines()][2:]
        seen[name] = {
            "images_per_second": [round(line["images_per_second"]) for line in lines],
            "data_wait_share": [round(line["data_wait_share"], 3) for line in lines],
            "seconds_in_all": round(result.total_seconds, 1),
        }
        shutil.rmtree(result.run_dir, ignore_errors=True)
    return {**seen, "open_clip's transform in a DataLoader, images/s, nothing trained": _read_by_peers(machine, data)}


def _read_by_peers(machine: Machine, data: Path) -> int:
    """Images a second that a loop of open_clip could be fed with: one process a core, batches thrown away."""
    images = Photographs(data, "train", 32 if machine.is_small else 224)
    workers = 2 if machine.is_small else os.cpu_count() or 1
    loader = torch.utils.data.DataLoader(images, batch_size=8 if machine.is_small else 256, num_workers=workers)
    began = time.perf_counter()
    n_images = sum(len(labels) for _, labels in loader)
    return round(n_images / (time.perf_counter() - began))


def many_photographs(source: Path, target: Path, copies: int) -> Path:
    """A data set of `copies` of each training image of `source`: decoding costs what it costs, making them nothing."""
    from dataclasses import replace

    from clipft_cli.engine.manifest import digest_of, read_manifest, sorted_rows, write_manifest

    if (target / "dataset.json").is_file():
        return target
    manifest = read_manifest(source)
    rows = []
    for row in manifest.rows:
        for i in range(copies if row.split == "train" else 1):
            path = Path(row.path)
            name = (path.parent / f"{path.stem}-{i}{path.suffix}").as_posix()
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            os.link(source / row.path, target / name)
            rows.append(replace(row, path=name))
    digest = digest_of(manifest.classes, rows)
    write_manifest(replace(manifest, root=target, rows=sorted_rows(rows), digest=digest))
    return target
