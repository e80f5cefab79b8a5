"""A disk that fails at any one write: one clear line, and the run goes on once the disk is well."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest
from broken_runs import Breakage, assert_same, chosen, clean_error, clipft_in, resumed_to_the_end
from test_chaos import TRAIN

FAULTS = ("ENOSPC", "EIO", "EACCES")


def survives(place: Path, whole: dict, kind: str, n: int) -> None:
    run = f"run-{n}-{kind}"
    done = clipft_in(place, "train", "-o", run, *TRAIN, breakage=Breakage(kind, n, str(place / run)))
    if done.code != 0:  # else it was an operation that may fail, such as the sync of a folder
        clean_error(done, 7, "hint: ")
        assert not list((place / run / "resume").glob(".*.tmp"))
        again = resumed_to_the_end(place, run, TRAIN)
        assert again.code == 0, again.err
    elif (place / run / "resume").exists():  # it failed as the last thing of all, the clearing of the state
        assert clipft_in(place, "train", "--resume", run).code == 5
    assert_same(place / run, whole, f"{kind} at operation {n}")
    shutil.rmtree(place / run)


def test_a_failing_write_loses_nothing(place, whole_run, n_operations, count):
    few = sorted(random.Random(2).sample(range(1, n_operations + 1), len(FAULTS)))
    for kind, n in zip(FAULTS, few, strict=True):
        survives(place, whole_run()[0], kind, n)
        count("a write that fails", 1, 1, kind)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", FAULTS)
def test_every_failing_write_loses_nothing(place, whole_run, n_operations, count, kind):
    operations = chosen(n_operations, seed=FAULTS.index(kind))
    for n in operations:
        survives(place, whole_run()[0], kind, n)
    count("a write that fails", len(operations), len(operations), f"{kind}, of {n_operations} operations")


@pytest.fixture
def small_disk(tmp_path):
    """small_disk(kib): a file system of that size."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(kib: int) -> Path:
        command = ["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", str(folder)]
        if (
            shutil.which("mount") is None
            or os.geteuid() != 0
            or subprocess.run(command, capture_output=True, check=False).returncode
        ):
            pytest.skip("mounting a small disk needs root")
        return folder

    yield mount
    subprocess.run(["umount", str(folder)], capture_output=True, check=False)


@pytest.mark.parametrize("kib", [4, 40, 3000, 9000])
def test_a_full_disk_ends_the_run_with_one_line(place, whole_run, small_disk, count, kib):
    disk = small_disk(kib)
    (place / "run").symlink_to(disk)
    done = clipft_in(place, "train", "-o", "run", *TRAIN)
    clean_error(done, 7, "hint: ")
    count("a full disk", 1, 1, f"{kib} KiB")
