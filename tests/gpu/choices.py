"""Part three: what should be chosen on this device: attention, optimizer, graphs, decoding."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from benchmarks.world import photograph
from PIL import Image

from .tier import Machine, Skipped

SHAPES = {
    "B/32": (256, 12, 50, 64),
    "B/16": (128, 12, 197, 64),
    "L/14": (64, 16, 257, 64),
    "L/14-336": (32, 16, 577, 64),
}
"""(B, heads, tokens, head width) of one layer's attention."""


def attention(machine: Machine) -> dict[str, Any]:
    """Forward and backward of one attention in bf16, milliseconds: plain products, and SDPA's kernels."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    kinds: dict[str, list[Any]] = {
        "chosen": [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH],
        "flash": [SDPBackend.FLASH_ATTENTION],
        "efficient": [SDPBackend.EFFICIENT_ATTENTION],
        "cudnn": [SDPBackend.CUDNN_ATTENTION],
    }
    seen: dict[str, Any] = {}
    for name, real in SHAPES.items():
        shape = (2, 2, 17, 16) if machine.is_small else real
        q, k, v = (torch.randn(shape, device=machine.device, dtype=torch.bfloat16, requires_grad=True) for _ in "qkv")

        def plain(q: Any = q, k: Any = k, v: Any = v) -> torch.Tensor:
            return (q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5).softmax(-1) @ v

        seen[name] = {"plain": _both_ways(machine, plain, (q, k, v))}
        for kind, backends in kinds.items() if machine.is_cuda else ():
            try:
                with sdpa_kernel(backends):
                    seen[name][kind] = _both_ways(
                        machine, lambda q=q, k=k, v=v: F.scaled_dot_product_attention(q, k, v), (q, k, v)
                    )
            except RuntimeError as error:
                seen[name][kind] = str(error).splitlines()[0][:80]
    return seen


def _both_ways(machine: Machine, forward: Callable[[], torch.Tensor], inputs: tuple[torch.Tensor, ...]) -> float:
    def once() -> None:
        torch.autograd.grad(forward().sum(), inputs)

    return _milliseconds(machine, once)


def _milliseconds(machine: Machine, once: Callable[[], Any], repeats: int = 20) -> float:
    repeats = 2 if machine.is_small else repeats
    for _ in range(3):
        once()
    times = []
    for _ in range(5):
        machine.wait()
        began = time.perf_counter()
        for _ in range(repeats):
            once()
        machine.wait()
        times.append((time.perf_counter() - began) / repeats * 1000)
    return round(float(np.median(times)), 3)


def optimizers(machine: Machine) -> dict[str, Any]:
    """One AdamW step over tensors as a ViT-B has them, milliseconds."""
    shapes = [(768, 768), (2304, 768), (3072, 768), (768, 3072), (768,), (2304,), (3072,), (768,)] * 12
    shapes = shapes[:8] if machine.is_small else shapes
    seen = {}
    for name, options in (("fused", {"fused": True}), ("foreach", {"foreach": True}), ("loop", {"foreach": False})):
        parameters = [torch.nn.Parameter(torch.randn(shape, device=machine.device)) for shape in shapes]
        for parameter in parameters:
            parameter.grad = torch.randn_like(parameter)
        optimizer = torch.optim.AdamW(parameters, lr=1e-5, **options)
        seen[name] = _milliseconds(machine, optimizer.step)
    return seen


def small_batches(machine: Machine) -> dict[str, Any]:
    """Updates of B/32 at small batches: where the host is the limit, images/s stop growing with the batch's fall.

    `kernels_ms` is the device's own time for the same update: the rest is waiting for the host, and what a CUDA graph
    could win at most.
    """
    from benchmarks import own

    from .speed import task_of

    seen = {}
    for size in (8, 32, 128):
        work = own.full_step(task_of(machine, "ViT-B-32-quickgelu", size))
        wall = _milliseconds(machine, work.run, repeats=10)
        seen[str(size)] = {"wall_ms": wall, "kernels_ms": _kernels(machine, work.run)}
    return seen


def _kernels(machine: Machine, once: Callable[[], Any]) -> float | None:
    if not machine.is_cuda:
        return None
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA]) as profiler:
        for _ in range(3):
            once()
        machine.wait()
    return round(sum(event.self_device_time_total for event in profiler.key_averages()) / 3 / 1000, 3)


def decoding(machine: Machine) -> dict[str, Any]:
    """JPEG of 500x375 to uint8 pixels of 224: the own decoder on one core, Pillow, and the device's decoder."""
    if machine.is_small:
        n, size = 4, (80, 60)
    else:
        n, size = 64, (500, 375)
    files = []
    for seed in range(n):
        out = io.BytesIO()
        photograph(np.random.default_rng(seed), size).save(out, "JPEG", quality=75)
        files.append(out.getvalue())

    def by_pillow() -> None:
        for content in files:
            image = Image.open(io.BytesIO(content)).convert("RGB")
            image.resize((299, 224), Image.Resampling.BICUBIC).crop((37, 0, 261, 224))

    began = time.perf_counter()
    by_pillow()
    seen: dict[str, Any] = {"pillow_one_core": round(n / (time.perf_counter() - began))}
    if machine.is_cuda:
        seen["device"] = _on_device(machine, files)
    return seen


def _on_device(machine: Machine, files: list[bytes]) -> Any:
    from torchvision.io import decode_jpeg

    encoded = [torch.frombuffer(bytearray(content), dtype=torch.uint8) for content in files]
    try:
        decode_jpeg(encoded[:2], device=machine.device)
    except RuntimeError as error:
        raise Skipped(f"torchvision decodes nothing on this device: {str(error).splitlines()[0]}") from None
    milliseconds = _milliseconds(machine, lambda: decode_jpeg(encoded, device=machine.device), repeats=3)
    images = decode_jpeg(encoded, device=machine.device)
    resized = _milliseconds(
        machine, lambda: [F.interpolate(i[None].float(), (224, 299), mode="bicubic", antialias=True) for i in images], 3
    )
    return {
        "decoded_per_second": round(1000 * len(files) / milliseconds),
        "decoded_and_resized_per_second": round(1000 * len(files) / (milliseconds + resized)),
    }
