"""`clipft compare` from the command line: who is compared, what is refused, what is written, what the page says."""

from __future__ import annotations

import hashlib
import html
import json
import os
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from colour_world import World, write_colours
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from clipft_cli.cli.app import app
from clipft_cli.engine.manifest import digest_of, write_manifest
from clipft_cli.engine.optim.recipe import epochs as epochs_by_rule

MODEL = ("model.name=colour-clip.json", "model.pretrained=colour-clip.safetensors", "hardware.mixed_precision=no")
QUICK = ("data.num_workers=0", "data.batch_size=4")
FILES = {"compare.json", "compare.md", "compare.html"}
EVIL = "<script>alert(1)<&script>"


def sets(*texts: str) -> list[str]:
    return [part for text in texts for part in ("--set", text)]


def compare(*arguments: object, epochs: object = 1):
    fixed = [*sets(*MODEL, *QUICK, f"training.num_epochs={epochs}"), "--data-dir", "data/colours"]
    return CliRunner().invoke(app, ["compare", *map(str, arguments), *fixed])


def read(folder: Path) -> dict:
    return json.loads((folder / "compare.json").read_text())


@pytest.fixture(scope="session")
def compared_world(built_world, tmp_path_factory):
    """The built world without its run, compared once: lora and full against what is always there."""
    root = tmp_path_factory.mktemp("compared") / "world"
    shutil.copytree(built_world, root)
    shutil.rmtree(root / "outputs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setenv("COLUMNS", "200")
        outcome = compare("lora", "full")
    assert outcome.exit_code == 0, outcome.output
    return root, outcome


@pytest.fixture
def compared(compared_world, tmp_path, monkeypatch) -> World:
    """A copy of the compared world for one test, entered."""
    shutil.copytree(compared_world[0], tmp_path / "world")
    monkeypatch.chdir(tmp_path / "world")
    monkeypatch.setenv("COLUMNS", "200")
    return World(tmp_path / "world")


def test_methods_are_trained_measured_and_judged(compared_world):
    root, outcome = compared_world
    assert "to be trained now, expected to take" in outcome.stderr
    assert "linear_probe, seed 0: training with preset linear_probe" in outcome.stderr
    assert re.search(r"^(Use|No) ", outcome.stdout, re.MULTILINE)
    assert "one seed a method" in outcome.stdout
    assert {path.name for path in (root / "outputs" / "compare").iterdir()} == FILES
    content = read(root / "outputs" / "compare")
    assert [row["label"] for row in content["rows"]] == ["zero_shot", "linear_probe", "lora", "full"]
    assert len(content["pairs"]) == 6
    assert (content["n_images"], content["n_seeds"], content["correction"]) == (18, 1, "holm")
    full = content["rows"][3]
    assert full["trainable_parameters"] > content["rows"][2]["trainable_parameters"] > 0
    assert content["rows"][0]["trainable_parameters"] == 0
    folder = root / full["runs"][0] / json.loads((root / full["runs"][0] / "best").read_text())["checkpoint"]
    assert full["artefact_bytes"] == sum(file.stat().st_size for file in folder.iterdir())
    for row in content["rows"]:
        assert 0 <= row["top1"]["low"] <= row["top1"]["value"] <= row["top1"]["high"] <= 1
        assert row["train_seconds"] > 0
        assert row["host_memory_gib"] > 0


def test_the_figures_are_those_of_evaluate(compared):
    content = read(compared.root / "outputs" / "compare")
    for row in content["rows"]:
        outcome = CliRunner().invoke(app, ["evaluate", "--checkpoint", row["runs"][0], "--json", *sets(*MODEL[2:])])
        measured = json.loads(outcome.stdout)
        assert row["top1"]["value"] == measured["top1"]
        assert [row["top1"]["low"], row["top1"]["high"]] == measured["intervals_95"]["top1"]
        assert row["ece"]["value"] == pytest.approx(measured["ece"], abs=1e-5)
        assert row["macro_f1"]["value"] == pytest.approx(measured["macro_f1"])


def test_no_absolute_path_stands_in_the_files(compared, tmp_path):
    outside = tmp_path / "elsewhere" / "colours"
    shutil.copytree(compared.data, outside)
    root = str(compared.root.resolve())
    next((outside / "test").rglob("*.png")).write_bytes(b"no picture any more")
    shutil.copytree("outputs/lora", tmp_path / "elsewhere" / "full")
    runs = (f"{root}/outputs/lora", f"{root}/outputs/full", tmp_path / "elsewhere" / "full")
    arguments = ("--data-dir", outside, "--no-train", "--output-dir", tmp_path / "elsewhere" / "out")
    fixed = sets(*MODEL, *QUICK, "training.num_epochs=1")
    outcome = CliRunner().invoke(app, ["compare", *map(str, (*runs, *arguments)), *fixed])
    assert outcome.exit_code == 0, outcome.output
    for name in FILES:
        assert str(tmp_path) not in (tmp_path / "elsewhere" / "out" / name).read_text(), name
    content = read(tmp_path / "elsewhere" / "out")
    assert (content["data_dir"], content["output_dir"]) == ("colours", "out")
    assert [row["runs"][0] for row in content["rows"][2:]] == ["outputs/lora", "outputs/full", "full"]
    assert [row["label"] for row in content["rows"][2:]] == ["lora", "outputs/full", "elsewhere/full"]
    assert len(content["unreadable"]) == 1
    assert f"next: clipft predict '{outside}/test" in outcome.stdout


def test_finished_runs_are_taken_and_nothing_is_trained(compared):
    before = sorted(path.name for path in (compared.root / "outputs").iterdir())
    outcome = compare("lora", "full", "--no-train", "--json")
    assert outcome.exit_code == 0, outcome.output
    content = json.loads(outcome.stdout)
    assert len(content["rows"]) == 4
    assert content["output_dir"] == "outputs/compare-2"
    assert "taking the finished run outputs/lora" in outcome.stderr
    after = sorted(path.name for path in (compared.root / "outputs").iterdir())
    assert after == sorted([*before, "compare-2"])
    assert read(compared.root / "outputs" / "compare")["rows"] == content["rows"]


def test_a_method_and_its_own_run_are_one_row(compared):
    outcome = compare("outputs/lora", "lora", "lora", "--no-train", "--json")
    labels = [row["label"] for row in json.loads(outcome.stdout)["rows"]]
    assert labels == ["zero_shot", "linear_probe", "lora"]


def test_runs_that_would_be_called_the_same_go_by_the_names_they_were_given(compared):
    for source, copy in (("lora", "outputs/lora-2"), ("lora", "outputs/mine"), ("full", "mine")):
        shutil.copytree(f"outputs/{source}", copy)
    os.utime("outputs/lora-2/summary.json", (2e9, 2e9))  # the newest: what `lora` stands for
    outcome = compare("outputs/lora", "lora", "mine/", "outputs/mine", "outputs/full", "--no-train", "--json")
    assert outcome.exit_code == 0, outcome.output
    assert {row["label"]: row["runs"] for row in json.loads(outcome.stdout)["rows"]} == {
        "zero_shot": ["outputs/zero_shot"],
        "linear_probe": ["outputs/linear_probe"],
        "outputs/lora": ["outputs/lora"],
        "lora": ["outputs/lora-2"],
        "mine": ["mine"],
        "outputs/mine": ["outputs/mine"],
        "full": ["outputs/full"],
    }


def test_a_method_is_not_left_out_for_a_run_of_the_same_name(compared):
    outcome = compare("outputs/lora", "lora", "--no-train", epochs=2)
    assert outcome.exit_code == 2
    assert "no finished run on this data set, and --no-train: lora (preset lora, seed 0)" in outcome.stderr


def test_a_named_run_gets_its_other_seeds_on_the_data_where_it_lies_now(compared):
    (compared.root / "data" / "colours").rename("moved")
    arguments = ["outputs/lora", "--data-dir", "moved", "--seeds", "2", "--json", *sets(*QUICK)]
    outcome = CliRunner().invoke(app, ["compare", *arguments])
    assert outcome.exit_code == 0, outcome.output
    assert [row["seeds"] for row in json.loads(outcome.stdout)["rows"]] == [[0], [0], [0, 1]]


def test_beside_a_data_set_that_was_moved_its_folder_is_asked_for(compared):
    outcome = CliRunner().invoke(app, ["compare", "outputs/lora", "--data-dir", "gone"])
    assert outcome.exit_code == 3, outcome.output
    assert "the data set of these runs is not there (looked from " in outcome.stderr
    assert "hint: name the folder it is in now: `clipft compare outputs/lora --data-dir DIR`" in outcome.stderr


def test_other_epochs_or_seed_are_not_taken(compared):
    outcome = compare("lora", "--no-train", epochs=2)
    assert outcome.exit_code == 2
    assert "no finished run on this data set, and --no-train: lora (preset lora, seed 0)" in outcome.stderr
    outcome = compare("lora", "--no-train", "--seeds", "2")
    assert outcome.exit_code == 2
    assert "no finished run on this data set, and --no-train: lora (preset lora, seed 1)" in outcome.stderr
    assert "leave out --no-train, then it is trained now" in outcome.stderr


def test_several_seeds_are_the_same_for_all_and_said(compared):
    outcome = compare("lora", "full", "--seeds", "2", "--json")
    assert outcome.exit_code == 0, outcome.output
    content = json.loads(outcome.stdout)
    assert content["n_seeds"] == 2
    assert [row["seeds"] for row in content["rows"]] == [[0], [0], [0, 1], [0, 1]]
    assert "2 seeds a method" in (compared.root / content["output_dir"] / "compare.md").read_text()
    full = content["rows"][3]
    assert full["top1"]["value"] == pytest.approx(sum(full["top1_by_seed"]) / 2)


def test_a_budget_that_is_too_small_leaves_out_what_does_not_fit(compared):
    shutil.rmtree(compared.root / "outputs" / "full")
    outcome = compare("lora", "full", "--budget", "0.01s", "--json")
    assert outcome.exit_code == 0, outcome.output
    content = json.loads(outcome.stdout)
    assert [row["label"] for row in content["rows"]] == ["zero_shot", "linear_probe", "lora"]
    assert any(note.startswith("full, seed 0, is not trained: it is expected to take") for note in content["notes"])


def test_a_budget_that_leaves_nothing_to_compare_is_refused(compared):
    for run in ("full", "lora", "linear_probe"):
        shutil.rmtree(compared.root / "outputs" / run)
    outcome = compare("lora", "--budget", "0.01s")
    assert outcome.exit_code == 2
    assert (
        "the budget leaves nothing to compare: linear_probe, seed 0, is not trained: it is expected" in outcome.stderr
    )
    assert "give a larger --budget" in outcome.stderr


def test_a_run_of_as_many_epochs_as_the_rule_says_is_taken_for_auto(compared):
    config = compared.root / "outputs" / "lora" / "config.yaml"
    config.write_text(config.read_text().replace("num_epochs: 1", f"num_epochs: {epochs_by_rule(12)}"))
    (compared.root / "outputs" / "lora" / "inputs.json").unlink()  # as in a run of an earlier version
    outcome = compare("lora", "--no-train", "--json", epochs="auto")
    assert outcome.exit_code == 0, outcome.output
    assert "lora, seed 0: taking the finished run outputs/lora" in outcome.stderr


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("training.learning_rate=0.004", "training.learning_rate 0.003 (not 0.004)"),
        ("training.label_smoothing=0", "training.label_smoothing 0.1 (not 0.0)"),
        ("training.select_by=macro_f1", "training.select_by top1 (not macro_f1)"),
        ("data.class_balance=sampler", "data.class_balance none (not sampler)"),
        ("data.horizontal_flip=false", "data.horizontal_flip True (not False)"),
        ("data.few_shot=2", "data.few_shot None (not 2)"),
        ("data.templates=short", "other prompt templates"),
        ("model.head_start=text", "model.head_start auto (not text)"),
        ("linear_probe.c_values=[1]", "linear_probe.c_values"),
        ("lora.r=2", "lora.r 8 (not 2)"),
        ("seed=1", None),
    ],
)
def test_a_run_of_other_settings_does_not_stand_for_a_method(compared, setting, told):
    outcome = compare("lora", "--no-train", "--set", setting)
    assert outcome.exit_code == 2
    assert re.search(
        r"no finished run on this data set, and --no-train: .*lora \(preset lora, seed [01]\)", outcome.stderr
    )
    if told is None:
        assert "outputs/lora was trained with" not in outcome.stderr
    else:
        assert f"outputs/lora was trained with {told}" in outcome.stderr
        assert "compared under its own name, and does not stand for lora" in outcome.stderr


