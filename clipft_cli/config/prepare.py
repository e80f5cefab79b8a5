"""What `clipft prepare` takes: where the images come from and how they are split."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import Field, field_validator, model_validator

from .base import Config
from .reading import ReadOptions


class PrepareOptions(ReadOptions):
    """Where images come from and how they are split."""

    WORD_NONE: ClassVar = ReadOptions.WORD_NONE | {"group_column"}

    source: str | None = Field(
        None,
        description="Folder, folder with a table, CSV, JSONL, Parquet, zip, tar,"
        " COCO, Label Studio, VIA, FiftyOne, CVAT, JSON, lists of `path label`, WebDataset, npz,"
        " stanford-dogs, oxford-pets or hf:owner/name; none: drawn dogs.",
    )
    output_dir: Path | None = Field(None, description="Where the data set is written; none: data/NAME.")
    num_classes: int | None = Field(None, ge=1, description="Keep the first N classes.")
    samples_per_class: int | None = Field(None, ge=1, description="Keep at most N images of each class.")
    split: tuple[float, float, float] = Field(
        (0.7, 0.15, 0.15), description="Shares of train, val and test, as 0.7/0.15/0.15; 0/0/1: all for measuring."
    )
    min_per_class: int | None = Field(
        None,
        ge=1,
        description="Leave classes of fewer different images out, and keep others even where val and test get none;"
        " none: refuse classes too small to be split.",
    )
    group_column: str | None = Field(
        None,
        description="Column of a table whose rows with one value stay in one split (a patient, a clip);"
        " none: no column does; null: no groups.",
    )
    holdout_column: tuple[str, ...] = Field(
        (),
        description="COLUMN=VALUE of a table: all rows of that value, and they alone, are test (a hospital, a year);"
        " several values of one column are given one by one.",
    )
    burst_seconds: float | None = Field(
        None,
        gt=0,
        description="Images that one camera took within so many seconds, as their EXIF says, stay in one split;"
        " none: not looked at.",
    )
    archive: Path | None = Field(None, description="A local copy of the archive, used in place of a download.")
    near_duplicate_distance: int | None = Field(
        4,
        ge=0,
        le=16,
        description="Bits two perceptual hashes of 64 may differ by and still be one picture, turned or not;"
        " none: only equal files are copies.",
    )
    in_place: bool = Field(False, description="Write a manifest over the images where they are; copy nothing.")

    @field_validator("split", mode="before", json_schema_input_type=str | tuple[float, float, float])
    @classmethod
    def _parse_split(cls, value: object) -> object:
        if isinstance(value, str):
            value = tuple(part.strip() for part in value.replace(",", "/").split("/"))
        try:
            shares = tuple(float(share) for share in value)  # type: ignore[attr-defined]
        except (TypeError, ValueError):
            shares = ()
        if len(shares) != 3:
            raise ValueError("split must be three shares that add up to 1, such as 0.7/0.15/0.15")
        return shares

    @field_validator("holdout_column", mode="before", json_schema_input_type=str | tuple[str, ...])
    @classmethod
    def _one_is_a_list(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _split_is_whole(self) -> PrepareOptions:
        train, val, test = self.split
        if min(self.split) < 0 or abs(train + val + test - 1) > 1e-6:
            raise ValueError("split must be three shares that add up to 1, such as 0.7/0.15/0.15")
        if test < 1 and (train == 0 or val == 0):
            raise ValueError(
                "split needs a share above 0 for train and for val (val chooses the best epoch),"
                " or 0/0/1 for a set that is for measuring only"
            )
        return self


class PrepareConfig(Config):
    """The slice of the file that `clipft prepare` takes."""

    seed: int = Field(0, ge=0, le=2**32 - 1, description="Seed for everything random.")
    prepare: PrepareOptions = PrepareOptions()
