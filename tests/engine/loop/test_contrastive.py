"""The contrastive objective: images against class prompts, over a whole update, with both towers training."""

from __future__ import annotations

import copy

import numpy as np
import open_clip
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from tiny_world import read_metrics, trained_epochs, write_model

from clipft_cli.config.compare import CompareConfig
from clipft_cli.config.model import ModelConfig
from clipft_cli.config.optim import TrainingConfig
from clipft_cli.config.recipes import method_recipes
from clipft_cli.config.train import TrainConfig
from clipft_cli.engine.checkpoint.load import load_classifier
from clipft_cli.engine.checkpoint.zero_shot import tuned_text_head
from clipft_cli.engine.comparison.finished_run import open_run
from clipft_cli.engine.comparison.measured_run import Measurer
from clipft_cli.engine.events import StepDone
from clipft_cli.engine.images.loader import Batch, Loader
from clipft_cli.engine.loop.contrastive import backward_in_pieces, contrastive_losses
from clipft_cli.engine.loop.step import Stepper, set_trainable
from clipft_cli.engine.manifest import read_manifest
from clipft_cli.engine.methods import METHODS
from clipft_cli.engine.methods.base import MethodSettings
from clipft_cli.engine.model.backbone import load_backbone
from clipft_cli.engine.model.classifier import CosineHead, logit_scale_of
from clipft_cli.engine.model.precision import Precision
from clipft_cli.engine.model.prompts import prompt_tokens, sample_prompts, zero_shot_head
from clipft_cli.engine.optim.build import build_optimizer
from clipft_cli.engine.optim.groups import build_groups
from clipft_cli.engine.train import resume, train
from clipft_cli.errors import InterruptedRun, ModelError

CPU = torch.device("cpu")
N = 12
NAMES = ("blue patch", "green patch", "red patch")
TEMPLATES = ("a photo of a {}.", "a picture of the {}.")
OBJECTIVE = {"training.objective": "contrastive", "training.learning_rate": 1e-3}
NO_MEMORY = "DefaultCPUAllocator: not enough memory: you tried to allocate"


def random_features(n: int, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(n, 8, generator=generator), torch.randn(k, 8, generator=generator)


def test_with_one_image_a_class_it_is_clips_own_loss():
    images, texts = random_features(5, 5)
    scale = torch.tensor(20.0)
    own = contrastive_losses(images, texts, torch.arange(5), scale).mean()
    loss = open_clip.loss.ClipLoss()
    clips = loss(F.normalize(images, dim=-1), F.normalize(texts, dim=-1), scale)
    torch.testing.assert_close(own, clips)


def test_images_of_one_class_are_all_positives_of_their_prompt():
    """Against soft targets in equal parts over the images of the class, written out."""
    images, texts = random_features(6, 3)
    targets = torch.tensor([0, 0, 0, 1, 1, 2])
    logits = 20 * F.normalize(images, dim=-1) @ F.normalize(texts, dim=-1).T
    shares = F.one_hot(targets, 3).float().T
    of_prompts = -(shares / shares.sum(dim=1, keepdim=True) * F.log_softmax(logits.T, dim=1)).sum(dim=1)  # (K,)
    wanted = (F.cross_entropy(logits, targets, reduction="sum") + (of_prompts * shares.sum(dim=1)).sum()) / 2
    own = contrastive_losses(images, texts, targets, torch.tensor(20.0)).sum()
    torch.testing.assert_close(own, wanted)


def test_no_image_is_pushed_from_another_of_its_class():
    """Where all images lie on their class's prompt there is nothing left to learn: no false negatives."""
    texts = torch.eye(3, 8)
    targets = torch.tensor([0, 0, 1, 1, 2, 2])
    images = texts[targets].clone().requires_grad_()
    (gradient,) = torch.autograd.grad(contrastive_losses(images, texts, targets, torch.tensor(100.0)).sum(), images)
    assert gradient.abs().max() < 1e-6


def test_pieces_give_the_gradient_of_the_whole_and_draw_the_same_twice():
    layer = torch.nn.Linear(4, 3)
    rows = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))

    def noisy(part: torch.Tensor) -> torch.Tensor:
        return F.dropout(layer(part), 0.5)

    drawn: list[torch.Tensor] = []
    forwards = [lambda part=part: drawn.append(noisy(part)) or drawn[-1] for part in rows.split(2)]
    backward_in_pieces(forwards, lambda outputs: torch.cat(outputs).logsumexp(dim=0).sum(), lambda loss: loss, seed=7)
    assert len(drawn) == 6
    assert all(torch.equal(drawn[i], drawn[i + 3]) for i in range(3))
    again = []
    for place, part in enumerate(rows.split(2)):
        torch.manual_seed(7 * 1009 + place)
        again.append(noisy(part))
    (wanted,) = torch.autograd.grad(torch.cat(again).logsumexp(dim=0).sum(), layer.weight)
    torch.testing.assert_close(layer.weight.grad, wanted)


