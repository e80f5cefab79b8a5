"""Without a network the hub's cache answers at once, and what is not in it is told at once."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import LocalEntryNotFoundError

from clipft_cli.engine.model.hub import cache_only_if_offline


@pytest.fixture
def no_names(monkeypatch):
    """A machine on which no name resolves, as without a network."""

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror("Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    huggingface_hub.close_session()  # one that is there already has its proxies
    yield
    huggingface_hub.close_session()


@pytest.fixture
def cache(tmp_path):
    """The hub's cache with one file of one repository."""
    repository = tmp_path / "models--some--model"
    snapshot = repository / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0" * 40)
    (snapshot / "open_clip_config.json").write_text("{}")
    return tmp_path


def test_what_is_in_the_cache_is_read(no_names, cache):
    with cache_only_if_offline():
        file = hf_hub_download("some/model", "open_clip_config.json", cache_dir=cache)
    assert Path(file).read_text() == "{}"


def test_what_is_not_in_the_cache_is_told_without_a_wait(no_names, cache):
    began = time.monotonic()
    with cache_only_if_offline(), pytest.raises(LocalEntryNotFoundError):
        hf_hub_download("some/model", "open_clip_model.safetensors", cache_dir=cache)
    assert time.monotonic() - began < 1


def test_the_session_of_the_hub_is_left_as_it_was(no_names):
    before = huggingface_hub.get_session().event_hooks
    with cache_only_if_offline():
        assert huggingface_hub.get_session().event_hooks != before
    assert huggingface_hub.get_session().event_hooks == before
