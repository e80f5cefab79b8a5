"""A finished run of a tiny real model on three colours, that commands can be tried on."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clipft_cli.engine.labels.class_names import ClassInfo
from clipft_cli.engine.manifest import Manifest, Origin, Row, digest_of, sorted_rows, write_manifest

COLOURS = {"blue": (20, 40, 220), "green": (30, 200, 50), "red": (220, 30, 30)}
SPLITS = {"train": 4, "val": 2, "test": 6}
ARCHITECTURE = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 16, "patch_size": 8, "width": 32, "layers": 1, "head_width": 16},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 8, "heads": 2, "layers": 1},
}


@dataclass(frozen=True)
class World:
    """Where the finished run and its data set lie; the current folder while a test runs."""

    root: Path

    @property
    def run(self) -> Path:
        return self.root / "outputs" / "full"

    @property
    def data(self) -> Path:
        return self.root / "data" / "colours"


@pytest.fixture(scope="session")
def built_world(tmp_path_factory):
    """Built once: 36 pictures, a one-block tower, a probe as its head, so that every answer is right."""
    root = tmp_path_factory.mktemp("world")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        manifest = write_colours(Path("data/colours"))
        _write_run(manifest)
    return root


@pytest.fixture
def world(built_world, tmp_path, monkeypatch):
    """A copy of the built world for one test, entered."""
    shutil.copytree(built_world, tmp_path / "world")
    monkeypatch.chdir(tmp_path / "world")
    monkeypatch.setenv("COLUMNS", "200")
    return World(tmp_path / "world")


def write_colours(root: Path, names: list[str] | None = None, order: list[str] | None = None) -> Manifest:
    """A prepared data set of noisy colour patches; `names` replace blue, green, red."""
    rng = np.random.default_rng(0)
    folders = names or list(COLOURS)
    classes = [ClassInfo(name, f"{name} patch") for name in order or folders]
    index = {info.name: number for number, info in enumerate(classes)}
    rows = []
    for split, n in SPLITS.items():
        for folder, colour in zip(folders, COLOURS.values(), strict=True):
            for i in range(n):
                path = root / split / folder / f"{folder} {i}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                noise = rng.normal(0, 12, (20, 24, 3)) + np.array(colour)
                Image.fromarray(noise.clip(0, 255).astype(np.uint8)).save(path)
                content = path.read_bytes()
                digest = hashlib.sha256(content).hexdigest()
                rows.append(Row(path.relative_to(root).as_posix(), index[folder], split, digest, len(content)))
    manifest = Manifest(
        root, root.name, tuple(classes), sorted_rows(rows), digest_of(classes, rows), Origin(source="test")
    )
    write_manifest(manifest)
    return manifest


def _write_run(manifest: Manifest) -> None:
    import open_clip
    import torch
    from safetensors.torch import save_file

    from clipft_cli.config.methods import LinearProbeConfig
    from clipft_cli.config.model import ModelConfig
    from clipft_cli.engine.checkpoint.card import with_result
    from clipft_cli.engine.checkpoint.save import save_classifier
    from clipft_cli.engine.checkpoint.zero_shot import zero_shot
    from clipft_cli.engine.images.decode import decode_image
    from clipft_cli.engine.methods.linear_probe import fit_probe
    from clipft_cli.engine.model.backbone import load_backbone
    from clipft_cli.engine.model.classifier import Classifier
    from clipft_cli.engine.run_dir import RunDir, write_pointer

    Path("colour-clip.json").write_text(json.dumps(ARCHITECTURE))
    open_clip.add_model_config(Path("colour-clip.json"))
    torch.manual_seed(0)
    weights = open_clip.create_model("colour-clip").state_dict()
    save_file({name: value.contiguous() for name, value in weights.items()}, "colour-clip.safetensors")
    model = ModelConfig(name="colour-clip.json", pretrained="colour-clip.safetensors")
    loaded = zero_shot(load_backbone(model), ("a {}.",), manifest, torch.device("cpu"))
    with torch.no_grad():
        rows = manifest.split("train")
        pixels = [loaded.preprocess.pixels(decode_image(manifest.file(row))) for row in rows]
        features = loaded.classifier.features(loaded.preprocess.normalise(torch.from_numpy(np.stack(pixels))))
    labelled = features, torch.tensor([row.label for row in rows])
    only = LinearProbeConfig(c_values=(1e4,))
    probe = fit_probe(
        labelled,
        features,
        len(manifest.classes),
        only,
        temperature_of=lambda logits: 1.0,
        rank_of=lambda logits: (0.0,),
    )
    classifier = Classifier(loaded.classifier.clip, probe.head())
    run = RunDir(Path("outputs/full"))
    for epoch, temperature in ((1, 1.0), (2, 0.7)):
        card = with_result(loaded.card, epoch=epoch, step=epoch, metrics={"val_top1": 1.0}, temperature=temperature)
        save_classifier(run.checkpoint(epoch), classifier, replace(card, method="full", head="linear"))
    write_pointer(run.best, run.checkpoint(2))
    model_lines = "model: {name: colour-clip.json, pretrained: colour-clip.safetensors}"
    run.config.write_text(f"method: full\ndata: {{dir: {manifest.root}}}\n{model_lines}\n")
    run.summary.write_text("{}")
