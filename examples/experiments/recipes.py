"""Recipes against each other on real photographs, at equal compute. README.md says what came of it.

    python examples/experiments/recipes.py --data DIR --weights DIR [--sets food10,trash6] [--methods full,timm-style]

DIR of the data holds one folder of class folders for each set. Every finished run is a line of log.jsonl and is not
run again; a run that was interrupted is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from budget import Cost, epochs_for, measure_update
from images import eval_images
from job import Clock, Job, Outcome
from log import LOG, Log
from own import PRESETS, run_own
from peers import PEERS
from tower import backbone_in, disagreement

from clipft_cli.config.load import load_config
from clipft_cli.config.prepare import PrepareConfig
from clipft_cli.engine.manifest import Manifest, read_manifest
from clipft_cli.engine.model.classifier import image_tower
from clipft_cli.engine.prepare import prepare

RUNNERS = {**{name: partial(run_own, name) for name in PRESETS}, **PEERS}
WITHOUT_EPOCHS = ("zero_shot", "linear_probe")


@dataclass(frozen=True)
class Plan:
    """Which runs: every method on every set with every seed. `variant` names what `overrides` change."""

    methods: tuple[str, ...]
    sets: tuple[str, ...]
    seeds: tuple[int, ...]
    budget: float
    epochs: int
    variant: str
    overrides: tuple[str, ...]
    with_test: bool


def main(
    data: Annotated[Path, typer.Option(help="Folder that holds the sets, each a folder of class folders.")],
    weights: Annotated[Path, typer.Option(help="Folder with an open_clip model config and its weights.")],
    scratch: Annotated[Path, typer.Option(help="Where prepared sets and run directories go.")] = Path("recipes-runs"),
    sets: Annotated[str, typer.Option(help="Folders of `data`.")] = "food10,trash6,flowers5",
    methods: Annotated[str, typer.Option(help="; ".join(RUNNERS))] = ",".join(m for m in RUNNERS if m != "few-shot"),
    seeds: Annotated[str, typer.Option(help="Seeds of training; zero-shot and the probe have none.")] = "0,1,2",
    split_seed: Annotated[int, typer.Option(help="Seed of the split; the same for all seeds of training.")] = 0,
    budget: Annotated[float, typer.Option(help="CPU seconds of a run.")] = 90.0,
    epochs: Annotated[int, typer.Option(help="Epochs of each run in place of the budget; 0: by budget.")] = 0,
    variant: Annotated[str, typer.Option(help="Name for what --set changes, in the log.")] = "",
    overrides: Annotated[list[str] | None, typer.Option("--set", help="Settings of own methods, key=value.")] = None,
    val_only: Annotated[bool, typer.Option(help="Leave the test images alone (exploring).")] = False,
    cost_only: Annotated[
        bool, typer.Option(help="Only measure what an update costs; best on a quiet machine.")
    ] = False,
    log_file: Annotated[Path, typer.Option("--log", help="Where finished runs are kept.")] = LOG,
) -> None:
    """Run what the log does not hold yet."""
    torch.set_num_threads(1)
    plan = Plan(
        tuple(methods.split(",")), tuple(sets.split(",")), tuple(map(int, seeds.split(","))),
        budget, epochs, variant, tuple(overrides or ()), not val_only,
    )  # fmt: skip
    log = Log(log_file)
    for seed in plan.seeds:
        for name in plan.sets:
            manifest = _prepared(data / name, scratch, split_seed)
            for method in plan.methods:
                if method in WITHOUT_EPOCHS and seed != plan.seeds[0]:
                    continue
                job = Job(manifest.root, weights.resolve(), scratch.resolve(), seed, 0, plan.overrides, plan.with_test)
                if cost_only and method not in WITHOUT_EPOCHS:
                    print(method, _cost(method, job, log), flush=True)
                if cost_only:
                    continue
                _run(method, job, plan, manifest, log, name=name)


def _prepared(source: Path, scratch: Path, seed: int) -> Manifest:
    target = (scratch / f"{source.name}-{seed}").resolve()
    if not target.is_dir():
        flags = {"seed": seed, "prepare.source": str(source), "prepare.output_dir": str(target),
                 "prepare.split": "0.6/0.15/0.25"}  # fmt: skip
        prepare(load_config(PrepareConfig, None, (), flags))
    return read_manifest(target)


def _run(method: str, job: Job, plan: Plan, manifest: Manifest, log: Log, *, name: str) -> None:
    n_train, n_val, n_test = (len(manifest.split(split)) for split in ("train", "val", "test"))
    if method not in WITHOUT_EPOCHS:
        cost = _cost(method, job, log)
        n_epochs = plan.epochs or epochs_for(method, plan.budget, cost, n_train, n_val)
        job = replace(job, n_epochs=n_epochs)
    key = {"set": name, "seed": job.seed, "method": method, "variant": plan.variant, "sets": list(plan.overrides),
           "epochs": job.n_epochs, "has_test": plan.with_test}  # fmt: skip
    if log.find(**key) is not None:
        return
    outcome = RUNNERS[method](job)
    record = {**key, "budget": None if plan.epochs else plan.budget, "n": [n_train, n_val, n_test],
              "digest": manifest.digest[:12], **_facts(outcome)}  # fmt: skip
    log.add(record)
    print(
        f"{name}-{job.seed} {method} {plan.variant}: {outcome.n_epochs}/{job.n_epochs} epochs,"
        f" {outcome.cpu_seconds:.0f} CPU s, val {outcome.val_top1:.3f} (loss {outcome.val_loss:.3f}),"
        f" test {record['test_top1']}, kept {outcome.kept}",
        flush=True,
    )


def _facts(outcome: Outcome) -> dict[str, Any]:
    return {
        "epochs_run": outcome.n_epochs,
        "cpu_seconds": round(outcome.cpu_seconds, 1),
        "val_top1": round(outcome.val_top1, 4),
        "val_loss": round(outcome.val_loss, 4),
        "test_top1": round(float(outcome.hits.mean()), 4) if len(outcome.hits) else None,
        "kept": outcome.kept,
        "course": [list(point) for point in outcome.course],
        **outcome.described,
        "hits": "".join("1" if hit else "0" for hit in outcome.hits),
    }


def _cost(method: str, job: Job, log: Log) -> Cost:
    """Measured once a method, kept in the log."""
    known = log.find(kind="cost", method=method)
    if known is None:
        job = replace(job, sets=())
        known = {"kind": "cost", "method": method, "update": round(measure_update(RUNNERS[method], job), 4)}
        log.add(known)
    forward = log.find(kind="cost", method="forward")
    if forward is None:
        forward = {"kind": "cost", "method": "forward", "image": round(_forward_cost(job), 5),
                   "disagreement": disagreement(job.weights)}  # fmt: skip
        log.add(forward)
    return Cost(known["update"], forward["image"])


@torch.inference_mode()
def _forward_cost(job: Job) -> float:
    """CPU seconds of one image without gradients, in batches of 64."""
    backbone = backbone_in(job.weights)
    images = backbone.preprocess.normalise(eval_images(job.data_dir, "val", backbone.preprocess).pixels[:64])
    tower = image_tower(backbone.model.eval())
    seconds = []
    for _ in range(3):
        clock = Clock()
        with torch.autocast("cpu", torch.bfloat16):
            tower(images)
        seconds.append(clock.seconds / len(images))
    return float(np.median(seconds))


if __name__ == "__main__":
    typer.run(main)
