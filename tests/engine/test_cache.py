from __future__ import annotations

from pathlib import Path

import pytest

from clipft_cli.engine.cache import caches, clear


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name in ("HF_HOME", "HF_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)


def test_clearing_removes_own_files_and_no_other(tmp_path: Path) -> None:
    features, images = tmp_path / "clipft" / "features", tmp_path / "clipft" / "images"
    own = {features / f"{'a' * 64}.safetensors": 10, images / f"{'b' * 32}.pixels": 20}
    foreign = [features / "mine.safetensors", images / "notes.txt", features / f"{'a' * 63}.safetensors"]
    for file in (*own, *foreign):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(bytes(own.get(file, 5)))
    assert {place.name: (place.n_files, place.n_bytes) for place in caches() if place.is_own} == {
        "features": (1, 10),
        "images": (1, 20),
    }
    assert clear() == 30
    assert sorted(file for file in (tmp_path / "clipft").rglob("*") if file.is_file()) == sorted(foreign)
    assert clear() == 0


def test_weights_of_the_hub_are_counted_and_left(tmp_path: Path) -> None:
    blob = tmp_path / "huggingface" / "hub" / "models--a--b" / "blobs" / "c"
    blob.parent.mkdir(parents=True)
    blob.write_bytes(bytes(100))
    weights = next(place for place in caches() if place.name == "weights")
    assert (weights.n_files, weights.n_bytes, weights.is_own) == (1, 100, False)
    clear()
    assert blob.exists()


def test_the_hubs_own_variables_are_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    assert caches()[-1].folder == tmp_path / "home" / "hub"
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    assert caches()[-1].folder == tmp_path / "hub"
