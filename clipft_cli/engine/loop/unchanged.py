"""Is all that decides the result still what an interrupted run began with? And what of it can nothing say any more?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from ...errors import CheckpointError
from ..events import Note, OnEvent
from ..files.regular import regular_text
from ..run_dir import RunDir
from .inputs import Inputs, read_inputs
from .resume import STATE_FILE, generations
from .start import RESTORE_HINT, START_FILE, cannot_resume


def refuse_other_inputs(run_dir: RunDir, now: Inputs, on_event: OnEvent) -> None:
    """Raises CheckpointError where something is not what the run began with, and says what; or where the run's list of
    it is damaged and nothing else in the run holds all of it.

    A run of an earlier version has no list: what can then not be checked is said.
    """
    try:
        then = read_inputs(run_dir)
    except CheckpointError as error:
        if unchecked := _unchecked(run_dir, now):
            error.hint = f"{' and '.join(unchecked)} can no longer be held against it: start a new run"
            raise
        return on_event(Note(f"{error.message}: what the saved state says of it is taken", is_warning=True))
    if then is None:
        if unchecked := _unchecked(run_dir, now):
            told = f"{run_dir.path} has no {run_dir.inputs.name} (an earlier version of clipft wrote none)"
            on_event(Note(f"{told}: whether {' and '.join(unchecked)} are as they were could not be checked"))
        return None
    changed = [what for what, digest in now.digests.items() if then.digests[what] != digest]
    if changed:
        told = "; ".join(now.differing(then))
        raise CheckpointError(f"{run_dir.path}: {cannot_resume(changed)}: {told}", hint=RESTORE_HINT)
    return None


def _unchecked(run_dir: RunDir, now: Inputs) -> list[str]:
    """What neither the saved state nor the start of the run has a digest of."""
    known = {what for file in _files_with_digests(run_dir) for what in _names_in(file)}
    return [what for what in now.digests if what not in known]


def _files_with_digests(run_dir: RunDir) -> Iterator[Path]:
    yield run_dir.start / START_FILE
    yield from (generation / STATE_FILE for generation in generations(run_dir.resume)[-1:])


def _names_in(file: Path) -> set[str]:
    """Of the inputs that the file has a digest of; none where it cannot be read, which is refused elsewhere."""
    try:
        content = json.loads(regular_text(file))
        return {*content, *content.get("state", {}).get("belongs_to", {})}
    except (OSError, ValueError, AttributeError, TypeError, RecursionError):
        return set()
