"""`clipft serve`: an ONNX export answers over HTTP, without torch."""

from __future__ import annotations

import contextlib
import ipaddress
import signal
import socket
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from types import FrameType

from ..config.serve import ServeConfig
from ..errors import CheckpointError, MissingExtraError, ResourceError
from .events import Note, OnEvent, unheard
from .exports.runtime import open_onnx

PACKAGES = ("starlette", "uvicorn", "multipart", "prometheus_client", "onnxruntime")


def serve(config: ServeConfig, on_event: OnEvent = unheard, on_ready: Callable[[str], None] = lambda url: None) -> None:
    """Answer requests until a signal comes, and then what was taken. `on_ready` is told the address.

    Raises CheckpointError where the folder is no ONNX export or is damaged, MissingExtraError without the extra,
    ResourceError where the address cannot be had.
    """
    options = config.serve
    if missing := [name for name in PACKAGES if find_spec(name) is None]:
        raise MissingExtraError(f"serve needs {', '.join(missing)}", hint="pip install 'clipft-cli[serve]'")
    if options.export is None:
        raise CheckpointError("serve: no export is named", hint="make one: `clipft export RUN --to onnx`")
    model = open_onnx(options.export, graph=options.graph)
    if model.choice is not None:
        on_event(Note(model.choice))

    import uvicorn

    from .serving.application import application

    listening = _listening(options.host, options.port)
    with listening:
        address, port = listening.getsockname()[:2]
        if not ipaddress.ip_address(address).is_loopback:
            on_event(
                Note(f"everyone who reaches {address} can use this service; there is no password", is_warning=True)
            )
        settings = uvicorn.Config(
            application(model, options),
            log_level="critical",
            access_log=False,
            http="h11",
            ws="none",
            timeout_graceful_shutdown=int(options.timeout_seconds) + 1,
            server_header=False,
        )
        on_ready(f"http://{f'[{address}]' if ':' in address else address}:{port}")
        _server_of(settings).run(sockets=[listening])


def _server_of(settings):  # type: ignore[no-untyped-def]
    import uvicorn

    class Server(uvicorn.Server):
        """One that ends with success after a signal, where uvicorn raises the signal again."""

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            before = {number: signal.signal(number, self._stop) for number in (signal.SIGINT, signal.SIGTERM)}
            try:
                yield
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)

        def _stop(self, number: int, frame: FrameType | None) -> None:
            self.handle_exit(number, frame)

    return Server(settings)


def _listening(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=128)
    except (OSError, UnicodeError) as error:
        raise ResourceError(
            f"{host}:{port}: cannot be listened on: {getattr(error, 'strerror', None) or error}",
            hint="take another: --port 0 finds one that is free",
        ) from None
