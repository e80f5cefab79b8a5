"""The steps of the tier in their order: correctness first, then speed, then what should be chosen."""

from __future__ import annotations

from functools import partial

from . import choices, correctness, speed
from .tier import Step

STEPS = (
    Step("copies", "correctness", "asynchronous copies arrive whole", correctness.copies_arrive_whole),
    Step("methods", "correctness", "each method in each precision against the CPU", correctness.methods_agree_with_cpu),
    Step("kill", "correctness", "a kill in mid-epoch, resumed bit for bit", correctness.kill_and_resume),
    Step("deterministic", "correctness", "the deterministic flag", correctness.deterministic_twice),
    Step("nf4", "correctness", "own four bits against bitsandbytes", correctness.packed_as_bitsandbytes),
    Step("layout", "correctness", "channels last", correctness.channels_last_alike),
    Step("evaluation", "correctness", "evaluation as on the CPU", correctness.evaluation_as_on_cpu),
    Step("plan", "correctness", "the plan's memory against the peak", correctness.plan_against_peak, needs_cuda=True),
    Step(
        "out_of_memory",
        "correctness",
        "a real out-of-memory, recovered",
        correctness.out_of_memory_recovered,
        needs_cuda=True,
    ),
    Step("compile", "correctness", "torch.compile on and off", correctness.compiled_alike, needs_cuda=True),
    Step("ceiling", "speed", "the device's own limits", speed.ceiling),
    Step("fed", "speed", "fed from JPEG and from packed pixels", speed.fed_from_files),
    Step(
        "b32",
        "speed",
        "full step, ViT-B/32",
        partial(speed.train_steps, model="ViT-B-32-quickgelu", with_compile=True),
    ),
    Step(
        "l14",
        "speed",
        "full step, ViT-L/14",
        partial(speed.train_steps, model="ViT-L-14-quickgelu", with_compile=True),
    ),
    Step("lora", "speed", "LoRA on all linear layers, ViT-L/14", speed.lora_steps),
    Step(
        "b16",
        "speed",
        "full step, ViT-B/16",
        partial(speed.train_steps, model="ViT-B-16-quickgelu", with_compile=False),
    ),
    Step("attention", "choices", "attention by shape", choices.attention),
    Step("optimizers", "choices", "AdamW", choices.optimizers),
    Step("small_batches", "choices", "small batches and the host", choices.small_batches),
    Step("decoding", "choices", "decoding on the device", choices.decoding),
)
