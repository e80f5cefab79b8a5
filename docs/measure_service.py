"""Load a service of an ONNX export and a plain FastAPI handler with torch, one after the other, from the same clients.

`python docs/measure_service.py IMAGE RUN EXPORT...`: a photograph, which 1, 8 and 32 clients send over and over, 200
requests in all; a run; ONNX exports of it. It prints a table of p50, p99 and images/s, and needs fastapi besides
`clipft-cli[serve]`.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

N_REQUESTS = 200
N_CLIENTS = (1, 8, 32)
SERVE = [sys.executable, "-m", "clipft_cli", "serve"]
PLAIN = """
import sys
import clipft_cli, uvicorn
from fastapi import FastAPI, Request
from clipft_cli.engine.images.decode import decode_image

model = clipft_cli.load(sys.argv[1])
app = FastAPI()

@app.post("/predict")
async def predict(request: Request):
    picture = decode_image(await request.body())
    row = model.predict([picture])[0]
    return {"class": row.best}

uvicorn.run(app, port=int(sys.argv[2]), log_level="critical")
"""


def main() -> None:
    image, run, *exports = (Path(argument).resolve() for argument in sys.argv[1:])
    data = image.read_bytes()
    commands = {
        **{f"clipft serve {export.name}": [*SERVE, str(export), "--port", "8471"] for export in exports},
        "FastAPI and torch": [sys.executable, "-c", PLAIN, str(run), "8471"],
    }
    print("| service | clients | p50 | p99 | images/s | memory |")
    print("|" + "---|" * 6)
    for name, command in commands.items():
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            loaded(name, process, "http://127.0.0.1:8471/predict", data)
        finally:
            process.terminate()
            process.wait()


def loaded(name: str, process: subprocess.Popen[bytes], url: str, data: bytes) -> None:
    """Print a row for each number of clients."""
    for _ in range(600):
        try:
            httpx.post(url, content=data, trust_env=False, timeout=30).raise_for_status()
            break
        except httpx.TransportError:
            time.sleep(0.1)
    for n_clients in N_CLIENTS:
        seconds, took = asked(url, data, n_clients)
        p99 = statistics.quantiles(seconds, n=100)[98]
        print(
            f"| {name} | {n_clients} | {1000 * statistics.median(seconds):.0f} ms | {1000 * p99:.0f} ms |"
            f" {N_REQUESTS / took:.0f} | {memory_mb(process.pid)} |",
            flush=True,
        )


def asked(url: str, data: bytes, n_clients: int) -> tuple[list[float], float]:
    """Seconds of each request, and of all."""
    own = threading.local()

    def ask(_: int) -> float:
        if not hasattr(own, "client"):
            own.client = httpx.Client(trust_env=False, timeout=60)
        began = time.perf_counter()
        own.client.post(url, content=data).raise_for_status()
        return time.perf_counter() - began

    began = time.perf_counter()
    with ThreadPoolExecutor(n_clients) as pool:
        seconds = list(pool.map(ask, range(N_REQUESTS)))
    return seconds, time.perf_counter() - began


def memory_mb(pid: int) -> str:
    """What it holds, where the system tells."""
    status = Path(f"/proc/{pid}/status")
    found = re.search(r"VmRSS:\s+(\d+)", status.read_text()) if status.exists() else None
    return f"{int(found[1]) / 1024:.0f} MB" if found else ""


if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    main()
