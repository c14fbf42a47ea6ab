"""Operators that draw random numbers. Each run is given a generator of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from actorflow.errors import DTypeError
from actorflow.ops.operator import Operator
from actorflow.ops.types import is_floating

if TYPE_CHECKING:
    from actorflow.ops.types import Memory, Shape

__all__ = ["Normal", "Orthogonal", "RandInt", "Shuffle", "Uniform"]


@attrs.frozen
class _Floats(Operator):
    inputs = ()
    draws = True

    def check_type(self, dtype: np.dtype[Any]) -> None:
        """Raise unless the operator draws numbers of that data type.

        Raises:
          DTypeError: it does not.
        """
        if not is_floating(dtype):
            raise DTypeError(f"{self.name}: draws float16, float32 or float64, not {dtype.name}")

    def _work(self, output: Memory) -> Memory:
        """Where to draw: NumPy draws no float16."""
        return np.empty(output.shape, np.float32) if output.dtype == np.float16 else output

    def _finish(self, drawn: Memory, output: Memory, scale: float, shift: float) -> None:
        if scale != 1:
            np.multiply(drawn, scale, drawn)
        if shift != 0:
            np.add(drawn, shift, drawn)
        if drawn is not output:
            np.copyto(output, drawn, casting="same_kind")


@attrs.frozen
class Uniform(_Floats):
    """Numbers drawn evenly from `[low, high)`; rounding may give `high`.

    Attributes:
      low: the least.
      high: the bound, at least `low`.
    """

    low: float = 0.0
    high: float = attrs.field(default=1.0)

    name = "uniform"

    @high.validator
    def _check(self, _attribute: object, value: float) -> None:
        if not self.low <= value:
            raise ValueError(f"uniform: low {self.low} is greater than high {value}")

    def forward(self, output: Memory, rng: np.random.Generator) -> None:
        drawn = self._work(output)
        rng.random(dtype=drawn.dtype.type, out=drawn)
        self._finish(drawn, output, self.high - self.low, self.low)


@attrs.frozen
class Normal(_Floats):
    """Numbers drawn from a normal distribution.

    Attributes:
      loc: its mean.
      scale: its standard deviation, not negative.
    """

    loc: float = 0.0
    scale: float = attrs.field(default=1.0)

    name = "normal"

    @scale.validator
    def _check(self, _attribute: object, value: float) -> None:
        if not value >= 0:
            raise ValueError(f"normal: scale {value} is negative")

    def forward(self, output: Memory, rng: np.random.Generator) -> None:
        drawn = self._work(output)
        rng.standard_normal(dtype=drawn.dtype.type, out=drawn)
        self._finish(drawn, output, self.scale, self.loc)


@attrs.frozen
class Orthogonal(_Floats):
    """A random matrix with orthogonal rows or columns; a row for each index on the first axis.

    Attributes:
      scale: the length of the rows, or of the columns if there are fewer of these.
      normal: whether what it is made of is drawn from the normal distribution.
    """

    scale: float = 1.0
    normal: bool = attrs.field(default=True, kw_only=True)

    name = "orthogonal"

    def forward(self, output: Memory, rng: np.random.Generator) -> None:
        rows = output.shape[0]
        columns = output.size // rows if rows else 0
        size = (max(rows, columns), min(rows, columns))
        drawn = rng.standard_normal(size) if self.normal else rng.uniform(-1, 1, size)
        found, triangle = np.linalg.qr(drawn)
        # Without this the signs would be those that the decomposition happens to choose.
        found *= self.scale * np.where(triangle.diagonal() < 0, -1, 1)
        output[...] = (found if rows >= columns else found.T).reshape(output.shape)


@attrs.frozen
class RandInt(Operator):
    """Integers drawn evenly from `[low, high)`.

    Attributes:
      low: the least.
      high: the bound, greater than `low`.
    """

    low: int
    high: int = attrs.field()

    name = "randint"
    inputs = ()
    draws = True

    @high.validator
    def _check(self, _attribute: object, value: int) -> None:
        if not self.low < value:
            raise ValueError(f"randint: needs low < high, got low {self.low}, high {value}")

    def check_type(self, dtype: np.dtype[Any]) -> None:
        """Raise unless all that may be drawn fits the data type.

        Raises:
          DTypeError: it does not, or is no integer type.
        """
        if dtype.kind not in "iu":
            raise DTypeError(f"randint: draws integers, not {dtype.name}")
        bounds = np.iinfo(dtype)
        if self.low < bounds.min or self.high - 1 > bounds.max:
            raise DTypeError(
                f"randint: {self.low} to {self.high - 1} does not fit {dtype.name}, which holds "
                f"{bounds.min} to {bounds.max}"
            )

    def forward(self, output: Memory, rng: np.random.Generator) -> None:
        output[...] = rng.integers(self.low, self.high, output.shape, output.dtype)


@attrs.frozen
class Shuffle(Operator):
    """The parts of the first axis in a random order."""

    name = "shuffle"
    inputs = ("data",)
    draws = True

    def output_shape(self, *shapes: Shape) -> Shape:
        return shapes[0]

    def output_type(self, *dtypes: np.dtype[Any]) -> np.dtype[Any]:
        return dtypes[0]

    def forward(self, data: Memory, output: Memory, rng: np.random.Generator) -> None:
        np.take(data, rng.permutation(len(data)), axis=0, out=output, mode="clip")
