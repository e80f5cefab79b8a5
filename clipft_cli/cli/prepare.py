"""`clipft prepare`."""

import typer


def prepare(context: typer.Context) -> None:
    """Prepare."""
