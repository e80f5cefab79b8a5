"""MLflow: in `mlflow.db` beside the runs, an SQLite file, unless MLFLOW_TRACKING_URI says otherwise."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path

from .base import PROJECT, Told, Tracker

MOST_CHARACTERS = 6000
"""Of the value of a parameter."""


class Mlflow(Tracker):
    """Told through MlflowClient, which has no run of its own that another part of a program could take for its."""

    name, package = "mlflow", "mlflow"

    def __init__(self, told: Told) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        from mlflow import MlflowClient

        beside = told.folder.resolve().parent
        self._client = MlflowClient(os.environ.get("MLFLOW_TRACKING_URI", f"sqlite:///{beside / 'mlflow.db'}"))
        if told.known is not None:
            self._run = told.known
            self._client.update_run(self._run, status="RUNNING")
            return
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        experiment = self._client.get_experiment_by_name(name)
        files = None if "MLFLOW_TRACKING_URI" in os.environ else (beside / "mlflow-files").as_uri()
        number = experiment.experiment_id if experiment else self._client.create_experiment(name, files)
        self._run = self._client.create_run(number, run_name=told.name).info.run_id
        for key, value in told.flat_config.items():
            self._client.log_param(self._run, key, value[:MOST_CHARACTERS])

    @property
    def run(self) -> str:
        return self._run

    def log(self, values: Mapping[str, float], step: int) -> None:
        from mlflow.entities import Metric

        now = _milliseconds()
        rows = [Metric(_allowed(key), value, now, step) for key, value in values.items() if math.isfinite(value)]
        self._client.log_batch(self._run, metrics=rows)

    def keep(self, file: Path) -> None:
        self._client.log_artifact(self._run, str(file))

    def close(self) -> None:
        self._client.set_terminated(self._run)


def _milliseconds() -> int:
    import time

    return int(time.time() * 1000)


def _allowed(key: str) -> str:
    """Letters, digits and `_-. :/` are all that a metric's name may have."""
    return "".join(letter if letter.isalnum() or letter in "_-. :/" else "_" for letter in key)
