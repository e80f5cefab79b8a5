"""How a reading looks: a small tree, what it takes and what it leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

if TYPE_CHECKING:
    from ..engine.preparation.reading import Reading

_MAX_CLASSES = 12


def _tree(reading: Reading) -> Tree:
    from ..engine.files.amounts import count
    from ..engine.files.visible import visible

    tree = Tree(Text(f"read as {reading.kind}: {reading.evidence}"))
    for role in ("split", "group"):
        tree.add(Text(f"{role}s: {_role(reading, role)}"))
    place = reading.places.get("class")
    head = count(len(reading.classes), "class", "classes") + (f", {place}" if place else "")
    classes = tree.add(Text(head))
    for read in reading.classes[:_MAX_CLASSES]:
        classes.add(Text(f"{visible(read.name)}: {read.total:,} ({visible(read.example)})"))
    if len(reading.classes) > _MAX_CLASSES:
        classes.add(Text(f"... {len(reading.classes) - _MAX_CLASSES:,} more"))
    _add_left_out(tree, reading)
    return tree


def _role(reading: Reading, role: str) -> str:
    place = reading.places.get(role)
    if role == "group":
        return f"{reading.n_groups:,}, {place}" if reading.n_groups else "none"
    counts = ", ".join(f"{split} {n:,}" for split, n in reading.counts.items())
    return f"{counts}, {place}" if place else f"{counts}, none is given"


def _add_left_out(tree: Tree, reading: Reading) -> None:
    if not reading.left_out:
        tree.add(Text("left out: nothing"))
        return
    branch = tree.add(Text(f"left out: {reading.left_out_words}"))
    for reason, n in reading.left_out.items():
        branch.add(Text(f"{n:,} x {reason}"))


def print_reading(console: Console, reading: Reading) -> None:
    """The tree, and the command that asks for the same in words, on one line so that it can be pasted."""
    console.print(_tree(reading))  # not with soft_wrap, which cuts the lines of a tree
    if reading.settings:
        console.print(Text("in words: ", style="cyan") + Text(reading.command), soft_wrap=True)


def show_reading(console: Console, reading: Reading) -> None:
    """The reading and its notes, as the result of `--plan`."""
    print_reading(console, reading)
    for note in reading.notes:
        console.print(Text(note), soft_wrap=True)
    console.print(Text("no data set was written: leave --plan out to prepare it", style="dim"), soft_wrap=True)
