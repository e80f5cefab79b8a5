"""Adapters that peft loads on transformers' CLIP: the run's own logits, and the base stays what it was."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from bare_environment import bare_python, run_bare
from safetensors import safe_open
from tiny_world import write_model

from clipft_cli.config.export import ExportConfig
from clipft_cli.config.load import load_config
from clipft_cli.engine.export import export
from clipft_cli.engine.exports.peft_folder import USAGE, base_in_transformers
from clipft_cli.engine.exports.source import open_source
from clipft_cli.engine.images.decode import decode_image
from clipft_cli.engine.run_dir import find_checkpoint
from clipft_cli.engine.train import train
from clipft_cli.errors import ModelError

PLAIN = {"lora.target_modules": ["q", "v"], "lora.r": 4}
DORA = {"lora.target_modules": ["all"], "lora.use_dora": True}
RSLORA = {"lora.target_modules": ["q", "k", "v", "out"], "lora.scaling": "rslora"}


def exported(run, target, **settings):
    flags = {"export.checkpoint": run, "export.to": "peft", "export.output_dir": target, **settings}
    return export(load_config(ExportConfig, flags=flags))


@pytest.mark.parametrize("settings", [PLAIN, DORA, RSLORA], ids=["q and v", "dora", "rslora"])
def test_peft_gives_the_runs_logits(tiny, tmp_path, settings):
    """A tower with QuickGELU; features are of length 1, so that their products are the logits over the scale."""
    from peft import PeftModel

    architecture, weights = write_model(tmp_path, "quickgelu")
    named = {"model.name": architecture, "model.pretrained": weights, "training.learning_rate": 0.01}
    run = train(tiny.config("lora", tmp_path / "run", {**named, **settings}), lambda event: None).run_dir
    last = run / "checkpoint-epoch-2"
    exported(last, tmp_path / "out")
    source = open_source(last, None)
    pictures = [decode_image(path) for path in sorted((tiny.data / "test").rglob("*.*g"))]
    pixels = torch.from_numpy(np.stack([source.loaded.preprocess.pixels(picture) for picture in pictures]))
    pixels = source.loaded.preprocess.normalise(pixels)
    base = base_in_transformers(source)
    with torch.inference_mode():
        untouched = base(pixels).image_embeds
        model = PeftModel.from_pretrained(base, str(tmp_path / "out")).eval()
        found = model(pixels).image_embeds
        wanted = source.loaded.classifier.features(pixels)
    assert (found - untouched).abs().max() > 1e-3  # training has changed something
    unit = torch.nn.functional.normalize
    cosines = [unit(features, dim=-1) @ source.head.vectors.T for features in (found, wanted)]
    assert (cosines[0] - cosines[1]).abs().max() < 1e-6


def test_the_names_are_those_of_transformers_and_the_base_is_named(runs, tmp_path):
    exported(runs["lora"], tmp_path / "out")
    with safe_open(tmp_path / "out" / "adapter_model.safetensors", "pt") as file:
        names = set(file.keys())
    place = "base_model.model.vision_model.encoder.layers.0.self_attn"
    assert {f"{place}.q_proj.lora_A.weight", f"{place}.q_proj.lora_B.weight"} <= names
    base = json.loads((tmp_path / "out" / "base.json").read_text())
    assert base["repository"] is None
    assert len(base["weights_sha256"]) == 64
    assert str(tmp_path) not in json.dumps(base)


def test_what_is_no_lora_run_or_no_such_tower_is_refused_in_words(runs, tiny, tmp_path):
    with pytest.raises(ModelError, match="has no equal in peft: it was trained by full"):
        exported(runs["full"], tmp_path / "new" / "out")
    architecture, weights = write_model(tmp_path / "..", "timm-vit")
    named = {"model.name": architecture, "model.pretrained": weights, "lora.target_modules": ["qkv"]}
    run = train(tiny.config("lora", tmp_path / "run", named), lambda event: None).run_dir
    with pytest.raises(ModelError, match="transformers' CLIP is not: TimmModel is not"):
        exported(run, tmp_path / "new" / "out")
    assert not (tmp_path / "new").exists()


@pytest.mark.slow
def test_the_cards_lines_run_where_clipft_is_not_installed(runs, tiny, tmp_path):
    """With a base that transformers has saved, as a hub has it."""
    folder = exported(runs["lora"], tmp_path / "out").output_dir
    base_in_transformers(open_source(find_checkpoint(runs["lora"]), None)).save_pretrained(tmp_path / "base")
    picture = next((tiny.data / "test" / "red").glob("*.jpg"))
    script = USAGE.replace("THE BASE MODEL", str(tmp_path / "base")).replace("photo.jpg", str(picture))
    python = bare_python(tmp_path / "venv", "peft", "transformers", "torch", "pillow")
    done = run_bare(python, "-c", script, folder=folder)
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout.replace("'", '"'))) == {"blue", "green", "red"}
