"""The experiments' log and the page that tells of it say the same."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "examples" / "experiments"


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    """The scripts import each other as they do when run: by their own folder."""
    monkeypatch.syspath_prepend(str(FOLDER))
    yield
    for name in ("budget", "job", "log", "table"):
        sys.modules.pop(name, None)


def test_the_tables_are_those_of_the_log(capsys):
    import table

    table.main()
    assert capsys.readouterr().out == (FOLDER / "tables.md").read_text(encoding="utf-8")


def test_a_budget_pays_for_probe_val_and_mix_of_own_methods():
    from budget import Cost, epochs_for

    cost = Cost(update=1.0, image=0.01)
    # 10 updates and 50 val images an epoch; a pass over train and six over val beside them
    assert epochs_for("timm-style", 105, cost, 320, 50) == 10
    assert epochs_for("full", 105 + 3.2 + 3.0, cost, 320, 50) == 10
    assert epochs_for("full", 105, cost, 320, 50) == 9


def test_the_reference_pays_less_while_most_of_it_is_frozen():
    from budget import Cost, epochs_for

    cost = Cost(update=1.0, image=0.01)
    assert epochs_for("reference-full", 105, cost, 320, 50) == 12
