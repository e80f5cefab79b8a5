"""Tensors to and from safetensors files, with a full disk told as what it is."""

from __future__ import annotations

import math
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from .regular import as_regular

LARGEST_NUMBER = 1e10
"""Of any weight: those of published models lie under a thousand, the variances in BatchNorm under a million. Beyond it
a forward pass leaves float32."""


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write copies of `tensors` on the CPU. Raises OSError where the disk does not take them."""
    mode = _mode_of_new(path)
    try:
        save_file({name: _own(tensor) for name, tensor in tensors.items()}, path, dict(metadata or {}) or None)
    except SafetensorError as error:
        code = re.search(r"os error (\d+)", str(error))
        if code is None:
            raise
        raise OSError(int(code[1]), os.strerror(int(code[1])), str(path)) from None
    os.chmod(path, mode)


def read_tensors(path: Path, used: str = "") -> dict[str, Tensor]:
    """The tensors of a file from elsewhere, on the CPU: numbers with a fraction as float32, all of them finite where
    their names begin with `used` (open_clip's CoCa has one that nothing sets and nothing reads).

    A file that another tool saved in half precision is an honest one. Raises ValueError for a value that is not
    finite or beyond LARGEST_NUMBER, SafetensorError for what is no safetensors file, OSError.
    """
    return {
        name: finite_float32(name, tensor) if name.startswith(used) else _float32(tensor)
        for name, tensor in load_file(as_regular(path)).items()
    }


def read_into(module: nn.Module, path: Path, used: str = "") -> None:
    """Give `module` the tensors of a file, as `read_tensors` reads them.

    Raises what that does, and ValueError or RuntimeError where names, shapes or kinds of number are not the module's.
    """
    own, tensors = module.state_dict(), read_tensors(path, used)
    for name, tensor in tensors.items():
        if name in own and tensor.is_floating_point() != own[name].is_floating_point():
            raise ValueError(f"{name} is of {tensor.dtype}, not of {own[name].dtype}")
    module.load_state_dict(tensors)


def finite_float32(name: str, tensor: Tensor) -> Tensor:
    """`tensor` as float32 where its numbers have a fraction, else as it is.

    Raises ValueError for one that is not finite or beyond LARGEST_NUMBER.
    """
    tensor = _float32(tensor)
    if tensor.is_complex():
        raise ValueError(f"{name} holds complex numbers")
    if tensor.is_floating_point() and tensor.numel():
        largest = max(abs(float(end)) for end in tensor.aminmax())  # NaN where one is
        if not math.isfinite(largest):
            raise ValueError(f"{name} holds a number that is not finite")
        if largest > LARGEST_NUMBER:
            raise ValueError(f"the numbers of {name} reach {largest:.3g}, and no score comes out of them")
    return tensor


def _float32(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


def _mode_of_new(path: Path) -> int:
    """The mode that umask and folder give a new file: safetensors writes another, readable by its owner alone, and
    renames it.
    """
    with open(path, "ab") as file:
        return stat.S_IMODE(os.fstat(file.fileno()).st_mode)


def _own(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu").contiguous().clone()
