"""What a run was trained in is what it is measured and used in, by whichever command."""

from __future__ import annotations

import pytest
import torch

from clipft_cli.config.evaluate import EvaluateConfig
from clipft_cli.config.load import load_config
from clipft_cli.config.model import HardwareConfig
from clipft_cli.config.predict import PredictConfig
from clipft_cli.engine.evaluate import evaluate
from clipft_cli.engine.load import load
from clipft_cli.engine.model.precision import choose_precision
from clipft_cli.engine.predict import predict
from clipft_cli.engine.run_dir import find_checkpoint
from clipft_cli.engine.train import train

USUAL = choose_precision("auto", torch.device("cpu")).name


class Sink:
    """Takes what it is given."""

    def begin(self, top_k: int) -> None: ...

    def add(self, prediction: object) -> None: ...


@pytest.mark.parametrize(
    ("trained", "asked", "used"), [("no", "auto", "fp32"), ("no", "bf16", "bf16"), ("auto", "auto", USUAL)]
)
def test_a_run_is_measured_and_used_as_it_was_trained(tiny, tmp_path, trained, asked, used):
    run = train(tiny.config("zero_shot", tmp_path / "run", {"hardware.mixed_precision": trained}), lambda event: None)
    hardware = {"hardware.device": "cpu", "hardware.mixed_precision": asked}
    flags = {"evaluate.checkpoint": run.run_dir, "evaluate.output_dir": tmp_path / "out", **hardware}
    assert evaluate(load_config(EvaluateConfig, flags=flags)).facts["precision"] == used
    config = load_config(PredictConfig, flags={"predict.checkpoint": run.run_dir, **hardware})
    assert predict(config, [str(next(tiny.data.glob("test/*/*.png")))], Sink()).precision == used
    options = HardwareConfig(device="cpu", mixed_precision=asked)
    assert f" {used}>" in repr(load(find_checkpoint(run.run_dir), options))
