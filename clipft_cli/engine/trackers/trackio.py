"""trackio: in `trackio` beside the runs, on this machine only, unless TRACKIO_DIR says otherwise."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from .base import PROJECT, Told, Tracker


class Trackio(Tracker):
    """A run is known by its name, which is the folder's and a few digits."""

    name, package = "trackio", "trackio"

    def __init__(self, told: Told) -> None:
        os.environ.setdefault("TRACKIO_DIR", str(told.folder.resolve().parent / "trackio"))
        os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
        import trackio

        self._client = trackio
        self._name = told.known or f"{told.name}-{os.urandom(3).hex()}"
        self._run = trackio.init(
            project=PROJECT,
            name=self._name,
            config=told.flat_config,
            resume="never" if told.known is None else "allow",
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )

    @property
    def run(self) -> str:
        return self._name

    def log(self, values: Mapping[str, float], step: int) -> None:
        self._client.log(dict(values), step=step)

    def keep(self, file: Path) -> None:
        self._client.log_artifact(file, name=f"{file.stem}-{self._name}", type="page")

    def close(self) -> None:
        self._client.finish()
