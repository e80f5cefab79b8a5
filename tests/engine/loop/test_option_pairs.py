"""Options of training and data that meet in one loss or one order of images: every combination against plain lines.

A setting may be right alone and wrong beside another: a library's call has one meaning for two of them.
"""

from __future__ import annotations

import copy
import math
from itertools import product

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tiny_world import write_colours

from clipft_cli.config.model import ModelConfig
from clipft_cli.config.optim import TrainingConfig
from clipft_cli.config.train import TrainConfig
from clipft_cli.engine.images.loader import Batch, epoch_order, in_batches
from clipft_cli.engine.images.subset import draw_subset
from clipft_cli.engine.loop.step import Stepper, set_trainable
from clipft_cli.engine.methods import METHODS
from clipft_cli.engine.methods.base import MethodSettings
from clipft_cli.engine.model.backbone import load_backbone
from clipft_cli.engine.model.classifier import CosineHead, logit_scale_of
from clipft_cli.engine.model.precision import Precision
from clipft_cli.engine.model.prompts import prompt_tokens, zero_shot_head
from clipft_cli.engine.optim.build import build_optimizer
from clipft_cli.engine.optim.groups import build_groups

LABELS = torch.tensor([0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 0])
WEIGHTS = torch.tensor([12 / (3 * n) for n in (9, 2, 1)])
NAMES = ("blue patch", "green patch", "red patch")
EPOCHS = 300
TEMPLATE = ("a photo of a {}.",)


@pytest.fixture(scope="module")
def backbone(tiny):
    return load_backbone(ModelConfig(name=str(tiny.architecture), pretrained=str(tiny.weights)))


def pixels() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (len(LABELS), 3, 32, 32), dtype=np.uint8))


def batches_of(sizes: tuple[int, ...]) -> list[Batch]:
    indexes = np.split(np.arange(len(LABELS)), np.cumsum(sizes)[:-1])
    return [Batch(pixels()[part], LABELS[part], part) for part in indexes]


def stepper(
    backbone, objective: str, smoothing: float, weights: torch.Tensor | None, micro_batch: int, clip: float | None
) -> Stepper:
    model = copy.deepcopy(backbone.model).requires_grad_(False)
    head = CosineHead(zero_shot_head(model, backbone.tokenizer, NAMES, TEMPLATE), logit_scale_of(model))
    settings = MethodSettings.of(TrainConfig(training={"objective": objective}))
    classifier = METHODS["full"].attach(model, head, settings)
    everything = dict(classifier.named_parameters())
    layers = METHODS["full"].layers(classifier, settings)
    set_trainable(everything, frozenset(name for layer in layers for name in layer.parameters))
    groups = build_groups(everything, layers, TrainingConfig(learning_rate=1e-3))
    return Stepper(
        classifier=classifier,
        optimizer=build_optimizer(groups, everything),
        scaler=torch.amp.GradScaler("cpu", enabled=False),
        precision=Precision(torch.device("cpu"), None),
        preprocess=backbone.preprocess,
        micro_batch=micro_batch,
        max_grad_norm=clip,
        label_smoothing=smoothing,
        class_weights=weights,
        prompts=prompt_tokens(backbone.tokenizer, NAMES, TEMPLATE) if objective == "contrastive" else None,
    )


def smoothed(logits: torch.Tensor, targets: torch.Tensor, smoothing: float) -> torch.Tensor:
    """(N,) cross-entropies against (1 - smoothing) of the target and smoothing spread over all classes."""
    wanted = torch.full_like(logits, smoothing / logits.shape[1])
    wanted[torch.arange(len(targets)), targets] += 1 - smoothing
    return -(wanted * torch.log_softmax(logits, dim=1)).sum(dim=1)


def plain_loss(step: Stepper, objective: str, smoothing: float, weights: torch.Tensor | None) -> torch.Tensor:
    """The mean over all images of weight times loss, in one piece."""
    images = step.preprocess.normalise(pixels())
    if objective == "cross_entropy":
        losses = smoothed(step.classifier(images), LABELS, smoothing)
    else:
        texts = F.normalize(step.classifier.text_features(step.prompts[:, 0]), dim=-1)
        logits = step.classifier.head.scale * F.normalize(step.classifier.features(images), dim=-1) @ texts.T
        to_image = torch.stack([torch.logsumexp(logits[:, y], 0) - logits[i, y] for i, y in enumerate(LABELS)])
        losses = (smoothed(logits, LABELS, smoothing) + to_image) / 2
    return (losses * (1.0 if weights is None else weights[LABELS])).sum() / len(LABELS)


