"""Imports run one way, and what a person waits for stays light."""

from __future__ import annotations

import ast
import sys
from collections import Counter
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from fresh_process import modules_loaded_by
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

import clipft_cli
from clipft_cli.cli.app import COMMANDS
from clipft_cli.config.methods import MethodName

PACKAGE = Path(clipft_cli.__file__).parent
HEAVY = {"torch", "open_clip", "numpy", "PIL", "torchvision", "timm", "safetensors", "scipy", "sklearn", "matplotlib"}
WHAT_TRAVELS = {"__init__", "run_dir", "events", "manifest"}
VERBS = {path.stem for path in (PACKAGE / "engine").glob("*.py")} - WHAT_TRAVELS
NOUNS_IN_ORDER = (
    "files",
    "runs",
    "machine",
    "labels",
    "tables",
    "sources",
    "images",
    "preparation",
    "model",
    "methods",
    "optim",
    "frozen",
    "checkpoint",
    "metrics",
    "trackers",
    "loop",
    "comparison",
    "pages",
    "exports",
    "serving",
)
INVOCATIONS = ((), *((command,) for command in COMMANDS))


def modules(folder: str) -> list[Path]:
    return sorted((PACKAGE / folder).rglob("*.py"))


def imports(path: Path, *, everywhere: bool = True) -> set[str]:
    """Absolute names of what `path` imports; without `everywhere` only what runs when it is imported."""
    package = path.relative_to(PACKAGE.parent).with_suffix("").parts[:-1]
    found: set[str] = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree) if everywhere else run_at_import(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            lead = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join((*lead, *((node.module,) if node.module else ())))
            found |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    return found


def run_at_import(tree: ast.Module) -> list[ast.stmt]:
    statements: list[ast.stmt] = []
    waiting = list(tree.body)
    while waiting:
        node = waiting.pop()
        statements.append(node)
        is_for_types = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        if isinstance(node, ast.If | ast.Try | ast.With) and not is_for_types:
            waiting += [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)]
    return statements


def roots(names: set[str]) -> set[str]:
    return {name.split(".")[0] for name in names}


def is_within(names: set[str], package: str) -> bool:
    return any(name == package or name.startswith(package + ".") for name in names)


@pytest.mark.parametrize("path", modules("cli"), ids=lambda path: path.stem)
def test_cli_imports_nothing_heavy_at_the_top(path):
    at_import = imports(path, everywhere=False)
    assert not roots(at_import) & HEAVY
    assert not is_within(at_import, "clipft_cli.engine")
    assert not is_within(at_import, "clipft_cli.demo")


@pytest.mark.parametrize("path", modules("config"), ids=lambda path: path.stem)
def test_config_sees_pydantic_yaml_and_errors_only(path):
    outside = roots(imports(path)) - set(sys.stdlib_module_names) - {"pydantic", "yaml", "clipft_cli"}
    assert outside == set()
    own = {name for name in imports(path) if name.startswith("clipft_cli.")}
    assert {name.split(".")[1] for name in own} <= {"config", "errors"}


