from __future__ import annotations

import csv
import itertools
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image
from prepare_cases import config

from clipft_cli.engine.manifest import read_manifest
from clipft_cli.engine.prepare import prepare
from clipft_cli.errors import DataError

_SEED = itertools.count(5000)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def picture(path: Path, exif: Image.Exif | None = None) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(next(_SEED)).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((48, 48), Image.Resampling.BICUBIC).save(path, exif=exif or Image.Exif())
    return path.name


def table(groups: list[tuple[str, str, int]], given: list[str] | None = None) -> Path:
    """A table of (group, class, how many images), shuffled by nothing: the rows are in order."""
    rows = []
    for group, label, n in groups:
        rows += [[picture(Path("t") / f"{len(rows) + k:04d}.png"), group, label] for k in range(n)]
    if given:
        rows = [[*row, given[i % len(given)]] for i, row in enumerate(rows)]
    with open("t/labels.csv", "w", newline="") as file:
        csv.writer(file).writerows([["image", "patient", "label", *(["split"] if given else [])], *rows])
    return Path("t/labels.csv")


def splits_of_groups(root: str = "data/labels") -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for row in read_manifest(Path(root)).rows:
        found[str(row.group)].add(row.split)
    return found


def test_a_group_is_in_one_split_and_classes_keep_their_shares() -> None:
    sizes = np.random.default_rng(7).integers(2, 7, 60)
    groups = [(f"p{i}", ("ill", "well", "well")[i % 3], int(n)) for i, n in enumerate(sizes)]
    result = prepare(config(source=str(table(groups)), group_column="patient"))
    assert {len(found) for found in splits_of_groups().values()} == {1}
    for one in result.classes:
        for n, share in ((one.train, 0.7), (one.val, 0.15), (one.test, 0.15)):
            assert abs(n / one.total - share) <= 0.02
    assert any("60 groups of 2 to 6 images, each in one split" in note for note in result.notes)
    assert result.near_duplicate_groups == 0


def test_a_patient_of_two_classes_is_in_one_split_too() -> None:
    groups = [(f"p{i}", label, 2) for i in range(20) for label in ("left", "right")]
    result = prepare(config(source=str(table(groups)), group_column="patient"))
    assert {len(found) for found in splits_of_groups().values()} == {1}
    assert all(one.train and one.val and one.test for one in result.classes)


def test_groups_are_the_same_again_from_the_same_seed_and_others_from_another() -> None:
    path = str(table([(f"p{i}", "ab"[i % 2], 3) for i in range(24)]))
    prepare(config(source=path, group_column="patient"))
    prepare(config(source=path, group_column="patient", output_dir="data/again"))
    assert splits_of_groups() == splits_of_groups("data/again")


def test_a_class_of_too_few_groups_is_refused_by_what_is_missing() -> None:
    path = table([("one", "a", 9), *((f"p{i}", "b", 3) for i in range(6))])
    with pytest.raises(DataError, match=r"class 'a' has 9 usable images, which make 1 group"):
        prepare(config(source=str(path), group_column="patient"))


def test_given_splits_that_divide_a_group_are_refused_with_a_command_that_works() -> None:
    path = table([(f"p{i}", "ab"[i % 2], 3) for i in range(12)], given=["train", "val", "test"])
    with pytest.raises(DataError, match=r"12 of 12 groups are in more than one of the given splits") as caught:
        prepare(config(source=str(path), group_column="patient"))
    assert "--set prepare.given_splits=ignore" in str(caught.value.hint)
    prepare(config(source=str(path), group_column="patient", given_splits="ignore"))
    assert {len(found) for found in splits_of_groups().values()} == {1}


def test_a_data_set_without_groups_has_rows_as_before() -> None:
    table([(f"p{i}", "ab"[i % 2], 3) for i in range(8)])
    prepare(config(source="t/labels.csv"))
    assert "group" not in Path("data/labels/manifest.jsonl").read_text()


@pytest.mark.parametrize(
    ("name", "template", "n"),
    [
        ("vid{g}_frame_{i:03d}.png", "{class}/{group}_frame_*", 8),
        ("clip{g}frame{i:04d}.png", "{class}/{group}frame*", 4),  # clip0 of both classes is one
    ],
)
def test_file_names_with_numbered_starts_are_asked_about_with_the_template(name: str, template: str, n: int) -> None:
    for label in "ab":
        for g, i in itertools.product(range(4), range(4)):
            picture(Path("clips") / label / name.format(g=f"{label}{g}" if "vid" in name else g, i=i))
    warned = " ".join(prepare(config(source="clips")).warnings)
    assert f"file names share numbered starts ({n} of them" in warned
    assert f"--paths '{template}'" in warned


