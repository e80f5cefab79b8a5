"""What the machine's matrix product reaches, measured in the same rounds as the steps that are held against it."""

from __future__ import annotations

import torch

from .work import Task, Work

SIZE = 2048
REPEATS = 8


def square(task: Task) -> Work:
    """Square products; `units` is the number of operations in a round."""
    torch.set_num_threads(task.threads)
    size = 256 if task.world.model == "tiny" else SIZE
    a = torch.randn(size, size, dtype=torch.bfloat16 if task.precision == "bf16" else torch.float32)
    out = torch.empty_like(a)

    def run() -> None:
        for _ in range(REPEATS):
            torch.mm(a, a, out=out)

    run()
    return Work(run=run, units=REPEATS * 2.0 * size**3)
