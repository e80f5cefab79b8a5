"""docs/benchmarks.md, written from results.json: missed figures stand there as missed."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from typing import Any

from .rows import ROWS
from .shapes import FORMULA

STATES = {True: "yes", False: "**no**", None: ""}


def page_of(results: Mapping[str, Any]) -> str:
    """The whole page."""
    rows = sorted(results["rows"].values(), key=lambda row: (_place(row["row"]), row["model"]))
    lines = [
        "# Benchmarks",
        "",
        "Written by `make bench` from `tests/benchmarks/results.json`, which has every round. Each side of a row runs",
        "in a process of its own and does the same work: same images, same number of trained parameters, same weights,",
        "losses of the first two updates that agree (bf16 within 3%, fp32 within 0.01%). This is checked before",
        "anything is timed; what differs is said below. Rounds are interleaved (A B C A B C); a ratio is of one round,",
        "shown are the median and the quartiles. Weights are random and photographs are drawn, noise with the spectrum",
        "of photographs: this page is about speed, not accuracy.",
        "",
        *_machine_lines(rows),
        "",
        "| work | model | figure | median | quartiles | rounds | wanted | reached |",
        "|---|---|---|---:|---:|---:|---:|---|",
        *[line for row in rows for line in _figure_lines(row)],
        "",
        "## Times and peak memory",
        "",
        "Median seconds of one round, and the largest resident memory while the rounds ran (building not counted).",
        "",
        "| work | model | threads | side | seconds | GiB |",
        "|---|---|---:|---|---:|---:|",
        *[line for row in rows for line in _side_lines(row)],
        "",
        *_missed_lines(rows),
        *_difference_lines(rows),
        "## The floor",
        "",
        f"Least time of a step: its operations at the rate of a square GEMM measured in the same rounds. {FORMULA}",
        "",
    ]
    return "\n".join(lines)


def _place(name: str) -> int:
    return list(ROWS).index(name) if name in ROWS else len(ROWS)


def _machine_lines(rows: list[Any]) -> list[str]:
    said = sorted({_machine(row) for row in rows})
    return [*said, *sorted({_versions(row) for row in rows})]


def _machine(row: Mapping[str, Any]) -> str:
    machine = row["machine"]
    return (
        f"Machine: {machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB, {machine['system']},"
        f" Python {machine['python']}."
    )


def _versions(row: Mapping[str, Any]) -> str:
    return "Versions: " + ", ".join(f"{name} {number}" for name, number in row["versions"].items()) + "."


def _figure_lines(row: Mapping[str, Any]) -> list[str]:
    lines = []
    for figure in row["figures"]:
        low, high = figure["quartiles"]
        wanted = f">= {figure['at_least']:g}" if figure["at_least"] is not None else ""
        wanted = f"<= {figure['at_most']:g}" if figure["at_most"] is not None else wanted
        lines.append(
            f"| {row['title']}, batch {row['batch_size']} | {_model(row)} | {figure['what']} | {figure['median']:.3g} |"
            f" {low:.3g} to {high:.3g} | {figure['rounds']} | {wanted} | {STATES[figure['is_met']]} |"
        )
    return lines


def _side_lines(row: Mapping[str, Any]) -> list[str]:
    lines = []
    for name, side in row["sides"].items():
        memory = f"{side['peak_gib']:.2f}" if side["peak_gib"] else ""
        lines.append(
            f"| {row['title']} | {_model(row)} | {row['threads']} | {name} | {median(side['seconds']):.3g} | {memory} |"
        )
    return lines


def _missed_lines(rows: list[Any]) -> list[str]:
    said = [
        f"- {row['title']} ({_model(row)}), {figure['what']}: {why}."
        for row in rows
        for figure in row["figures"]
        if figure["is_met"] is False and (why := _why_missed(row["row"], figure["what"]))
    ]
    return ["## What is missed, and why", "", *said, ""] if said else []


def _why_missed(row: str, what: str) -> str:
    figures = ROWS[row].figures if row in ROWS else ()
    return next((figure.why_missed for figure in figures if figure.what == what), "")


def _difference_lines(rows: list[Any]) -> list[str]:
    said = [
        f"- {row['title']} ({_model(row)}), {name}: {', '.join(facts)}; {reason}."
        for row in rows
        for name, facts in row["differs"].items()
        for reason in sorted(set(facts.values()))
    ]
    return ["## Where the work is not the same", "", *said, ""] if said else []


def _model(row: Mapping[str, Any]) -> str:
    return str(row["model"]).removesuffix("-quickgelu")
