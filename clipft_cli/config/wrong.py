"""What is wrong with a configuration, in a person's words: the place, the key, what it should be, what was meant."""

from __future__ import annotations

import difflib
import re
from typing import Any

from pydantic import ValidationError

from .base import Config
from .file import FileConfig
from .layers import place_of, slice_at
from .source import Path_
from .synonyms import MEANT


def where_keys_are_listed() -> str:
    """The way out of a wrong configuration."""
    return "`clipft help config` lists every key, `clipft help config.KEY` says what one means"


_ALTERNATIVE = re.compile(r"(literal|tuple|constrained-\w+|function-\w+|bool|int|float|str|none)(\[.*\])?")
"""What pydantic puts into a place where a value may be of several kinds."""


def problems_of(error: ValidationError, origins: dict[Path_, str]) -> list[str]:
    """A line for each key; where a value may be of several kinds, all that it could be."""
    by_path: dict[Path_, list[Any]] = {}
    for detail in error.errors():
        places = [str(part) for part in detail["loc"]]
        n_keys = 1 if detail["type"] == "extra_forbidden" else 0  # an unknown key may itself be called `none` or `int`
        above, keys = places[: len(places) - n_keys], places[len(places) - n_keys :]
        path = (*(part for part in above if not _ALTERNATIVE.fullmatch(part)), *keys)
        by_path.setdefault(path, []).append(detail)
    return [_problem(path, details, origins) for path, details in by_path.items()]


def _problem(path: Path_, details: list[Any], origins: dict[Path_, str]) -> str:
    detail = details[0]
    where = ": ".join((*place_of(path, origins), ".".join(path) or "the file"))
    if detail["type"] == "extra_forbidden":
        meant = MEANT.get(path[-1]) or " or ".join(_named(path[-1], FileConfig))
        return f"{where}: unknown key" + (f", did you mean {meant}?" if meant else near(path[-1], _siblings(path)))
    texts = [each["msg"].removeprefix("Value error, ").removeprefix("Input should be ") for each in details]
    texts = ["a path" if detail["type"] == "path_type" else text for detail, text in zip(details, texts, strict=True)]
    text = " or ".join(text[0].lower() + text[1:] for text in dict.fromkeys(texts) if text) or "not valid"
    given = detail.get("input")
    shown = f" (given: {given!r})" if isinstance(given, str | int | float | bool) else ""
    if detail["type"] == "literal_error" and isinstance(given, str):
        choices = re.findall(r"'([^']*)'", detail["ctx"]["expected"])
        shown += near(given, choices, or_all=False)
    lead = "should be " if detail["msg"].startswith("Input should be ") or detail["type"] == "path_type" else ""
    return f"{where}: {lead}{text}{shown}"


def _named(name: str, model: type[Config], above: Path_ = ()) -> list[str]:
    """All keys of this name, wherever they stand."""
    found = [".".join((*above, name))] if above and name in model.model_fields else []
    for key in model.model_fields:
        kind = slice_at(model, key)
        found += _named(name, kind, (*above, key)) if kind is not None else []
    return found


def _siblings(path: Path_) -> list[str]:
    model: type[Config] = FileConfig
    for part in path[:-1]:
        kind = slice_at(model, part)
        if kind is None:
            return []
        model = kind
    return [*model.model_fields, *model.ALIASES]


def near(name: str, known: list[str], *, or_all: bool = True) -> str:
    """What was probably meant, as the end of a sentence, else all that is known; empty where nothing is."""
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.55)
    if near:
        return ", did you mean " + " or ".join(f"'{n}'" for n in near) + "?"
    return f"; known here: {', '.join(known)}" if or_all and 0 < len(known) <= 30 else ""
