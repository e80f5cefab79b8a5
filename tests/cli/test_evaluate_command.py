"""`clipft evaluate` from the command line: right figures, right files, and one clear line for what goes wrong."""

from __future__ import annotations

import csv
import hashlib
import json
import shlex
import shutil
from pathlib import Path

import pytest
from colour_world import write_colours
from PIL import Image
from safetensors.numpy import load_file
from terminal import at_a_terminal
from typer.testing import CliRunner

from clipft_cli.cli.app import app

FILES = {
    "evaluation_report.txt",
    "evaluation_results.json",
    "confusion_matrix.png",
    "class_performance.png",
    "predictions.csv",
    "report.html",
    "scores.safetensors",
}


def evaluate(*arguments: str):
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments)])


def said(outcome) -> str:
    """What was printed beside the result, in one line."""
    return " ".join(outcome.stderr.split())


def results(folder: Path) -> dict:
    return json.loads((folder / "evaluation_results.json").read_text())


def test_figures_are_at_the_checkpoints_temperature(world):
    """Of two checkpoints of the same weights, all right, the one of temperature 0.7 is surer than the one of 1."""
    losses = []
    for epoch in (1, 2):
        evaluate("--checkpoint", f"outputs/full/checkpoint-epoch-{epoch}", "--output-dir", f"at-{epoch}")
        losses.append(results(Path(f"at-{epoch}"))["nll"])
    assert 0 < losses[1] < losses[0]