@pytest.mark.parametrize(
    ("objective", "smoothing", "weights"),
    product(("cross_entropy", "contrastive"), (0.0, 0.1), (None, WEIGHTS)),
    ids=lambda value: {None: "plain"}.get(value, value) if not isinstance(value, torch.Tensor) else "balanced",
)
@pytest.mark.parametrize(
    ("sizes", "micro_batch", "clip"), [((12,), 12, None), ((5, 5, 2), 5, 1.0), ((8, 4), 3, 1e-3)], ids=str
)
def test_loss_and_gradient_are_those_of_the_lines_above(
    backbone, objective, smoothing, weights, sizes, micro_batch, clip
):
    """Objective x label_smoothing x class_balance x batches x accumulation x clipping."""
    step = stepper(backbone, objective, smoothing, weights, micro_batch, clip)
    loss = plain_loss(step, objective, smoothing, weights)
    names = [name for name, parameter in step.classifier.named_parameters() if parameter.requires_grad]
    parameters = [dict(step.classifier.named_parameters())[name] for name in names]
    wanted = torch.autograd.grad(loss, parameters)
    norm = math.sqrt(sum(float(value.double().square().sum()) for value in wanted))
    done = step.update(batches_of(sizes), [0.0] * len(step.optimizer.param_groups), seed=3)
    assert done.loss_sum / done.n_images == pytest.approx(float(loss.detach()), rel=1e-4)
    assert done.grad_norm == pytest.approx(norm, rel=1e-3)
    moments = {
        name: step.optimizer.state[parameter]["exp_avg"] for name, parameter in zip(names, parameters, strict=True)
    }
    share = min(1.0, (clip or math.inf) / norm)
    for name, gradient in zip(names, wanted, strict=True):  # the first moment is a tenth of the clipped gradient
        torch.testing.assert_close(moments[name], 0.1 * share * gradient, rtol=1e-2, atol=1e-6 * share, msg=name)


def test_under_balance_and_smoothing_a_frequent_image_is_told_its_own_class():
    """70 to 2: weights inside the smoothing would make the rare class the best answer for every image."""
    labels = torch.tensor([0] * 70 + [1] * 2)
    weights = torch.tensor([72 / (2 * 70), 72 / (2 * 2)])
    answer = torch.zeros(2, requires_grad=True)  # one answer for all frequent images
    step = Stepper(*[None] * 5, micro_batch=1, max_grad_norm=None, label_smoothing=0.1, class_weights=weights)
    frequent = labels[labels == 0]
    step._loss(answer.expand(len(frequent), 2), frequent).backward()
    assert answer.grad[0] < 0 < answer.grad[1]


@pytest.mark.parametrize("balance", ["none", "loss", "sampler"])
@pytest.mark.parametrize("subset", [{}, {"fraction": 0.5}, {"few_shot": 2}, {"fraction": 0.5, "few_shot": 3}], ids=str)
@pytest.mark.parametrize(("batch_size", "accumulation"), [(4, 1), (3, 2)])
def test_the_order_of_images_is_that_of_the_lines_below(tmp_path_factory, balance, subset, batch_size, accumulation):
    """Class_balance x fraction x few_shot x batch_size x gradient_accumulation_steps."""
    root = tmp_path_factory.mktemp("order")
    rows = [row for row in write_colours(root, {"train": 8}).rows if row.label == 0 or int(row.path[-6:-4]) < 4]
    kept = draw_subset(rows, fraction=1.0, few_shot=None, seed=5)
    assert [row.path for row in kept] == [row.path for row in rows]
    kept = draw_subset(rows, **{"fraction": 1.0, "few_shot": None, **subset}, seed=5)
    sizes = [sum(row.label == label for row in kept) for label in range(3)]
    share, most = subset.get("fraction", 1.0), subset.get("few_shot", 100)
    assert sizes == [min(most, max(1, math.floor(share * n + 0.5))) for n in (8, 4, 4)]

    labels = np.array([row.label for row in kept])
    drawn = np.zeros(3)
    for epoch in range(EPOCHS):
        order = epoch_order(labels, seed=5, epoch=epoch, balance=balance)
        updates = in_batches(order, batch_size * accumulation)
        assert [len(update) for update in updates[:-1]] == [batch_size * accumulation] * (len(updates) - 1)
        assert sum(len(update) for update in updates) == len(kept)
        if balance != "sampler":
            assert sorted(order.tolist()) == list(range(len(kept)))
        drawn += np.bincount(labels[order], minlength=3)
    if balance == "sampler":
        assert np.allclose(drawn / drawn.sum(), 1 / 3, atol=0.03)
    else:
        assert drawn.tolist() == [EPOCHS * n for n in sizes]
