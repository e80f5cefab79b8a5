"""torch.compile where it works; where the compiler fails, the same forward without it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch

from ...errors import is_out_of_memory

FAILED = "torch.compile failed on this tower ({reason}): it runs uncompiled, as with `--set hardware.compile=false`"


class CompiledOrPlain:
    """`forward` compiled at its first call; from the first failure of the compiler on, `forward` itself.

    The failure is told once, as a warning. What `forward` raises by itself it raises still.
    """

    def __init__(self, forward: Callable[..., Any]) -> None:
        _lower_backward_with_forward()
        self._plain = forward
        self._compiled: Callable[..., Any] | None = torch.compile(forward)

    def __call__(self, *args: Any) -> Any:
        if self._compiled is None:
            return self._plain(*args)
        try:
            return self._compiled(*args)
        except Exception as error:
            if is_out_of_memory(error):
                raise
            result = self._plain(*args)  # where this fails too, the compiler was not to blame
            self._compiled = None
            reason = (str(error).splitlines() or [""])[0][:200] or type(error).__name__
            warnings.warn(FAILED.format(reason=reason), RuntimeWarning, stacklevel=2)
            return result


def _lower_backward_with_forward() -> None:
    """A backward that cannot be compiled then fails in the forward call, where there is a way back."""
    import torch._functorch.config as functorch

    if hasattr(functorch, "force_non_lazy_backward_lowering"):
        functorch.force_non_lazy_backward_lowering = True