@pytest.mark.parametrize("setting", ["data.num_workers=2", "cache.max_gb=1", "checkpoint.keep_last=3"])
def test_workers_and_caches_make_no_other_run(compared, setting):
    outcome = compare("lora", "--no-train", "--set", setting)
    assert outcome.exit_code == 0, outcome.output
    assert "lora, seed 0: taking the finished run outputs/lora" in outcome.stderr


def test_what_was_trained_with_other_settings_is_a_row_of_its_own(compared):
    outcome = compare("lora", "--set", "training.learning_rate=0.004", "--json")
    assert outcome.exit_code == 0, outcome.output
    content = json.loads(outcome.stdout)
    assert {row["label"]: row["runs"] for row in content["rows"][2:]} == {
        "lora": ["outputs/lora-2"],
        "outputs/lora": ["outputs/lora"],
    }
    assert any("outputs/lora was trained with training.learning_rate" in note for note in content["notes"])
    again = compare("lora", "--set", "training.learning_rate=0.004", "--no-train")
    assert "lora, seed 0: taking the finished run outputs/lora-2" in again.stderr


@pytest.mark.parametrize("has_inputs", [True, False])
def test_other_readable_names_and_other_weights_make_another_run(compared, has_inputs):
    if not has_inputs:  # as in runs of an earlier version
        for file in compared.root.glob("outputs/*/inputs.json"):
            file.unlink()
    assert compare("lora", "--no-train").exit_code == 0
    names = compared.root / "data" / "colours" / "classes.txt"
    text = names.read_text()
    first = next(line for line in text.splitlines() if line and not line.startswith("#"))
    names.write_text(text.replace(first, first + " thing"))
    assert compare("lora", "--no-train").exit_code == 2
    names.write_text(text)
    weights = compared.root / "colour-clip.safetensors"
    tensors = load_file(weights)
    save_file({**tensors, "visual.proj": tensors["visual.proj"] * 1.01}, weights)
    assert compare("lora", "--no-train").exit_code == 2