def test_prompts_are_a_function_of_class_and_seed():
    tokens = torch.arange(3 * 4 * 2).view(3, 4, 2)
    some = sample_prompts(tokens, torch.tensor([0, 2]), 5)
    assert torch.equal(some, sample_prompts(tokens, torch.tensor([0, 2]), 5))
    assert torch.equal(some[1], sample_prompts(tokens, torch.tensor([1, 2]), 5)[1])
    drawn = {tuple(sample_prompts(tokens, torch.tensor([1]), seed)[0].tolist()) for seed in range(40)}
    assert drawn == {tuple(prompt.tolist()) for prompt in tokens[1]}


@pytest.fixture(scope="module")
def backbone(tiny):
    return load_backbone(ModelConfig(name=str(tiny.architecture), pretrained=str(tiny.weights)))


def stepper(backbone, method: str, *, micro_batch: int = N, **lora) -> Stepper:
    clip = copy.deepcopy(backbone.model).requires_grad_(False)
    head = CosineHead(zero_shot_head(clip, backbone.tokenizer, NAMES, TEMPLATES), logit_scale_of(clip))
    config = TrainConfig(method=method, training={"objective": "contrastive", "learning_rate": 1e-3}, lora=lora)
    classifier = METHODS[method].attach(clip, head, MethodSettings.of(config))
    everything = dict(classifier.named_parameters())
    layers = METHODS[method].layers(classifier, MethodSettings.of(config))
    set_trainable(everything, frozenset(name for layer in layers for name in layer.parameters))
    groups = build_groups(everything, layers, TrainingConfig(learning_rate=1e-3))
    return Stepper(
        classifier=classifier,
        optimizer=build_optimizer(groups, everything),
        scaler=torch.amp.GradScaler("cpu", enabled=False),
        precision=Precision(CPU, None),
        preprocess=backbone.preprocess,
        micro_batch=micro_batch,
        max_grad_norm=None,
        label_smoothing=0.1,
        class_weights=None,
        prompts=prompt_tokens(backbone.tokenizer, NAMES, TEMPLATES),
    )


def batches_of(*sizes: int) -> list[Batch]:
    rng = np.random.default_rng(0)
    pixels = torch.from_numpy(rng.integers(0, 256, (N, 3, 32, 32), dtype=np.uint8))
    labels, indexes = torch.arange(N) % 3, np.arange(N)
    parts = zip(pixels.split(sizes), labels.split(sizes), np.split(indexes, np.cumsum(sizes)[:-1]), strict=True)
    return [Batch(*part) for part in parts]


def gradients(step: Stepper, batches: list[Batch]) -> dict[str, torch.Tensor]:
    step._accumulate(batches, 3)
    return {name: p.grad.clone() for name, p in step.classifier.named_parameters() if p.grad is not None}


def assert_close(some: dict[str, torch.Tensor], others: dict[str, torch.Tensor]) -> None:
    assert some.keys() == others.keys()
    for name, value in others.items():
        torch.testing.assert_close(some[name], value, rtol=1e-4, atol=1e-6, msg=lambda text, n=name: f"{n}: {text}")


@pytest.mark.parametrize("method", ["full", "lora"])
@pytest.mark.parametrize("sizes", [(3, 3, 3, 3), (5, 5, 2)])
def test_micro_batches_give_the_gradient_of_one_large_batch(backbone, method, sizes):
    whole = gradients(stepper(backbone, method), batches_of(N))
    assert_close(gradients(stepper(backbone, method), batches_of(*sizes)), whole)
    assert_close(gradients(stepper(backbone, method, micro_batch=2), batches_of(N)), whole)


@pytest.mark.parametrize("method", ["full", "lora"])
def test_every_layer_of_both_towers_gets_a_gradient_and_the_temperature_none(backbone, method):
    step = stepper(backbone, method)
    named = gradients(step, batches_of(N))
    layers = METHODS[method].layers(step.classifier, MethodSettings())
    assert {name for layer in layers for name in layer.parameters} == named.keys()
    assert {"text.block.0", "block.0"} <= {layer.name for layer in layers}
    moving = [name for name, value in named.items() if value.abs().max() > 0 or name.endswith("lora_A")]
    # open_clip's key biases get none: softmax does not see them
    assert len(moving) == len(named)
    assert not [name for name in named if "logit_scale" in name or name.startswith("head.")]


