"""The state that a run enters its loop with: that of its start, or the one saved last."""

from __future__ import annotations

from ...errors import CheckpointError
from ..events import Note
from ..files.visible import quoted
from ..run_dir import RunDir
from .context import RunContext
from .records import append_metrics, begin_metrics, start_record, zero_shot_record
from .resume import TrainState, generations
from .run import Run
from .start import Start, refuse_changed


def begin(run: Run, start: Start, digests: dict[str, str], context: RunContext) -> TrainState:
    """The state to go on from, put back into `run` where it is a resumed one.

    Raises CheckpointError where another input decides the run now (`digests`), or where its state is lost.
    """
    on_event = context.on_event
    if context.is_resumed and generations(run.run_dir.resume):
        state, told = run.load()
        refuse_changed(run.run_dir.path, state.belongs_to, digests)
        for sentence in told:
            on_event(Note(sentence, is_warning=True))
        on_event(Note(f"resuming {run.run_dir.path} in epoch {state.epoch + 1}, after step {state.step}"))
        return state
    if context.is_resumed:
        _refuse_lost_state(run.run_dir)
        on_event(Note(f"{run.run_dir.path}: nothing was saved yet, the run begins with its first update"))
    begin_metrics(run.run_dir)
    state = TrainState(belongs_to=digests)
    append_metrics(run.run_dir, zero_shot_record(start.zero_shot), state)
    append_metrics(run.run_dir, start_record(start), state)
    run.save(state)
    return state


def _refuse_lost_state(run_dir: RunDir) -> None:
    """Raises CheckpointError where epochs were trained and the state after them is gone: nothing is trained over."""
    epochs = run_dir.checkpoints()
    if epochs:
        raise CheckpointError(
            f"{run_dir.resume}: the saved state is missing, though {epochs[-1][1].name} is there",
            hint="put the folder back, or start a new run;"
            f" `clipft evaluate --checkpoint {quoted(epochs[-1][1])}` measures it",
        )
