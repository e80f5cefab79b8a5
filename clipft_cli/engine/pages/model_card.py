"""README.md of a model that is handed on: what it knows, how well, from what it was made, how to use it.

One text for every form a model is given away in: a checkpoint, and what is exported from it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np

from ...config.train import TrainConfig
from ..checkpoint.card import Card
from ..files.regular import regular_text
from ..files.visible import quoted
from ..files.write import write_text
from ..machine.versions import versions_behind_results
from ..metrics import HEADLINES
from ..metrics.answers import Answers
from ..metrics.metrics import Metrics, measure
from ..model.licences import licence_of
from ..preparation.layout import markdown_text
from ..run_dir import PAGE_FILE
from .card_header import card_header
from .weak_points import weak_points

BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"
"""Between these `clipft evaluate` writes a row of figures; all else of the page is its owner's to change."""

N_LISTED = 40
N_TEMPLATES = 3
MAX_BYTES = 1 << 20


@dataclass(frozen=True)
class Measured:
    """Figures of one split: `data` names the data set, `digest` is its manifest's, `note` what to know of them."""

    split: str
    data: str
    digest: str
    metrics: Metrics
    note: str = ""

    @property
    def key(self) -> str:
        """What the row is of: another measurement of the same takes its place."""
        return f"{self.split} of {markdown_text(self.data)} ({self.digest[:12]}){self.note}"

    @property
    def row(self) -> str:
        """One row of the table of figures."""
        cells = [self.key, f"{self.metrics.n_images:,}"]
        for metric in HEADLINES:
            figure = self.metrics.figures.get(metric.name)
            is_told = figure is not None and len(self.metrics.classes) >= metric.min_classes
            cells.append(
                f"{metric.text(figure.value)} ({metric.text(figure.low)} to {metric.text(figure.high)})"
                if is_told and figure is not None
                else "–"
            )
        return f"| {' | '.join(cells)} |"


@dataclass(frozen=True)
class Form:
    """In what form a model is handed on. `library` and `tags` are for a hub's header, `usage` is Markdown that ends
    with how it is called, `checked` says in Markdown how its answers were compared with the model's."""

    library: str
    tags: tuple[str, ...]
    usage: str
    checked: str = ""


def model_card(
    card: Card,
    form: Form,
    measured: Sequence[Measured],
    *,
    n_train: int | None = None,
    recipe: Mapping[str, str] | None = None,
    day: date | None = None,
) -> str:
    """The page of a model. `measured` stands in the table of figures, in this order, and the last of them says what
    the model is bad at; `recipe` names settings of its training."""
    day = day or datetime.now(UTC).date()
    given = card.base.to_json()  # files by their names: no place of this machine
    base = f"{given['name']} ({given['pretrained']})" if given["pretrained"] else str(given["name"])
    kept = f", {card.kept.words}" if card.kept is not None else ""
    name = markdown_text(str(card.data.get("name") or "images"))
    digest = str(card.data.get("manifest_digest") or "unknown")
    images = f" ({n_train:,} images to train on)" if n_train is not None else ""
    figures = [(item.split, item.data, item.digest, item.metrics) for item in measured]
    weak = [weak_points(item.split, item.data, item.metrics) for item in measured[-1:]]
    parts = [
        card_header(card, form.library, form.tags, figures),
        f"# {name}: which of {len(card.classes)} classes an image shows",
        f"{markdown_text(base)}, fine-tuned with clipft by the method {card.label}{kept}. Made on {day.isoformat()}.",
        f"## How to use it\n\n{form.usage}",
        *([f"## Checked\n\n{form.checked}"] if form.checked else []),
        "## Intended use\n\nTo sort images like those it was trained on into the classes below, where a person can"
        " correct a mistake. Not for images of anything else, and not for decisions about people.",
        "## Figures\n\n" + _figures(measured),
        *(f"## What it is bad at\n\n{text}" for text in weak),
        f"## Classes\n\n{_classes(card)}",
        f"## Data\n\n`{name}`{images}; digest of its manifest `{digest}`.",
        f"## How it was trained\n\n{_training(card, recipe or {})}",
        f"## Base model and licence\n\n{markdown_text(base)}. Licence of its weights, as its publisher states it:"
        f" {licence_of(card.base.name, card.base.pretrained)}. Check it before you hand this model on."
        f" SHA-256 of its tensors: `{card.base.weights_sha256}`.",
        "## Limits\n\nIt chooses among these classes alone, whatever an image shows, and was measured on images like"
        " those it was trained on. Figures on val are a little too good, since val chose the epoch.",
        f"Versions: {', '.join(f'{package} {number}' for package, number in versions_behind_results().items())}.",
    ]
    return "\n\n".join(parts) + "\n"


