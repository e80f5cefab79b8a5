from __future__ import annotations

import io
import json
import tarfile
from collections import Counter
from pathlib import Path

import pytest
from source_cases import asked

from clipft_cli.engine.sources import SOURCES, source_of
from clipft_cli.engine.sources.listing import Listing
from clipft_cli.errors import DataError


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def shard(path: str, files: dict[str, bytes | str]) -> str:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            data = content if isinstance(content, bytes) else content.encode()
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def examples(end: str, labels: list[str], start: int = 0) -> dict[str, bytes | str]:
    files: dict[str, bytes | str] = {}
    for i, label in enumerate(labels, start=start):
        files[f"{i:06d}.jpg"] = b"\xff\xd8" + str(i).encode()
        files[f"{i:06d}.{end}"] = label
    return files


def read(source: str) -> Listing:
    kind, _ = source_of(source)
    assert kind is SOURCES["webdataset"]
    return kind.read(asked(source, Path(f"w-{Path(source).stem}")))


def counts(listing: Listing) -> dict[tuple[str | None, str], int]:
    return dict(Counter((item.split, item.label) for item in listing.items))


@pytest.mark.parametrize(
    ("end", "labels"),
    [
        ("cls", ["cat", "dog"]),
        ("cls.txt", ["cat\n", "dog\n"]),
        ("json", [json.dumps({"label": x}) for x in ("cat", "dog")]),
    ],
)
def test_a_picture_has_the_class_beside_it(end: str, labels: list[str]) -> None:
    listing = read(shard("pets.tar", examples(end, labels * 3)))
    assert counts(listing) == {(None, "cat"): 3, (None, "dog"): 3}
    assert listing.items[0].file.read_bytes() == b"\xff\xd80"


def test_a_folder_of_shards_keeps_its_splits_and_its_names_of_numbers() -> None:
    for n, name in enumerate(("train-000000", "train-000001", "val-000000")):
        shard(f"set/{name}.tar", examples("cls", ["0", "1"], start=2 * n))
    Path("set/classnames.txt").write_text("cat\ndog\n")
    expected = {("train", "cat"): 2, ("train", "dog"): 2, ("val", "cat"): 1, ("val", "dog"): 1}
    assert counts(read("set")) == expected


def test_examples_that_lack_something_are_listed_and_several_classes_refused() -> None:
    files = {**examples("cls", ["cat", "dog"]), "x.jpg": b"\xff\xd8", "y.cls": "cat"}
    assert Counter(problem.reason for problem in read(shard("a.tar", files)).problems) == {
        "example without a class": 1,
        "example without a picture": 1,
    }
    with pytest.raises(DataError, match="the class is several, 2 labels"):
        read(shard("b.tar", examples("json", [json.dumps({"label": ["cat", "dog"]})] * 2)))


def test_a_tar_of_class_folders_is_none() -> None:
    shard("pets.tar", {"cat/1.jpg": b"\xff\xd8", "dog/1.jpg": b"\xff\xd8"})
    assert source_of("pets.tar")[0] is SOURCES["archive"]
