"""Where images come from: one file a kind of source, each a `Source`, in one registry."""

from __future__ import annotations

import difflib
import stat
from pathlib import Path

from ...config.prepare import PrepareOptions
from ...errors import ConfigError, DataError
from .annotations import FORMATS
from .annotations.format import as_source
from .archives import ARCHIVE
from .arrays import ARRAYS
from .detection_sets import DETECTION_SETS
from .drawn import DRAWN
from .folder_and_table import FOLDER_AND_TABLE
from .folders import FOLDER
from .hub import HUB
from .oxford_pets import OXFORD_PETS
from .source import Source
from .stanford_dogs import STANFORD_DOGS
from .table_folder import TABLE_FOLDER
from .tables import TABLE
from .webdataset import WEBDATASET

SOURCES: dict[str, Source] = {
    source.name: source
    for source in (
        DRAWN,
        WEBDATASET,
        DETECTION_SETS,
        TABLE_FOLDER,
        FOLDER_AND_TABLE,
        FOLDER,
        TABLE,
        ARCHIVE,
        ARRAYS,
        *map(as_source, FORMATS.values()),
        STANFORD_DOGS,
        OXFORD_PETS,
        HUB,
    )
}
"""The first whose `evidence` says so reads SOURCE; so a path that exists comes before a name that is known."""

_WAYS = {
    **dict.fromkeys((".xlsx", ".xls", ".ods"), "save the sheet as CSV"),
    **dict.fromkeys((".7z", ".rar"), "unpack it, then give clipft the folder"),
    **dict.fromkeys((".gz", ".bz2", ".xz"), "unpack it, then give clipft the file"),
    ".json": 'clipft reads {"a.jpg": "cat"}, [{"image": "a.jpg", "label": "cat"}] and the formats named here',
    **dict.fromkeys((".txt", ".lst", ".list"), "write lines `a.jpg cat`, or a first line `image,label` above columns"),
    **dict.fromkeys((".pkl", ".pickle"), "a pickle may run programs and is not opened: save a table as CSV"),
}
"""The way out of files that are often given, by their suffix."""

FORMS = f"SOURCE: {PrepareOptions.model_fields['source'].description}"


def source_of(text: str | None, paths: str | None = None) -> tuple[Source, str]:
    """The kind of SOURCE (None: nothing was given), and by what evidence, in words.

    `paths`, a layout of folders, rules out the kinds that have none.

    Raises DataError where it is nothing that can be read, ConfigError for a web address or an empty text.
    """
    if text is not None and not text.strip():
        raise ConfigError("SOURCE is empty", hint=FORMS)
    if text and (what := _no_file(Path(text))):
        raise DataError(f"{text}: is {what}, and no file: it is read several times", hint="save it as a file first")
    for source in SOURCES.values():
        if (evidence := source.evidence(text or "")) and (source.has_paths or not paths):
            return source, evidence
    if paths:
        raise ConfigError(f"--paths {paths}: {text or 'the drawn dogs'}: is no folder and no archive of folders")
    assert text is not None
    if Path(text).exists():
        way = _WAYS.get(Path(text).suffix.lower())
        raise DataError(f"{text}: is no folder, table or archive", hint=f"{way}. {FORMS}" if way else FORMS)
    if "://" in text:
        raise ConfigError(f"{text}: web addresses are not fetched", hint="download it, then give the file. " + FORMS)
    near = difflib.get_close_matches(text.lower().replace("_", "-"), SOURCES, n=1, cutoff=0.7)
    hint = f"did you mean {near[0]}? " + FORMS if near else FORMS
    raise DataError(f"{text}: no such file or folder", hint=hint)


def _no_file(path: Path) -> str:
    """What stands at a path that is neither a folder nor a file: it could be read without end, or never."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return ""
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return ""
    return "a pipe" if stat.S_ISFIFO(mode) else "a socket" if stat.S_ISSOCK(mode) else "a device"
