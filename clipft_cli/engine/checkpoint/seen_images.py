"""Was a model trained on the images it is measured on? Told by their checksums, not by where they lie."""

from __future__ import annotations

from collections.abc import Sequence

from ...config.commands import EvaluateConfig
from ...errors import DataError
from ..manifest import Row, read_manifest
from .subject import Subject, data_dir_of, is_other_data


def n_trained_on(config: EvaluateConfig, subject: Subject, rows: Sequence[Row]) -> int | None:
    """How many of `rows` are in the train split of the run; None where its data set is not there any more."""
    options = config.evaluate.model_copy(update={"data_dir": None})
    try:
        manifest = read_manifest(data_dir_of(config.model_copy(update={"evaluate": options}), subject))
    except DataError:
        return None
    if is_other_data(subject, manifest):
        return None  # prepared again since
    trained = {row.sha256 for row in manifest.rows if row.split == "train"}
    return sum(row.sha256 in trained for row in rows)
