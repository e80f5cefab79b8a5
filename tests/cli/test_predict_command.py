"""`clipft predict` from the command line: every input, every form, and one bad file among good ones."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from fresh_process import modules_loaded_by
from PIL import Image
from typer.testing import CliRunner

import clipft_cli
from clipft_cli.cli.app import app

RED, BLUE = "data/colours/test/red/red 0.png", "data/colours/test/blue/blue 0.png"


def predict(*arguments: str, stdin: bytes | None = None):
    return CliRunner().invoke(app, ["predict", *map(str, arguments)], input=stdin)


def test_text_is_what_a_pipe_gets(world):
    outcome = predict(RED)
    assert outcome.exit_code == 0, outcome.output
    lines = outcome.stdout.splitlines()
    assert lines[0] == RED
    assert lines[1].split()[:3] == ["1", "red", "patch"]
    assert len(lines) == 4  # top 5 of three classes
    assert "using outputs/full/checkpoint-epoch-2" in outcome.stderr
    assert "images/s" in outcome.stderr


def test_probabilities_are_those_of_evaluate(world):
    CliRunner().invoke(app, ["evaluate", "--quiet"])
    written = csv.DictReader((world.run / "evaluation-test" / "predictions.csv").open())
    measured = {f"data/colours/{row['path']}": float(row["probability"]) for row in written}
    outcome = predict("data/colours/test", "--json", "--batch-size", "5")
    found = {item["path"]: item["probability"] for item in json.loads(outcome.stdout)["results"]}
    assert found.keys() == measured.keys()
    # batches differ in size, and bf16 where the machine has it
    assert found == pytest.approx(measured, abs=5e-3)


def test_probabilities_are_at_the_checkpoints_temperature(world):
    """Two checkpoints of the same weights, one of temperature 1, one of 0.7."""
    margins = []
    for epoch in (1, 2):
        outcome = predict(RED, "--json", "--checkpoint", f"outputs/full/checkpoint-epoch-{epoch}")
        first, second, _ = (item["probability"] for item in json.loads(outcome.stdout)["results"][0]["top"])
        margins.append(math.log(first / second))
    assert margins[1] == pytest.approx(margins[0] / 0.7, rel=1e-3)


def test_json_is_one_object_with_timing_and_checkpoint(world):
    outcome = predict(RED, BLUE, RED, "--json", "--top-k", "2")
    content = json.loads(outcome.stdout)
    assert [item["predicted"] for item in content["results"]] == ["red", "blue", "red"]
    assert [len(item["top"]) for item in content["results"]] == [2, 2, 2]
    assert content["checkpoint"] == "outputs/full/checkpoint-epoch-2"
    assert content["timing"]["load_seconds"] > 0
    assert content["timing"]["images_per_second"] > 0
    assert "error" not in content


def test_a_plain_vit_is_run_without_open_clip(world):
    Image.open(RED).save("red.jpg")
    code, loaded = modules_loaded_by("predict", RED, "red.jpg", folder=world.root)
    assert code == 0
    assert "torch" in loaded
    assert not loaded & {"open_clip", "torchvision", "timm", "transformers", "sklearn", "scipy", "matplotlib"}


def test_so_is_it_measured(world):
    code, loaded = modules_loaded_by("evaluate", folder=world.root)
    assert code == 0
    assert not loaded & {"open_clip", "timm", "transformers"}


def test_jsonl_gives_one_object_a_line(world):
    lines = predict("data/colours/test", "--format", "jsonl").stdout.splitlines()
    assert [json.loads(line)["predicted"] for line in lines] == ["blue"] * 6 + ["green"] * 6 + ["red"] * 6


def test_csv_has_the_columns_of_its_head_in_every_line(world):
    rows = list(csv.reader(io.StringIO(predict(RED, "nope.jpg", "--format", "csv").stdout)))
    assert rows[0][:6] == ["path", "predicted", "probability", "error", "class_1", "probability_1"]
    assert [len(row) for row in rows] == [10, 10, 10]
    assert rows[1][1] == "red"
    assert rows[2][:4] == ["nope.jpg", "", "", "file not found"]


def test_one_bad_file_does_not_stop_the_others(world):
    Path("broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 and no more")
    outcome = predict(RED, "broken.jpg", "gone.jpg", BLUE, "--format", "jsonl")
    assert outcome.exit_code == 10
    items = [json.loads(line) for line in outcome.stdout.splitlines()]
    assert [item["predicted"] for item in items] == ["red", None, None, "blue"]
    assert items[2]["error"] == "file not found"
    assert "warning: gone.jpg: file not found" in outcome.stderr
    assert "2 of 4 images could not be used" in outcome.stderr


def test_json_stays_one_object_when_images_fail(world):
    outcome = predict(RED, "gone.jpg", "--json")
    assert outcome.exit_code == 10
    content = json.loads(outcome.stdout)
    assert (content["n_images"], content["n_failed"], content["error"]["exit_code"]) == (2, 1, 10)


def test_nothing_usable_is_a_data_error(world):
    outcome = predict("gone.jpg", "https://example.org/a.jpg")
    assert outcome.exit_code == 3
    assert "none of 2 images can be used" in outcome.stderr
    assert "is a web address" in outcome.stderr
    outcome = predict("clipft-none.jpg", "--json")
    assert outcome.exit_code == 3
    assert json.loads(outcome.stdout)["error"]["message"].endswith("clipft-none.jpg: file not found")


def test_a_list_on_standard_input(world):
    listed = f"{BLUE}\n\n{RED}\n".encode()
    for arguments in (["-"], []):
        outcome = predict(*arguments, "--format", "jsonl", stdin=listed)
        assert [json.loads(line)["predicted"] for line in outcome.stdout.splitlines()] == ["blue", "red"]


def test_an_image_on_standard_input_is_classified(world):
    outcome = predict("-", "--format", "jsonl", stdin=Path(BLUE).read_bytes())
    assert outcome.exit_code == 0, outcome.output
    answer = json.loads(outcome.stdout)
    assert (answer["path"], answer["predicted"]) == ("-", "blue")


def test_a_photograph_of_a_telephone_is_answered_as_its_png(world):
    import pillow_heif

    with Image.open(RED) as picture:
        pillow_heif.from_pillow(picture.convert("RGB")).save("red.heic", quality=-1)
    same, asked = (json.loads(predict(name, "--json").stdout)["results"][0] for name in (RED, "red.heic"))
    assert asked["predicted"] == same["predicted"] == "red"
    assert asked["path"] == "red.heic"


def test_a_suffix_that_stands_for_nothing_that_is_written_is_refused(world):
    outcome = predict(RED, "--output", "p.xlsx")
    assert outcome.exit_code == 2
    assert ".txt, .csv, .json" in outcome.stderr
    assert predict(RED, "--output", "p.cvs", "--format", "csv").exit_code == 0
    assert Path("p.cvs").read_text().startswith("path,predicted")


def test_an_empty_list_is_an_error(world):
    outcome = predict("-", stdin=b"\n")
    assert outcome.exit_code == 3
    assert "no images: the list is empty" in outcome.stderr


@pytest.mark.parametrize(
    ("name", "start"), [("p.txt", RED), ("p.csv", "path,predicted"), ("p.jsonl", '{"path"'), ("p.json", '{"results"')]
)
def test_the_suffix_of_the_output_decides_its_form(world, name, start):
    outcome = predict(RED, "--output", f"new/{name}")
    assert outcome.exit_code == 0, outcome.output
    assert outcome.stdout == ""
    assert Path("new", name).read_text().startswith(start)
    assert os.listdir("new") == [name]


def test_an_unwritable_output_is_found_before_the_model_is_loaded(world):
    outcome = predict(RED, "--output", "data")
    assert outcome.exit_code == 7
    assert "data: is a folder, a file name is needed" in outcome.stderr
    assert "model ready" not in outcome.stderr


def test_a_threshold_makes_unsure_answers_unknown(world):
    sure = json.loads(predict(RED, "--json", "--threshold", "0.5").stdout)["results"][0]
    assert (sure["predicted"], sure["is_unknown"]) == ("red", False)
    Image.new("RGB", (20, 20), (126, 120, 128)).save("grey.png")
    unsure = json.loads(predict("grey.png", "--json", "--threshold", "1").stdout)["results"][0]
    assert (unsure["predicted"], unsure["is_unknown"]) == (None, True)
    assert unsure["probability"] < 1
    assert "unknown" in predict("grey.png", "--threshold", "1").stdout


def test_names_that_act_are_shown_written_out(world):
    name = "=1+1\x1b[31m\u202egpj.png"
    Path(RED).rename(name)
    text = predict(f"./{name}", name, "--format", "txt").stdout
    assert "./=1+1\\x1b[31m\\u202egpj.png" in text
    rows = list(csv.reader(io.StringIO(predict(name, "--format", "csv").stdout)))
    assert rows[1][0] == "'=1+1\\x1b[31m\\u202egpj.png"
    line = predict(name, "--format", "jsonl").stdout
    assert "\u202e" not in line
    assert json.loads(line)["path"] == name


def test_a_name_that_is_no_utf8_is_classified_and_shown(world):
    os.rename(RED.encode(), b"caf\xe9.png")
    for form in ("txt", "csv", "jsonl"):
        outcome = predict("-", "--format", form, stdin=b"caf\xe9.png\n")
        assert outcome.exit_code == 0, outcome.output
    assert os.fsencode(json.loads(outcome.stdout)["path"]) == b"caf\xe9.png"


def test_a_model_without_runs_and_a_wrong_top_k_are_named(world):
    assert predict(RED, "--checkpoint", "nowhere").exit_code == 5
    outcome = predict(RED, "--top-k", "0")
    assert outcome.exit_code == 2
    assert "--top-k" in outcome.stderr


def test_an_explicit_file_is_tried_whatever_its_suffix(world):
    Path(RED).rename("picture.dat")
    assert json.loads(predict("picture.dat", "--json").stdout)["results"][0]["predicted"] == "red"


def test_memory_does_not_grow_with_the_number_of_images(world):
    from clipft_cli.config.predict import PredictConfig
    from clipft_cli.engine.predict import predict as run

    Image.fromarray(np.zeros((200, 200, 3), dtype=np.uint8)).save("big.png")
    kept: list[int] = []

    class Peaks:
        def begin(self, n_answers: int) -> None: ...

        def add(self, prediction: object) -> None:
            kept.append(tracemalloc.get_traced_memory()[0])

    tracemalloc.start()
    try:
        run(PredictConfig(), ("big.png" for _ in range(600)), Peaks())
    finally:
        tracemalloc.stop()
    assert len(kept) == 600
    assert max(kept[400:]) < max(kept[100:300]) + 200_000  # 300 images of 2 KiB each would be 600,000


def test_predicting_imports_no_plots_no_statistics():
    code = (
        "import sys, clipft_cli.cli.app, clipft_cli.cli.predict; light = set(sys.modules);"
        "import clipft_cli.engine.predict;"
        "print('torch' in light, [m for m in ('torch', 'matplotlib', 'sklearn', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False []"


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
def test_features_are_written_beside_the_answers(world, suffix):
    file = world.root / f"features{suffix}"
    plain = json.loads(predict("data/colours/test", "--json").stdout)
    outcome = predict("data/colours/test", "no.png", "--json", "--batch-size", "7", "--embeddings", file)
    content = json.loads(outcome.stdout)
    answered = [item for item in content["results"] if item.get("predicted")]
    if suffix == ".npz":
        with np.load(file) as found:
            paths, rows = found["paths"].tolist(), found["embeddings"]
    else:
        table = pq.read_table(file)
        paths, rows = table["path"].to_pylist(), np.array(table["embedding"].to_pylist(), dtype=np.float32)
    assert paths == [item["path"] for item in answered]
    assert rows.shape == tuple(content["embeddings"])
    assert rows.dtype == np.float32
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1.0, abs=1e-5)
    model = clipft_cli.load(world.run)
    assert np.abs(rows - model.embed(paths)).max() < 5e-3  # batches differ in size, and bf16 where the machine has it
    first = {item["path"]: item["probability"] for item in plain["results"]}
    assert {item["path"]: item["probability"] for item in answered} == pytest.approx(first, abs=5e-3)


@pytest.mark.parametrize(
    ("name", "code", "text"),
    [
        ("x.csv", 2, "features are written to .npz or .parquet"),
        ("outputs.npz", 7, "outputs.npz: is a folder, features need a file of their own"),
        ("data/colours/dataset.json/x.npz", 7, "a part of this path is a file"),
    ],
)
def test_a_file_for_features_that_cannot_be_one_is_refused(world, name, code, text):
    (world.root / "outputs.npz").mkdir(exist_ok=True)
    outcome = predict(RED, "--embeddings", name)
    assert outcome.exit_code == code
    assert text in " ".join(outcome.stderr.split())


def checkerboards(folder: Path) -> list[str]:
    """Pictures of no class: black and white, in squares."""
    folder.mkdir()
    names = []
    for side in (1, 2, 3, 4):
        squares = np.indices((24, 24)).sum(axis=0) // side % 2 * 255
        names.append(str(folder / f"{side}.png"))
        Image.fromarray(squares.astype(np.uint8)).convert("RGB").save(names[-1])
    return names


def test_what_is_like_no_class_is_unknown_only_where_that_is_asked_for(world):
    others = checkerboards(world.root / "others")
    plain = json.loads(predict("data/colours/test", *others, "--json").stdout)
    assert plain["reject"] is None
    assert not any(item["is_unknown"] or "similarity" in item for item in plain["results"])
    asked = ("--reject", "--known-share", "0.85")
    outcome = predict("data/colours/test", *others, "--json", *asked)
    content = json.loads(outcome.stdout)
    rule = content["reject"]
    assert (rule["known_share"], rule["n_val_images"]) == (0.85, 6)
    for item in content["results"]:
        assert item["is_unknown"] == (item["similarity"] < rule["threshold"])
        assert (item["predicted"] is None) == item["is_unknown"]
    unknown = {item["path"]: item["is_unknown"] for item in content["results"]}
    assert all(unknown[name] for name in others)
    assert sum(unknown.values()) <= len(others) + 6  # of 18 known ones
    assert "by the 6 images of val that keeps 85% of known images or more" in outcome.stderr
    rows = list(csv.DictReader(io.StringIO(predict(*others, RED, *asked, "--format", "csv").stdout)))
    assert [row["predicted"] for row in rows[:4]] == ["unknown"] * 4
    assert "unknown: it is like no class" in predict(others[0], *asked).stdout
    both = predict(others[0], *asked, "--threshold", "1").stdout
    assert "unknown: it is like no class and no class reaches the threshold" in both


def test_the_answers_on_val_are_kept_with_the_run_and_belong_to_one_checkpoint(world):
    asked = (RED, "--reject", "--known-share", "0.85", "--json")
    first = json.loads(predict(*asked).stdout)["reject"]
    kept = world.run / "val-answers.safetensors"
    content = kept.read_bytes()
    world.data.rename("elsewhere")
    Path("red.png").write_bytes(Path("elsewhere/test/red/red 0.png").read_bytes())
    again = predict("red.png", *asked[1:])
    assert json.loads(again.stdout)["reject"] == first  # without the data set
    kept.write_bytes(content[: len(content) // 2])
    damaged = predict("red.png", *asked[1:])
    assert damaged.exit_code == 3
    assert "the data set this run was trained on is not there" in damaged.stderr
    named = predict("red.png", *asked[1:], "--data-dir", "elsewhere")
    assert json.loads(named.stdout)["reject"] == pytest.approx(first, abs=1e-3)
    kept.write_bytes(content)
    other = predict("red.png", *asked[1:], "--checkpoint", "outputs/full/checkpoint-epoch-1")
    assert other.exit_code == 3  # what was kept is another checkpoint's


def test_val_images_that_were_trained_on_are_no_measure(world):
    rows = [json.loads(line) for line in (world.data / "manifest.jsonl").read_text().splitlines()]
    seen = sorted(row["sha256"][:16] for row in rows if row["split"] == "val")
    (world.run / "trained_on.txt").write_text("".join(f"{digest}\n" for digest in seen))
    outcome = predict(RED, "--reject")
    assert outcome.exit_code == 3
    assert "val has no image that the model was not trained on" in outcome.stderr


@pytest.mark.parametrize(("option", "value"), [("--known-share", "0.9"), ("--data-dir", "data/colours")])
def test_an_option_of_reject_alone_is_not_passed_over(world, option, value):
    outcome = predict(RED, option, value)
    assert outcome.exit_code == 2
    assert "is for --reject" in " ".join(outcome.stderr.split())


@pytest.mark.parametrize("option", [("--reject",), ("--coverage", "0.8")])
def test_an_export_has_nothing_to_fit_on(world, option):
    (world.root / "graph").mkdir()
    (world.root / "graph/export.json").write_text("{}")
    outcome = predict(RED, *option, "--checkpoint", "graph")
    assert outcome.exit_code == 2
    assert f"{option[0]}: graph is an ONNX export" in outcome.stderr


def test_too_few_images_for_the_share_to_keep(world):
    outcome = predict(RED, "--reject")
    assert outcome.exit_code == 3
    assert "val has 6 images, and to keep 0.95 of known images takes 19 or more" in outcome.stderr
    assert "`--known-share 0.85` is the highest" in outcome.stderr


def test_a_set_of_classes_stands_beside_each_answer_in_every_form(world):
    plain = json.loads(predict(RED, "--json").stdout)
    assert plain["coverage"] is None
    assert "set" not in plain["results"][0]
    names = ("data/colours/test", "no.png", "--coverage", "0.8")
    outcome = predict(*names, "--json")
    content = json.loads(outcome.stdout)
    assert content["coverage"] == {"coverage": 0.8, "n_val_images": 6, "n_class_wise": 0}
    answered = [item for item in content["results"] if "error" not in item]
    for item in answered:
        ranked = [answer["class"] for answer in item["top"]]
        assert item["set"] == ranked[: len(item["set"])]
        assert item["set"][0] == item["predicted"]
    assert "a chance of 80% or more, over all classes together: by the 6 images of val" in outcome.stderr
    rows = {row["path"]: row for row in csv.DictReader(io.StringIO(predict(*names, "--format", "csv").stdout))}
    for item in answered:
        row = rows[item["path"]]
        assert (row["set"], row["set_size"]) == ("; ".join(item["set"]), str(len(item["set"])))
    assert (rows["no.png"]["set"], rows["no.png"]["set_size"]) == ("", "")
    assert "  one of: red" in predict(RED, "--coverage", "0.8").stdout
    few = predict(RED, "--coverage", "0.9")
    assert few.exit_code == 3
    assert "`--coverage 0.85` is the highest" in few.stderr
