from __future__ import annotations

import hashlib
import socket
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from small_pictures import save_picture

from clipft_cli.config.prepare import PrepareOptions
from clipft_cli.engine.sources.downloads import Remote, download
from clipft_cli.engine.sources.oxford_pets import list_oxford_pets
from clipft_cli.engine.sources.source import SourceRequest
from clipft_cli.engine.sources.stanford_dogs import list_stanford_dogs
from clipft_cli.errors import DownloadError

CONTENT = bytes(range(256)) * 4000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves CONTENT; the first `breaks` answers end after a third of what was asked for."""

    breaks = 0
    supports_ranges = True
    status = 200
    ranges: list[str | None]

    def handle_error(self, request: object, client_address: object) -> None:
        """Breaking off is what this server is for."""


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.server.ranges.append(asked)
        if self.server.status != 200:
            self.send_error(self.server.status)
            return
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and self.server.supports_ranges else 0
        if start >= len(CONTENT):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(CONTENT)}")
            self.end_headers()
            return
        body = CONTENT[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.server.breaks > 0:
            self.server.breaks -= 1
            self.wfile.write(body[: len(body) // 3])
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
        else:
            self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server(("127.0.0.1", 0), Handler)
    running.ranges = []
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield running
    running.shutdown()
    running.server_close()


def remote(server: Server, sha256: str | None = SHA256) -> Remote:
    return Remote(f"http://127.0.0.1:{server.server_address[1]}/a.tar", "a.tar", sha256)


def test_an_interrupted_transfer_goes_on_where_it_stopped(tmp_path: Path, server: Server) -> None:
    server.breaks = 2
    seen: list[int] = []
    path = download(remote(server), tmp_path, lambda done, total: seen.append(done), pause_seconds=0)
    assert path.read_bytes() == CONTENT
    assert server.ranges[0] is None
    assert [r is not None and r != "bytes=0-" for r in server.ranges[1:]] == [True, True]
    assert seen == sorted(seen)
    assert [p.name for p in tmp_path.iterdir()] == ["a.tar"]


def test_a_part_of_an_earlier_run_is_taken_up(tmp_path: Path, server: Server) -> None:
    (tmp_path / "a.tar.part").write_bytes(CONTENT[:5000])
    assert download(remote(server), tmp_path, pause_seconds=0).read_bytes() == CONTENT
    assert server.ranges == ["bytes=5000-"]


def test_a_part_that_is_whole_already_needs_no_bytes(tmp_path: Path, server: Server) -> None:
    (tmp_path / "a.tar.part").write_bytes(CONTENT)
    assert download(remote(server), tmp_path, pause_seconds=0).read_bytes() == CONTENT


def test_a_server_without_ranges_is_fetched_from_the_start(tmp_path: Path, server: Server) -> None:
    server.supports_ranges = False
    (tmp_path / "a.tar.part").write_bytes(b"old" * 1000)
    assert download(remote(server), tmp_path, pause_seconds=0).read_bytes() == CONTENT


def test_a_wrong_checksum_is_an_error_and_the_file_is_gone(tmp_path: Path, server: Server) -> None:
    with pytest.raises(DownloadError, match="checksum"):
        download(remote(server, "0" * 64), tmp_path, pause_seconds=0)
    assert list(tmp_path.iterdir()) == []


def test_without_a_published_checksum_that_is_said(server: Server) -> None:
    assert "no checksum" in remote(server, None).checksum_note


def test_a_refusal_names_the_answer_and_the_way_out(tmp_path: Path, server: Server) -> None:
    server.status = 403
    with pytest.raises(DownloadError, match="403") as error:
        download(remote(server), tmp_path, pause_seconds=0)
    assert "--archive" in (error.value.hint or "")


def test_without_a_network_the_error_shows_the_way_out(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(DownloadError) as error:
        download(Remote(f"http://127.0.0.1:{port}/a.tar", "a.tar"), tmp_path, pause_seconds=0)
    assert "--archive" in (error.value.hint or "")


def test_a_transfer_that_never_ends_keeps_its_part_for_the_next_run(tmp_path: Path, server: Server) -> None:
    server.breaks = 99
    with pytest.raises(DownloadError, match="kept"):
        download(remote(server), tmp_path, pause_seconds=0)
    assert (tmp_path / "a.tar.part").stat().st_size > len(CONTENT) // 2


def from_archive(name: str, archive: Path, folder: Path) -> SourceRequest:
    options = PrepareOptions(source=name, archive=archive)
    return SourceRequest(options, 0, folder / "work", folder / "downloads", lambda stage, done, total: None)


def test_oxford_pets_come_from_a_local_archive_with_the_official_split_beside_it(tmp_path: Path) -> None:
    for breed in ("Abyssinian", "great_pyrenees"):
        for i in range(4):
            save_picture(tmp_path / "images" / f"{breed}_{i}.jpg", i)
    (tmp_path / "images" / "Abyssinian_0.mat").write_bytes(b"x")
    lists = tmp_path / "annotations"
    lists.mkdir()
    (lists / "trainval.txt").write_text("Abyssinian_0 1 1 1\ngreat_pyrenees_0 2 2 1\n")
    (lists / "test.txt").write_text("#Image CLASS-ID\nAbyssinian_1 1 1 1\n")
    for name in ("images", "annotations"):
        with tarfile.open(tmp_path / f"{name}.tar.gz", "w:gz") as archive:
            archive.add(tmp_path / name, arcname=name)
    listing = list_oxford_pets(from_archive("oxford-pets", tmp_path / "images.tar.gz", tmp_path))
    splits = {item.file.stem: item.split for item in listing.items}
    assert listing.labels() == ["Abyssinian", "great_pyrenees"]
    assert (splits["Abyssinian_0"], splits["Abyssinian_1"], splits["Abyssinian_2"]) == ("train", "test", None)
    assert not (tmp_path / "downloads").exists()


def test_stanford_dogs_come_from_a_local_archive(tmp_path: Path) -> None:
    for folder in ("n02085620-Chihuahua", "n02099601-golden_retriever"):
        save_picture(tmp_path / "Images" / folder / "1.jpg", 1)
    with tarfile.open(tmp_path / "images.tar", "w") as archive:
        archive.add(tmp_path / "Images", arcname="Images")
    listing = list_stanford_dogs(from_archive("stanford-dogs", tmp_path / "images.tar", tmp_path))
    assert listing.labels() == ["n02085620-Chihuahua", "n02099601-golden_retriever"]
