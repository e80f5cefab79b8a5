"""README.md of an export: the model card, with how this form is called and how it was compared with the model."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from ...errors import ClipftError
from ..checkpoint.run_config import run_config
from ..files.digest import file_digest
from ..files.regular import as_regular
from ..files.write import write_text
from ..metrics.answers import Answers
from ..metrics.metrics import measure
from ..metrics.scores import SCORES_FILE
from ..pages.model_card import Form, Measured, model_card, recipe_of
from ..preparation.layout import markdown_text
from ..run_dir import CHECKPOINT_FILE, PAGE_FILE, RunDir
from .base import Format
from .checks import Check
from .probe import Probe
from .source import Source

_SMALLEST = 1e-30


def write_export_card(folder: Path, form: Format, source: Source, probe: Probe, checks: Sequence[Check]) -> None:
    """Write README.md into the folder of an export. It has no digest: its owner may change it."""
    tags = ("clip", "clipft", *form.tags)
    text = model_card(
        source.card,
        Form(form.library, tags, _usage(form), _checked(checks, probe.where)),
        [*_on_probe(source, probe), *_evaluations(source)],
        recipe=_recipe(source.checkpoint),
    )
    write_text(folder / PAGE_FILE, text)


def _usage(form: Format) -> str:
    packages = " ".join(form.packages)
    install = f"Needs `pip install {packages}`." if packages else form.needs
    return f"{install} In this folder:\n\n```{form.language}\n{form.usage}\n```"


def _checked(checks: Sequence[Check], where: str) -> str:
    rows = [
        f"| {check.name} | {markdown_text(check.runtime)} | {markdown_text(check.beside or 'the model itself')} |"
        f" {check.largest_difference:.2g} | {'' if check.bound is None else f'{check.bound:.2g}'} |"
        f" {check.n_equal} of {check.n_images} |"
        for check in checks
    ]
    eight_bit = [
        f"\n{check.name} beside {check.beside}: top-1 {check.paired.top1:.1%} and {check.paired.top1_fp32:.1%}"
        f" (p = {check.paired.p:.2g}, paired), NLL {check.paired.nll:.4f} and {check.paired.nll_fp32:.4f}."
        for check in checks
        if check.paired is not None
    ]
    head = ["| file | read back by | beside | largest difference of a probability | bound | equal answers |"]
    return "\n".join(
        [f"On {markdown_text(where)}, in float32.", "", *head, "|---|---|---|---|---|---|", *rows, *eight_bit]
    )


def _on_probe(source: Source, probe: Probe) -> Iterator[Measured]:
    """The model itself on the images that the export was compared on; nothing where nobody knows their classes."""
    if probe.labels is None:
        return
    logits = np.log(np.maximum(probe.expected, _SMALLEST)).astype(np.float32)  # probabilities: at temperature 1
    metrics = measure(Answers(logits, probe.labels), _names(source))
    yield Measured("val", probe.data_name, probe.data_digest, metrics, ", the images it was compared on")


def _evaluations(source: Source) -> Iterator[Measured]:
    """What `clipft evaluate` has kept in the run of this very checkpoint, the test split last."""
    wanted = file_digest(source.checkpoint / CHECKPOINT_FILE)
    names = [info.name for info in source.loaded.classes]
    files = [*source.checkpoint.parent.glob(f"evaluation-*/{SCORES_FILE}")]
    files += source.checkpoint.glob(f"evaluation-*/{SCORES_FILE}")
    for file in sorted(files, key=lambda path: path.parent.name):
        try:
            with safe_open(as_regular(file), "np") as opened:
                facts: dict[str, Any] = json.loads(opened.metadata()["clipft"])
                logits, labels = opened.get_tensor("logits"), opened.get_tensor("labels")
            is_of_this = facts["checkpoint_digest"] == wanted and not facts["is_zero_shot"]
            if is_of_this and facts["classes"] == names and logits.shape == (len(labels), len(names)):
                metrics = measure(Answers(logits, labels, float(facts["temperature"])), _names(source))
                note = "" if facts["is_training_data_set"] else ", other data than it was trained on"
                yield Measured(facts["split"], facts["data_name"], facts["manifest_digest"], metrics, note)
        except (OSError, SafetensorError, KeyError, TypeError, ValueError, IndexError):
            continue  # of another version, or damaged: the card does without


def _names(source: Source) -> list[tuple[str, str]]:
    return [(info.name, info.readable) for info in source.loaded.classes]


def _recipe(checkpoint: Path) -> dict[str, str]:
    """Settings of the run that a checkpoint lies in; nothing where it lies in none."""
    run = RunDir(checkpoint.parent)
    if not run.config.is_file():
        return {}
    try:
        return recipe_of(run_config(run)[0])
    except ClipftError:
        return {}