def checkpoint_form(card: Card, folder: str) -> Form:
    """A checkpoint in a folder of this name, as clipft itself writes it."""
    return Form("clipft", ("clip", "open_clip", "clipft"), _usage(card, folder))


def recipe_of(config: TrainConfig) -> dict[str, str]:
    """What of a run's settings a reader of its card asks for."""
    return {
        "epochs": str(config.training.num_epochs),
        "peak learning rate": str(config.training.learning_rate),
        "batch": str(config.data.batch_size),
        "augmentation": config.data.augmentation,
        "seed": str(config.seed),
    }


def on_val(card: Card, logits: np.ndarray, labels: np.ndarray) -> Measured:
    """Figures of a run's own model on val: logits (N, C) before its temperature, labels (N,)."""
    names = [(info.name, info.readable) for info in card.classes]
    data, digest = str(card.data.get("name")), str(card.data.get("manifest_digest"))
    return Measured("val", data, digest, measure(Answers(logits, labels, card.temperature), names))


def write_model_card(
    folder: Path, card: Card, measured: Sequence[Measured], n_train: int, recipe: Mapping[str, str] | None = None
) -> None:
    """README.md beside the weights; no digest of it is kept, since its owner may change it."""
    form = checkpoint_form(card, folder.name)
    write_text(folder / PAGE_FILE, model_card(card, form, measured, n_train=n_train, recipe=recipe))


def add_figures(folder: Path, measured: Measured) -> None:
    """A row in the page of the model in `folder`, in place of the earlier one of the same; nothing where there is no
    such page, where its owner has taken the table out, or where it may not be written."""
    page = folder / PAGE_FILE
    with contextlib.suppress(OSError, ValueError):
        text = regular_text(page, max_bytes=MAX_BYTES)
        if BEGIN not in text or END not in text.partition(BEGIN)[2]:
            return
        before, _, rest = text.partition(BEGIN)
        table, _, after = rest.partition(END)
        rows = [line for line in table.strip().splitlines() if not line.startswith(f"| {measured.key} |")]
        if len(rows) == 0:
            rows = _head()
        write_text(page, f"{before}{BEGIN}\n" + "\n".join([*rows, measured.row]) + f"\n{END}{after}")


def _training(card: Card, recipe: Mapping[str, str]) -> str:
    own = card.settings.model_dump(mode="json") if card.settings is not None else {}
    facts = {
        "method": card.method,
        **{f"{card.method}.{key}": json.dumps(value) for key, value in own.items()},
        "objective": card.objective,
        "head": card.head,
        "prompts of the start": "; ".join(card.templates[:N_TEMPLATES]),
        "epoch that was kept": f"{card.epoch}, chosen on {card.selected_on}",
        "precision": card.precision or "unknown",
        "temperature": f"{card.temperature:.4g}, fitted on val",
        **recipe,
    }
    return "\n".join(f"- {key}: {markdown_text(value)}" for key, value in facts.items())


def _usage(card: Card, folder: str) -> str:
    from ..methods import METHODS  # torch, which adding figures does without

    needs_base = not METHODS[card.method].writes_whole_model
    base = (
        "\n\nThis folder does not hold the base model: open_clip fetches it by its name, or give its file"
        " (`--base FILE`, or put it into this folder)."
        if needs_base and card.base.pretrained
        else ""
    )
    return (
        "```python\n"
        "import clipft_cli as clipft\n"
        f"model = clipft.load({json.dumps(folder)})\n"
        'print(model.predict(["photo.jpg"], top_k=3))\n'
        "```\n\n"
        "```sh\n"
        f"clipft predict photo.jpg --checkpoint {quoted(folder)}\n"
        "```\n\n"
        "`pip install clipft-cli` brings both." + base
    )


def _head() -> list[str]:
    headings = ["measured on", "images", *(metric.column for metric in HEADLINES)]
    return [f"| {' | '.join(headings)} |", "|" + "---|" * len(headings)]


def _figures(measured: Sequence[Measured]) -> str:
    rows = "\n".join([BEGIN, *_head(), *(item.row for item in measured), END])
    return f"{rows}\n\nIn brackets: 95% intervals. `clipft evaluate` adds a row for each split that it measures."


def _classes(card: Card) -> str:
    names = [f"{markdown_text(info.name)}: {markdown_text(info.readable)}" for info in card.classes]
    listed = "\n".join(f"- {name}" for name in names)
    if len(names) <= N_LISTED:
        return listed
    return f"<details><summary>{len(names)} classes</summary>\n\n{listed}\n\n</details>"