@pytest.mark.parametrize("family", ["vit", "timm-vit", "attention-pool"])
def test_every_parameter_of_both_towers_is_in_exactly_one_group(tmp_path, family, open_clip_models):
    architecture, weights = write_model(tmp_path, family)
    clip = load_backbone(ModelConfig(name=str(architecture), pretrained=str(weights))).model
    config = TrainConfig(method="full", training={"objective": "contrastive"})
    dimension = 64 if family == "attention-pool" else 24
    classifier = METHODS["full"].attach(clip, CosineHead(torch.eye(3, dimension), 10.0), MethodSettings.of(config))
    layers = METHODS["full"].layers(classifier, MethodSettings.of(config))
    groups = build_groups(dict(classifier.named_parameters()), layers, TrainingConfig(learning_rate=1.0))
    names = [name for group in groups for name in group.parameters]
    outside = {"clip.logit_scale", "clip.logit_bias", "head.weight"}
    assert len(names) == len(set(names))
    assert set(names) == {name for name, _ in classifier.named_parameters()} - outside
    rates = {layers[group.layer].name: group.peak_lr for group in groups}
    assert rates["text.top"] == rates["text.block.0"] == rates["top"] == 1.0
    assert rates["text.stem"] == 0.75


def test_lack_of_memory_splits_the_micro_batch_and_changes_no_result(backbone):
    plain, short = stepper(backbone, "full"), stepper(backbone, "full")
    inner = short.classifier.features_above
    asked: list[int] = []

    def features(hidden: torch.Tensor, cut: int) -> torch.Tensor:
        asked.append(len(hidden))
        if len(hidden) > 4:
            raise RuntimeError(NO_MEMORY)
        return inner(hidden, cut)

    short.classifier.features_above = features
    for step in (plain, short):
        step.optimizer = torch.optim.SGD(
            [{"params": group["params"]} for group in step.optimizer.param_groups], lr=1.0, fused=True
        )
    rates = [1e-2] * len(plain.optimizer.param_groups)
    expected, done = plain.update(batches_of(N), rates, 3), short.update(batches_of(N), rates, 3)
    assert short.micro_batch == 3
    assert asked == [12, 6, *[3] * 8]
    assert done.loss_sum == pytest.approx(expected.loss_sum, rel=1e-6)
    assert_close(dict(short.classifier.state_dict()), dict(plain.classifier.state_dict()))


def test_a_renewed_head_is_the_zero_shot_head_until_something_trains(backbone):
    step = stepper(backbone, "full")
    before = step.classifier.head.weight.clone()
    step.classifier.renew_head(step.prompts)
    torch.testing.assert_close(step.classifier.head.weight, before, rtol=1e-4, atol=1e-6)
    step.update(batches_of(N), [1e-2] * len(step.optimizer.param_groups), 3)
    step.classifier.renew_head(step.prompts)
    assert (step.classifier.head.weight - before).abs().max() > 1e-3


@pytest.fixture(scope="module")
def runs(tiny, tmp_path_factory):
    root = tmp_path_factory.mktemp("contrastive")
    return {
        method: train(tiny.config(method, root / method, {**OBJECTIVE, "training.num_epochs": 3}), lambda event: None)
        for method in ("full", "lora")
    }


@pytest.mark.parametrize("method", ["full", "lora"])
def test_a_run_starts_at_zero_shot_and_gets_better(runs, tiny, method):
    result = runs[method]
    lines = read_metrics(result.run_dir)
    assert lines[0]["val_top1"] == result.zero_shot.top1
    assert result.start_kind == "text"
    assert result.best.top1 >= result.zero_shot.top1
    assert lines[-1]["train_loss"] < lines[2]["train_loss"]
    moved = load_classifier(result.checkpoint, CPU)
    assert moved.card.objective == "contrastive"


def test_the_mix_at_alpha_0_is_zero_shot(runs):
    for result in runs.values():
        assert dict(result.alpha_curve)[0.0] == result.zero_shot.top1


@pytest.mark.parametrize("method", ["full", "lora"])
def test_the_saved_head_is_what_the_saved_text_tower_makes_of_the_prompts(runs, tiny, method):
    checkpoint = runs[method].checkpoint
    loaded = load_classifier(checkpoint, CPU)
    base = load_backbone(ModelConfig(name=str(tiny.architecture), pretrained=str(tiny.weights)))
    head = tuned_text_head(checkpoint, loaded.card, base, loaded.classes, loaded.card.templates)
    torch.testing.assert_close(head.weight, loaded.classifier.head.weight, rtol=1e-4, atol=1e-5)


