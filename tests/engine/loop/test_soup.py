"""The greedy soup: never worse on val than the best epoch, and of adapters the mean of what they do."""

from __future__ import annotations

import json

import pytest
import torch
from tiny_world import read_metrics

from clipft_cli.engine.checkpoint.load import load_classifier
from clipft_cli.engine.events import Note
from clipft_cli.engine.loop.soup import averaged, greedy_soup, has_soup
from clipft_cli.engine.metrics.val import ValMetrics
from clipft_cli.engine.train import train

WEIGHTS = {epoch: {"w": torch.tensor([float(epoch)])} for epoch in (1, 2, 3, 4)}


def metrics(top1: float, loss: float = 1.0) -> ValMetrics:
    return ValMetrics(loss=loss, top1=top1)


def soup_of(epochs: list[int], value_of: dict[float, ValMetrics], best: ValMetrics):
    return greedy_soup(epochs, WEIGHTS.__getitem__, best, lambda mix: value_of[float(mix["w"])], "top1")


def test_an_epoch_that_helps_stays_and_one_that_does_not_is_left_out():
    # 2 alone 0.5; with 4 (mean 3) 0.6; with 1 as well (mean 7/3) 0.55; with 3 in its place (mean 3) 0.6
    value_of = {3.0: metrics(0.6), float(torch.tensor(7 / 3)): metrics(0.55)}
    soup, weights = soup_of([2, 4, 1, 3], value_of, metrics(0.5))
    assert soup.epochs == (2, 4, 3)
    assert soup.tried == ((2, 0.5), (4, 0.6), (1, 0.55), (3, 0.6))
    assert float(weights["w"]) == 3.0
    assert soup.sentence("top1") == (
        "soup of the best epochs, top1 on val: epoch 2 alone 0.500, with 4 0.600, with 1 0.550 (left out), with 3 0.600"
    )


@pytest.mark.parametrize(("loss", "epochs"), [(0.9, (2, 4)), (1.1, (2,))])
def test_between_equals_the_lower_loss_decides(loss, epochs):
    soup, _ = soup_of([2, 4], {3.0: metrics(0.5, loss)}, metrics(0.5, 1.0))
    assert soup.epochs == epochs


def test_the_best_alone_is_kept_where_nothing_helps():
    soup, weights = soup_of([2, 4, 1], {3.0: metrics(0.4), 1.5: metrics(0.3)}, metrics(0.5))
    assert soup.epochs == (2,)
    assert weights is WEIGHTS[2]


def adapters(seed: int, r: int = 2) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    down, up = torch.randn(r, 5, generator=generator), torch.randn(7, r, generator=generator)
    return {"adapters.q.lora_A": down, "adapters.q.lora_B": up, "head.weight": torch.full((3,), float(seed))}


def product(weights: dict[str, torch.Tensor]) -> torch.Tensor:
    return weights["adapters.q.lora_B"] @ weights["adapters.q.lora_A"]


def test_of_adapters_the_products_are_averaged_and_not_the_factors():
    """Two factorisations of one product: their mean is that product, whatever the factors are."""
    one = adapters(1)
    turn = torch.tensor([[0.0, -2.0], [0.5, 0.0]])
    same = {
        **one,
        "adapters.q.lora_A": torch.linalg.inv(turn) @ one["adapters.q.lora_A"],
        "adapters.q.lora_B": one["adapters.q.lora_B"] @ turn,
    }
    torch.testing.assert_close(product(averaged([one, same])), product(one))


def test_the_mean_of_adapters_is_the_nearest_of_their_rank():
    some = [adapters(seed) for seed in (1, 2, 3)]
    mean = torch.stack([product(one) for one in some]).mean(dim=0)
    u, lengths, v = torch.linalg.svd(mean, full_matrices=False)
    soup = averaged(some)
    torch.testing.assert_close(product(soup), u[:, :2] * lengths[:2] @ v[:2], rtol=1e-4, atol=1e-5)
    assert {name: value.shape for name, value in soup.items()} == {name: v.shape for name, v in some[0].items()}
    assert float(soup["head.weight"][0]) == 2.0


def test_a_rank_above_the_matrix_loses_nothing():
    some = [adapters(seed, r=9) for seed in (1, 2)]
    mean = (product(some[0]) + product(some[1])) / 2
    torch.testing.assert_close(product(averaged(some)), mean, rtol=1e-4, atol=1e-4)


def test_dora_has_no_soup():
    assert has_soup(["adapters.q.lora_A", "head.weight"])
    assert not has_soup(["adapters.q.lora_A", "adapters.q.magnitude"])


@pytest.mark.parametrize("method", ["full", "lora"])
def test_a_run_keeps_what_val_agrees_with_and_says_so(tiny, tmp_path, method):
    notes: list[str] = []

    def listen(event: object) -> None:
        if isinstance(event, Note):
            notes.append(event.text)

    settings = {"training.num_epochs": 4, "training.learning_rate": 3e-3, "model.head_start": "text"}
    settings |= {"training.ema.enabled": False, "data.batch_size": 12}
    result = train(tiny.config(method, tmp_path / method, settings), listen)
    values = {line["epoch"]: line["val_top1"] for line in read_metrics(result.run_dir) if line["epoch"] > 0}
    summary = json.loads((result.run_dir / "summary.json").read_text())
    soup = summary["soup"]
    assert soup["tried"][0] == [result.soup.epochs[0], max(values.values())]
    assert len(soup["tried"]) == 3
    assert set(soup["epochs"]) <= {epoch for epoch, _ in soup["tried"]}
    assert dict(result.alpha_curve)[1.0] >= max(values.values())
    assert any(text.startswith("soup of the best epochs, top1 on val: epoch") for text in notes)
    assert (result.checkpoint == result.run_dir / "checkpoint-final") == (len(soup["epochs"]) > 1 or result.alpha < 1)
    assert load_classifier(result.checkpoint, torch.device("cpu")).card.metrics["val_top1"] == result.best.top1


def test_without_more_than_one_epoch_kept_there_is_none(tiny, tmp_path):
    result = train(tiny.config("full", tmp_path / "run", {"checkpoint.keep_best": 1}), lambda event: None)
    assert result.soup is None
