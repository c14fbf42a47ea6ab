"""Images: what is decoded and encoded, at which size, and what is refused."""

import struct
import sys
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from actorflow.errors import FormatError, MissingExtraError
from actorflow.recordio import (
    MAX_PIXELS,
    IRHeader,
    decode_image,
    encode_image,
    image_size,
    pack_img,
    unpack_img,
)


def picture(height=48, width=64, channels=3):
    """A smooth picture: small differences after a JPEG."""
    small = np.random.default_rng(0).integers(0, 256, (3, 4, channels), dtype=np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize(
    ("img", "name"),
    [
        (picture(), ".png"),
        (picture(channels=4), ".png"),
        (picture()[:, :, 0], ".PNG"),
        (picture().astype(np.uint16) * 200, ".png"),
    ],
)
def test_png_keeps_every_bit(img, name):
    data = encode_image(img, 3, name)
    assert image_size(data) == img.shape[:2]
    np.testing.assert_array_equal(decode_image(data, -1), img)


def test_jpeg_is_close():
    data = encode_image(picture(), 95, ".jpg")
    assert image_size(data) == (48, 64)
    assert np.abs(decode_image(data).astype(int) - picture()).mean() < 2
    assert len(encode_image(picture(), 10)) < len(data)


def test_colours():
    img = np.zeros((8, 8, 3), np.uint8)
    img[:] = (250, 10, 20)  # blue
    data = encode_image(img, 3, ".png")
    assert decode_image(data)[0, 0].tolist() == [250, 10, 20]
    assert decode_image(data, rgb=True)[0, 0].tolist() == [20, 10, 250]
    assert decode_image(data, 0).shape == (8, 8)
    grey = encode_image(img[:, :, 0], 3, ".png")
    assert decode_image(grey, 1).shape == (8, 8, 3)
    assert decode_image(grey, -1).shape == (8, 8)


@pytest.mark.parametrize(
    ("min_side", "shape"),
    [(0, (480, 640)), (481, (480, 640)), (241, (480, 640)), (240, (240, 320)), (100, (120, 160))],
)
def test_a_smaller_scale_keeps_the_shorter_side(min_side, shape):
    data = encode_image(picture(480, 640))
    assert decode_image(data, min_side=min_side).shape == (*shape, 3)
    assert decode_image(data, 0, min_side=min_side).shape == shape
    rgb = decode_image(data, rgb=True, min_side=min_side)
    np.testing.assert_array_equal(rgb, decode_image(data, min_side=min_side)[:, :, ::-1])
    whole = cv2.resize(picture(480, 640), shape[::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(rgb[:, :, ::-1].astype(int) - whole).mean() < 3


def test_an_eighth_is_the_smallest():
    data = encode_image(picture(480, 640))
    assert decode_image(data, min_side=1).shape == (60, 80, 3)
    png = encode_image(picture(), 3, ".png")
    assert decode_image(png, min_side=1).shape == (48, 64, 3)


def test_records_of_images():
    record = pack_img(IRHeader(0, [1.0, 2.0], 3, 0), picture(), quality=9, img_fmt=".png")
    header, img = unpack_img(record)
    assert header.label.tolist() == [1.0, 2.0]
    np.testing.assert_array_equal(img, picture())
    assert unpack_img(memoryview(record), 0)[1].shape == (48, 64)


# -- What is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [".jpg", ".png"])
def test_an_image_that_is_cut_off(name):
    data = encode_image(picture(), 5, name)
    for cut in (len(data) - 2, len(data) // 2, 30, 8, 2):
        with pytest.raises(FormatError, match=r"cut off after|has no|neither a JPEG nor a PNG"):
            decode_image(data[:cut])


def test_an_image_that_is_none():
    with pytest.raises(FormatError, match=r"6 bytes that begin with b'GIF8' are neither"):
        decode_image(b"GIF89a")
    with pytest.raises(FormatError, match="0 bytes"):
        decode_image(b"")


def png_that_says(width, height):
    def chunk(kind, data):
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def test_an_image_that_says_it_is_huge():
    with pytest.raises(FormatError, match=r"an image of 30000 x 40000 pixels; at most 134217728"):
        decode_image(png_that_says(40_000, 30_000))
    assert 11_000**2 < MAX_PIXELS < 12_000**2
    with pytest.raises(FormatError, match="48 x 64 pixels; at most 3000"):
        decode_image(encode_image(picture()), max_pixels=3000)


@settings(deadline=None, max_examples=100)
@given(data=st.data())
def test_damaged_images_give_pixels_or_an_error(data):
    image = bytearray(encode_image(picture(), 5, data.draw(st.sampled_from([".jpg", ".png"]))))
    for _ in range(data.draw(st.integers(1, 6))):
        image[data.draw(st.integers(0, len(image) - 1))] = data.draw(st.integers(0, 255))
    try:
        pixels = decode_image(bytes(image), max_pixels=2**16)
    except FormatError:
        return
    assert pixels.size <= 3 * 2**16


@pytest.mark.parametrize(
    ("words", "error", "complaint"),
    [
        ((picture(), 0), ValueError, r"quality=0 for \.jpg; needs 1 to 100"),
        ((picture(), 10, ".png"), ValueError, r"quality=10 for \.png; needs 0 to 9"),
        ((picture(), 95, ".gif"), ValueError, r"img_fmt='\.gif'; needs '\.jpg'"),
        (([[1]],), TypeError, "img is a list; needs a NumPy array"),
        ((picture().astype(float),), TypeError, r"dtype float64; \.jpg needs .* of uint8"),
        ((picture(channels=4),), TypeError, r"shape \(48, 64, 4\)"),
        ((picture()[0, 0],), TypeError, r"shape \(3,\)"),
        ((picture()[:0],), TypeError, r"shape \(0, 64, 3\)"),
    ],
)
def test_what_is_not_encoded(words, error, complaint):
    with pytest.raises(error, match=complaint):
        encode_image(*words)


def test_the_wrong_iscolor():
    with pytest.raises(ValueError, match="iscolor=2; needs 1, 0 or -1"):
        decode_image(encode_image(picture()), 2)


def test_without_opencv(monkeypatch):
    data = encode_image(picture())
    monkeypatch.setitem(sys.modules, "cv2", None)
    for call in (lambda: decode_image(data), lambda: encode_image(picture())):
        with pytest.raises(MissingExtraError, match=r"needs OpenCV: pip install 'actorflow\[im"):
            call()
    assert image_size(data) == (48, 64)
