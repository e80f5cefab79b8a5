"""docs/extending.md cannot rot: every worked example is applied to a copy of the project, and tried there."""

from __future__ import annotations

import re
import shutil

import pytest
from extending_page import PAGE, ROOT, Block, Example, examples, run_in

EXAMPLES = examples()


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=lambda example: example.name)
def test_an_example_of_the_page_works(example, tmp_path):
    tree = example.applied_to_a_copy(tmp_path)
    for check in ("python -m ruff check -q", "python -m ruff format -q --check"):
        done = run_in(tree, f"{check} {' '.join(example.files(without_tests=False, kind='.py'))}")
        assert done.returncode == 0, f"{check}\n{done.stdout}\n{done.stderr}"
    assert example.commands, "its section ends with a bash block of the commands that try it"
    for command in example.commands:
        done = run_in(tree, command)
        assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=lambda example: example.name)
def test_the_table_names_the_files_an_example_touches(example: Example):
    row = re.search(rf"^\| {re.escape(example.name.lower())} \|(.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert row, f"the table at the top of the page has no row for {example.name.lower()!r}"
    assert re.findall(r"`([\w/.]+\.\w+)`", row[1].partition("|")[0]) == example.files()


GROWN = (
    'Name = Literal["a", "b", "z"]\nTABLE = {\n    "a": a,\n    "z": z,\n}\n',
    'Name = Literal["a", "b", "z", "c"]\nTABLE = {\n    "a": a,\n    "c": c,\n    "z": z,\n}\n',
)


def test_a_diff_of_the_page_finds_its_place_in_lists_that_have_grown(tmp_path):
    diff = '@@ x\n-Name = Literal["a", "b"]\n+Name = Literal["a", "b", "c"]\n@@ y\n     "a": a,\n+    "c": c,\n }\n'
    (tmp_path / "m.py").write_text(GROWN[0])
    block = Block("m.py", "diff", diff)
    block.apply(tmp_path)
    assert (tmp_path / "m.py").read_text() == GROWN[1]
    (tmp_path / "m.py").write_text("Name = None\n")
    with pytest.raises(AssertionError, match="stand there 0 times"):
        block.apply(tmp_path)


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=lambda example: example.name)
def test_an_example_that_is_there_already_changes_nothing(example, tmp_path):
    for block in example.blocks:
        if (ROOT / block.path).exists():
            (tmp_path / block.path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / block.path, tmp_path / block.path)
    found = []
    for _ in range(2):
        for block in example.blocks:
            block.apply(tmp_path)
        found.append({path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()})
    assert found[0] == found[1]
