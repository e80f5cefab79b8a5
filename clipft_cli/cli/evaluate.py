"""`clipft evaluate`."""

import typer


def evaluate(context: typer.Context) -> None:
    """Prepare."""
