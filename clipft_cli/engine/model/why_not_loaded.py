"""What a person is told where open_clip cannot load a model."""

from __future__ import annotations

import json
from pathlib import Path

import open_clip

from ...errors import CheckpointError, ClipftError, DownloadError, ModelError
from . import transformers_folder
from .names import ModelName, near_names


def explained(name: ModelName, error: Exception) -> ClipftError:
    """The error to raise in place of what open_clip raised."""
    text = str(error).splitlines()[0][:300] if str(error) else type(error).__name__
    if "not found in built-ins" in str(error):
        return ModelError(
            f"model.name: unknown architecture '{name.name}'{near_names(name.name, open_clip.list_models())}"
        )
    if name.is_tag or name.schema == "hf-hub":
        return DownloadError(
            f"the weights '{name.weights or name.name}' of {name.name} could not be fetched: {innermost(error)}",
            hint="connect to the internet once, or fetch the file elsewhere and pass"
            " --set model.pretrained=FILE, or try the embedded model with --set model.name=clipft-tiny",
        )
    if isinstance(error, FileNotFoundError | json.JSONDecodeError | OSError):
        return CheckpointError(f"{name.weights or name.name}: {text}")
    hint = transformers_folder.file_hint(Path(name.weights)) if name.weights else None
    return ModelError(
        f"{name.weights}: does not fit the architecture {name.name}: {text}",
        hint=hint or "model.name must be the architecture these weights were trained with",
    )


def innermost(error: BaseException) -> str:
    """The first line of what went wrong at the bottom: open_clip and the hub wrap it in pages of advice."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    if type(error).__name__ == "OfflineModeIsEnabled":
        return "there is no connection to the hub, and they are not in its cache"
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
