"""`clipft doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer
from rich.console import Console

from .options import AsJson, Debug, Quiet
from .render import Screen

if TYPE_CHECKING:
    from ..engine.doctor import Diagnosis


def doctor(context: typer.Context, as_json: AsJson = False, quiet: Quiet = False, debug: Debug = False) -> None:
    """Tell of this machine and installation: versions, device, precision, caches; to paste into a report."""
    screen = Screen.of(context)

    from ..engine.doctor import diagnose

    found = diagnose()
    screen.result(found.to_json(), lambda console: show_diagnosis(console, found))


def show_diagnosis(console: Console, found: Diagnosis) -> None:
    """One line a fact, as plain text: it is to be pasted."""
    for what, fact in found.lines():
        console.print(f"{what}: {fact}", soft_wrap=True)
