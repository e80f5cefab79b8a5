"""The contract of a source: all that the rest of clipft knows of a kind of source."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...config.prepare import PrepareConfig, PrepareOptions
from ...errors import Answer, Question
from ..labels.folder_names import folder_name
from .listing import Listing
from .same_again import answered, same_again

OnProgress = Callable[[str, int, int | None], None]
"""Stage, how much of it is done, of how much; None where that is not known."""


@dataclass(frozen=True)
class SourceRequest:
    """What a source is read with. `work` is emptied afterwards, `downloads` stays."""

    options: PrepareOptions
    seed: int
    work: Path
    downloads: Path
    on_progress: OnProgress

    @property
    def text(self) -> str:
        """SOURCE as it was given; empty where none was."""
        return self.options.source or ""

    @property
    def path(self) -> Path:
        """SOURCE as a path."""
        return Path(self.text)

    def again(self, *more: str) -> str:
        """The command that reads this source again with `more` said, to be pasted."""
        return same_again(PrepareConfig(seed=self.seed, prepare=self.options), *more)

    def question(self, asks: str, answers: Sequence[Answer]) -> Question:
        """What is asked where there are several readings, with the command that asks for each."""
        config = PrepareConfig(seed=self.seed, prepare=self.options)
        return Question(asks, answers, [same_again(answered(config, answer.settings)) for answer in answers])


def last_part(text: str) -> str:
    """The last part of SOURCE, as the name of a folder: `hf:owner/pets` gives `pets`."""
    return folder_name(text.removeprefix("hf:").rpartition("/")[2])


def as_given(text: str) -> str:
    """SOURCE itself."""
    return text


def whole_path(text: str) -> str:
    """SOURCE as a path that means the same from every folder."""
    return str(Path(text).resolve())


def unknown_before_reading(options: PrepareOptions) -> None:
    """Nothing: the images are known once they have been read."""


@dataclass(frozen=True)
class Source:
    """A kind of source. What it says about itself is asked here, and nowhere by its name.

    `evidence` says in words why SOURCE (empty: none was given) is of this kind, and is empty where it is not; the
    first kind of the registry that has evidence reads it. `read` gives every image with its class, and raises
    ClipftError of the kind of what is wrong. `words` is how the help of SOURCE names the kind.
    """

    name: str
    words: str
    evidence: Callable[[str], str]
    read: Callable[[SourceRequest], Listing]
    data_folder: Callable[[str], str] = last_part
    """SOURCE -> the folder under data/ for its data set."""
    origin: Callable[[str], str] = as_given
    """SOURCE -> what dataset.json says the images came from."""
    content: Callable[[PrepareOptions], Sequence[str] | None] = unknown_before_reading
    """What the images will be, one text each or for all of them, where that is known without reading; else None."""
    images_may_stay: bool = False
    """Whether the images are a person's own files, which `--in-place` can leave where they are."""
    has_paths: bool = False
    """Whether images are told by the folders they lie in, so that `--paths` says where class and split stand."""
    is_folder: bool = False
    """Whether SOURCE is the folder that holds the images, so that a data set can be made of it where it lies."""
