"""Weights & Biases: in the run's folder `wandb`, offline unless WANDB_MODE says otherwise; `wandb sync` sends it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from .base import PROJECT, Told, Tracker


class Wandb(Tracker):
    """A resumed run has the same identity, so that `wandb sync` joins its parts."""

    name, package = "wandb", "wandb"

    def __init__(self, told: Told) -> None:
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        import wandb

        self._client = wandb
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            name=told.name,
            id=told.known,
            resume=None if told.known is None else "allow",
            dir=told.folder,
            config=dict(told.config),
            mode=_mode(),
            settings=wandb.Settings(
                console="off", silent=True, x_disable_stats=True, disable_git=True, save_code=False
            ),
        )

    @property
    def run(self) -> str:
        return str(self._run.id)

    def log(self, values: Mapping[str, float], step: int) -> None:
        self._run.log(dict(values), step=step)

    def keep(self, file: Path) -> None:
        artifact = self._client.Artifact(f"{file.stem}-{self.run}", type="page")
        artifact.add_file(str(file))
        self._run.log_artifact(artifact)

    def close(self) -> None:
        self._run.finish()


def _mode() -> str:
    return os.environ.get("WANDB_MODE", "offline")
