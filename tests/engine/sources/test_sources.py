"""What holds for every kind of source, and which kind a SOURCE is."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_pictures import save_picture

from clipft_cli.config.prepare import PrepareOptions
from clipft_cli.engine.sources import SOURCES, source_of
from clipft_cli.errors import ClipftError, ConfigError, DataError


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_registry_names_each_source_as_it_names_itself() -> None:
    assert {name: source.name for name, source in SOURCES.items()} == {name: name for name in SOURCES}


@pytest.mark.parametrize("name", SOURCES)
def test_the_help_of_source_names_every_kind(name: str) -> None:
    described = PrepareOptions.model_fields["source"].description or ""
    assert SOURCES[name].words.casefold() in described.casefold()


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("text", ["pets", "a/b/pets.csv", "hf:owner/pets", "..", "/"])
def test_every_source_names_a_data_folder_that_stays_below_data(name: str, text: str) -> None:
    folder = SOURCES[name].data_folder(text)
    assert folder not in ("", ".", "..")
    assert Path(folder).name == folder


@pytest.mark.parametrize(
    ("text", "name", "evidence"),
    [
        (None, "drawn", "no SOURCE was given"),
        ("pets", "folder", "pets is a folder"),
        ("stanford-dogs", "stanford-dogs", "published data set"),
        ("hf:owner/pets", "hub", "Hugging Face hub"),
        ("pets.CSV", "table", ".CSV"),
        ("pets.tar.gz", "archive", ".tar.gz"),
    ],
)
def test_the_evidence_is_given_in_words(text: str | None, name: str, evidence: str) -> None:
    Path("pets").mkdir()
    Path("pets.CSV").touch()
    Path("pets.tar.gz").touch()
    source, said = source_of(text)
    assert source is SOURCES[name]
    assert evidence in said


def test_a_folder_comes_before_a_data_set_of_that_name() -> None:
    Path("oxford-pets").mkdir()
    assert source_of("oxford-pets")[0] is SOURCES["folder"]


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("", ConfigError, "SOURCE is empty"),
        ("https://example.org/pets.zip", ConfigError, "not fetched"),
        ("pets.xlsx", DataError, "no folder, table or archive"),
        ("note.txt", DataError, "no folder, table or archive"),
        ("stanford_dogz", DataError, "no such file or folder"),
    ],
)
def test_what_is_no_source_is_refused_with_what_would_be_one(text: str, kind: type[ClipftError], words: str) -> None:
    Path("note.txt").touch()
    Path("pets.xlsx").touch()
    with pytest.raises(kind, match=words) as error:
        source_of(text)
    assert "hf:owner/name" in (error.value.hint or "")


def test_a_near_miss_of_a_published_name_is_pointed_out() -> None:
    with pytest.raises(DataError) as error:
        source_of("Stanford_Dog")
    assert "did you mean stanford-dogs?" in (error.value.hint or "")


def test_a_layout_of_folders_rules_out_what_has_none() -> None:
    Path("pets").mkdir()
    Path("pets/labels.csv").write_text("image,label\na.jpg,cat\n")
    save_picture(Path("pets/a.jpg"), 1)
    assert source_of("pets")[0] is SOURCES["table-folder"]
    assert source_of("pets", "{class}_*")[0] is SOURCES["folder"]
    with pytest.raises(ConfigError, match="no folder and no archive"):
        source_of("pets/labels.csv", "{class}")
