"""Small real things for the tests of training: CLIP models of a few kilobytes, coloured images, short runs."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from clipft_cli.config.data import DataConfig
from clipft_cli.config.load import load_config
from clipft_cli.config.train import TrainConfig
from clipft_cli.engine.images.augmentations import Augmentation, augmentation_of
from clipft_cli.engine.labels.class_names import ClassInfo
from clipft_cli.engine.manifest import Manifest, Origin, Row, digest_of, sorted_rows, write_manifest

EMBED_DIM = 24
TEXT = {"context_length": 16, "vocab_size": 49408, "width": 8, "heads": 2, "layers": 1}
VIT = {"image_size": 32, "patch_size": 16, "width": 32, "layers": 3, "head_width": 16}
TIMM = {"timm_model_pretrained": False, "image_size": 32}
FAMILIES: dict[str, dict[str, Any]] = {
    "vit": {"vision_cfg": VIT},
    "quickgelu": {"vision_cfg": VIT, "quick_gelu": True},
    "resnet": {"vision_cfg": {"image_size": 32, "layers": [1, 1, 1, 1], "width": 8, "patch_size": None}},
    "timm-vit": {
        "vision_cfg": {"timm_model_name": "test_vit", "timm_pool": "token", "timm_proj": "linear", **TIMM},
        "custom_text": True,
    },
    "attention-pool": {
        "embed_dim": 64,
        "vision_cfg": {"timm_model_name": "test_vit", "timm_pool": "map", "timm_proj": "none", **TIMM},
        "custom_text": True,
        "init_logit_bias": -10,
    },
    "convnext": {
        "vision_cfg": {"timm_model_name": "test_convnext", "timm_pool": "", "timm_proj": "linear", **TIMM},
        "custom_text": True,
    },
    "timm-resnet": {
        "vision_cfg": {"timm_model_name": "test_resnet", "timm_pool": "avg", "timm_proj": "linear", **TIMM},
        "custom_text": True,
    },
    "coca": {
        "vision_cfg": {**VIT, "attentional_pool": True, "attn_pooler_heads": 2, "output_tokens": True},
        "text_cfg": {**TEXT, "embed_cls": True, "output_tokens": True},
        "multimodal_cfg": {**TEXT, "width": 24, "attn_pooler_heads": 2},
        "custom_text": True,
    },
}
"""One tiny model for each kind of image tower."""

COLOURS = {"blue": (40, 60, 200), "green": (50, 180, 60), "red": (200, 50, 50)}
SIZES = {"train": 12, "val": 5, "test": 4}
TIMING = ("seconds", "images_per_second", "data_wait_share")
COMMANDS = ("prepare", "train", "evaluate", "predict", "compare")
FORKED_WITH = (
    *("tiny_world", "sklearn.linear_model", "clipft_cli.engine.images.resample", "clipft_cli.engine.loop.tensorboard"),
    *(f"clipft_cli.{part}.{command}" for command in COMMANDS for part in ("cli", "engine")),
)
"""What a forked command finds imported: all that these commands import once they know what to do."""


@dataclass(frozen=True)
class TinyWorld:
    """A model and a data set on disk."""

    root: Path
    architecture: Path
    weights: Path
    data: Path

    def config(self, method: str, output_dir: Path, settings: Mapping[str, Any] | None = None) -> TrainConfig:
        """A short run on the CPU in float32; `settings` are dotted keys."""
        flags = {
            "method": method,
            "output_dir": output_dir,
            "data.dir": self.data,
            "data.batch_size": 8,
            "data.num_workers": 0,
            "model.name": str(self.architecture),
            "model.pretrained": str(self.weights),
            "hardware.device": "cpu",
            "hardware.mixed_precision": "no",
            "training.num_epochs": 2,
            "cache.features_gb": 0,  # each test measures for itself
            **(settings or {}),
        }
        return load_config(TrainConfig, flags=flags)


def write_model(folder: Path, family: str = "vit", seed: int = 0) -> tuple[Path, Path]:
    """An open_clip model config and random weights of that family; registered with open_clip."""
    import open_clip
    import torch
    from safetensors.torch import save_file

    architecture = folder / f"tiny-{family}.json"
    architecture.write_text(json.dumps({"embed_dim": EMBED_DIM, "text_cfg": TEXT, **FAMILIES[family]}))
    open_clip.add_model_config(architecture)
    torch.manual_seed(seed)
    model = open_clip.create_model(architecture.stem)
    weights = folder / f"tiny-{family}-{seed}.safetensors"
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, weights)
    return architecture, weights


def write_colours(root: Path, sizes: Mapping[str, int] | None = None, noise: float = 60.0) -> Manifest:
    """A prepared data set of noisy coloured images, PNG and JPEG, of several shapes."""
    rng = np.random.default_rng(0)
    classes = [ClassInfo(name, f"{name} patch") for name in COLOURS]
    rows = []
    for split, n in (sizes or SIZES).items():
        for label, (name, colour) in enumerate(COLOURS.items()):
            for i in range(n):
                path = root / split / name / f"{name}-{i:02}.{'png' if i % 2 else 'jpg'}"
                path.parent.mkdir(parents=True, exist_ok=True)
                shape = (40, 40 + i % 3 * 7, 3)
                pixels = rng.normal(0, noise, shape) + np.array(colour) + rng.normal(0, noise, 3)
                Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)
                rows.append(row_of(root, path, label, split))
    manifest = Manifest(
        root, root.name, tuple(classes), sorted_rows(rows), digest_of(classes, rows), Origin(source="test")
    )
    write_manifest(manifest)
    return manifest


def row_of(root: Path, path: Path, label: int, split: Any) -> Row:
    """The manifest row of a file."""
    content = path.read_bytes()
    return Row(path.relative_to(root).as_posix(), label, split, hashlib.sha256(content).hexdigest(), len(content))


def flip_last_byte(path: Path) -> None:
    """Change one byte of a file, near its end."""
    content = path.read_bytes()
    path.write_bytes(content[:-2] + bytes([content[-2] ^ 1]) + content[-1:])


def read_metrics(run: Path) -> list[dict[str, Any]]:
    """metrics.jsonl without what depends on the clock."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return [{key: value for key, value in line.items() if key not in TIMING} for line in lines]


def trained_epochs(run: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl after those of zero-shot and of the start."""
    return [line for line in read_metrics(run) if line["epoch"] > 0]


def augmented(name: str, crop_scale_min: float, horizontal_flip: bool) -> Augmentation | None:
    """The augmentation of that name; None where it is none."""
    return augmentation_of(
        DataConfig(augmentation=name, crop_scale_min=crop_scale_min, horizontal_flip=horizontal_flip)
    )


def start_clipft(args: Sequence[str], folder: Path) -> multiprocessing.process.BaseProcess:
    """`clipft ARGS` in a process of its own, in `folder`; its output goes to stdout.txt and stderr.txt there.

    A start costs milliseconds, and it can be killed like any other.
    """
    process = fork_context().Process(target=_clipft, args=(list(args), str(folder)))
    process.start()
    return process


def fork_context() -> multiprocessing.context.ForkServerContext:
    """Processes forked from a server that has imported what the commands need, and nothing else has happened in."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(FORKED_WITH))
    return context


def _clipft(args: list[str], folder: str) -> None:
    import signal

    import torch

    from clipft_cli.cli.app import main

    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in a shell's background
    torch.set_num_threads(1)
    os.chdir(folder)
    for descriptor, name in ((1, "stdout.txt"), (2, "stderr.txt")):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
    sys.argv = ["clipft", *args]
    main()
