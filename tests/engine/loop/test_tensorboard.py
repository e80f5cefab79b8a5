"""What stands in TensorBoard is text: names of classes and files are shown, and do nothing."""

from __future__ import annotations

from dataclasses import replace

import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny_world import write_colours

from clipft_cli.engine.events import Group
from clipft_cli.engine.images.dataset import ImageDataset
from clipft_cli.engine.images.transforms import Preprocess
from clipft_cli.engine.labels.class_names import ClassInfo
from clipft_cli.engine.loop.tensorboard import TensorBoard
from clipft_cli.engine.optim.groups import by_rate
from clipft_cli.engine.optim.unfreeze import UnfreezePlan
from clipft_cli.engine.run_dir import RunDir

EVIL = "<script>alert(1)</script>[x](javascript:alert(2))"


def test_names_are_no_html_and_no_links(tmp_path):
    manifest = write_colours(tmp_path / "colours", {"val": 1})
    manifest = replace(manifest, classes=(ClassInfo("evil", EVIL), *manifest.classes[1:]))
    dataset = ImageDataset(manifest, manifest.split("val"), Preprocess((32, 32), (0.5,) * 3, (0.5,) * 3))
    with TensorBoard(RunDir(tmp_path), 0) as board:
        board.add_mistakes(dataset, torch.tensor([[0.0, 9.0, 0.0]] * 3), 1)
    events = EventAccumulator(str(tmp_path)).Reload()
    (text,) = events.Tensors("val/misclassified/text_summary")
    (shown,) = text.tensor_proto.string_val
    assert b"&lt;script&gt;alert(1)&lt;/script&gt;\\[x\\](javascript:alert(2)) taken for" in shown
    assert b"<script>" not in shown


def test_only_rates_that_differ_have_a_curve():
    def group(name: str, layer: int, rate: float) -> Group:
        return Group(name, layer, (), 1, rate, 0.0)

    even = [group("block.0", 0, 1e-3), group("block.0/no_decay", 0, 1e-3), group("classifier", 1, 1e-3)]
    assert by_rate(even, UnfreezePlan((0, 0))) == {"block.0 to classifier": 0}
    assert by_rate(even, UnfreezePlan((2, 0))) == {"block.0": 0, "classifier": 2}
    assert by_rate([even[0], group("classifier", 1, 2e-3)], UnfreezePlan((0, 0))) == {"block.0": 0, "classifier": 1}
