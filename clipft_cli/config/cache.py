"""What is computed once and read afterwards, and how much room it may take."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from .base import Config


class CacheConfig(Config):
    """The output of frozen layers, kept while they stay frozen; the features a run starts from, kept between runs."""

    enabled: bool | Literal["auto"] = Field(
        "auto",
        description="Compute what lies below the lowest layer that trains once, and read it in every epoch;"
        " auto: where it is read more than once; true: wherever it can be kept; false: never.",
    )
    views: int | None = Field(
        None,
        ge=1,
        description="While lower layers are frozen, epoch e trains on fixed augmented view e mod n of each image,"
        " so that augmented images can be kept too; none: ever new ones.",
    )
    max_gb: float = Field(
        8.0,
        ge=0,
        description="GiB that one stage may keep, in memory or in a file of the run directory.",
    )
    features_gb: float = Field(
        2.0,
        ge=0,
        description="Room for the pretrained model's features of whole data sets, in GiB, in a folder that later runs"
        " read; the longest unused go first; 0: none are kept.",
    )
    dir: Path | None = Field(
        None,
        description="Folder in which `clipft-features` is made for them; none: a part of the user's cache folder."
        " No other file in it is looked at or removed.",
    )
