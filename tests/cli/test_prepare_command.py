from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from clipft_cli.cli.app import app


@pytest.fixture(autouse=True)
def pets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for k, name in enumerate(("n01234567-wild_cat", "GoodDog")):
        for i in range(6):
            path = Path("pets") / name / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            noise = np.random.default_rng(10 * k + i).integers(0, 256, (8, 9, 3), dtype=np.uint8)
            Image.fromarray(noise).save(path)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["prepare", *arguments])


def test_the_screen_shows_classes_splits_prompts_and_the_next_command() -> None:
    result = run("pets")
    assert result.exit_code == 0
    for part in (
        "12 images, 2 classes",
        "GoodDog",
        '"a photo of a good dog."',
        '"a close-up photo of a good dog."',
        "median 9 x 8",
        "left out: nothing",
        "the decision tree says LoRA or QLoRA",
        "next: clipft train --config clipft.yaml",
    ):
        assert part in result.stdout
    assert "checking" in result.stderr
    assert "imbalance" not in result.stdout  # as many images of each class


def test_json_is_one_object_and_nothing_else_on_stdout() -> None:
    values = json.loads(run("pets", "--json").stdout)
    assert values["n_images"] == 12
    assert values["classes"][0] == {"name": "GoodDog", "readable": "good dog", "train": 4, "val": 1, "test": 1}


def test_quiet_says_nothing_on_the_way_but_warnings() -> None:
    assert [line[:9] for line in run("pets", "--quiet").stderr.splitlines()] == ["warning: "]


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["nowhere"], 3, "nowhere: no such file or folder"),
        (["pets", "--split", "0.5/0.5"], 2, "three shares"),
        (["pets", "--split", "0.9/0.3/0.1"], 2, "add up to 1"),
        (["pets", "--num-classes", "0"], 2, "--num-classes"),
        (["--num-classes", "21"], 2, "there are 20 drawn breeds"),
        (["--num-classes", "1"], 2, "at least 2"),
        (["pets", "--exclude", "GoodDog"], 3, "only one class"),
        (["pets", "--include", "zebra"], 2, "matches no class"),
        (["--in-place"], 2, "--in-place needs"),
        (["hf:not//valid"], 2, "hf:owner/name"),
        (["https://example.org/a.zip"], 2, "web addresses are not fetched"),
        (["oxford-pet"], 3, "did you mean oxford-pets"),
        (["stanford-dogs", "--archive", "none.tar"], 3, "no such file"),
        (["pets", "--output-dir", "pets.txt"], 3, "a file stands"),
        (["--validate"], 3, "no such data folder"),
        (["pets", "--validate"], 3, "is no prepared data set"),
        (["--set", "prepare.sourc=x"], 2, "unknown key"),
        (["--skeleton", "--classes", "a,a"], 2, "named twice"),
    ],
)
def test_every_mistake_is_one_clear_error_with_its_exit_code(arguments: list[str], code: int, text: str) -> None:
    Path("pets.txt").write_text("a file")
    result = run(*arguments)
    assert result.exit_code == code
    assert text in result.stderr
    assert "Traceback" not in result.output
    assert not Path("clipft.yaml").exists()


def test_validate_passes_on_a_whole_data_set_and_fails_on_a_damaged_one() -> None:
    run("pets")
    assert run("--validate", "data/pets").exit_code == 0
    victim = next(Path("data/pets/train/GoodDog").iterdir())
    victim.write_bytes(b"")
    result = run("--validate", "--output-dir", "data/pets", "--json")
    report = json.loads(result.stdout.splitlines()[0])
    assert result.exit_code == 3
    assert report["is_valid"] is False
    assert {"where": f"train/GoodDog/{victim.name}", "what": "empty file"} in report["faults"]


def test_the_skeleton_has_the_folders_that_were_asked_for() -> None:
    result = run("--skeleton", "--classes", "cat,dog", "--output-dir", "data/pets")
    assert result.exit_code == 0
    assert Path("data/pets/val/dog").is_dir()
    assert "next: clipft prepare data/pets" in result.stdout


def test_settings_come_from_the_file_and_flags_win() -> None:
    Path("mine.yaml").write_text("seed: 3\nprepare: {source: pets, output_dir: data/from_file, num_classes: 2}\n")
    run("--config", "mine.yaml", "--output-dir", "data/from_flag")
    header = json.loads(Path("data/from_flag/dataset.json").read_text())
    assert header["seed"] == 3
    assert not Path("data/from_file").exists()


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom clipft_cli.cli.app import app\n"
        "try:\n    app(['prepare', '--help'])\nexcept SystemExit:\n    pass\n"
        "print([m for m in ('torch', 'numpy', 'PIL', 'imagehash', 'httpx') if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
