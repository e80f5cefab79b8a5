from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from prepare_cases import config
from small_pictures import save_picture

from clipft_cli.config.prepare import PrepareConfig
from clipft_cli.engine.manifest import read_manifest
from clipft_cli.engine.prepare import prepare
from clipft_cli.errors import ConfigError


@pytest.fixture(autouse=True)
def _table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """60 images of two classes, from three hospitals and two years."""
    monkeypatch.chdir(tmp_path)
    lines = ["image,label,hospital,year,set=2"]
    for i in range(60):
        place = ("Oslo", "Bergen", "St. Olav, Trondheim")[i // 2 % 3]
        save_picture(Path("t") / f"{i:02d}.jpg", i)
        lines.append(f'{i:02d}.jpg,{"ab"[i % 2]},"{place}",{2022 + i % 4 // 2},x')
    Path("t/labels.csv").write_text("\n".join(lines) + "\n")


def prepared(*wishes: str, **options: object) -> list[str]:
    """What --holdout-column gives: the file names in test."""
    prepare(config(source="t/labels.csv", output_dir="d", holdout_column=list(wishes), **options), force=True)
    rows = read_manifest(Path("d")).rows
    assert {row.split for row in rows} == {"train", "val", "test"}
    return sorted(Path(row.path).name for row in rows if row.split == "test")


def of(*places: int) -> list[str]:
    return [f"{i:02d}.jpg" for i in range(60) if i // 2 % 3 in places]


@pytest.mark.parametrize("wish", ["hospital=Oslo", "Hospital= oslo "])
def test_all_images_of_a_value_and_they_alone_are_test(wish: str) -> None:
    assert prepared(wish) == of(0)


def test_several_values_and_values_with_commas_are_held_out() -> None:
    assert prepared("hospital=Oslo", "hospital=St. Olav, Trondheim") == of(0, 2)


def test_a_number_is_a_value() -> None:
    assert prepared("year=2023") == [f"{i:02d}.jpg" for i in range(60) if i % 4 // 2 == 1]


def test_the_others_are_divided_by_the_shares_of_train_and_val() -> None:
    result = prepare(config(source="t/labels.csv", holdout_column="hospital=Oslo", split="0.6/0.2/0.2"))
    assert result.counts == {"train": 30, "val": 10, "test": 20}
    assert "test is what was held out, the other images are divided into train and val" in result.notes


def test_a_given_split_does_not_count_beside_it() -> None:
    text = Path("t/labels.csv").read_text().replace("set=2", "split").replace(",x\n", ",train\n")
    Path("t/labels.csv").write_text(text)
    assert prepared("hospital=Oslo") == of(0)


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ("hospital=Rome", "column 'hospital' has no value 'Rome'; it holds Oslo (20 rows), Bergen (20 rows), St. Olav"),
        ("hospital", "column 'hospital' needs the value that is to be test; it holds Oslo (20 rows)"),
    ],
)
def test_a_value_that_is_not_there_is_refused_with_those_that_are(wish: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        prepared(wish)
    assert said in refused.value.message
    command = shlex.split(str(refused.value.hint).split("`")[1])
    assert command == ["clipft", "prepare", "t/labels.csv", "--output-dir", "d", "--holdout-column", "hospital=Oslo"]


@pytest.mark.parametrize(
    ("wishes", "said"),
    [
        (["clinic=Oslo"], "there is no such column; columns: image, label, hospital"),
        (["hospital=Oslo", "year=2023"], "names two columns, hospital and year"),
        (["set=2=x"], "all rows have this value"),
    ],
)
def test_what_cannot_be_held_out_is_refused(wishes: list[str], said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        prepared(*wishes)
    assert said in refused.value.message


@pytest.mark.parametrize("option", [{"holdout_column": "hospital=Oslo"}, {"group_column": "patient"}])
def test_a_column_of_a_source_without_columns_is_refused(option: dict[str, str]) -> None:
    for i in range(10):
        save_picture(Path("set") / "ab"[i % 2] / f"{i}.jpg", i)
    asked: PrepareConfig = config(source="set", **option)
    with pytest.raises(ConfigError, match=r"--(holdout|group)-column"):
        prepare(asked)
