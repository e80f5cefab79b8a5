from __future__ import annotations

import json
from pathlib import Path

import open_clip
import pytest
import torch
from safetensors.torch import load_file, save_file

from clipft_cli.config.model import ModelConfig
from clipft_cli.engine.model.backbone import load_backbone
from clipft_cli.engine.model.transformers_folder import _TRANSPOSED, OUTER, converted, is_transformers_folder
from clipft_cli.errors import ModelError

WIDTH, TEXT_WIDTH, LAYERS, DIM = 32, 48, 2, 24
CFG = {
    "embed_dim": DIM,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 32, "layers": LAYERS, "width": WIDTH, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 12, "vocab_size": 49408, "width": TEXT_WIDTH, "heads": 4, "layers": LAYERS},
}


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def theirs_of(ours: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The names that transformers has for the tensors of an open_clip model: written here by its layout, once more."""
    theirs = {name: ours[mine] for name, mine in OUTER.items()}
    theirs |= {name: ours[mine].T for name, mine in _TRANSPOSED.items()}
    for lead, side in (("visual.transformer", "vision_model"), ("transformer", "text_model")):
        for layer in range(LAYERS):
            block, other = f"{lead}.resblocks.{layer}", f"{side}.encoder.layers.{layer}"
            for part in ("weight", "bias"):
                rows = ours[f"{block}.attn.in_proj_{part}"].chunk(3)
                theirs |= {f"{other}.self_attn.{w}_proj.{part}": row for w, row in zip("qkv", rows, strict=True)}
                for mine, name in (
                    ("attn.out_proj", "self_attn.out_proj"),
                    ("ln_1", "layer_norm1"),
                    ("ln_2", "layer_norm2"),
                    ("mlp.c_fc", "mlp.fc1"),
                    ("mlp.c_proj", "mlp.fc2"),
                ):
                    theirs[f"{other}.{name}.{part}"] = ours[f"{block}.{mine}.{part}"]
    return {name: tensor.contiguous().clone() for name, tensor in theirs.items()}


def folder_of(path: Path, **changes: object) -> tuple[Path, torch.nn.Module]:
    """A folder as CLIPModel.save_pretrained writes it, and the open_clip model with the same weights."""
    torch.manual_seed(0)
    model = open_clip.CLIP(**json.loads(json.dumps(CFG))).eval()
    shared = {"num_hidden_layers": LAYERS, "hidden_act": "quick_gelu"}
    vision = shared | {"hidden_size": WIDTH, "num_attention_heads": 2, "image_size": 32, "patch_size": 8}
    text = shared | {"hidden_size": TEXT_WIDTH, "num_attention_heads": 4, "max_position_embeddings": 12}
    for part in (vision, text):
        part["intermediate_size"] = 4 * part["hidden_size"]
    config = {"model_type": "clip", "projection_dim": DIM, "vision_config": vision, "text_config": text}
    path.mkdir()
    (path / "config.json").write_text(json.dumps(config | changes))
    (path / "preprocessor_config.json").write_text(json.dumps({"image_mean": [0.1, 0.2, 0.3], "resample": 2}))
    save_file(theirs_of(model.state_dict()), path / "model.safetensors")
    return path, model


def test_the_same_model_comes_out_of_a_transformers_folder(tmp_path: Path) -> None:
    folder, model = folder_of(tmp_path / "hf")
    backbone = load_backbone(ModelConfig(name=str(folder)))
    assert backbone.base.quick_gelu
    assert backbone.preprocess.mean == (0.1, 0.2, 0.3)
    assert backbone.preprocess.interpolation == "bilinear"
    pixels, tokens = torch.randn(3, 3, 32, 32), torch.randint(0, 49408, (2, 12))
    with torch.inference_mode():
        # not bit for bit: a projection that was transposed lies in memory in another order
        assert torch.allclose(backbone.model.encode_image(pixels), model.encode_image(pixels), atol=1e-5)
        assert torch.allclose(backbone.model.encode_text(tokens), model.encode_text(tokens), atol=1e-5)
    assert backbone.base.file is not None  # so that adapters on it find their base again


def test_a_second_look_reads_what_the_first_wrote(tmp_path: Path) -> None:
    folder, _ = folder_of(tmp_path / "hf")
    first = converted(folder)
    times = [path.stat().st_mtime_ns for path in sorted(first.iterdir())]
    assert converted(folder) == first
    assert [path.stat().st_mtime_ns for path in sorted(first.iterdir())] == times


def test_half_precision_and_shards_are_read(tmp_path: Path) -> None:
    folder, model = folder_of(tmp_path / "hf")
    tensors = {name: tensor.half() for name, tensor in load_file(folder / "model.safetensors").items()}
    names = sorted(tensors)
    parts = {"a.safetensors": names[:20], "b.safetensors": names[20:]}
    for file, some in parts.items():
        save_file({name: tensors[name] for name in some}, folder / file)
    (folder / "model.safetensors").unlink()
    index = {"weight_map": {name: file for file, some in parts.items() for name in some}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    found = load_backbone(ModelConfig(name=str(folder))).model.state_dict()
    assert all(torch.equal(found[name], tensor.half().float()) for name, tensor in model.state_dict().items())


def test_what_is_no_clip_or_not_whole_is_refused_by_name(tmp_path: Path) -> None:
    folder, _ = folder_of(tmp_path / "vit", model_type="vit")
    with pytest.raises(ModelError, match="transformers model of type vit"):
        load_backbone(ModelConfig(name=str(folder)))
    folder, _ = folder_of(tmp_path / "hf")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"without model.safetensors \(there is pytorch_model.bin, a pickle"):
        load_backbone(ModelConfig(name=str(folder)))
    assert is_transformers_folder(folder)
    assert not is_transformers_folder(tmp_path)


def test_its_file_given_to_an_architecture_names_the_folder(tmp_path: Path) -> None:
    folder, _ = folder_of(tmp_path / "hf")
    with pytest.raises(ModelError) as caught:
        load_backbone(ModelConfig(name="clipft-tiny", pretrained=str(folder / "model.safetensors")))
    assert f"--set model.name={folder}" in str(caught.value.hint)


def test_it_equals_transformers_own_model(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(1)
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = transformers.CLIPConfig(
        text_config=shape | {"max_position_embeddings": 12},
        vision_config=shape | {"image_size": 32, "patch_size": 8},
        projection_dim=24,
    )
    theirs = transformers.CLIPModel(config).eval()
    theirs.save_pretrained(tmp_path / "hf")
    ours = load_backbone(ModelConfig(name=str(tmp_path / "hf"))).model.eval()
    pixels = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        expected = theirs.get_image_features(pixel_values=pixels)
        expected = expected if isinstance(expected, torch.Tensor) else expected.pooler_output
        assert torch.allclose(ours.encode_image(pixels), expected, atol=1e-5)
