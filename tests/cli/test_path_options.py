"""Whatever stands at a path that a command is given: it ends, at once and in words. Nothing waits for a pipe."""

from __future__ import annotations

import os
import shlex
import shutil
import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner

from clipft_cli.cli.app import app

IMAGE = "data/colours/test/red/red 0.png"
DATA, RUN = "data/colours", "outputs/full"
MODEL = (
    "--set model.name=colour-clip.json --set model.pretrained=colour-clip.safetensors --set hardware.mixed_precision=no"
)

COMMANDS = {
    "source": "prepare PATH.any --output-dir new",
    "archive": "prepare oxford-pets --archive PATH.tar.gz --output-dir new",
    "images of a table": "prepare table.csv --image-root PATH --output-dir new",
    "lists of splits": "prepare class_folders --split-lists PATH.txt --output-dir new",
    "output of prepare": "prepare class_folders --output-dir PATH",
    "config": "train --config PATH.yaml",
    "data": "train --data-dir PATH",
    "model": f"train --data-dir {DATA} {MODEL} --set model.name=PATH.json --dry-run",
    "weights": f"train --data-dir {DATA} {MODEL} --set model.pretrained=PATH.safetensors --dry-run",
    "start": f"train --data-dir {DATA} --set model.name=PATH --dry-run",
    "resume": "train --resume PATH",
    "output of train": f"train --set training.num_epochs=1 --data-dir {DATA} {MODEL} --output-dir PATH",
    "checkpoint": "evaluate --checkpoint PATH",
    "data of evaluate": f"evaluate --checkpoint {RUN} --data-dir PATH",
    "output of evaluate": f"evaluate --checkpoint {RUN} --output-dir PATH",
    "images of predict": f"predict PATH.png --checkpoint {RUN}",
    "list of predict": f"predict PATH.txt --checkpoint {RUN}",
    "checkpoint of predict": f"predict {IMAGE!r} --checkpoint PATH",
    "output of predict": f"predict {IMAGE!r} --checkpoint {RUN} --output PATH.csv",
    "features of predict": f"predict {IMAGE!r} --checkpoint {RUN} --embeddings PATH.npz",
    "run of compare": f"compare PATH --data-dir {DATA} --no-train",
    "retention": f"compare {RUN} --data-dir {DATA} --no-train --retention PATH",
    "run of export": "export PATH --to safetensors",
    "data of export": f"export {RUN} --to safetensors --data-dir PATH",
    "output of export": f"export {RUN} --to safetensors --output PATH",
    "runtime": f"export {RUN} --to page --runtime PATH",
    "export of serve": "serve PATH",
    "run of info": "info PATH",
    "runs of info": "info --outputs PATH",
}
MAY_END_WELL = {  # an empty folder is one that can be written into, or has no run in it
    "folder": {"output of prepare", "output of train", "output of evaluate", "output of export", "runs of info"},
    "device": {"output of predict"},  # as /dev/null is
    "200 GiB of nothing": {"output of predict", "features of predict"},  # a file, replaced when the new one is whole
}


WHATS = ("pipe", "device", "folder", "link to itself", "socket", "200 GiB of nothing")


def make(what: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if what == "pipe":
        os.mkfifo(path)
    elif what == "device":
        path.symlink_to("/dev/zero")
    elif what == "folder":
        path.mkdir()
    elif what == "link to itself":
        path.symlink_to(path.name)
    elif what == "socket":
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(path.name)
    elif what == "200 GiB of nothing":
        with path.open("wb") as file:
            file.truncate(200 << 30)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with names are POSIX's")
@pytest.mark.timeout(60)
@pytest.mark.parametrize("what", WHATS)
@pytest.mark.parametrize("option", COMMANDS)
def test_what_is_no_file_is_refused_at_once(world, option: str, what: str) -> None:
    words = shlex.split(COMMANDS[option])
    given = next(word.replace("PATH", "odd") for word in words if "PATH" in word).rpartition("=")[2]
    if (option, what) == ("archive", "200 GiB of nothing"):
        pytest.skip("its digest is asked for first, of all 200 GiB")
    make(what, Path(given))
    shutil.copytree("data/colours/train", "class_folders")
    Path("table.csv").write_text("image,label\na.png,red\nb.png,blue\n", encoding="utf-8")
    outcome = CliRunner().invoke(app, [word.replace("PATH", "odd") for word in words])
    assert outcome.exception is None or isinstance(outcome.exception, SystemExit), outcome.exc_info
    if option not in MAY_END_WELL.get(what, ()):
        assert outcome.exit_code not in (0, 1), outcome.output
        assert "error:" in outcome.output
    assert "defect of clipft" not in outcome.output
