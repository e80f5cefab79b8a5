"""Make the pictures in docs/pictures/ from real runs: `make pictures`, about five minutes on two cores.

The runs are those of the README, on the drawn dogs. The terminal becomes SVG; compare.html is photographed by
chromium, without which that picture stays as it is. `--samples-per-class N` makes smaller runs, to try the script.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich.terminal_theme import SVG_EXPORT_THEME
from rich.text import Text

PICTURES = Path(__file__).parent / "pictures"
COLUMNS = 100
N_COLOURS = 64
"""Of the photograph of a page, which has few: a quarter of the bytes, and no difference to the eye."""

PAGE_SIZE = (1280, 1180)
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples-per-class", type=int, default=None)
    parser.add_argument("--output", type=Path, default=PICTURES)
    options = parser.parse_args()
    few = [] if options.samples_per_class is None else ["--samples-per-class", str(options.samples_per_class)]
    options.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        clipft(folder, "prepare", "--num-classes", "10", *few)
        trained = clipft(folder, "train", "--config", "clipft.yaml")
        predicted = clipft(folder, "predict", "image.jpg", "--top-k", "3")
        write_terminal(options.output / "train.svg", [("clipft train --config clipft.yaml", shortened(trained))])
        write_terminal(options.output / "predict.svg", [("clipft predict image.jpg --top-k 3", predicted)])
        clipft(folder, "compare", "lora", "full", "--output-dir", "outputs/compare")
        write_page(options.output / "compare.png", folder / "outputs" / "compare" / "compare.html")


def clipft(folder: Path, *arguments: str) -> str:
    """What `clipft ARGUMENTS` shows on a terminal that is not redrawn; raises where it fails."""
    own = {"COLUMNS": str(COLUMNS), "FORCE_COLOR": "1", "TTY_COMPATIBLE": "1", "TTY_INTERACTIVE": "0"}
    done = subprocess.run(
        [sys.executable, "-m", "clipft_cli", *arguments],
        cwd=folder, env={**os.environ, **own, "XDG_CACHE_HOME": str(folder / ".cache")},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    shown = re.sub(r"\x1b\[\?25[hl]\n?", "", done.stdout)  # the cursor's coming and going, and the line it leaves
    print(shown)
    if done.returncode:
        raise SystemExit(f"clipft {' '.join(arguments)}: ended with {done.returncode}")
    return shown


def shortened(output: str) -> str:
    """Without the middle rows of the table of layer groups, which are like those above and below."""
    return re.sub(r"(?m)^(block\.0 .*\n)(?:block\.\d.*\n)+(?=block)", r"\1...\n", output)


def write_terminal(path: Path, shown: Sequence[tuple[str, str]]) -> None:
    """An SVG of commands with what each showed; it fetches no font."""
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        console = Console(record=True, width=COLUMNS, file=nowhere, force_terminal=True, color_system="truecolor")
        for command, output in shown:
            console.print(Text("$ ", style="dim") + Text(command, style="bold"))
            console.print(Text.from_ansi(output.rstrip()), soft_wrap=True)
        svg = console.export_svg(title="clipft", theme=SVG_EXPORT_THEME, unique_id="clipft")
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.S)
    path.write_text(svg.replace("Fira Code, monospace", "ui-monospace, Menlo, Consolas, monospace"), encoding="utf-8")


def write_page(path: Path, page: Path) -> None:
    """The upper part of a page as a browser shows it on a desk, in few colours."""
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        print(f"{path}: stays as it is, no chromium here")
        return
    shot = page.with_name("shot.png")
    size = f"--window-size={PAGE_SIZE[0]},{PAGE_SIZE[1]}"
    quiet = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--virtual-time-budget=4000"]
    profile = f"--user-data-dir={page.with_name('profile')}"
    subprocess.run(
        [browser, *quiet, profile, size, f"--screenshot={shot}", page.resolve().as_uri()],
        check=True,
        capture_output=True,
    )
    with Image.open(shot) as picture:
        picture.convert("RGB").quantize(N_COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    main()
