"""What is read of a JPEG without decoding it, and what is left to a decoder."""

import struct
import tracemalloc

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings, strategies as st

from actorflow.errors import FormatError
from actorflow.recordio import JpegHeader, decode_image, encode_image, read_jpeg


def picture(height=48, width=64):
    small = np.random.default_rng(0).integers(0, 256, (3, 4, 3), dtype=np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def encoded(*flags, pixels=None):
    done, data = cv2.imencode(".jpg", picture() if pixels is None else pixels, flags)
    assert done
    return data.tobytes()


def with_exif(image, orientation, order="<", tag=0x0112, kind=3):
    """The image, with a segment that says how the camera was held."""
    entry = struct.pack(f"{order}HHIHH", tag, kind, 1, orientation, 0)
    tiff = struct.pack(f"{order}2sHIH", b"II" if order == "<" else b"MM", 42, 8, 1) + entry
    body = b"Exif\0\0" + tiff + bytes(4)
    return image[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + image[2:]


IMAGE = encoded()
FRAME = IMAGE.index(b"\xff\xc0")
SCAN = IMAGE.index(b"\xff\xda")


@pytest.mark.parametrize("quality", [3, 10, 49, 50, 51, 75, 94, 95, 99, 100])
def test_the_quality_is_that_of_the_encoder(quality):
    found = read_jpeg(encode_image(picture(), quality))
    assert found == JpegHeader(48, 64, 3, quality, 1)


def test_grey_and_what_encoders_may_choose():
    assert read_jpeg(encoded(pixels=picture()[:, :, 0])) == JpegHeader(48, 64, 1, 95, 1)
    assert read_jpeg(encoded(cv2.IMWRITE_JPEG_RST_INTERVAL, 2)) == JpegHeader(48, 64, 3, 95, 1)
    assert read_jpeg(encoded(cv2.IMWRITE_JPEG_OPTIMIZE, 1)) == JpegHeader(48, 64, 3, 95, 1)
    sampling = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
    assert read_jpeg(encoded(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling)).components == 3


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_how_a_camera_was_held(orientation, order):
    image = with_exif(IMAGE, orientation, order)
    assert read_jpeg(image).orientation == orientation
    turned = decode_image(image).shape[:2] == (64, 48)
    assert turned == (orientation > 4)


def test_an_orientation_that_cannot_be_read():
    assert read_jpeg(with_exif(IMAGE, 9)).orientation == 0
    assert read_jpeg(with_exif(IMAGE, 6, kind=4)).orientation == 0
    assert read_jpeg(with_exif(IMAGE, 6, tag=0x0100)).orientation == 1
    image = with_exif(IMAGE, 6)
    place = image.index(b"II*\0")
    assert read_jpeg(image[:place] + b"??" + image[place + 2 :]).orientation == 0
    far = image[: place + 4] + b"\xff\xff\xff\xff" + image[place + 8 :]
    assert read_jpeg(far).orientation == 0
    # Of two that differ, the one that is not upright counts: a decoder may take either.
    assert read_jpeg(with_exif(with_exif(IMAGE, 1), 6)).orientation == 6
    assert read_jpeg(with_exif(with_exif(IMAGE, 6), 1)).orientation == 6


def patched(at, new):
    return IMAGE[:at] + new + IMAGE[at + len(new) :]


@pytest.mark.parametrize(
    ("image", "complaint"),
    [
        (b"", "offset 0: is no JPEG"),
        (IMAGE[:2], "offset 2: no marker"),
        (IMAGE[:SCAN], f"offset {SCAN}: no marker"),
        (IMAGE[:-2], "no end of the coded pixels"),
        (IMAGE + b"x", "no end of the coded pixels"),
        (IMAGE[: SCAN + 40] + b"\xff\xc4" + IMAGE[SCAN + 42 :], "no end of the coded pixels"),
        (encoded(cv2.IMWRITE_JPEG_PROGRESSIVE, 1), "a segment 0xc2, which is not plain"),
        (patched(FRAME + 2, b"\xff\xff"), r"a segment of 65535 bytes, in a file of \d+,"),
        (patched(FRAME + 2, b"\0\1"), "a segment of 1 bytes"),
        (patched(FRAME + 4, b"\x0c"), "a frame of 48 x 64 pixels of 12 bits"),
        (patched(FRAME + 5, b"\0\0"), "a frame of 0 x 64 pixels"),
        (patched(FRAME + 9, b"\4"), "a frame of the wrong length"),
        (patched(FRAME + 11, b"\x51"), "a sampling factor"),
        (patched(FRAME + 13, IMAGE[FRAME + 10 : FRAME + 11]), "a component that is there twice"),
        (patched(FRAME + 12, b"\3"), "a component without its tables"),
        (patched(FRAME + 5, b"\xff\xff\xff\xff"), "blocks: the end"),
        (IMAGE.replace(b"\xff\xdb\0\x43\0", b"\xff\xdb\0\x43\7"), "a quantization table does not"),
        (IMAGE.replace(b"\xff\xdb\0\x43\0\2", b"\xff\xdb\0\x43\0\0"), "table with a zero"),
        (IMAGE.replace(b"\x1f\0\0\1\5", b"\x1f\0\5\1\0"), "more codes than there are"),
        (IMAGE.replace(b"\xff\xc4\0\x1f\0", b"\xff\xc4\0\x1f\x50"), "a Huffman table does not"),
    ],
)
def test_what_is_not_plain(image, complaint):
    assert image != IMAGE
    with pytest.raises(FormatError, match=f"read_jpeg: .*{complaint}"):
        read_jpeg(image)


@pytest.mark.slow
@settings(deadline=None, max_examples=400)
@given(data=st.data())
def test_whatever_the_bytes_there_is_a_header_or_an_error(data):
    image = bytearray(data.draw(st.sampled_from([IMAGE, with_exif(IMAGE, 6)])))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.one_of(st.integers(0, len(image) - 1), st.integers(0, 700)))
        new = data.draw(st.one_of(st.binary(max_size=4), st.just(b"\xff"), st.just(b"\xff\xff")))
        if data.draw(st.booleans(), "cut"):
            del image[at : at + data.draw(st.integers(0, 50))]
        image[at : at + len(new)] = new
    tracemalloc.start()
    try:
        found = read_jpeg(bytes(image))
    except FormatError:
        return
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 20 * len(IMAGE) + 50_000
    # What is taken for plain, a decoder takes, with these sizes.
    height, width = found.height, found.width
    if height * width < 2**20 and found.components in {1, 3}:
        shape = decode_image(bytes(image), -1).shape
        assert shape[:2] == (height, width)


@pytest.mark.slow
@settings(deadline=None, max_examples=200)
@given(junk=st.binary(max_size=200))
@example(b"\xff\xd8" + b"\xff" * 100)
@example(b"\xff\xd8\xff\xdb\0\2\xff\xda\0\2")
def test_junk(junk):
    for data in (junk, b"\xff\xd8" + junk):
        with pytest.raises(FormatError, match="does not fit a plain JPEG"):
            read_jpeg(data)
