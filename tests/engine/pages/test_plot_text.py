"""Names as a plot can show them."""

from __future__ import annotations

from clipft_cli.engine.files.visible import display_width
from clipft_cli.engine.pages.plot_text import plot_labels


def test_a_name_without_a_font_is_shown_by_its_number():
    labels = plot_labels(["beagle", "\U0001f9ff\U0001f9ff", "x" * 90])
    assert labels[0] == "beagle"
    assert labels[1] == "#1"
    assert display_width(labels[2]) == 28
