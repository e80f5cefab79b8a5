"""All that decides the result of a run, listed once: a resume must find it unchanged, and equal runs have it equal."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from ...config.load import load_config
from ...config.methods import METHOD_SECTIONS
from ...config.train import TrainConfig
from ...errors import CheckpointError
from ..files.digest import file_digest
from ..files.regular import regular_text
from ..files.signed import signed_json
from ..manifest import Manifest
from ..methods import METHODS
from ..run_dir import CHECKPOINT_FILE, TOWER_FILE, RunDir, find_checkpoint

DECIDES_NOTHING = (
    "preset",
    "output_dir",
    "data.dir",
    "data.eval_batch_size",
    "data.num_workers",
    "data.image_cache_gb",
    "data.max_bad_share",
    "data.templates",
    "model.name",
    "model.pretrained",
    "model.cache_dir",
    "training.report_to",
    "hardware.device",
    "hardware.gradient_checkpointing",
    "hardware.channels_last",
    "hardware.compile",
    "hardware.deterministic",
    "hardware.num_threads",
    "cache.enabled",
    "cache.max_gb",
    "cache.features_gb",
    "cache.dir",
    "checkpoint.every",
    "checkpoint.every_steps",
    "checkpoint.keep_last",
)
"""Names, places, workers, caches and speed. Images, prompts and weights are held by what they are, not by their
places. Every other key decides, a new one too."""

_OF_THE_LOOP = ("training.", "cache.", "checkpoint.", "data.batch_size", "data.augmentation", "data.crop_", "data.hor")
_CHOOSES = ("training.select_by",)


@dataclass(frozen=True)
class Inputs:
    """`settings` by dotted key; `words` (folder name, readable name) in class order; digests of images and weights.

    `tower_parameters` is what the rule of the learning rate goes by, `model_name` what that of the templates does;
    `model_files` are digests of the local files that the model's name and weights were read from.
    """

    settings: Mapping[str, Any]
    words: tuple[tuple[str, str], ...]
    templates: tuple[str, ...]
    data_set: str
    base_model: str
    tower_parameters: int = 0
    model_name: str = ""
    model_files: Mapping[str, str] = field(default_factory=dict)

    @property
    def digests(self) -> dict[str, str]:
        """By what each is called where it is found to have changed. A key at its default adds nothing: a version with
        more keys gives the same digest."""
        defaults = _leaves(TrainConfig().model_dump(mode="json"))
        settings = {key: value for key, value in self.settings.items() if value != defaults.get(key)}
        return {
            "settings": _digest(settings),
            "names of classes": _digest(self.words),
            "prompt templates": _digest(self.templates),
            "data set": self.data_set,
            "base model": self.base_model,
        }

    def differing(self, other: Inputs) -> list[str]:
        """What is not as in `other`, each with both values; nothing where the results would be the same."""
        defaults = _leaves(TrainConfig().model_dump(mode="json"))
        found = []
        for key in dict.fromkeys((*self.settings, *other.settings)):
            ours, theirs = (part.settings.get(key, defaults.get(key)) for part in (self, other))
            if ours != theirs:
                found.append(f"{key} {_shown(ours)} (not {_shown(theirs)})")
        for (name, ours), (their_name, theirs) in zip(self.words, other.words, strict=False):
            if name == their_name and ours != theirs:
                found.append(f"class {name!r} called {ours!r} (not {theirs!r})")
        if len(self.words) != len(other.words) or [a for a, _ in self.words] != [a for a, _ in other.words]:
            found.append("other classes")
        if self.templates != other.templates:
            found.append("other prompt templates")
        if self.data_set != other.data_set:
            found.append("other images")
        if self.base_model != other.base_model:
            found.append("another base model")
        return found


def settings_of(config: TrainConfig) -> dict[str, Any]:
    """The keys of `config`, every `auto` settled, that decide the result of its method; as JSON has them."""
    kept = {key: value for key, value in _leaves(config.model_dump(mode="json")).items() if key not in DECIDES_NOTHING}
    dropped = _dropped(config, kept)
    return {key: value for key, value in kept.items() if key not in dropped}


def unused_settings(config: TrainConfig) -> list[str]:
    """Keys that were given and that the method of `config` has no use for: dropped, which must not be in silence."""
    asked = _leaves(config.model_dump(mode="json"))
    usual = load_config(TrainConfig, flags={"method": config.method, "preset": config.preset})
    defaults = _leaves(usual.model_dump(mode="json"))
    dropped = _dropped(config, asked)
    if METHODS[config.method].facts.start_from_probe == "must":
        dropped.add("model.head_start")  # among what a run must find unchanged all the same, as it always was
    return [key for key in sorted(dropped) if asked[key] != defaults.get(key) and key != "seed"]


def _dropped(config: TrainConfig, keys: Iterable[str]) -> set[str]:
    """Those of `keys` that decide nothing for the method of `config`, or in a part that is switched off."""
    method, leaves = METHODS[config.method], list(keys)
    values = _leaves(config.model_dump(mode="json"))
    sleeping = [key.removesuffix("enabled") for key in leaves if key.endswith(".enabled") and not values[key]]
    dropped = {key for prefix in sleeping for key in leaves if key.startswith(prefix) and key != f"{prefix}enabled"}
    own = {method.facts.section, *(("linear_probe",) if config.wants_probe else ())}
    dropped |= {key for key in leaves if key.partition(".")[0] in METHOD_SECTIONS - own}
    if not method.trains_by_epochs:
        dropped |= {key for key in leaves if key.startswith(_OF_THE_LOOP) and key not in _CHOOSES}
        if config.data.few_shot is None and config.data.fraction == 1.0:
            dropped.add("seed")
    if not method.learns:  # the prompts alone
        dropped |= {key for key in leaves if key.startswith(("data.fr", "data.few", "data.class", "model.", *_CHOOSES))}
        dropped.add("seed")
    if not config.training.soup.enabled:
        dropped.add("checkpoint.keep_best")
    return dropped - set(DECIDES_NOTHING)


def words_of(manifest: Manifest) -> tuple[tuple[str, str], ...]:
    """(folder name, readable name) of each class."""
    return tuple((info.name, info.readable) for info in manifest.classes)


def model_files(config: TrainConfig) -> dict[str, str]:
    """Digests of the local files that the model's name and weights mean, by which of the two."""
    named = {"name": config.model.name, "pretrained": config.model.pretrained}
    found = {what: _file_of(Path(text)) for what, text in named.items() if text}
    return {what: _digest_of(file, *_state_of(file)) for what, file in found.items() if file is not None}


