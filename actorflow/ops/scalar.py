"""Element-wise operators whose parameters are numbers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import attrs
import numpy as np

from actorflow.errors import DTypeError
from actorflow.ops.elementwise import ELEMENTWISE, Elementwise
from actorflow.ops.operator import Operator
from actorflow.ops.types import DTYPES

if TYPE_CHECKING:
    from actorflow.ops.types import Memory, Scalar, Shape

__all__ = ["Arange", "Cast", "Clip", "Fill", "WithScalar", "scalar_type", "widened"]

_POWER: Final = ELEMENTWISE["power"]
_RANGE: Final = {
    dtype: (int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))
    for dtype in DTYPES
    if dtype.kind in "iu"
}


def weak_type(name: str, scalar: Scalar) -> np.dtype[Any] | type:
    """How a number takes part in promotion: `int` or `float` if it adapts, else its data type.

    Raises:
      DTypeError: it is no real number of a data type that arrays may have.
    """
    if isinstance(scalar, np.generic):
        if scalar.dtype in DTYPES:
            return scalar.dtype
    elif isinstance(scalar, bool):
        return np.dtype(bool)
    elif isinstance(scalar, int):
        return int
    elif isinstance(scalar, float):
        return float
    raise DTypeError(f"{name}: cannot compute with {scalar!r} of type {type(scalar).__name__}")


def scalar_type(
    base: Elementwise, dtype: np.dtype[Any], scalar: Scalar, *, reverse: bool
) -> np.dtype[Any]:
    """The data type of `base(array, scalar)`, or of `base(scalar, array)` with `reverse`.

    Raises:
      DTypeError: the operator does not take them.
      OverflowError: a Python integer that the array's data type cannot hold.
      ValueError: an integer array to a negative integer power.
    """
    weak = weak_type(base.name, scalar)
    *loop, result = base.loop_types(*((weak, dtype) if reverse else (dtype, weak)))
    operand = loop[0]
    if weak is int and operand.kind in "iu":
        low, high = _RANGE[operand]
        number = int(scalar)
        # A comparison with a number that is out of range has an answer all the same.
        if not low <= number <= high and base.direct:
            raise OverflowError(
                f"{base.name}: {number} does not fit {operand.name}, which holds {low} to {high}"
            )
        if base is _POWER and number < 0 and not reverse:
            raise ValueError(
                f"power: {dtype.name} to the power {number}, but integers have no negative "
                f"integer powers; {float(number)} gives floats"
            )
    return result


def widened(scalar: Scalar, result: np.dtype[Any]) -> Scalar:
    """The number as a kernel takes it whose result has the data type `result`.

    NumPy's int8 and uint8, one of them an array, would be computed in int16.
    """
    if isinstance(scalar, np.generic) and result == np.int32:
        return np.int32(scalar)
    return scalar


@attrs.frozen(repr=False)
class WithScalar(Operator):
    """A two-input element-wise operator with a number in the place of one input.

    Attributes:
      base: the operator.
      scalar: the number; Python's own adapt to the array's data type, NumPy's keep theirs.
      reverse: whether the number is the left operand.
    """

    base: Elementwise
    # 1, 1.0 and True are equal, but a data type may come of one that does not of the others.
    scalar: Scalar = attrs.field(eq=lambda scalar: (type(scalar), scalar))
    reverse: bool = False

    inputs = ("data",)
    inplace = (("data", "output"),)
    overlap_safe = True  # every two-input operator is a ufunc

    def __repr__(self) -> str:
        side = "left" if self.reverse else "right"
        return f"<operator {self.name!r} with {self.scalar!r} on the {side}>"

    @property
    def name(self) -> str:  # type: ignore[override]
        return self.base.name

    def output_shape(self, *shapes: Shape) -> Shape:
        return shapes[0]

    def output_type(self, *dtypes: np.dtype[Any]) -> np.dtype[Any]:
        return scalar_type(self.base, dtypes[0], self.scalar, reverse=self.reverse)

    def forward(self, data: Memory, output: Memory) -> None:
        scalar = widened(self.scalar, output.dtype)
        if self.reverse:
            self.base.kernel(scalar, data, out=output)
        else:
            self.base.kernel(data, scalar, out=output)


@attrs.frozen
class Clip(Operator):
    """`min(max(data, a_min), a_max)`; a NaN stays one. Keeps the data type.

    Attributes:
      a_min: the least value.
      a_max: the greatest value, at least `a_min`.
    """

    a_min: float = attrs.field()
    a_max: float = attrs.field()

    name = "clip"
    inputs = ("data",)
    inplace = (("data", "output"),)
    overlap_safe = False

    @a_max.validator
    def _check(self, _attribute: object, value: float) -> None:
        if not self.a_min <= value:
            raise ValueError(f"clip: a_min {self.a_min} is greater than a_max {value}")

    def output_shape(self, *shapes: Shape) -> Shape:
        return shapes[0]

    def output_type(self, *dtypes: np.dtype[Any]) -> np.dtype[Any]:
        return dtypes[0]

    def forward(self, data: Memory, output: Memory) -> None:
        low, high = self.a_min, self.a_max
        if output.dtype.kind != "f":
            # Bounds beyond what the integers hold bound nothing.
            least, most = _RANGE.get(output.dtype, (0, 1))
            low = int(np.ceil(min(max(low, least), most)))
            high = int(np.floor(max(min(high, most), least)))
        kind = output.dtype.type
        np.maximum(data, kind(low), out=output)
        np.minimum(output, kind(high), out=output)


@attrs.frozen
class Cast(Operator):
    """`data` converted to another data type, as NumPy converts: floats lose their fraction.

    Attributes:
      dtype: the data type to convert to.
    """

    dtype: np.dtype[Any]

    name = "astype"
    inputs = ("data",)

    def output_shape(self, *shapes: Shape) -> Shape:
        return shapes[0]

    def output_type(self, *_dtypes: np.dtype[Any]) -> np.dtype[Any]:
        return self.dtype

    def forward(self, data: Memory, output: Memory) -> None:
        np.copyto(output, data, casting="unsafe")


@attrs.frozen
class Fill(Operator):
    """One value everywhere. It has no input: its shape and data type are its output's.

    Attributes:
      value: the value.
    """

    value: Scalar

    name = "full"
    inputs = ()

    def forward(self, output: Memory) -> None:
        output.fill(self.value)


@attrs.frozen
class Arange(Operator):
    """`start`, `start + step`, ... up to `stop`, exclusive, each of them `repeat` times.

    Attributes:
      start: the first number.
      stop: the bound.
      step: the distance.
      repeat: how often each number comes.
      count: how many numbers there are.
    """

    start: float
    stop: float
    step: float = attrs.field(default=1.0)
    repeat: int = attrs.field(default=1, validator=attrs.validators.ge(1))
    count: int = attrs.field(init=False)

    name = "arange"
    inputs = ()

    @step.validator
    def _check(self, _attribute: object, value: float) -> None:
        if value == 0:
            raise ValueError("arange: step is 0")

    @count.default
    def _count(self) -> int:
        if self.step == 0:
            return 0
        return max(math.ceil((self.stop - self.start) / self.step), 0) * self.repeat

    def forward(self, output: Memory) -> None:
        steps: Memory = np.arange(self.count // self.repeat)
        # Steps are multiplied, not added up, so that rounding does not add up either.
        numbers: Memory = self.start + self.step * steps
        np.copyto(output, np.repeat(numbers, self.repeat), casting="unsafe")
