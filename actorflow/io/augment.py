"""Images on their way into a batch: turned, cut out, recoloured, and written as numbers.

What is left to chance comes from a counter-based generator, so that it depends on the seed, the
epoch and the record alone.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from actorflow.errors import FormatError
from actorflow.recordio import MAX_PIXELS

if TYPE_CHECKING:
    from types import ModuleType

    from actorflow.io.image_options import Augmentation, Size

__all__ = ["NO_CHANCES", "Augmenter", "Chances", "Chooser", "Normalizer"]

Pixels: TypeAlias = np.ndarray[Any, Any]
Floats: TypeAlias = np.ndarray[Any, np.dtype[np.float32]]
Chances: TypeAlias = list[float]
"""Numbers from 0 to 1, exclusive; each thing that is left to chance has its own."""

_MIRROR, _Y, _X, _SHEAR, _ANGLE, _SCALE, _RATIO, _SIZE = range(8)
_HUE, _LIGHT, _SATURATION, _CONTRAST, _ILLUMINATION, _METHOD, _COUNT = range(8, 15)
_STREAM: Final = 0x1A6E  # keeps these numbers apart from those that shuffle
_BY_SIZES: Final = 9
_BY_CHANCE: Final = 10
_SHIFT: Final = 11  # of 64 bits, 53 fill a double
_UNIT: Final = 2.0**-53


class Chooser:
    """The chances of any record in one epoch.

    The generator is Philox (Salmon et al. 2011), keyed by a hash of seed and epoch; the counter is
    the number of the record.
    """

    def __init__(self, seed: int, epoch: int) -> None:
        key = np.random.SeedSequence([seed, epoch, _STREAM]).generate_state(2, np.uint64)
        self._bits = np.random.Philox(key=key)
        self._state: Any = self._bits.state

    def chances(self, record: int) -> Chances:
        """Those of a record."""
        counter = self._state["state"]["counter"]
        counter[0], counter[1] = 0, record
        self._bits.state = self._state
        raw = self._bits.random_raw(_COUNT)
        chances: Chances = ((raw >> np.uint64(_SHIFT)) * _UNIT).tolist()
        return chances


NO_CHANCES: Final[Chances] = [0.0] * _COUNT
"""For records of which nothing is left to chance."""


class Augmenter:
    """Does to images what can be done before they become numbers.

    Args:
      cv2: OpenCV.
      options: what to do.
      shape: channels, height and width of the result.
    """

    def __init__(self, cv2: ModuleType, options: Augmentation, shape: Size) -> None:
        self._cv2 = cv2
        self._options = options
        self._height, self._width = shape[1:]
        self._fill = (options.fill_value,) * 3

    def apply(self, pixels: Pixels, chances: Chances) -> Pixels:
        """Give an image of the height and width of the result; perhaps a view of `pixels`.

        Args:
          pixels: (height, width, 3) in the order red, green, blue, or (height, width); uint8.
          chances: the record's.

        Raises:
          FormatError: the image is too small to be cut, or would become larger than `MAX_PIXELS`.
        """
        try:
            return self._applied(pixels, chances)
        except self._cv2.error as error:
            raise FormatError(f"OpenCV says: {error}".strip()) from error

    def _applied(self, pixels: Pixels, chances: Chances) -> Pixels:
        options = self._options
        if options.resize > 0:
            pixels = self._resized(pixels, chances)
        if options.warps:
            pixels = self._warped(pixels, chances)
        if options.pad:
            both = 2 * options.pad
            _check_size("pad", pixels.shape[1] + both, pixels.shape[0] + both)
            sides = (options.pad,) * 4
            constant = self._cv2.BORDER_CONSTANT
            pixels = self._cv2.copyMakeBorder(pixels, *sides, constant, value=self._fill)
        pixels = self._cut(pixels, chances)
        if options.colours:
            pixels = self._recoloured(pixels, chances)
        return pixels

    def mirrors(self, chances: Chances) -> bool:
        """Whether the image is to be mirrored."""
        options = self._options
        return options.mirror or (options.rand_mirror and chances[_MIRROR] < 0.5)  # noqa: PLR2004

    def _resized(self, pixels: Pixels, chances: Chances) -> Pixels:
        """The image with a shorter side of `resize` pixels."""
        side, (height, width) = self._options.resize, pixels.shape[:2]
        shorter = min(height, width)
        size = side * width // shorter, side * height // shorter
        _check_size("resize", *size)
        return self._scaled(pixels, size, chances)

    def _scaled(self, pixels: Pixels, size: tuple[int, int], chances: Chances) -> Pixels:
        if size == (pixels.shape[1], pixels.shape[0]):
            return pixels
        method = self._method(pixels, size, chances)
        scaled: Pixels = self._cv2.resize(pixels, size, interpolation=method)
        return scaled

    def _method(self, pixels: Pixels, size: tuple[int, int], chances: Chances) -> int:
        """How to compute pixels between pixels: MXNet's numbers are OpenCV's."""
        method, (height, width) = self._options.inter_method, pixels.shape[:2]
        if method == _BY_CHANCE:
            return int(chances[_METHOD] * 5)
        if method != _BY_SIZES:
            return method
        if size[0] > width and size[1] > height:
            return int(self._cv2.INTER_CUBIC)
        if size[0] < width and size[1] < height:
            return int(self._cv2.INTER_AREA)
        return int(self._cv2.INTER_LINEAR)

    def _warped(self, pixels: Pixels, chances: Chances) -> Pixels:
        """The image turned, sheared and scaled about its centre, by one affine map."""
        options, (height, width) = self._options, pixels.shape[:2]
        shear = _between(chances[_SHEAR], -options.max_shear_ratio, options.max_shear_ratio)
        angle = _whole(chances[_ANGLE], -options.max_rotate_angle, options.max_rotate_angle)
        if options.rotate > 0:
            angle = options.rotate
        cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        scale = _between(chances[_SCALE], options.min_random_scale, options.max_random_scale)
        most = options.max_aspect_ratio
        ratio = _between(chances[_RATIO], 1 - most, 1 + most)
        high = 2 * scale / (1 + ratio)
        wide = ratio * high
        limits = options.min_img_size, options.max_img_size
        size = tuple(
            max(1, int(max(limits[0], min(limits[1], scale * side)))) for side in (width, height)
        )
        _check_size("scaling", *size)
        matrix = np.array(
            [
                [high * cosine - shear * sine * wide, high * sine + shear * cosine * wide, 0],
                [-sine * wide, cosine * wide, 0],
            ]
        )
        matrix[:, 2] = (np.array(size) - matrix[:, :2] @ (width, height)) / 2
        method = self._method(pixels, (size[0], size[1]), chances)
        if method == self._cv2.INTER_AREA:
            method = self._cv2.INTER_LINEAR  # what OpenCV takes for it here
        warped: Pixels = self._cv2.warpAffine(
            pixels,
            matrix,
            size,
            flags=method,
            borderMode=self._cv2.BORDER_CONSTANT,
            borderValue=self._fill,
        )
        return warped

    def _cut(self, pixels: Pixels, chances: Chances) -> Pixels:
        """The part of the image that goes on, as a view unless it has to be resized."""
        options = self._options
        height, width = self._height, self._width
        if options.resizes_crop:
            height = width = _whole(chances[_SIZE], *options.crop_sizes)
        room_y, room_x = pixels.shape[0] - height, pixels.shape[1] - width
        if room_y < 0 or room_x < 0:
            raise FormatError(
                f"the image is {pixels.shape[0]} x {pixels.shape[1]} where it is cut, and needs to "
                f"be at least {height} x {width}; resize or pad makes it larger"
            )
        if options.rand_crop:
            y, x = _whole(chances[_Y], 0, room_y), _whole(chances[_X], 0, room_x)
        else:
            y = room_y // 2 if options.crop_y_start < 0 else options.crop_y_start
            x = room_x // 2 if options.crop_x_start < 0 else options.crop_x_start
            if y > room_y or x > room_x:
                raise FormatError(
                    f"the image is {pixels.shape[0]} x {pixels.shape[1]} where it is cut; "
                    f"crop_y_start={y} and crop_x_start={x} do not leave {height} x {width} of it"
                )
        part = pixels[y : y + height, x : x + width]
        return self._scaled(part, (self._width, self._height), chances)

    def _recoloured(self, pixels: Pixels, chances: Chances) -> Pixels:
        """The image with another hue, lightness and saturation."""
        options, cv2 = self._options, self._cv2
        numbers = cv2.cvtColor(pixels, cv2.COLOR_RGB2HLS)
        hue, light = (_HUE, options.random_h, 180), (_LIGHT, options.random_l, 255)
        saturation = _SATURATION, options.random_s, 255
        table = np.empty((256, 3), np.uint8)
        for channel, (which, most, limit) in enumerate((hue, light, saturation)):
            change = int(_between(chances[which], -most, most))
            table[:, channel] = np.clip(np.arange(256) + change, 0, limit)
        recoloured: Pixels = cv2.cvtColor(cv2.LUT(numbers, table[None]), cv2.COLOR_HLS2RGB)
        return recoloured


class Normalizer:
    """Writes images as numbers: `((pixel - mean) * contrast + illumination) * scale / std`.

    It has memory of its own, so each operation makes one.

    Args:
      cv2: OpenCV.
      options: what to do.
      shape: channels, height and width.
      mean: of all images, of that shape, or None.
    """

    def __init__(
        self, cv2: ModuleType, options: Augmentation, shape: Size, mean: Floats | None
    ) -> None:
        self._cv2 = cv2
        self._options = options
        self._mean = mean
        self._planes = [np.empty(shape[1:], np.uint8) for _ in range(shape[0])]
        self._flipped = np.empty((*shape[1:], shape[0])[: 2 + (shape[0] > 1)], np.uint8)
        self._plain = not options.computes
        self._table: Floats | None = None
        if not options.max_random_contrast and not options.max_random_illumination:
            self._table = self._tables(1.0, 0.0)

    def write(self, pixels: Pixels, chances: Chances, out: Pixels, *, mirrored: bool) -> None:
        """Write an image.

        Args:
          pixels: (height, width, 3) or (height, width), uint8.
          chances: the record's.
          out: (channels, height, width); uint8 takes the pixels as they are.
          mirrored: whether to mirror it; what is subtracted belongs to the places before that.
        """
        if mirrored:
            pixels = self._cv2.flip(pixels, 1, self._flipped)
        planes = [pixels] if pixels.ndim == 2 else self._cv2.split(pixels, self._planes)  # noqa: PLR2004
        if self._plain:
            for plane, target in zip(planes, out, strict=True):
                np.copyto(target, plane)
            return
        options = self._options
        contrast = 1 + _between(chances[_CONTRAST], -1, 1) * options.max_random_contrast
        most = options.max_random_illumination
        illumination = _between(chances[_ILLUMINATION], -most, most)
        if self._mean is not None:
            factor, offset = self._line(contrast, illumination)
            mean = self._mean[:, :, ::-1] if mirrored else self._mean
            for channel, plane in enumerate(planes):
                np.subtract(plane, mean[channel], out=out[channel])
                out[channel] *= factor[channel]
                out[channel] += offset[channel]
            return
        table = self._tables(contrast, illumination) if self._table is None else self._table
        for plane, numbers, target in zip(planes, table, out, strict=False):
            self._cv2.LUT(plane, numbers, target)

    def _line(self, contrast: float, illumination: float) -> tuple[Floats, Floats]:
        """What to multiply by, then to add, for each channel."""
        rest = self._options.scale / np.array(self._options.std)
        return (contrast * rest).astype(np.float32), (illumination * rest).astype(np.float32)

    def _tables(self, contrast: float, illumination: float) -> Floats:
        """What becomes of each of the 256 values: (3, 1, 256)."""
        factor, offset = self._line(contrast, illumination)
        mean = np.array(self._options.mean, np.float32)
        values = np.arange(256, dtype=np.float32)
        table = (values - mean[:, None]) * factor[:, None] + offset[:, None]
        return table[:, None]


def _check_size(what: str, width: int, height: int) -> None:
    """Refuse what would take too much memory: a strip of one pixel grows without bounds."""
    if width * height > MAX_PIXELS:
        raise FormatError(
            f"{what} would make an image of {height} x {width} pixels; at most {MAX_PIXELS} are "
            "allowed"
        )


def _between(chance: float, least: float, most: float) -> float:
    return least + chance * (most - least)


def _whole(chance: float, least: int, most: int) -> int:
    """An integer from `least` to `most`, both included."""
    return least + int(chance * (most - least + 1))
