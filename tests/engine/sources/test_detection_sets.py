"""Sets of boxes and outlines are refused by what they are; class folders beside them are read all the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from source_cases import asked

from clipft_cli.engine.sources import SOURCES, source_of
from clipft_cli.errors import DataError


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(path: str, content: str = "\xff") -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(content, encoding="latin-1")


def yolo(images: str, labels: str, line: str) -> None:
    for i in range(4):
        write(f"set/{images}/{i}.jpg")
        write(f"set/{labels}/{i}.txt", line * (i + 1))


@pytest.mark.parametrize(
    ("images", "labels"), [("images/train", "labels/train"), ("train/images", "train/labels"), ("obj_data", "obj_data")]
)
@pytest.mark.parametrize("line", ["0 0.5 0.5 0.25 0.25\n", "3 0.1 0.2 0.3 0.4 0.5 0.6\n"])
def test_yolo_is_refused_by_its_name(images: str, labels: str, line: str) -> None:
    yolo(images, labels, line)
    write("set/data.yaml", "nc: 1\nnames: [cat]\n")
    with pytest.raises(DataError, match="is a detection set as YOLO") as error:
        source_of("set")[0].read(asked("set", Path("w")))
    assert "one folder a class" in (error.value.hint or "")


def test_pascal_voc_is_refused_by_its_name() -> None:
    for i in range(4):
        write(f"set/JPEGImages/{i}.jpg")
        write(f"set/Annotations/{i}.xml", "<annotation><object><name>cat</name></object></annotation>")
    with pytest.raises(DataError, match="is a detection set as Pascal VOC"):
        source_of("set")[0].read(asked("set", Path("w")))


@pytest.mark.parametrize("text", ["0 0.5 0.5 0.25 0.25\n", "a caption of a cat\n"])
def test_class_folders_are_read_whatever_texts_lie_among_them(text: str) -> None:
    for i in range(4):
        write(f"set/{['cat', 'dog'][i % 2]}/{i}.jpg")
        write(f"set/{['cat', 'dog'][i % 2]}/{i}.txt", text)
    assert source_of("set")[0] is SOURCES["folder"]


def test_yolo_for_classes_is_folders_of_splits_and_classes() -> None:
    for split in ("train", "val", "test"):
        for label in ("cat", "dog"):
            write(f"set/{split}/{label}/1.jpg")
    write("set/data.yaml", "nc: 2\n")
    assert source_of("set")[0] is SOURCES["folder"]
