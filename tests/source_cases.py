"""A request as `prepare` makes it of a source, for tests of one kind of source."""

from __future__ import annotations

from pathlib import Path

from clipft_cli.config.prepare import PrepareOptions
from clipft_cli.engine.sources.source import SourceRequest


def asked(source: str | Path, work: Path, **options: object) -> SourceRequest:
    """What is asked of the source at `source`, with `work` for what has to be written."""
    checked = PrepareOptions.model_validate({"source": str(source), **options})
    return SourceRequest(checked, 0, work / "work", work / "downloads", lambda stage, done, total: None)
