"""One HTML file: what it holds answers as the model does, and a real browser shows it."""

from __future__ import annotations

import base64
import http.server
import json
import os
import queue
import re
import shutil
import subprocess
import threading
from functools import partial
from pathlib import Path

import pytest
from typer.testing import CliRunner

from clipft_cli.cli.app import app
from clipft_cli.config.export import ExportConfig
from clipft_cli.config.load import load_config
from clipft_cli.engine.export import export
from clipft_cli.engine.exports import page_file
from clipft_cli.engine.exports.page_file import graph_in
from clipft_cli.errors import ConfigError

WIDTH = 390
BROWSER = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)
CHOOSE = """
<script>
(async () => {
  const content = await (await fetch("data:image/png;base64,@@PICTURE@@")).blob();
  const files = new DataTransfer();
  files.items.add(new File([content], "photo.png", { type: "image/png" }));
  const input = document.getElementById("file");
  input.files = files.files;
  input.dispatchEvent(new Event("change"));
  const watch = setInterval(() => {
    const answers = document.getElementById("answers"), told = document.getElementById("status").textContent;
    if (answers.children.length === 0 && !told.includes("cannot")) return;
    clearInterval(watch);
    const body = `${told} ${answers.innerHTML} wide ${document.documentElement.scrollWidth}`;
    fetch("http://127.0.0.1:@@PORT@@/", { method: "POST", mode: "no-cors", body });
  }, 50);
})();
</script>
</body>
"""


def exported(run: Path, target: Path, runtime: Path | None) -> Path:
    flags = {
        "export.checkpoint": run,
        "export.to": "page",
        "export.output_dir": target,
        "export.runtime": runtime,
        "export.min_agreement": 0.5,
    }
    return export(load_config(ExportConfig, flags=flags)).output_dir


@pytest.fixture
def stand_in(tmp_path) -> Path:
    """The names of the runtime's files, with nothing to run in them."""
    folder = tmp_path / "dist"
    folder.mkdir()
    for name in (page_file.SCRIPT_FILE, page_file.WASM_FILE):
        (folder / name).write_bytes(b"</script> @@GRAPH@@ " + bytes(range(256)))
    return folder


def test_a_page_is_one_file_that_asks_for_nothing_else(runs, tmp_path, stand_in):
    page = exported(runs["full"], tmp_path / "out", stand_in) / "index.html"
    text = page.read_text()
    assert not re.search(r'(src|href)="|https?://|@@', text)
    assert text.count("</script>") == 5
    assert json.loads(re.search(r'id="classes">(.*?)</script>', text)[1]) == ["blue patch", "green patch", "red patch"]
    assert graph_in(page)[:1] == b"\x08"  # an ONNX file begins with its version


def test_without_the_browsers_runtime_nothing_is_written_and_the_way_to_it_is_said(runs, tmp_path):
    (tmp_path / "empty").mkdir()
    for runtime, words in ((None, "needs onnxruntime-web"), (tmp_path / "empty", "has no ort.wasm")):
        with pytest.raises(ConfigError, match=words) as caught:
            exported(runs["full"], tmp_path / "new" / "out", runtime)
        assert "--runtime package/dist" in caught.value.hint
    assert not (tmp_path / "new").exists()


@pytest.mark.slow
@pytest.mark.parametrize("place", ["disk", "server"])
def test_a_browser_answers_as_predict_does(runs, tiny, tmp_path, place):
    """390 px wide. CLIPFT_NODE_MODULES names a folder where `npm install onnxruntime-web` was run."""
    modules = os.environ.get("CLIPFT_NODE_MODULES")
    if not BROWSER or modules is None:
        pytest.skip("there is no chromium, or CLIPFT_NODE_MODULES names no folder with onnxruntime-web")
    page = exported(runs["full"], tmp_path / "out", Path(modules) / "node_modules" / "onnxruntime-web" / "dist")
    picture = tiny.data / "test" / "red" / "red-01.png"
    shown = in_browser(page / "index.html", picture, tmp_path, from_disk=place == "disk")
    pairs = re.findall(r"<span>([^<]+)</span><span>([\d.]+)%</span>", shown)
    outcome = CliRunner().invoke(app, ["predict", str(picture), "--checkpoint", str(runs["full"]), "--json"])
    top = {item["readable"]: item["probability"] for item in json.loads(outcome.stdout)["results"][0]["top"]}
    assert pairs[0][0] == max(top, key=top.__getitem__)
    assert {name: float(share) / 100 for name, share in pairs} == pytest.approx(top, abs=0.05)
    assert int(shown.rpartition("wide ")[2]) <= WIDTH + 110  # headless windows are no narrower than 500


def in_browser(page: Path, picture: Path, folder: Path, *, from_disk: bool) -> str:
    """What a page shows once a picture was chosen in it, in a headless browser; it tells a server of the test."""
    told: queue.Queue[str] = queue.Queue()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_POST(self) -> None:
            told.put(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.send_response(204)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        content = base64.b64encode(picture.read_bytes()).decode()
        script = CHOOSE.replace("@@PICTURE@@", content).replace("@@PORT@@", str(server.server_port))
        copy = folder / "try.html"
        copy.write_text(page.read_text().replace("</body>", script))
        address = copy.as_uri() if from_disk else f"http://127.0.0.1:{server.server_port}/try.html"
        own = [f"--user-data-dir={folder / 'profile'}", f"--window-size={WIDTH},844", "--remote-debugging-port=0"]
        command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", *own, address]
        browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            return told.get(timeout=120)
        finally:
            browser.terminate()
            browser.wait(timeout=30)
            server.shutdown()
