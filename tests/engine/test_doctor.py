from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from clipft_cli.engine.doctor import diagnose


def test_the_facts_are_those_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(Path.home() / "weights"))
    found = diagnose()
    assert found.packages["torch"] == torch.__version__.split("+")[0] or found.packages["torch"] == torch.__version__
    assert found.python.startswith(platform.python_version())
    assert found.device is not None
    assert found.device.threads == torch.get_num_threads()
    lines = dict(found.lines())
    assert "open_clip_torch" in lines["packages"]
    assert "HF_HOME=~/weights" in lines["environment"]
    assert not any(str(Path.home()) + "/" in text for text in lines.values())


def test_a_torch_that_cannot_be_imported_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise OSError('libcudart.so.13: cannot open shared object file')")
    code = "import clipft_cli.engine.doctor as doctor; print(doctor.diagnose().trouble)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert "cannot be imported: OSError: libcudart.so.13" in done.stdout
