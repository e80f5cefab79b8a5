"""What is installed, and what is not."""

from __future__ import annotations

import platform

import torch

from clipft_cli.engine.machine.versions import MISSING, versions_behind_results, versions_of


def test_a_package_has_its_version_or_is_missing():
    found = versions_of("torch", "no-such-package-anywhere")
    assert torch.__version__.startswith(found["torch"])
    assert found["no-such-package-anywhere"] == MISSING


def test_results_name_what_shaped_them():
    found = versions_behind_results()
    assert list(found) == ["python", "clipft-cli", "torch", "open_clip_torch"]
    assert found["python"] == platform.python_version()
