"""JPEG and PNG to arrays of pixels and back, by OpenCV: an extra, `actorflow[images]`.

While OpenCV works it holds no lock of Python's, so threads decode side by side. Which library, and
why, is in the design's decisions.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from actorflow.errors import FormatError, MissingExtraError
from actorflow.recordio.headers import IRHeader, pack, unpack

if TYPE_CHECKING:
    from types import ModuleType

    from actorflow.recordio.headers import Label

__all__ = [
    "MAX_PIXELS",
    "decode_image",
    "encode_image",
    "image_size",
    "opencv",
    "pack_img",
    "unpack_img",
]

Pixels: TypeAlias = np.ndarray[Any, Any]

MAX_PIXELS: Final = 2**27
"""An image that says it has more is refused: its pixels would take 400 MB and more."""

_JPEG_START: Final = b"\xff\xd8"
_JPEG_END: Final = b"\xff\xd9"
_PNG_START: Final = b"\x89PNG\r\n\x1a\n"
_PNG_END: Final = b"IEND\xaeB`\x82"
_START_OF_SCAN: Final = 0xDA
# The segments that begin a frame: SOF0 to SOF15 without DHT, JPG and DAC, which lie between them.
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_COLOURS: Final = (-1, 0, 1)
_MAX_QUALITY: Final = {".jpg": 100, ".jpeg": 100, ".png": 9}


def opencv(who: str) -> ModuleType:
    """OpenCV's module `cv2`.

    Raises:
      MissingExtraError: it is not installed; the message begins with `who`.
    """
    try:
        import cv2  # noqa: PLC0415 -- an extra
    except ImportError as error:
        message = f"{who} needs OpenCV: pip install 'actorflow[images]'"
        raise MissingExtraError(message) from error
    module: ModuleType = cv2
    return module


def image_size(data: bytes | memoryview) -> tuple[int, int]:
    """Height and width of a JPEG or PNG image in pixels, from its header alone.

    A JPEG that a camera has turned (EXIF) has these the other way round once it is decoded.

    Raises:
      FormatError: it is neither, or ends before its header does.
    """
    if data[: len(_PNG_START)] == _PNG_START:
        try:
            width, height = struct.unpack_from(">II", data, 16)
        except struct.error as error:
            raise FormatError(f"image_size: a PNG of {len(data)} bytes has no header") from error
        return height, width
    if data[:2] == _JPEG_START:
        return _jpeg_frame(data)[:2]
    raise FormatError(
        f"image_size: {len(data)} bytes that begin with {bytes(data[:4])!r} are neither a JPEG "
        "nor a PNG image"
    )


def decode_image(
    data: bytes | memoryview,
    iscolor: int = 1,
    *,
    rgb: bool = False,
    min_side: int = 0,
    max_pixels: int = MAX_PIXELS,
) -> Pixels:
    """The pixels of a JPEG or PNG image. A decoder lets other threads run meanwhile.

    Args:
      data: the encoded image.
      iscolor: 1 for three channels; 0 for grey, without an axis of channels; -1 for what the file
        has, with its depth and its transparency, and not turned as EXIF says.
      rgb: whether channels are in the order red, green, blue; else blue, green, red, as in MXNet.
      min_side: if not 0, a JPEG may come at 1/2, 1/4 or 1/8 of its size, which takes less time, as
        long as its shorter side keeps `min_side` pixels.
      max_pixels: how many pixels the image may have.

    Returns:
      (height, width, 3) or (height, width), uint8; with iscolor=-1 whatever the file holds. The
      caller owns it.

    Raises:
      FormatError: neither JPEG nor PNG, damaged, cut off, or of too many pixels.
      ValueError: `iscolor` is something else.
      MissingExtraError: OpenCV is not installed.
    """
    cv2 = opencv("decode_image")
    if iscolor not in _COLOURS:
        raise ValueError(f"decode_image: iscolor={iscolor!r}; needs 1, 0 or -1")
    height, width = image_size(data)
    if height * width > max_pixels:
        raise FormatError(
            f"decode_image: an image of {height} x {width} pixels; at most {max_pixels} are allowed"
        )
    is_jpeg = data[:2] == _JPEG_START
    _check_end(data, is_jpeg=is_jpeg)
    colour = cv2.IMREAD_COLOR_RGB if rgb else cv2.IMREAD_COLOR_BGR
    flags = {1: colour, 0: cv2.IMREAD_GRAYSCALE, -1: cv2.IMREAD_UNCHANGED}[iscolor]
    if is_jpeg and min_side > 0 and iscolor != -1:
        flags |= _reduction(cv2, min(height, width), min_side)
    try:
        pixels: Pixels | None = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise FormatError(f"decode_image: OpenCV says: {error}".strip()) from error
    if pixels is None:
        kind = "JPEG" if is_jpeg else "PNG"
        raise FormatError(f"decode_image: a damaged {kind} image of {len(data)} bytes")
    return pixels


def encode_image(img: Pixels, quality: int = 95, img_fmt: str = ".jpg") -> bytes:
    """An image file's contents, from pixels.

    Args:
      img: (height, width), (height, width, 1) or (height, width, 3), uint8, channels in the order
        blue, green, red; for PNG also uint16 and a fourth channel, transparency.
      quality: for JPEG from 1 to 100, for PNG how much to compress, from 0 to 9.
      img_fmt: ".jpg", ".jpeg" or ".png".

    Raises:
      ValueError: `quality` or `img_fmt` is not one of these.
      TypeError: `img` is no array, or of a type or shape that the format does not have.
      MissingExtraError: OpenCV is not installed.
    """
    cv2 = opencv("encode_image")
    kind = img_fmt.lower()
    if kind not in _MAX_QUALITY:
        raise ValueError(f"encode_image: img_fmt={img_fmt!r}; needs '.jpg', '.jpeg' or '.png'")
    least = 0 if kind == ".png" else 1
    if not least <= quality <= _MAX_QUALITY[kind]:
        raise ValueError(
            f"encode_image: quality={quality!r} for {kind}; needs {least} to {_MAX_QUALITY[kind]}"
        )
    _check_pixels(img, kind)
    name = cv2.IMWRITE_PNG_COMPRESSION if kind == ".png" else cv2.IMWRITE_JPEG_QUALITY
    done, encoded = cv2.imencode(kind, img, [name, int(quality)])
    if not done:
        raise TypeError(f"encode_image: OpenCV made no {kind} of pixels of shape {img.shape}")
    return bytes(encoded.data)


def pack_img(
    header: IRHeader | tuple[int, Label, int, int],
    img: Pixels,
    quality: int = 95,
    img_fmt: str = ".jpg",
) -> bytes:
    """A header and an image as one record; see `pack` and `encode_image`."""
    return pack(header, encode_image(img, quality, img_fmt))


def unpack_img(s: bytes | memoryview, iscolor: int = -1) -> tuple[IRHeader, Pixels]:
    """The header and the pixels of a record; see `unpack` and `decode_image`."""
    header, data = unpack(bytes(s))  # costs nothing if these are bytes
    return header, decode_image(data, iscolor)


def _jpeg_frame(data: bytes | memoryview) -> tuple[int, int, int]:
    """Height and width in a JPEG's frame header, and where its pixels begin or may begin."""
    at = 2
    while at + 9 <= len(data):
        if data[at] != 0xFF:  # noqa: PLR2004 -- what every marker begins with
            break
        marker = data[at + 1]
        if marker in _FRAMES:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return height, width, at
        if marker == _START_OF_SCAN:
            break
        # A fill byte, or a marker without a segment, or a segment with its length.
        alone = marker in {0x01, 0xFF} or 0xD0 <= marker <= 0xD8  # noqa: PLR2004
        at += (1 if marker == 0xFF else 2) if alone else 2 + (data[at + 2] << 8 | data[at + 3])  # noqa: PLR2004
    raise FormatError(f"image_size: a JPEG of {len(data)} bytes has no frame header")


