"""The worked examples of docs/extending.md, read from the page: what each changes, and how it is applied to a tree."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "extending.md"
_BLOCK = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
_HUNK = re.compile(r"^@@.*\n", re.MULTILINE)
_IGNORED = shutil.ignore_patterns("__pycache__", ".*_cache")


@dataclass(frozen=True)
class Block:
    """One fenced block that names a file: a diff to it, or the whole of it."""

    path: str
    language: str
    text: str

    def apply(self, tree: Path) -> None:
        """Write the file, or change it: each hunk's old lines must stand in it exactly once, wherever that is.

        Line numbers are not looked at, so that the page holds while the code around its hunks changes.
        """
        file = tree / self.path
        if self.language != "diff":
            assert not file.exists(), f"{self.path} exists: show a diff"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(self.text, encoding="utf-8")
            return
        content = file.read_text(encoding="utf-8")
        for hunk in _HUNK.split(self.text)[1:]:
            lines = [(line[:1], line[1:]) for line in hunk.splitlines(keepends=True)]
            old = "".join(text or "\n" for mark, text in lines if mark != "+")
            new = "".join(text or "\n" for mark, text in lines if mark != "-")
            assert content.count(old) == 1, (
                f"{self.path}: these lines of the page stand there {content.count(old)} times:\n{old}"
            )
            content = content.replace(old, new)
        file.write_text(content, encoding="utf-8")


@dataclass(frozen=True)
class Example:
    """One section of the page: files, and the commands that try them."""

    name: str
    blocks: tuple[Block, ...]
    commands: tuple[str, ...]

    def files(self, *, without_tests: bool = True, kind: str = "") -> list[str]:
        """The files it touches, of those whose name ends with `kind`."""
        names = {block.path for block in self.blocks if block.path.endswith(kind)}
        return sorted(name for name in names if not (without_tests and name.startswith("tests/")))

    def applied_to_a_copy(self, folder: Path) -> Path:
        """A copy of the project in `folder`, with the example in it."""
        for part in ("clipft_cli", "tests", "docs", "examples"):
            shutil.copytree(ROOT / part, folder / part, ignore=_IGNORED)
        for file in ("pyproject.toml", "README.md", "CONTRIBUTING.md"):
            shutil.copy(ROOT / file, folder)
        for block in self.blocks:
            block.apply(folder)
        return folder


def examples() -> dict[str, Example]:
    """Each section of the page that has blocks with a file's name, by the words before the colon of its title."""
    found = {}
    for section in re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        name = section.partition("\n")[0].partition(":")[0].strip()
        parts = _BLOCK.findall(section)
        blocks = tuple(Block(path, language, text) for language, path, text in parts if path)
        commands = [
            line for language, path, text in parts if language == "bash" and not path for line in text.splitlines()
        ]
        if blocks:
            found[name] = Example(name, blocks, tuple(commands))
    return found


def run_in(tree: Path, command: str, *, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """A command of the page in a process of its own that sees the code of `tree` alone; `clipft` is that code's."""
    words = shlex.split(command)
    own = {"python": [sys.executable], "clipft": [sys.executable, "-m", "clipft_cli"]}
    paths = os.pathsep.join((str(tree), str(tree / "tests")))
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [*own[words[0]], *words[1:]],
        cwd=tree,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