def test_the_terminal_table_fits_80_columns_and_says_what_was_kept(compared, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    outcome = compare("lora", "full", "--no-train")
    tables = outcome.stdout.split("\n\n")[1:4]
    assert "top-1" in tables[0]
    assert "energy" in outcome.stdout
    assert max(len(line.rstrip()) for table in tables for line in table.splitlines()) <= 80
    assert re.search(r"epoch 1 of 1|its start", outcome.stdout)


def test_retention_is_the_zero_shot_skill_left(compared):
    write_colours(Path("data/other"), names=["sea", "grass", "fire"])
    outcome = compare("lora", "full", "--no-train", "--retention", "data/other", "--json")
    rows = {row["label"]: row["retention"] for row in json.loads(outcome.stdout)["rows"]}
    assert rows["linear_probe"] == rows["zero_shot"]
    assert all(0 <= value["low"] <= value["value"] <= 1 for value in rows.values())
    verdict = json.loads(outcome.stdout)["verdict"]
    assert verdict[-1].startswith(
        f"Retention, zero-shot on the second data set: {rows['zero_shot']['value']:.1%} before"
    )
    assert re.search(r"lora [\d.]+% \([+-][\d.]+ points\), full ", verdict[-1])


def test_a_retention_set_without_test_images_is_refused_before_anything_is_trained(world):
    shutil.rmtree("outputs")
    whole = write_colours(Path("data/other"))
    rows = [row for row in whole.rows if row.split != "test"]
    write_manifest(replace(whole, rows=rows, digest=digest_of(whole.classes, rows)))
    outcome = compare("zero_shot", "--retention", "data/other")
    assert outcome.exit_code == 3, outcome.output
    assert "data/other: the split 'test' has no images" in outcome.stderr
    assert not Path("outputs").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        ((), 2, "nothing is named to compare"),
        (("lorra",), 2, "'lorra' is neither a method nor a run directory here, did you mean 'lora'?"),
        (("LoRA",), 2, "'LoRA' is neither a method nor a run directory here, did you mean 'lora'?"),
        (("outputs/nowhere",), 5, "outputs/nowhere: no such run"),
        (("data/colours",), 5, "is no run directory"),
        (("lora", "--split", "train"), 2, "these images were trained on"),
        (("lora", "--split", "val"), 2, "val has chosen epoch, mix and temperature of every run"),
        (("lora", "--budget", "soon"), 2, "must be a duration such as 90s"),
        (("lora", "--seeds", "0"), 2, "greater than or equal to 1"),
        (("lora", "--retention", "nowhere"), 3, "nowhere: no such data folder"),
        (("lora", "--output-dir", "colour-clip.json"), 7, "is a file"),
        (("lora", "--output-dir", "outputs/compare"), 7, "outputs/compare: is taken, and is never overwritten"),
    ],
)
def test_mistakes_end_in_a_line_and_the_code_of_their_kind(compared, arguments, code, text):
    outcome = compare(*arguments)
    assert outcome.exit_code == code, outcome.output
    assert text in outcome.stderr
    assert "Traceback" not in outcome.stderr
    assert not (compared.root / "outputs" / "compare-2").exists()


