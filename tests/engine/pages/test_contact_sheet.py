"""The page of a reading: four pictures a class, bounded, readable in light and dark, with alternative texts."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import pytest
from PIL import Image
from prepare_cases import config
from small_pictures import class_folders

from clipft_cli.engine.pages.contact_sheet import MAX_CLASSES, contact_sheet
from clipft_cli.engine.preparation.reading import ReadClass, Reading
from clipft_cli.engine.prepare import plan, prepare
from clipft_cli.engine.sources.listing import Item


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def pictures(page: str) -> list[Image.Image]:
    found = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', page)
    return [Image.open(io.BytesIO(base64.b64decode(text))) for text in found]


def reading_of_classes(names: list[str]) -> Reading:
    classes = tuple(ReadClass(name, {"train": 9}, "x") for name in names)
    return Reading("pets", "folder", "it is", {}, "", {}, classes, 0, {}, 0, (), ())


def test_a_page_shows_four_pictures_of_each_class_with_their_names() -> None:
    class_folders(Path("pets"), 9)
    plan(config(source="pets"), sheet=Path("look.html"))
    page = Path("look.html").read_text()
    assert {image.size for image in pictures(page)} == {(112, 112)}
    assert re.findall(r'alt="([^"]+)"', page) == [f"{k}: {k}/{i}.jpg" for k in ("cat", "dog") for i in (0, 2, 4, 6)]
    assert "prefers-color-scheme: dark" in page
    assert "http" not in page
    assert re.search(r"<body>\s*<main>.*</main>\s*</body>", page, re.DOTALL), "readers of a screen go by landmarks"


def test_a_data_set_has_its_page() -> None:
    class_folders(Path("pets"), 6)
    prepare(config(source="pets"))
    assert len(pictures(Path("data/pets/reading.html").read_text())) == 8


def test_names_are_text_and_files_that_are_no_pictures_are_named(tmp_path: Path) -> None:
    name = "<script>alert(1)</script>\u202e"
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"\xff\xd8 no picture")
    page = contact_sheet(reading_of_classes([name]), [Item(bad, "bad.jpg", name)])
    assert "<script" not in page
    assert "\u202e" not in page
    assert "bad.jpg: no picture that can be read" in page


def test_many_classes_make_a_page_of_bounded_size(tmp_path: Path) -> None:
    file = tmp_path / "1.jpg"
    Image.effect_noise((72, 72), 80).convert("RGB").save(file)
    names = [f"class {i:04d}" for i in range(MAX_CLASSES + 7)]
    page = contact_sheet(reading_of_classes(names), [Item(file, "1.jpg", name) for name in names for _ in range(4)])
    assert page.count("<img") == 4 * MAX_CLASSES
    assert len(page) < 30 << 20
    assert "1,007 classes, the first 1,000 of them" in page
