"""README.md of a model that is handed on: what it knows, how well, from what it was made, how to use it.

One text for every form a model is given away in: a checkpoint, and what is exported from it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np

from ..checkpoint.card import Card, versions
from ..files.regular import regular_text
from ..files.visible import quoted
from ..files.write import write_text
from ..metrics import HEADLINES
from ..metrics.answers import Answers
from ..metrics.metrics import Metrics, measure
from ..model.licences import licence_of
from ..preparation.layout import markdown_text
from ..run_dir import PAGE_FILE

BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"
"""Between these `clipft evaluate` writes a row of figures; all else of the page is its owner's to change."""

N_LISTED = 40
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


def model_card(
    card: Card, folder: str, measured: Sequence[Measured], *, n_train: int | None = None, day: date | None = None
) -> str:
    """The page of a model in a folder called `folder`. `measured` stands in the table of figures, in this order."""
    day = day or datetime.now(UTC).date()
    given = card.base.to_json()  # files by their names: no place of this machine
    base = f"{given['name']} ({given['pretrained']})" if given["pretrained"] else str(given["name"])
    kept = f", {card.kept.words}" if card.kept is not None else ""
    name = markdown_text(str(card.data.get("name") or "images"))
    digest = str(card.data.get("manifest_digest") or "unknown")
    images = f" ({n_train:,} images to train on)" if n_train is not None else ""
    parts = [
        _front_matter(card),
        f"# {name}: which of {len(card.classes)} classes an image shows",
        f"{markdown_text(base)}, fine-tuned with clipft by the method {card.label}{kept}. Made on {day.isoformat()}.",
        "## How to use it\n\n" + _usage(card, folder),
        "## Figures\n\n" + _figures(measured),
        f"## Classes\n\n{_classes(card)}",
        f"## Data\n\n`{name}`{images}; digest of its manifest `{digest}`.",
        f"## Base model and licence\n\n{markdown_text(base)}. Licence of its weights, as its publisher states it:"
        f" {licence_of(card.base.name, card.base.pretrained)}. Check it before you hand this model on."
        f" SHA-256 of its tensors: `{card.base.weights_sha256}`.",
        "## Limits\n\nIt chooses among these classes alone, whatever an image shows, and was measured on images like"
        " those it was trained on. Figures on val are a little too good, since val chose the epoch.",
        f"Versions: {', '.join(f'{package} {number}' for package, number in versions().items())}.",
    ]
    return "\n\n".join(parts) + "\n"


def on_val(card: Card, logits: np.ndarray, labels: np.ndarray) -> Measured:
    """Figures of a run's own model on val: logits (N, C) before its temperature, labels (N,)."""
    names = [(info.name, info.readable) for info in card.classes]
    data, digest = str(card.data.get("name")), str(card.data.get("manifest_digest"))
    return Measured("val", data, digest, measure(Answers(logits, labels, card.temperature), names))


def write_model_card(folder: Path, card: Card, measured: Sequence[Measured], n_train: int) -> None:
    """README.md beside the weights; no digest of it is kept, since its owner may change it."""
    write_text(folder / PAGE_FILE, model_card(card, folder.name, measured, n_train=n_train))


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


def _front_matter(card: Card) -> str:
    lines = ["library_name: clipft", "pipeline_tag: image-classification", "tags: [clip, open_clip, clipft]"]
    given = card.base.to_json()
    if given["pretrained"]:
        lines.append("base_model: " + json.dumps(f"{given['name']}/{given['pretrained']}"))
    return "\n".join(["---", *lines, "---"])


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
