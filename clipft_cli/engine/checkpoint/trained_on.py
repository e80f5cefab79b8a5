"""The images a run was trained on, and every run before it, by the first digits of their digests."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from ...errors import CheckpointError
from ..files.regular import regular_text
from ..files.write import write_text
from ..manifest import Row
from ..run_dir import RunDir

N_DIGITS = 16
"""Of an image's digest, in the list of what was trained on: enough to tell a billion images apart."""


def trained_on(run: Path) -> frozenset[str] | None:
    """The first digits of the digests of all images that this run or one before it was trained on.

    None for a run of an earlier version, which kept no list. Raises CheckpointError.
    """
    try:
        return frozenset(regular_text(RunDir(run).trained_on).split())
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        raise CheckpointError(f"{RunDir(run).trained_on}: cannot be read") from None


def keep_trained_on(run: RunDir, rows: Iterable[Row], before: Collection[str]) -> None:
    """Into the run: the images it trains on, and those of the runs before it. Raises OSError."""
    digests = {row.sha256[:N_DIGITS] for row in rows} | set(before)
    write_text(run.trained_on, "".join(f"{digest}\n" for digest in sorted(digests)))


def n_seen(rows: Iterable[Row], known: Collection[str]) -> int:
    """How many of these images were trained on."""
    return sum(row.sha256[:N_DIGITS] in known for row in rows)
