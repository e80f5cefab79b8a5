"""`clipft export`: a fine-tuned model written in another format, read back, compared, and kept only if it is equal."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config.export import ExportConfig, ExportOptions, FormatName
from ..errors import ConfigError, ModelError, ResourceError
from .checkpoint.subject import place_in_run
from .checkpoint.trained_on import trained_on
from .events import Note, OnEvent, unheard
from .exports.base import Format
from .exports.checks import Check, checked
from .exports.export_card import write_export_card
from .exports.formats import FORMATS
from .exports.probe import Probe, data_set_of, read_probe
from .exports.record import NOT_SIGNED, read_export, write_record
from .exports.source import Source, open_source
from .files.visible import visible
from .files.write import replaced_folder
from .images.decode import decode_image, read_image_bytes
from .run_dir import TRAINED_ON_FILE, find_checkpoint, is_export


@dataclass(frozen=True)
class ExportResult:
    """What was written, and how its answers compare with the model's own. `files`: name -> bytes."""

    kind: FormatName
    checkpoint: Path
    output_dir: Path
    checks: tuple[Check, ...]
    checked_on: str
    files: Mapping[str, int]

    def to_json(self) -> dict[str, Any]:
        """One object."""
        return {
            "format": self.kind,
            "checkpoint": str(self.checkpoint),
            "output_dir": str(self.output_dir),
            "checked_on": self.checked_on,
            "checks": [check.to_json() for check in self.checks],
            "files": dict(self.files),
            "bytes": sum(self.files.values()),
        }


def export(config: ExportConfig, on_event: OnEvent = unheard) -> ExportResult:
    """Write one format, whole or not at all.

    Raises ClipftError of the kind of what is wrong; ModelError where the format has no equal of this model, or what
    was read back does not answer as it does.
    """
    options = config.export
    checkpoint = find_checkpoint(options.checkpoint)
    if options.checkpoint is None:
        on_event(Note(f"exporting {checkpoint}, of the newest finished run"))
    form = FORMATS[options.to]
    if options.int8 and not form.has_int8:
        able = ", ".join(name for name, one in FORMATS.items() if one.has_int8)
        raise ConfigError(f"export.int8: eight-bit weights are built for {able}, not for {form.name}")
    form.require()
    target = options.output_dir or place_in_run(checkpoint, f"export-{form.name}")
    refuse_taken(target)
    source = open_source(checkpoint, options.base)
    reason = form.why_not(source)
    if reason is not None:
        raise ModelError(f"{checkpoint}: has no equal in {form.name}: {reason}")
    probe = read_probe(config, source, on_event)
    with _writable(target), replaced_folder(target) as folder:
        form.write(source, folder, options)
        on_event(Note(f"written; read back on {probe.where}"))
        checks = _checks(form, folder, source, probe, options)
        if known := trained_on(checkpoint):
            (folder / TRAINED_ON_FILE).write_text(known.text, encoding="utf-8")
        if options.with_sample:
            add_sample(folder, config, source)
        write_export_card(folder, form, source, probe, checks)
        write_record(folder, form.name, source.card, [check.to_json() for check in checks], probe.where)
    return ExportResult(form.name, checkpoint, target, checks, probe.where, _sizes(target))


def refuse_taken(target: Path) -> None:
    """Raises ConfigError where `target` holds anything that is not an earlier export's: nothing of it may be lost."""
    if not target.exists():
        return
    if not target.is_dir():
        raise ConfigError(f"--output: {target} is a file, an export is a folder", hint="choose another --output")
    there = {path.relative_to(target).as_posix() for path in target.rglob("*") if not path.is_dir()}
    own = {*read_export(target).files, *NOT_SIGNED} if is_export(target) else set()
    others = sorted(there - own)
    if others:
        raise ConfigError(
            f"--output: {target} holds files that no export has written: {visible(others[0])}"
            + (f" and {len(others) - 1} more" if len(others) > 1 else ""),
            hint="choose another --output, or move them away",
        )


def add_sample(folder: Path, config: ExportConfig, source: Source) -> None:
    """Put the first image of the test split into sample/, its pixels alone: a photograph's file also says where, when
    and by whose camera it was taken. Raises DataError where there is none.
    """
    manifest = data_set_of(config, source)
    image = decode_image(read_image_bytes(manifest.file(manifest.split("test")[0])))
    image.info.clear()  # Pillow would write some of it
    (folder / "sample").mkdir()
    image.save(folder / "sample" / "sample.png")


@contextlib.contextmanager
def _writable(target: Path) -> Iterator[None]:
    """Raises ResourceError where the folder cannot be made or filled."""
    try:
        yield
    except (FileExistsError, NotADirectoryError):
        raise ResourceError(f"{target}: a part of this path is a file, not a folder") from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise ResourceError(f"{target}: cannot be written: {reason}", hint="choose another --output") from None


def _checks(form: Format, folder: Path, source: Source, probe: Probe, options: ExportOptions) -> tuple[Check, ...]:
    """Every reader's answers beside the model's. Raises ModelError where they are not its own."""
    checks = checked(form.readers(folder, source), probe, options.max_difference)
    for check in checks:
        check.refuse(options)
    return checks


def _sizes(folder: Path) -> dict[str, int]:
    there = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in there}
