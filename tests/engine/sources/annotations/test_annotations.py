"""Each annotation format as its program exports it: the same images and classes come out of every one."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from source_cases import asked

from clipft_cli.engine.sources import SOURCES, source_of
from clipft_cli.engine.sources.annotations import FORMATS
from clipft_cli.engine.sources.listing import Listing
from clipft_cli.errors import DataError

N = 12
FILES = [f"{i:03d}.jpg" for i in range(N)]
Labels = list[list[str]]
ONE_EACH: Labels = [["cat"], ["dog"]] * (N // 2)


@pytest.fixture(autouse=True)
def in_a_folder_of_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("images").mkdir()
    for name in FILES:
        Path("images", name).write_bytes(b"\xff\xd8")


def written(name: str, content: object) -> str:
    Path(name).parent.mkdir(exist_ok=True)
    Path(name).write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return name


def coco(labels: Labels) -> str:
    names = ["cat", "dog"]
    annotations = [
        {
            "id": 10 * i + k,
            "image_id": i + 100,
            "category_id": names.index(label) + 1,
            "bbox": [1, 2, 3, 4],
            "iscrowd": 0,
        }
        for i, found in enumerate(labels)
        for k, label in enumerate(found)
    ]
    content = {
        "info": {},
        "images": [{"id": i + 100, "file_name": name, "width": 4, "height": 4} for i, name in enumerate(FILES)],
        "annotations": annotations,
        "categories": [{"id": k + 1, "name": name, "supercategory": "pet"} for k, name in enumerate(names)],
    }
    return written("annotations/instances.json", content)


def label_studio(labels: Labels) -> str:
    def results(found: list[str]) -> list[dict]:
        value = {"type": "choices", "from_name": "choice", "to_name": "image", "value": {"choices": found}}
        return [value] if found else []

    tasks = [
        {
            "id": i,
            "data": {"image": f"/data/upload/3/{i:08x}-{name}"},
            "annotations": [
                {"was_cancelled": True, "result": results(["dog"])},
                {"was_cancelled": False, "result": results(labels[i])},
            ],
        }
        for i, name in enumerate(FILES)
    ]
    return written("project-3-at-2024.json", tasks)


def label_studio_min(labels: Labels) -> str:
    rows = [
        {"image": f"/data/local-files/?d=pets/images/{name}", "id": i, "choice": found[0], "annotator": 1}
        for i, (name, found) in enumerate(zip(FILES, labels, strict=True))
        if found
    ]
    return written("min.json", rows)


def via(labels: Labels) -> str:
    files = {
        f"{name}1234": {
            "filename": name,
            "size": 1234,
            "regions": [],
            "file_attributes": {"pet": {label: True for label in labels[i]}, "note": "x"}
            if i
            else {"pet": {"cat": True}},
        }
        for i, name in enumerate(FILES)
    }
    return written("via_project.json", {"_via_settings": {}, "_via_img_metadata": files, "_via_attributes": {}})


def via_regions(labels: Labels) -> str:
    files = {
        name: {
            "filename": name,
            "size": 1,
            "regions": [
                {"shape_attributes": {"name": "rect"}, "region_attributes": {"pet": label}} for label in labels[i]
            ],
            "file_attributes": {},
        }
        for i, name in enumerate(FILES)
    }
    return written("via_region_data.json", files)


def fiftyone(labels: Labels) -> str:
    found = {Path(name).stem: ["cat", "dog"].index(labels[i][0]) for i, name in enumerate(FILES) if labels[i]}
    return written("labels.json", {"classes": ["cat", "dog"], "labels": found})


def cvat(labels: Labels) -> str:
    root = ElementTree.Element("annotations")
    for i, name in enumerate(FILES):
        image = ElementTree.SubElement(root, "image", id=str(i), name=name, width="4", height="4")
        for label in labels[i]:
            ElementTree.SubElement(image, "tag", label=label, source="manual")
    return written("annotations.xml", ElementTree.tostring(root, encoding="unicode"))


def path_list(labels: Labels) -> str:
    written("classes.txt", "cat\ndog\n")
    rows = [f"images/{name} {['cat', 'dog'].index(labels[i][0])}" for i, name in enumerate(FILES) if labels[i]]
    return written("train.txt", "\n".join(rows) + "\n")


def label_first(labels: Labels) -> str:
    return written("list.lst", "\n".join(f"{labels[i][0]} images/{name}" for i, name in enumerate(FILES)))


def table_of_text(labels: Labels) -> str:
    return written("t.txt", "\n".join(["file\tlabel", *(f"{name}\t{labels[i][0]}" for i, name in enumerate(FILES))]))


def pandas_records(labels: Labels) -> str:
    return written("rows.json", [{"file_name": name, "label": labels[i][0]} for i, name in enumerate(FILES)])


def map_of_images(labels: Labels) -> str:
    return written("map.json", {f"images/{name}": labels[i][0] for i, name in enumerate(FILES)})


def map_of_objects(labels: Labels) -> str:
    return written("map.json", {name: {"label": labels[i][0], "width": 4} for i, name in enumerate(FILES)})


def map_of_classes(labels: Labels) -> str:
    names = ("cat", "dog")
    return written("map.json", {name: [file for i, file in enumerate(FILES) if labels[i] == [name]] for name in names})


def attributes(labels: Labels) -> str:
    rows = [
        f"{name} {1 if labels[i] == ['cat'] else -1}  {1 if labels[i] == ['dog'] else -1}"
        for i, name in enumerate(FILES)
    ]
    return written("list_attr.txt", "\n".join([str(N), "cat dog", *rows]))


WRITERS: dict[str, tuple[str, Callable[[Labels], str]]] = {
    "coco": ("coco", coco),
    "label-studio": ("label-studio", label_studio),
    "label-studio-min": ("json-table", label_studio_min),
    "via": ("via", via),
    "via-regions": ("via", via_regions),
    "fiftyone": ("fiftyone", fiftyone),
    "cvat": ("cvat", cvat),
    "path-list": ("path-list", path_list),
    "label-first": ("path-list", label_first),
    "table-of-text": ("path-list", table_of_text),
    "json-table": ("json-table", pandas_records),
    "map-of-images": ("json-map", map_of_images),
    "map-of-objects": ("json-map", map_of_objects),
    "map-of-classes": ("json-map", map_of_classes),
    "attributes": ("path-list", attributes),
}


def read(source: str) -> Listing:
    return source_of(source)[0].read(asked(source, Path("w")))


def classes(listing: Listing) -> dict[str, int]:
    return dict(Counter(item.label for item in listing.items))


def test_every_format_has_a_file_written_here() -> None:
    assert set(FORMATS) == {name for name, _ in WRITERS.values()}
    assert set(FORMATS) <= set(SOURCES)


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_as_its_program_writes_it_is_read(name: str) -> None:
    kind, write = WRITERS[name]
    source = write(ONE_EACH)
    assert source_of(source)[0].name == kind
    listing = read(source)
    assert classes(listing) == {"cat": N // 2, "dog": N // 2}
    assert {item.file.name: item.label for item in listing.items} == dict(
        zip(FILES, (found[0] for found in ONE_EACH), strict=True)
    )
    assert listing.problems == []


@pytest.mark.parametrize("name", ["coco", "label-studio", "via", "via-regions", "cvat"])
def test_images_of_several_classes_are_refused_and_those_of_none_listed(name: str) -> None:
    write = WRITERS[name][1]
    with pytest.raises(DataError, match=r"images have several classes, such as .*cat, dog") as error:
        read(write([["cat"], ["cat", "dog"]] * (N // 2)))
    assert "one class an image" in (error.value.hint or "")
    listing = read(write([["cat"], ["dog"], *ONE_EACH[2:-1], []]))
    assert [problem.reason for problem in listing.problems] == ["row without a class"]


def test_boxes_of_one_class_are_a_class_and_are_said_not_to_be_used() -> None:
    listing = read(coco([["cat", "cat"], ["dog"]] * (N // 2)))
    assert classes(listing) == {"cat": N // 2, "dog": N // 2}
    assert any(note.startswith("18 boxes and outlines are not used") for note in listing.notes)


def test_label_studio_of_boxes_alone_is_refused_by_what_it_is() -> None:
    boxes = [{"type": "rectanglelabels", "value": {"rectanglelabels": ["cat"]}}]
    tasks = [{"id": 1, "data": {"image": "a.jpg"}, "annotations": [{"result": boxes}]}]
    with pytest.raises(DataError, match="its annotations are rectanglelabels"):
        read(written("boxes.json", tasks))


def test_two_attributes_of_via_are_a_choice() -> None:
    files = {name: {"filename": name, "regions": {}, "file_attributes": {"a": "1", "b": "2"}} for name in FILES}
    with pytest.raises(DataError, match="more than one attribute may hold the class: a, b"):
        read(written("via.json", files))


@pytest.mark.parametrize(
    "content",
    [
        {"images": [{"id": 1}], "annotations": [], "categories": []},
        {"images": 3, "annotations": [], "categories": []},
        {"images": [], "annotations": [{"image_id": 1, "category_id": 9}], "categories": [{"id": 1, "name": "cat"}]},
    ],
)
def test_a_damaged_file_is_an_error_of_data(content: dict) -> None:
    with pytest.raises(DataError, match=r"is no whole COCO file"):
        read(written("c.json", content))


def test_a_folder_with_one_file_a_split_keeps_the_splits() -> None:
    for k, split in enumerate(("train", "valid", "test")):
        folder = Path("set", split)
        folder.mkdir(parents=True)
        names = FILES[4 * k : 4 * k + 4]
        for name in names:
            (folder / name).write_bytes(b"\xff\xd8")
        content = {
            "images": [{"id": i, "file_name": name} for i, name in enumerate(names)],
            "annotations": [{"id": i, "image_id": i, "category_id": i % 2} for i in range(4)],
            "categories": [{"id": 0, "name": "cat"}, {"id": 1, "name": "dog"}],
        }
        written(str(folder / "_annotations.coco.json"), content)
    listing = read("set")
    assert Counter((item.split, item.label) for item in listing.items) == {
        (split, label): 2 for split in ("train", "val", "test") for label in ("cat", "dog")
    }


def test_a_comment_that_names_the_columns_is_no_header_of_a_list() -> None:
    written("images/list.txt", "#Image CLASS-ID\n# 1: cat\n" + "".join(f"{i:03d} {i % 2}\n" for i in range(N)))
    assert not FORMATS["path-list"].evidence(Path("images/list.txt"))


def test_an_image_that_stands_twice_in_a_json_object_is_seen_twice() -> None:
    rows = ", ".join(f'"images/{name}": "{ONE_EACH[i][0]}"' for i, name in enumerate(FILES))
    with pytest.raises(DataError, match=r"images have several classes, such as images/000.jpg: cat, dog"):
        read(written("map.json", f'{{{rows}, "images/{FILES[0]}": "dog"}}'))
    with pytest.raises(DataError, match="an object in it has a key twice"):
        read(written("map.json", f'{{"images/{FILES[0]}": {{"label": "cat", "label": "dog"}}}}'))


@pytest.mark.parametrize(
    ("name", "content", "way"),
    [
        ("splits.json", {"train": FILES[:6], "test": FILES[6:]}, '{"a.jpg": "cat"}'),
        ("other.json", {"cat": 1}, '{"a.jpg": "cat"}'),
        ("list.txt", "Abyssinian_100 1 1 1\nbeagle_4 2 2 1", "write lines `a.jpg cat`"),
    ],
)
def test_a_file_that_says_no_classes_of_images_is_refused_with_what_would(name: str, content: object, way: str) -> None:
    with pytest.raises(DataError) as error:
        source_of(written(name, content))
    assert way in str(error.value.hint)
