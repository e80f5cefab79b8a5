"""Classify images with the ONNX graph beside this file: python predict.py [--fp32] photo.jpg ...

Needs onnxruntime, numpy and pillow, nothing else. The graph resizes, crops and normalises by itself. Where there are
two, that of eight-bit weights is taken, unless --fp32 is given.
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

HERE = Path(__file__).resolve().parent


def load(folder: Path = HERE, *, fp32: bool = False) -> tuple[onnxruntime.InferenceSession, list[str]]:
    """The session of the graph in `folder`, and its classes; the eight-bit graph where there is one, unless `fp32`.

    Ends the program in one line where a file is missing, damaged, or of another export than export.json beside it.
    """
    name = "model_int8.onnx" if (folder / "model_int8.onnx").is_file() and not fp32 else "model.onnx"
    path, record = folder / name, folder / "export.json"
    known = None
    try:
        content = path.read_bytes()
        if record.is_file():
            found = json.loads(record.read_text(encoding="utf-8"))
            wanted, known = found["files"][name], [one["name"] for one in found["classes"]]
            if hashlib.sha256(content).hexdigest() != wanted:
                sys.exit(f"{path}: is damaged (its checksum differs)")
    except OSError as error:
        sys.exit(f"{error.filename}: cannot be read: {error.strerror}")
    except (ValueError, KeyError, TypeError, RecursionError):
        sys.exit(f"{record}: is damaged, or does not belong to {name}")
    try:
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"], enable_fallback=0)
        classes = json.loads(session.get_modelmeta().custom_metadata_map["classes"])
    except Exception as error:  # onnxruntime has an exception for each way in which a file can be damaged
        sys.exit(f"{path}: cannot be loaded: {(str(error).splitlines() or [type(error).__name__])[0]}")
    if known not in (None, classes):
        sys.exit(f"{path}: its classes are not those of {record.name}")
    return session, classes


def read(path: str) -> np.ndarray:
    """(1, H, W, 3) uint8 of a picture: upright, transparency on white."""
    image = ImageOps.exif_transpose(Image.open(path))
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    return np.asarray(image.convert("RGB"))[None]


def predict(
    session: onnxruntime.InferenceSession, classes: list[str], path: str, top_k: int = 5
) -> list[tuple[str, float]]:
    """[(class, probability), ...], the most probable first."""
    (probabilities,) = session.run(["probabilities"], {"image": read(path)})
    best = np.argsort(-probabilities[0], kind="stable")[:top_k]
    return [(classes[index], float(probabilities[0][index])) for index in best]


def main(paths: list[str]) -> int:
    session, classes = load(fp32="--fp32" in paths)
    n_failed = 0
    for path in (path for path in paths if path != "--fp32"):
        try:
            answers = predict(session, classes, path)
        except Exception as error:  # one bad file ends no list
            print(f"{path}: cannot be read: {error}", file=sys.stderr)
            n_failed += 1
            continue
        print(path)
        for name, probability in answers:
            print(f"  {name}  {probability:.2%}")
    return 1 if n_failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
