"""The pretrained model's features of whole splits, kept between runs: found by what decides them, or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from ...config.cache import CacheConfig
from ..events import Note, OnEvent
from ..files.cache_files import CacheFiles, feature_files
from ..files.regular import as_regular
from ..files.write import write_bytes
from ..images.dataset import ImageDataset
from ..machine.versions import versions_of
from ..model.inference import Inference

FORMAT = 1
OWN_FOLDER = "clipft-features"
"""Inside a folder that `cache.dir` names: nothing in it but this is looked at."""

_KEY, _DIGEST, _FEATURES = "key", "sha256", "features"


@dataclass(frozen=True)
class FeatureCache:
    """Files of features, none larger together than `max_bytes`. `model` is the digest of the pretrained one.

    Where the folder cannot be made, read or written, there is no cache, and nothing else is different.
    """

    folder: Path
    max_bytes: int
    model: str

    @classmethod
    def of(cls, config: CacheConfig, model: str) -> FeatureCache:
        """As `config` has it; one that keeps nothing where the cache is turned off."""
        max_bytes = 0 if config.enabled is False else int(config.features_gb * 2**30)
        folder = config.dir / OWN_FOLDER if config.dir is not None else feature_files().folder
        return cls(folder, max_bytes, model)

    @property
    def files(self) -> CacheFiles:
        """The files of features in the folder; whatever else lies there is not the cache's."""
        return feature_files(self.folder)

    def features(
        self,
        dataset: ImageDataset,
        inference: Inference,
        compute: Callable[[], Tensor],
    ) -> Tensor:
        """(N, D) float32 of the validation pixels of `dataset`: read, or else computed and kept."""
        if self.max_bytes == 0:
            return compute()
        key = self.key(dataset, inference)
        known = None if key is None else self._read(key, len(dataset), inference.on_event)
        if known is not None:
            return known
        features = compute()
        # what stands in for an image that cannot be read belongs to this run alone
        if key is not None and not dataset.bad and key == self.key(dataset, inference):
            with contextlib.suppress(OSError):
                self._write(key, features)
        return features

    def key(self, dataset: ImageDataset, inference: Inference) -> str | None:
        """Digest of all that decides the features, the files' sizes and times with them; None where one is missing."""
        try:
            states = [os.stat(dataset.manifest.file(row)) for row in dataset.rows]
        except (OSError, ValueError):
            return None
        files = [
            (row.sha256, state.st_size, state.st_mtime_ns) for row, state in zip(dataset.rows, states, strict=True)
        ]
        precision = inference.precision
        parts = {
            "format": FORMAT,
            "model": self.model,
            "transform": dataset.preprocess.to_json(),
            "manifest": dataset.manifest.digest,
            "files": files,
            "precision": [precision.name, precision.device.type, inference.batch_size, torch.get_num_threads()],
            "versions": list(versions_of("torch", "torchvision", "pillow", "open_clip_torch").values()),
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def _read(self, key: str, n_images: int, on_event: OnEvent) -> Tensor | None:
        path = self.files.path(key)
        if not path.is_file():
            return None
        try:
            with safe_open(as_regular(path), "pt") as file:
                about, features = file.metadata() or {}, file.get_tensor(_FEATURES)
            if about.get(_KEY) != key or about.get(_DIGEST) != _digest(features) or len(features) != n_images:
                raise ValueError("checksum differs")
        except Exception as error:  # whatever a damaged file makes a reader raise
            on_event(Note(f"{path}: is damaged ({type(error).__name__}): the features are computed anew", True))
            with contextlib.suppress(OSError):
                path.unlink()
            return None
        with contextlib.suppress(OSError):
            os.utime(path)  # the file that was not used for longest makes room first
        on_event(Note(f"features of {n_images} images read from {path.parent}"))
        return features

    def _write(self, key: str, features: Tensor) -> None:
        """Whole or not at all. Raises OSError."""
        if features.nbytes > self.max_bytes:
            return
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.files.sweep()
        self.files.make_room(self.max_bytes - features.nbytes)
        # not by `save_file`, whose temporary file is not known by its name where a kill leaves it
        content = save({_FEATURES: features.contiguous()}, {_KEY: key, _DIGEST: _digest(features)})
        write_bytes(self.files.path(key), content)


def _digest(features: Tensor) -> str:
    return hashlib.sha256(features.contiguous().numpy().tobytes()).hexdigest()
