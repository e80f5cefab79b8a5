"""Fuzzing of what a person puts in: tables and archives, damaged at random, are read whole or refused in words.

What a reading gives is held against the bytes that were read, by a few lines of this file: a picture whose name
still stands there is taken, or told, and none is taken under a class that does not stand beside it.
"""

from __future__ import annotations

import io
import os
import random
import re
import shutil
import tarfile
import time
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from PIL import Image
from source_cases import asked

from clipft_cli.engine.sources.archives import list_archive
from clipft_cli.engine.sources.listing import Listing
from clipft_cli.engine.sources.losses import warn_of_losses
from clipft_cli.engine.sources.tables import list_table
from clipft_cli.errors import ClipftError

CASES = int(os.environ.get("CLIPFT_FUZZ_CASES", "500"))
SECONDS = 20
N = 24
NAMES = [f"img-{i:03}" for i in range(N)]
LABELS = [("husky", "beagle", "poodle")[i % 3] for i in range(N)]
STRANGE = [b'"', b"'", b",", b"\t", b"\n", b"\r", b"\0", b"\xff\xfe", b"{", b"}", b"]", b"../", b"/", b"\\", b"\xc3"]
PLACE = Path("photos")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """24 pictures of as many colours, whose bytes tell which they are."""
    root = tmp_path_factory.mktemp("fuzzed")
    (root / PLACE).mkdir()
    for i, name in enumerate(NAMES):
        Image.fromarray(np.full((8, 8, 3), i, np.uint8)).save(root / PLACE / f"{name}.png")
    return root


def damaged(content: bytes, rng: random.Random, most: int = 4) -> bytes:
    """`content` with some bytes changed, put in, cut out, doubled or moved."""
    found = bytearray(content)
    for _ in range(rng.randint(1, most)):
        at, length = rng.randrange(len(found) + 1), rng.randint(1, 24)
        kind = rng.choice(["set", "insert", "cut", "double", "end", "move"])
        if kind == "set" and at < len(found):
            found[at] = rng.randrange(256)
        elif kind == "insert":
            found[at:at] = rng.choice(STRANGE)
        elif kind == "cut":
            del found[at : at + length]
        elif kind == "double":
            found[at:at] = found[at : at + length]
        elif kind == "end" and rng.random() < 0.2:
            del found[at:]
        elif kind == "move":
            piece = bytes(found[at : at + length])
            del found[at : at + length]
            to = rng.randrange(len(found) + 1)
            found[to:to] = piece
    return bytes(found)


def table_bytes(kind: str) -> bytes:
    rows = [(f"{PLACE}/{name}.png", label) for name, label in zip(NAMES, LABELS, strict=True)]
    if kind == "parquet":
        sink = io.BytesIO()
        table = pa.table({"image": [image for image, _ in rows], "label": [label for _, label in rows]})
        pyarrow.parquet.write_table(table, sink, compression="none", use_dictionary=False)
        return sink.getvalue()
    if kind == "jsonl":
        return "".join(f'{{"image": "{image}", "label": "{label}"}}\n' for image, label in rows).encode()
    mark = "\t" if kind == "tsv" else ","
    quote = '"' if kind == "quoted.csv" else ""
    lines = [f"{quote}{image}{quote}{mark}{quote}{label}{quote}" for image, label in rows]
    return "\n".join([f"image{mark}label", *lines, ""]).encode()


def letters(text: str) -> str:
    """The letters alone, without control characters, in either form."""
    return "".join(char for char in re.sub(r"\\x[0-9a-f]{2}", "", text) if char.isalpha())


def hold_rows(listing: Listing, content: bytes) -> None:
    """Raises AssertionError where a picture is lost in silence, or has a class that no line gives it."""
    lines = content.lower().splitlines()
    n_listed = sum(any(name.encode() in line for name in NAMES) for line in lines[1:])
    n_told = len(listing.items) + len(listing.problems)
    assert n_told >= n_listed or listing.warnings, f"{n_listed - n_told} rows lost without a word"
    if any("was read as" in note for note in listing.notes):
        return  # bytes that are no UTF-8 are said to be text of another encoding, with the way out
    for item in listing.items:
        places = [n for n, line in enumerate(lines) if item.file.stem.encode() in line]
        beside = b"".join(b"".join(lines[n : n + 2]) for n in places)
        assert letters(item.label).lower() in letters(beside.decode(errors="replace")), (item.name, item.label)