def test_the_newest_runs_best_is_measured_said_and_written(world):
    outcome = evaluate()
    assert outcome.exit_code == 0, outcome.output
    assert "evaluating outputs/full/checkpoint-epoch-2, of the newest finished run" in outcome.stderr
    assert "on cpu" in outcome.stderr
    assert "top-1 accuracy     100.0%  82.4% to 100.0%" in outcome.stdout
    assert "written: outputs/full/evaluation-test/" in outcome.stdout
    assert "to look at: outputs/full/evaluation-test/report.html" in outcome.stdout
    folder = world.run / "evaluation-test"
    assert {path.name for path in folder.iterdir()} == FILES
    content = results(folder)
    assert (content["n_images"], content["top1"], content["split"], content["temperature"]) == (18, 1.0, "test", 0.7)
    digest = hashlib.sha256((world.run / "checkpoint-epoch-2" / "checkpoint.json").read_bytes()).hexdigest()
    assert content["checkpoint_digest"] == digest
    assert content["manifest_digest"] == json.loads((world.data / "dataset.json").read_text())["digest"]
    for name, expected in content["files"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == expected
    assert all(Image.open(folder / name).width > 300 for name in FILES if name.endswith(".png"))


def test_no_absolute_path_stands_in_the_files_and_the_next_command_is_as_short(world, tmp_path):
    outside = tmp_path / "elsewhere" / "colours"
    shutil.copytree(world.data, outside)
    next((outside / "test").rglob("*.png")).write_bytes(b"no picture any more")
    places = {"inside": (), "outside": ("--data-dir", outside, "--checkpoint", world.run.resolve() / "best")}
    for name, arguments in places.items():
        outcome = evaluate(*arguments, "--output-dir", name)
        assert outcome.exit_code == 0, outcome.output
        for file in Path(name).iterdir():
            assert str(tmp_path).encode() not in file.read_bytes(), f"{name}: {file.name}"
            assert str(world.root.resolve()).encode() not in file.read_bytes(), f"{name}: {file.name}"
    assert results(Path("outside"))["data_dir"] == "colours"
    assert f"next: clipft predict {world.root.resolve()}" not in evaluate().stdout


def test_scores_and_predictions_are_in_manifest_order(world):
    assert evaluate("--quiet").exit_code == 0
    scores = load_file(world.run / "evaluation-test" / "scores.safetensors")
    assert scores["labels"].tolist() == [0] * 6 + [1] * 6 + [2] * 6
    assert scores["indexes"].tolist() == list(range(18))
    rows = list(csv.DictReader((world.run / "evaluation-test" / "predictions.csv").open()))
    assert [row["path"] for row in rows] == sorted(row["path"] for row in rows)
    assert {row["correct"] for row in rows} == {"true"}
    assert rows[0]["top5"].startswith("blue 0.9")


def test_json_is_one_object_and_alone_on_stdout(world):
    outcome = evaluate("--json", "--split", "val")
    content = json.loads(outcome.stdout)
    assert (content["split"], content["n_images"], len(content["per_class"])) == ("val", 6, 3)
    assert content["output_dir"] == "outputs/full/evaluation-val"
    assert any("val chose the checkpoint" in note for note in content["notes"])


def test_another_checkpoint_does_not_take_the_place_of_the_bests_evaluation(world):
    assert evaluate("--quiet").exit_code == 0
    before = (world.run / "evaluation-test" / "evaluation_results.json").read_bytes()
    outcome = evaluate("--checkpoint", "outputs/full/checkpoint-epoch-1", "--quiet")
    assert "written: outputs/full/evaluation-test-checkpoint-epoch-1/" in outcome.stdout
    assert (world.run / "evaluation-test" / "evaluation_results.json").read_bytes() == before


def test_zero_shot_is_the_pretrained_model_and_not_the_trained_one(world):
    outcome = evaluate("--zero-shot", "--json")
    content = json.loads(outcome.stdout)
    assert (content["method"], content["is_zero_shot"], content["temperature"]) == ("zero_shot", True, 1.0)
    assert content["output_dir"] == "outputs/full/evaluation-test-zero-shot"
    assert content["top1"] < 1.0


def test_zero_shot_of_a_configured_model_needs_no_run(world):
    shutil.rmtree(world.root / "outputs")
    sets = ("model.name=colour-clip.json", "model.pretrained=colour-clip.safetensors", "data.dir=data/colours")
    outcome = evaluate("--zero-shot", "--json", *(part for text in sets for part in ("--set", text)))
    assert json.loads(outcome.stdout)["checkpoint"] is None
    assert (world.root / "outputs" / "zero-shot-test" / "evaluation_report.txt").is_file()


def test_a_missing_split_is_an_error_and_never_another_split(world):
    manifest = world.data / "manifest.jsonl"
    kept = [line for line in manifest.read_text().splitlines() if json.loads(line)["split"] != "test"]
    manifest.write_text("\n".join(kept) + "\n")
    _renew_header(world.data)
    outcome = evaluate()
    assert outcome.exit_code == 3
    assert "the split 'test' has no images (train: 12, val: 6, test: 0)" in outcome.stderr
    assert not (world.run / "evaluation-test").exists()


def test_a_class_without_images_in_the_split_is_said(world):
    manifest = world.data / "manifest.jsonl"
    lines = manifest.read_text().splitlines()
    kept = [line for line in lines if (json.loads(line)["split"], json.loads(line)["label"]) != ("test", 2)]
    manifest.write_text("\n".join(kept) + "\n")
    _renew_header(world.data)
    outcome = evaluate("--json")
    assert "this split has no image of red;" in outcome.stderr
    content = json.loads(outcome.stdout)
    assert (content["classes_without_images"], content["macro_f1"]) == (["red"], 1.0)


def test_an_unknown_split_is_a_configuration_error(world):
    outcome = evaluate("--split", "tset")
    assert outcome.exit_code == 2
    assert "'train', 'val' or 'test'" in outcome.stderr


def test_classes_that_the_model_knows_none_of_are_refused_by_name(world):
    write_colours(Path("data/other"), names=["pink", "grey", "teal"])
    outcome = evaluate("--data-dir", "data/other")
    assert outcome.exit_code == 3
    assert "only in the data set: pink, grey, teal; only in the checkpoint: blue, green, red" in said(outcome)


def test_a_class_that_the_model_does_not_know_is_in_no_figure_and_named(world):
    write_colours(Path("data/other"), names=["blue", "green", "pink"])
    outcome = evaluate("--data-dir", "data/other", "--json")
    assert outcome.exit_code == 0, outcome.output
    content = json.loads(outcome.stdout)
    assert "the model does not know pink: 6 of 18 images are in no figure" in said(outcome)
    assert (content["n_images"], content["top1"]) == (12, 1.0)
    assert content["classes_unknown_to_the_model"] == ["pink"]
    assert content["classes_without_images"] == ["red"]
    scores = load_file(world.run / "evaluation-test-on-other" / "scores.safetensors")
    assert scores["labels"].tolist() == [0] * 6 + [1] * 6
    assert not (world.run / "evaluation-test").exists()


def test_a_folder_that_was_never_prepared_is_measured_whole_and_left_as_it_is(world):
    for name in ("blue", "red"):
        shutil.copytree(world.data / "test" / name, Path("field") / name)
    (Path("field") / "red" / "zz.png").write_bytes((world.data / "test" / "red" / "red 3.png").read_bytes())
    before = sorted(Path("field").rglob("*"))
    outcome = evaluate("--data-dir", "field", "--json")
    assert outcome.exit_code == 0, outcome.output
    content = json.loads(outcome.stdout)
    assert (content["n_images"], content["is_prepared"]) == (12, False)
    assert content["top1_among_present"]["value"] >= content["top1"]
    assert "1 image left out, exact copy of another image: red/zz.png" in said(outcome)
    assert "this split has no image of green;" in said(outcome)
    assert sorted(Path("field").rglob("*")) == before
    rows = list(csv.DictReader((world.run / "evaluation-test-on-field" / "predictions.csv").open()))
    assert rows[0]["path"] == "blue/blue 0.png"


def test_images_of_the_train_split_are_counted_wherever_they_lie(world):
    for name in ("blue", "red"):
        shutil.copytree(world.data / "train" / name, Path("field") / name)
    n = len(list(Path("field").rglob("*.png")))
    outcome = evaluate("--data-dir", "field")
    assert f"{n} of these {n} images were trained on: the figures are too good" in said(outcome)


def test_a_name_in_other_letters_is_matched_and_said(world):
    shutil.copytree(world.data / "test" / "red", Path("field") / "Red")
    outcome = evaluate("--data-dir", "field", "--json")
    assert json.loads(outcome.stdout)["n_images"] == 6
    assert "'Red' is taken for the model's 'red': letter case" in said(outcome)


def test_the_same_classes_in_another_order_are_matched_by_name(world):
    write_colours(Path("data/turned"), order=["red", "blue", "green"])
    outcome = evaluate("--data-dir", "data/turned", "--json")
    content = json.loads(outcome.stdout)
    assert content["top1"] == 1.0
    assert [item["name"] for item in content["per_class"]] == ["blue", "green", "red"]
    assert "too good" not in said(outcome)
    assert "may have been trained on" not in said(outcome)
    assert content["is_training_data_set"] is False


def test_an_unreadable_image_is_left_out_and_named(world):
    (world.data / "test" / "red" / "red 3.png").write_bytes(b"")
    outcome = evaluate("--json")
    assert outcome.exit_code == 0
    content = json.loads(outcome.stdout)
    assert content["n_images"] == 17
    assert content["unreadable"] == [{"path": "test/red/red 3.png", "reason": "empty file"}]
    assert "left out, cannot be read: test/red/red 3.png (empty file)" in outcome.stderr
    assert "1 changed" in outcome.stderr
    assert load_file(world.run / "evaluation-test" / "scores.safetensors")["indexes"].tolist() == [
        *range(15),
        16,
        17,
    ]


def test_too_many_unreadable_images_end_it_with_their_names(world):
    for name in ("red/red 3.png", "blue/blue 0.png"):
        (world.data / "test" / name).unlink()
    outcome = evaluate()
    assert outcome.exit_code == 3
    assert "2 of 18 images of this split cannot be read" in outcome.stderr
    assert "test/blue/blue 0.png: file not found" in outcome.stderr
    assert not (world.run / "evaluation-test").exists()


def test_what_is_in_the_output_folder_stays(world):
    folder = world.root / "reports"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    assert evaluate("--output-dir", folder, "--quiet").exit_code == 0
    assert {path.name for path in folder.iterdir()} == FILES | {"notes.txt"}


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("--checkpoint", "nowhere"), 5, "nowhere: no such run or checkpoint"),
        (("--data-dir", "nowhere"), 3, "nowhere: no such data folder"),
        (("--output-dir", "colour-clip.json"), 7, "is a file"),
        (("--batch-size", "0"), 2, "greater than or equal to 1"),
        (("--set", "evaluate.splt=test"), 2, "did you mean 'split'"),
    ],
)
def test_mistakes_end_in_a_line_and_the_code_of_their_kind(world, arguments, code, text):
    outcome = evaluate(*arguments)
    assert outcome.exit_code == code
    assert text in outcome.stderr
    assert "Traceback" not in outcome.stderr


