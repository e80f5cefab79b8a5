"""A DICOM image is shown as a viewer shows it: rescaled, by its window, the right way round, its first frame."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, JPEGLosslessSV1, SecondaryCaptureImageStorage, generate_uid

from clipft_cli.engine.images.decode import ImageError, decode_image
from clipft_cli.engine.images.header import read_header


def dicom(samples: np.ndarray, kind: str = "MONOCHROME2", syntax: Any = ExplicitVRLittleEndian, **tags: Any) -> bytes:
    """A file of (H, W), (H, W, 3) or (frames, H, W) samples, uint8, uint16 or int16."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = syntax, SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    is_colour = samples.ndim == 3 and samples.shape[2] == 3
    if samples.ndim == 3 and not is_colour:
        dataset.NumberOfFrames = len(samples)
    dataset.Rows, dataset.Columns = samples.shape[:2] if is_colour else samples.shape[-2:]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 3 if is_colour else 1, kind
    if is_colour:
        dataset.PlanarConfiguration = 0
    dataset.BitsAllocated = dataset.BitsStored = samples.dtype.itemsize * 8
    dataset.HighBit, dataset.PixelRepresentation = dataset.BitsStored - 1, int(samples.dtype.kind == "i")
    for name, value in tags.items():
        setattr(dataset, name, value)
    dataset.PixelData = samples.tobytes()
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def levels(data: bytes) -> np.ndarray:
    """(H, W) of a grey picture."""
    picture = np.asarray(decode_image(data))
    assert (picture[..., 0] == picture[..., 2]).all()
    return picture[..., 0]


RAMP = np.arange(0, 4096, 16, dtype=np.uint16).reshape(16, 16)


def test_the_window_of_the_file_decides_what_is_black_and_what_is_white() -> None:
    seen = levels(
        dicom(RAMP.astype(np.int16), RescaleSlope=1, RescaleIntercept=-1024, WindowCenter=40, WindowWidth=400)
    )
    hounsfield = RAMP.astype(int) - 1024
    assert (seen[hounsfield < -160] == 0).all()
    assert (seen[hounsfield > 240] == 255).all()
    expected = ((hounsfield - 39.5) / 399 + 0.5) * 255
    inside = (hounsfield > -160) & (hounsfield < 239)
    assert np.abs(seen - expected)[inside].max() <= 0.51


def test_of_several_windows_the_first_is_taken_and_the_shape_of_its_curve() -> None:
    both = levels(dicom(RAMP, WindowCenter=[1000, 3000], WindowWidth=[500, 100]))
    assert (both == levels(dicom(RAMP, WindowCenter=1000, WindowWidth=500))).all()
    curved = levels(dicom(RAMP, WindowCenter=1000, WindowWidth=500, VOILUTFunction="SIGMOID"))
    assert curved[RAMP == 1008][0] == 132  # 255 / (1 + exp(-4 * 8 / 500))
    assert 0 < curved[RAMP == 608][0] < 20  # far outside of the window, and not black yet
    exact = levels(dicom(RAMP, WindowCenter=2048, WindowWidth=4096, VOILUTFunction="LINEAR_EXACT"))
    assert np.abs(exact - RAMP * (255 / 4096)).max() <= 0.51


def test_a_table_of_levels_is_looked_up() -> None:
    table = Dataset()
    table.add_new("LUTDescriptor", "US", [4, 0, 8])
    table.add_new("LUTData", "US", [0, 200, 100, 255])
    samples = np.array([[0, 1], [2, 3]], np.uint16)
    assert levels(dicom(samples, VOILUTSequence=Sequence([table]))).tolist() == [[0, 200], [100, 255]]


def test_without_a_window_all_samples_are_shown_and_padding_is_black() -> None:
    samples = RAMP.astype(np.int16) + 500
    samples[0, :4] = -2000
    seen = levels(dicom(samples, PixelPaddingValue=-2000))
    assert (seen[0, :4] == 0).all()
    assert seen[-1, -1] == 255
    assert len(np.unique(seen)) > 200  # the padding did not take the range for itself


def test_where_the_least_sample_is_white_the_picture_is_turned_round() -> None:
    plain, inverse = levels(dicom(RAMP)), levels(dicom(RAMP, "MONOCHROME1"))
    assert (plain.astype(int) + inverse == 255).all()


def test_colours_and_the_first_of_several_frames() -> None:
    colours = np.random.default_rng(0).integers(0, 256, (6, 5, 3), dtype=np.uint8)
    assert (np.asarray(decode_image(dicom(colours, "RGB"))) == colours).all()
    frames = np.stack([np.eye(8, dtype=np.uint8) * 255, np.zeros((8, 8), np.uint8)])
    data = dicom(frames)
    assert (levels(data) == frames[0]).all()
    assert read_header(data).n_pages == 2


def test_a_file_that_is_cut_off_is_damaged_and_one_without_a_picture_says_so() -> None:
    with pytest.raises(ImageError, match=r"damaged image .*less than expected"):
        decode_image(dicom(RAMP)[:-40])
    data = dicom(RAMP)
    without = data[: data.index(b"\x28\x00\x02\x00US")]
    with pytest.raises(ImageError, match="a DICOM file without a picture"):
        decode_image(without)


def test_a_header_that_promises_too_many_pixels_is_refused_before_they_are_decoded() -> None:
    with pytest.raises(ImageError, match="too many pixels"):
        decode_image(dicom(RAMP, Rows=60_000, Columns=60_000))


def test_pixels_packed_in_a_way_that_nothing_here_reads_are_named() -> None:
    dataset = dcmread(io.BytesIO(dicom(RAMP)))
    dataset.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    dataset.PixelData = encapsulate([b"\xff\xd8\xff\xd9"])
    dataset["PixelData"].VR = "OB"
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    with pytest.raises(ImageError, match=r"packed as JPEG Lossless.*python-gdcm"):
        decode_image(buffer.getvalue())
