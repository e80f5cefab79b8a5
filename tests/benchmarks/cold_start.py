"""What a person waits for before anything happens: `--help`, a refusal, one image classified from cold.

`PYTHONPATH=tests python -m benchmarks.cold_start [--rounds 5] [--work FOLDER] [--model ViT-B-32]`
Every command is a fresh interpreter; rounds are interleaved; what is compared are medians over the rounds, and for
`predict` the median of its time less that of `import torch` in the same round.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

COMMANDS: dict[str, tuple[str, ...]] = {
    "import torch": ("-c", "import torch"),
    "--help": ("-m", "clipft_cli", "--help"),
    "train --help": ("-m", "clipft_cli", "train", "--help"),
    "wrong config": ("-m", "clipft_cli", "train", "--config", "wrong.yaml"),
    "missing checkpoint": ("-m", "clipft_cli", "predict", "image.jpg", "--checkpoint", "nowhere"),
    "predict": ("-m", "clipft_cli", "predict", "image.jpg", "--checkpoint", "checkpoint", "--quiet"),
    "open_clip": ("open_clip_predict.py",),
}
EXIT_CODES = {"wrong config": 2, "missing checkpoint": 5}
WRONG = "training:\n  num_epoch: 5\n  learning_rate: fast\ndata:\n  batch_size: 0\n"
OPEN_CLIP = """\
import open_clip, torch
from PIL import Image
from safetensors.torch import load_file
model, _, preprocess = open_clip.create_model_and_transforms({model!r}, load_weights=False)
model.load_state_dict(load_file("checkpoint/open_clip_model.safetensors"))
head = load_file("checkpoint/head.safetensors")["weight"]
with torch.inference_mode():
    features = model.eval().encode_image(preprocess(Image.open("image.jpg").convert("RGB"))[None], normalize=True)
    print((100 * features @ head.T).softmax(dim=1))
"""


def cold_start(folder: Path, rounds: int = 5, model: str = "ViT-B-32") -> dict[str, list[float]]:
    """Seconds of each of COMMANDS, one a round. What they need is made in `folder` where it is not there.

    The first round, which reads everything from the disk, is not counted.
    """
    if not (folder / "checkpoint").is_dir():
        _make(folder, model)
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(rounds + 1):
        for name, command in COMMANDS.items():
            started = time.perf_counter()
            code = subprocess.run([sys.executable, *command], cwd=folder, capture_output=True, check=False).returncode
            seconds[name].append(time.perf_counter() - started)
            assert code == EXIT_CODES.get(name, 0), (name, code)
    return {name: times[1:] for name, times in seconds.items()}


def figures(seconds: Mapping[str, list[float]]) -> dict[str, float]:
    """Medians in seconds; `predict over import torch` is the median of the differences."""
    over = [a - b for a, b in zip(seconds["predict"], seconds["import torch"], strict=True)]
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    return {**medians, "predict over import torch": statistics.median(over)}


def _make(folder: Path, model: str) -> None:
    """A fully fine-tuned checkpoint (random weights: they cost the same), an image, a wrong configuration."""
    import numpy as np
    import open_clip
    import torch
    from PIL import Image
    from safetensors.torch import save_file

    from clipft_cli.config.model import ModelConfig
    from clipft_cli.engine.data.class_names import ClassInfo
    from clipft_cli.engine.loop.card import Card
    from clipft_cli.engine.loop.checkpoint import save_classifier
    from clipft_cli.engine.model.backbone import load_backbone
    from clipft_cli.engine.model.classifier import Classifier, CosineHead

    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    weights = folder / "pretrained.safetensors"
    state = open_clip.create_model(model, load_weights=False).state_dict()
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, weights)
    backbone = load_backbone(ModelConfig(name=model, pretrained=str(weights)))
    head = CosineHead(torch.randn(10, backbone.base.model_cfg["embed_dim"]), 100.0)
    classes = tuple(ClassInfo(f"class-{i}", f"class {i}") for i in range(10))
    card = Card("full", backbone.base, backbone.preprocess, classes, ("{}",), "cosine", None, {})
    pixels = np.random.default_rng(0).integers(0, 256, (375, 500, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "image.jpg")
    (folder / "wrong.yaml").write_text(WRONG, encoding="utf-8")
    (folder / "open_clip_predict.py").write_text(OPEN_CLIP.format(model=model), encoding="utf-8")
    save_classifier(folder / "checkpoint", Classifier(backbone.model, head), card)
    weights.unlink()


def main() -> None:
    """Measures, and prints one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cold_start", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--model", default="ViT-B-32")
    parser.add_argument("--work", type=Path, help="kept for the next time; none: a temporary folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        seconds = cold_start(options.work or Path(temporary), options.rounds, options.model)
    print(json.dumps({"rounds": options.rounds, "seconds": seconds, "figures": figures(seconds)}, indent=1))


if __name__ == "__main__":
    main()