def _state_of(file: Path) -> tuple[int, int]:
    state = file.stat()
    return state.st_size, state.st_mtime_ns


@lru_cache(maxsize=64)
def _digest_of(file: Path, n_bytes: int, mtime_ns: int) -> str:
    return file_digest(file)


def inputs_text(inputs: Inputs) -> str:
    """As the run keeps it from its beginning."""
    return signed_json(asdict(inputs))


def read_inputs(run_dir: RunDir) -> Inputs | None:
    """What the run started with; None for a run of an earlier version. Raises CheckpointError where it is damaged."""
    try:
        text = regular_text(run_dir.inputs)
        content = json.loads(text)
        if text != signed_json(content):
            raise ValueError("its checksum differs")
        del content["sha256"]
        content["words"] = tuple((str(name), str(words)) for name, words in content["words"])
        content["templates"] = tuple(content["templates"])
        return Inputs(**content)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise CheckpointError(f"{run_dir.inputs}: is damaged") from None


def _file_of(path: Path) -> Path | None:
    if path.is_file():
        return path
    if not path.is_dir():
        return None
    if (path / TOWER_FILE).is_file() and not (path / CHECKPOINT_FILE).is_file():
        return path / TOWER_FILE
    try:
        return find_checkpoint(path) / CHECKPOINT_FILE  # which holds the digests of all its files
    except CheckpointError:
        return None


def _leaves(tree: Mapping[str, Any]) -> dict[str, Any]:
    return dict(_walk(tree, ""))


def _walk(tree: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _walk(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def _shown(value: Any) -> str:
    text = json.dumps(value) if isinstance(value, list) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."
