"""`peft`: a LoRA run's adapters under the names of transformers' CLIP, and its head; the base is not in it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from ...config.export import ExportOptions
from ...errors import MissingExtraError
from ..files.tensors import write_tensors
from ..methods import METHODS
from ..model.lora import LoraAdapters
from ..model.nf4 import Nf4Weight
from ..model.transformers_vision import adapted_module, vision_config, vision_tensors, why_not_in_transformers
from ..pages.card_header import hub_repository
from ..run_dir import TRAINED_FILE
from .base import Answer, Format, Reader
from .hf_folder import CODE, PROCESSING_FILE, PROCESSOR_FILE, imported, processor_config, quiet_transformers, write_json
from .one_file import calibrated, metadata_of
from .open_clip_folder import CLASSES_FILE
from .source import PlainHead, Source

CONFIG_FILE, WEIGHTS_FILE, HEAD_FILE = "adapter_config.json", "adapter_model.safetensors", "head.safetensors"
BASE_FILE = "base.json"
_OPENAI = {
    "ViT-B-32": "openai/clip-vit-base-patch32",
    "ViT-B-16": "openai/clip-vit-base-patch16",
    "ViT-L-14": "openai/clip-vit-large-patch14",
    "ViT-L-14-336": "openai/clip-vit-large-patch14-336",
}
"""Where OpenAI's weights lie in transformers' form: open_clip names another repository, in timm's."""

USAGE = """\
import json, torch
from peft import PeftModel
from PIL import Image
from safetensors.torch import load_file
from transformers import AutoImageProcessor, CLIPVisionModelWithProjection
base = CLIPVisionModelWithProjection.from_pretrained("THE BASE MODEL")  # base.json names it
model, head = PeftModel.from_pretrained(base, ".").eval(), load_file("head.safetensors")
processor = AutoImageProcessor.from_pretrained(".", trust_remote_code=True)  # the small .py file of this folder
with torch.inference_mode():
    features = model(**processor(Image.open("photo.jpg"), return_tensors="pt")).image_embeds
    features = torch.nn.functional.normalize(features, dim=-1)
    logits = head["logit_scale"] * features @ head["text_features"].T + head["logit_bias"]
print(dict(zip(json.load(open("classes.json")), logits.softmax(dim=1)[0].tolist())))"""


def require() -> None:
    """Raises MissingExtraError where the adapters cannot be read back."""
    missing = [name for name in ("peft", "transformers") if find_spec(name) is None]
    if missing:
        raise MissingExtraError(f"a peft export needs {', '.join(missing)}", hint="pip install 'clipft-cli[peft]'")


def why_not(source: Source) -> str | None:
    """A reason where the run has no such adapters, or transformers' CLIP is another function than its base."""
    classifier = source.loaded.classifier
    if not METHODS[source.card.method].has_adapters:
        return f"it was trained by {source.card.method}, and peft takes adapters"
    if any(isinstance(module, Nf4Weight) for module in classifier.clip.modules()):
        return "its adapters lie beside weights of four bits, and peft's base is whole"
    if (source.checkpoint / TRAINED_FILE).is_file():
        return "weights of the base itself were trained beside the adapters"
    reason = why_not_in_transformers(classifier.clip.visual)
    if reason is None and not isinstance(classifier.adapters, LoraAdapters):
        reason = "no adapters were kept of it"
    return None if reason is None else f"its adapters are of a tower that transformers' CLIP is not: {reason}"


