"""docs/benchmarks-gpu.md, written from the tier's answers: what failed or was not reached stands there as that."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HEAD = """# On a GPU

Written by `make gpu` (`tests/gpu`), which takes these steps in this order on a bare machine and writes each answer
down as it comes. Weights of B/32, B/16 and L/14 are random and photographs are drawn: the speed rows are about speed.
Sides of a row do the same work (same images, weights, number of trained parameters, first losses within 3%) and run in
turn, five rounds of six updates; a ratio is of one round, shown is the median.
"""


def page_of(file: Path) -> str:
    """The whole page."""
    content = json.loads(file.read_text(encoding="utf-8"))
    lines = [HEAD, _machine(content["machine"]), "", "| step | what | state | seconds |", "|---|---|---|---:|"]
    lines += [f"| {s['name']} | {s['title']} | {s['state']} | {s['seconds']} |" for s in content["steps"]]
    for step in content["steps"]:
        if not (step["why"] or step["seen"]):
            continue
        lines += ["", f"## {step['title'][0].upper()}{step['title'][1:]}", ""]
        if step["why"]:
            lines += ["```", step["why"].strip(), "```", ""]
        lines += _seen(step["seen"])
    return "\n".join(lines).rstrip() + "\n"


def _machine(facts: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in facts["versions"].items())
    memory = f", {facts['device_memory_gib']} GiB" if "device_memory_gib" in facts else ""
    return (
        f"Machine: {facts['device']}{memory}, {facts['cores']} cores, Python {facts['python']}. Versions: {versions}."
    )


def _seen(seen: Mapping[str, Any]) -> list[str]:
    """Facts as a list; a mapping of mappings with the same keys as a table."""
    lines: list[str] = []
    plain = {key: value for key, value in seen.items() if not isinstance(value, dict)}
    lines += [f"- {key.replace('_', ' ')}: {_text(value)}" for key, value in plain.items()]
    nested = {key: value for key, value in seen.items() if isinstance(value, dict)}
    rows = list(nested.values())
    if len(rows) > 1 and all(row.keys() == rows[0].keys() for row in rows):
        columns = list(rows[0])
        lines += ["", "| | " + " | ".join(columns) + " |", "|---|" + "---|" * len(columns)]
        lines += [f"| {k} | " + " | ".join(_text(row[c]) for c in columns) + " |" for k, row in nested.items()]
        return lines
    for key, value in nested.items():
        lines.append(f"- {key.replace('_', ' ')}: " + ", ".join(f"{k} {_text(v)}" for k, v in value.items()))
    return lines


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return " / ".join(_text(item) for item in value)
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(item)}" for key, item in value.items())
    return str(value)
