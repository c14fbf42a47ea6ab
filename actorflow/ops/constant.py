"""Arrays that are known beforehand: as expressions make them, and as they are once computed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from actorflow.ops.operator import Operator
from actorflow.ops.parameters import data_type, number, sizes

if TYPE_CHECKING:
    from actorflow.ops.operator import Apply, Handles
    from actorflow.ops.types import Memory, Shape

__all__ = ["Constant", "Full"]


@attrs.frozen
class Full(Operator):
    """One value everywhere, in an array of a shape that is given."""

    shape: tuple[int, ...] = sizes(doc="the shape")
    value: float = number(0, doc="the value")
    sign: float = attrs.field(init=False, repr=False)  # 0.0 and -0.0 are equal, and not the same

    @sign.default
    def _sign(self) -> float:
        return math.copysign(1, self.value)

    dtype: np.dtype[Any] = data_type("float32", doc="the data type")  # noqa: RUF009 -- a field

    name = "full"
    inputs = ()

    def infer_shape(
        self, *shapes: Shape | None
    ) -> tuple[tuple[Shape | None, ...], tuple[Shape | None, ...]]:
        return (), (self.shape or (1,),)

    def infer_type(
        self, *dtypes: np.dtype[Any] | None
    ) -> tuple[tuple[np.dtype[Any] | None, ...], tuple[np.dtype[Any] | None, ...]]:
        return (), (self.dtype,)

    def forward(self, output: Memory) -> None:
        output.fill(self.value)

    def gradient(
        self, apply: Apply, inputs: Handles, outputs: Handles, out_grads: Handles
    ) -> Handles:
        return ()


@attrs.frozen(eq=False, repr=False)
class Constant(Operator):
    """An array that is there already.

    Who can reads `value` where it lies; `forward` is for those who need it in another place.

    Attributes:
      value: the array, C-contiguous; nobody writes it.
      uniform: the number that all its elements are, as NumPy has it; None if they differ, or if
        there are none.
    """

    value: Memory
    uniform: Any = attrs.field(init=False)

    name = "constant"
    inputs = ()

    @uniform.default
    def _one_value(self) -> Any:  # noqa: ANN401 -- a number of NumPy's
        bits = self.value.reshape(-1).view(np.dtype((np.void, self.value.itemsize)))
        return self.value.flat[0] if bits.size and (bits == bits[0]).all() else None

    def __repr__(self) -> str:
        return f"<operator 'constant' of shape {self.value.shape}>"

    def infer_shape(
        self, *shapes: Shape | None
    ) -> tuple[tuple[Shape | None, ...], tuple[Shape | None, ...]]:
        return (), (self.value.shape,)

    def infer_type(
        self, *dtypes: np.dtype[Any] | None
    ) -> tuple[tuple[np.dtype[Any] | None, ...], tuple[np.dtype[Any] | None, ...]]:
        return (), (self.value.dtype,)

    def forward(self, output: Memory) -> None:
        np.copyto(output, self.value)

    def gradient(
        self, apply: Apply, inputs: Handles, outputs: Handles, out_grads: Handles
    ) -> Handles:
        return ()
