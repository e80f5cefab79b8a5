"""The disk under a run: room for what it will keep, and what is said when it fails."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator

from ...errors import NoPermission, ResourceError, how_to_open, is_closed
from ..files.visible import quoted
from ..methods import METHODS
from ..run_dir import RunDir
from .plan import n_trainable
from .resume import KEPT
from .run import Run


def check_space(run: Run) -> None:
    """Raises ResourceError where the disk cannot hold what the run will keep."""
    trainable = 4 * n_trainable(run)
    is_whole = METHODS[run.config.method].writes_whole_model
    model = 4 * sum(p.numel() for p in run.classifier.parameters()) if is_whole else trainable
    # the start's mix and one that is being written come on top
    checkpoints = (run.config.checkpoint.keep_last + run.config.checkpoint.keep_best + 2) * model
    needed = checkpoints + (KEPT + 1) * trainable * (4 if run.ema is not None else 3)
    free = shutil.disk_usage(run.run_dir.path).free
    if free < needed:
        raise ResourceError(
            f"{run.run_dir.path}: the run needs {needed / 2**30:.1f} GiB of disk space, {free / 2**30:.1f} are free",
            hint="free some space, or choose an --output-dir on another disk",
        )


@contextlib.contextmanager
def disk_errors(run_dir: RunDir) -> Iterator[None]:
    """A full or failing disk ends the run with what failed, and with the way back to what was saved."""
    try:
        yield
    except OSError as error:
        again = f"`clipft train --resume {quoted(run_dir.path)}`" if run_dir.config.is_file() else "start the run again"
        if isinstance(error, PermissionError) and isinstance(error.filename, str) and is_closed(error.filename):
            raise NoPermission(error.filename, hint=f"{how_to_open(error.filename)}, then {again}") from error
        raise ResourceError(
            f"{error.filename or run_dir.path}: {error.strerror or error}",
            hint=f"what was saved is whole: make room or restore access, then {again}",
        ) from error
