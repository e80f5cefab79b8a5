"""Fetching one large file: with progress, going on where it stopped, and checked at the end."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ...errors import DownloadError
from ..files.digest import file_digest

TRIES = 5
_TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True)
class Remote:
    """A file on the web. `sha256` is None where its publisher gives no checksum."""

    url: str
    file_name: str
    sha256: str | None = None

    @property
    def checksum_note(self) -> str:
        """What can be said about the file's integrity."""
        if self.sha256 is None:
            return f"{self.file_name}: its publisher gives no checksum, so only its length and content are checked"
        return f"{self.file_name}: checksum verified"


def download(
    remote: Remote,
    folder: Path,
    on_bytes: Callable[[int, int | None], None] = lambda done, total: None,
    pause_seconds: float = 1.0,
) -> Path:
    """The file of `remote` in `folder`, fetched unless it is there, resumed from a `.part` that is.

    A transfer that breaks off is taken up again; TRIES failures without a new byte end it.

    Raises DownloadError where there is no network, the server refuses, or the checksum is
    not the published one (the wrong file is removed).
    """
    target = folder / remote.file_name
    if target.exists():
        _verify(target, remote)
        return target
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / (remote.file_name + ".part")
    failures, size = 0, _size(part)
    while (problem := _transfer(remote, part, on_bytes)) is not None:
        failures = failures + 1 if _size(part) <= size else 0  # what grows is given its time
        size = _size(part)
        if failures == TRIES:
            raise _failed(remote, part, problem)
        time.sleep(pause_seconds * 2**failures)
    _verify(part, remote)
    os.replace(part, target)
    return target


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _transfer(remote: Remote, part: Path, on_bytes: Callable[[int, int | None], None]) -> str | None:
    """Fetch what is missing of `part`. Returns None when it is whole, else what went wrong."""
    import httpx

    have = _size(part)
    headers = {"Range": f"bytes={have}-", "Accept-Encoding": "identity"} if have else {"Accept-Encoding": "identity"}
    try:
        with httpx.stream(
            "GET", remote.url, headers=headers, follow_redirects=True, timeout=_TIMEOUT_SECONDS
        ) as response:
            if response.status_code == 416:
                return _after_range_refused(response.headers.get("content-range", ""), part, have)
            if response.status_code not in (200, 206):
                raise _refused(remote, response.status_code)
            resumes = response.status_code == 206 and _starts_at(response.headers.get("content-range", "")) == have
            if response.status_code == 206 and not resumes:
                part.unlink(missing_ok=True)
                return "the server sent another part than the one asked for"
            start = have if resumes else 0
            length = response.headers.get("content-length")
            total = start + int(length) if length and length.isdigit() else None
            done = _save(response, part, start, total, on_bytes)
    except httpx.ConnectError as error:
        if not have:
            raise _failed(remote, part, str(error) or "no connection") from None
        return str(error) or "no connection"
    except httpx.HTTPError as error:
        return str(error) or type(error).__name__
    except httpx.InvalidURL as error:
        raise DownloadError(f"{remote.url}: {error}") from None
    return None if total is None or done == total else f"it ended after {done:,} of {total:,} bytes"


def _save(
    response: object, part: Path, start: int, total: int | None, on_bytes: Callable[[int, int | None], None]
) -> int:
    done = start
    with open(part, "ab" if start else "wb") as file:
        for chunk in response.iter_bytes():  # type: ignore[attr-defined]
            file.write(chunk)
            done += len(chunk)
            on_bytes(done, total)
        file.flush()
        os.fsync(file.fileno())
    return done


def _starts_at(content_range: str) -> int | None:
    """Where a `bytes 100-199/200` starts."""
    start = content_range.removeprefix("bytes ").partition("-")[0]
    return int(start) if start.isdigit() else None


def _after_range_refused(content_range: str, part: Path, have: int) -> str | None:
    """416: nothing is left to fetch when the length is what we have; else what we have is not of this file."""
    length = content_range.rpartition("/")[2]
    if length.isdigit() and int(length) == have:
        return None
    part.unlink(missing_ok=True)
    return "what was fetched before does not belong to this file"


def _verify(path: Path, remote: Remote) -> None:
    if remote.sha256 is None:
        return
    found = file_digest(path)
    if found != remote.sha256:
        path.unlink()
        raise DownloadError(
            f"{remote.url}: checksum is {found[:16]}..., published is {remote.sha256[:16]}...; the file was removed",
            hint="try again; if it stays so, fetch the archive yourself and give it with --archive FILE",
        )


def _failed(remote: Remote, part: Path, problem: str) -> DownloadError:
    have = _size(part)
    kept = f"; {have:,} bytes are kept and the next try goes on from there" if have else ""
    return DownloadError(
        f"{remote.url}: {problem}{kept}",
        hint="without a network: fetch the archive elsewhere and give it with --archive FILE,"
        " or run `clipft prepare` alone for the drawn dogs",
    )


def _refused(remote: Remote, status: int) -> DownloadError:
    return DownloadError(
        f"{remote.url}: the server answered {status}",
        hint="fetch the archive from its publisher's page and give it with --archive FILE",
    )
