"""Do file names or folders say that images belong together? A warning with the command that keeps them so.

Never decided in silence: `frame_001` to `frame_090` may be one film, or ninety photographs that a camera numbered.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import PurePosixPath

from ...config.commands import PrepareConfig
from ..files.visible import shown
from ..sources.same_again import same_again
from .checks import Picture

_NUMBERED = re.compile(
    r"(?P<group>.*\d.*?)(?P<mark>[ _.-]+(?:[A-Za-z]{1,12}[ _.-]*)?|(?<=\d)[A-Za-z]{1,12}[ _.-]?|[ ]?\()\d{1,6}\)?"
)
"""`clip03_frame_0012`, `patient7-2`, `p12 (3)`: a name with a number, then a number of its own for the image."""
_SHARE = 0.5
"""Of all images: so many must share the start of their name with others for it to mean something."""
_BURST_SHARE = 0.2


def suggest_groups(pictures: Sequence[Picture], config: PrepareConfig, is_folder: bool, warnings: list[str]) -> None:
    """Warn where images seem to belong together and nothing keeps them in one split."""
    by_folder = _found(pictures, _inner_folder)
    if by_folder and is_folder:
        n, example = by_folder
        warnings.append(
            f"the images of a class lie in folders of their own ({n:,} folders, such as {shown(example, 60)}). If each"
            f" holds one patient, clip or product, {_keeps(config, _template(pictures, 'folder'))}"
        )
        return
    by_name = _found(pictures, _name_start)
    if by_name:
        n, example = by_name
        way = (
            _keeps(config, _template(pictures, "name"))
            if is_folder
            else "--group-column keeps a column's values in one"
        )
        warnings.append(
            f"file names share numbered starts ({n:,} of them, such as '{shown(example, 60)}'). If images of one start"
            f" show one patient, clip or product, {way}"
        )
    _suggest_bursts(pictures, config, warnings)


def _keeps(config: PrepareConfig, template: str) -> str:
    return f"`{same_again(config, '--paths', template)}` keeps each in one split"


def _inner_folder(picture: Picture) -> str | None:
    """The folders between the class and the file."""
    parts = PurePosixPath(picture.item.name).parts
    return "/".join(parts[-2:-1]) if len(parts) > 2 and parts[-2] != picture.item.label else None


def _name_start(picture: Picture) -> str | None:
    """The part of a file's name that others share, where it ends in a number of its own."""
    found = _NUMBERED.fullmatch(PurePosixPath(picture.item.name.replace("\\", "/")).stem)
    return found["group"] if found else None


def _found(pictures: Sequence[Picture], group_of: Callable[[Picture], str | None]) -> tuple[int, str] | None:
    """(how many groups, an example), where most images are in one with others and most classes have several."""
    sizes = Counter((p.item.label, group) for p in pictures if (group := group_of(p)) is not None)
    shared = {key: n for key, n in sizes.items() if n > 1}
    if sum(shared.values()) < _SHARE * len(pictures):
        return None
    per_class: Counter[str] = Counter(label for label, _ in shared)
    classes = {p.item.label for p in pictures}
    if sum(per_class[label] > 1 for label in classes) * 2 <= len(classes):
        return None
    example = max(shared, key=lambda key: (shared[key], key))
    return len(shared), example[1]


def _template(pictures: Sequence[Picture], kind: str) -> str:
    """--paths for folders of classes, below splits or not, with the group a folder or the start of a name."""
    has_splits = any(picture.item.split is not None for picture in pictures)
    lead = "{split}/{class}" if has_splits else "{class}"
    if kind == "folder":
        return f"{lead}/{{group}}/*"
    marks = {found["mark"] for p in pictures if (found := _NUMBERED.fullmatch(PurePosixPath(p.item.name).stem))}
    if len(marks) == 1 and len(mark := marks.pop()) > 1 and not re.search(r"[{}*?\\]", mark):
        return f"{lead}/{{group}}{mark}*"
    return lead + r"/{group:.*\d.*?}{:([ _.-]*[A-Za-z]*[ _.-]*|[ ]?\()\d+\)?}.*"


def _suggest_bursts(pictures: Sequence[Picture], config: PrepareConfig, warnings: list[str]) -> None:
    seconds = 3
    bursts = burst_pairs(pictures, seconds)
    n = len({i for pair in bursts for i in pair})
    if n < max(4, _BURST_SHARE * len(pictures)) or config.prepare.burst_seconds is not None:
        return
    warnings.append(
        f"{n:,} of {len(pictures):,} images were taken within {seconds} seconds of another by the same camera, as their"
        f" EXIF says: `{same_again(config, '--set', f'prepare.burst_seconds={seconds}')}` keeps such in one split"
    )


def burst_pairs(pictures: Sequence[Picture], seconds: float) -> list[tuple[int, int]]:
    """Pairs of pictures that one camera took within `seconds`, one after the other."""
    by_camera: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for i, picture in enumerate(pictures):
        if picture.header.taken is not None:
            by_camera[picture.header.camera].append((picture.header.taken, i))
    return [pair for shots in by_camera.values() for pair in _neighbours(sorted(shots), seconds)]


def _neighbours(shots: list[tuple[float, int]], seconds: float) -> Iterable[tuple[int, int]]:
    for (earlier, i), (later, j) in itertools.pairwise(shots):
        if later - earlier <= seconds:
            yield i, j
