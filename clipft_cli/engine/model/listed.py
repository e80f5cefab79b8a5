"""Files of a checkpoint or an export, taken as pretrained weights: they must be what was written there."""

from __future__ import annotations

from pathlib import Path

from ...errors import CheckpointError
from ..files.digest import file_digest
from ..files.signed import read_signed
from ..run_dir import CHECKPOINT_FILE, EXPORT_FILE


def refuse_damaged(*files: Path) -> None:
    """Raises CheckpointError where one of these lies beside a description that lists its digest, and has another."""
    for file in files:
        for description in (file.with_name(CHECKPOINT_FILE), file.with_name(EXPORT_FILE)):
            if description.is_file() and file.is_file():
                _refuse_another(file, description)


def _refuse_another(file: Path, description: Path) -> None:
    try:
        listed = read_signed(description).get("files")
    except OSError as error:
        raise CheckpointError(f"{description}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise CheckpointError(f"{description}: {error}") from None
    wanted = listed.get(file.name) if isinstance(listed, dict) else None
    try:
        is_another = wanted is not None and file_digest(file) != wanted
    except OSError as error:
        raise CheckpointError(f"{file}: cannot be read: {error.strerror}") from None
    if is_another:
        raise CheckpointError(
            f"{file}: is damaged (its checksum differs)",
            hint=f"it is not what {description.name} beside it lists: make it again, or take the weights elsewhere",
        )
