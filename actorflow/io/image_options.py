"""What may be done to an image on its way into a batch: early MXNet's parameters."""

from __future__ import annotations

import math
import os
from typing import Any, Final, TypeAlias

import attrs

from actorflow.errors import ParameterError
from actorflow.ops import meant
from actorflow.ops.parameters import flag, integer, make, number, parameters

__all__ = ["Augmentation", "Size", "make_augmentation"]

Size: TypeAlias = tuple[int, int, int]

_NONE: Final = -1  # MXNet's "not given" of sizes and places
_METHODS: Final = (0, 1, 2, 3, 4, 9, 10)
_FULL_TURN: Final = 360
_MOST_COLOUR: Final = 255
_MOST_INTEGER: Final = 2**31 - 1  # OpenCV's
_MOST_NUMBER: Final = 3.4e38  # of a float32


def _path(value: Any) -> str:  # noqa: ANN401 -- whatever was given
    if value is None:
        return ""
    path = os.fspath(value) if hasattr(value, "__fspath__") else value
    if not isinstance(path, str):
        raise ValueError(f"needs a path or None, got {value!r}")  # noqa: TRY004 -- as all fields
    return path


@attrs.frozen(kw_only=True)
class Augmentation:
    """The parameters, with MXNet's names, meanings and defaults."""

    # Geometry, in the order in which it is done.
    resize: int = integer(_NONE, least=-1)
    max_rotate_angle: int = integer(0, least=0)
    rotate: int = integer(_NONE, least=-1)
    max_shear_ratio: float = number(0.0, least=0)
    max_random_scale: float = number(1.0, least=0)
    min_random_scale: float = number(1.0, least=0)
    max_aspect_ratio: float = number(0.0, least=0)
    max_img_size: float = number(1e10, least=1)
    min_img_size: float = number(0.0, least=0)
    pad: int = integer(0, least=0)
    max_crop_size: int = integer(_NONE, least=-1)
    min_crop_size: int = integer(_NONE, least=-1)
    rand_crop: bool = flag(False)  # noqa: FBT003
    crop_x_start: int = integer(_NONE, least=-1)
    crop_y_start: int = integer(_NONE, least=-1)
    fill_value: int = integer(255, least=0)
    inter_method: int = integer(1)
    # Colours.
    random_h: int = integer(0, least=0)
    random_s: int = integer(0, least=0)
    random_l: int = integer(0, least=0)
    # From pixels to numbers.
    mirror: bool = flag(False)  # noqa: FBT003
    rand_mirror: bool = flag(False)  # noqa: FBT003
    mean_img: str = attrs.field(default="", converter=_path)
    mean_r: float = number(0.0)
    mean_g: float = number(0.0)
    mean_b: float = number(0.0)
    std_r: float = number(1.0)
    std_g: float = number(1.0)
    std_b: float = number(1.0)
    scale: float = number(1.0)
    max_random_contrast: float = number(0.0, least=0)
    max_random_illumination: float = number(0.0, least=0)

    @property
    def warps(self) -> bool:
        """Whether the image is turned, sheared or scaled."""
        unchanged = (0, _NONE, 0.0, 1.0, 1.0, 0.0, 1e10, 0.0)
        names = (
            self.max_rotate_angle,
            self.rotate,
            self.max_shear_ratio,
            self.max_random_scale,
            self.min_random_scale,
            self.max_aspect_ratio,
            self.max_img_size,
            self.min_img_size,
        )
        return names != unchanged

    @property
    def resizes_crop(self) -> bool:
        """Whether a square of some other size is cut out, and resized."""
        return self.max_crop_size > 0 or self.min_crop_size > 0

    @property
    def crop_sizes(self) -> tuple[int, int]:
        """The least and the greatest side of that square, in pixels."""
        least = self.min_crop_size if self.min_crop_size > 0 else self.max_crop_size
        most = self.max_crop_size if self.max_crop_size > 0 else self.min_crop_size
        return least, most

    @property
    def colours(self) -> bool:
        """Whether hue, saturation or lightness change."""
        return bool(self.random_h or self.random_s or self.random_l)

    @property
    def draws(self) -> bool:
        """Whether anything is left to chance."""
        return bool(
            self.max_rotate_angle
            or self.max_shear_ratio
            or self.max_random_scale != self.min_random_scale
            or self.max_aspect_ratio
            or self.resizes_crop
            or self.rand_crop
            or self.colours
            or self.rand_mirror
            or self.max_random_contrast
            or self.max_random_illumination
            or self.inter_method == _METHODS[-1]
        )

    @property
    def mean(self) -> tuple[float, float, float]:
        """The means of red, green and blue."""
        return self.mean_r, self.mean_g, self.mean_b

    @property
    def std(self) -> tuple[float, float, float]:
        """The standard deviations of red, green and blue."""
        return self.std_r, self.std_g, self.std_b

    @property
    def computes(self) -> tuple[str, ...]:
        """The given parameters that make other numbers of pixels."""
        names = (
            *("mean_img", "mean_r", "mean_g", "mean_b", "std_r", "std_g", "std_b", "scale"),
            *("max_random_contrast", "max_random_illumination"),
        )
        fields = attrs.fields_dict(type(self))
        return tuple(name for name in names if getattr(self, name) != fields[name].default)


