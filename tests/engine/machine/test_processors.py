"""How many processors there are for this process, and what others leave of them."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from clipft_cli.engine.machine.processors import OtherPrograms, allowed_processors, processor_quota, usable_processors


def group(folder: Path, lines: str, files: dict[str, str]) -> tuple[Path, Path]:
    (folder / "cgroup").write_text(lines)
    for name, text in files.items():
        file = folder / "mount" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder / "cgroup", folder / "mount"


@pytest.mark.parametrize(
    ("lines", "files", "quota"),
    [
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5),
        ("0::/\n", {"cpu.max": "max 100000\n"}, None),
        ("0::/a/b\n", {"a/cpu.max": "200000 100000", "a/b/cpu.max": "max 100000"}, 2.0),
        ("0::/a/b\n", {"a/cpu.max": "200000 100000", "a/b/cpu.max": "50000 100000"}, 0.5),
        ("0::/../../outside\n", {"cpu.max": "300000 100000"}, 3.0),
        ("4:cpu,cpuacct:/job\n", {"cpu,cpuacct/job/cpu.cfs_quota_us": "400000"}, None),
        (
            "4:cpu,cpuacct:/job\n1:name=systemd:/\n",
            {"cpu,cpuacct/job/cpu.cfs_quota_us": "400000", "cpu,cpuacct/job/cpu.cfs_period_us": "100000"},
            4.0,
        ),
        ("1:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ("0::/\n", {"cpu.max": "fast 0\n"}, None),
        ("what is this\n", {"cpu.max": "100000 100000"}, None),
    ],
)
def test_a_containers_quota_is_found_wherever_it_is_set(tmp_path, lines, files, quota):
    assert processor_quota(*group(tmp_path, lines, files)) == quota


def test_without_control_groups_there_is_no_quota(tmp_path):
    assert processor_quota(tmp_path / "none", tmp_path) is None


def test_this_process_has_processors_to_use():
    assert 1 <= usable_processors() <= len(allowed_processors())


def stat(path: Path, busy_ticks: int) -> Path:
    lines = [f"cpu{n} {busy_ticks} 0 0 999999 5 0 0 0 0 0" for n in allowed_processors()]
    path.write_text("\n".join(["cpu  1 2 3 4 5 6 7 8 9 10", *lines, "cpu9999 77777 0 0 0 0 0 0 0", "intr 1 2 3"]))
    return path


def test_work_that_is_not_this_processes_own_is_others(tmp_path):
    programs = OtherPrograms(stat(tmp_path / "stat", 100))
    time.sleep(0.05)
    assert programs.share() == 0.0
    stat(tmp_path / "stat", 10**7)
    assert programs.share() == len(allowed_processors())
    stat(tmp_path / "stat", 10**7)
    assert programs.share() == 0.0


@pytest.mark.parametrize("text", ["", "cpu0\n", "cpu0 what\n"])
def test_a_system_that_does_not_tell_is_not_guessed_at(tmp_path, text):
    (tmp_path / "stat").write_text(text)
    assert OtherPrograms(tmp_path / "stat").share() is None
    assert OtherPrograms(tmp_path / "nothing").share() is None


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="Linux tells")
def test_a_busy_neighbour_is_seen():
    programs = OtherPrograms()
    neighbour = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        time.sleep(0.5)
        programs.share()
        time.sleep(0.5)
        assert programs.share() > 0.3
    finally:
        neighbour.kill()
        neighbour.wait()
