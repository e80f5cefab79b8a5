from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
from small_pictures import class_folders
from source_cases import asked

from clipft_cli.engine.sources.archives import Limits, list_archive, unpack
from clipft_cli.errors import DataError


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    return class_folders(tmp_path / "pets", 3)


def files_outside(tmp_path: Path, *inside: str) -> set[str]:
    return {p.name for p in tmp_path.iterdir()} - set(inside)


def test_a_tar_writes_no_link_no_device_and_nothing_outside(tmp_path: Path, pets: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        archive.add(pets, arcname="pets")
        for name, kind, target in [
            ("pets/cat/link.jpg", tarfile.SYMTYPE, "../../../secret.txt"),
            ("pets/cat/hard.jpg", tarfile.LNKTYPE, "../secret.txt"),
            ("pets/cat/dev.jpg", tarfile.CHRTYPE, ""),
            ("pets/cat/fifo.jpg", tarfile.FIFOTYPE, ""),
            ("pets/dir", tarfile.SYMTYPE, "/tmp"),
        ]:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            archive.addfile(info)
        for name in ("../up.jpg", "/abs.jpg", "pets/../../up2.jpg", "pets/dir/through.jpg"):
            info = tarfile.TarInfo(name)
            info.size = 3
            archive.addfile(info, io.BytesIO(b"abc"))
    result = unpack(tmp_path / "a.tar.gz", tmp_path / "out")
    assert files_outside(tmp_path, "a.tar.gz", "out", "pets", "secret.txt") == set()
    assert not any(path.is_symlink() for path in (tmp_path / "out").rglob("*"))
    assert {p.file: p.reason for p in result.problems} == {
        "pets/cat/link.jpg": "a link",
        "pets/cat/hard.jpg": "a link",
        "pets/cat/dev.jpg": "not a regular file",
        "pets/cat/fifo.jpg": "not a regular file",
        "pets/dir": "a link",
        "../up.jpg": "name leads out of the archive",
        "/abs.jpg": "absolute name",
        "pets/../../up2.jpg": "name leads out of the archive",
    }
    assert (tmp_path / "out/pets/dir/through.jpg").read_bytes() == b"abc"


def test_a_zip_refuses_what_climbs_out_and_keeps_the_rest(tmp_path: Path, pets: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for path in sorted(pets.rglob("*.jpg")):
            archive.write(path, path.relative_to(tmp_path))
        for name in ("../up.jpg", "..\\up.jpg", "C:\\up.jpg", "/abs.jpg"):
            archive.writestr(name, b"x")
        link = zipfile.ZipInfo("pets/cat/link.jpg")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    result = unpack(tmp_path / "a.zip", tmp_path / "out")
    assert (result.n_files, len(result.problems)) == (6, 5)
    assert files_outside(tmp_path, "a.zip", "out", "pets") == set()


def test_a_bomb_is_stopped_while_it_unpacks(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for i in range(4):
            archive.writestr(f"cat/{i}.jpg", b"\0" * 1_000_000)
    with pytest.raises(DataError, match="refused"):
        unpack(tmp_path / "a.zip", tmp_path / "out", limits=Limits(floor_bytes=1_500_000))
    written = sum(path.stat().st_size for path in (tmp_path / "out").rglob("*.jpg"))
    assert written <= 1_500_000


def test_too_many_or_too_large_files_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for i in range(20):
            archive.writestr(f"{i}.jpg", b"0123456789")
    with pytest.raises(DataError, match="more than 10 entries"):
        unpack(tmp_path / "a.zip", tmp_path / "out", limits=Limits(files=10))
    with pytest.raises(DataError, match="larger than"):
        unpack(tmp_path / "a.zip", tmp_path / "out2", limits=Limits(file_bytes=9))


@pytest.mark.parametrize("cut", [0, 1, 100, 0.5, 0.9])
@pytest.mark.parametrize("kind", ["a.zip", "a.tar.gz", "a.tar"])
def test_a_damaged_archive_is_one_clear_error(tmp_path: Path, pets: Path, kind: str, cut: float) -> None:
    if kind == "a.zip":
        with zipfile.ZipFile(tmp_path / kind, "w") as archive:
            for path in pets.rglob("*.jpg"):
                archive.write(path, path.relative_to(tmp_path))
    else:
        with tarfile.open(tmp_path / kind, "w:gz" if kind.endswith("gz") else "w") as tar:
            tar.add(pets, arcname="pets")
    data = (tmp_path / kind).read_bytes()
    length = int(cut * len(data)) if 0 < cut < 1 else int(cut)
    (tmp_path / kind).write_bytes(data[:length])
    if kind == "a.tar" and length >= 100:
        # a tar has no checksum of its content: cut between two entries it is a smaller tar
        with suppress(DataError):
            unpack(tmp_path / kind, tmp_path / "out")
        return
    with pytest.raises(DataError, match=kind):
        unpack(tmp_path / kind, tmp_path / "out")


def test_a_table_in_an_archive_reaches_no_file_outside_it(tmp_path: Path, pets: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for path in sorted(pets.rglob("*.jpg")):
            archive.write(path, f"images/{path.parent.name}{path.name}")
        rows = [f"images/{c}{i}.jpg,{c}" for c in ("cat", "dog") for i in range(3)]
        outside = [f"{pets}/cat/0.jpg,cat", "../../pets/cat/0.jpg,cat"]
        archive.writestr("labels.csv", "\n".join(["image,label", *rows, *outside]))
    listing = list_archive(tmp_path / "a.zip", asked("a.zip", tmp_path))
    assert len(listing.items) == 6
    assert [p.reason for p in listing.problems] == ["outside the archive"] * 2


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE])
@pytest.mark.parametrize("first", [True, False])
def test_a_tar_header_that_would_fill_the_memory_is_not_read(tmp_path: Path, kind: bytes, first: bool) -> None:
    """tarfile reads the headers of long names and attributes whole: 14 MB of gzip can hold one of 3 GB."""
    huge = tarfile.TarInfo("././@LongLink")
    huge.type, huge.size = kind, 3 << 30
    with gzip.open(tmp_path / "a.tar.gz", "wb") as file:
        if not first:
            file.write(tarfile.TarInfo("an-empty-file").tobuf())
        file.write(huge.tobuf(tarfile.GNU_FORMAT))
        file.write(bytes(10_000))
    with pytest.raises(DataError, match="a header of 3,221,225,472 bytes"):
        unpack(tmp_path / "a.tar.gz", tmp_path / "out")


def test_what_is_skipped_counts_as_unpacked(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        for n in range(4):
            info = tarfile.TarInfo(f"__MACOSX/._{n}.jpg")
            info.size = 1 << 20
            archive.addfile(info, io.BytesIO(bytes(1 << 20)))
    with pytest.raises(DataError, match="more than 3 MiB unpacked"):
        unpack(tmp_path / "a.tar.gz", tmp_path / "out", limits=Limits(floor_bytes=3 << 20, ratio=1))


def raw_zip(path: Path, files: dict[bytes, bytes], flags: int = 0) -> Path:
    """A zip whose names are these very bytes, without the flag that says UTF-8."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for letter, (name, content) in zip("ABCDEFGH", files.items(), strict=False):
            archive.writestr(letter * len(name), content)
    data = buffer.getvalue()
    for letter, name in zip("ABCDEFGH", files, strict=False):
        data = data.replace(letter.encode() * len(name), name)
    if flags:
        for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            data = bytearray(data)
            place = data.find(mark)
            while place >= 0:
                data[place + at] |= flags
                place = data.find(mark, place + 4)
    path.write_bytes(bytes(data))
    return path


def of_classes(names: list[str], encoding: str) -> dict[bytes, bytes]:
    return {f"{name}/picture-{i}.jpg".encode(encoding): b"\xff\xd8" + name.encode() for name in names for i in range(2)}


@pytest.mark.parametrize(
    ("encoding", "names"),
    [
        ("gb18030", ["猫", "狗", "兔子"]),
        ("cp866", ["Кошка", "Собака"]),
        ("cp437", ["Hündin", "Rüde"]),
        ("utf-8", ["猫", "Hündin"]),
        ("cp932", ["柴犬", "秋田犬"]),
    ],
)
def test_names_of_a_zip_that_do_not_say_their_encoding_are_read_by_their_letters(
    tmp_path: Path, encoding: str, names: list[str]
) -> None:
    path = raw_zip(tmp_path / "a.zip", of_classes(names, encoding))
    listing = list_archive(path, asked(path, tmp_path))
    assert set(listing.labels()) == set(names)
    assert any("were read as" in note for note in listing.notes) == (encoding != "utf-8")


def test_names_that_read_in_several_ways_are_asked_for(tmp_path: Path) -> None:
    path = raw_zip(tmp_path / "a.zip", of_classes(["고양이", "강아지"], "cp949"))
    with pytest.raises(DataError, match="read in 3 ways") as error:
        list_archive(path, asked(path, tmp_path))
    assert "cp949: 고양이" in error.value.message
    assert error.value.commands[-1] == f"clipft prepare {path} --encoding cp949"  # type: ignore[attr-defined]
    listing = list_archive(path, asked(path, tmp_path / "again", encoding="cp949"))
    assert set(listing.labels()) == {"고양이", "강아지"}


def test_a_locked_zip_is_said_to_be_one(tmp_path: Path) -> None:
    path = raw_zip(tmp_path / "a.zip", of_classes(["cat", "dog"], "utf-8"), flags=1)
    with pytest.raises(DataError, match="is encrypted: 4 of its 4 files need a password") as error:
        list_archive(path, asked(path, tmp_path))
    assert "unpack it with its password" in (error.value.hint or "")


def nested(path: Path, **files: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, file in files.items():
            archive.write(file, name.replace("_", "."))
        archive.writestr("sample_submission.csv", "id,label\n1,0\n")
    return path


def test_archives_in_an_archive_are_unpacked_where_they_hold_the_images(tmp_path: Path, pets: Path) -> None:
    inner = tmp_path / "inner.zip"
    with zipfile.ZipFile(inner, "w") as archive:
        for path in sorted(pets.rglob("*.jpg")):
            archive.write(path, path.relative_to(pets))
    outer = nested(tmp_path / "outer.zip", train_zip=inner, test_zip=inner)
    listing = list_archive(outer, asked(outer, tmp_path))
    assert {(item.split, item.label) for item in listing.items} == {
        (split, label) for split in ("train", "test") for label in ("cat", "dog")
    }
    assert "train.zip in outer.zip was unpacked too" in listing.notes


def test_archives_in_an_archive_have_its_limit_together(tmp_path: Path) -> None:
    inner = tmp_path / "inner.zip"
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.bin", bytes(150 << 20))
    outer = nested(tmp_path / "outer.zip", a_zip=inner, b_zip=inner)
    with pytest.raises(DataError, match=r"outer\.zip/b\.zip: refused: more than 10\d MiB"):
        list_archive(outer, asked(outer, tmp_path))


def test_what_only_other_programs_unpack_is_not_called_damaged(tmp_path: Path) -> None:
    path = raw_zip(tmp_path / "a.zip", of_classes(["cat", "dog"], "utf-8"))
    data = bytearray(path.read_bytes())
    for mark, at in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        place = data.find(mark)
        while place >= 0:
            data[place + at] = 9  # Deflate64
            place = data.find(mark, place + 4)
    path.write_bytes(bytes(data))
    with pytest.raises(DataError, match="cannot be unpacked here") as error:
        list_archive(path, asked(path, tmp_path))
    assert "another program" in (error.value.hint or "")


def tar_of(pets: Path, kind: str) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode=f"w:{kind}") as archive:
        archive.add(pets, arcname="pets")
    return sink.getvalue()


def test_a_tar_with_a_damaged_header_in_its_middle_is_refused(tmp_path: Path, pets: Path) -> None:
    """tarfile takes it for the end: what comes after it would be lost in silence."""
    content = bytearray(tar_of(pets, ""))
    at = content.index(b"pets/", len(content) // 2)
    content[at + 148] ^= 1  # of the header's checksum
    (tmp_path / "a.tar").write_bytes(content)
    with pytest.raises(DataError, match="a header is damaged"):
        unpack(tmp_path / "a.tar", tmp_path / "out")


def test_the_checksum_of_a_compressed_tar_is_compared(tmp_path: Path, pets: Path) -> None:
    content = bytearray(tar_of(pets, "gz"))
    content[-8] ^= 1
    (tmp_path / "a.tar.gz").write_bytes(content)
    with pytest.raises(DataError, match="cannot be unpacked"):
        unpack(tmp_path / "a.tar.gz", tmp_path / "out")


def test_a_second_tar_behind_the_first_is_told(tmp_path: Path, pets: Path) -> None:
    (tmp_path / "a.tar").write_bytes(tar_of(pets, "") * 2)
    assert "follows the end of the tar" in " ".join(unpack(tmp_path / "a.tar", tmp_path / "out").warnings)
    (tmp_path / "b.tar").write_bytes(tar_of(pets, "") + bytes(30_000))
    assert not unpack(tmp_path / "b.tar", tmp_path / "out-b").warnings


def test_an_entry_without_a_name_is_listed(tmp_path: Path, pets: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("pets/cat/1.jpg", b"x")
        archive.writestr("k", b"y")
    content = (tmp_path / "a.zip").read_bytes()
    central = content.rindex(b"PK\x01\x02")
    nameless = bytearray(content[: central + 46] + content[central + 47 :])  # the name's one letter is gone
    nameless[central + 28] = 0
    end = nameless.rindex(b"PK\x05\x06")
    nameless[end + 12] -= 1  # of the directory's size
    (tmp_path / "a.zip").write_bytes(nameless)
    with suppress(DataError):
        assert [p.reason for p in unpack(tmp_path / "a.zip", tmp_path / "out").problems] == ["name cannot be used"]
