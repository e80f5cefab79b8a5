"""The contract of an annotation format: a file that names images and says what is on each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ....errors import ClipftError, DataError, Question
from ...labels.folder_names import folder_name
from ...tables.table import Table, of_rows
from ..image_finder import ImageFinder
from ..listing import Listing
from ..source import Source, SourceRequest, whole_path
from ..tables import list_rows

_BESIDE_IMAGES = frozenset({"annotations", "annotation", "anno", "labels", "json", "meta", "metadata"})
Row = tuple[str, str, object]
"""Where it stands, the image, and its class: None for none, a list for several."""


@dataclass(frozen=True)
class Format:
    """`evidence` says in words why a file is of the format, and is empty where it is not. `table` gives its images with
    their classes, an image of several classes in several rows. `words` is how the help of SOURCE names it."""

    name: str
    words: str
    evidence: Callable[[Path], str]
    table: Callable[[Path, str | None], Table]
    """Of a file and the encoding that was asked for."""


def images_with_classes(rows: Iterable[Row], notes: Sequence[str] = ()) -> Table:
    """A table of the two columns that every format has."""
    cells = [(place, (image, label)) for place, image, label in rows]
    return of_rows(("image", "label"), cells, notes=[note for note in notes if note])


def list_annotated(
    form: Format, path: Path, request: SourceRequest, inside: Path | None = None, beside: Sequence[Path] = ()
) -> Listing:
    """The images of a file of the format `form`. Raises DataError where its fields are not those of the format."""
    root = request.options.image_root
    above = [path.parent.parent] if path.parent.name.casefold() in _BESIDE_IMAGES else []
    finder = ImageFinder([root] if root else [path.parent, *above, *beside], inside)
    try:
        table = form.table(path, request.options.encoding)
    except Question as error:
        raise request.question(error.asks, error.answers) from None
    except ClipftError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError) as error:
        raise DataError(
            f"{path}: is no whole {form.words} file: {type(error).__name__}: {str(error)[:80]}",
            hint="export it again, or write a table with the columns image and label",
        ) from None
    return list_rows(table, path, request, finder)


def as_source(form: Format) -> Source:
    """A file of the format as SOURCE."""

    def evidence(text: str) -> str:
        path = Path(text)
        return form.evidence(path) if text and path.is_file() else ""

    return Source(
        form.name,
        form.words,
        evidence,
        lambda request: list_annotated(form, request.path, request),
        data_folder=lambda text: folder_name(Path(text).stem),
        origin=whole_path,
        images_may_stay=True,
    )
