"""torch.compile where it works and is right; where the compiler fails or errs, the same forward without it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import is_out_of_memory

FAILED = "torch.compile failed on this tower ({reason}): it runs uncompiled, as with `--set hardware.compile=false`"

FARTHEST = 0.25
"""How far a compiled gradient may lie from the plain one, in lengths of it: bf16 moves some by 0.05. Lost is 1."""

SMALLEST = 1e-4
"""Gradients shorter than this share of the longest are rounding alone: no two ways of computing them agree."""


class Miscompiled(Exception):
    """The compiled forward has another gradient than the plain one."""


class CompiledOrPlain:
    """`forward` compiled at its first call with gradients; where the compiler fails or errs, `forward` itself.

    Its first gradients are held against those of `forward`, for the parameters of `modules`: a compiler that loses one
    says nothing (torch 2.11 on an H200 left every MLP of a CLIP tower untrained). Passes without gradients run plain:
    they are few, would each compile anew, and are then those of `evaluate`. A failure is told once, as a warning.
    What `forward` raises by itself it raises still.
    """

    def __init__(self, forward: Callable[..., Tensor], modules: Sequence[nn.Module]) -> None:
        _lower_backward_with_forward()
        self._plain = forward
        self._modules = tuple(modules)
        self._compiled: Callable[..., Tensor] | None = torch.compile(forward)
        self._is_checked = False

    def __call__(self, *args: Any) -> Tensor:
        if self._compiled is None or not torch.is_grad_enabled():
            return self._plain(*args)
        try:
            if not self._is_checked:
                self._check(self._compiled, args)
                self._is_checked = True
            return self._compiled(*args)
        except Exception as error:
            if is_out_of_memory(error):
                raise
            result = self._plain(*args)  # where this fails too, the compiler was not to blame
            self._compiled = None
            reason = (str(error).splitlines() or [""])[0][:200] or type(error).__name__
            warnings.warn(FAILED.format(reason=reason), RuntimeWarning, stacklevel=2)
            return result

    def _check(self, compiled: Callable[..., Tensor], args: Sequence[Any]) -> None:
        """Raises Miscompiled. Dropout is drawn otherwise when compiled: where it is on, there is nothing to compare."""
        if any(isinstance(m, nn.Dropout) and m.training and m.p > 0 for root in self._modules for m in root.modules()):
            return
        args = [a.detach().requires_grad_(a.requires_grad) if isinstance(a, Tensor) else a for a in args]
        named: dict[str, Tensor] = {
            name: p for root in self._modules for name, p in root.named_parameters() if p.requires_grad
        }
        named |= {f"input {i}": a for i, a in enumerate(args) if isinstance(a, Tensor) and a.requires_grad}
        if not named:
            return
        expected, found = (self._gradients(forward, args, named) for forward in (self._plain, compiled))
        longest = max((float(gradient.norm()) for gradient in expected.values()), default=0.0)
        for name, gradient in expected.items():
            distance = float((found.get(name, torch.zeros_like(gradient)) - gradient).norm())
            length = float(gradient.norm())
            if length > SMALLEST * longest and not distance <= FARTHEST * length:
                raise Miscompiled(f"it gives another gradient of {name}: they differ by {distance / length:.0%}")

    @staticmethod
    def _gradients(forward: Callable[..., Tensor], args: Sequence[Any], named: dict[str, Tensor]) -> dict[str, Tensor]:
        """Of a sum that weighs every output differently, by name, for what the output depends on."""
        output = forward(*args).float()
        weights = torch.randn(output.shape, generator=torch.Generator().manual_seed(0)).to(output.device)
        gradients = torch.autograd.grad((output * weights).sum(), list(named.values()), allow_unused=True)
        return {name: g.float() for name, g in zip(named, gradients, strict=True) if g is not None}


def _lower_backward_with_forward() -> None:
    """A backward that cannot be compiled then fails in the forward call, where there is a way back."""
    import torch._functorch.config as functorch

    if hasattr(functorch, "force_non_lazy_backward_lowering"):
        functorch.force_non_lazy_backward_lowering = True
