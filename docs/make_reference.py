"""Write docs/cli.md from `--help` and docs/config.md from the config fields (`make docs`); a test keeps them equal."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from clipft_cli.cli.app import COMMANDS
from clipft_cli.config.base import Config
from clipft_cli.config.file import FileConfig
from clipft_cli.config.reference import all_keys, presets_in_words
from clipft_cli.errors import EXIT_CODES

DOCS = Path(__file__).parent


def cli_page() -> str:
    """The help of every command, as a person sees it on a terminal of 100 columns."""
    parts = ["# Command line\n\nGenerated from `--help` by `make docs`.\n"]
    for arguments in ((), *((command,) for command in COMMANDS)):
        title = " ".join(("clipft", *arguments))
        parts.append(f"## `{title}`\n\n```\n{_help(arguments)}\n```\n")
    parts.append("## Exit codes\n\n| code | meaning |\n|---|---|")
    parts += [f"| {code} | {meaning} |" for code, meaning in EXIT_CODES.items()]
    return "\n".join(parts) + "\n"


def config_page() -> str:
    """Every key of the file, its default and its meaning."""
    lines = [
        "# Configuration",
        "",
        "Generated from the config fields by `make docs`. One YAML file serves every command, each takes its own slice"
        " of it. Later wins: field defaults, preset, file, `--set key=value`, a command's own options."
        " `clipft train --print-config` shows the result, `clipft train --print-schema` a JSON schema for editors.",
        "",
        "Defaults are written as YAML. `none` and `null` leave a key open alike, wherever it may be, but where `none`"
        " is one of its choices. Where presets have a value of their own it stands first: a run always has a preset,"
        " its method's own where none is named. `clipft help config.KEY` says of one key what stands here.",
        "",
        "## Presets",
        "",
        *_presets(),
        "",
        "## The file",
        "",
        *_table(FileConfig, ""),
    ]
    return "\n".join(lines) + "\n"


def _help(arguments: tuple[str, ...]) -> str:
    environment = {**os.environ, "COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "clipft_cli", *arguments, "--help"],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    return "\n".join(line.rstrip() for line in done.stdout.strip().splitlines())


def _table(model: type[Config], prefix: str) -> list[str]:
    rows, nested = [], []
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Config):
            nested += ["", f"## `{prefix}{name}`", "", (kind.__doc__ or "").splitlines()[0], ""]
            nested += _table(kind, f"{prefix}{name}.")
            continue
        key = all_keys()[f"{prefix}{name}"]
        also = f" (also `{'`, `'.join(key.aliases)}`)" if key.aliases else ""
        named = [word for word in key.choices if re.search(rf"\b{re.escape(word)}\b", key.meaning) is None]
        choices = f" One of {', '.join(key.choices)}." if named and len(key.choices) > 2 else ""
        rows.append(f"| `{key.name}`{also} | `{_cell(key.default)}` | {_cell(key.meaning + choices)} |")
    head = ["| key | default | meaning |", "|---|---|---|"] if rows else []
    return [*head, *rows, *nested]


def _presets() -> list[str]:
    """Each preset with what its file says of it."""
    return ["| preset | what it is |", "|---|---|", *(f"| `{n}` | {_cell(t)} |" for n, t in presets_in_words().items())]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    (DOCS / "cli.md").write_text(cli_page(), encoding="utf-8")
    (DOCS / "config.md").write_text(config_page(), encoding="utf-8")
