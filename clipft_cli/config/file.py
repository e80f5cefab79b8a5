"""The whole of one clipft.yaml: the slice of every command."""

from __future__ import annotations

from .compare import CompareOptions
from .evaluate import EvaluateOptions
from .export import ExportOptions
from .predict import PredictOptions
from .prepare import PrepareOptions
from .serve import ServeOptions
from .train import TrainConfig


class FileConfig(TrainConfig):
    """The whole of one file: every command's slice. A mistake anywhere in it is found by every command."""

    prepare: PrepareOptions = PrepareOptions()
    evaluate: EvaluateOptions = EvaluateOptions()
    predict: PredictOptions = PredictOptions()
    compare: CompareOptions = CompareOptions()
    export: ExportOptions = ExportOptions()
    serve: ServeOptions = ServeOptions()
