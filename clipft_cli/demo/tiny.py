"""`clipft-tiny`: the CLIP that comes with the package, so that a first run needs no download.

A real open_clip model (ViT with 12 blocks on 112 px images, 49 patches; CLIP's own BPE tokenizer), a few
million parameters, pretrained by `pretrain.py` on drawings in other styles than the data set's.
"""

from __future__ import annotations

from pathlib import Path

MODEL_NAME = "clipft-tiny"
CONFIG_PATH = Path(__file__).with_name("clipft-tiny.json")
WEIGHTS_PATH = Path(__file__).with_name("clipft_tiny.safetensors")


def register() -> None:
    """Make `MODEL_NAME` known to open_clip; a second call changes nothing.

    Then `open_clip.create_model_and_transforms(MODEL_NAME, pretrained=str(WEIGHTS_PATH))` loads it.
    """
    import open_clip

    if MODEL_NAME not in open_clip.list_models():
        open_clip.add_model_config(CONFIG_PATH)
