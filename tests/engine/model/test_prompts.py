"""Class names into text: the zero-shot head is open_clip's own."""

from __future__ import annotations

import open_clip
import pytest
import torch
from tiny_world import write_model

from clipft_cli.config.model import ModelConfig
from clipft_cli.engine.labels.templates import TEMPLATE_SETS, choose_templates
from clipft_cli.engine.model.backbone import load_backbone
from clipft_cli.engine.model.prompts import zero_shot_head

NAMES = ["tabby cat", "golden retriever", "größe ü", "a {curly} class", "ظبي"]


@pytest.mark.parametrize("family", ["vit", "attention-pool"])
@pytest.mark.parametrize("templates", ["short", "photos"])
def test_the_head_equals_open_clips_zero_shot_classifier(tmp_path, open_clip_models, family, templates):
    architecture, weights = write_model(tmp_path, family)
    backbone = load_backbone(ModelConfig(name=str(architecture), pretrained=str(weights)))
    head = zero_shot_head(backbone.model, backbone.tokenizer, NAMES, TEMPLATE_SETS[templates])
    theirs = open_clip.build_zero_shot_classifier(
        backbone.model, backbone.tokenizer, NAMES, TEMPLATE_SETS[templates], num_classes_per_batch=None
    )
    torch.testing.assert_close(head, theirs.T, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(head.norm(dim=1), torch.ones(len(NAMES)))


def test_more_classes_than_one_batch_keep_their_order(tmp_path, open_clip_models):
    architecture, weights = write_model(tmp_path)
    backbone = load_backbone(ModelConfig(name=str(architecture), pretrained=str(weights)))
    names = [f"class number {i}" for i in range(130)]
    head = zero_shot_head(backbone.model, backbone.tokenizer, names, ("a {}.",))
    one = zero_shot_head(backbone.model, backbone.tokenizer, names[129:], ("a {}.",))
    assert head.shape == (130, 24)
    torch.testing.assert_close(head[129:], one, rtol=1e-5, atol=1e-6)


def test_auto_is_drawings_for_the_embedded_model_alone():
    assert choose_templates("auto", "clipft-tiny") == TEMPLATE_SETS["drawings"]
    assert choose_templates("auto", "ViT-B-32") == TEMPLATE_SETS["photos"]
    assert choose_templates(("x {}",), "ViT-B-32") == ("x {}",)
