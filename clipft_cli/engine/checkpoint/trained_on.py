"""The images a run was trained on, and every run before it, by the first digits of their digests: in the run and in
each of its checkpoints and exports, so that the list goes wherever the model goes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ...config.model import ModelConfig
from ...errors import CheckpointError
from ..files.regular import regular_text
from ..manifest import Row
from ..run_dir import CHECKPOINT_FILE, TRAINED_ON_FILE, RunDir, is_export

N_DIGITS = 16
"""Of an image's digest, in the list of what was trained on: enough to tell a billion images apart."""

_DIGEST = re.compile(rf"[0-9a-f]{{{N_DIGITS}}}")
_NOT_ALL = "not all"
"""The first line of a list that lacks the images of a run before it, which kept none."""


@dataclass(frozen=True)
class TrainedOn:
    """The first digits of the digests of images. `is_whole`: no image that was trained on is missing."""

    digests: frozenset[str] = frozenset()
    is_whole: bool = True

    def n_of(self, rows: Iterable[Row]) -> int:
        """How many of these images were trained on."""
        return sum(row.sha256[:N_DIGITS] in self.digests for row in rows)

    def and_then(self, rows: Iterable[Row]) -> TrainedOn:
        """With the images of one more run."""
        return TrainedOn(self.digests | {row.sha256[:N_DIGITS] for row in rows}, self.is_whole)

    @property
    def text(self) -> str:
        """As it is written, one digest a line."""
        return "".join(f"{line}\n" for line in [*([] if self.is_whole else [_NOT_ALL]), *sorted(self.digests)])


def trained_on(folder: Path) -> TrainedOn | None:
    """What the model in a checkpoint or an export was trained on: by the list in it, or by that of its run.

    None where neither has one, as of earlier versions. Raises CheckpointError where the list is damaged.
    """
    run = RunDir(folder.parent)
    places = [folder / TRAINED_ON_FILE, *([run.trained_on] if run.config.is_file() else [])]
    for place in places:
        try:
            return _read(place)
        except FileNotFoundError:
            continue
    return None


def trained_before(model: ModelConfig, parent: Path | None) -> TrainedOn | None:
    """What the model that a run starts from was trained on, as far as it is one of clipft's: `parent` is the
    checkpoint that it is, if it is one.

    None where it was, and no list says on what. Raises CheckpointError where the list is damaged.
    """
    if parent is not None:
        return trained_on(parent)
    for named in filter(None, (model.pretrained, model.name)):
        path = Path(named)
        folder = path if path.is_dir() else path.parent
        known = trained_on(folder) if path.exists() else None
        if known is not None or (path.exists() and ((folder / CHECKPOINT_FILE).is_file() or is_export(folder))):
            return known
    return TrainedOn()


def _read(file: Path) -> TrainedOn:
    try:
        lines = regular_text(file).splitlines()
    except FileNotFoundError:
        raise
    except (OSError, ValueError):
        raise CheckpointError(f"{file}: cannot be read") from None
    is_whole = lines[:1] != [_NOT_ALL]
    digests = lines if is_whole else lines[1:]
    if not all(_DIGEST.fullmatch(line) for line in digests):
        raise CheckpointError(f"{file}: is damaged: it is no list of digests")
    return TrainedOn(frozenset(digests), is_whole)
