"""What the tests of prepare share: small real folders of images, and short ways to say things."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from PIL import Image

from clipft_cli.config.prepare import PrepareConfig
from clipft_cli.engine.preparation.summary import PrepareResult


def save(path: Path, seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    Image.fromarray(coarse).resize((48, 40), Image.Resampling.BICUBIC).save(path)
    return path


def folders(root: Path, n: int = 10, classes: tuple[str, ...] = ("cat", "dog"), start: int = 0) -> Path:
    for k, name in enumerate(classes):
        for i in range(n):
            save(root / name / f"{i}.jpg", start + 1000 * k + i)
    return root


def config(**options: object) -> PrepareConfig:
    seed = options.pop("seed", 0)
    return PrepareConfig.model_validate({"seed": seed, "prepare": options})


def tree(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file()
    }


def reasons(result: PrepareResult) -> dict[str, int]:
    return {found.reason: found.count for found in result.left_out}


def table(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)
