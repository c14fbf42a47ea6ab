"""Operators built on matrix products."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import attrs
import numpy as np

from actorflow.errors import DTypeError
from actorflow.ops.operator import Operator
from actorflow.ops.types import MATRIX, prod, supported

if TYPE_CHECKING:
    from actorflow.ops.types import Memory, Shape

__all__ = ["Dot"]

_FLOAT16: Final = np.dtype(np.float16)


@attrs.frozen
class Dot(Operator):
    """The product over the last axis of `lhs` and the first of `rhs`.

    For matrices that is the matrix product and for vectors the inner product, of shape `(1,)`.
    float16 is multiplied in float32.

    Attributes:
      transpose_a: take `lhs` transposed; it then needs one or two axes.
      transpose_b: take `rhs` transposed; it then needs one or two axes.
    """

    transpose_a: bool = False
    transpose_b: bool = False

    name = "dot"
    inputs = ("lhs", "rhs")

    def output_shape(self, *shapes: Shape) -> Shape:
        lhs, rhs = shapes
        if self.transpose_a:
            lhs = self._transposed("lhs", lhs)
        if self.transpose_b:
            rhs = self._transposed("rhs", rhs)
        if lhs[-1] != rhs[0]:
            flags = [name for name in ("transpose_a", "transpose_b") if getattr(self, name)]
            how = f" with {' and '.join(flags)}" if flags else ""
            which = "last" if self.transpose_b else "first"
            self.refuse(
                "rhs", shapes[1], f"lhs {shapes[0]}{how} needs {lhs[-1]} along its {which} axis"
            )
        return lhs[:-1] + rhs[1:] or (1,)

    def _transposed(self, argument: str, shape: Shape) -> Shape:
        if len(shape) > MATRIX:
            self.refuse(argument, shape, "it can be transposed only with one or two axes")
        return shape[::-1]

    def output_type(self, *dtypes: np.dtype[Any]) -> np.dtype[Any]:
        try:
            return supported(np.matmul.resolve_dtypes((*dtypes, None))[-1])
        except TypeError:
            got = " and ".join(dtype.name for dtype in dtypes)
            raise DTypeError(f"dot: got {got}, which cannot be multiplied") from None

    def forward(self, lhs: Memory, rhs: Memory, output: Memory) -> None:
        if self.transpose_a:
            lhs = lhs.T
        if self.transpose_b:
            rhs = rhs.T
        if max(lhs.ndim, rhs.ndim) > MATRIX:
            lhs = lhs.reshape(prod(lhs.shape[:-1]), lhs.shape[-1])
            rhs = rhs.reshape(rhs.shape[0], prod(rhs.shape[1:]))
        if output.dtype == _FLOAT16:
            product = np.matmul(lhs.astype(np.float32), rhs.astype(np.float32))
            np.copyto(output, product.reshape(output.shape), casting="same_kind")
            return
        shape = lhs.shape[:-1] + rhs.shape[1:]
        if shape != output.shape:
            output = output.reshape(shape)
        # The data type is said, since NumPy would add up int8 with uint8 in int16.
        np.matmul(lhs, rhs, output, dtype=output.dtype)
