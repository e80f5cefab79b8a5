"""Which images, how many at a time, and what is done to them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidatorFunctionWrapHandler, field_validator

from .base import Config, in_range

AugmentationName = Literal["none", "crop", "standard", "strong"]
BalanceName = Literal["none", "sampler", "loss"]
ResizeName = Literal["auto", "crop", "pad", "squash"]
SplitName = Literal["train", "val", "test"]
TemplateSet = Literal["auto", "short", "photos", "drawings"]


class DataConfig(Config):
    """The prepared data set and how it is fed to the model."""

    dir: Path = Field(Path("data/dogs"), description="Folder that `clipft prepare` wrote.")
    batch_size: int = Field(32, ge=1, le=65536, description="Images in one micro-batch.")
    eval_batch_size: int | None = Field(
        None, ge=1, description="Images in one batch without gradients; none: twice batch_size."
    )
    num_workers: int | Literal["auto"] = Field(
        "auto", description="Threads that decode images; auto: one a core, 16 at most."
    )
    resize: ResizeName = Field(
        "auto",
        description="How an image that is not square becomes the model's square, in training and ever after. crop: its"
        " middle, the ends are lost; pad: all of it, with bars; squash: all of it, distorted; auto: as the pretrained"
        " model does, in most cases crop.",
    )
    augmentation: AugmentationName = Field(
        "standard",
        description="none: the validation transform; crop: CLIP's own, a random square of the resized image, and flip;"
        " standard: crops of random size and shape, and flip; strong: colour and erasing too.",
    )
    crop_scale_min: float = Field(0.5, gt=0, le=1, description="Smallest share of the area a random crop keeps.")
    horizontal_flip: bool = Field(True, description="Mirror half of the training images.")
    class_balance: BalanceName = Field(
        "none",
        description="sampler: draw rare classes more often; loss: weigh them more. With either, a linear probe weighs"
        " them too, and val chooses by balanced accuracy unless training.select_by is given.",
    )
    fraction: float = Field(1.0, gt=0, le=1, description="Share of the training images used, drawn per class.")
    few_shot: int | None = Field(None, ge=1, description="Training images a class, drawn by seed; none: all.")
    image_cache_gb: float = Field(
        8.0,
        ge=0,
        description="Room for decoded images, in GiB: in a file of the user's cache folder, which later epochs and runs"
        " read, or in memory where they are few or that folder cannot be written; 0: decode at every use.",
    )
    templates: TemplateSet | Annotated[tuple[str, ...], Field(min_length=1)] = Field(
        "auto",
        description="Prompts that turn a class name into text, each with one {}; or a named set of them.",
    )
    max_bad_share: float = Field(0.01, ge=0, le=1, description="Share of unreadable images above which a run stops.")

    @property
    def is_subset(self) -> bool:
        """Whether only some of the training images are used."""
        return self.few_shot is not None or self.fraction < 1

    @field_validator("num_workers", mode="wrap")
    @classmethod
    def _workers_in_range(cls, value: Any, parse: ValidatorFunctionWrapHandler) -> int | str:
        return in_range(parse, value, "a whole number between 0 and 256, or auto", 0, 256)

    @field_validator("templates")
    @classmethod
    def _one_placeholder_each(cls, value: TemplateSet | tuple[str, ...]) -> TemplateSet | tuple[str, ...]:
        if not isinstance(value, str):
            for template in value:
                if template.count("{}") != 1 or template.count("{") != 1 or template.count("}") != 1:
                    raise ValueError(f"template {template!r} needs exactly one {{}} for the class name")
        return value