def test_retention_is_asked_of_the_tuned_text_tower(runs, tiny):
    """On the run's own classes, what the text tower knows is what the head is."""
    manifest = read_manifest(tiny.data)
    rows = manifest.split("test")
    measurer = Measurer(CompareConfig(), manifest, rows, Precision(CPU, None), Loader(0), other=manifest)
    answer = measurer.answer(open_run(runs["full"].run_dir, "test"), lambda event: None)
    right = answer.logits.argmax(axis=1) == [row.label for row in rows]
    assert answer.retention.value == right.mean()


def test_open_clip_loads_both_tuned_towers(runs, tiny):
    checkpoint = runs["full"].checkpoint
    before, after = load_file(tiny.weights), load_file(checkpoint / "open_clip_model.safetensors")
    assert {name for name in before if torch.equal(before[name], after[name])} <= {"logit_scale", "attn_mask"}
    plain, _ = open_clip.create_model_from_pretrained(f"local-dir:{checkpoint}")
    loaded = load_classifier(checkpoint, CPU)
    names = [cls.readable for cls in read_manifest(tiny.data).classes]
    weight = open_clip.build_zero_shot_classifier(
        plain.eval(), open_clip.get_tokenizer(tiny.architecture.stem), names, loaded.card.templates
    )
    torch.testing.assert_close(weight.T, loaded.classifier.head.weight, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("method", ["full", "lora"])
def test_an_interrupted_run_ends_bit_for_bit_as_the_undisturbed_one(tiny, tmp_path, method):
    settings = {**OBJECTIVE, "checkpoint.every_steps": 1, "lora.lora_dropout": 0.2, "data.batch_size": 6}
    settings |= {"training.gradient_accumulation_steps": 2}

    def stop_at_4(event: object) -> None:
        if isinstance(event, StepDone) and event.step == 4:
            raise KeyboardInterrupt

    whole = train(tiny.config(method, tmp_path / "whole", settings), lambda event: None)
    with pytest.raises((KeyboardInterrupt, InterruptedRun)):
        train(tiny.config(method, tmp_path / "cut", settings), stop_at_4)
    cut = resume(tmp_path / "cut", lambda event: None)
    assert read_metrics(whole.run_dir) == read_metrics(cut.run_dir)
    for file in whole.checkpoint.glob("*.safetensors"):
        some, same = load_file(file), load_file(cut.checkpoint / file.name)
        assert all(torch.equal(some[name], same[name]) for name in some), file.name


def test_progressive_unfreezing_begins_with_the_text_towers_top(tiny, tmp_path):
    settings = {**OBJECTIVE, "training.num_epochs": 3, "training.progressive_unfreezing.enabled": True}
    settings["training.progressive_unfreezing.unfreeze_schedule"] = [
        {"epoch": 0, "layers": ["classifier"]},
        {"epoch": 1, "layers": ["text"]},
        {"epoch": 2, "layers": ["all"]},
    ]
    result = train(tiny.config("full", tmp_path / "run", settings), lambda event: None)
    trained = [line["trains"] for line in trained_epochs(result.run_dir)]
    assert trained == ["text.top", "text.stem + text.block.0 + text.top", "all"]


def test_a_text_tower_that_cannot_run_here_is_named(tmp_path, tiny, open_clip_models):
    architecture, weights = write_model(tmp_path, "coca")
    settings = {**OBJECTIVE, "model.name": str(architecture), "model.pretrained": str(weights)}
    with pytest.raises(ModelError, match="this one cannot be run here: it appends a class token") as error:
        train(tiny.config("full", tmp_path / "run", settings), lambda event: None)
    assert error.value.hint == "use --set training.objective=cross_entropy"
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"method": "qlora"}, "contrastive is built for full and lora, not for qlora"),
        ({"method": "full", "model": {"head": "linear"}}, "has a cosine head made of the class prompts"),
        ({"method": "lora", "model": {"head_start": "probe"}}, "has a cosine head made of the class prompts"),
    ],
)
def test_what_does_not_go_with_it_is_refused_by_name(settings, words):
    with pytest.raises(ValueError, match=words):
        TrainConfig(training={"objective": "contrastive"}, **settings)


def test_compare_gives_the_objective_to_the_methods_that_have_it():
    recipes, notes = method_recipes(None, ["training.objective=contrastive"])
    objectives = {method: recipe.training.objective for method, recipe in recipes.items()}
    assert objectives["full"] == objectives["lora"] == "contrastive"
    assert objectives["qlora"] == "cross_entropy"
    assert "training.objective is for full and lora alone" in notes
