"""Every file in examples/ and every command of the README runs."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from clipft_cli.config.load import load_config
from clipft_cli.config.train import TrainConfig

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))
# what would be downloaded, or take long, is put aside; everything else of the file is used as it stands
IN_PLACE = (
    "model.name=clipft-tiny",
    "model.pretrained=null",
    "data.dir=data/dogs",
    "training.num_epochs=1",
    "training.progressive_unfreezing.unfreeze_schedule=null",
)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> Path:
    """A folder after `clipft prepare`: the drawn dogs, few of them."""
    folder = tmp_path_factory.mktemp("user")
    done = clipft(folder, "prepare", "--num-classes", "3", "--samples-per-class", "20")
    assert done.returncode == 0, done.stderr
    return folder


def clipft(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user does, in `folder`."""
    return subprocess.run(
        [sys.executable, "-m", "clipft_cli", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_valid_as_it_stands(example):
    assert load_config(TrainConfig, example).method in ("full", "lora", "qlora")


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_opens_with_its_story(example):
    header = example.read_text(encoding="utf-8").split("\n\n")[0]
    for part in ("# command:", "# expected:"):
        assert part in header
    assert "measured" in header or "about a minute" in header


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_trains(prepared, example):
    if load_config(TrainConfig, example).method == "qlora":
        pytest.importorskip("bitsandbytes")
    sets = [part for key in IN_PLACE for part in ("--set", key)]
    done = clipft(prepared, "train", "--config", str(example), *sets)
    assert done.returncode == 0, done.stderr
    assert "best on val" in done.stdout


def readme_commands() -> list[str]:
    """Lines of the README's shell blocks that call clipft, comments left out."""
    blocks = re.findall(r"```(?:sh|bash|console)\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.S)
    lines = [line.split("  #")[0].strip().removeprefix("$ ") for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith("clipft ")]


def test_the_readme_shows_commands():
    assert len(readme_commands()) >= 8


def test_every_command_of_the_readme_runs_in_order(tmp_path):
    photos = _photos(tmp_path)
    (tmp_path / "photos").symlink_to(photos)
    shutil.copy(next(photos.glob("*/*.jpg")), tmp_path / "photo.jpg")
    for line in readme_commands():
        words = shlex.split(line)[1:]
        words += _shortened(words)
        done = clipft(tmp_path, *words)
        assert done.returncode == 0, f"{line}\n{done.stderr}"


def _photos(folder: Path) -> Path:
    """A folder of class folders of pictures, for the README's `photos`."""
    from clipft_cli.demo.draw import draw_dog

    source = folder / "camera"
    for breed in ("beagle", "boxer", "husky"):
        (source / breed).mkdir(parents=True)
        for i in range(14):
            draw_dog(breed, seed=7, index=i).save(source / breed / f"IMG_{i:03}.jpg", quality=90)
    return source


def _shortened(words: list[str]) -> list[str]:
    """Settings that keep a command short and offline, where it would train on or load real weights."""
    if words[0] == "compare":
        return ["--set", "model.name=clipft-tiny", "--set", "model.pretrained=null", "--set", "training.num_epochs=1"]
    if words[0] == "prepare" and "--num-classes" in words:
        return ["--samples-per-class", "10"]
    if words[0] != "train" or "--resume" in words:
        return []
    return ["--set", "model.name=clipft-tiny", "--set", "model.pretrained=null", "--set", "training.num_epochs=1"]
