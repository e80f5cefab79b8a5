"""What is measured is what was chosen."""

from __future__ import annotations

from clipft_cli.config.evaluate import EvaluateConfig
from clipft_cli.config.load import load_config
from clipft_cli.engine.checkpoint.measurable import measurable_model
from clipft_cli.engine.checkpoint.subject import choose_subject
from clipft_cli.engine.manifest import read_manifest
from clipft_cli.engine.run_dir import CHECKPOINT_FILE
from clipft_cli.engine.train import train


def test_the_card_of_what_is_measured_is_read_once(tiny, tmp_path):
    run = train(tiny.config("zero_shot", tmp_path / "run", {}), lambda event: None)
    config = load_config(EvaluateConfig, flags={"evaluate.checkpoint": run.run_dir, "hardware.device": "cpu"})
    subject = choose_subject(config)
    (run.checkpoint / CHECKPOINT_FILE).write_text("{}")  # read again, it would be refused
    model = measurable_model(subject, config, read_manifest(tiny.data))
    assert model.facts["method"] == "zero_shot"
    assert [info.name for info in model.classes] == [info.name for info in read_manifest(tiny.data).classes]
