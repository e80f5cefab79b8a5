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
