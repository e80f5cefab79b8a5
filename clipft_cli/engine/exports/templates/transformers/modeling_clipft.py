"""The image tower of a CLIP with a head on it, for AutoModelForImageClassification. Needs torch and transformers.

Probabilities are softmax(scale * unit(features) @ text_features.T + bias). Parameters have open_clip's names.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import ImageClassifierOutput


class ClipftConfig(PretrainedConfig):
    # transformers.js chooses its class by this name and knows no others; transformers itself has none of this name,
    # so that without trust_remote_code=True nothing else is loaded in its place
    model_type = "fastvit"

    def __init__(
        self,
        image_size: tuple[int, ...] = (224, 224),
        patch_size: tuple[int, ...] = (32, 32),
        hidden_size: int = 768,
        num_hidden_layers: int = 12,
        num_attention_heads: int = 12,
        intermediate_size: int = 3072,
        layer_norm_eps: float = 1e-5,
        hidden_act: str = "gelu",
        has_pre_norm: bool = True,
        has_layer_scale: bool = False,
        projection_dim: int = 512,
        **kwargs: Any,
    ) -> None:
        self.image_size = list(image_size)
        self.patch_size = list(patch_size)
        self.hidden_size = hidden_size
        self.num_hidden_layers = num_hidden_layers
        self.num_attention_heads = num_attention_heads
        self.intermediate_size = intermediate_size
        self.layer_norm_eps = layer_norm_eps
        self.hidden_act = hidden_act
        self.has_pre_norm = has_pre_norm
        self.has_layer_scale = has_layer_scale
        self.projection_dim = projection_dim
        super().__init__(**kwargs)


class QuickGELU(nn.Module):
    def forward(self, hidden: Tensor) -> Tensor:
        return hidden * torch.sigmoid(1.702 * hidden)


ACTIVATIONS: dict[str, Any] = {
    "gelu": nn.GELU,
    "quick_gelu": QuickGELU,
    "gelu_tanh": lambda: nn.GELU(approximate="tanh"),
}


class LayerScale(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, hidden: Tensor) -> Tensor:
        return hidden * self.gamma


class Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.zeros(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)

    def forward(self, rows: Tensor) -> Tensor:  # (B, N, W) -> (B, N, W)
        batch, tokens, width = rows.shape
        qkv = F.linear(rows, self.in_proj_weight, self.in_proj_bias)
        q, k, v = qkv.view(batch, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        mixed = F.scaled_dot_product_attention(q, k, v)
        return self.out_proj(mixed.transpose(1, 2).reshape(batch, tokens, width))

    def read_by_first(self, rows: Tensor) -> Tensor:  # (B, N, W) -> (B, W): q (K x) is (q K) x, in a tenth of the work
        batch, _, width = rows.shape
        size = width // self.heads
        q_weight, k_weight, v_weight = self.in_proj_weight.chunk(3)
        q_bias, _, v_bias = self.in_proj_bias.chunk(3)
        q = F.linear(rows[:, 0], q_weight, q_bias) * size**-0.5
        query = q.view(batch, self.heads, size).transpose(0, 1)
        scores = torch.bmm(torch.bmm(query, k_weight.view(self.heads, size, width)).transpose(0, 1), rows.mT)
        seen = torch.bmm(scores.softmax(dim=-1), rows).transpose(0, 1)
        out = torch.bmm(seen, v_weight.view(self.heads, size, width).mT)
        return self.out_proj(out.transpose(0, 1).reshape(batch, width) + v_bias)


class Block(nn.Module):
    def __init__(self, config: ClipftConfig) -> None:
        super().__init__()
        width, inner, eps = config.hidden_size, config.intermediate_size, config.layer_norm_eps
        self.ln_1 = nn.LayerNorm(width, eps)
        self.attn = Attention(width, config.num_attention_heads)
        self.ls_1 = LayerScale(width) if config.has_layer_scale else nn.Identity()
        self.ln_2 = nn.LayerNorm(width, eps)
        self.mlp = nn.Sequential()
        self.mlp.add_module("c_fc", nn.Linear(width, inner))
        self.mlp.add_module("gelu", ACTIVATIONS[config.hidden_act]())
        self.mlp.add_module("c_proj", nn.Linear(inner, width))
        self.ls_2 = LayerScale(width) if config.has_layer_scale else nn.Identity()

    def forward(self, hidden: Tensor, is_last: bool) -> Tensor:  # (B, N, W) -> the same, or (B, W) of the first token
        rows = self.ln_1(hidden)
        mixed = self.attn.read_by_first(rows) if is_last else self.attn(rows)
        hidden = (hidden[:, 0] if is_last else hidden) + self.ls_1(mixed)
        return hidden + self.ls_2(self.mlp(self.ln_2(hidden)))


class Tower(nn.Module):
    def __init__(self, config: ClipftConfig) -> None:
        super().__init__()
        width, patch = config.hidden_size, (config.patch_size[0], config.patch_size[1])
        rows, columns = (side // step for side, step in zip(config.image_size, patch, strict=True))
        self.conv1 = nn.Conv2d(3, width, kernel_size=patch, stride=patch, bias=False)
        self.class_embedding = nn.Parameter(torch.zeros(width))
        self.positional_embedding = nn.Parameter(torch.zeros(rows * columns + 1, width))
        self.ln_pre = nn.LayerNorm(width, config.layer_norm_eps) if config.has_pre_norm else nn.Identity()
        blocks = nn.ModuleList([Block(config) for _ in range(config.num_hidden_layers)])
        self.transformer = nn.ModuleDict({"resblocks": blocks})
        self.ln_post = nn.LayerNorm(width, config.layer_norm_eps)
        self.proj = nn.Parameter(torch.zeros(width, config.projection_dim))

    def forward(self, pixel_values: Tensor) -> Tensor:  # (B, 3, H, W) -> (B, D)
        patches = self.conv1(pixel_values).flatten(2).transpose(1, 2)
        first = self.class_embedding.expand(len(patches), 1, -1)
        hidden = self.ln_pre(torch.cat([first, patches], dim=1) + self.positional_embedding)
        blocks: Any = self.transformer.resblocks
        for block in blocks:
            hidden = block(hidden, block is blocks[-1])
        return self.ln_post(hidden) @ self.proj


def refuse_damaged(folder: Path) -> None:
    """Raises OSError where weights or classes in a folder are not those that export.json has the digests of."""
    record = folder / "export.json"
    if not record.is_file():
        return  # from a hub, which holds digests of its own, or fine-tuned further
    try:
        digests = {name: json.loads(record.read_text("utf-8"))["files"][name] for name in CHECKED}
    except (ValueError, KeyError, TypeError):
        raise OSError(f"{record}: is damaged") from None
    for name, wanted in digests.items():
        if hashlib.sha256((folder / name).read_bytes()).hexdigest() != wanted:
            raise OSError(f"{folder / name}: is damaged, or another export's (its checksum differs)")


CHECKED = ("config.json", "model.safetensors")


class ClipftForImageClassification(PreTrainedModel):
    config_class = ClipftConfig
    main_input_name = "pixel_values"

    def __init__(self, config: ClipftConfig) -> None:
        super().__init__(config)
        n_classes = len(config.id2label or ())
        self.visual = Tower(config)
        self.text_features = nn.Parameter(torch.zeros(n_classes, config.projection_dim))
        self.logit_scale = nn.Parameter(torch.tensor(1.0))
        self.logit_bias = nn.Parameter(torch.zeros(n_classes))
        self.post_init()

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, *args: Any, **kwargs: Any) -> Any:
        """As for every model of transformers, once a folder's files are found to be whole."""
        refuse_damaged(Path(str(pretrained_model_name_or_path)))
        return super().from_pretrained(pretrained_model_name_or_path, *args, **kwargs)

    def _init_weights(self, module: nn.Module) -> None:
        """Every weight is in the file."""

    def forward(self, pixel_values: Tensor, labels: Tensor | None = None, **kwargs: Any) -> ImageClassifierOutput:
        features = F.normalize(self.visual(pixel_values.to(self.visual.proj.dtype)).float(), dim=-1)
        logits = self.logit_scale.float() * features @ self.text_features.float().T + self.logit_bias.float()
        loss = F.cross_entropy(logits, labels) if labels is not None else None
        return ImageClassifierOutput(loss=loss, logits=logits)
