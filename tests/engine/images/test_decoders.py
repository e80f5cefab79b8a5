"""Images decoded by other processes: the same pixels, the same stand-ins, the same errors."""

from __future__ import annotations

import os
import signal
import time
from contextlib import closing

import numpy as np
import psutil
import pytest
import torch
from tiny_world import augmented, write_colours

from clipft_cli.engine.images.dataset import ImageDataset, View
from clipft_cli.engine.images.decoders import Decoders, number_of_decoders
from clipft_cli.engine.images.loader import Loader, _SharedRoom
from clipft_cli.engine.images.transforms import Preprocess
from clipft_cli.errors import DataError, ResourceError

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no process can be forked here")

PREPROCESS = Preprocess((32, 32), (0.5,) * 3, (0.5,) * 3)
ALL = np.arange(18)


@pytest.fixture
def view(tmp_path):
    manifest = write_colours(tmp_path / "colours", {"train": 6, "val": 2})
    rows = manifest.split("train")
    return View(ImageDataset(manifest, rows, PREPROCESS, augmentation=augmented("standard", 0.5, True)), 3)


def file_of(view: View, index: int):
    return view.dataset.files[index]


def test_a_batch_by_processes_is_the_batch_by_threads(view):
    loader = Loader(2)
    [expected] = loader.batches([ALL], view, view.dataset.labels, torch.device("cpu"))
    with closing(loader), closing(Decoders(2, view, n_slots=2, n_images=20)) as decoders:
        for _ in range(3):  # a block comes round again
            coming = loader._begin(ALL, _SharedRoom(ALL, decoders, is_pinned=False))
            assert torch.equal(coming.pixels(), expected.pixels)


def test_what_a_process_finds_bad_is_known_here(view):
    view.dataset._max_bad = 2
    file_of(view, 7).write_bytes(b"")
    with closing(Decoders(1, view, n_slots=1, n_images=18)) as decoders:
        decoders.write(decoders.borrow(), ALL, ALL)
        assert [(bad.reason, bad.stand_in) for bad in view.dataset.bad.values()] == [
            ("empty file", view.dataset.rows[8].path)
        ]
        for index in (0, 12):
            file_of(view, index).write_bytes(b"")
        with pytest.raises(DataError, match="3 of 18 images cannot be read any more") as caught:
            decoders.write(0, ALL, ALL)
    assert "max_bad_share" in caught.value.hint


def test_bad_images_of_two_processes_count_together(view):
    view.dataset._max_bad = 1
    for index in (0, 17):
        file_of(view, index).write_bytes(b"")
    with closing(Decoders(2, view, n_slots=1, n_images=18)) as decoders:
        decoders.write(0, ALL[:9], ALL[:9])
        with pytest.raises(DataError, match="2 of 18 images"):
            decoders.write(0, ALL[9:], ALL[9:])


def test_a_process_that_was_killed_is_an_error_with_a_way_out(view):
    with closing(Decoders(2, view, n_slots=1, n_images=18)) as decoders:
        for process in decoders._processes:
            os.kill(process.pid, signal.SIGKILL)
        for _ in range(3):  # nobody waits for a process that is no more
            with pytest.raises(ResourceError, match="has ended") as caught:
                decoders.write(0, ALL, ALL)
    assert "data.num_workers" in caught.value.hint


def test_no_process_outlives_its_pass_and_ctrl_c_is_not_theirs_to_answer(view):
    decoders = Decoders(2, view, n_slots=1, n_images=18)
    processes = [psutil.Process(process.pid) for process in decoders._processes]
    decoders.write(0, ALL, ALL)
    decoders.write(0, ALL, ALL)  # both have begun
    for process in processes:
        process.send_signal(signal.SIGINT)
    time.sleep(0.05)
    decoders.write(0, ALL, ALL)
    decoders.close()
    assert not any(process.is_running() for process in processes)


def test_processes_end_with_the_one_who_asks(view):
    read, write = os.pipe()
    parent = os.fork()
    if parent == 0:
        try:
            decoders = Decoders(3, view, n_slots=1, n_images=18)
            os.write(write, b" ".join(b"%d" % process.pid for process in decoders._processes))
            time.sleep(0.2)
        finally:
            os._exit(0)  # without a word to anyone, as a kill
    processes = [psutil.Process(int(pid)) for pid in os.read(read, 100).split()]
    os.waitpid(parent, 0)
    gone, alive = psutil.wait_procs(processes, timeout=10)
    assert len(gone) == 3
    assert not alive


def test_a_cpu_and_a_short_pass_have_no_use_of_processes():
    assert number_of_decoders(16, 100_000, torch.device("cpu")) == 0
    assert number_of_decoders(16, 40, torch.device("cuda")) == 0
    assert number_of_decoders(16, 320, torch.device("cuda")) == 10
    assert number_of_decoders(8, 100_000, torch.device("cuda")) == 8
