"""Was a model trained on the images it is measured on? Told by their checksums, not by where they lie."""

from __future__ import annotations

from collections.abc import Sequence

from ...config.evaluate import EvaluateConfig
from ...errors import DataError
from ..manifest import Row, read_manifest
from .subject import Subject, data_dir_of, is_other_data
from .trained_on import TrainedOn, trained_on

NO_LIST = (
    "has no list of the images that it and the runs before it were trained on (an earlier version kept none):"
    " whether some of these are among them could not be checked by it"
)


def list_of(subject: Subject) -> TrainedOn | None:
    """The list of images that goes with what is measured; None where there is none."""
    return trained_on(subject.checkpoint) if subject.checkpoint is not None else None


def n_trained_on(config: EvaluateConfig, subject: Subject, rows: Sequence[Row], *, is_own: bool) -> int | None:
    """How many of `rows` the run, or one that it went on from, was trained on; None where nothing says so any more."""
    known = list_of(subject)
    if known is not None:
        return 0 if config.evaluate.split == "train" and is_own else known.n_of(rows)
    if is_own:
        return 0
    options = config.evaluate.model_copy(update={"data_dir": None})
    try:
        manifest = read_manifest(data_dir_of(config.model_copy(update={"evaluate": options}), subject))
    except DataError:
        return None
    if is_other_data(subject, manifest):
        return None  # prepared again since
    trained = {row.sha256 for row in manifest.rows if row.split == "train"}
    return sum(row.sha256 in trained for row in rows)