def test_a_run_on_other_data_is_refused_with_both_digests(compared):
    card = _card(compared.root / "outputs" / "lora")
    _rewrite(card, lambda content: content["data"].update(manifest_digest="f" * 64))
    outcome = compare("outputs/full", "outputs/lora")
    assert outcome.exit_code == 3
    digest = json.loads((compared.data / "dataset.json").read_text())["digest"]
    assert f"manifest {digest[:12]}" in outcome.stderr
    assert "manifest ffffffffffff" in outcome.stderr
    assert "outputs/full and outputs/lora were trained on different data" in outcome.stderr


def test_a_run_of_other_classes_is_refused_and_they_are_counted(compared):
    def renamed(content):
        content["data"].update(manifest_digest="e" * 64)
        content["classes"][0]["name"] = "violet"

    _rewrite(_card(compared.root / "outputs" / "lora"), renamed)
    outcome = compare("outputs/full", "outputs/lora")
    assert outcome.exit_code == 3
    assert "their classes differ (3 and 3, 2 of them in both)" in outcome.stderr


def test_a_run_selected_on_the_split_is_refused(compared):
    _rewrite(_card(compared.root / "outputs" / "lora"), lambda content: content.update(selected_on="test"))
    outcome = compare("outputs/lora")
    assert outcome.exit_code == 5
    assert "was selected on test" in outcome.stderr


