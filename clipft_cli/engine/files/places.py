"""Where a run found what it was given: kept in the run, so that it can be gone on with from anywhere, and moved."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import NoPermission
from .regular import regular_text

PLACES_FILE = "places.json"


@dataclass(frozen=True)
class Place:
    """One path: as it was `given`, `absolute`, and `relative` to the run's folder."""

    given: str
    absolute: str
    relative: str

    def candidates(self, run: Path) -> list[Path]:
        """Where it may be now: a project that was moved or copied as a whole has it beside the run."""
        return [Path(os.path.normpath(run.resolve() / self.relative)), Path(self.absolute), Path(self.given)]


def places_text(run: Path, given: Mapping[str, Path | None]) -> str:
    """What is there of `given`, by key, as the run in the folder `run` keeps it."""
    places = {
        key: {"given": str(path), "absolute": str(path.resolve()), "relative": _relative(path.resolve(), run.resolve())}
        for key, path in given.items()
        if path is not None and path.exists()
    }
    return json.dumps(places, indent=2) + "\n"


def read_places(run: Path) -> dict[str, Place]:
    """By key; empty for a run that kept none, or where the file is damaged."""
    try:
        content = json.loads(regular_text(run / PLACES_FILE, max_bytes=1 << 20))
        return {
            str(key): Place(str(place["given"]), str(place["absolute"]), str(place["relative"]))
            for key, place in content.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def where(run: Path, key: str, given: str) -> Path | None:
    """Where that path of a run is now; None where it is nowhere.

    Of a run that kept no places `given`, relative as it may be, is looked for from the working folder and from each
    folder above the run.
    """
    place = read_places(run).get(key)
    if place is not None:
        candidates = place.candidates(run)
    else:
        candidates = [Path(given), *(folder / given for folder in run.resolve().parents)]
    found = next((path for path in candidates if _is_there(path)), None)
    if found is None and place is not None:  # an absolute path may be of another person's machine
        for path in candidates:
            if str(path) != place.absolute:
                refuse_closed(path)
    return found


def from_here(path: Path) -> Path:
    """As seen from the working folder where it lies inside, else as it is."""
    here = Path.cwd().resolve()
    return path.relative_to(here) if path.is_relative_to(here) else path


def without_place(path: str) -> str:
    """For a file that is handed on: of an absolute path, which tells of one machine and its owner, the last name."""
    return Path(path).name if Path(path).is_absolute() else path


def handed_on(content: Any, places: Iterable[str | Path | None]) -> Any:
    """Text, or lists and mappings of it, in which none of these absolute `places` stands, nor the working folder."""
    if isinstance(content, Mapping):
        return {key: handed_on(value, places) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return type(content)(handed_on(value, places) for value in content)
    if isinstance(content, Path):
        return Path(handed_on(str(content), places))
    if not isinstance(content, str):
        return content
    for place in sorted({str(place) for place in places if place}, key=len, reverse=True):
        if Path(place).is_absolute():
            content = content.replace(place, without_place(str(from_here(Path(place)))))
    return content.replace(f"{Path.cwd().resolve()}{os.sep}", "")


def refuse_closed(path: Path) -> None:
    """Raises NoPermission where it cannot even be said whether `path` is there."""
    try:
        path.stat()
    except PermissionError:
        raise NoPermission(path) from None
    except (OSError, ValueError):
        pass


def _relative(path: Path, run: Path) -> str:
    try:
        return os.path.relpath(path, run)
    except ValueError:  # Windows: another drive
        return str(path)


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False
