"""The page of a model that is handed on."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
import yaml
from huggingface_hub import ModelCard

from clipft_cli.engine.checkpoint.card import Card
from clipft_cli.engine.checkpoint.kept import Kept
from clipft_cli.engine.images.transforms import Preprocess
from clipft_cli.engine.labels.class_names import ClassInfo
from clipft_cli.engine.model.base_model import BaseModel
from clipft_cli.engine.model.licences import UNKNOWN, licence_of
from clipft_cli.engine.pages.model_card import add_figures, checkpoint_form, model_card, on_val, write_model_card

BASE = BaseModel("ViT-B-32", "laion2b_s34b_b79k", False, "ab" * 32, {}, file="/home/me/secret/w.safetensors")
CARD = Card(
    method="lora",
    base=BASE,
    preprocess=Preprocess((32, 32), (0.5,) * 3, (0.5,) * 3),
    classes=(ClassInfo("cat", "cat"), ClassInfo("a|b", "<script> dog"), ClassInfo("owl", "owl")),
    templates=("a {}.",),
    head="linear",
    settings=None,
    data={"name": "pets", "manifest_digest": "cd" * 32},
    kept=Kept(epoch=0, start="probe", alpha=0.0, epochs=4),
)
LOGITS = np.eye(3, dtype=np.float32)[[0, 1, 2, 2]]
MEASURED = on_val(CARD, LOGITS, np.array([0, 1, 2, 0]))


def test_it_says_all_that_who_gets_it_must_know():
    page = model_card(CARD, checkpoint_form(CARD, "checkpoint-final"), [MEASURED], n_train=120, day=date(2026, 1, 2))
    for told in (
        "ViT-B-32 (laion2b",
        "lora, its start kept (linear probe)",
        "2026-01-02",
        "75.0% (30.1% to 95.4%)",
        "cd" * 32,
        "120 images to train on",
        "states it: MIT",
        'clipft.load("checkpoint-final")',
        "clipft predict photo.jpg --checkpoint checkpoint-final",
        "--base FILE",
        "- cat: cat",
    ):
        assert told in page
    assert "/home/me" not in page
    assert "<script>" not in page


def test_a_hub_reads_its_header():
    """With the hub's own reader: licence, base model by its name there, figures with their intervals."""
    data = ModelCard(model_card(CARD, checkpoint_form(CARD, "m"), [MEASURED])).data
    assert (data.license, data.base_model) == ("mit", "laion/CLIP-ViT-B-32-laion2B-s34B-b79K")
    assert (data.library_name, data.pipeline_tag) == ("clipft", "image-classification")
    accuracy = data.eval_results[0]
    assert (accuracy.dataset_name, accuracy.dataset_split, accuracy.dataset_revision) == ("pets", "val", "cd" * 32)
    assert (accuracy.metric_type, accuracy.metric_value) == ("accuracy", 0.75)
    assert accuracy.metric_args["interval_95"] == pytest.approx([0.301, 0.954], abs=1e-3)
    unknown = replace(CARD, base=replace(BASE, pretrained="/home/me/weights.safetensors"))
    header = yaml.safe_load(model_card(unknown, checkpoint_form(unknown, "m"), []).split("---")[1])
    assert not {"license", "base_model", "model-index"} & set(header)


def test_it_says_what_the_model_is_bad_at_and_how_it_was_trained():
    page = model_card(CARD, checkpoint_form(CARD, "m"), [MEASURED], recipe={"epochs": "4"})
    assert "| cat taken for owl | 1 | 50% |" in page
    assert "| cat | 66.7% | 100.0% | 50.0% (9.5% to 90.5%) | 2 |" in page
    assert "Measured on 4 images of val of pets." in page
    assert "- epochs: 4" in page
    right = on_val(CARD, LOGITS[:3], np.array([0, 1, 2]))
    assert "made no mistake" in model_card(CARD, checkpoint_form(CARD, "m"), [right])


def test_a_base_from_a_file_is_named_without_its_place():
    given = replace(CARD, base=replace(BASE, name="/home/me/arch.json", pretrained="/home/me/weights.safetensors"))
    page = model_card(given, checkpoint_form(given, "m"), [])
    assert "arch.json (weights.safetensors)" in page
    assert "/home/me" not in page


def test_hundreds_of_classes_fold_away():
    many = replace(CARD, classes=tuple(ClassInfo(f"c{i}", f"c {i}") for i in range(300)))
    assert "<details><summary>300 classes</summary>" in model_card(many, checkpoint_form(many, "m"), [])


def test_an_evaluation_adds_its_row_once_and_leaves_the_rest_to_its_owner(tmp_path):
    write_model_card(tmp_path, CARD, [MEASURED], 120)
    page = tmp_path / "README.md"
    page.write_text(page.read_text() + "\nMy own words.\n")
    test = replace(MEASURED, split="test")
    for measured in (test, replace(test, data="others"), test):
        add_figures(tmp_path, measured)
    rows = [line for line in page.read_text().splitlines() if line.startswith(("| val", "| test"))]
    assert [row.split(" (")[0] for row in rows] == ["| val of pets", "| test of others", "| test of pets"]
    assert page.read_text().endswith("My own words.\n")
    page.write_text("mine alone")
    add_figures(tmp_path, test)
    assert page.read_text() == "mine alone"


def test_a_folder_without_a_page_gets_none(tmp_path):
    add_figures(tmp_path, MEASURED)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "tag", "licence"),
    [
        ("ViT-B-32", "openai", "MIT"),
        ("ViT-B-16-SigLIP", "webli", "Apache-2.0"),
        ("ViT-B-32-quickgelu", "metaclip_400m", "CC-BY-NC-4.0, not for commercial use"),
        ("ViT-B-32", "weights.safetensors", UNKNOWN),
        ("my.json", None, UNKNOWN),
        ("clipft-tiny", None, "MIT, as clipft itself"),
    ],
)
def test_the_licence_of_the_base(name, tag, licence):
    assert licence_of(name, tag) == licence
