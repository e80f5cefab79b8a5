"""The table's rows: the same work for all sides, and what this project should reach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .figures import Figure
from .schedule import BATCH_SIZE, EPOCHS_RUN

ALL_LINEAR = ("q", "k", "v", "out", "fc1", "fc2")
OWN, HF, OPEN_CLIP, TIMM = "clipft", "Hugging Face", "open_clip", "timm"
PEFT_HF, PEFT_OPEN_CLIP, OWN_FULL, GEMM = "peft on HF", "peft on open_clip", "clipft full", "GEMM"
RECOMPUTED, AMP, IMPORT_TORCH = "clipft, recomputed", "open_clip, amp", "import torch"
BY_LAYER, ONE_GROUP = "groups by layer", "one group"
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
    """One line of work. `rounds` is what fits into about two minutes with a ViT-B/32; `warms_up`: one more, first."""

    title: str
    sides: Mapping[str, Side]
    figures: tuple[Figure, ...]
    precision: str = "bf16"
    batch_size: int = 32
    rounds: int = 7
    threads: int | None = None
    warms_up: bool = True


def _lora(targets: tuple[str, ...]) -> dict[str, Side]:
    options = {"targets": targets}
    return {
        OWN: Side("own:lora_step", options),
        PEFT_HF: Side("peers:hf_lora_step", options),
        PEFT_OPEN_CLIP: Side(
            "peers:open_clip_lora_step", options, {"trained_parameters": NO_SPLIT, "losses": NO_SPLIT}
        ),
    }


def _stage(title: str, blocks: int, at_least: float) -> Row:
    """256 images, an epoch a round; the cache is filled before the first."""
    return Row(
        f"{title} trains, an epoch, bf16",
        {
            OWN: Side("own_stages:stage", {"blocks": blocks, "cache": True}),
            RECOMPUTED: Side("own_stages:stage", {"blocks": blocks, "cache": False}),
            HF: Side("peer_stages:hf_stage", {"blocks": blocks}),
        },
        (
            Figure("cached against recomputed", "faster", OWN, RECOMPUTED, at_least=at_least),
            Figure("against the Hugging Face loop", "faster", OWN, HF),
        ),
        rounds=5,
    )


def _loader(
    title: str,
    folder: str,
    at_least: float | None,
    *,
    augmentation: str = "standard",
    packed: bool = False,
    why_missed: str = "",
) -> Row:
    options = {"folder": folder, "augmentation": augmentation, "packed": packed}
    return Row(
        title,
        {OWN: Side("images:own", options), OPEN_CLIP: Side("images:open_clip", options)},
        (Figure("against open_clip's transform", "faster", OWN, OPEN_CLIP, at_least, why_missed=why_missed),),
        threads=1,
        rounds=15,
    )


def _command(title: str, variant: str, at_most: float) -> Row:
    side = Side(f"commands:{variant}", is_compared=False)
    return Row(title, {OWN: side}, (Figure("seconds", "seconds", OWN, at_most=at_most),), rounds=15)


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
            Figure(
                "share of the GEMM floor",
                "gemm_share",
                OWN,
                GEMM,
                at_least=0.85,
                why_missed="products, at the full GEMM rate, take 77% of a ViT-B/32's step; memory bounds the rest:"
                " AdamW 3.9%, casts and copies 3.0%, QuickGELU 3.6%, attention's small products and softmax 3.4%,"
                " biases and their gradients 2.0%, layer norms 1.3%, the gradient norm 1.1%, dispatch 1.5%",
            ),
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
            Figure(
                "against the Hugging Face loop",
                "faster",
                OWN,
                HF,
                at_least=1.15,
                why_missed="the step runs at the GEMM rate already, the Hugging Face loop at 0.9 of it",
            ),
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
            Figure(
                "time over the own full step",
                "time",
                OWN,
                OWN_FULL,
                at_most=0.72,
                why_missed="75% of it are products at the full GEMM rate, most of them needed for a frozen tower"
                " too; the rest is what a full step has, but for AdamW",
            ),
            Figure(
                "peak memory over peft on HF",
                "memory",
                OWN,
                PEFT_HF,
                at_most=0.75,
                why_missed="measured while the text tower, 254 MB, was still held; LoRA lets go of it now, and two"
                " updates of a ViT-B/32 peak at 1.88 of 2.47 GiB, 0.76",
            ),
        ),
    ),
    "stage_head": _stage("the head alone", 0, 200),
    "stage_last1": _stage("the last block and the head", 1, 12),
    "stage_last2": _stage("the last 2 blocks and the head", 2, 3.5),
    "stage_last4": _stage("the last 4 blocks and the head", 4, 1.8),
    "schedule": Row(
        "the reference's 20 epochs (6 of them run), 256 images, with val, bf16",
        {OWN: Side("own_stages:schedule"), HF: Side("peer_stages:hf_schedule")},
        (Figure("against the Hugging Face loop", "schedule", OWN, HF, at_least=1.45),),
        batch_size=BATCH_SIZE,
        rounds=len(EPOCHS_RUN),
        warms_up=False,
    ),
    "evaluation": Row(
        "evaluation, bf16 against fp32 and amp",
        {
            OWN: Side("own_stages:evaluation"),
            OPEN_CLIP: Side("peer_stages:open_clip_evaluation", {"amp": False}),
            AMP: Side("peer_stages:open_clip_evaluation", {"amp": True}),
        },
        (
            Figure("against open_clip in fp32", "faster", OWN, OPEN_CLIP, at_least=2.1),
            Figure("against open_clip under autocast", "faster", OWN, AMP, at_least=2.0),
        ),
    ),
    "loader": _loader(
        "JPEG of 500 x 375 to training tensor, one core",
        "photographs",
        3.0,
        why_missed="of 0.9 ms an image, decoding the JPEG takes 0.5 and the crop 0.2",
    ),
    "loader_large": _loader("JPEG of 1600 x 1200 to training tensor, one core", "large", None),
    "loader_packed": _loader(
        "from the packed cache to training tensor, random crops, one core",
        "photographs",
        30.0,
        augmentation="crop",
        packed=True,
        why_missed="of 0.11 ms an image, 0.06 are the normalising to float32, which a run on a GPU leaves to the GPU",
    ),
    "loader_packed_resized": _loader(
        "from the packed cache to training tensor, random resized crops, one core", "photographs", None, packed=True
    ),
    "help": _command("`clipft --help`", "show_help", 0.20),
    "refused": _command("a wrong config is refused", "refuse_config", 0.35),
    "predict": Row(
        "`clipft predict` of one image from cold",
        {
            OWN: Side("commands:predict", is_compared=False),
            IMPORT_TORCH: Side("commands:import_torch", is_compared=False),
            OPEN_CLIP: Side("commands:open_clip_predict", is_compared=False),
        },
        (
            Figure("seconds more than `import torch`", "more_seconds", OWN, IMPORT_TORCH, at_most=0.7),
            Figure("against open_clip.create_model", "faster", OWN, OPEN_CLIP),
        ),
    ),
    "optimizer": Row(
        "AdamW's step alone",
        {
            BY_LAYER: Side("own_stages:optimizer", {"by_layer": True}, is_compared=False),
            ONE_GROUP: Side("own_stages:optimizer", {"by_layer": False}, is_compared=False),
        },
        (Figure("time with groups by layer over one group", "time", BY_LAYER, ONE_GROUP, at_most=1.10),),
        rounds=15,
    ),
    "loop": Row(
        "the loop around the update, bf16",
        {OWN: Side("own_stages:loop_overhead", {"steps": 6}, is_compared=False)},
        (Figure("share of the time that is not the update", "note", OWN, at_most=0.02, note="overhead"),),
        rounds=5,
    ),
}
