"""The header of a model card, in YAML, as model hubs read it: licence, base model, tags and figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from ..checkpoint.card import Card
from ..files.visible import shown
from ..metrics import HEADLINES
from ..metrics.metrics import Metrics
from ..model.licences import HUB_NAMES, licence_of

_HUB_METRICS = {"top1": "accuracy", "top5": "top_5_accuracy", "macro_f1": "f1"}
"""What the hub calls a metric; others keep their own name."""


def card_header(card: Card, library: str, tags: Sequence[str], figures: Sequence[tuple[str, str, str, Metrics]]) -> str:
    """Between two lines of dashes. `figures`: (split, data set, digest of its manifest, metrics)."""
    facts: dict[str, Any] = {}
    licence = HUB_NAMES.get(licence_of(card.base.name, card.base.pretrained))
    if licence is not None:
        facts["license"] = licence
    facts |= {"library_name": library, "pipeline_tag": "image-classification", "tags": list(tags)}
    base = hub_repository(card.base.name, card.base.pretrained)
    if base is not None:
        facts |= {"base_model": base, "base_model_relation": "finetune"}
    name = shown(str(card.data.get("name") or "images"), 80)
    if figures:
        facts["model-index"] = [{"name": f"{name}-{card.method}", "results": [_result(*one) for one in figures]}]
    return f"---\n{yaml.safe_dump(facts, sort_keys=False, allow_unicode=True, width=1000)}---"


def hub_repository(name: str, pretrained: str | None) -> str | None:
    """`owner/name` of the base model on the hub; None where it has none that is known."""
    if name.startswith("hf-hub:"):
        return name.removeprefix("hf-hub:")
    if pretrained is None or "/" in pretrained or "." in pretrained:
        return None  # a file of one's own
    import open_clip  # heavy, and asked for a name of its list only

    known: Mapping[str, Any] = open_clip.get_pretrained_cfg(name, pretrained) or {}
    return str(known.get("hf_hub") or "").strip("/") or None


def _result(split: str, data: str, digest: str, metrics: Metrics) -> dict[str, Any]:
    name = shown(data, 80)
    return {
        "task": {"type": "image-classification"},
        "dataset": {"name": name, "type": name, "split": split, "revision": digest},
        "metrics": [
            {
                "type": _HUB_METRICS.get(metric.name, metric.name),
                "value": round(figure.value, 5),
                "name": metric.title,
                "args": {"interval_95": [round(figure.low, 5), round(figure.high, 5)], "images": metrics.n_images},
            }
            for metric in HEADLINES
            if len(metrics.classes) >= metric.min_classes and (figure := metrics.figures.get(metric.name)) is not None
        ],
    }
