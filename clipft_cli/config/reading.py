"""How images that nobody prepared are read: where their classes stand, and which of them count."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from .base import Config


class ReadOptions(Config):
    """How images that nobody prepared are read; guessed where nothing is said."""

    WORD_NONE: ClassVar = frozenset({"label_column", "split_column"})

    include: tuple[str, ...] = Field((), description="Only these classes (globs).")
    exclude: tuple[str, ...] = Field((), description="Leave these classes out (globs).")
    merge: tuple[str, ...] = Field(
        (),
        description="Classes that are one: FROM=INTO; alike: all whose names differ in letter case, blanks or the way"
        " a number is written only; none: keep those apart.",
    )
    min_size: int = Field(1, ge=1, description="Leave images out whose shorter side has fewer pixels.")
    paths: str | None = Field(
        None,
        description="Where class, split and group stand in the path of an image, as '{split}/*/{class}/{group}_*.jpg'"
        r" or with an expression, '{class}/{group:clip\d+}*'; none: guessed.",
    )
    image_column: str | None = Field(None, description="Column of a table that names the image; none: guessed.")
    label_column: str | None = Field(
        None,
        description="Column of a table that holds the class, or columns of 0 and 1 as a,b,c; the word none: the folder"
        " of each image; none: guessed.",
    )
    split_column: str | None = Field(
        None, description="Column of a table that holds the split; none: no column does; null: guessed."
    )
    split_lists: str | None = Field(
        None,
        description="Files below SOURCE that list the images of each split, as 'meta/{split}.txt'; none: found, where"
        " the source gives no splits otherwise.",
    )
    given_splits: Literal["keep", "ignore"] = Field(
        "keep", description="Whether train, val and test stay as the source gives them, or all images are divided anew."
    )
    image_root: Path | None = Field(
        None, description="Folder below which the images of a table lie; none: below the table's own folder."
    )
    encoding: str | None = Field(
        None, description="Encoding of a table's text, or of the names in a zip (gb18030, cp932, ...); none: found out."
    )

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            b"".decode(codecs.lookup(value).name)
        except LookupError:
            raise ValueError(f"'{value}' is no text encoding; such are utf-8, cp1252, gb18030, cp932, big5") from None
        return value

    @field_validator("merge", mode="before", json_schema_input_type=str | tuple[str, ...])
    @classmethod
    def _one_wish_is_a_list(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("merge")
    @classmethod
    def _merge_names_two(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for wish in value:
            if wish not in ("alike", "none") and "=" not in wish:
                raise ValueError(f"'{wish}' should be FROM=INTO, alike or none")
        if {"alike", "none"} <= set(value):
            raise ValueError("alike and none contradict each other")
        return value
