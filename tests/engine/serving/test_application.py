"""The service as a process, asked over HTTP on this machine: answers, refusals, and an end that answers first."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import onnx
import psutil
import pytest
from PIL import Image

from clipft_cli.config.export import ExportConfig
from clipft_cli.config.load import load_config
from clipft_cli.config.serve import ServeConfig
from clipft_cli.engine import serve as serving
from clipft_cli.engine.export import export
from clipft_cli.engine.files.digest import file_digest
from clipft_cli.engine.files.signed import signed_json
from clipft_cli.engine.train import train
from clipft_cli.errors import CheckpointError, MissingExtraError, ResourceError

pytest.importorskip("uvicorn")
pytest.importorskip("starlette")
LIMITS = ("serve.max_bytes=200000", "serve.max_pixels=250000", "serve.timeout_seconds=1.5", "serve.max_in_flight=8")


@dataclass
class Server:
    process: subprocess.Popen[str]
    url: str

    @property
    def address(self) -> tuple[str, int]:
        host, port = self.url.removeprefix("http://").split(":")
        return host, int(port)


@pytest.fixture(scope="module")
def folder(tiny, tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("serve")
    run = train(tiny.config("full", place / "run", {"model.head": "linear"}), lambda event: None).run_dir
    flags = {"export.checkpoint": run, "export.to": "onnx", "export.output_dir": place / "out"}
    return export(load_config(ExportConfig, flags=flags)).output_dir


def started(folder: Path, limits: tuple[str, ...] = LIMITS) -> Server:
    sets = [part for limit in limits for part in ("--set", limit)]
    process = subprocess.Popen(
        [sys.executable, "-m", "clipft_cli", "serve", str(folder), "--port", "0", *sets],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=folder.parent,
        env={**os.environ, "COLUMNS": "200"},
    )
    assert process.stderr is not None
    line = process.stderr.readline()
    found = re.search(r"serving on (http://[0-9.]+:[0-9]+)", line)
    assert found is not None, line + process.stderr.read()
    return Server(process, found[1])


@pytest.fixture(scope="module")
def server(folder) -> Iterator[Server]:
    one = started(folder)
    yield one
    one.process.terminate()
    one.process.communicate(timeout=20)


@pytest.fixture(scope="module")
def picture(tiny) -> bytes:
    return (tiny.data / "test" / "red" / "red-01.png").read_bytes()


def answer(server: Server, **how: object) -> httpx.Response:
    return httpx.post(f"{server.url}/predict", timeout=20, trust_env=False, **how)  # type: ignore[arg-type]


def get(server: Server, path: str) -> httpx.Response:
    return httpx.get(server.url + path, timeout=20, trust_env=False)


def test_bytes_a_form_and_base64_have_the_answer_of_predict(server, folder, picture, tiny, tmp_path):
    (tmp_path / "red.png").write_bytes(picture)
    told = subprocess.run(
        [sys.executable, "-m", "clipft_cli", "predict", "red.png", "--checkpoint", str(folder), "--json"],
        cwd=tmp_path,
        capture_output=True,
        check=True,
    )
    expected = {top["class"]: top["probability"] for top in json.loads(told.stdout)["results"][0]["top"]}
    coded = base64.b64encode(picture).decode()
    for how in (
        {"content": picture},
        {"files": {"any": ("red.png", picture)}},
        {"json": {"image": coded}},
        {"json": {"image": f"data:image/png;base64,{coded}"}},
    ):
        response = answer(server, **how)
        assert response.status_code == 200, response.text
        given = {top["class"]: top["probability"] for top in response.json()["top"]}
        assert given == pytest.approx(expected, abs=1e-5)


def test_many_at_once_have_each_its_own_answer(server, tiny):
    files = sorted((tiny.data / "test").rglob("*.png"))
    alone = [answer(server, content=file.read_bytes()).json() for file in files]
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(lambda file: answer(server, content=file.read_bytes()).json(), files))
    assert [one["class"] for one in together] == [one["class"] for one in alone]
    assert [one["probability"] for one in together] == pytest.approx([one["probability"] for one in alone], abs=1e-5)


def large_picture() -> bytes:
    buffer = io.BytesIO()
    Image.new("1", (600, 600)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("how", "status", "words"),
    [
        ({"content": b""}, 400, "the request holds no image"),
        ({"content": b"no image at all"}, 422, "not an image"),
        ({"content": bytes(200_001)}, 413, "the body is larger than 200000 bytes"),
        ({"content": iter([bytes(150_000)] * 2)}, 413, "the body is larger than 200000 bytes"),
        ({"content": large_picture()}, 413, "the picture has 600 x 600 pixels, 250000 are allowed"),
        ({"json": {"picture": "?"}}, 400, "the body is no JSON object with the file"),
        ({"json": {"image": "%%%"}}, 400, "the body is no JSON object with the file"),
        ({"json": [[]]}, 400, "the body is no JSON object with the file"),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data"}}, 400, "the form cannot be read"),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data; boundary=b"}}, 400, ""),
        ({"files": {"a": b"1", "b": b"2"}}, 400, "the form cannot be read"),
        ({"content": b"x", "params": {"top_k": "-1"}}, 400, "top_k: must be a whole number above 0"),
        ({"content": b"x", "params": {"top_k": "9" * 5000}}, 400, "top_k"),
    ],
)
def test_what_cannot_be_answered_is_refused_in_words(server, how, status, words):
    response = answer(server, **how)
    assert response.status_code == status, response.text
    assert words in response.json()["error"]


def test_other_paths_and_methods_are_refused(server):
    assert get(server, "/predict").status_code == 405
    assert get(server, "/../etc/passwd").status_code == 404


def test_a_body_that_does_not_come_is_given_up(server):
    with socket.create_connection(server.address, timeout=10) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc")
        assert connection.recv(4096).startswith(b"HTTP/1.1 408")


@contextlib.contextmanager
def while_up(folder: Path, *limits: str) -> Iterator[Server]:
    own = started(folder, limits)
    try:
        yield own
    finally:
        own.process.terminate()
        own.process.communicate(timeout=20)


def test_an_answer_that_takes_too_long_is_given_up(folder, picture):
    with while_up(folder, "serve.timeout_seconds=0.4", "serve.max_wait_ms=1000") as own:  # it waits for others, in vain
        response = answer(own, content=picture)
        assert (response.status_code, response.json()["error"]) == (504, "there was no answer within 0.4 seconds")
        assert get(own, "/health").status_code == 200
        assert 'clipft_requests_total{status="504"} 1' in get(own, "/metrics").text


def test_a_model_that_cannot_answer_is_an_error_of_the_service_and_it_goes_on(folder, picture, tmp_path):
    broken = failing(Path(shutil.copytree(folder, tmp_path / "broken")))
    with while_up(broken) as own:
        for _ in range(2):
            response = answer(own, content=picture)
            assert (response.status_code, response.json()) == (500, {"error": "the model could not answer"})
        assert answer(own, content=b"no image at all").status_code == 422
        assert 'clipft_requests_total{status="500"} 2' in get(own, "/metrics").text


def failing(export: Path) -> Path:
    """The export with a graph that can be loaded, and fails on every image."""
    node = onnx.helper.make_node("Reshape", ["pixel_values", "shape"], ["logits"])
    pixels = onnx.helper.make_tensor_value_info("pixel_values", onnx.TensorProto.FLOAT, ["N", 3, "H", "W"])
    logits = onnx.helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["A", "B"])
    shape = onnx.helper.make_tensor("shape", onnx.TensorProto.INT64, [2], [7, 11])
    graph = onnx.helper.make_graph([node], "failing", [pixels], [logits], [shape])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10)
    whole = onnx.load(export / "prepared.onnx")
    model.metadata_props.extend(whole.metadata_props)
    onnx.save(model, export / "prepared.onnx")
    record = json.loads((export / "export.json").read_text())
    record["files"]["prepared.onnx"] = file_digest(export / "prepared.onnx")
    (export / "export.json").write_text(signed_json(record))
    return export


def test_more_than_the_service_works_on_is_turned_away_and_it_recovers(server, picture):
    slow = []
    try:
        for _ in range(8):
            connection = socket.create_connection(server.address, timeout=10)
            connection.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n")
            slow.append(connection)
        until = time.monotonic() + 1.0
        while (response := answer(server, content=picture)).status_code != 503 and time.monotonic() < until:
            time.sleep(0.02)
        assert response.status_code == 503
        assert response.headers["retry-after"] == "1"
        assert get(server, "/health").status_code == 200
    finally:
        for connection in slow:
            connection.close()
    time.sleep(0.2)
    assert answer(server, content=picture).status_code == 200


def test_500_malformed_requests_crash_nothing_and_keep_nothing(server, picture):
    chance = random.Random(0)

    def damaged() -> bytes:
        data = bytearray(picture)
        for _ in range(chance.randrange(1, 8)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        return bytes(data[: chance.randrange(1, len(data) + 1)])

    process = psutil.Process(server.process.pid)
    with httpx.Client(trust_env=False, timeout=20) as client:

        def ask() -> int:
            return client.post(f"{server.url}/predict", content=damaged()).status_code

        statuses = {ask() for _ in range(100)}
        before = process.memory_info().rss
        statuses |= {ask() for _ in range(400)}
    assert statuses <= {200, 422}
    assert process.memory_info().rss - before < 20 << 20
    for line in (b"\x00\xff\r\n\r\n", b"POST /predict HTTP/9.9\r\n\r\n", b"GET " + b"a" * 100_000):
        with socket.create_connection(server.address, timeout=10) as connection:
            connection.sendall(line)
            connection.settimeout(0.3)
            with contextlib.suppress(OSError):
                connection.recv(4096)
    assert answer(server, content=picture).status_code == 200


def test_what_it_tells_of_itself(server, picture):
    answer(server, content=picture)
    assert get(server, "/health").json() == {"status": "ok", "precision": "fp32", "classes": ["blue", "green", "red"]}
    told = get(server, "/metrics").text
    assert re.search(r'clipft_requests_total\{status="200"\} [1-9]', told)
    assert "clipft_batch_images_count" in told
    assert set(get(server, "/openapi.json").json()["paths"]) == {"/predict", "/health", "/metrics"}
    page = get(server, "/")
    assert page.headers["content-type"].startswith("text/html")
    assert "http" not in page.text.replace("DOCTYPE", "")


def test_torch_is_not_loaded(server):
    maps = Path(f"/proc/{server.process.pid}/maps")
    if not maps.exists():
        pytest.skip("this system does not tell what a process has loaded")
    assert "libtorch" not in maps.read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_after_what_it_took_is_answered(folder, picture, number):
    own = started(folder)
    with socket.create_connection(own.address, timeout=10) as connection:
        head = f"POST /predict HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(picture)}\r\n\r\n"
        connection.sendall(head.encode() + picture[:50])
        time.sleep(0.3)  # it is taken
        own.process.send_signal(number)
        threading.Timer(0.3, connection.sendall, [picture[50:]]).start()
        received = b""
        while part := connection.recv(4096):
            received += part
    assert received.startswith(b"HTTP/1.1 200")
    own.process.communicate(timeout=20)
    assert own.process.returncode == 0


def settings(**values: object) -> ServeConfig:
    return load_config(ServeConfig, flags={f"serve.{key}": value for key, value in values.items()})


def test_a_taken_port_is_named_with_the_way_out(folder):
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(ResourceError, match="cannot be listened on") as caught,
    ):
        serving.serve(settings(export=folder, port=taken.getsockname()[1]))
    assert caught.value.hint == "take another: --port 0 finds one that is free"


def test_what_is_no_onnx_export_is_refused(tmp_path):
    with pytest.raises(CheckpointError):
        serving.serve(settings(export=tmp_path))
    with pytest.raises(CheckpointError, match="no export is named"):
        serving.serve(settings())


def test_without_the_extra_it_is_named(folder, monkeypatch):
    monkeypatch.setattr(serving, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError) as caught:
        serving.serve(settings(export=folder))
    assert caught.value.hint == "pip install 'clipft-cli[serve]'"
