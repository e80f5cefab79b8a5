"""`clipft cache`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from .options import AsJson, Debug, Quiet
from .render import Screen

if TYPE_CHECKING:
    from ..engine.cache import CachePlace


def cache(
    context: typer.Context,
    clear: Annotated[bool, typer.Option("--clear", help="Remove what clipft has kept; it is computed anew.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Tell what is kept for later runs, where, and how much; `--clear` removes what is clipft's own."""
    screen = Screen.of(context)

    from ..engine.cache import caches
    from ..engine.cache import clear as remove
    from ..engine.files.amounts import size

    freed = remove() if clear else None
    if freed is not None:
        screen.say(f"{size(freed)} freed")
    places = caches()
    data = {"caches": [place.to_json() for place in places], "freed_bytes": freed}
    screen.result(data, lambda console: show_caches(console, places))


def show_caches(console: Console, places: list[CachePlace]) -> None:
    """Two lines a cache: how much and where, and what it is."""
    for place in places:
        console.print(f"{place.name}: {place.amount} in {place.folder}", soft_wrap=True)
        console.print(f"  {place.what}", soft_wrap=True)
