"""Workflows, hooks and pages name targets, rooms and modules that exist; tests are found by the names of modules."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from clipft_cli.engine.images.augmentations import AUGMENTATIONS
from clipft_cli.engine.methods import METHODS
from clipft_cli.engine.metrics import METRICS
from clipft_cli.engine.optim.schedule import SCHEDULES
from clipft_cli.engine.sources import SOURCES

ROOT = Path(__file__).parents[1]
ENGINE = ROOT / "clipft_cli" / "engine"
CALLERS = [
    *sorted((ROOT / ".github" / "workflows").glob("*.yml")),
    ROOT / ".pre-commit-config.yaml",
    ROOT / "docs" / "release.md",
    ROOT / "CONTRIBUTING.md",
]
RUN_BY_MACHINES = [*sorted((ROOT / ".github").rglob("*.yml")), ROOT / ".pre-commit-config.yaml"]


def make_targets() -> set[str]:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^\.PHONY: (.*)$", text, re.M)[0].split())


def test_every_phony_target_has_a_rule():
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert {name for name in make_targets() if not re.search(rf"^{name}:", text, re.M)} == set()


@pytest.mark.parametrize("path", CALLERS, ids=lambda path: path.name)
def test_what_is_called_is_a_make_target(path):
    text = path.read_text(encoding="utf-8")
    called = set(re.findall(r"(?:entry: |run: |`|\" |^)make ([a-z]+)", text, re.M))
    assert called
    assert called <= make_targets()


@pytest.mark.parametrize("path", RUN_BY_MACHINES, ids=lambda path: path.name)
def test_what_machines_read_is_yaml(path):
    assert isinstance(yaml.safe_load(path.read_text(encoding="utf-8")), dict)


def test_workflows_run_nothing_but_make():
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        for job in yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].values():
            commands = [step["run"] for step in job["steps"] if "run" in step]
            assert commands
            assert all(re.search(r"(^| )make [a-z]+$", command) for command in commands)


def glossary() -> list[tuple[str, str]]:
    """(word, where it lives) of every row."""
    rows = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8").splitlines()
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows if row.startswith("| ")]
    return [(row[0], row[2].strip("`")) for row in cells[1:]]


def test_the_glossary_is_in_order_and_names_places_that_exist():
    words = [word for word, _ in glossary()]
    assert words == sorted(words, key=str.casefold)
    missing = [
        place for _, place in glossary() if not (ENGINE / place).exists() and not (ROOT / "clipft_cli" / place).exists()
    ]
    assert missing == []


def forms(word: str) -> set[str]:
    """As it stands in sentences and in names."""
    return {word, word.replace(" ", "_"), word.replace("-", "_"), word.replace("-", "")}


def test_every_word_of_the_glossary_is_used():
    pages = [path for path in (ROOT / "docs").glob("*.md") if path.name != "glossary.md"]
    sources = sorted((ROOT / "clipft_cli").rglob("*.py"))
    text = "\n".join(path.read_text(encoding="utf-8") for path in [*pages, *sources, ROOT / "README.md"]).casefold()
    unused = [word for word, _ in glossary() if not any(form in text for form in forms(word.casefold()))]
    assert unused == []


def test_the_rooms_that_an_image_passes_are_there():
    page = (ROOT / "docs" / "how-an-image-travels.md").read_text(encoding="utf-8")
    rooms = set(re.findall(r"\*\*`([a-z_/.]+)`\*\*", page))
    assert len(rooms) >= 12
    assert {room for room in rooms if not (ENGINE / room).exists()} == set()
    files = set(re.findall(r"`([a-z_]+\.py)`", page))
    known = {path.name for path in ENGINE.rglob("*.py")}
    assert files <= known


def links(page: Path) -> list[str]:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.S)
    return [link for link in re.findall(r"\]\(([^)#]+)[^)]*\)", text) if "://" not in link]


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda path: path.name
)
def test_links_lead_somewhere(page):
    assert [link for link in links(page) if not (page.parent / link).exists()] == []


REGISTRIES = (SCHEDULES, AUGMENTATIONS, METHODS, METRICS, {name.replace("-", "_") for name in SOURCES})
"""A test may have the name of an entry that shares its module with others."""
SUBJECTS = {
    "cli/test_facts_commands.py": "info, doctor and cache, which share what they promise",
    "cli/test_path_options.py": "every path option of every command",
    "cli/test_permissions.py": "what may not be read or written, by every command",
    "config/test_reference_snippets.py": "what the reference system's files say",
    "engine/exports/test_export.py": "what every format of the verb above promises",
    "engine/exports/test_use_without_torch.py": "exports in a process without torch",
    "engine/loop/test_balance.py": "one setting in every place that decides",
    "engine/loop/test_option_pairs.py": "every pair of settings of the loss",
    "engine/loop/test_saved_state.py": "a step after a resume, whatever the method",
    "engine/preparation/test_readings_pasted.py": "the commands that readings print",
    "engine/preparation/test_image_groups.py": "groups from a source to its splits",
    "engine/sources/test_whole_path.py": "each format from its files to a prediction",
    "engine/test_prepare_names.py": "names of classes through the whole of prepare",
    "engine/test_same_precision.py": "the precision of a run in every command",
    "engine/trackers/test_real_trackers.py": "each tracker by its own client",
}
"""Tests of something that is no module, by what they are of."""


def test_tests_have_the_names_of_the_modules_that_they_are_of():
    strays = []
    for path in (
        path for room in ("cli", "config", "demo", "engine") for path in (ROOT / "tests" / room).rglob("test_*.py")
    ):
        place = path.relative_to(ROOT / "tests")
        room = ROOT / "clipft_cli" / place.parent
        name = path.stem.removeprefix("test_").removesuffix("_command")
        names = {name, name.removeprefix(room.name + "_"), name.removeprefix(room.name.rstrip("s") + "_")}
        is_of_entry = any(name in entries for entries in REGISTRIES)
        is_of_module = is_of_entry or any(
            (room / f"{one}.py").exists() or (room / one).is_dir() or one == room.name for one in names
        )
        if not is_of_module and place.as_posix() not in SUBJECTS:
            strays.append(place.as_posix())
    assert strays == []
    assert [name for name in SUBJECTS if not (ROOT / "tests" / name).exists()] == []
