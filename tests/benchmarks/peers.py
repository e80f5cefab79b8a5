"""The other sides: the loops that people write around transformers, peft, timm and open_clip."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from .shapes import flops_of_step
from .weights import to_hugging_face, to_timm
from .work import LEARNING_RATE, MAX_GRAD_NORM, WEIGHT_DECAY, Task, Work, digest_of_pixels
from .world import model_config

HF_TARGETS = {"q": "q_proj", "k": "k_proj", "v": "v_proj", "out": "out_proj", "fc1": "fc1", "fc2": "fc2"}
OPEN_CLIP_TARGETS = {"q": "attn", "k": "attn", "v": "attn", "out": "attn", "fc1": "c_fc", "fc2": "c_proj"}


class Peer(nn.Module):
    """A tower with the same head of class vectors that the own side has."""

    def __init__(self, task: Task, tower: nn.Module, features: Callable[[nn.Module, Tensor], Tensor]) -> None:
        super().__init__()
        torch.set_num_threads(task.threads)
        tensors = load_file(task.world.head)
        self.tower, self.features = tower, features
        self.weight = nn.Parameter(tensors["weight"])  # (C, D)
        self.scale = float(tensors["scale"])
        self.is_bf16 = task.precision == "bf16"
        self.to(task.device)

    def forward(self, images: Tensor) -> Tensor:
        autocast = (
            torch.autocast(images.device.type, dtype=torch.bfloat16) if self.is_bf16 else contextlib.nullcontext()
        )
        with autocast:
            features = self.features(self.tower, images).float()
        return self.scale * F.normalize(features, dim=-1) @ F.normalize(self.weight, dim=-1).T  # (B, C)


class Loop:
    """The update of a Trainer-style loop over what requires gradients when it is built."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.trained = [parameter for parameter in peer.parameters() if parameter.requires_grad]
        matrices = [parameter for parameter in self.trained if parameter.ndim > 1]
        rest = [parameter for parameter in self.trained if parameter.ndim <= 1]
        groups = [{"params": matrices, "weight_decay": WEIGHT_DECAY}, {"params": rest, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW([g for g in groups if g["params"]], lr=LEARNING_RATE, fused=True)
        peer.train()

    @property
    def n_trained(self) -> int:
        """Numbers that change."""
        return sum(parameter.numel() for parameter in self.trained)

    def update(self, batches: list[tuple[Tensor, Tensor]]) -> float:
        """One optimizer step; returns the mean loss."""
        total = 0.0
        for images, labels in batches:
            loss = F.cross_entropy(self.peer(images), labels) / len(batches)
            loss.backward()
            total += float(loss.detach())
        nn.utils.clip_grad_norm_(self.trained, MAX_GRAD_NORM)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return total


def hf_full_step(task: Task) -> Work:
    """transformers' CLIPVisionModel (sdpa) with projection, everything trains."""
    return _step(task, Peer(task, hugging_face_tower(task), image_embeds))


def hf_compiled_full_step(task: Task) -> Work:
    """The same with the tower compiled."""
    tower = hugging_face_tower(task).to(task.device)
    return _step(task, Peer(task, torch.compile(tower), image_embeds))  # type: ignore[arg-type]


def timm_full_step(task: Task) -> Work:
    """timm's VisionTransformer (fused attention)."""
    return _step(task, Peer(task, timm_tower(task), call))


def open_clip_full_step(task: Task) -> Work:
    """open_clip's own visual tower."""
    return _step(task, Peer(task, open_clip_tower(task), call))


def hf_lora_step(task: Task) -> Work:
    """peft on transformers' tower."""
    targets = [HF_TARGETS[target] for target in task.options["targets"]]
    return _step(task, Peer(task, _with_lora(hugging_face_tower(task), targets), image_embeds))


def open_clip_lora_step(task: Task) -> Work:
    """peft on open_clip's tower: of the attention it knows only the whole."""
    targets = sorted({OPEN_CLIP_TARGETS[target] for target in task.options["targets"]})
    return _step(task, Peer(task, _with_lora(open_clip_tower(task), targets), call))


def hugging_face_tower(task: Task) -> nn.Module:
    """CLIPVisionModelWithProjection with the weights of the world."""
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    tensors = _visual_tensors(task)
    width, size = tensors["conv1.weight"].shape[0], tensors["conv1.weight"].shape[-1]
    vision = _vision_cfg(task)
    config = CLIPVisionConfig(
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=vision["layers"],
        num_attention_heads=width // vision.get("head_width", 64),
        image_size=vision["image_size"],
        patch_size=size,
        projection_dim=tensors["proj"].shape[1],
        hidden_act="quick_gelu",
        attn_implementation="sdpa",
    )
    tower: nn.Module = CLIPVisionModelWithProjection(config)
    tower.load_state_dict(to_hugging_face(tensors), strict=False)
    return tower


def timm_tower(task: Task) -> nn.Module:
    """timm's VisionTransformer of the same shape with the weights of the world."""
    from timm.layers import QuickGELU
    from timm.models.vision_transformer import VisionTransformer

    tensors = _visual_tensors(task)
    width, vision = tensors["conv1.weight"].shape[0], _vision_cfg(task)
    tower = VisionTransformer(
        img_size=vision["image_size"],
        patch_size=vision["patch_size"],
        embed_dim=width,
        depth=vision["layers"],
        num_heads=width // vision.get("head_width", 64),
        num_classes=0,
        pre_norm=True,
        global_pool="token",
        act_layer=QuickGELU,
        norm_layer=nn.LayerNorm,
    )
    tower.head = nn.Linear(width, tensors["proj"].shape[1], bias=False)
    tower.load_state_dict(to_timm(tensors))
    return tower


def open_clip_tower(task: Task) -> nn.Module:
    """The visual tower as open_clip builds it."""
    import open_clip

    model_config(task.world)
    tower: nn.Module = open_clip.create_model(task.world.model).visual
    tower.load_state_dict(_visual_tensors(task))
    return tower


def load_pixels(task: Task) -> tuple[Tensor, Tensor]:
    """uint8 pixels (N, 3, S, S) of the training images, and labels (N,)."""
    tensors = load_file(task.world.batch)
    return tensors["pixels"], tensors["labels"]


def normalise(pixels: Tensor) -> Tensor:
    """float32 images of uint8 pixels, as open_clip's transform has them."""
    from open_clip import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD

    mean = torch.tensor(OPENAI_DATASET_MEAN).view(1, 3, 1, 1)
    std = torch.tensor(OPENAI_DATASET_STD).view(1, 3, 1, 1)
    return (pixels.float() / 255 - mean) / std


def _step(task: Task, peer: Peer) -> Work:
    pixels, labels = (tensor[: task.batch_size] for tensor in load_pixels(task))
    images, labels = normalise(pixels).to(task.device), labels.to(task.device)
    loop = Loop(peer)

    def update() -> float:
        return loop.update([(images, labels)])

    facts = {
        "images": digest_of_pixels(pixels),
        "trained_parameters": loop.n_trained,
        "losses": [update(), update()],
    }
    return Work(run=lambda: _discard(update()), facts=facts, notes={"flops": flops_of_step(task)})


def _with_lora(tower: nn.Module, targets: list[str]) -> nn.Module:
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    return get_peft_model(tower, LoraConfig(r=8, lora_alpha=16, lora_dropout=0.0, target_modules=targets))  # type: ignore[arg-type]


def image_embeds(tower: Any, images: Tensor) -> Tensor:
    return tower(pixel_values=images).image_embeds  # type: ignore[no-any-return]


def call(tower: nn.Module, images: Tensor) -> Tensor:
    return tower(images)  # type: ignore[no-any-return]


def _visual_tensors(task: Task) -> dict[str, Tensor]:
    tensors = load_file(task.world.weights)
    return {name.removeprefix("visual."): value for name, value in tensors.items() if name.startswith("visual.")}


def _vision_cfg(task: Task) -> dict[str, Any]:
    return dict(model_config(task.world)["vision_cfg"])


def _discard(_: float) -> None:
    return None
