"""Class names in pictures: shortened, never read as formulas, by number where no font here can write them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache

from matplotlib.font_manager import fontManager, get_font

from ..files.visible import shortened, visible

BASE_FONT = "DejaVu Sans"
FALLBACK_FONTS = (
    "Noto Sans",
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Noto Sans CJK KR",
    "Noto Sans SC",
    "Noto Sans JP",
    "Noto Sans KR",
    "Source Han Sans SC",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "Droid Sans Fallback",
    "IPAexGothic",
    "PingFang SC",
    "Hiragino Sans",
    "Apple SD Gothic Neo",
    "Microsoft YaHei",
    "SimHei",
    "Yu Gothic",
    "MS Gothic",
    "Malgun Gothic",
    "Arial Unicode MS",
    "Noto Sans Arabic",
    "Noto Sans Hebrew",
    "Noto Sans Devanagari",
    "Noto Sans Thai",
)
UNWRITABLE_NOTE = "#N: a name no font here can write; evaluation_report.txt lists it under this number"


def font_families() -> list[str]:
    """Fonts of this machine to write names with, in the order they are tried."""
    return [BASE_FONT, *_installed()]


def plot_labels(names: Sequence[str], max_width: int = 28) -> list[str]:
    """One label a name, at most `max_width` columns; `#N` and what can be written where characters lack a font."""
    known = _writable_characters()
    return [_label(visible(name), number, known, max_width) for number, name in enumerate(names)]


def is_by_number(labels: Iterable[str]) -> bool:
    """Whether any label stands for a name that could not be written."""
    return any(label.startswith("#") for label in labels)


def _label(name: str, number: int, known: frozenset[int], max_width: int) -> str:
    if all(ord(char) in known for char in name):
        return shortened(name, max_width)
    kept = "".join(char if ord(char) in known else " " for char in name)
    return shortened(" ".join([f"#{number}", *kept.split()]), max_width)


@cache
def _installed() -> tuple[str, ...]:
    present = {font.name for font in fontManager.ttflist}
    return tuple(name for name in FALLBACK_FONTS if name in present)


@cache
def _writable_characters() -> frozenset[int]:
    """Code points that one of the fonts has a glyph for."""
    covered: set[int] = set()
    for name in font_families():
        covered.update(get_font(fontManager.findfont(name)).get_charmap())
    return frozenset(covered)