def make_augmentation(
    who: str, given: dict[str, Any], known: tuple[str, ...], shape: Size
) -> Augmentation:
    """Check what was given.

    Args:
      who: the iterator's name.
      given: parameters by name.
      known: what else the iterator takes.
      shape: of the images in a batch.

    Raises:
      ParameterError: one is unknown, out of its range, or does not go with another.
    """
    names = tuple(parameters(Augmentation))
    for name in given:
        if name not in names:
            raise ParameterError(
                f"{who}: there is no parameter {name!r}; {meant(name, (*known, *names))}"
            )
    try:
        made = make(Augmentation, given)
    except ParameterError as error:
        raise ParameterError(f"{who}: {str(error).partition(': ')[2]}") from None
    _check(who, made, shape)
    return made


def _check(who: str, made: Augmentation, shape: Size) -> None:
    """Refuse parameters that do not go together."""
    _check_numbers(who, made)
    if made.inter_method not in _METHODS:
        raise ParameterError(
            f"{who}: inter_method is {made.inter_method}; needs 0 (nearest), 1 (linear), 2 (cubic),"
            " 3 (area), 4 (Lanczos), 9 (by the sizes) or 10 (by chance)"
        )
    if made.min_random_scale > made.max_random_scale or not made.max_random_scale:
        raise ParameterError(
            f"{who}: min_random_scale is {made.min_random_scale:g} and max_random_scale "
            f"{made.max_random_scale:g}; needs the first not to be greater, and the second above 0"
        )
    if made.max_aspect_ratio >= 1 and made.warps:
        raise ParameterError(
            f"{who}: max_aspect_ratio is {made.max_aspect_ratio:g}; needs less than 1, since sides "
            "come in ratios from 1 - max_aspect_ratio to 1 + max_aspect_ratio"
        )
    if made.min_img_size > made.max_img_size:
        raise ParameterError(
            f"{who}: min_img_size is {made.min_img_size:g} and max_img_size "
            f"{made.max_img_size:g}; needs the first not to be greater"
        )
    least, most = made.crop_sizes
    if least > most:
        raise ParameterError(
            f"{who}: min_crop_size is {least} and max_crop_size {most}; needs the first not to be "
            "greater"
        )
    if made.resize == 0 or 0 in {made.max_crop_size, made.min_crop_size}:
        raise ParameterError(
            f"{who}: resize, max_crop_size and min_crop_size are sizes in pixels; need to be at "
            "least 1, or -1 for none"
        )
    if made.rotate > _FULL_TURN or made.max_rotate_angle > _FULL_TURN:
        raise ParameterError(f"{who}: rotate and max_rotate_angle are degrees; need at most 360")
    if made.colours and shape[0] == 1:
        raise ParameterError(
            f"{who}: random_h, random_s and random_l change colours; data_shape is {shape}, which "
            "is grey"
        )
    if made.mean_img and any(made.mean):
        raise ParameterError(f"{who}: needs either mean_img or mean_r, mean_g and mean_b")


def _check_numbers(who: str, made: Augmentation) -> None:
    """Refuse numbers that neither OpenCV nor a float32 holds."""
    for name, value in attrs.asdict(made).items():
        if isinstance(value, int) and value > _MOST_INTEGER:
            raise ParameterError(f"{who}: {name} is {value}; needs at most {_MOST_INTEGER}")
        if isinstance(value, float) and not math.isfinite(value):
            raise ParameterError(f"{who}: {name} is {value}; needs a finite number")
    if made.fill_value > _MOST_COLOUR:
        raise ParameterError(f"{who}: fill_value is {made.fill_value}; needs 0 to {_MOST_COLOUR}")
    if 0.0 in made.std:
        raise ParameterError(f"{who}: std_r, std_g, std_b are {made.std}; need not to be 0")
    for mean, std in zip(made.mean, made.std, strict=True):
        factor = abs(made.scale / std)
        largest = (_MOST_COLOUR + abs(mean)) * (1 + made.max_random_contrast)
        # In this order, so that what is too large for a float64 too is infinite, not an error.
        if not (largest + made.max_random_illumination) * factor <= _MOST_NUMBER:
            raise ParameterError(
                f"{who}: with mean {mean:g}, std {std:g}, scale {made.scale:g}, "
                f"max_random_contrast {made.max_random_contrast:g} and max_random_illumination "
                f"{made.max_random_illumination:g} pixels become numbers that no float32 holds"
            )
