"""`python -m gpu [--seconds N] [--output FOLDER] [STEP ...]`: take the tier; exit 1 where a promise does not hold."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
import warnings
from pathlib import Path

from .page import page_of
from .steps import STEPS
from .tier import chosen_machine, take

SECONDS = 450


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m gpu")
    parser.add_argument("steps", nargs="*", choices=[[], *[step.name for step in STEPS]], metavar="STEP")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="no step begins later than this")
    parser.add_argument(
        "--output", type=Path, default=Path("."), help="where gpu.json and benchmarks-gpu.md are written"
    )
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.getLogger().setLevel(logging.ERROR)
    steps = tuple(step for step in STEPS if not options.steps or step.name in options.steps)
    options.output.mkdir(parents=True, exist_ok=True)
    file = options.output.resolve() / "gpu.json"
    with tempfile.TemporaryDirectory(prefix="gpu-tier-") as folder:
        os.environ["XDG_CACHE_HOME"] = f"{folder}/cache"
        records = take(steps, chosen_machine(Path(folder)), file, options.seconds)
    (options.output / "benchmarks-gpu.md").write_text(page_of(file), encoding="utf-8")
    return int(any(record["state"] in ("FAILED", "BROKE") for record in records))


if __name__ == "__main__":
    sys.exit(main())
