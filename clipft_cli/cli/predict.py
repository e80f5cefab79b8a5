"""`clipft predict`."""

import typer


def predict(context: typer.Context) -> None:
    """Prepare."""