def test_without_any_run_the_next_step_is_named(world):
    shutil.rmtree(world.root / "outputs")
    outcome = evaluate()
    assert outcome.exit_code == 5
    assert "clipft train" in outcome.stderr


def test_a_damaged_checkpoint_is_refused(world):
    head = world.run / "checkpoint-epoch-2" / "head.safetensors"
    content = bytearray(head.read_bytes())
    content[-1] ^= 1
    head.write_bytes(content)
    outcome = evaluate()
    assert outcome.exit_code == 5
    assert "is damaged (its checksum differs)" in outcome.stderr


def _renew_header(data: Path) -> None:
    from clipft_cli.engine.labels.class_names import ClassInfo
    from clipft_cli.engine.manifest import Row, digest_of

    header = json.loads((data / "dataset.json").read_text())
    rows = [Row(**json.loads(line)) for line in (data / "manifest.jsonl").read_text().splitlines()]
    header["digest"] = digest_of([ClassInfo(**info) for info in header["classes"]], rows)
    header["counts"] = {split: sum(row.split == split for row in rows) for split in header["counts"]}
    (data / "dataset.json").write_text(json.dumps(header))


@pytest.mark.parametrize("place", ["", "tables/"])
def test_a_table_that_was_never_prepared_is_measured(world, place):
    shutil.copytree(world.data / "test" / "red", Path(place) / "field")
    lines = [f"field/{path.name},red" for path in sorted((Path(place) / "field").iterdir())]
    Path(f"{place}new.csv").write_text("\n".join(["image,label", *lines]))
    outcome = evaluate("--data-dir", f"{place}new.csv", "--json")
    assert outcome.exit_code == 0, outcome.output
    assert (json.loads(outcome.stdout)["n_images"], json.loads(outcome.stdout)["top1"]) == (6, 1.0)


