"""After training, no more training: a soup of the best epochs, the mix with the start that is best on val, and a
fitted temperature.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from ...config.metrics import SelectionMetric
from ...errors import CheckpointError
from ..checkpoint.card import Card, is_whole, read_card, with_result
from ..checkpoint.kept import Kept
from ..checkpoint.save import save_classifier
from ..events import Note, OnEvent
from ..machine.signals import Stopped, StopRequest
from ..metrics.calibration import fit_temperature, reliability
from ..metrics.val import ValMetrics, metrics_of
from ..run_dir import ADAPTER_FILE, HEAD_FILE, TEXT_ADAPTER_FILE, TOWER_FILE, TRAINED_FILE, write_pointer
from .fit import interrupted
from .resume import TrainState
from .run import Run
from .soup import Soup, greedy_soup, has_soup


@dataclass(frozen=True)
class Finished:
    """What was `kept`, and how good that is on val.

    `curve` holds (alpha, top-1 on val) of each mix, whatever the metric that chose; `logits` (N, C) are the kept
    model's on val.
    """

    checkpoint: Path
    card: Card
    kept: Kept
    metrics: ValMetrics
    curve: tuple[tuple[float, float], ...]
    temperature: float
    ece_before: float
    ece_after: float
    logits: Tensor
    soup: Soup | None = None


def finish(
    run: Run,
    state: TrainState,
    start: Mapping[str, Tensor],
    on_event: OnEvent,
    stop: StopRequest,
) -> Finished:
    """Choose the final model on val and mark it as the run's best.

    `start` are the values of all trainable parameters before the first update.
    Source: Wortsman et al. 2022 (Model soups; WiSE-FT); Guo et al. 2017 (temperature).
    """
    state.best_epoch = _best_whole_epoch(run, state, on_event)
    tuned, soup = _tuned(run, state, on_event, stop)
    wise_ft = run.config.training.wise_ft
    alphas = wise_ft.alphas if wise_ft.enabled else ()
    measured: dict[float, tuple[ValMetrics, Tensor]] = {}
    for alpha in sorted({*alphas, 0.0, 1.0}):  # the start always: no run ends below it on val
        measured[alpha] = _measured(run, state, mixed(start, tuned, alpha), on_event, stop)
    select_by = run.config.training.select_by
    values = {a: found.value(select_by) for a, (found, _) in measured.items()}
    alpha = max(measured, key=lambda a: (measured[a][0].rank(select_by), a))
    if not wise_ft.enabled:  # nothing is mixed, and what was trained is kept unless it is worse
        alpha = 1.0 if values[1.0] >= values[0.0] else 0.0
    metrics, logits = measured[alpha]
    run.put(mixed(start, tuned, alpha))
    temperature, before, after = calibrate(logits, torch.from_numpy(run.val_set.labels))
    kept = _kept(run, state, alpha, soup)
    checkpoint, card = _save(run, state, kept, metrics, temperature)
    curve = tuple((a, measured[a][0].top1) for a in sorted(measured)) if wise_ft.enabled else ()
    if wise_ft.enabled:
        on_event(Note(_mix_sentence(values, select_by, alpha)))
    _say(kept, temperature, before, after, on_event)
    return Finished(checkpoint, card, kept, metrics, curve, temperature, before, after, logits, soup)


def _tuned(
    run: Run, state: TrainState, on_event: OnEvent, stop: StopRequest
) -> tuple[Mapping[str, Tensor], Soup | None]:
    """The fine-tuned weights: the best epoch's, or the soup of the best ones."""

    def read(epoch: int) -> dict[str, Tensor]:
        return read_parameters(run.run_dir.checkpoint(epoch), run.parameters)

    kept = [int(epoch) for epoch, *_ in state.ranked if epoch != state.best_epoch]
    epochs = [state.best_epoch, *(epoch for epoch in kept if is_whole(run.run_dir.checkpoint(epoch)))]
    if not run.config.training.soup.enabled or not has_soup(list(run.parameters)) or len(epochs) == 1:
        return read(state.best_epoch), None
    soup, weights = greedy_soup(
        epochs,
        read,
        _recorded_metrics(run.run_dir.checkpoint(state.best_epoch)),
        lambda mix: _measured(run, state, mix, on_event, stop)[0],
        run.config.training.select_by,
    )
    on_event(Note(soup.sentence(run.config.training.select_by)))
    return weights, soup


def _measured(
    run: Run, state: TrainState, weights: Mapping[str, Tensor], on_event: OnEvent, stop: StopRequest
) -> tuple[ValMetrics, Tensor]:
    """Metrics and logits on val with these weights, which stay in the model."""
    run.put(weights)
    try:
        with stop.at_once():
            logits = run.prefix.val_logits(run.config.training.epochs - 1, on_event, stop)
    except Stopped:
        raise interrupted(run, state) from None
    return metrics_of(logits, torch.from_numpy(run.val_set.labels)), logits


