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
        """Write the file, or change it, each hunk where its old lines stand.

        Line numbers are not looked at, so that the page holds while the code around its hunks changes. A tree that has
        the example already stays as it is.
        """
        file = tree / self.path
        if self.language != "diff":
            is_there = file.exists() and file.read_text(encoding="utf-8") == self.text
            assert is_there or not file.exists(), f"{self.path} exists: show a diff"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(self.text, encoding="utf-8")
            return
        content = file.read_text(encoding="utf-8")
        for hunk in _HUNK.split(self.text)[1:]:
            lines = [(line[:1], line[1:]) for line in hunk.splitlines(keepends=True)]
            old = "".join(text or "\n" for mark, text in lines if mark != "+")
            new = "".join(text or "\n" for mark, text in lines if mark != "-")
            if new not in content:
                content = changed(content, lines, old, new, self.path)
        file.write_text(content, encoding="utf-8")


def changed(content: str, lines: list[tuple[str, str]], old: str, new: str, path: str) -> str:
    """`content` with a hunk in it: where its old lines stand exactly once, else by the smallest part that is unique.

    Lists grow: `Literal["a", "b"]` may have a third name, and a line of a registry another one below it.
    """
    if content.count(old) == 1:
        return content.replace(old, new)
    kept = [at for at, (mark, _) in enumerate(lines) if mark == " "]
    added = [at for at, (mark, _) in enumerate(lines) if mark == "+"]
    taken = [at for at, (mark, _) in enumerate(lines) if mark == "-"]
    if not taken:
        text = "".join(lines[at][1] for at in added)
        if text in content:
            return content
        for at, is_after in ((added[0] - 1, True), (added[-1] + 1, False)):
            line = lines[at][1] if at in kept else ""
            if line.strip() and content.count(line) == 1:
                return content.replace(line, line + text if is_after else text + line)
    if len(taken) == len(added) == 1:
        before, after = lines[taken[0]][1], lines[added[0]][1]
        pairs = zip(reversed(before), reversed(after), strict=False)
        tail = next((n for n, (a, b) in enumerate(pairs) if a != b), len(before))
        head = len(before) - tail
        lead = before[: before.index("[") + 1] if "[" in before[:head] else ""
        found = [line for line in content.splitlines(keepends=True) if lead and line.startswith(lead)]
        if len(found) == 1 and after.startswith(before[:head]) and found[0].endswith(before[head:]):
            more = after[head : len(after) - tail]
            grown = found[0].removesuffix(before[head:]) + more + before[head:]
            return content if more in found[0] else content.replace(found[0], grown)
    raise AssertionError(f"{path}: these lines of the page stand there {content.count(old)} times:\n{old}")


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
