"""An export on the screen: what was written, and how it answers beside the model itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

from .render import print_prose

if TYPE_CHECKING:
    from ..engine.export import ExportResult


def show_export(console: Console, result: ExportResult) -> None:
    """The files with their sizes, a line for each reader, and where it all lies."""
    from ..engine.files.amounts import size

    for name, n_bytes in result.files.items():
        print_prose(console, f"{name}  {size(n_bytes)}")
    for check in result.checks:
        print_prose(
            console,
            f"{check.name}, read back by {check.runtime}: largest difference of a probability"
            f" {check.largest_difference:.2g} (bound {check.bound:.2g}), equal answers {check.n_equal} of"
            f" {check.n_images}",
        )
    print_prose(console, f"checked on {result.checked_on}")
    print_prose(console, f"{result.kind} export: {result.output_dir}")
