"""The image in a request: its bytes, within bounds, or a refusal in words."""

from __future__ import annotations

import base64
import binascii
import io
import json
from collections.abc import AsyncGenerator

import numpy as np
from PIL import Image
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from ..images.decode import ImageError, decode_image
from ..images.transforms import Preprocess


async def image_bytes(request: Request, max_bytes: int) -> bytes:
    """The file in the body: the body itself, the first file of a form, or "image" of a JSON object in base64.

    Raises HTTPException 400 where there is none, 413 where the body is too long.
    """
    body = await _body(request, max_bytes)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        data = await _file_of_form(request, body)
    elif kind == "application/json":
        data = _base64_of(body)
    else:
        data = body
    if not data:
        raise HTTPException(400, "the request holds no image")
    return data


async def _body(request: Request, max_bytes: int) -> bytes:
    too_long = HTTPException(413, f"the body is larger than {max_bytes} bytes")
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > max_bytes:
        raise too_long
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > max_bytes:
                raise too_long
    except ClientDisconnect:
        raise HTTPException(400, "the connection was closed within the body") from None
    return bytes(body)


async def _file_of_form(request: Request, body: bytes) -> bytes:
    async def once() -> AsyncGenerator[bytes, None]:
        yield body

    try:
        form = await MultiPartParser(request.headers, once(), max_files=1, max_fields=8).parse()
    except (MultiPartException, KeyError, ValueError, AttributeError) as error:
        raise HTTPException(400, f"the form cannot be read: {str(error)[:100]}") from None
    try:
        files = [value for value in form.values() if isinstance(value, UploadFile)]
        return await files[0].read() if files else b""
    finally:
        await form.close()


def _base64_of(body: bytes) -> bytes:
    try:
        value = json.loads(body)["image"]
        return base64.b64decode(value.partition(",")[2] if value.startswith("data:") else value, validate=True)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, binascii.Error):
        raise HTTPException(400, 'the body is no JSON object with the file as {"image": "BASE64"}') from None


def pixels_of(data: bytes, preprocess: Preprocess, max_pixels: int) -> np.ndarray:
    """(3, H, W) uint8 as the model takes it. Raises HTTPException 413 for a picture too large, 422 for no picture."""
    try:
        with Image.open(io.BytesIO(data)) as header:
            width, height = header.size
    except Exception:  # said better by the decoder, which knows more formats and reasons
        width = height = 0
    if width * height > max_pixels:
        raise HTTPException(413, f"the picture has {width} x {height} pixels, {max_pixels} are allowed")
    try:
        return np.asarray(preprocess.pixels(decode_image(data)))
    except ImageError as error:
        raise HTTPException(422, error.text) from None