@pytest.mark.parametrize("kind", ["csv", "quoted.csv", "tsv", "jsonl"])
def test_a_damaged_table_is_read_whole_or_refused(folder, tmp_path, monkeypatch, count, kind):
    monkeypatch.chdir(folder)
    content, rng, n_read = table_bytes(kind), random.Random(kind), 0
    file = folder / f"t.{kind.rpartition('.')[2]}"
    for _ in range(CASES):
        bad = damaged(content, rng)
        file.write_bytes(bad)
        began = time.perf_counter()
        try:
            listing = list_table(file, asked(file, tmp_path))
        except ClipftError:
            continue
        finally:
            assert time.perf_counter() - began < SECONDS
        warn_of_losses(listing)
        try:
            hold_rows(listing, bad)
        except AssertionError as error:
            raise AssertionError(f"{error}: {bad!r}") from None
        n_read += 1
    assert n_read > CASES // 20, "nearly every table was refused: nothing was held"
    count("fuzzing: a damaged table is read whole or refused", CASES, CASES)


def test_a_damaged_parquet_file_is_read_whole_or_refused(folder, tmp_path, monkeypatch, count):
    """Without a checksum in the file a changed cell is another cell; no row is lost in silence."""
    monkeypatch.chdir(folder)
    content, rng, file = table_bytes("parquet"), random.Random(5), folder / "t.parquet"
    for _ in range(CASES):
        file.write_bytes(damaged(content, rng, 2))
        began = time.perf_counter()
        try:
            listing = list_table(file, asked(file, tmp_path))
        except ClipftError:
            continue
        finally:
            assert time.perf_counter() - began < SECONDS
        assert len(listing.items) + len(listing.problems) >= N or listing.warnings
    count("fuzzing: a damaged table is read whole or refused", CASES, CASES)


def archive_bytes(folder: Path, kind: str) -> bytes:
    sink = io.BytesIO()
    names = [(folder / PLACE / f"{name}.png", f"{label}/{name}.png") for name, label in zip(NAMES, LABELS, strict=True)]
    if kind == "zip":
        with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
            for file, name in names:
                archive.write(file, name)
    else:
        with tarfile.open(fileobj=sink, mode="w" if kind == "tar" else "w:gz") as archive:
            for file, name in names:
                archive.add(file, arcname=name)
    return sink.getvalue()


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_a_damaged_archive_is_read_whole_or_refused(folder, tmp_path, count, kind):
    """Nothing is written beside the folder it is unpacked to, and no picture is lost without a word."""
    own = {(folder / PLACE / f"{name}.png").read_bytes() for name in NAMES}
    content, rng, file = archive_bytes(folder, kind), random.Random(kind), tmp_path / f"a.{kind}"
    beside = {*os.listdir(tmp_path), file.name, "work", "downloads"}
    for _ in range(CASES):
        bad = damaged(content, rng, 3)
        file.write_bytes(bad)
        shutil.rmtree(tmp_path / "work", ignore_errors=True)
        began = time.perf_counter()
        try:
            listing = list_archive(file, asked(file, tmp_path))
        except ClipftError:
            continue
        finally:
            assert time.perf_counter() - began < SECONDS
            assert set(os.listdir(tmp_path)) <= beside
        warn_of_losses(listing)
        whole = [item for item in listing.items if item.file.read_bytes() in own]
        told = bool(listing.warnings or listing.notes or listing.problems)
        assert len(whole) >= N or told or len(listing.items) >= N, f"{N - len(whole)} lost without a word: {bad!r}"
    count("fuzzing: a damaged archive is read whole or refused", CASES, CASES)
