"""The file, and the slice of it that each command takes."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from .base import Config
from .cache import CacheConfig
from .data import DataConfig, SplitName
from .export import ExportOptions
from .methods import CONTRASTIVE_METHODS, METHOD_FACTS, LinearProbeConfig, LoraConfig, MethodName
from .model import HardwareConfig, ModelConfig
from .optim import CheckpointConfig, TrainingConfig, seconds_of

CorrectionName = Literal["holm", "none"]
_PICTURES = frozenset((".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".avif"))
OutputFormat = Literal["table", "json", "jsonl", "csv", "txt"]
WRITTEN_AS: dict[str, OutputFormat] = {
    ".txt": "txt",
    ".csv": "csv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".log": "txt",
    "": "txt",
}
"""The form of predictions that each suffix of `predict.output` stands for."""


class PrepareOptions(Config):
    """Where images come from and how they are split."""

    WORD_NONE: ClassVar = frozenset({"label_column", "split_column", "group_column"})

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
    include: tuple[str, ...] = Field((), description="Only these classes (globs).")
    exclude: tuple[str, ...] = Field((), description="Leave these classes out (globs).")
    merge: tuple[str, ...] = Field(
        (),
        description="Classes that are one: FROM=INTO; alike: all whose names differ in letter case, blanks or the way"
        " a number is written only; none: keep those apart.",
    )
    min_per_class: int | None = Field(
        None,
        ge=1,
        description="Leave classes of fewer different images out, and keep others even where val and test get none;"
        " none: refuse classes too small to be split.",
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
    given_splits: Literal["keep", "ignore"] = Field(
        "keep", description="Whether train, val and test stay as the source gives them, or all images are divided anew."
    )
    burst_seconds: float | None = Field(
        None,
        gt=0,
        description="Images that one camera took within so many seconds, as their EXIF says, stay in one split;"
        " none: not looked at.",
    )
    image_root: Path | None = Field(
        None, description="Folder below which the images of a table lie; none: below the table's own folder."
    )
    encoding: str | None = Field(
        None, description="Encoding of a table's text, or of the names in a zip (gb18030, cp932, ...); none: found out."
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

    @field_validator("merge", "holdout_column", mode="before", json_schema_input_type=str | tuple[str, ...])
    @classmethod
    def _one_is_a_list(cls, value: object) -> object:
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


class EvaluateOptions(Config):
    """What is measured, and on which images."""

    checkpoint: Path | None = Field(None, description="Run, checkpoint or pointer; none: newest finished run's best.")
    base: Path | None = Field(
        None,
        description="File of the base model's weights, for a checkpoint without its tower; none: it is looked for.",
    )
    split: SplitName = Field("test", description="Images to measure on.")
    data_dir: Path | None = Field(
        None,
        description="Data set, or labelled images that were never prepared (a folder a class, a table, an archive);"
        " none: the data set that the run was trained on.",
    )
    output_dir: Path | None = Field(None, description="Where reports go; none: inside the run.")
    zero_shot: bool = Field(False, description="Measure the pretrained model as it is.")
    batch_size: int | None = Field(None, ge=1, description="Images in one batch; none: 64 on a CPU, 256 elsewhere.")


class PredictOptions(Config):
    """What is shown for each image."""

    checkpoint: Path | None = Field(None, description="Run, checkpoint or pointer; none: newest finished run's best.")
    base: Path | None = Field(
        None,
        description="File of the base model's weights, for a checkpoint without its tower; none: it is looked for.",
    )
    top_k: int = Field(5, ge=1, description="Classes shown for each image.")
    threshold: float | None = Field(None, ge=0, le=1, description="Below this probability the answer is 'unknown'.")
    format: OutputFormat = Field("table", description="How results are written.")
    output: Path | None = Field(None, description="File the results are written to.")
    batch_size: int = Field(32, ge=1, description="Images in one batch.")

    @field_validator("output")
    @classmethod
    def _never_over_a_picture(cls, value: Path | None) -> Path | None:
        if value is not None and value.suffix.lower() in _PICTURES:
            raise ValueError(f"'{value.name}' is an image's name; results go to .txt, .csv, .json or .jsonl")
        return value

    @model_validator(mode="after")
    def _suffix_says_what_is_written(self) -> PredictOptions:
        suffix = self.output.suffix.lower() if self.output else ""
        if self.output and suffix not in WRITTEN_AS and "format" not in self.model_fields_set:
            known = ", ".join(name for name in WRITTEN_AS if name)
            raise ValueError(
                f"'{self.output.name}': nothing is known to be written as {suffix} ({known} are; or say --format)"
            )
        return self


class CompareOptions(Config):
    """What is compared, and what may be trained for it."""

    names: tuple[str, ...] = Field((), description="Methods and run directories; zero_shot and linear_probe are added.")
    seeds: int = Field(1, ge=1, le=100, description="Number of seeds each method is trained with.")
    budget: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="Time limit for everything that is trained (30m, 2h, 90s); none: no limit.",
    )
    split: SplitName = Field(
        "test", description="Images to compare on; val has chosen every run's epoch and is refused."
    )
    no_train: bool = Field(False, description="Train nothing: refuse where a finished run is missing.")
    output_dir: Path | None = Field(
        None, description="Where the comparison goes: an empty or new folder; none: outputs/compare."
    )
    retention: Path | None = Field(
        None, description="Second prepared data set: how much of the zero-shot skill on it is left after training."
    )
    correction: CorrectionName = Field(
        "holm", description="holm: p-values adjusted for all pairs looked at (Holm 1979); none: as they are."
    )
    batch_size: int | None = Field(None, ge=1, description="Images in one batch; none: 64 on a CPU, 256 elsewhere.")

    _budget = field_validator("budget", mode="before", json_schema_input_type=float | str | None)(seconds_of)

    @field_validator("names", mode="before", json_schema_input_type=str | tuple[str, ...])
    @classmethod
    def _one_name_is_a_list(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("split")
    @classmethod
    def _images_that_chose_nothing(cls, value: SplitName) -> SplitName:
        if value == "train":
            raise ValueError("these images were trained on, which compares nothing; use test")
        if value == "val":
            raise ValueError("val has chosen epoch, mix and temperature of every run, it is no judge of them; use test")
        return value


class PrepareConfig(Config):
    """The slice of the file that `clipft prepare` takes."""

    seed: int = Field(0, ge=0, le=2**32 - 1, description="Seed for everything random.")
    prepare: PrepareOptions = PrepareOptions()


class TrainConfig(Config):
    """The slice of the file that `clipft train` takes."""

    preset: str | None = Field(None, description="Named set of starting values; none: the method's own.")
    method: MethodName = Field("full", description="How to fine-tune: full, lora, qlora, linear_probe or zero_shot.")
    seed: int = Field(0, ge=0, le=2**32 - 1, description="Seed for everything random.")
    output_dir: Path | None = Field(None, description="Run directory, empty or new; none: outputs/METHOD, numbered.")
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    training: TrainingConfig = TrainingConfig()
    lora: LoraConfig = LoraConfig()
    linear_probe: LinearProbeConfig = LinearProbeConfig()
    hardware: HardwareConfig = HardwareConfig()
    cache: CacheConfig = CacheConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()

    @model_validator(mode="after")
    def _objective_is_built(self) -> TrainConfig:
        if self.training.objective != "contrastive":
            return self
        if not METHOD_FACTS[self.method].may_be_contrastive:
            built = " and ".join(CONTRASTIVE_METHODS)
            raise ValueError(f"training.objective: contrastive is built for {built}, not for {self.method}")
        if self.model.head == "linear" or self.model.head_start == "probe":
            raise ValueError(
                "training.objective: contrastive has a cosine head made of the class prompts:"
                " model.head must be cosine or auto, model.head_start text or auto"
            )
        return self

    @model_validator(mode="after")
    def _balance_is_chosen_by(self) -> TrainConfig:
        """Who asks for balance gets it where val decides, too, unless `select_by` was given."""
        if self.data.class_balance != "none" and "select_by" not in self.training.model_fields_set:
            chosen = self.training.model_copy(update={"select_by": "balanced_accuracy"})
            object.__setattr__(self, "training", chosen)  # the config is frozen once it is made
        return self

    @property
    def trains_text(self) -> bool:
        """Whether the text tower trains too."""
        return self.training.objective == "contrastive"

    @property
    def must_probe(self) -> bool:
        """Whether a linear probe was asked for, as the start or as the result."""
        return METHOD_FACTS[self.method].start_from_probe == "must" or self.model.head_start == "probe"

    @property
    def wants_probe(self) -> bool:
        """Whether a linear probe is fitted."""
        if METHOD_FACTS[self.method].start_from_probe == "never" or self.trains_text:
            return False
        return self.must_probe or (self.model.head_start == "auto" and self.model.head != "cosine")


class EvaluateConfig(Config):
    """The slice of the file that `clipft evaluate` takes."""

    seed: int = Field(0, ge=0, le=2**32 - 1, description="Seed for everything random.")
    evaluate: EvaluateOptions = EvaluateOptions()
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    hardware: HardwareConfig = HardwareConfig()


class PredictConfig(Config):
    """The slice of the file that `clipft predict` takes."""

    predict: PredictOptions = PredictOptions()
    hardware: HardwareConfig = HardwareConfig()


class ExportConfig(Config):
    """The slice of the file that `clipft export` takes."""

    seed: int = Field(0, ge=0, le=2**32 - 1, description="Seed for everything random.")
    export: ExportOptions = ExportOptions()
    data: DataConfig = DataConfig()


class CompareConfig(Config):
    """The slice of the file that `clipft compare` takes; each method's TrainConfig is built from the same file."""

    seed: int = Field(0, ge=0, le=2**32 - 1, description="Seed for everything random.")
    compare: CompareOptions = CompareOptions()
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    hardware: HardwareConfig = HardwareConfig()


class FileConfig(TrainConfig):
    """The whole of one file: every command's slice. A mistake anywhere in it is found by every command."""

    prepare: PrepareOptions = PrepareOptions()
    evaluate: EvaluateOptions = EvaluateOptions()
    predict: PredictOptions = PredictOptions()
    compare: CompareOptions = CompareOptions()
    export: ExportOptions = ExportOptions()