def test_a_damaged_checkpoint_is_refused(compared):
    head = _card(compared.root / "outputs" / "lora").parent / "head.safetensors"
    head.write_bytes(head.read_bytes()[:-1] + b"\x7f")
    for name in ("outputs/lora", "lora"):
        outcome = compare(name)
        assert outcome.exit_code == 5
        assert "head.safetensors: is damaged (its checksum differs)" in outcome.stderr


def test_a_run_that_was_begun_is_pointed_to_before_it_is_trained_anew(compared):
    (compared.root / "outputs" / "lora" / "summary.json").unlink()
    outcome = compare("lora", "--no-train")
    assert outcome.exit_code == 2
    assert "lora, seed 0: outputs/lora is not finished and cannot be taken" in outcome.stderr
    assert "`clipft train --resume outputs/lora` goes on with it, then it is" in outcome.stderr


def test_a_damaged_run_on_other_data_is_no_obstacle(compared):
    shutil.copytree("outputs/lora", "outputs/other")
    card = _card(Path("outputs/other"))
    _rewrite(card, lambda content: content["data"].update(manifest_digest="f" * 64))
    _rewrite(Path("outputs/other/inputs.json"), lambda content: content.update(data_set="f" * 64))
    (card.parent / "head.safetensors").write_bytes(b"damaged")
    os.utime("outputs/other/summary.json", (2e9, 2e9))
    outcome = compare("lora", "--no-train")
    assert outcome.exit_code == 0, outcome.output
    assert "lora, seed 0: taking the finished run outputs/lora" in outcome.stderr


