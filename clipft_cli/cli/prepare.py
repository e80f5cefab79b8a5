"""`clipft prepare`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from ..config.load import load_config
from ..config.prepare import PrepareConfig
from .asking import with_answers
from .options import AsJson, ConfigFile, Debug, Overrides, Quiet, config_file, help_of
from .prepare_view import PrepareView, show_prepared, show_skeleton, show_validated
from .reading_view import show_reading
from .render import Screen

T = TypeVar("T")


def prepare(
    context: typer.Context,
    source: Annotated[
        str | None, typer.Argument(metavar="SOURCE", help=help_of("prepare.source"), show_default=False)
    ] = None,
    output_dir: Annotated[
        Path | None, typer.Option("--output-dir", "-o", help=help_of("prepare.output_dir"), path_type=str)
    ] = None,
    num_classes: Annotated[int | None, typer.Option(help=help_of("prepare.num_classes"))] = None,
    samples_per_class: Annotated[int | None, typer.Option(help=help_of("prepare.samples_per_class"))] = None,
    split: Annotated[str | None, typer.Option(help=help_of("prepare.split"))] = None,
    seed: Annotated[int | None, typer.Option(help=help_of("seed"))] = None,
    include: Annotated[
        list[str] | None, typer.Option(metavar="GLOB", help=help_of("prepare.include") + " Repeatable.")
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(metavar="GLOB", help=help_of("prepare.exclude") + " Repeatable.")
    ] = None,
    merge: Annotated[
        list[str] | None, typer.Option(metavar="FROM=INTO|alike|none", help=help_of("prepare.merge") + " Repeatable.")
    ] = None,
    min_per_class: Annotated[int | None, typer.Option(help=help_of("prepare.min_per_class"))] = None,
    min_size: Annotated[int | None, typer.Option(metavar="PX", help=help_of("prepare.min_size"))] = None,
    paths: Annotated[str | None, typer.Option(metavar="TEMPLATE", help=help_of("prepare.paths"))] = None,
    image_column: Annotated[str | None, typer.Option(metavar="NAME", help=help_of("prepare.image_column"))] = None,
    label_column: Annotated[str | None, typer.Option(metavar="NAME", help=help_of("prepare.label_column"))] = None,
    split_column: Annotated[str | None, typer.Option(metavar="NAME", help=help_of("prepare.split_column"))] = None,
    group_column: Annotated[str | None, typer.Option(metavar="NAME", help=help_of("prepare.group_column"))] = None,
    holdout_column: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN=VALUE", help=help_of("prepare.holdout_column") + " Repeatable."),
    ] = None,
    split_lists: Annotated[str | None, typer.Option(metavar="TEMPLATE", help=help_of("prepare.split_lists"))] = None,
    image_root: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help=help_of("prepare.image_root"), path_type=str)
    ] = None,
    encoding: Annotated[str | None, typer.Option(metavar="NAME", help=help_of("prepare.encoding"))] = None,
    archive: Annotated[
        Path | None, typer.Option(metavar="FILE", help=help_of("prepare.archive"), path_type=str)
    ] = None,
    in_place: Annotated[
        bool | None, typer.Option("--in-place", help=help_of("prepare.in_place"), show_default=False)
    ] = None,
    validate: Annotated[
        bool, typer.Option("--validate", help="Check an existing data set, change nothing; fails on any fault.")
    ] = False,
    skeleton: Annotated[
        bool, typer.Option("--skeleton", help="Make only the folders, README.md and classes.txt, for photographs.")
    ] = False,
    classes: Annotated[str | None, typer.Option(metavar="A,B,C", help="With --skeleton: the class names.")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Rename a data set that is in the way to NAME.old-1, and go on.")
    ] = False,
    update: Annotated[
        bool,
        typer.Option("--update", help="Take what is new into a data set that is there; images keep their split."),
    ] = False,
    plan: Annotated[
        bool,
        typer.Option("--plan", help="Say how SOURCE would be read, and write nothing."),
    ] = False,
    sheet: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="As --plan, and write a page with four pictures of each class, to be looked at."
        ),
    ] = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Make a data set of images: checked, split, described. Without SOURCE: drawn dogs, no download."""
    screen = Screen.of(context)
    flags = {
        "prepare.source": source,
        "prepare.output_dir": output_dir,
        "prepare.num_classes": num_classes,
        "prepare.samples_per_class": samples_per_class,
        "prepare.split": split,
        "prepare.include": include or None,
        "prepare.exclude": exclude or None,
        "prepare.merge": merge or None,
        "prepare.min_per_class": min_per_class,
        "prepare.min_size": min_size,
        "prepare.paths": paths,
        "prepare.image_column": image_column,
        "prepare.label_column": label_column,
        "prepare.split_column": split_column,
        "prepare.group_column": group_column,
        "prepare.holdout_column": holdout_column or None,
        "prepare.split_lists": split_lists,
        "prepare.image_root": image_root,
        "prepare.encoding": encoding,
        "prepare.archive": archive,
        "prepare.in_place": in_place,
        "seed": seed,
    }
    settings = load_config(PrepareConfig, config_file(config, screen.say), overrides or (), flags)

    from ..engine.prepare import make_skeleton, validate_dataset
    from ..engine.prepare import plan as read
    from ..engine.prepare import prepare as run
    from ..engine.sources.same_again import answered

    if skeleton:
        made = make_skeleton(settings.prepare, classes)
        screen.result(made.to_json(), lambda console: show_skeleton(console, made))
    elif validate:
        with PrepareView(screen) as view, screen.telling_of_stalls():
            report = validate_dataset(settings.prepare, on_event=view)
        screen.result(report.to_json(), lambda console: show_validated(console, report))
        report.raise_on_faults()
    elif plan or sheet:
        look = partial(read, sheet=sheet)
        reading = with_answers(screen, settings, lambda config: _watched(screen, config, look), answered)
        screen.result(reading.to_json(), lambda console: show_reading(console, reading))
        screen.warn_of(reading.warnings)
    else:
        prepare_it = partial(run, force=force, update=update)
        result = with_answers(screen, settings, lambda config: _watched(screen, config, prepare_it), answered)
        screen.result(result.to_json(), lambda console: show_prepared(console, result))
        screen.warn_of(result.warnings)


def _watched(screen: Screen, config: PrepareConfig, run: Callable[..., T]) -> T:
    with PrepareView(screen) as view, screen.telling_of_stalls():
        return run(config, on_event=view)
