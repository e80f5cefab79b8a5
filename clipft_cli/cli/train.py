"""`clipft train`."""

import typer


def train(context: typer.Context) -> None:
    """Prepare."""