def test_an_unfinished_run_is_refused(compared):
    (compared.root / "outputs" / "lora" / "summary.json").unlink()
    outcome = compare("outputs/lora")
    assert outcome.exit_code == 5
    assert "this run is not finished" in outcome.stderr
    assert "clipft train --resume outputs/lora" in outcome.stderr


def test_the_page_is_whole_and_holds_no_name_as_markup(world):
    shutil.rmtree("outputs")
    names = ["blue", EVIL, "$x_1$"]
    write_colours(Path("data/evil"), names=names)
    outcome = CliRunner().invoke(app, ["compare", "zero_shot", "-d", "data/evil", *sets(*MODEL, *QUICK)])
    assert outcome.exit_code == 0, outcome.output
    text = (Path("outputs/compare") / "compare.html").read_text()
    assert "<script" not in text
    assert html.escape(EVIL, quote=False) in text
    page = Page()
    page.feed(text)
    page.close()
    assert page.outside == []
    assert {"style", "svg", "table", "img"} <= page.tags
    assert not page.tags & {"script", "link", "iframe", "object"}
    assert not page.duplicates
    markdown = (Path("outputs/compare") / "compare.md").read_text()
    assert "<script" not in markdown.replace("\\<", "")


WATCH = """<script>
const faults = [];
addEventListener("error", event => faults.push("error " + event.message), true);
addEventListener("securitypolicyviolation", event => faults.push("asked for " + event.blockedURI));
</script>"""
TELL = """<script>addEventListener("load", () => {
  const seen = document.querySelector("#verdict p").innerText;
  const small = [...document.querySelectorAll("svg.plot text")].filter(text => text.getBoundingClientRect().height < 8);
  const parts = ["h1", "h2", "figure svg[aria-label]", ".cards th[scope=row]", "#images img[alt]"];
  document.title = JSON.stringify({
    width: document.documentElement.scrollWidth, verdict: seen, faults, small: small.length,
    parts: parts.map(part => document.querySelectorAll(part).length),
    cut: Math.max(...[...document.querySelectorAll(".wide")].map(part => part.scrollWidth - part.clientWidth)),
    tables: document.querySelectorAll("figure details table").length,
    pictures: [...document.images].every(image => image.naturalWidth > 0),
  });
})</script>"""
"""What a page says of itself where a browser shows it; its policy lets nothing come from outside."""
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'unsafe-inline'"


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (1280, "light"), (1600, "dark")])
def test_a_browser_reads_the_page(compared_world, tmp_path, width, scheme):
    """Shown in a frame as wide as a phone or a desk: nothing sticks out, nothing is fetched, nothing fails."""
    told = told_by_browser(page_of(compared_world), tmp_path, width, scheme, TELL)
    assert told["width"] <= width
    assert told["cut"] <= 0
    assert told["verdict"] == json.loads((compared_world[0] / "outputs/compare/compare.json").read_text())["verdict"][0]
    assert (told["faults"], told["small"], told["pictures"]) == ([], 0, True)
    n_h1, n_h2, n_plots, n_row_headers, n_pictures = told["parts"]
    assert (n_h1, n_row_headers) == (1, 4 + 6)
    assert n_h2 >= 5
    assert n_plots >= 8
    assert told["tables"] == n_plots
    assert n_pictures > 0


AXE = """<script>%s</script><script>addEventListener("load", async () => {
  const found = await axe.run(document, {resultTypes: ["violations"]});
  document.title = JSON.stringify({faults: found.violations.map(fault => fault.id + " " + fault.nodes[0].html)});
})</script>"""


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (1280, "dark")])
def test_axe_finds_no_fault_for_those_who_cannot_see_the_page(compared_world, tmp_path, width, scheme):
    """The automatic checks of axe-core, from `pip install axe-core-python`."""
    package = pytest.importorskip("axe_core_python")
    checks = (
        (Path(package.__file__).parent / "axe.min.js").read_text(encoding="utf-8").replace("</script", "<\\/script")
    )
    told = told_by_browser(page_of(compared_world), tmp_path, width, scheme, AXE % checks)
    assert told["faults"] == []


