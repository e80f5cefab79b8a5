"""A limit on the address space (`ulimit -v`, batch systems) under which the libraries cannot even be loaded."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from ...errors import ResourceError

_INTERPRETER_BYTES = 300 << 20


def check_address_space() -> None:
    """Raises ResourceError where this process may not map torch's own files: it would end without a word there.

    It asks for what is needed at the very least; what fails above that says so itself.
    """
    try:
        import resource  # not on Windows
    except ImportError:
        return
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return
    needed = _library_bytes() + _INTERPRETER_BYTES
    if limit < needed:
        raise ResourceError(
            f"this process may use {limit / 1e9:.2f} GB of address space, torch alone needs {needed / 1e9:.1f} GB",
            hint="raise the limit: `ulimit -v unlimited`, or the memory limit of the job",
        )


def _library_bytes() -> int:
    spec = importlib.util.find_spec("torch")
    folders = spec.submodule_search_locations if spec is not None else None
    files = (file for folder in folders or () for file in Path(folder, "lib").glob("*.so*"))
    return sum(file.stat().st_size for file in files)