@pytest.mark.parametrize("path", modules("engine"), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_engine_knows_nothing_of_the_command_line(path):
    assert not roots(imports(path)) & {"typer", "rich", "click"}
    assert not is_within(imports(path), "clipft_cli.cli")


def test_every_room_has_its_place_in_the_order():
    rooms = {path.parent.name for path in (PACKAGE / "engine").glob("*/*.py")}
    assert rooms == set(NOUNS_IN_ORDER)


@pytest.mark.parametrize("noun", NOUNS_IN_ORDER)
def test_a_noun_never_imports_a_verb(noun):
    for path in modules(f"engine/{noun}"):
        for verb in VERBS:
            assert not is_within(imports(path), f"clipft_cli.engine.{verb}"), path


@pytest.mark.parametrize("later", range(1, len(NOUNS_IN_ORDER)))
def test_nouns_import_in_one_order(later):
    for earlier in NOUNS_IN_ORDER[:later]:
        for path in modules(f"engine/{earlier}"):
            assert not is_within(imports(path), f"clipft_cli.engine.{NOUNS_IN_ORDER[later]}"), path


def test_what_travels_knows_no_room_that_it_goes_to():
    """`events`, `manifest` and `run_dir` are imported from everywhere: an arrow from them would run back up."""
    below = {"files", "labels", "machine", "metrics"} | WHAT_TRAVELS
    for name in WHAT_TRAVELS:
        own = {part.split(".")[2] for part in imports(PACKAGE / "engine" / f"{name}.py") if is_in_engine(part)}
        assert own <= below, name


def is_in_engine(name: str) -> bool:
    return name.startswith("clipft_cli.engine.")


def test_no_files_import_each_other_in_a_circle():
    files = {".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts): path for path in PACKAGE.rglob("*.py")}
    number = {name: place for place, name in enumerate(files)}
    arrows = [(number[name], number[other]) for name, path in files.items() for other in imports(path) & set(files)]
    ends = np.array(arrows).T
    graph = coo_array((np.ones(len(arrows)), ends), shape=(len(files), len(files)))
    n_circles, circle_of = connected_components(graph, directed=True, connection="strong")
    members = [[name for name in files if circle_of[number[name]] == circle] for circle in range(n_circles)]
    assert [names for names in members if len(names) > 1] == []


LONGEST = 300
LONGER = {"columns.py": "one reading of a table, with every question that it may have to ask"}
"""Files of the package that are longer, and why."""


def test_no_file_is_too_long_to_be_read_at_a_sitting():
    lines = {path.name: path.read_text(encoding="utf-8").count("\n") for path in modules("")}
    assert {name for name, n in lines.items() if n > LONGEST} <= set(LONGER)


def test_no_room_holds_more_than_15_percent_of_the_house():
    lines = Counter[str]()
    for path in modules(""):
        *folders, _ = path.relative_to(PACKAGE).parts
        lines["/".join(folders[:2])] += path.read_text(encoding="utf-8").count("\n")
    assert {room for room, n in lines.items() if n > 0.15 * sum(lines.values())} == set()


def test_contributing_gives_the_order():
    text = " ".join((PACKAGE.parent / "CONTRIBUTING.md").read_text(encoding="utf-8").split())
    assert f"import in one order: {', '.join(NOUNS_IN_ORDER)}." in text


def test_no_file_is_a_drawer_for_everything():
    names = {path.stem for path in PACKAGE.rglob("*.py")}
    assert not names & {"utils", "util", "common", "helpers", "misc", "legacy", "old", "v2"}


@pytest.mark.parametrize("path", [*modules("engine"), *modules("cli")], ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_method_is_asked_for_by_its_name_outside_its_own_file(path):
    if path.parent.name == "methods":
        return
    compared = [part for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) for part in operands(node)]
    assert not {part.value for part in compared if isinstance(part, ast.Constant)} & set(get_args(MethodName))


def operands(node: ast.AST) -> list[ast.AST]:
    """What a comparison or a case compares with, into tuples and sets."""
    if isinstance(node, ast.MatchValue):
        return [node.value]
    if not isinstance(node, ast.Compare):
        return []
    return [inner for part in (node.left, *node.comparators) for inner in ast.walk(part)]


def test_every_file_of_tests_has_a_name_of_its_own():
    """pytest imports test files by their name alone: of two of one name the second is never run."""
    names = [path.name for path in Path(__file__).parent.rglob("test_*.py")]
    assert {name for name in names if names.count(name) > 1} == set()


def test_init_files_are_empty_but_the_registries_and_the_public_face():
    filled = [path for path in PACKAGE.rglob("__init__.py") if path.read_text(encoding="utf-8").strip()]
    assert {path.parent.name for path in filled} == {
        "clipft_cli",
        "annotations",
        "methods",
        "metrics",
        "sources",
        "trackers",
    }


@pytest.mark.parametrize("command", INVOCATIONS, ids=lambda command: command[0] if command else "clipft")
def test_help_imports_nothing_heavy(command, tmp_path):
    code, loaded = modules_loaded_by(*command, "--help", folder=tmp_path)
    assert code == 0
    assert loaded & HEAVY == set()


WRONG_CONFIGS = (
    ("train", "--set", "training.num_epoch=5"),
    ("train", "--set", "training.num_epochs=many"),
    ("predict", "--config", "nowhere.yaml", "image.jpg"),
    ("compare", "loara"),
)


@pytest.mark.parametrize("command", WRONG_CONFIGS, ids=" ".join)
def test_a_wrong_config_is_refused_before_anything_heavy_is_imported(command, tmp_path):
    code, loaded = modules_loaded_by(*command, folder=tmp_path)
    assert code == 2
    assert loaded & HEAVY == set()


MISSING = {
    ("train", "--data-dir", "nowhere"): 3,
    ("train", "--resume"): 5,
    ("train", "--resume", "nowhere"): 5,
    ("evaluate", "--checkpoint", "nowhere"): 5,
    ("evaluate", "--zero-shot", "--set", "model.name=clipft-tiny", "--data-dir", "nowhere"): 3,
    ("predict", "image.jpg", "--checkpoint", "nowhere"): 5,
    ("compare", "lora", "--data-dir", "nowhere"): 3,
}


@pytest.mark.parametrize("command", MISSING, ids=" ".join)
def test_a_wrong_path_is_refused_before_torch_is_imported(command, tmp_path):
    code, loaded = modules_loaded_by(*command, folder=tmp_path)
    assert code == MISSING[command]
    assert not loaded & {"torch", "open_clip", "torchvision"}
