"""What the documentation says is what the program does."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def reference() -> dict[str, object]:
    return runpy.run_path(str(ROOT / "docs" / "make_reference.py"))


@pytest.mark.parametrize(("page", "function"), [("cli.md", "cli_page"), ("config.md", "config_page")])
def test_reference_pages_are_up_to_date(reference, page, function):
    written = (ROOT / "docs" / page).read_text(encoding="utf-8")
    assert written == reference[function](), "run `make docs`"


def test_the_layouts_are_read_as_the_page_says():
    page = runpy.run_path(str(ROOT / "docs" / "make_layouts.py"))["layouts_page"]()
    assert page == (ROOT / "docs" / "layouts.md").read_text(encoding="utf-8")
