"""Each tracker by its own client, without a network: config, curves, a file, and a resumed run that is the same run."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from clipft_cli.engine.events import Note, StepDone
from clipft_cli.engine.trackers.reporting import Reporting


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")  # nothing listens there
    for variable in ("WANDB_MODE", "MLFLOW_TRACKING_URI", "TRACKIO_DIR"):
        monkeypatch.delenv(variable, raising=False)


def tell(run: Path, name: str, steps: range, page: Path | None = None) -> None:
    notes: list[Note] = []
    run.mkdir(parents=True, exist_ok=True)
    with Reporting([name], run, {"seed": 7, "data": {"dir": "pets"}}, notes.append) as trackers:
        for number in steps:
            values = {"loss/train": 1.0 / number, "work/learning_rate of block.0, top (é)": 1e-3}
            trackers(StepDone(number, 1, 8, 0.5, 1e-3, 1.0, 100.0, 0.0, 0.1), values)
        if page is not None:
            trackers.keep(page)
    assert notes == []


def told_twice(tmp_path: Path, name: str) -> Path:
    """A run, interrupted after step 3, that goes on from the state after step 2."""
    page = tmp_path / "compare.html"
    page.write_text("<p>the page</p>", encoding="utf-8")
    run = tmp_path / "outputs" / "full"
    tell(run, name, range(1, 4))
    tell(run, name, range(3, 6), page)
    return run


def test_mlflow_keeps_one_run_in_a_file_beside_the_runs(tmp_path):
    mlflow = pytest.importorskip("mlflow")
    run = told_twice(tmp_path, "mlflow")
    client = mlflow.MlflowClient(f"sqlite:///{run.parent / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("clipft")
    (kept,) = client.search_runs([experiment.experiment_id])
    assert kept.info.run_name == "full"
    assert kept.info.status == "FINISHED"
    assert kept.data.params == {"seed": "7", "data.dir": "pets"}
    history = client.get_metric_history(kept.info.run_id, "loss/train")
    assert [(metric.step, metric.value) for metric in history] == [(number, 1.0 / number) for number in range(1, 6)]
    assert [file.path for file in client.list_artifacts(kept.info.run_id)] == ["compare.html"]


def test_trackio_keeps_one_run_beside_the_runs(tmp_path):
    pytest.importorskip("trackio")
    run = told_twice(tmp_path, "trackio")
    (base,) = (run.parent / "trackio").glob("clipft*.db")
    with sqlite3.connect(base) as connection:
        rows = connection.execute("SELECT run_name, step FROM metrics ORDER BY step").fetchall()
    assert [number for _, number in rows] == [1, 2, 3, 4, 5]
    assert len({name for name, _ in rows}) == 1
    assert any(file.read_bytes() == b"<p>the page</p>" for file in _files(run.parent / "trackio"))


def test_wandb_keeps_its_parts_under_one_identity_offline(tmp_path):
    pytest.importorskip("wandb")
    run = told_twice(tmp_path, "wandb")
    parts = sorted((run / "wandb").glob("offline-run-*"))
    assert len({part.name.rsplit("-", 1)[1] for part in parts}) == 1
    written = b"".join(file.read_bytes() for part in parts for file in part.glob("*.wandb"))
    assert b"loss/train" in written
    assert b"pets" in written


def _files(folder: Path, wanted: Callable[[Path], bool] = Path.is_file) -> list[Path]:
    return [file for file in folder.rglob("*") if wanted(file)]
