"""The state of a run between two updates: enough to go on bit for bit, in two generations on disk."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from ...errors import CheckpointError, NoPermission
from ..files.digest import file_digest
from ..files.regular import regular_text
from ..files.signed import signed_json
from ..files.tensors import write_tensors
from ..files.write import replaced_folder
from ..optim.ema import EMA, copy_into
from ..run_dir import children

FORMAT = 1
STATE_FILE = "state.json"
TENSORS_FILE = "state.safetensors"
KEPT = 2


@dataclass
class TrainState:
    """Where a run stands. `step` counts updates of the whole run, `step_in_epoch` those of the open epoch.

    `loss_sum` and `n_images` are of the open epoch; `best_*` of the best epoch on val so far, `ranked`
    the (epoch, value, -loss) whose checkpoints are kept, best first; `bad_images` are those replaced so far, by split;
    `belongs_to` holds the digests of what decides the result; `history` the lines of metrics.jsonl, `metrics_lines`
    their number, which states of an earlier version have alone.
    """

    epoch: int = 0
    step: int = 0
    step_in_epoch: int = 0
    loss_sum: float = 0.0
    epoch_seconds: float = 0.0
    n_images: int = 0
    best_epoch: int = 0
    best_value: float | None = None
    epochs_without_improvement: int = 0
    skipped_steps: int = 0
    non_finite_in_row: int = 0
    lr_scale: float = 1.0
    rollbacks: int = 0
    micro_batch: int = 0
    is_stopped_early: bool = False
    is_wait_told: bool = False
    metrics_lines: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    train_seconds: float = 0.0
    ranked: list[list[float]] = field(default_factory=list)
    bad_images: dict[str, list[list[Any]]] = field(default_factory=dict)
    belongs_to: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Owners:
    """What holds the tensors that are saved and put back: all parameters that may change, by name, and their steps."""

    parameters: Mapping[str, nn.Parameter]
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    ema: EMA | None

    @property
    def optimized(self) -> dict[str, nn.Parameter]:
        """Those parameters that the optimizer moves, by name."""
        owned = {id(p) for group in self.optimizer.param_groups for p in group["params"]}
        return {name: parameter for name, parameter in self.parameters.items() if id(parameter) in owned}


def save_state(folder: Path, state: TrainState, owners: Owners) -> None:
    """Write the state under `folder`/step-N, whole or not at all; the generation before it stays."""
    ema = owners.ema
    tensors: dict[str, Tensor] = {f"model/{name}": parameter for name, parameter in owners.parameters.items()}
    for name, parameter in owners.optimized.items():
        for key, value in owners.optimizer.state.get(parameter, {}).items():
            tensors[f"adamw/{name}/{key}"] = torch.as_tensor(value)
    if ema is not None:
        tensors |= {f"ema/{name}": value for name, value in ema.average.items()}
    with replaced_folder(folder / f"step-{state.step:09d}") as new:
        write_tensors(new / TENSORS_FILE, tensors)
        content = {
            "format": FORMAT,
            "state": asdict(state),
            "scaler": owners.scaler.state_dict(),
            "ema_steps": ema.steps if ema is not None else None,
            "files": {TENSORS_FILE: file_digest(new / TENSORS_FILE)},
        }
        (new / STATE_FILE).write_text(signed_json(content), encoding="utf-8")
    for old in generations(folder)[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)


def load_state(folder: Path, owners: Owners) -> tuple[TrainState, list[str]]:
    """Put the newest whole state back into its owners.

    Returns it with a sentence for each generation that was damaged and passed over.
    Raises CheckpointError where none is whole.
    """
    damaged = []
    for generation in reversed(generations(folder)):
        try:
            content, tensors = _read(generation)
            state = TrainState(**content["state"])
            _restore(content, tensors, owners)
        except CheckpointError as error:
            damaged.append(error.message)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            damaged.append(f"{generation}: is of another run or version ({type(error).__name__}: {error})")
        else:
            return state, damaged
    listed = "; ".join(damaged) or "nothing was saved yet"
    raise CheckpointError(
        f"{folder}: no state to resume from ({listed})",
        hint="start the run again: its config is in config.yaml",
    )


def generations(folder: Path) -> list[Path]:
    """Saved states, oldest first."""
    return sorted(path for path in children(folder) if path.name.startswith("step-") and path.is_dir())


def _read(generation: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        text = regular_text(generation / STATE_FILE)
        content = json.loads(text)
        is_whole = text == signed_json(content) and content["format"] == FORMAT
        digest = file_digest(generation / TENSORS_FILE)
        if not is_whole or digest != content["files"][TENSORS_FILE]:
            raise ValueError("checksum differs")
        return content, load_file(generation / TENSORS_FILE)
    except NoPermission:
        raise
    except Exception as error:  # whatever a damaged file makes a reader raise
        raise CheckpointError(f"{generation}: is damaged ({error})") from None


def _restore(content: Mapping[str, Any], tensors: Mapping[str, Tensor], owners: Owners) -> None:
    parameters, optimizer, ema = owners.parameters, owners.optimizer, owners.ema
    if {f"model/{name}" for name in parameters} != {key for key in tensors if key.startswith("model/")}:
        raise CheckpointError("the saved state is of another model or method")
    copy_into(parameters, {name: tensors[f"model/{name}"] for name in parameters})
    for name, parameter in owners.optimized.items():
        prefix = f"adamw/{name}/"
        saved = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
        optimizer.state.pop(parameter, None)  # what had no moments then has none now: after a rollback too
        if saved:
            optimizer.state[parameter] = {key: _placed(value, parameter) for key, value in saved.items()}
    if owners.scaler.is_enabled():
        owners.scaler.load_state_dict(dict(content["scaler"]))
    if ema is not None:
        copy_into(ema.average, {name: tensors[f"ema/{name}"] for name in ema.average})
        ema.steps = int(content["ema_steps"])


def _placed(value: Tensor, parameter: nn.Parameter) -> Tensor:
    """On the parameter's device; a moment in its memory layout too, which the fused optimizer takes for granted."""
    if value.shape != parameter.shape:
        return value.to(parameter.device)
    return torch.empty_like(parameter, dtype=value.dtype, requires_grad=False).copy_(value)
