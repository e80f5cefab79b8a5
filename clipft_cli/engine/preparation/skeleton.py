"""Folders first, photographs later: an empty data set to put images into."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...errors import ConfigError, DataError, ResourceError
from ..files.visible import quoted
from ..files.write import write_text
from ..labels.class_names import CLASSES_FILE, ClassInfo, classes_text
from ..labels.names import class_name
from ..labels.prompt_words import readable_names
from ..manifest import SPLITS
from ..sources.drawn import drawn_classes
from .layout import HOW_TO, class_folders, markdown_text, write_readme


@dataclass(frozen=True)
class SkeletonResult:
    """The folders that are there now."""

    data_dir: Path
    classes: list[ClassInfo]

    @property
    def next_command(self) -> str:
        """What to type once there are photographs."""
        return f"clipft prepare {quoted(self.data_dir.as_posix())}"

    def to_json(self) -> dict[str, Any]:
        """Everything, as plain values."""
        return {
            "data_dir": self.data_dir.as_posix(),
            "classes": [asdict(info) for info in self.classes],
            "next_command": self.next_command,
        }


def write_skeleton(root: Path, classes: str | None, num_classes: int | None) -> SkeletonResult:
    """train/, val/ and test/ with a folder a class, README.md and classes.txt.

    Raises ConfigError for class names that do not do, DataError where the folder holds something already.
    """
    names = _named(classes) if classes is not None else drawn_classes(num_classes)
    if len(names) < 2:
        raise ConfigError("a skeleton needs at least two classes", hint="--classes cat,dog or --num-classes 10")
    if root.exists() and not root.is_dir():
        raise DataError(f"{root}: a file stands where the data folder should be", hint="choose another --output-dir")
    if root.is_dir() and any(root.iterdir()):
        raise DataError(f"{root}: is not empty", hint="choose another --output-dir")
    infos = [ClassInfo(name, words) for name, words in zip(names, readable_names(names), strict=True)]
    listed = "\n".join(f'- {markdown_text(info.name)}: "{markdown_text(info.readable)}"' for info in infos)
    title = f"# {markdown_text(root.resolve().name)}\n\nFolders for {len(infos)} classes, no images yet."
    try:
        for split in SPLITS:
            for folder in class_folders(infos):
                (root / split / folder).mkdir(parents=True, exist_ok=True)
        write_text(root / CLASSES_FILE, classes_text(infos))
        write_readme(root, f"{title}\n\n{listed}\n\n{HOW_TO}")
    except OSError as error:
        raise ResourceError(
            f"{root}: cannot be written to: {error.strerror}", hint="choose another --output-dir"
        ) from None
    return SkeletonResult(root, infos)


def _named(classes: str) -> list[str]:
    names = [class_name(part.strip()) for part in classes.split(",") if part.strip()]
    if len(set(names)) < len(names):
        raise ConfigError(f"--classes {classes}: a class is named twice")
    return names
