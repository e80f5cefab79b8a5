"""NumPy's .npz: arrays of images and of their labels, one pair or one a split, as Keras and MedMNIST give them out."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...config.data import SplitName
from ...errors import DataError
from ..files.regular import as_regular
from ..labels.folder_names import folder_name
from ..labels.names import class_name
from .listing import Item, Listing
from .problems import Problem
from .source import Source, SourceRequest, whole_path
from .table_folder import split_of_name

if TYPE_CHECKING:
    from numpy import ndarray

_IMAGES = re.compile(r"(^|_)(x|images?|imgs?|data)(_|$)", re.IGNORECASE)
_LABELS = re.compile(r"(^|_)(y|labels?|targets?|class(es)?)(_|$)", re.IGNORECASE)


def _evidence(text: str) -> str:
    path = Path(text)
    is_file = path.suffix.lower() == ".npz" and path.is_file()
    return f"the name of {path.name} ends as that of NumPy arrays, with .npz" if is_file else ""


def list_arrays(request: SourceRequest) -> Listing:
    """Every image with its label, written as PNG. Raises DataError where there are no such pairs of arrays."""
    path = request.path
    listing = Listing(path.stem, str(path))
    work = request.work / "arrays"
    work.mkdir(parents=True)
    arrays = _arrays(path)
    pairs = _pairs(path, arrays)
    for images_name, labels_name in pairs:
        images = _images(path, images_name, arrays[images_name])
        labels = _labels(path, labels_name, arrays[labels_name])
        if len(images) != len(labels):
            raise DataError(
                f"{path}: '{images_name}' holds {len(images):,} images, '{labels_name}' {len(labels):,} labels"
            )
        split = split_of_name(images_name) if len(pairs) > 1 else None
        for n, (image, label) in enumerate(zip(images, labels, strict=True)):
            request.on_progress("writing", n, len(images))
            add_image(
                listing, work / f"{images_name}-{n:07d}.png", f"{images_name}[{n}]", image, label=label, split=split
            )
    return listing


def add_image(
    listing: Listing, file: Path, where: str, image: ndarray, *, label: str | None, split: SplitName | None
) -> None:
    """Write one image, and add it with its label to `listing`."""
    from PIL import Image

    if label is None:
        listing.problems.append(Problem(where, "image without a class"))
        return
    Image.fromarray(image).save(file)
    listing.items.append(Item(file, where, class_name(label), split))


def _arrays(path: Path) -> dict[str, Any]:
    import numpy as np

    try:
        with np.load(as_regular(path), allow_pickle=False) as content:
            return {re.sub(r"\W", "_", name): content[name] for name in content.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        what = "holds Python objects, which could run programs" if "pickle" in str(error).lower() else str(error)
        raise DataError(
            f"{path}: cannot be read: {what}", hint="save plain arrays of numbers with numpy.savez"
        ) from None


def _pairs(path: Path, arrays: dict[str, Any]) -> list[tuple[str, str]]:
    """Names of arrays of images, each with that of its labels: `train_images` and `train_labels`, `x` and `y`."""
    by_rest = {_LABELS.sub("", name): name for name in arrays if _LABELS.search(name)}
    pairs = [
        (name, by_rest[rest]) for name in arrays if _IMAGES.search(name) and (rest := _IMAGES.sub("", name)) in by_rest
    ]
    if not pairs:
        names = ", ".join(f"{name} {arrays[name].shape}" for name in list(arrays)[:8])
        raise DataError(
            f"{path}: no arrays of images with labels: {names or 'it is empty'}",
            hint="name them x and y, or x_train, y_train, x_test, y_test; numpy.savez(FILE, x=images, y=labels)",
        )
    return pairs


def _images(path: Path, name: str, array: ndarray) -> ndarray:
    """(N, H, W) or (N, H, W, 3 or 4), uint8."""
    import numpy as np

    if array.ndim == 4 and array.shape[1] in (1, 3) and array.shape[-1] not in (1, 3, 4):
        array = array.transpose(0, 2, 3, 1)
    if array.ndim == 4 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim not in (3, 4) or (array.ndim == 4 and array.shape[-1] not in (3, 4)):
        raise DataError(f"{path}: '{name}' has the shape {array.shape}, which is none of images (N, height, width, 3)")
    if array.dtype == np.uint8:
        return array
    low, high = float(array.min(initial=0)), float(array.max(initial=0))
    if low < 0 or high > 255 or not np.isfinite([low, high]).all():
        raise DataError(
            f"{path}: '{name}' holds values from {low:g} to {high:g}, so what is black and white is not known",
            hint="save the images as they were before they were normalised: 0 to 255, or 0 to 1",
        )
    return np.asarray(array * 255 if high <= 1 and array.dtype.kind == "f" else array).round().astype(np.uint8)


def _labels(path: Path, name: str, array: ndarray) -> list[str | None]:
    """A label for each image: of (N,), (N, 1), or (N, C) with one 1 a row."""
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim == 2:
        if not ((array == 0) | (array == 1)).all() or (array.sum(axis=1) > 1).any():
            raise DataError(
                f"{path}: '{name}' gives images several classes, shape {array.shape}",
                hint="clipft learns one class an image",
            )
        return [str(row.argmax()) if row.any() else None for row in array]
    if array.ndim != 1:
        raise DataError(f"{path}: '{name}' has the shape {array.shape}, which is none of labels")
    return [_text(value) for value in array.tolist()]


def _text(value: Any) -> str | None:
    from ..tables.cells import label_text

    return label_text(value)


ARRAYS = Source(
    "arrays",
    "npz",
    _evidence,
    list_arrays,
    data_folder=lambda text: folder_name(Path(text).stem),
    origin=whole_path,
)
