"""The commands as functions: a config in, a result out, the same defaults, presets and refusals as on the command line.

torch is imported when a function is called, and after what can be refused without it has been refused.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .config.compare import CompareConfig
from .config.evaluate import EvaluateConfig
from .config.load import options_of, with_preset
from .config.methods import MethodName
from .config.model import DeviceName, HardwareConfig, PrecisionName
from .config.prepare import PrepareConfig
from .config.recipes import check_names, preset_recipes
from .config.train import TrainConfig

if TYPE_CHECKING:
    from .engine.comparison.comparison import Comparison
    from .engine.load import LoadedModel
    from .engine.loop.result import TrainResult
    from .engine.pages.evaluation import Evaluation
    from .engine.preparation.summary import PrepareResult


def _ignore(event: object) -> None:
    """Nobody watches."""


def load(
    path: str | os.PathLike[str] | None = None,
    *,
    device: DeviceName = "auto",
    mixed_precision: PrecisionName = "auto",
) -> LoadedModel:
    """The classifier that `path` means, verified and ready: a run, a checkpoint, a `best` or `last` pointer.

    None: the best of the newest finished run in outputs/. Raises CheckpointError where there is none, or it is
    damaged; ResourceError where this machine does not have the device.
    """
    from .engine.run_dir import find_checkpoint

    checkpoint = find_checkpoint(None if path is None else Path(path))  # refused before torch is imported
    hardware = options_of(HardwareConfig, device=device, mixed_precision=mixed_precision)

    from .engine.load import load as run  # heavy

    return run(checkpoint, hardware)


def prepare(
    config: PrepareConfig, on_event: Callable[[Any], None] = _ignore, *, force: bool = False, update: bool = False
) -> PrepareResult:
    """Make a data set, as `clipft prepare` does. Without `prepare.source` it is the drawn dogs."""
    from .engine.prepare import prepare as run

    return run(config, on_event, force=force, update=update)


def train(config: TrainConfig, on_event: Callable[[Any], None] = _ignore) -> TrainResult:
    """Fine-tune, as `clipft train` does: what `config` leaves open is as its method's preset says.

    Called in the main thread, it answers to Ctrl-C as the command does: it saves, and raises InterruptedRun.
    """
    from .engine.preflight import check_training

    settings = with_preset(config)
    check_training(settings)

    from .engine.train import train as run  # heavy

    return run(settings, on_event)


def resume(path: str | os.PathLike[str] | None = None, on_event: Callable[[Any], None] = _ignore) -> TrainResult:
    """Go on with an interrupted run, as `clipft train --resume` does; None: with the newest in outputs/."""
    from .engine.preflight import check_resumption

    run_dir = None if path is None else Path(path)
    check_resumption(run_dir)

    from .engine.train import resume as run  # heavy

    return run(run_dir, on_event)


def evaluate(config: EvaluateConfig, on_event: Callable[[Any], None] = _ignore) -> Evaluation:
    """Measure a model on a split and write the reports, as `clipft evaluate` does."""
    from .engine.preflight import check_evaluation

    check_evaluation(config)

    from .engine.evaluate import evaluate as run  # heavy

    return run(config, on_event)


def compare(
    config: CompareConfig,
    on_event: Callable[[Any], None] = _ignore,
    *,
    recipes: Mapping[MethodName, TrainConfig] | None = None,
) -> Comparison:
    """Compare methods and runs, as `clipft compare` does, and train what is missing.

    Each method is trained by its own preset, with `config`'s data, model, hardware and seed; `recipes` may hold
    another configuration for some of them.
    """
    check_names(config.compare.names)

    from .engine.preflight import check_comparison

    check_comparison(config)
    chosen = {method: with_preset(recipe) for method, recipe in (recipes or {}).items()}

    from .engine.compare import compare as run  # heavy

    return run(config, {**preset_recipes(config), **chosen}, on_event)