def test_images_that_can_be_read_in_two_ways_are_asked_about_with_commands_that_measure(world):
    for variant in ("raw", "sharpened"):
        for name in ("blue", "red"):
            shutil.copytree(world.data / "test" / name, Path("field") / variant / name)
            for path in (Path("field") / variant / name).iterdir():
                path.write_bytes(path.read_bytes() + variant.encode())
    refused = evaluate("--data-dir", "field", "--batch-size", "3")
    assert refused.exit_code == 3
    commands = [line.strip() for line in refused.stderr.splitlines() if line.strip().startswith("clipft ")]
    assert [shlex.split(command)[1:] for command in commands[1:3]] == [
        ["evaluate", "--data-dir", "field", "--batch-size", "3", "--paths", f"{variant}/{{class}}"]
        for variant in ("raw", "sharpened")
    ]
    n_images = []
    for command in commands[:3]:
        outcome = evaluate(*shlex.split(command)[2:], "--json")
        assert outcome.exit_code == 0, outcome.output
        n_images.append(json.loads(outcome.stdout)["n_images"])
    assert n_images == [24, 12, 12]
    code, shown = at_a_terminal("3\n", "evaluate", "--data-dir", "field")
    assert code == 0, shown
    assert "--paths 'sharpened/{class}'" in shown


def test_hints_about_images_that_were_never_prepared_name_evaluate(world):
    for name in ("Red", "red "):
        shutil.copytree(world.data / "test" / "red", Path("field") / name)
    refused = evaluate("--data-dir", "field", "--min-size", "2")
    assert refused.exit_code == 3
    joined = "clipft evaluate --data-dir field --min-size 2 --merge alike"
    assert f"`{joined}` makes one class" in said(refused)
    assert evaluate(*shlex.split(joined)[2:]).exit_code == 0
