"""An export on the screen: what was written, and how it answers beside the model itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

from .render import print_prose

if TYPE_CHECKING:
    from ..engine.export import ExportResult
    from ..engine.exports.checks import Check


def show_export(console: Console, result: ExportResult) -> None:
    """The files with their sizes, a line for each reader, and where it all lies."""
    from ..engine.files.amounts import size

    for name, n_bytes in result.files.items():
        print_prose(console, f"{name}  {size(n_bytes)}")
    for check in result.checks:
        print_prose(console, _told(check))
    print_prose(console, f"checked on {result.checked_on}")
    print_prose(console, f"{result.kind} export: {result.output_dir}")


def _told(check: Check) -> str:
    equal = f"equal answers {check.n_equal} of {check.n_images} ({check.agreement:.1%})"
    if check.bound is not None:
        return (
            f"{check.name}, read back by {check.runtime}: largest difference of a probability"
            f" {check.largest_difference:.2g} (bound {check.bound:.2g}), {equal}"
        )
    text = f"{check.name}, beside {check.beside}: {equal}"
    if check.paired is None:
        return f"{text}; not measured on val"
    pair = check.paired
    return (
        f"{text}; top-1 {pair.top1:.1%} and {pair.top1_fp32:.1%} (p = {pair.p:.2g}, paired), NLL {pair.nll:.4f} and"
        f" {pair.nll_fp32:.4f}"
    )
