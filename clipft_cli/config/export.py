"""What `clipft export` writes, where, and what an export must keep to be called one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from .base import Config
from .data import DataConfig

FormatName = Literal["safetensors", "open_clip", "onnx", "hf", "peft", "page"]
GraphName = Literal["int8", "fp32"]
Graph = Annotated[
    GraphName | None,
    Field(description="Graph of an ONNX export that answers: int8 or fp32; none: int8 where it is there."),
]


class ExportOptions(Config):
    """What a fine-tuned model is written as, and how close its answers must stay."""

    checkpoint: Path | None = Field(None, description="Run, checkpoint or pointer; none: newest finished run's best.")
    base: Path | None = Field(
        None,
        description="File of the base model's weights, for a checkpoint without its tower; none: it is looked for.",
    )
    to: FormatName = Field("onnx", description="Format to write: onnx, page, hf, peft, open_clip or safetensors.")
    output_dir: Path | None = Field(None, description="Folder of the export; none: export-FORMAT inside the run.")
    data_dir: Path | None = Field(
        None, description="Data set whose val images the export is checked on; none: the one the run was trained on."
    )
    images: int | None = Field(
        128, ge=1, description="Images of val that the export is checked on; none (or all): every one of them."
    )
    max_difference: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Largest difference of a probability that an exact export may show; none: the format's own bound.",
    )
    runtime: Path | None = Field(
        None, description="Folder with the files of onnxruntime-web (its dist), which a page contains."
    )
    int8: bool = Field(False, description="Add graphs with eight-bit weights, measured on val beside the others.")
    min_agreement: float = Field(
        0.97, ge=0, le=1, description="Share of images on which eight-bit weights must give the same answer."
    )
    force: bool = Field(False, description="Keep eight-bit weights that agree less, or were not measured on val.")
    with_sample: bool = Field(False, description="Add one image of the test split, as sample/.")

    @field_validator("images", mode="before", json_schema_input_type=int | Literal["all"] | None)
    @classmethod
    def _all_is_none(cls, value: object) -> object:
        return None if value == "all" else value


class ExportConfig(Config):
    """The slice of the file that `clipft export` takes."""

    seed: int = Field(0, ge=0, le=2**32 - 1, description="Seed for everything random.")
    export: ExportOptions = ExportOptions()
    data: DataConfig = DataConfig()