def _check_end(data: bytes | memoryview, *, is_jpeg: bool) -> None:
    """Refuse what was cut off: OpenCV would fill up with grey, and say so to nobody."""
    if data[-len(_JPEG_END) :] == _JPEG_END and is_jpeg:
        return  # as nearly all do; to look for it takes a tenth of the time of decoding
    whole = bytes(data)  # costs nothing if these are bytes
    if is_jpeg and whole.find(_JPEG_END, _jpeg_frame(data)[2]) < 0:
        raise FormatError(f"decode_image: a JPEG image, cut off after {len(data)} bytes")
    if not is_jpeg and _PNG_END not in whole:
        raise FormatError(f"decode_image: a PNG image, cut off after {len(data)} bytes")


def _reduction(cv2: ModuleType, side: int, min_side: int) -> int:
    """The flag for the smallest size whose shorter side has `min_side` pixels; 0 for the whole."""
    flags = {8: "IMREAD_REDUCED_GRAYSCALE_8", 4: "IMREAD_REDUCED_GRAYSCALE_4"}
    flags[2] = "IMREAD_REDUCED_GRAYSCALE_2"
    for scale, name in flags.items():
        if side // scale >= min_side:
            return int(getattr(cv2, name))
    return 0


def _check_pixels(img: object, kind: str) -> None:
    if not isinstance(img, np.ndarray):
        raise TypeError(f"encode_image: img is a {type(img).__name__}; needs a NumPy array")
    channels = {1, 3, 4} if kind == ".png" else {1, 3}
    fits = img.ndim == 2 or (img.ndim == 3 and img.shape[2] in channels)  # noqa: PLR2004
    types = {"uint8", "uint16"} if kind == ".png" else {"uint8"}
    if not fits or not img.size or img.dtype.name not in types:
        raise TypeError(
            f"encode_image: img has shape {img.shape} and dtype {img.dtype}; {kind} needs "
            f"(height, width) or (height, width, {' or '.join(map(str, sorted(channels)))}) "
            f"of {' or '.join(sorted(types))}"
        )
