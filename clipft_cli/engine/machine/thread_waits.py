"""How the threads of a matrix product wait for each other: turning on the spot, or asleep where others need the place.

GNU's OpenMP, which torch's wheels for Linux bring, lets a thread that has done its part turn for three milliseconds
before it sleeps. On a machine of its own that is the fastest way. Where another program takes a processor, threads turn
while the one that they wait for is not running: one neighbour on two processors makes training 20 times slower. All
threads asleep cost a quarter on a quiet machine, so neither is right for good.

The library itself stops turning as soon as it counts more threads than processors ("throttled" in libgomp's env.c), and
looks at that anew in every wait. So a few idle threads of its own, which sleep, switch it, at any time and back again.
The number of threads that share a product is not touched: no sum changes its order, and no result a bit.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from collections.abc import Iterator, MutableMapping
from pathlib import Path

from .processors import OtherPrograms, allowed_processors, usable_processors

LONGEST_TURN = "10000"
"""Of a waiting thread, in GOMP_SPINCOUNT: a thirtieth of the library's own, which measured no slower on a quiet machine
and harms less in the second before a neighbour is noticed."""

_COUNTS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
_POLICIES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
LOOK_SECONDS = 1.0
MOST_IDLE = 16
"""Threads started for their number alone."""

BUSY, QUIET = 0.5, 0.2
"""Processors that others take from which on threads sleep, and below which they turn again."""


def settle_threads(environment: MutableMapping[str, str] = os.environ) -> None:
    """Set what OpenMP reads when torch is loaded, so before that; never what a person has set."""
    if not any(name in environment for name in _COUNTS) and usable_processors() < len(allowed_processors()):
        environment["OMP_NUM_THREADS"] = str(usable_processors())
    if not any(name in environment for name in _POLICIES):
        environment["GOMP_SPINCOUNT"] = LONGEST_TURN


def is_own_choice(environment: MutableMapping[str, str] = os.environ) -> bool:
    """Whether a person has said how threads wait."""
    given = {name: environment[name] for name in _POLICIES if name in environment}
    return given not in ({}, {"GOMP_SPINCOUNT": LONGEST_TURN})


class ThreadWaits:
    """Looks once a second whether other programs need the processors, and lets waiting threads sleep while they do.

    `others` are the processors that they took in the last look; None where the system does not tell.
    """

    def __init__(self) -> None:
        self.others: float | None = None
        self._programs = OtherPrograms()
        self._awake: threading.Event | None = None
        self._n_threads = 1
        self._is_watching = False

    @property
    def are_asleep(self) -> bool:
        """Whether threads wait asleep now."""
        return self._awake is not None

    def watch(self, n_threads: int) -> None:
        """From now on, to the end of the process; threads wait as a person has said, where one has."""
        self._n_threads = n_threads
        if self._is_watching:
            return
        self._is_watching = True
        self._look()
        threading.Thread(target=self._watch, name="clipft-load", daemon=True).start()

    def _watch(self) -> None:
        pause = threading.Event()
        while not pause.wait(LOOK_SECONDS):
            self._look()

    def _look(self) -> None:
        self.others = self._programs.share()
        if self.others is None or is_own_choice():
            return
        n_free = len(allowed_processors()) - self.others
        if self._awake is None and self.others >= BUSY and n_free < self._n_threads:
            self.sleep(self._n_threads)
        elif self._awake is not None and (self.others < QUIET or n_free >= self._n_threads):
            self.turn()

    def sleep(self, n_threads: int) -> None:
        """Let threads that wait sleep, those of every OpenMP library of GNU's in this process."""
        libraries = _gnu_libraries() if n_threads > 1 else []
        n_more = len(allowed_processors()) - n_threads + 2
        if self._awake is not None or not libraries or n_more > MOST_IDLE:
            return
        self._awake, is_there = threading.Event(), threading.Event()
        arguments = libraries, n_more, is_there, self._awake
        threading.Thread(target=_hold, args=arguments, name="clipft-asleep", daemon=True).start()
        is_there.wait(1.0)

    def turn(self) -> None:
        """Let threads that wait turn, as the library has it."""
        if self._awake is not None:
            self._awake.set()
        self._awake = None


WAITS = ThreadWaits()
"""Of this process."""


def _hold(libraries: list[ctypes.CDLL], n_threads: int, is_there: threading.Event, is_over: threading.Event) -> None:
    """A team of `n_threads` that has nothing to do, this thread among them, for as long as it lives."""
    nothing = ctypes.cast(ctypes.CDLL(None).getpid, ctypes.c_void_p)  # what every thread of it calls, once
    for library in libraries:
        library.GOMP_parallel(nothing, None, ctypes.c_uint(n_threads), ctypes.c_uint(0))
    is_there.set()
    is_over.wait()


def _gnu_libraries() -> list[ctypes.CDLL]:
    """Those that are loaded: a wheel may bring its own."""
    found = []
    for path in sorted(set(_mapped_files())):
        if "libgomp" in path.name:
            with contextlib.suppress(OSError, AttributeError):
                found.append(ctypes.CDLL(str(path), mode=os.RTLD_NOLOAD | os.RTLD_LAZY))
    return [library for library in found if hasattr(library, "GOMP_parallel")]


def _mapped_files() -> Iterator[Path]:
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines():
            _, slash, path = line.partition("/")
            if slash:
                yield Path(slash + path)
