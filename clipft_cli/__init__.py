"""clipft from Python: the commands as functions, and a fine-tuned model as an object. See docs/python.md.

What stands in `__all__` is public and stays; everything else may change. A name costs its import only when it is
used: `import clipft_cli` brings no torch, nor anything else.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .api import compare as compare
    from .api import evaluate as evaluate
    from .api import load as load
    from .api import prepare as prepare
    from .api import resume as resume
    from .api import train as train
    from .config.cache import CacheConfig as CacheConfig
    from .config.compare import CompareConfig as CompareConfig
    from .config.compare import CompareOptions as CompareOptions
    from .config.data import DataConfig as DataConfig
    from .config.evaluate import EvaluateConfig as EvaluateConfig
    from .config.evaluate import EvaluateOptions as EvaluateOptions
    from .config.load import load_config as load_config
    from .config.methods import LinearProbeConfig as LinearProbeConfig
    from .config.methods import LoraConfig as LoraConfig
    from .config.model import HardwareConfig as HardwareConfig
    from .config.model import ModelConfig as ModelConfig
    from .config.optim import CheckpointConfig as CheckpointConfig
    from .config.optim import TrainingConfig as TrainingConfig
    from .config.prepare import PrepareConfig as PrepareConfig
    from .config.prepare import PrepareOptions as PrepareOptions
    from .config.train import TrainConfig as TrainConfig
    from .engine.events import EpochDone as EpochDone
    from .engine.events import Note as Note
    from .engine.events import StepDone as StepDone
    from .engine.load import LoadedModel as LoadedModel
    from .engine.pages.prediction import Answer as Answer
    from .engine.pages.prediction import Prediction as Prediction
    from .errors import CheckpointError as CheckpointError
    from .errors import ClipftError as ClipftError
    from .errors import ConfigError as ConfigError
    from .errors import DataError as DataError
    from .errors import DownloadError as DownloadError
    from .errors import InterruptedRun as InterruptedRun
    from .errors import MissingExtraError as MissingExtraError
    from .errors import ModelError as ModelError
    from .errors import ResourceError as ResourceError
    from .errors import TrainingError as TrainingError

_PUBLIC = {
    "api": ("load", "prepare", "train", "resume", "evaluate", "compare"),
    "config.cache": ("CacheConfig",),
    "config.compare": ("CompareConfig", "CompareOptions"),
    "config.data": ("DataConfig",),
    "config.evaluate": ("EvaluateConfig", "EvaluateOptions"),
    "config.load": ("load_config",),
    "config.methods": ("LinearProbeConfig", "LoraConfig"),
    "config.model": ("HardwareConfig", "ModelConfig"),
    "config.optim": ("CheckpointConfig", "TrainingConfig"),
    "config.prepare": ("PrepareConfig", "PrepareOptions"),
    "config.train": ("TrainConfig",),
    "engine.events": ("EpochDone", "Note", "StepDone"),
    "engine.load": ("LoadedModel",),
    "engine.pages.prediction": ("Answer", "Prediction"),
    "errors": (
        "ClipftError",
        "CheckpointError",
        "ConfigError",
        "DataError",
        "DownloadError",
        "InterruptedRun",
        "MissingExtraError",
        "ModelError",
        "ResourceError",
        "TrainingError",
    ),
}
_HOME = {name: module for module, names in _PUBLIC.items() for name in names}

__all__ = sorted(_HOME)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    """A public name, imported when it is first asked for (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value  # from now on it is found at once
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