def _best_whole_epoch(run: Run, state: TrainState, on_event: OnEvent) -> int:
    """The best epoch; where its checkpoint was damaged, the best of those that are whole, said aloud."""
    best = run.run_dir.checkpoint(state.best_epoch)
    if is_whole(best):
        return state.best_epoch
    others = {epoch: folder for epoch, folder in run.run_dir.checkpoints() if is_whole(folder)}
    if not others:
        raise CheckpointError(
            f"{best}: is missing or damaged, and no other checkpoint of this run is whole",
            hint="start the run again: its config is in config.yaml",
        )
    select_by = run.config.training.select_by
    ranks = {epoch: _recorded_metrics(folder).rank(select_by) for epoch, folder in others.items()}
    epoch = max(ranks, key=lambda e: ranks[e])
    on_event(Note(f"{best}: is missing or damaged: the next best, {others[epoch].name}, is used", is_warning=True))
    return epoch


def _recorded_metrics(checkpoint: Path) -> ValMetrics:
    return ValMetrics.of_columns(read_card(checkpoint)["metrics"])


def calibrate(logits: Tensor, labels: Tensor) -> tuple[float, float, float]:
    """Temperature fitted on these logits, and the calibration error before and after it."""
    temperature = fit_temperature(logits.numpy(), labels.numpy())
    before, after = (_calibration_error(logits.double() / t, labels) for t in (1.0, temperature))
    if after > before:  # too few val images to tell: the probabilities stay as they are
        return 1.0, before, before
    return temperature, before, after


def _calibration_error(logits: Tensor, labels: Tensor) -> float:
    confidence, predicted = logits.softmax(dim=1).max(dim=1)
    return reliability(confidence.numpy(), (predicted == labels).numpy()).ece


def mixed(start: Mapping[str, Tensor], tuned: Mapping[str, Tensor], alpha: float) -> dict[str, Tensor]:
    """(1 - alpha) * start + alpha * tuned; exactly `tuned` at 1 and `start`'s function at 0.

    An adapter's effect is the product B A: B is scaled, A stays the tuned one.
    """
    if alpha == 1.0:
        return dict(tuned)
    return {
        name: value if name.endswith("lora_A") else torch.lerp(start[name].to(value), value, alpha)
        for name, value in tuned.items()
    }


FILES = (
    (HEAD_FILE, "head."),
    (TOWER_FILE, "clip."),
    (TRAINED_FILE, "clip."),
    (ADAPTER_FILE, "adapters."),
    (TEXT_ADAPTER_FILE, "text_adapters."),
)
"""The files of a checkpoint that hold weights, and where their names are within the classifier."""


def read_parameters(checkpoint: Path, parameters: Mapping[str, nn.Parameter]) -> dict[str, Tensor]:
    """Values of `parameters` (names within the classifier) as saved in a checkpoint."""
    tensors: dict[str, Tensor] = {}
    for file, prefix in FILES:
        if (checkpoint / file).is_file():
            tensors |= {prefix + name: value for name, value in load_file(checkpoint / file).items()}
    return {name: tensors[name] for name in parameters}


def start_values(parameters: Mapping[str, nn.Parameter]) -> dict[str, Tensor]:
    """Copies of the trainable parameters, on the CPU."""
    return {name: parameter.detach().cpu().clone() for name, parameter in parameters.items()}


def _kept(run: Run, state: TrainState, alpha: float, soup: Soup | None) -> Kept:
    if alpha == 0:
        return Kept(epoch=0, start=run.start_kind, alpha=0.0, epochs=state.epoch)
    members = soup.epochs if soup is not None and len(soup.epochs) > 1 else ()
    return Kept(epoch=state.best_epoch, start=run.start_kind, soup=members, alpha=alpha, epochs=state.epoch)


def _save(run: Run, state: TrainState, kept: Kept, metrics: ValMetrics, temperature: float) -> tuple[Path, Card]:
    is_one_epoch = kept.alpha == 1.0 and not kept.soup
    folder = run.run_dir.checkpoint(kept.epoch) if is_one_epoch else run.run_dir.final
    card = with_result(
        run.card,
        epoch=kept.epoch,
        step=0 if kept.is_start else state.step,
        metrics={**metrics.columns, "wise_ft_alpha": kept.alpha},
        temperature=temperature,
        kept=kept,
    )
    save_classifier(folder, run.classifier, card)
    write_pointer(run.run_dir.best, folder, epoch=kept.epoch, alpha=kept.alpha, kept=kept.words)
    return folder, card


def _mix_sentence(values: Mapping[float, float], select_by: SelectionMetric, alpha: float) -> str:
    shown = ", ".join(f"{a:g}: {abs(values[a]):.3f}" for a in sorted(values))
    return f"mix of start and fine-tuned weights (WiSE-FT), {select_by} on val: {shown}; kept alpha {alpha:g}"


def _say(kept: Kept, temperature: float, before: float, after: float, on_event: OnEvent) -> None:
    if kept.is_start:
        told = f"fine-tuning did not beat its start on val: the start is kept ({kept.start_name})"
        on_event(Note(told, is_warning=True))
    on_event(
        Note(f"temperature {temperature:.2f} fitted on val: calibration error {before:.3f} before, {after:.3f} after")
    )
