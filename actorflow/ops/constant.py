"""Arrays of a shape that is known beforehand, as expressions make them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import attrs

from actorflow.ops.operator import Operator
from actorflow.ops.parameters import data_type, number, sizes

if TYPE_CHECKING:
    import numpy as np

    from actorflow.ops.operator import Apply, Handles
    from actorflow.ops.types import Memory, Shape

__all__ = ["Full"]


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
