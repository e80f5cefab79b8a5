"""What all tests share: one thread, and a tiny real world built once."""

from __future__ import annotations

import pytest
from tiny_world import TinyWorld, write_colours, write_model


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Tests are small: threads would only fight over the cores, and sums stay in one order."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def own_cache_folder(tmp_path_factory):
    """Nothing is read from or written to the user's own; started processes inherit it."""
    patch = pytest.MonkeyPatch()
    patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    yield
    patch.undo()


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> TinyWorld:
    """A three-block ViT with random weights, and 63 coloured images of three classes."""
    root = tmp_path_factory.mktemp("tiny")
    architecture, weights = write_model(root)
    write_colours(root / "colours")
    return TinyWorld(root, architecture, weights, root / "colours")


@pytest.fixture
def open_clip_models(monkeypatch):
    """open_clip's registry as it was, after the test."""
    import open_clip

    monkeypatch.setattr(open_clip.factory, "_MODEL_CONFIGS", dict(open_clip.factory._MODEL_CONFIGS))
    monkeypatch.setattr(open_clip.factory, "_MODEL_CONFIG_PATHS", list(open_clip.factory._MODEL_CONFIG_PATHS))
