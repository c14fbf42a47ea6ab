"""Element-wise operators whose parameters are numbers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import attrs
import numpy as np

from actorflow.errors import DTypeError
from actorflow.ops.broadcast import SumLike
from actorflow.ops.operator import Operator
from actorflow.ops.parameters import data_type
from actorflow.ops.types import DTYPES
from actorflow.ops.ufunc import into

if TYPE_CHECKING:
    from actorflow.ops.operator import Apply, Call, Handles
    from actorflow.ops.types import Memory, Scalar, Shape
    from actorflow.ops.ufunc import Elementwise

__all__ = ["Arange", "Cast", "Clip", "ClipGradient", "Fill", "WithScalar", "scalar_type", "widened"]

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
        if base.kernel is np.power and number < 0 and not reverse:
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
    # 1, 1.0 and True are equal, and so are 0.0 and -0.0, but not what comes of them.
    scalar: Scalar = attrs.field(eq=lambda scalar: (type(scalar), str(scalar)))
    reverse: bool = False

    inputs = ("data",)
    elementwise = True
    inplace = (("data", "output"),)
    overlap_safe = True  # every two-input operator is a ufunc

    def __hash__(self) -> int:
        # Of what is equal the hashes are, too; the text that tells numbers apart takes longer.
        # Each NaN has a hash of its own.
        number = self.scalar if self.scalar == self.scalar else "nan"
        return hash((self.base, number, self.reverse))

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

    def calls(self, arrays: list[Any]) -> list[Call]:
        data, output = arrays
        if not self.base.direct or output.dtype != data.dtype or output.dtype.kind != "f":
            return super().calls(arrays)
        number = np.asarray(self.scalar, output.dtype)  # Python's own is converted in each call
        operands = (number, data) if self.reverse else (data, number)
        return [into(self.base.kernel, *operands, output)]

    def forward(self, data: Memory, output: Memory) -> None:
        scalar = widened(self.scalar, output.dtype)
        if self.reverse:
            self.base.kernel(scalar, data, out=output)
        else:
            self.base.kernel(data, scalar, out=output)

    def gradient(
        self, apply: Apply, inputs: Handles, outputs: Handles, out_grads: Handles
    ) -> Handles:
        derivative = self.base.derivatives[1 if self.reverse else 0]
        if derivative is None:
            return (None,)
        typed = isinstance(self.scalar, np.generic)
        number = self.scalar.item() if isinstance(self.scalar, np.generic) else self.scalar
        operands = (number, *inputs) if self.reverse else (*inputs, number)
        grad = derivative(apply, *out_grads, *outputs, *operands)
        # With a number that keeps its data type, the output may have another than the input.
        return apply(SumLike(), grad, *inputs) if typed else (grad,)


def _bound(value: Any) -> Any:  # noqa: ANN401
    """A bound as it is given: int64 holds integers that a float would round."""
    return float(value) if isinstance(value, str) else value


def _bound_field(doc: str) -> Any:  # noqa: ANN401
    return attrs.field(converter=_bound, metadata={"takes": "a number", "doc": doc})


@attrs.frozen
class Clip(Operator):
    """`min(max(data, a_min), a_max)`; a NaN stays one. Keeps the data type."""

    a_min: float = _bound_field("the least value")
    a_max: float = _bound_field("the greatest value, at least a_min")

    name = "clip"
    inputs = ("data",)
    elementwise = True
    inplace = (("data", "output"),)
    overlap_safe = False

    def __attrs_post_init__(self) -> None:
        if not self.a_min <= self.a_max:
            raise ValueError(f"clip: a_min {self.a_min} is greater than a_max {self.a_max}")

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

    def gradient(
        self, apply: Apply, inputs: Handles, outputs: Handles, out_grads: Handles
    ) -> Handles:
        return apply(ClipGradient(self.a_min, self.a_max), *inputs, *out_grads)


@attrs.frozen
class ClipGradient(Operator):
    """`grad` where `data` is between the bounds or at one of them, 0 where it was cut."""

    a_min: float
    a_max: float

    name = "clip_gradient"
    elementwise = True
    inputs = ("data", "grad")
    inplace = (("grad", "output"),)

    def output_shape(self, *shapes: Shape) -> Shape:
        return shapes[0]

    def output_type(self, *dtypes: np.dtype[Any]) -> np.dtype[Any]:
        return dtypes[0] if dtypes[0].kind == "f" else dtypes[1]

    def forward(self, data: Memory, grad: Memory, output: Memory) -> None:
        inside = np.greater_equal(data, self.a_min)
        np.logical_and(inside, np.less_equal(data, self.a_max), out=inside)
        np.multiply(grad, inside, out=output)


@attrs.frozen
class Cast(Operator):
    """`data` converted to another data type, as NumPy converts: floats lose their fraction."""

    dtype: np.dtype[Any] = data_type(doc="the data type to convert to")  # noqa: RUF009 -- a field

    name = "astype"
    elementwise = True
    inputs = ("data",)

    def output_shape(self, *shapes: Shape) -> Shape:
        return shapes[0]

    def output_type(self, *_dtypes: np.dtype[Any]) -> np.dtype[Any]:
        return self.dtype

    def is_identity(self, *shapes: Shape) -> bool:
        return True

    def forward(self, data: Memory, output: Memory) -> None:
        np.copyto(output, data, casting="unsafe")

    def gradient(
        self, apply: Apply, inputs: Handles, outputs: Handles, out_grads: Handles
    ) -> Handles:
        return apply(SumLike(), *out_grads, *inputs)


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