def write(source: Source, folder: Path, options: ExportOptions) -> None:
    """Adapters, head, classes, and the transform as code for AutoImageProcessor."""
    adapters: Any = source.loaded.classifier.adapters
    tensors = _tensors(adapters)
    write_tensors(folder / WEIGHTS_FILE, tensors, {"format": "pt"})
    write_tensors(folder / HEAD_FILE, source.head.tensors(), metadata_of(source))
    base = _repository(source)
    write_json(folder / CONFIG_FILE, _config(adapters, base))
    facts = source.card.base.to_json()
    named = {key: facts[key] for key in ("name", "pretrained", "weights_sha256")}
    write_json(folder / BASE_FILE, {**named, "repository": base, "vision_config": _vision_config(source)})
    write_json(folder / PROCESSOR_FILE, processor_config(source))
    write_json(folder / CLASSES_FILE, source.class_names)
    shutil.copyfile(CODE / PROCESSING_FILE, folder / PROCESSING_FILE)


def _tensors(adapters: LoraAdapters) -> dict[str, Tensor]:
    """The factors by peft's names, each delta's scale inside its B, so that peft's own is 1."""
    found: dict[str, Tensor] = {}
    for name, delta in adapters.by_name.items():
        place = f"base_model.model.{adapted_module(name)}"
        found[f"{place}.lora_A.weight"] = delta.lora_A
        found[f"{place}.lora_B.weight"] = delta.lora_B * delta.scale
        if delta.magnitude is not None:
            found[f"{place}.lora_magnitude_vector"] = delta.magnitude
    return found


def _config(adapters: LoraAdapters, base: str | None) -> dict[str, Any]:
    rank = next(iter(adapters.by_name.values())).lora_A.shape[0]
    modules = "|".join(sorted({re.escape(adapted_module(name)) for name in adapters.by_name}))
    return {
        "peft_type": "LORA",
        "task_type": None,
        "base_model_name_or_path": base,
        "inference_mode": True,
        "r": rank,
        "lora_alpha": rank,
        "lora_dropout": 0.0,
        "bias": "none",
        "use_dora": any(delta.magnitude is not None for delta in adapters.by_name.values()),
        "target_modules": rf"(.*\.)?({modules})",  # of the image tower alone, in whichever CLIP it is
    }


def _repository(source: Source) -> str | None:
    base = source.card.base
    if base.pretrained == "openai":
        return _OPENAI.get(base.name.removesuffix("-quickgelu"))
    return hub_repository(base.name, base.pretrained)


def _vision_config(source: Source) -> dict[str, Any]:
    return vision_config(source.loaded.classifier.clip.visual)


def readers(folder: Path, source: Source) -> tuple[Reader, ...]:
    """The folder, loaded by peft on a transformers CLIP that has the weights the run began with."""
    import peft

    return (Reader(WEIGHTS_FILE, f"peft {peft.__version__}", torch.inference_mode()(_answer(folder, source)), 1e-4),)


def base_in_transformers(source: Source) -> Any:
    """transformers' CLIPVisionModelWithProjection with the run's base weights."""
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    visual = source.loaded.classifier.clip.visual
    model = CLIPVisionModelWithProjection(CLIPVisionConfig(**vision_config(visual)))
    own = {name: value.float().clone() for name, value in vision_tensors(visual).items()}
    kept = {name for name in model.state_dict() if name.endswith("position_ids")}
    model.load_state_dict({**own, **{name: model.state_dict()[name] for name in kept}})
    return model.eval()


def _answer(folder: Path, source: Source) -> Answer:
    from peft import PeftModel

    with quiet_transformers():
        model = PeftModel.from_pretrained(base_in_transformers(source), str(folder)).eval()
        processor = imported(folder / PROCESSING_FILE).ClipftImageProcessor.from_pretrained(folder)
    head = PlainHead.of(load_file(folder / HEAD_FILE))

    def answer(pictures: Sequence[Image.Image]) -> np.ndarray:
        return calibrated(head, model(**processor(list(pictures), return_tensors="pt")).image_embeds)

    return answer


PEFT = Format(
    "peft",
    "a LoRA run's adapters for peft on transformers' CLIP, and its head; without the base model",
    write,
    readers,
    USAGE,
    packages=("peft", "transformers", "torch", "pillow"),
    library="peft",
    tags=("lora",),
    why_not=why_not,
    require=require,
)
