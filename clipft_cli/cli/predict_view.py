"""Predictions on the screen and into files: a table, text, CSV, JSON lines, or one JSON object."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any, cast

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..config.predict import WRITTEN_AS, PredictOptions
from ..errors import ConfigError
from .render import Screen, show_error
from .streams import need_standard_output, standard_input, write_result

if TYPE_CHECKING:
    import io

    from ..engine.images.inputs import ImageInput
    from ..engine.pages.prediction import Form, Prediction, PredictSummary

STANDARD_INPUT = "-"
_BAR = 20


class ViewSink:
    """Gives each prediction to the writers, and names on stderr the images that could not be used."""

    def __init__(self, screen: Screen, writers: list[Writer]) -> None:
        self.screen = screen
        self.writers = writers

    def begin(self, n_answers: int) -> None:
        """Called once, before the first prediction."""
        for writer in self.writers:
            writer.begin(n_answers)

    def add(self, prediction: Prediction) -> None:
        """One prediction, in order."""
        if prediction.problem is not None:
            self.screen.warn(f"{_visible(prediction.path)}: {_visible(prediction.problem)}")
        for writer in self.writers:
            writer.add(prediction)

    def finish(self, summary: PredictSummary) -> None:
        """Called once, after the last."""
        for writer in self.writers:
            writer.finish(summary)


class Writer:
    """What is common to all: nothing is done."""

    def begin(self, n_answers: int) -> None:
        """Before the first prediction."""

    def add(self, prediction: Prediction) -> None:
        """One prediction."""

    def finish(self, summary: PredictSummary) -> None:
        """After the last."""


class TextWriter(Writer):
    """Writes each prediction as it comes, in one of the forms that need no end."""

    def __init__(self, form: Form, write: Callable[[str], object]) -> None:
        self.form = form
        self.write = write
        self.n_answers = 0

    def begin(self, n_answers: int) -> None:
        self.n_answers = n_answers
        self.write(self.form.head(n_answers))

    def add(self, prediction: Prediction) -> None:
        self.write(self.form.piece(prediction, self.n_answers))


class JsonWriter(Writer):
    """One object at the end: results, timing, checkpoint, and the error where there was one."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self.write = write
        self.results: list[dict[str, Any]] = []

    def add(self, prediction: Prediction) -> None:
        self.results.append(prediction.to_json())

    def finish(self, summary: PredictSummary) -> None:
        from ..engine.pages.prediction import json_text

        content = {"results": self.results, **summary.to_json()}
        failure = summary.failure()
        if failure is not None:
            keys = ("kind", "exit_code", "message", "hint")
            content["error"] = {key: getattr(failure, key) for key in keys}
        self.write(json_text(content) + "\n")


