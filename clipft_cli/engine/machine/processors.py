"""The processors that this process may use, and how much of them other programs take."""

from __future__ import annotations

import os
import time
from collections.abc import Collection
from pathlib import Path, PurePosixPath

_GROUPS = Path("/proc/self/cgroup")
_MOUNT = Path("/sys/fs/cgroup")
_STAT = Path("/proc/stat")
_BUSY_FIELDS = (0, 1, 2, 5, 6, 7)
"""user, nice, system, irq, softirq and steal of a line of /proc/stat (proc(5)); idle and iowait are no work."""


def usable_processors() -> int:
    """Those that this process may keep busy: by its affinity, and by the quota of its container."""
    allowed = len(allowed_processors())
    quota = processor_quota()
    return allowed if quota is None else max(1, min(allowed, int(quota)))


def allowed_processors() -> Collection[int]:
    """Their numbers, by affinity alone."""
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return range(os.cpu_count() or 1)


def processor_quota(groups: Path = _GROUPS, mount: Path = _MOUNT) -> float | None:
    """How many processors' time the control group and those above it may use, None where there is no limit.

    Containers and batch systems set it (`docker run --cpus`); affinity does not show it, so that a library would
    start a thread for every processor of the host.
    """
    try:
        lines = [line.split(":", 2) for line in groups.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError):
        return None
    found = []
    for _, controllers, path in (line for line in lines if len(line) == 3):
        if controllers == "":
            found += [_unified(folder) for folder in _upwards(mount, path)]
        elif "cpu" in controllers.split(","):
            found += [_version_1(folder) for folder in _upwards(mount / controllers, path)]
            found += [_version_1(folder) for folder in _upwards(mount / "cpu", path)]
    return min((quota for quota in found if quota is not None), default=None)


def _upwards(mount: Path, path: str) -> list[Path]:
    """The folder of a group and of each above it; in a container they may all be the mount itself."""
    inner = PurePosixPath(path.lstrip("/"))
    if ".." in inner.parts:
        return [mount]
    return [mount / folder for folder in (inner, *inner.parents)]


def _unified(folder: Path) -> float | None:
    """Of `cpu.max`: "max 100000", or microseconds of work in a period."""
    try:
        limit, period = (folder / "cpu.max").read_text(encoding="utf-8").split()
        return None if limit == "max" else int(limit) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return None


def _version_1(folder: Path) -> float | None:
    try:
        limit, period = (int((folder / f"cpu.cfs_{name}_us").read_text(encoding="utf-8")) for name in _V1_NAMES)
        return limit / period if limit > 0 else None
    except (OSError, ValueError, ZeroDivisionError):
        return None


_V1_NAMES = ("quota", "period")


class OtherPrograms:
    """How many of the allowed processors other programs took since it was last asked."""

    def __init__(self, stat: Path = _STAT) -> None:
        self._stat = stat
        self._processors = allowed_processors()
        self._before = self._now()

    def share(self) -> float | None:
        """Processors, 0.0 where all the work is this process's own; None where the system does not tell."""
        before, now = self._before, self._now()
        self._before = now
        if before is None or now is None or now[0] <= before[0]:
            return None
        seconds, busy, own = (after - then for after, then in zip(now, before, strict=True))
        return min(float(len(self._processors)), max(0.0, (busy - own) / seconds))

    def _now(self) -> tuple[float, float, float] | None:
        """Seconds: of the clock, of work on the allowed processors, and of work of this process."""
        try:
            ticks = self._busy_ticks()
        except (OSError, ValueError, IndexError):
            return None
        return None if ticks is None else (time.monotonic(), ticks / os.sysconf("SC_CLK_TCK"), time.process_time())

    def _busy_ticks(self) -> int | None:
        lines = self._stat.read_text(encoding="ascii").splitlines()
        rows = [line.split() for line in lines if line.startswith("cpu") and line[3:4].isdigit()]
        own = [row for row in rows if int(row[0][3:]) in self._processors]
        return sum(int(row[1 + field]) for row in own for field in _BUSY_FIELDS) if own else None
