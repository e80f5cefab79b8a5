"""Processes that decode beside a device that computes.

A thread that launches kernels hands the interpreter over thousands of times in an update. Threads that decode are
waiting for it, and a ViT-B/32 that takes 36 ms of an H200 then took 190 (measured, 16 threads). Processes have an
interpreter each, and write into memory that is shared.
"""

from __future__ import annotations

import contextlib
import mmap
import multiprocessing
import os
import signal
import warnings
from collections.abc import Sequence
from multiprocessing.connection import Connection
from queue import SimpleQueue

import numpy as np
import torch

from ...errors import ResourceError
from .dataset import View

FEWEST_PER_PROCESS = 32
"""Images for which starting a process pays: starting one takes about as long as decoding them."""


def number_of_decoders(workers: int, n_images: int, device: torch.device) -> int:
    """How many processes a pass over `n_images` has use of; 0 where threads do: on a CPU, and where nothing forks."""
    if device.type != "cuda" or not hasattr(os, "fork"):
        return 0
    n = min(workers, n_images // FEWEST_PER_PROCESS)
    return n if n > 1 else 0


class Decoders:
    """`n` processes that write the images of `view` into `n_slots` blocks of `n_images` each.

    They are forked: the data set is theirs without being sent, with what it has kept decoded. They touch no device.
    """

    def __init__(self, n: int, view: View, *, n_slots: int, n_images: int) -> None:
        height, width = view.dataset.preprocess.size
        shape = (n_images, height, width, 3)
        self._view = view
        self._blocks = [
            np.frombuffer(mmap.mmap(-1, int(np.prod(shape))), np.uint8).reshape(shape) for _ in range(n_slots)
        ]
        self._slots: SimpleQueue[int] = SimpleQueue()
        for slot in range(n_slots):
            self._slots.put(slot)
        self._idle: SimpleQueue[Connection] = SimpleQueue()
        self._ends: list[Connection] = []
        self._processes = [self._started() for _ in range(n)]

    def borrow(self) -> int:
        """A block that nobody uses, until `give_back`."""
        return self._slots.get()

    def give_back(self, slot: int) -> None:
        self._slots.put(slot)

    def block(self, slot: int) -> np.ndarray:
        """(n_images, H, W, 3) uint8."""
        return self._blocks[slot]

    def write(self, slot: int, positions: np.ndarray, indexes: np.ndarray) -> None:
        """Have the images `indexes` written at `positions` of a block by an idle process; returns when that is done.

        Raises what reading the images raised, and ResourceError where the process was killed.
        """
        end = self._idle.get()
        try:
            end.send((slot, positions, indexes))
            outcome = end.recv()
        except (EOFError, OSError):
            raise ResourceError(
                "a process that decodes images has ended: was it killed, for want of memory?",
                hint="take fewer: `--set data.num_workers=4`",
            ) from None
        finally:
            self._idle.put(end)
        if isinstance(outcome, Exception):
            raise outcome
        self._view.dataset.take_over_bad(outcome)

    def close(self) -> None:
        """End the processes, whatever they are at."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.join()
        for end in self._ends:
            end.close()

    def _started(self) -> multiprocessing.process.BaseProcess:
        here, there = multiprocessing.Pipe()
        process = multiprocessing.get_context("fork").Process(target=self._serve, args=(there, here), daemon=True)
        with warnings.catch_warnings():  # of threads beside a fork: what they may hold, a decoder does not use
            warnings.simplefilter("ignore", DeprecationWarning)
            process.start()
        there.close()
        self._ends.append(here)
        self._idle.put(here)
        return process

    def _serve(self, end: Connection, *others: Connection) -> None:
        """A process's life: it ends where the one that asks is gone."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all of a terminal: who asked decides
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        for other in (*self._ends, *others):
            other.close()  # else the pipes of those before this one outlive the one who asks
        torch.set_num_threads(1)  # the threads of the pool did not come along
        n_known = len(self._view.dataset.bad)
        with contextlib.suppress(EOFError, OSError):
            while True:
                outcome = self._written(*end.recv())
                if not isinstance(outcome, Exception):
                    n_bad = len(outcome)
                    outcome = outcome if n_bad > n_known else []
                    n_known = n_bad
                end.send(outcome)

    def _written(self, slot: int, positions: np.ndarray, indexes: np.ndarray) -> Sequence[Sequence[object]] | Exception:
        """All that is known as bad once the images are written, or what went wrong."""
        try:
            for position, index in zip(positions, indexes, strict=True):
                self._blocks[slot][position] = self._view(int(index)).transpose(1, 2, 0)
        except Exception as error:
            return error
        return self._view.dataset.bad_as_json()
