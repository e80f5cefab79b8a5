"""Threads that wait for each other sleep where other programs need the processors, and nothing else is different."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from clipft_cli.engine.machine import thread_waits
from clipft_cli.engine.machine.processors import allowed_processors
from clipft_cli.engine.machine.thread_waits import LONGEST_TURN, is_own_choice, settle_threads

SPENT = """
import hashlib, os, time
os.environ["GOMP_SPINCOUNT"] = "100000000"  # so that turning costs all the time between two products
import torch
from clipft_cli.engine.machine.thread_waits import ThreadWaits

torch.set_num_threads(2)
torch.manual_seed(0)
a, b = torch.randn(300, 700), torch.randn(700, 300)
products = []

def spent():
    before = time.process_time()
    for _ in range(50):
        products.append(hashlib.sha256((a @ b).numpy().tobytes()).hexdigest())
        time.sleep(0.002)
    return time.process_time() - before

waits = ThreadWaits()
spent()
turning = spent()
waits.sleep(2)
n_asleep = len(os.listdir("/proc/self/task"))
asleep = spent()
waits.turn()
while len(os.listdir("/proc/self/task")) == n_asleep:
    time.sleep(0.01)
again = spent()
print(turning, asleep, again, len(set(products)))
"""


@pytest.mark.skipif(sys.platform != "linux" or len(allowed_processors()) < 2, reason="GNU's OpenMP, two processors")
def test_waiting_threads_are_put_to_sleep_and_woken_without_a_bit_of_difference():
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_", "MKL_"))}
    done = subprocess.run([sys.executable, "-c", SPENT], env=environment, capture_output=True, text=True, check=True)
    turning, asleep, again, n_results = (float(word) for word in done.stdout.split())
    assert n_results == 1
    assert asleep < 0.6 * turning
    assert asleep < 0.6 * again


def test_what_a_person_has_set_stays(monkeypatch):
    monkeypatch.setattr(thread_waits, "usable_processors", lambda: 0)  # a quota below any affinity
    own = {"OMP_NUM_THREADS": "3", "OMP_WAIT_POLICY": "ACTIVE"}
    environment = dict(own)
    settle_threads(environment)
    assert environment == own
    assert is_own_choice(environment)
    mkl = {"MKL_NUM_THREADS": "3", "GOMP_SPINCOUNT": "7"}
    settle_threads(mkl)
    assert mkl == {"MKL_NUM_THREADS": "3", "GOMP_SPINCOUNT": "7"}
    assert is_own_choice(mkl)


def test_threads_keep_to_the_quota_of_a_container(monkeypatch):
    monkeypatch.setattr(thread_waits, "usable_processors", lambda: 2)
    monkeypatch.setattr(thread_waits, "allowed_processors", lambda: range(64))
    environment: dict[str, str] = {}
    settle_threads(environment)
    assert environment == {"OMP_NUM_THREADS": "2", "GOMP_SPINCOUNT": LONGEST_TURN}
    assert not is_own_choice(environment)


def test_without_a_quota_the_number_of_threads_is_torchs(monkeypatch):
    monkeypatch.setattr(thread_waits, "usable_processors", lambda: 8)
    monkeypatch.setattr(thread_waits, "allowed_processors", lambda: range(8))
    environment: dict[str, str] = {}
    settle_threads(environment)
    assert environment == {"GOMP_SPINCOUNT": LONGEST_TURN}


class Told:
    """What other programs take, look after look."""

    def __init__(self, *shares: float | None) -> None:
        self.shares = list(shares)

    def share(self) -> float | None:
        return self.shares.pop(0)


def test_threads_sleep_while_others_are_busy(monkeypatch):
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(thread_waits, "allowed_processors", lambda: range(4))
    monkeypatch.setattr(thread_waits, "_gnu_libraries", lambda: ["a library"])
    monkeypatch.setattr(thread_waits, "_hold", lambda libraries, n, is_there, is_over: is_there.set())
    waits = thread_waits.ThreadWaits()
    waits._n_threads = 4
    waits._programs = Told(0.1, 0.6, 0.3, None, 0.1)
    seen = []
    for _ in range(5):
        waits._look()
        seen.append(waits.are_asleep)
    assert seen == [False, True, True, True, False]
    waits._n_threads, waits._programs = 2, Told(1.5, 2.5, 1.5)  # of four processors: enough are left for two threads
    seen = []
    for _ in range(3):
        waits._look()
        seen.append(waits.are_asleep)
    assert seen == [False, True, False]
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    waits._programs = Told(4.0)
    waits._look()
    assert not waits.are_asleep
