"""The table's rows: the same work for all sides, and what this project should reach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .figures import Figure

ALL_LINEAR = ("q", "k", "v", "out", "fc1", "fc2")
OWN, HF, OPEN_CLIP, TIMM = "clipft", "Hugging Face", "open_clip", "timm"
PEFT_HF, PEFT_OPEN_CLIP, OWN_FULL, GEMM = "peft on HF", "peft on open_clip", "clipft full", "GEMM"
NO_SPLIT = "peft adapts open_clip's attention as a whole: q, k, v share one A, and q or v alone cannot be chosen"


@dataclass(frozen=True)
class Side:
    """Who works: `variant` is module:function. `differs` gives the reason for each fact that is not the same."""

    variant: str
    options: Mapping[str, Any] = field(default_factory=dict)
    differs: Mapping[str, str] = field(default_factory=dict)
    is_compared: bool = True


@dataclass(frozen=True)
class Row:
    """One line of work. `rounds` is what fits into about two minutes with a ViT-B/32."""

    title: str
    sides: Mapping[str, Side]
    figures: tuple[Figure, ...]
    precision: str = "bf16"
    batch_size: int = 32
    rounds: int = 7


def _lora(targets: tuple[str, ...]) -> dict[str, Side]:
    options = {"targets": targets}
    return {
        OWN: Side("own:lora_step", options),
        PEFT_HF: Side("peers:hf_lora_step", options),
        PEFT_OPEN_CLIP: Side(
            "peers:open_clip_lora_step", options, {"trained_parameters": NO_SPLIT, "losses": NO_SPLIT}
        ),
    }


ROWS: dict[str, Row] = {
    "full_step": Row(
        "full fine-tuning step, bf16",
        {
            OWN: Side("own:full_step"),
            HF: Side("peers:hf_full_step"),
            OPEN_CLIP: Side("peers:open_clip_full_step"),
            TIMM: Side("peers:timm_full_step"),
            GEMM: Side("gemm:square", is_compared=False),
        },
        (
            Figure("against the Hugging Face loop", "faster", OWN, HF, at_least=1.35),
            Figure("against open_clip", "faster", OWN, OPEN_CLIP),
            Figure("against timm", "faster", OWN, TIMM),
            Figure("share of the GEMM floor", "gemm_share", OWN, GEMM, at_least=0.85),
            Figure("share of the GEMM floor, Hugging Face", "gemm_share", HF, GEMM),
            Figure("peak memory over the Hugging Face loop", "memory", OWN, HF, at_most=1.05),
        ),
    ),
    "full_step_fp32": Row(
        "full fine-tuning step, fp32",
        {
            OWN: Side("own:full_step"),
            HF: Side("peers:hf_full_step"),
            GEMM: Side("gemm:square", is_compared=False),
        },
        (
            Figure("against the Hugging Face loop", "faster", OWN, HF, at_least=1.15),
            Figure("share of the GEMM floor", "gemm_share", OWN, GEMM),
            Figure("peak memory over the Hugging Face loop", "memory", OWN, HF, at_most=1.05),
        ),
        precision="fp32",
    ),
    "lora_qv": Row(
        "LoRA step on q and v (r = 8), bf16",
        _lora(("q", "v")),
        (
            Figure("against peft on HF", "faster", OWN, PEFT_HF, at_least=1.35),
            Figure("against peft on open_clip (whole attention)", "faster", OWN, PEFT_OPEN_CLIP, at_least=1.6),
        ),
    ),
    "lora_all": Row(
        "LoRA step on q, k, v, out and the MLP (r = 8), bf16",
        {**_lora(ALL_LINEAR), OWN_FULL: Side("own:full_step", is_compared=False)},
        (
            Figure("against peft on HF", "faster", OWN, PEFT_HF, at_least=1.35),
            Figure("against peft on open_clip", "faster", OWN, PEFT_OPEN_CLIP, at_least=1.6),
            Figure("time over the own full step", "time", OWN, OWN_FULL, at_most=0.72),
            Figure("peak memory over peft on HF", "memory", OWN, PEFT_HF, at_most=0.75),
        ),
    ),
}
