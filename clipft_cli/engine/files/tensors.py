"""Tensors to and from safetensors files, with a full disk told as what it is."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write copies of `tensors` on the CPU. Raises OSError where the disk does not take them."""
    mode = _mode_of_new(path)
    try:
        save_file({name: _own(tensor) for name, tensor in tensors.items()}, path)
    except SafetensorError as error:
        code = re.search(r"os error (\d+)", str(error))
        if code is None:
            raise
        raise OSError(int(code[1]), os.strerror(int(code[1])), str(path)) from None
    os.chmod(path, mode)


def _mode_of_new(path: Path) -> int:
    """The mode that umask and folder give a new file: safetensors writes another, readable by its owner alone, and
    renames it.
    """
    with open(path, "ab") as file:
        return stat.S_IMODE(os.fstat(file.fileno()).st_mode)


def _own(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu").contiguous().clone()
