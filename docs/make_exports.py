"""Measure every export on real photographs and write the table of docs/export.md: about ten minutes on two cores.

`--runtime` names the dist folder of onnxruntime-web. CLIPFT_SHARED_DATA names a folder with `flowers5/` (class
folders), CLIPFT_WEIGHTS a folder with one open_clip description (.json) and its weights (.safetensors). `--runs DIR`
takes finished runs DIR/full and DIR/lora instead.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clipft_cli.engine.exports.formats import FORMATS

PAGE = Path(__file__).parent / "export.md"
BEGIN, END = "<!-- measured by docs/make_exports.py -->", "<!-- end of measured -->"
HEAD = [
    "| run | file | read back by | largest difference | equal answers | size | seconds from cold |",
    "|" + "---|" * 7,
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=None)
    parser.add_argument("--runtime", type=Path, required=True)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        runs = options.runs.resolve() if options.runs else trained(folder)
        each = [(runs / method, name) for method in ("full", "lora") for name in FORMATS]
        rows = [row for run_dir, name in each for row in measured(run_dir, name, folder, options.runtime)]
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    table = "\n".join([*HEAD, *rows])
    PAGE.write_text(f"{before}{BEGIN}\n{table}\n{END}{rest.partition(END)[2]}", encoding="utf-8")


def trained(folder: Path) -> Path:
    """The folder with a full and a LoRA run of two epochs."""
    data, weights = Path(os.environ["CLIPFT_SHARED_DATA"]) / "flowers5", Path(os.environ["CLIPFT_WEIGHTS"])
    run(folder, "prepare", str(data))
    (description,), (tensors,) = weights.glob("*.json"), weights.glob("*.safetensors")
    model = ["--set", f"model.name={description}", "--set", f"model.pretrained={tensors}"]
    for method in ("full", "lora"):
        target = ["--output-dir", f"outputs/{method}", "--set", "training.num_epochs=2"]
        run(folder, "train", "--config", "clipft.yaml", "--method", method, *target, *model)
    return folder / "outputs"


def measured(source: Path, name: str, folder: Path, runtime: Path) -> Iterator[str]:
    """A row for each file that is read back; one with the reason where the run has no equal in the format."""
    target = folder / f"{source.name}-{name}"
    extra = ["--int8"] if FORMATS[name].has_int8 else []  # type: ignore[index]
    extra += ["--runtime", str(runtime.resolve())] if name == "page" else []
    asked = ["--to", name, "-o", str(target), "--images", "all", "--json", "--with-sample", *extra]
    done = run(folder, "export", str(source), *asked, may_fail=True)
    if done.returncode:
        reason = next(line for line in done.stderr.splitlines() if line.startswith("error: "))
        yield f"| {source.name} | {name} | | refused: {reason.rpartition(f'in {name}: ')[2]} | | | |"
        return
    found: dict[str, Any] = json.loads(done.stdout)
    seconds = from_cold(target, name)
    for check in found["checks"]:
        if check["name"] not in found["files"]:
            continue  # the model itself, which another is held against
        size = found["files"][check["name"]] / 1e6
        yield (
            f"| {source.name} | {name}: {check['name']} | {check['runtime']} | {check['largest_difference']:.1e} |"
            f" {check['n_equal']} of {check['n_images']} | {size:.1f} MB | {seconds} |"
        )
        seconds = ""


def from_cold(folder: Path, name: str) -> str:
    """Seconds that the lines of its card take in a new process, the median of three."""
    form = FORMATS[name]  # type: ignore[index]
    if form.language != "python" or name == "peft":  # whose lines need a base model
        return ""
    shutil.copyfile(next((folder / "sample").iterdir()), folder / "photo.jpg")
    taken = []
    for _ in range(3):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", form.usage], cwd=folder, check=True, capture_output=True)
        taken.append(time.perf_counter() - began)
    return f"{sorted(taken)[1]:.1f}"


def run(folder: Path, *arguments: str, may_fail: bool = False) -> subprocess.CompletedProcess[str]:
    """`clipft ARGUMENTS`."""
    command = [sys.executable, "-m", "clipft_cli", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode and not may_fail:
        raise SystemExit(done.stderr)
    return done


if __name__ == "__main__":
    main()
