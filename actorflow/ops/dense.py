"""Operators built on matrix products."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import attrs
import numpy as np

from actorflow.errors import DTypeError
from actorflow.ops.blocks import BLOCK, blocks
from actorflow.ops.layer import LayerGradient
from actorflow.ops.operator import MULTIPLY_US, Operator, call_each
from actorflow.ops.parameters import flag, integer
from actorflow.ops.types import MATRIX, prod, supported

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from actorflow.ops.operator import Apply, Call, Handles
    from actorflow.ops.types import Memory, Shape

__all__ = ["Dot", "DotGradient", "FullyConnected", "FullyConnectedGradient"]

_FLOAT16: Final = np.dtype(np.float16)
_FEW_ROWS: Final = 4096


@attrs.frozen
class Dot(Operator):
    """The product over the last axis of `lhs` and the first of `rhs`.

    For matrices that is the matrix product and for vectors the inner product, of shape `(1,)`.
    float16 is multiplied in float32.
    """

    transpose_a: bool = flag(False, doc="take lhs transposed; it then needs one or two axes")
    transpose_b: bool = flag(False, doc="take rhs transposed; it then needs one or two axes")

    name = "dot"
    costly = True
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

    def work(self, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> float:
        width = inputs[0][0 if self.transpose_a else -1]
        return MULTIPLY_US * width * prod(outputs[0])

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

    def gradient(
        self, apply: Apply, inputs: Handles, outputs: Handles, out_grads: Handles
    ) -> Handles:
        return apply(DotGradient(self), *inputs, *out_grads)


@attrs.frozen
class DotGradient(Operator):
    """The gradients of a `Dot`: the products of its output's gradient with the other operand."""

    dot: Dot

    name = "dot_gradient"
    inputs = ("lhs", "rhs", "grad")
    outputs = ("lhs_grad", "rhs_grad")
    partial = True

    def infer_shape(
        self, *shapes: Shape | None
    ) -> tuple[tuple[Shape | None, ...], tuple[Shape | None, ...]]:
        return shapes, shapes[:2]

    def infer_type(
        self, *dtypes: np.dtype[Any] | None
    ) -> tuple[tuple[np.dtype[Any] | None, ...], tuple[np.dtype[Any] | None, ...]]:
        return dtypes, dtypes[:2]

    def work(self, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> float:
        del outputs
        return 2 * self.dot.work(inputs[:2], inputs[2:])

    def forward(self, *arrays: Memory) -> None:
        lhs, rhs, grad, lhs_grad, rhs_grad = arrays
        # As matrices, without copies: lhs (m, k), rhs (k, n), grad (m, n).
        width = len(lhs) if self.dot.transpose_a else lhs.shape[-1]
        lhs = lhs.reshape(width, -1).T if self.dot.transpose_a else lhs.reshape(-1, width)
        rhs = rhs.reshape(-1, width).T if self.dot.transpose_b else rhs.reshape(width, -1)
        grad = grad.reshape(len(lhs), rhs.shape[1])
        if lhs_grad is not None and self.dot.transpose_a:
            _matmul(rhs, grad.T, lhs_grad.reshape(lhs.shape[::-1]))
        elif lhs_grad is not None:
            _matmul(grad, rhs.T, lhs_grad.reshape(lhs.shape))
        if rhs_grad is not None and self.dot.transpose_b:
            _matmul(grad.T, lhs, rhs_grad.reshape(rhs.shape[::-1]))
        elif rhs_grad is not None:
            _matmul(lhs.T, grad, rhs_grad.reshape(rhs.shape))


@attrs.frozen
class FullyConnected(Operator):
    """A layer that is connected to all of its input: `data` times `weight` transposed, plus `bias`.

    `data` is `(n, ...)`, `weight` is `(num_hidden, k)` and `bias` `(num_hidden,)`. With `flatten`
    all axes of `data` but the first count as one of size k and the output is `(n, num_hidden)`;
    without it the last axis has size k and the others stay.
    """

    num_hidden: int = integer(least=1, doc="the size of the last axis of the output")
    no_bias: bool = flag(False, doc="leave the bias out")
    flatten: bool = flag(True, doc="take all axes of the data but the first as one")

    name = "FullyConnected"
    costly = True

    @property
    def inputs(self) -> tuple[str, ...]:  # type: ignore[override]
        return ("data", "weight") if self.no_bias else ("data", "weight", "bias")

    def infer_shape(
        self, *shapes: Shape | None
    ) -> tuple[tuple[Shape | None, ...], tuple[Shape | None, ...]]:
        data = shapes[0]
        if data is None:
            return shapes, (None,)
        width = prod(data[1:]) if self.flatten else data[-1]
        needed: tuple[Shape, ...] = (data, (self.num_hidden, width), (self.num_hidden,))
        for name, got, needs in zip(self.inputs, shapes, needed, strict=False):
            if got is not None and got != needs:
                self.refuse(name, got, f"data {data} and num_hidden={self.num_hidden} need {needs}")
        lead = data[:1] if self.flatten else data[:-1]
        return needed[: len(shapes)], ((*lead, self.num_hidden),)

    def infer_type(
        self, *dtypes: np.dtype[Any] | None
    ) -> tuple[tuple[np.dtype[Any] | None, ...], tuple[np.dtype[Any] | None, ...]]:
        return self.one_type(dtypes)

    def work(self, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> float:
        return MULTIPLY_US * prod(outputs[0]) * inputs[1][1]

    def calls(
        self, arrays: list[Any], after: Callable[[Memory], Iterable[Call]] | None = None
    ) -> list[Call]:
        """The product and the bias, and behind them what follows.

        Args:
          arrays: as for `forward`.
          after: gives the calls that follow on a part of the output. With it, a part after the
            other gets its bias and what follows, while it is in the cache.
        """
        data, weight, *bias, output = arrays
        width = weight.shape[1]
        rows = output.size // self.num_hidden  # `-1` would not do where the width is 0
        target = output.reshape(rows, self.num_hidden)
        calls = [_product(data.reshape(rows, width), weight.T, target)]
        if after is None:
            return calls + [(np.add, (target, each, target)) for each in bias]
        for block in blocks(rows, max(1, BLOCK // self.num_hidden)):
            part = target[block]
            calls += [(np.add, (part, each, part)) for each in bias]
            calls += after(part)
        return calls

    def forward(self, *arrays: Memory) -> None:
        call_each(self.calls(list(arrays)))

    def gradient(
        self, apply: Apply, inputs: Handles, outputs: Handles, out_grads: Handles
    ) -> Handles:
        return apply(FullyConnectedGradient(self), *inputs[:2], *out_grads)


@attrs.frozen
class FullyConnectedGradient(LayerGradient):
    """The gradients of a `FullyConnected`."""

    def calls(self, arrays: list[Any]) -> list[Call]:
        data, weight, grad, data_grad, weight_grad, *bias_grad = arrays
        rows = grad.size // len(weight)
        data, grad = data.reshape(rows, weight.shape[1]), grad.reshape(rows, len(weight))
        calls: list[Call] = []
        if data_grad is not None:
            calls.append(_product(grad, weight, data_grad.reshape(data.shape)))
        if weight_grad is not None:
            calls.append(_product(grad.T, data, weight_grad))
        calls += [_column_sums(grad, each) for each in bias_grad if each is not None]
        return calls

    def forward(self, *arrays: Memory) -> None:
        call_each(self.calls(list(arrays)))


def _column_sums(matrix: Memory, output: Memory) -> Call:
    """The call that adds up the rows of a matrix: for a few of them, BLAS takes a third as long."""
    rows = len(matrix)
    if rows > _FEW_ROWS or output.dtype == np.float16:
        return np.add.reduce, (matrix, 0, None, output)
    return np.matmul, (np.ones(rows, matrix.dtype), matrix, output)


def _product(lhs: Memory, rhs: Memory, output: Memory) -> Call:
    """The call that computes the product of two matrices."""
    exact = output.dtype != np.float16
    return (np.matmul if exact else _matmul), (lhs, rhs, output)


def _matmul(lhs: Memory, rhs: Memory, output: Memory) -> None:
    """The product of two matrices; float16 is multiplied in float32, for which there is BLAS."""
    if output.dtype == np.float16:
        output[...] = np.matmul(lhs.astype(np.float32), rhs.astype(np.float32))
    else:
        np.matmul(lhs, rhs, output)