class TableWriter(Writer):
    """For a terminal: all answers of a few images, one row each of many."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.predictions: list[Prediction] = []

    def add(self, prediction: Prediction) -> None:
        self.predictions.append(prediction)

    def finish(self, summary: PredictSummary) -> None:
        if len(self.predictions) > 3:
            self.console.print(_many(self.predictions))
            return
        for prediction in self.predictions:
            self.console.print(_single(prediction))


def named_images(arguments: list[str]) -> Iterable[str | ImageInput]:
    """The names given, `-` (or nothing at all, where something is piped in) standing for a list, or an image, on stdin.

    Raises ConfigError where there is neither.
    """
    if not arguments:
        if sys.stdin is None or sys.stdin.isatty():
            raise ConfigError(
                "no image was named",
                hint="clipft predict image.jpg, a folder, or - for a list or an image that is piped in",
            )
        arguments = [STANDARD_INPUT]
    return chain.from_iterable(_piped() if name == STANDARD_INPUT else [name] for name in arguments)


def _piped() -> Iterator[str | ImageInput]:
    from ..engine.images.inputs import named_on

    return named_on(cast("io.BufferedIOBase", standard_input()))


@contextlib.contextmanager
def open_sink(screen: Screen, options: PredictOptions) -> Iterator[ViewSink]:
    """Where the predictions of this invocation go; a file appears at the end of the block, whole.

    Raises ResourceError where they have nowhere to go.
    """
    from ..engine.files.output_file import replaced_file

    form, has_sets = _form(screen, options), options.coverage is not None
    if options.output is None:
        need_standard_output()
    with contextlib.ExitStack() as stack:
        writers: list[Writer] = []
        if options.output is not None:
            writers.append(_writer(form, stack.enter_context(replaced_file(options.output)), has_sets))
        elif form == "table" and not screen.mode.as_json:
            writers.append(TableWriter(screen.out))
        elif not screen.mode.as_json:
            writers.append(_writer(form, write_result, has_sets))
        if screen.mode.as_json:
            writers.append(JsonWriter(write_result))
        yield ViewSink(screen, writers)


def show_outcome(screen: Screen, options: PredictOptions, summary: PredictSummary) -> None:
    """Timing, what was skipped, where the file lies. Raises ClipftError where images failed."""
    from ..engine.files.amounts import count

    if summary.skipped:
        listed = ", ".join(f"{_visible(suffix)}: {n}" for suffix, n in summary.skipped.most_common(5))
        lead = count(summary.skipped.total(), "file in folders is no image", "files in folders are no images")
        screen.say(f"{lead}, skipped ({listed})")
    if summary.seconds:
        n_done = summary.n_images - summary.n_failed
        screen.say(
            f"model ready in {summary.load_seconds:.1f} s on {summary.device}, {summary.precision};"
            f" {n_done} {'image' if n_done == 1 else 'images'} in {summary.seconds:.2f} s,"
            f" {summary.images_per_second:.1f} images/s"
        )
    if options.output is not None and not screen.mode.as_json:
        screen.say(f"written: {_visible(str(options.output))}")
    if summary.embeddings is not None:
        n, width = summary.embeddings
        screen.say(f"written: {_visible(str(options.embeddings))}, {count(n, 'image')} of {width} numbers each")
    failure = summary.failure()
    if failure is None:
        return
    failure.message = _visible(failure.message)
    if _form(screen, options) == "json" or screen.mode.as_json:
        # the object on stdout holds the error already: a second one would make it unreadable
        show_error(failure)
        raise typer.Exit(failure.exit_code)
    raise failure


def _form(screen: Screen, options: PredictOptions) -> str:
    """The form asked for, else by the file's suffix, else a table on a terminal and text elsewhere."""
    if "format" in options.model_fields_set:
        is_text = options.format == "table" and options.output is not None
        return "txt" if is_text else options.format
    if options.output is not None:
        return WRITTEN_AS.get(options.output.suffix.lower(), "txt")
    return "table" if screen.out.is_terminal else "txt"


def _writer(form: str, write: Callable[[str], object], has_sets: bool) -> Writer:
    from ..engine.pages.prediction import FORMS, FORMS_WITH_SETS

    forms = FORMS_WITH_SETS if has_sets else FORMS
    return JsonWriter(write) if form == "json" else TextWriter(forms[form], write)


def _single(prediction: Prediction) -> Table:
    table = Table(title=Text(_visible(prediction.path), style="bold"), box=None, title_justify="left", pad_edge=False)
    table.add_column(justify="right")
    table.add_column(overflow="fold")
    table.add_column(justify="right")
    table.add_column(no_wrap=True)
    table.show_header = False
    if prediction.problem is not None:
        table.add_row("", Text(_visible(prediction.problem), style="red"))
    if prediction.is_unknown:
        table.add_row("", Text(f"unknown: {prediction.why_unknown}", style="yellow"))
    for rank, answer in enumerate(prediction.answers, start=1):
        bar = "\N{FULL BLOCK}" * round(answer.probability * _BAR)
        table.add_row(str(rank), Text(_visible(answer.info.readable)), f"{answer.probability:.1%}", bar)
    if prediction.class_set is not None:
        table.add_row("", Text(f"one of: {_set(prediction)}"))
    return table


def _many(predictions: list[Prediction]) -> Table:
    from ..engine.files.visible import shortened

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("image", no_wrap=True)
    table.add_column("answer", overflow="fold")
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("next", overflow="fold")
    has_sets = any(prediction.class_set is not None for prediction in predictions)
    if has_sets:
        table.add_column("one of", overflow="fold")
    for prediction in predictions:
        path = Text(shortened(_visible(prediction.path), 48))
        if prediction.problem is not None:
            table.add_row(path, Text(_visible(prediction.problem), style="red"))
            continue
        rest = prediction.answers if prediction.is_unknown else prediction.answers[1:]
        others = ", ".join(f"{_visible(a.info.readable)} {a.probability:.1%}" for a in rest)
        share = "" if prediction.is_unknown else f"{prediction.answers[0].probability:.1%}"
        table.add_row(
            path, Text(_visible(prediction.best)), share, Text(others), *([Text(_set(prediction))] if has_sets else [])
        )
    return table


def _set(prediction: Prediction) -> str:
    from ..engine.pages.prediction import set_text

    return _visible(set_text(prediction.class_set or ()))


def _visible(text: str) -> str:
    from ..engine.files.visible import visible

    return visible(text)