@pytest.mark.parametrize(
    ("place", "template"),
    [
        ("patient {label}{g}", "{class}/{group}/*"),
        ("patient {label}{g}/{side}", "{class}/{group}/**/*"),
        ("{side}/patient {label}{g}", "{class}/*/{group}/*"),
        ("name {label}{word}/2024-0{g}-0{i}", "{class}/{group}/**/*"),
    ],
)
def test_folders_within_a_class_are_asked_about(place: str, template: str) -> None:
    for label, g, i, side in itertools.product("ab", (1, 2, 3), (1, 2, 3, 4), ("left", "right")):
        named = place.format(label=label, g=g, i=i, side=side, word=("", "one", "two", "three")[g])
        picture(Path("set") / label / named / f"{i}{side}.png")
    warned = " ".join(prepare(config(source="set", paths="{class}")).warnings)
    assert "the images of a class lie in folders of their own (6 folders" in warned
    assert warned.count("--paths") == 1
    assert f"--paths '{template}'" in warned
    again = prepare(config(source="set", paths=template, output_dir="again"))
    assert any("6 groups of 8 images, each in one split" in note for note in again.notes)


def test_words_whose_numbers_begin_anew_are_asked_about_with_a_template_that_keeps_them() -> None:
    for label, who, i in itertools.product("ab", ("amy", "bob", "cat", "dan"), range(1, 5)):
        picture(Path("set") / label / f"{who}{label} {i}.png")
    (warned,) = (text for text in prepare(config(source="set")).warnings if "begin anew" in text)
    assert "(8 of them, such as 'amya')" in warned
    template = warned.partition("--paths '")[2].partition("'")[0]
    again = prepare(config(source="set", paths=template, output_dir="again"))
    assert any("8 groups of 4 images, each in one split" in note for note in again.notes)


def test_the_numbers_of_cameras_run_on_and_are_not_asked_about() -> None:
    for i, (label, camera) in enumerate(itertools.product("ab" * 4, ("IMG", "DSC", "PXL"))):
        picture(Path("set") / label / f"{camera}_{i * 7:04d}.png")
    assert not any("begin anew" in text for text in prepare(config(source="set")).warnings)


@pytest.mark.parametrize(
    "name", ["IMG_{i:04d}.png", "n0208562{c}_{i}.png", "{i}.png", "photo {i}.png", "abyssinian_{i}.png"]
)
def test_names_that_only_count_are_not_asked_about(name: str) -> None:
    for c, label in enumerate("ab"):
        for i in range(12):
            picture(Path("set") / label / name.format(i=i + 100 * c, c=c))
    assert not any("numbered" in text for text in prepare(config(source="set")).warnings)


def test_bursts_are_seen_in_exif_and_kept_together_where_that_is_asked_for() -> None:
    for label, shot, i in itertools.product("ab", range(6), range(3)):
        exif = Image.Exif()
        exif[ExifTags.Base.Model] = "camera"
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = (
            f"2024:05:0{'ab'.index(label) + 1} 12:{shot:02d}:0{i}"
        )
        picture(Path("set") / label / f"{'xyzuvw'[shot]}{'rst'[i]}.jpg", exif)
    warned = " ".join(prepare(config(source="set")).warnings)
    assert "36 of 36 images were taken within 3 seconds of another by the same camera" in warned
    assert "--set prepare.burst_seconds=3" in warned
    prepare(config(source="set", burst_seconds=3, output_dir="data/kept"))
    found: dict[str, set[str]] = defaultdict(set)
    for row in read_manifest(Path("data/kept")).rows:
        found[row.path.split("/")[1] + Path(row.path).name[0]].add(row.split)
    assert Counter(map(len, found.values())) == {1: 12}


@pytest.mark.parametrize(
    ("name", "field"), [("P{g:03d}_{side}.png", r"{group:.*\d}{:[ _.-]*"), ("plot{g}{side}.png", r"{group:.*\d}{:")]
)
def test_names_with_letters_after_a_shared_number_are_asked_about(name: str, field: str) -> None:
    for label, g, side in itertools.product("ab", range(6), ("left", "right")):
        picture(Path("set") / label / name.format(g=g + 10 * "ab".index(label), side=side))
    warned = " ".join(prepare(config(source="set")).warnings)
    assert "file names share numbered starts (12 of them" in warned
    assert field in warned


def test_a_start_that_is_shared_across_classes_is_asked_about() -> None:
    for g, label in itertools.product(range(12), ("before", "after")):
        picture(Path("set") / label / f"patient{g:02d}_{'ba'[label == 'after']}.png")
    warned = " ".join(prepare(config(source="set")).warnings)
    assert "12 of them" in warned


@pytest.mark.parametrize("is_divided", [True, False])
def test_given_splits_that_divide_what_shares_a_name_are_said(is_divided: bool) -> None:
    for label, g, i in itertools.product("ab", range(6), range(3)):
        k = i if is_divided else g % 3
        picture(Path("set") / ("train", "val", "test")[k] / label / f"clip{label}{g}_frame{i}.png")
    warned = " ".join(prepare(config(source="set")).warnings)
    assert ("12 of these are in more than one of the given splits" in warned) == is_divided
    assert ("share numbered starts" in warned) == is_divided


def test_where_no_image_can_be_used_nothing_is_asked_about_groups() -> None:
    for place in ("a/1", "b/1"):
        Path("set", place).mkdir(parents=True)
        Path("set", place, "x.jpg").write_bytes(b"\xff\xd8 no picture")
    with pytest.raises(DataError, match="too small"):
        prepare(config(source="set"))
