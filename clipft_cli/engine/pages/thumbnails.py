"""Images small enough to travel inside a page."""

from __future__ import annotations

import base64
import io
from pathlib import Path

from PIL import Image, ImageOps

from ..images.decode import ImageError, decode_image

SIDE_PX = 176


def thumbnail(path: Path) -> str:
    """The image as a data URI of a small JPEG; empty where it cannot be read."""
    try:
        image = decode_image(path)
    except ImageError:
        return ""
    buffer = io.BytesIO()
    ImageOps.contain(image.convert("RGB"), (SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS).save(
        buffer, "JPEG", quality=80
    )
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