def page_of(compared_world) -> str:
    return (compared_world[0] / "outputs" / "compare" / "compare.html").read_text()


def told_by_browser(text: str, tmp_path: Path, width: int, scheme: str, tell: str) -> dict:
    """What a page says of itself, in its title, once `tell` has run in it."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no chromium here to open the page with")
    policy = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    probed = text.replace("<head>", f"<head>{policy}{WATCH}", 1).replace("</body>", f"{tell}</body>", 1)
    frame = f"<iframe style='width:{width}px;height:900px;border:0' srcdoc='{html.escape(probed)}'></iframe>"
    told = "document.querySelector('iframe').contentDocument.title"
    script = f"<script>setInterval(() => document.title = {told}, 50)</script>"
    page = tmp_path / "page.html"
    page.write_text(f"<meta charset=utf-8><title>none</title>{frame}{script}", encoding="utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    options += ["--disable-component-update", "--disable-sync", f"--user-data-dir={tmp_path / 'profile'}"]
    options += [f"--blink-settings=preferredColorScheme={int(scheme == 'light')}", "--window-size=1700,1000"]
    done = subprocess.run(
        [browser, *options, "--virtual-time-budget=4000", "--dump-dom", page.as_uri()],
        capture_output=True, text=True, timeout=200, check=True,
    )  # fmt: skip
    found = re.search(r"<title>(\{.*?\})</title>", done.stdout)
    assert found, done.stderr[-500:]
    return json.loads(html.unescape(found[1]))


class Page(HTMLParser):
    """What a page is made of: its tags, addresses that lead outside it, ids used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.outside: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        for name, value in attrs:
            if name in ("src", "href", "srcset") and not (value or "").startswith(("data:", "#")):
                self.outside.append(value)
            if "http" in (value or "") or "url(" in (value or "").replace("url(#", ""):
                self.outside.append(value)
            if name == "id":
                self.ids.append(value)

    @property
    def duplicates(self) -> set[str]:
        return {name for name in self.ids if self.ids.count(name) > 1}


def _card(run: Path) -> Path:
    return run / json.loads((run / "best").read_text())["checkpoint"] / "checkpoint.json"


def _rewrite(card: Path, change) -> None:
    content = json.loads(card.read_text())
    change(content)
    body = {key: value for key, value in content.items() if key != "sha256"}
    digest = hashlib.sha256(json.dumps(body).encode()).hexdigest()
    card.write_text(json.dumps({**body, "sha256": digest}, indent=2, ensure_ascii=False) + "\n")


@pytest.mark.parametrize("is_moved", [True, False])
def test_a_run_of_the_same_model_whose_files_lie_elsewhere_now_is_taken(compared, is_moved):
    (compared.root / "elsewhere").mkdir()
    for name in ("colour-clip.json", "colour-clip.safetensors"):
        (shutil.move if is_moved else shutil.copy)(compared.root / name, compared.root / "elsewhere" / name)
    places = sets("model.name=elsewhere/colour-clip.json", "model.pretrained=elsewhere/colour-clip.safetensors")
    outcome = CliRunner().invoke(app, _no_training(places))
    assert outcome.exit_code == 0, outcome.output
    assert "lora, seed 0: taking the finished run outputs/lora" in outcome.stderr


def test_a_run_of_other_weights_in_a_file_of_the_same_name_is_not_taken(compared):
    (compared.root / "elsewhere").mkdir()
    tensors = load_file(compared.root / "colour-clip.safetensors")
    save_file(
        {key: tensor * 1.01 for key, tensor in tensors.items()}, compared.root / "elsewhere/colour-clip.safetensors"
    )
    places = sets("model.name=colour-clip.json", "model.pretrained=elsewhere/colour-clip.safetensors")
    outcome = CliRunner().invoke(app, _no_training(places))
    assert outcome.exit_code == 2, outcome.output
    assert "no finished run on this data set, and --no-train: " in outcome.stderr


def _no_training(model: list[str]) -> list[str]:
    fixed = sets(MODEL[2], *QUICK, "training.num_epochs=1")
    return ["compare", "lora", "--no-train", "--data-dir", "data/colours", *model, *fixed]
