"""The Hugging Face Hub as open_clip reads it: without a minute's wait where there is no network, and without a word."""

from __future__ import annotations

import contextlib
import logging
import socket
import urllib.parse
import urllib.request
import warnings
from collections.abc import Iterator
from typing import Any, NoReturn

import huggingface_hub
from huggingface_hub.errors import OfflineModeIsEnabled


@contextlib.contextmanager
def cache_only_if_offline() -> Iterator[None]:
    """Where the hub's name does not even resolve, look in its cache alone: its own retries take a minute."""
    if _resolves(huggingface_hub.constants.ENDPOINT):
        yield
        return
    session: Any = huggingface_hub.get_session()
    before = session.event_hooks
    session.event_hooks = {**before, "request": [_refuse]}
    try:
        yield
    finally:
        session.event_hooks = before


def _refuse(request: Any) -> NoReturn:
    """As the hub's own offline mode does, which can only be set before its package is imported."""
    raise OfflineModeIsEnabled(f"{request.url}: there is no connection")


def _resolves(url: str) -> bool:
    if urllib.request.getproxies():
        return True  # the proxy resolves names, not this machine
    try:
        socket.getaddrinfo(urllib.parse.urlsplit(url).hostname, 443)
    except OSError:
        return False
    return True


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """open_clip and the hub speak through loggers and warnings; what matters is said by our own errors."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
