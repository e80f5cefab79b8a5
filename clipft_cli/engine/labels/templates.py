"""Prompt templates: the words around a class name. Without torch, so that `prepare` can show them."""

from __future__ import annotations

from collections.abc import Sequence

from ...config.data import TemplateSet

TEMPLATE_SETS: dict[str, tuple[str, ...]] = {
    "short": ("a photo of a {}.",),
    "photos": (
        "a photo of a {}.",
        "a photo of the {}.",
        "a close-up photo of a {}.",
        "a good photo of a {}.",
        "a bright photo of a {}.",
        "a dark photo of a {}.",
        "a cropped photo of a {}.",
    ),
    "drawings": (
        "a drawing of a {}.",
        "an illustration of a {}.",
        "a picture of a {}.",
        "a photo of a {}.",
    ),
}
"""Named sets, `a {}` before vowels too, as in CLIP's own prompts; `auto` is `drawings` for the embedded model and
`photos` for all others."""


def choose_templates(wish: TemplateSet | Sequence[str], model_name: str) -> tuple[str, ...]:
    """The templates a config asks for."""
    if not isinstance(wish, str):
        return tuple(wish)
    if wish == "auto":
        wish = "drawings" if model_name == "clipft-tiny" else "photos"
    return TEMPLATE_SETS[wish]
