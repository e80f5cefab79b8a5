"""Write docs/layouts.md (`make docs`): how `clipft prepare` reads twelve layouts; a test keeps it true."""

from __future__ import annotations

import contextlib
import csv
import itertools
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from typer.testing import CliRunner

from clipft_cli.cli.app import app

DOCS = Path(__file__).parent
_SEED = itertools.count()


@dataclass(frozen=True)
class Layout:
    """`folders`: where images lie, with how many; `more` writes what lies beside them; `source` is what is prepared."""

    title: str
    folders: str
    source: str
    more: Callable[[], None] = lambda: None
    options: tuple[str, ...] = ()


def _table(path: str, header: str, rows: list[tuple[object, ...]]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header.split(","), *rows])


def _labels() -> None:
    _table("photos/labels.csv", "image,label", [(f"{i}.png", ("cat", "dog")[i % 2]) for i in range(12)])


def _kaggle() -> None:
    _table("dogs/train.csv", "id,breed", [(i, ("boxer", "pug")[i % 2]) for i in range(12)])
    _table("dogs/sample_submission.csv", "id,breed", [(0, "boxer"), (1, "pug")])


def _patients() -> None:
    rows = [(f"{i}.png", f"P{i // 3}", ("benign", "malignant")[i // 3 % 2]) for i in range(24)]
    _table("scans/labels.csv", "image,patient_id,label", rows)


LAYOUTS = (
    Layout("Class folders", "pets/cat*6; pets/dog*6", "pets"),
    Layout(
        "train, val and test",
        "pets/train/cat*6; pets/train/dog*6; pets/val/cat*2; pets/val/dog*2; pets/test/cat*2; pets/test/dog*2",
        "pets",
    ),
    Layout(
        "Splits by other words, doubled folders (Intel scenes)",
        "intel/seg_train/seg_train/forest*6; intel/seg_train/seg_train/sea*6; intel/seg_test/seg_test/forest*3;"
        "intel/seg_test/seg_test/sea*3; intel/seg_pred/seg_pred*4",
        "intel",
    ),
    Layout(
        "Years (COCO's way)", "set/train2017/cat*6; set/train2017/dog*6; set/val2017/cat*2; set/val2017/dog*2", "set"
    ),
    Layout("Splits below the classes", "set/cat/train*6; set/cat/test*3; set/dog/train*6; set/dog/test*3", "set"),
    Layout("An unlabelled test folder", "set/train/cat*9; set/train/dog*9; set/test/unknown*5", "set"),
    Layout("Pictures and masks", "set/images/cat*6; set/images/dog*6; set/masks/cat*6; set/masks/dog*6", "set"),
    Layout(
        "Two variants of the same classes",
        "set/original/cat*6; set/original/dog*6; set/augmented/cat*9; set/augmented/dog*9",
        "set",
    ),
    Layout(
        "A folder a patient",
        "set/ill/p1*3; set/ill/p2*3; set/ill/p3*3; set/well/p4*3; set/well/p5*3; set/well/p6*3",
        "set",
        options=("--paths", "{class}/{group}/*"),
    ),
    Layout("A table among the images", "photos*12", "photos", _labels),
    Layout("A table of patients", "scans*24", "scans/labels.csv", _patients, ("--group-column", "patient_id")),
    Layout("Kaggle: train.csv beside train/ and test/", "dogs/train*12; dogs/test*5", "dogs", _kaggle),
)


def layouts_page() -> str:
    """Every layout, what `prepare --plan` says of it, and the command that asks for that reading."""
    parts = [
        "# Layouts, and how they are read\n",
        "Made by `docs/make_layouts.py` from real runs of `clipft prepare SOURCE --plan`, which writes nothing.\n",
    ]
    for layout in LAYOUTS:
        parts.append(f"## {layout.title}\n")
        parts.append(f"```\n$ {_command(layout)}\n{_said(layout)}\n```\n")
    return "\n".join(parts)


def _command(layout: Layout) -> str:
    words = (layout.source, *(f"'{word}'" if re.search(r"[{*]", word) else word for word in layout.options))
    return " ".join(("clipft prepare", *words, "--plan"))


def _said(layout: Layout) -> str:
    with _empty_folder():
        for entry in layout.folders.split(";"):
            folder, _, n = entry.strip().partition("*")
            for i in range(int(n)):
                path = Path(folder) / f"{i}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                pixels = np.random.default_rng(next(_SEED)).integers(0, 256, (6, 6, 3), dtype=np.uint8)
                Image.fromarray(pixels).resize((40, 40), Image.Resampling.BICUBIC).save(path)
        layout.more()
        done = CliRunner().invoke(app, ["prepare", layout.source, *layout.options, "--plan"], env={"COLUMNS": "110"})
        text = done.stdout + done.stderr
    return "\n".join(line.rstrip() for line in text.strip().splitlines() if not line.startswith("checking"))


@contextlib.contextmanager
def _empty_folder() -> Iterator[None]:
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)


if __name__ == "__main__":
    (DOCS / "layouts.md").write_text(layouts_page(), encoding="utf-8")
