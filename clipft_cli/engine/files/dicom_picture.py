"""A DICOM image as Pillow's: the first frame, as a viewer shows it before anyone turns a knob.

Rescale slope and intercept, then the file's first window (DICOM PS3.3, C.7.6.3 and C.11.2); without one, from the least
sample to the greatest, padding aside. MONOCHROME1, where the least sample is white, is turned round.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageFile

_LEVELS = 255.0


class DicomImageFile(ImageFile.ImageFile):
    """Opened by its header alone; the samples are decoded when they are asked for."""

    format = "DICOM"
    format_description = "DICOM (PS3.10)"

    def _open(self) -> None:
        warnings.filterwarnings("ignore", module=r"pydicom\.")  # remarks on metadata, which say nothing to a person
        from pydicom import dcmread
        from pydicom.errors import InvalidDicomError

        assert self.fp is not None
        try:
            header = dcmread(self.fp, stop_before_pixels=True)
        except InvalidDicomError as error:
            raise SyntaxError(str(error)) from None
        if "Rows" not in header or "Columns" not in header:
            raise ValueError("a DICOM file without a picture")
        self._size = (int(header.Columns), int(header.Rows))
        self._mode = "RGB" if int(header.get("SamplesPerPixel", 1)) == 3 or "PALETTE" in _kind(header) else "L"
        self.n_frames = int(header.get("NumberOfFrames", None) or 1)
        self._is_loaded = False

    def load(self) -> Any:
        """Decodes the first frame. Raises ValueError where its packing is not known, else what pydicom does."""
        if not self._is_loaded:
            from pydicom import dcmread

            assert self.fp is not None
            self.fp.seek(0)
            self.im = Image.fromarray(_levels(dcmread(self.fp))).im
            self._is_loaded = True
        return Image.Image.load(self)


def _levels(dataset: Any) -> np.ndarray:
    """(H, W) or (H, W, 3) uint8."""
    from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut, pixel_array

    try:
        samples = pixel_array(dataset, index=0)
    except RuntimeError:  # no plugin for it, or none could read it
        packed = dataset.file_meta.TransferSyntaxUID.name.partition(",")[0]
        raise ValueError(f"packed as {packed}; `pip install python-gdcm` may read it") from None
    if "PALETTE" in _kind(dataset):
        return _scaled(apply_color_lut(samples, dataset))
    if samples.ndim == 3:
        return samples if samples.dtype == np.uint8 else _scaled(samples)
    padding = _padding(samples, dataset)
    values = np.asarray(apply_modality_lut(samples, dataset), np.float32)
    if "VOILUTSequence" in dataset:
        top = 2.0 ** int(dataset.VOILUTSequence[0].LUTDescriptor[2]) - 1
        levels = _scaled(apply_voi_lut(values.astype(samples.dtype), dataset), between=(0.0, top))
    elif _first(dataset.get("WindowWidth")) is not None and _first(dataset.get("WindowCenter")) is not None:
        levels = _windowed(values, _first(dataset.WindowCenter), _first(dataset.WindowWidth), dataset)
    else:
        seen = values if padding.all() else values[~padding]
        levels = _scaled(values, between=(float(seen.min()), float(seen.max())))
    shown = 255 - levels if _kind(dataset) == "MONOCHROME1" else levels
    return np.where(padding, np.uint8(0), shown)


def _windowed(values: np.ndarray, centre: Any, width: Any, dataset: Any) -> np.ndarray:
    """PS3.3, C.11.2.1.2 and .3: linear, exactly linear or sigmoid."""
    function = str(dataset.get("VOILUTFunction", "LINEAR")).upper()
    if function == "SIGMOID":
        return np.asarray((_LEVELS / (1 + np.exp(-4 * (values - centre) / width))).round(), np.uint8)
    if function == "LINEAR_EXACT":
        return _scaled(values, between=(centre - width / 2, centre + width / 2))
    return _scaled(values, between=(centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2))


def _scaled(values: np.ndarray, between: tuple[float, float] | None = None) -> np.ndarray:
    """uint8 of values between black and white; without these, of the least and the greatest value."""
    low, high = between if between is not None else (float(values.min()), float(values.max()))
    levels = (np.asarray(values, np.float32) - low) * np.float32(_LEVELS / max(high - low, 1e-9))
    return np.asarray(np.clip(levels, 0, _LEVELS).round(), np.uint8)


def _first(value: Any) -> float | None:
    """Windows may be several: the first, which the standard takes unless a person chooses."""
    if value is None or value == "":
        return None
    return float(value[0]) if isinstance(value, Sequence) and not isinstance(value, str) else float(value)


def _padding(samples: np.ndarray, dataset: Any) -> np.ndarray:
    """Where no sample was taken: the value, or the range of values, that the file gives for it."""
    if "PixelPaddingValue" not in dataset:
        return np.zeros(samples.shape, bool)
    first = int(dataset.PixelPaddingValue)
    last = int(dataset.get("PixelPaddingRangeLimit", first))
    return (samples >= min(first, last)) & (samples <= max(first, last))


def _kind(dataset: Any) -> str:
    return str(dataset.get("PhotometricInterpretation", ""))
