"""What leaves answers as the model does, or does not leave."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from huggingface_hub import ModelCard
from PIL import Image
from tiny_world import write_colours
from typer.testing import CliRunner

from clipft_cli.cli.app import app
from clipft_cli.config.export import ExportConfig, FormatName
from clipft_cli.config.load import load_config
from clipft_cli.engine import export as verb
from clipft_cli.engine.export import export
from clipft_cli.engine.exports import probe as probes
from clipft_cli.engine.exports.base import Reader
from clipft_cli.engine.exports.formats import FORMATS
from clipft_cli.engine.exports.record import read_export
from clipft_cli.engine.images.decode import decode_image
from clipft_cli.engine.manifest import read_manifest
from clipft_cli.errors import CheckpointError, ConfigError, DataError, ModelError

TESTED = tuple(name for name in FORMATS if name != "page")  # whose eight bits have no bound: test_page_file.py
FAMILIES = ("quickgelu", "resnet", "timm-vit", "attention-pool", "convnext", "coca")

REFUSED = {("hf", family) for family in ("resnet", "timm-vit", "attention-pool", "convnext", "coca")}
REFUSED |= {("peft", family) for family in FAMILIES}
"""(format, family of tower) that have no equal there."""

METHODS = {"peft": ("lora",)}
"""Of what runs a format is; the others are of any."""

USUAL = {("safetensors", "resnet"), ("open_clip", "quickgelu"), ("onnx", "attention-pool"), ("hf", "convnext")}
TOWERS = [
    pytest.param(to, family, marks=() if (to, family) in USUAL else pytest.mark.slow)
    for to in TESTED
    for family in FAMILIES
]
"""Every format with every kind of tower; some of them in the default tier."""


def exported(run: Path, to: str, target: Path, **settings):
    flags = {"export.checkpoint": run, "export.to": to, "export.output_dir": target}
    return export(load_config(ExportConfig, flags={**flags, **{f"export.{k}": v for k, v in settings.items()}}))


def test_every_format_of_the_schema_is_built():
    assert set(FORMATS) == set(get_args(FormatName))
    assert {name: form.name for name, form in FORMATS.items()} == {name: name for name in FORMATS}


@pytest.mark.parametrize(
    ("to", "method"), [(to, method) for to in TESTED for method in METHODS.get(to, ("full", "lora"))]
)
def test_every_format_is_read_back_with_the_models_own_answers(runs, tmp_path, to, method):
    result = exported(runs[method], to, tmp_path / "out")
    assert [check.n_images for check in result.checks] == [15] * len(result.checks)
    assert all(check.largest_difference <= check.bound and check.n_equal == 15 for check in result.checks)
    assert "15 of the 15 val images" in result.checked_on
    record = read_export(tmp_path / "out")
    record.verify()
    assert record.kind == to
    assert [info.name for info in record.classes] == ["blue", "green", "red"]
    assert not [path for path in (tmp_path / "out").rglob("*") if path.suffix in (".pt", ".bin", ".pkl", ".pth")]


@pytest.mark.parametrize("to", TESTED)
def test_what_does_not_answer_like_the_model_is_refused_and_nothing_is_left(runs, tmp_path, to):
    with pytest.raises(ModelError, match="a probability differs by"):
        exported(runs["lora"], to, tmp_path / "new" / "out", max_difference=1e-12)
    assert list(tmp_path.iterdir()) == []


def test_an_answer_that_is_no_number_is_beyond_every_bound(runs, tmp_path, monkeypatch):
    def readers(folder, source):
        return (Reader("model", "test", lambda pictures: np.full((len(pictures), 3), np.nan), bound=1.0),)

    monkeypatch.setitem(verb.FORMATS, "safetensors", replace(FORMATS["safetensors"], readers=readers))
    with pytest.raises(ModelError, match="differs by nan"):
        exported(runs["full"], "safetensors", tmp_path / "out")


def test_a_run_without_its_data_set_is_checked_on_drawn_pictures_and_says_so(tiny, runs, tmp_path):
    lone = shutil.copytree(runs["full"] / "checkpoint-final", tmp_path / "given-away")
    told = []
    config = load_config(ExportConfig, flags={"export.checkpoint": lone, "export.to": "safetensors"})
    result = export(config, on_event=told.append)
    assert result.checked_on == f"{probes.N_DRAWN} drawn pictures"
    assert any("does not say what it was trained on" in note.text and note.is_warning for note in told)
    assert result.output_dir == lone / "export-safetensors"


def test_a_data_set_that_is_named_must_be_there(runs, tmp_path):
    with pytest.raises(DataError):
        exported(runs["full"], "safetensors", tmp_path / "out", data_dir=tmp_path / "nowhere")


def test_files_of_ones_own_are_never_replaced(runs, tmp_path):
    target = tmp_path / "out"
    exported(runs["full"], "safetensors", target)
    exported(runs["lora"], "safetensors", target)  # an earlier export gives way
    (target / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"notes\.txt"):
        exported(runs["full"], "safetensors", target)
    assert (target / "notes.txt").read_text() == "mine"
    with pytest.raises(ConfigError, match="is a file"):
        exported(runs["full"], "safetensors", target / "notes.txt")


def test_a_sample_is_the_pixels_of_one_test_image_where_it_is_asked_for_only(runs, tmp_path):
    data = write_colours(tmp_path / "data").root
    file = data / read_manifest(data).split("test")[0].path
    exif = Image.Exif()  # as a telephone writes it: by whom, where, and lying on its side
    exif[0x0112], exif[0x013B], exif[0x8825] = 6, "Jane Doe", {2: (48.0, 51.0, 30.0)}
    with Image.open(file) as picture:
        picture.save(file, exif=exif, comment=b"Jane's garden", dpi=(72, 72))
    without = exported(runs["full"], "safetensors", tmp_path / "a", data_dir=data).files
    files = exported(runs["full"], "safetensors", tmp_path / "b", data_dir=data, with_sample=True).files
    assert set(files) - set(without) == {"sample/sample.png"}
    with Image.open(tmp_path / "b" / "sample" / "sample.png") as sample:
        assert (sample.info, dict(sample.getexif())) == ({}, {})
        assert np.array_equal(np.asarray(sample), np.asarray(decode_image(file)))
    assert not any(b"Jane" in path.read_bytes() for path in (tmp_path / "b").rglob("*") if path.is_file())


@pytest.mark.parametrize("to", TESTED)
def test_an_export_names_no_place_of_the_machine_that_made_it(runs, tmp_path, to):
    written = exported(runs["lora"], to, tmp_path / "out", with_sample=True).output_dir
    places = [
        str(place).encode() for place in (tmp_path, runs["lora"].parent, Path(read_data(runs["lora"])), Path.home())
    ]
    for path in (path for path in written.rglob("*") if path.is_file()):
        assert not [place for place in places if place in path.read_bytes()], path


@pytest.mark.parametrize(("to", "family"), TOWERS)
def test_every_kind_of_tower_leaves_with_its_own_answers_or_is_refused_in_words(towers, tmp_path, family, to):
    if (to, family) in REFUSED:
        with pytest.raises(ModelError, match=f"has no equal in {to}: "):
            exported(towers(family), to, tmp_path / "out")
        assert list(tmp_path.iterdir()) == []
        return
    result = exported(towers(family), to, tmp_path / "out")
    assert all(check.largest_difference <= check.bound for check in result.checks)


def test_quickgelu_is_kept_in_open_clips_config(towers, tmp_path):
    exported(towers("quickgelu"), "open_clip", tmp_path / "out")
    config = json.loads((tmp_path / "out" / "open_clip_config.json").read_text())
    assert config["model_cfg"]["quick_gelu"] is True


def test_open_clip_alone_gives_the_models_probabilities(runs, tmp_path):
    """The lines of the model card, in a process that has never heard of clipft."""
    exported(runs["lora"], "open_clip", tmp_path / "out")
    script = "import sys; sys.modules['clipft_cli'] = None\n" + FORMATS["open_clip"].usage
    picture = next(Path(read_data(runs["lora"])).rglob("test/red/*.jpg"))
    shutil.copy(picture, tmp_path / "out" / "photo.jpg")
    done = subprocess.run(
        [sys.executable, "-c", script], check=False, cwd=tmp_path / "out", capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    found = ast.literal_eval(done.stdout)
    outcome = CliRunner().invoke(
        app,
        ["predict", str(picture), "--checkpoint", str(runs["lora"]), "--json", "--set", "hardware.mixed_precision=no"],
    )
    top = {item["class"]: item["probability"] for item in json.loads(outcome.stdout)["results"][0]["top"]}
    assert found == pytest.approx(top, abs=1e-4)


@pytest.mark.parametrize("to", TESTED)
def test_a_model_card_says_what_it_is_how_good_and_how_it_is_called(runs, tmp_path, to):
    result = exported(runs["lora"], to, tmp_path / "out")
    text = (tmp_path / "out" / "README.md").read_text()
    data = ModelCard(text).data
    assert data.library_name == FORMATS[to].library
    assert data.eval_results[0].dataset_split == "val"
    assert FORMATS[to].usage in text
    assert all(f"| {check.name} |" in text and f"{check.n_equal} of 15" in text for check in result.checks)
    assert "- red: red patch" in text
    assert "- epochs: 2" in text
    assert str(tmp_path) not in text
    assert "README.md" not in read_export(tmp_path / "out").files  # it is there to be edited


def test_a_card_has_what_evaluate_found_of_this_very_checkpoint(tiny, runs, tmp_path):
    run = Path(shutil.copytree(runs["full"], tmp_path / "run"))
    outcome = CliRunner().invoke(app, ["evaluate", "--checkpoint", str(run), "--data-dir", str(tiny.data)])
    assert outcome.exit_code == 0, outcome.output
    exported(run, "safetensors", tmp_path / "out")
    text = (tmp_path / "out" / "README.md").read_text()
    rows = [line.split(" (")[0] for line in text.splitlines() if line.startswith(("| val of", "| test of"))]
    assert rows == [f"| val of {tiny.data.name}", f"| test of {tiny.data.name}"]
    assert f"Measured on 12 images of test of {tiny.data.name}." in text
    exported(runs["lora"], "safetensors", tmp_path / "other")
    assert "| test of" not in (tmp_path / "other" / "README.md").read_text()


def read_data(run: Path) -> str:
    return json.loads((run / "places.json").read_text())["data.dir"]["absolute"]


def test_a_damaged_record_or_file_is_refused_in_one_line(runs, tmp_path):
    whole = exported(runs["full"], "safetensors", tmp_path / "whole").output_dir

    def copy(name):
        return Path(shutil.copytree(whole, tmp_path / name))

    record = copy("record") / "export.json"
    record.write_text(record.read_text().replace('"blue"', '"grey"'))
    with pytest.raises(CheckpointError, match="its checksum differs"):
        read_export(record.parent)
    cut = copy("cut") / "model.safetensors"
    cut.write_bytes(cut.read_bytes()[:-1])
    flipped = copy("flipped") / "model.safetensors"
    content = bytearray(flipped.read_bytes())
    content[-3] ^= 1
    flipped.write_bytes(content)
    for file in (cut, flipped):
        with pytest.raises(CheckpointError, match=r"model\.safetensors: is damaged") as caught:
            read_export(file.parent).verify()
        assert len(caught.value.message.splitlines()) == 1
    flipped.unlink()
    with pytest.raises(CheckpointError, match="is missing"):
        read_export(flipped.parent).verify()


def test_an_export_is_told_from_a_run(runs, tmp_path):
    exported(runs["full"], "safetensors", tmp_path / "out")
    with pytest.raises(CheckpointError, match="is an export, no run or checkpoint"):
        exported(tmp_path / "out", "safetensors", tmp_path / "again")


def test_the_command_says_what_it_wrote_and_how_close_it_is(runs, tmp_path):
    outcome = CliRunner().invoke(app, ["export", str(runs["lora"]), "--to", "safetensors", "-o", str(tmp_path / "out")])
    assert outcome.exit_code == 0, outcome.output
    assert "largest difference of a probability" in outcome.stdout
    assert "equal answers 15 of 15" in outcome.stdout
    outcome = CliRunner().invoke(
        app, ["export", str(runs["lora"]), "--to", "open_clip", "-o", str(tmp_path / "two"), "--json"]
    )
    found = json.loads(outcome.stdout)
    assert (found["format"], found["checks"][0]["n_equal"]) == ("open_clip", 15)
    wrong = CliRunner().invoke(app, ["export", str(runs["lora"]), "--to", "safetensor"])
    assert wrong.exit_code == 2
