"""The log of all runs: what is in it is not run again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

LOG = Path(__file__).parent / "log.jsonl"


class Log:
    """Lines of JSON, one a finished run or a measured cost."""

    def __init__(self, path: Path) -> None:
        self.path = path
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        self.records: list[dict[str, Any]] = [json.loads(line) for line in text.splitlines()]

    def find(self, **what: Any) -> dict[str, Any] | None:
        """The newest record with these values."""
        found = [record for record in self.records if all(record.get(key) == value for key, value in what.items())]
        return found[-1] if found else None

    def add(self, record: dict[str, Any]) -> None:
        """Keep a record, on disk as well."""
        self.records.append(record)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
