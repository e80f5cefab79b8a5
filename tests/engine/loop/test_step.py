"""One update: exact under accumulation and lack of memory, and never a silent NaN."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tiny_world import write_model

from clipft_cli.config.model import ModelConfig
from clipft_cli.config.optim import TrainingConfig
from clipft_cli.config.train import TrainConfig
from clipft_cli.engine.images.loader import Batch
from clipft_cli.engine.loop.step import Stepper, set_trainable
from clipft_cli.engine.methods import METHODS
from clipft_cli.engine.methods.base import MethodSettings
from clipft_cli.engine.model.backbone import Backbone, load_backbone
from clipft_cli.engine.model.classifier import CosineHead
from clipft_cli.engine.model.precision import Precision
from clipft_cli.engine.optim.build import build_optimizer
from clipft_cli.engine.optim.groups import build_groups
from clipft_cli.errors import ResourceError, is_out_of_memory

N = 14
NO_MEMORY = (
    "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: not enough memory: you tried to allocate"
)


@pytest.fixture(scope="module")
def backbones(tmp_path_factory) -> dict[str, Backbone]:
    folder = tmp_path_factory.mktemp("step")
    return {
        family: load_backbone(ModelConfig(name=str(architecture), pretrained=str(weights)))
        for family in ("vit", "resnet")
        for architecture, weights in [write_model(folder, family)]
    }


def images(n: int = N) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.integers(0, 256, (n, 3, 32, 32), dtype=np.uint8)), torch.arange(n) % 3


def batches_of(*sizes: int) -> list[Batch]:
    pixels, labels = images(sum(sizes))
    indexes = np.arange(sum(sizes))
    parts = zip(pixels.split(sizes), labels.split(sizes), np.split(indexes, np.cumsum(sizes)[:-1]), strict=True)
    return [Batch(*part) for part in parts]


def stepper(backbone: Backbone, method: str = "full", *, micro_batch: int = N, clip: float | None = 1.0, **settings):
    clip_model = copy.deepcopy(backbone.model).requires_grad_(False)
    torch.manual_seed(0)
    head = CosineHead(F.normalize(torch.randn(3, 24), dim=1), 10.0)
    chosen, own = METHODS[method], MethodSettings.of(TrainConfig(method=method))
    classifier = chosen.attach(clip_model, head, own)
    everything = dict(classifier.named_parameters())
    layers = chosen.layers(classifier, own)
    names = frozenset(name for layer in layers for name in layer.parameters)
    set_trainable(everything, names)
    groups = build_groups(everything, layers, TrainingConfig(learning_rate=1e-3))
    return Stepper(
        classifier=classifier,
        optimizer=build_optimizer(groups, everything),
        scaler=torch.amp.GradScaler("cpu", enabled=False),
        precision=Precision(torch.device("cpu"), None),
        preprocess=backbone.preprocess,
        micro_batch=micro_batch,
        max_grad_norm=clip,
        label_smoothing=settings.get("label_smoothing", 0.1),
        class_weights=settings.get("class_weights"),
    )


def by_gradient(step: Stepper) -> Stepper:
    """With plain gradient descent: AdamW makes whole steps of rounding errors where a gradient is 0."""
    step.optimizer = torch.optim.SGD(
        [{"params": group["params"]} for group in step.optimizer.param_groups], lr=1.0, fused=True
    )
    return step


def update(step: Stepper, batches: list[Batch]):
    return step.update(batches, [1e-3] * len(step.optimizer.param_groups))


def gradients(step: Stepper, batches: list[Batch]) -> dict[str, torch.Tensor]:
    step._accumulate(batches)
    return {n: p.grad.clone() for n, p in step.classifier.named_parameters() if p.grad is not None}


def weights(step: Stepper) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in step.classifier.state_dict().items()}


def assert_close(some: dict[str, torch.Tensor], others: dict[str, torch.Tensor]) -> None:
    assert some.keys() == others.keys()
    for name, value in others.items():
        torch.testing.assert_close(some[name], value, rtol=1e-4, atol=1e-6, msg=lambda text, n=name: f"{n}: {text}")


@pytest.mark.parametrize("family", ["vit", "resnet"])
@pytest.mark.parametrize("sizes", [(7, 7), (4, 4, 4, 2), (5, 5, 4), (13, 1)])
def test_micro_batches_give_the_gradient_of_one_large_batch(backbones, family, sizes):
    whole = gradients(stepper(backbones[family]), batches_of(N))
    assert_close(gradients(stepper(backbones[family]), batches_of(*sizes)), whole)


def test_the_loss_is_the_mean_over_all_images(backbones):
    step = stepper(backbones["vit"], label_smoothing=0.0)
    pixels, labels = images()
    with torch.no_grad():
        logits = step.classifier(step.preprocess.normalise(pixels))
        expected = float(F.cross_entropy(logits, labels, reduction="sum"))
    done = update(step, batches_of(5, 5, 4))
    assert done.loss_sum == pytest.approx(expected, rel=1e-5)
    assert done.n_images == N


def test_class_weights_weigh_images_and_not_batches(backbones):
    chosen = torch.tensor([2.0, 0.5, 0.5])
    step = stepper(backbones["vit"], label_smoothing=0.0, class_weights=chosen)
    pixels, labels = images()
    with torch.no_grad():
        losses = F.cross_entropy(step.classifier(step.preprocess.normalise(pixels)), labels, reduction="none")
    assert update(step, batches_of(9, 5)).loss_sum == pytest.approx(float((losses * chosen[labels]).sum()), rel=1e-5)


@pytest.mark.parametrize(("method", "moving"), [("full", "clip.visual."), ("lora", "adapters.")])
def test_frozen_weights_stay_bit_equal(backbones, method, moving):
    step = stepper(backbones["vit"], method)
    before = weights(step)
    for _ in range(3):
        update(step, batches_of(8, 6))
    after = weights(step)
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved
    assert all(name.startswith((moving, "head.weight")) for name in moved)
    assert any(name.startswith(moving) for name in moved)


def test_what_is_frozen_again_keeps_its_moments_and_its_weights(backbones):
    step = stepper(backbones["vit"])
    update(step, batches_of(N))
    parameters = dict(step.classifier.named_parameters())
    set_trainable(parameters, frozenset({"head.weight"}))
    before = weights(step)
    update(step, batches_of(N))
    moved = {name for name, value in weights(step).items() if not torch.equal(value, before[name])}
    assert moved == {"head.weight"}


def test_clipping_bounds_the_gradient_and_reports_what_it_was(backbones):
    free = update(stepper(backbones["vit"], clip=None), batches_of(N))
    bound = stepper(backbones["vit"], clip=free.grad_norm / 10)
    assert update(bound, batches_of(N)).grad_norm == pytest.approx(free.grad_norm, rel=1e-5)


@pytest.mark.parametrize("method", ["full", "lora"])
@pytest.mark.parametrize(("trained", "cut"), [(("block.1", "block.2", "classifier"), 1), (("classifier",), 4)])
def test_below_the_lowest_layer_that_trains_no_graph_is_built(backbones, method, trained, cut):
    step = stepper(backbones["vit"], method)
    layers = METHODS[method].layers(step.classifier, MethodSettings.of(TrainConfig(method=method)))
    names = {n for layer in layers if layer.name in trained for n in layer.parameters}
    set_trainable(dict(step.classifier.named_parameters()), frozenset(names))
    with_graph = gradients(step, batches_of(N))
    step.freeze_below(step.classifier.cut_under(trained))
    reached: list[torch.Tensor] = []
    step.classifier.register_forward_pre_hook(lambda module, args: reached.append(args[0]))
    without = gradients(step, batches_of(N))
    assert step.cut == cut
    assert [value.requires_grad for value in reached] == [False]
    assert without.keys() == names
    assert_close(without, with_graph)


@pytest.mark.parametrize("share", [0.1, 0.999, 10.0])
def test_the_step_is_that_of_gradients_clipped_beforehand(backbones, share):
    plain = by_gradient(stepper(backbones["vit"], clip=None))
    before, unclipped = weights(plain), gradients(plain, batches_of(N))
    norm = torch.linalg.vector_norm(torch.stack([value.norm() for value in unclipped.values()]))
    step = by_gradient(stepper(backbones["vit"], clip=float(norm) * share))
    step.update(batches_of(N), [1.0] * len(step.optimizer.param_groups))
    after = weights(step)
    for name, gradient in unclipped.items():
        plain_step = before[name] - gradient * min(1.0, float(norm) * share / (float(norm) + 1e-6))
        torch.testing.assert_close(after[name], plain_step, rtol=1e-5, atol=1e-7)


def fail_for_more_than(step: Stepper, n_images: int) -> list[int]:
    """As an allocator does that has room for `n_images`; returns the sizes asked for."""
    asked: list[int] = []

    def check(module: object, args: tuple[torch.Tensor]) -> None:
        asked.append(len(args[0]))
        if len(args[0]) > n_images:
            raise RuntimeError(NO_MEMORY)

    step.classifier.register_forward_pre_hook(check)
    return asked


def test_out_of_memory_halves_the_micro_batch_and_changes_no_result(backbones):
    plain, short = by_gradient(stepper(backbones["vit"])), by_gradient(stepper(backbones["vit"]))
    fail_for_more_than(short, 4)
    expected, done = update(plain, batches_of(N)), update(short, batches_of(N))
    assert short.micro_batch == 3
    assert done.loss_sum == pytest.approx(expected.loss_sum, rel=1e-6)
    assert done.grad_norm == pytest.approx(expected.grad_norm, rel=1e-5)
    assert_close(weights(short), weights(plain))


def test_the_smaller_micro_batch_is_remembered(backbones):
    step = stepper(backbones["vit"])
    asked = fail_for_more_than(step, 7)
    update(step, batches_of(N))
    asked.clear()
    update(step, batches_of(N))
    assert asked == [7, 7]


@pytest.mark.parametrize("call", [1, 2, 3])
def test_out_of_memory_in_the_backward_pass_starts_the_update_again(backbones, call):
    plain, short = (by_gradient(stepper(backbones["vit"], micro_batch=5)) for _ in range(2))
    calls = 0

    def fail_once(gradient: torch.Tensor) -> None:
        nonlocal calls
        calls += 1
        if calls == call:
            raise RuntimeError(NO_MEMORY)

    short.classifier.clip.visual.conv1.weight.register_hook(fail_once)
    update(plain, batches_of(N))
    update(short, batches_of(N))
    assert short.micro_batch == 2
    assert_close(weights(short), weights(plain))


def test_where_not_one_image_fits_the_error_names_the_way_out(backbones):
    step = stepper(backbones["vit"])
    fail_for_more_than(step, 0)
    before = weights(step)
    with pytest.raises(ResourceError) as caught:
        update(step, batches_of(N))
    assert caught.value.message == "out of memory: not even one image at a time fits"
    hint = caught.value.hint or ""
    assert "gradient_checkpointing" in hint
    assert "lora" in hint
    assert "model.name" in hint
    assert all(torch.equal(value, before[name]) for name, value in weights(step).items())


def test_out_of_memory_in_the_optimizer_is_an_error_with_a_way_out(backbones):
    step = stepper(backbones["vit"])

    def no_room(*_: object) -> None:
        raise RuntimeError(NO_MEMORY)

    step.optimizer.register_step_pre_hook(no_room)
    with pytest.raises(ResourceError, match="out of memory: the optimizer's state"):
        update(step, batches_of(N))


def test_another_error_is_not_taken_for_lack_of_memory(backbones):
    step = stepper(backbones["vit"])

    def fail(*_: object) -> None:
        raise RuntimeError("shapes do not match")

    step.classifier.register_forward_pre_hook(fail)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        update(step, batches_of(N))


@pytest.mark.parametrize(
    ("error", "is_memory"),
    [
        (RuntimeError(NO_MEMORY), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("MPS backend out of memory"), True),
        (torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (MemoryError(), True),
        (RuntimeError("size mismatch"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_lack_of_memory_has_many_names(error, is_memory):
    assert is_out_of_memory(error) is is_memory


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_non_finite_loss_changes_no_weight(backbones, value):
    step = stepper(backbones["vit"])
    update(step, batches_of(N))
    before = weights(step)
    handle = step.classifier.head.register_forward_hook(lambda *args: args[2] * value)
    done = update(step, batches_of(N))
    assert (done.is_applied, done.is_finite) == (False, False)
    assert all(torch.equal(value, before[name]) for name, value in weights(step).items())
    handle.remove()
    assert update(step, batches_of(N)).is_applied


def test_a_non_finite_gradient_changes_no_weight(backbones):
    step = stepper(backbones["vit"])
    before = weights(step)
    step.classifier.head.weight.register_hook(lambda gradient: gradient * float("inf"))
    done = update(step, batches_of(N))
    assert (done.is_applied, done.is_finite) == (False, False)
    assert all(torch.equal(value, before[name]) for name, value in weights(step).items())
