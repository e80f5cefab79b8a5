"""Commands from a cold start, each in a process of its own; files are in the system's cache after the first."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from .work import Task, Work

_OPEN_CLIP = """
import sys, torch, open_clip
from PIL import Image
if len(sys.argv) > 4:
    open_clip.add_model_config(sys.argv[4])
model, _, transform = open_clip.create_model_and_transforms(sys.argv[1], pretrained=sys.argv[2])
with torch.inference_mode():
    features = model.eval().encode_image(transform(Image.open(sys.argv[3])).unsqueeze(0))
print(features.shape)
"""


def import_torch(task: Task) -> Work:
    """What every other command that computes has to wait for."""
    return Work(run=_runner([sys.executable, "-c", "import torch"], task))


def show_help(task: Task) -> Work:
    """`clipft --help`."""
    return Work(run=_runner([*_CLIPFT, "--help"], task))


def refuse_config(task: Task) -> Work:
    """`clipft train` with a key that does not exist."""
    return Work(run=_runner([*_CLIPFT, "train", "--set", "training.num_epoch=5"], task, code=2))


def predict(task: Task) -> Work:
    """`clipft predict` of one photograph with a fully fine-tuned checkpoint."""
    from clipft_cli.engine.checkpoint.save import save_classifier

    from .own import assembled

    run = assembled(task, {"method": "full"})
    checkpoint = task.world.root / f"{task.world.model}-checkpoint"
    save_classifier(checkpoint, run.classifier, run.card)
    return Work(run=_runner([*_CLIPFT, "predict", "--checkpoint", str(checkpoint), str(_photograph(task))], task))


def open_clip_predict(task: Task) -> Work:
    """The same photograph through open_clip.create_model_and_transforms and encode_image."""
    own_config = [task.world.name] if task.world.model == "tiny" else []
    files = [str(task.world.weights), str(_photograph(task))]
    return Work(run=_runner([sys.executable, "-c", _OPEN_CLIP, task.world.model, *files, *own_config], task))


_CLIPFT = [sys.executable, "-m", "clipft_cli"]


def _photograph(task: Task) -> Path:
    return next((task.world.data / "test").rglob("*.jpg"))


def _runner(command: list[str], task: Task, code: int = 0) -> Callable[[], None]:
    folder = tempfile.mkdtemp()
    environment = {**os.environ, "OMP_NUM_THREADS": str(task.threads)}

    def run() -> None:
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != code:
            raise RuntimeError(f"{' '.join(command[:4])} ... ended with {done.returncode}: {done.stderr[-300:]}")

    run()
    return run
