"""The registry of formats: one file each, one contract (`base.Format`)."""

from __future__ import annotations

from ...config.export import FormatName
from .base import Format
from .hf_folder import HF
from .one_file import SAFETENSORS
from .onnx_folder import ONNX
from .open_clip_folder import OPEN_CLIP
from .page_file import PAGE
from .peft_folder import PEFT

FORMATS: dict[FormatName, Format] = {
    "safetensors": SAFETENSORS,
    "open_clip": OPEN_CLIP,
    "onnx": ONNX,
    "hf": HF,
    "peft": PEFT,
    "page": PAGE,
}
