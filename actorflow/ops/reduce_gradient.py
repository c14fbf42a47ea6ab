"""The gradients of reductions: what comes back along the axes that were reduced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from actorflow.ops.operator import Operator

if TYPE_CHECKING:
    from actorflow.ops.operator import Apply, Handles
    from actorflow.ops.reduce import Reduction
    from actorflow.ops.types import Memory, Shape

__all__ = ["ExtremeGradient", "NormGradient", "ProdGradient", "Spread"]


@attrs.frozen
class Spread(Operator):
    """`data`, of the shape that a reduction of `like` has, repeated along the reduced axes.

    Attributes:
      reduction: the reduction.
      mean: divide by the number of copies.
    """

    reduction: Reduction
    mean: bool = False

    inputs = ("data", "like")
    unread = ("like",)

    @property
    def elementwise(self) -> bool:  # type: ignore[override]
        # One number for all; the mean's depends on how many elements there are.
        return self.reduction.axis is None and not self.reduction.exclude and not self.mean

    @property
    def name(self) -> str:  # type: ignore[override]
        return f"{self.reduction.name}_gradient"

    def output_shape(self, *shapes: Shape) -> Shape:
        return shapes[1]

    def output_type(self, *dtypes: np.dtype[Any]) -> np.dtype[Any]:
        return dtypes[0]

    def forward(self, data: Memory, like: Memory, output: Memory) -> None:
        if self.mean:
            # The share of one of many elements may be too small for float16.
            work = np.dtype(np.float32) if data.dtype == np.float16 else data.dtype
            data = np.multiply(data, data.size / max(output.size, 1), dtype=work)
        shape = self.reduction.kept_shape(output.shape)
        np.copyto(output, data.reshape(shape), casting="same_kind")

    def gradient(
        self, apply: Apply, inputs: Handles, outputs: Handles, out_grads: Handles
    ) -> Handles:
        return (*apply(self.reduction, *out_grads), None)


class _ReductionGradient(Operator):
    """What the gradients share that need the input of their reduction."""

    __slots__ = ()

    reduction: Reduction
    inputs = ("data", "reduced", "grad")

    @property
    def name(self) -> str:  # type: ignore[override]
        return f"{self.reduction.name}_gradient"

    def output_shape(self, *shapes: Shape) -> Shape:
        return shapes[0]

    def output_type(self, *dtypes: np.dtype[Any]) -> np.dtype[Any]:
        # The gradient of integers may have a fraction; who binds them is told then.
        return dtypes[0] if dtypes[0].kind == "f" else dtypes[-1]


@attrs.frozen
class ExtremeGradient(_ReductionGradient):
    """`grad` where `data` is the extreme of its part, 0 elsewhere."""

    reduction: Reduction

    def forward(self, data: Memory, reduced: Memory, grad: Memory, output: Memory) -> None:
        shape = self.reduction.kept_shape(data.shape)
        np.equal(data, reduced.reshape(shape), out=output)
        np.multiply(output, grad.reshape(shape), out=output)


@attrs.frozen
class ProdGradient(_ReductionGradient):
    """`grad` times the product of all other elements.

    That is the product divided by the element, but where there are zeros: if an element is the only
    zero of its part, it is the product of the rest, and every other one's is 0.
    """

    reduction: Reduction

    inputs = ("data", "grad")  # type: ignore[assignment]

    def output_type(self, *dtypes: np.dtype[Any]) -> np.dtype[Any]:
        return dtypes[0] if dtypes[0].kind == "f" else np.dtype(np.float64)  # it is a quotient

    def forward(self, data: Memory, grad: Memory, output: Memory) -> None:
        axes = self.reduction.axes(data.ndim)
        zero = np.equal(data, 0)
        np.copyto(output, data)
        np.copyto(output, 1, where=zero)
        # Without its zeros the product is that of the others wherever there is one zero at most.
        total = np.multiply.reduce(output, axes, keepdims=True) * grad.reshape(
            self.reduction.kept_shape(data.shape)
        )
        np.divide(total, output, out=output)
        zeros = np.add.reduce(zero, axes, np.intp, keepdims=True)
        if zeros.any():
            np.copyto(output, 0, where=zeros - zero > 0)


@attrs.frozen
class NormGradient(_ReductionGradient):
    """`grad * data / norm`, or `grad * sign(data)` for the sum of absolute values."""

    reduction: Reduction

    def forward(self, data: Memory, reduced: Memory, grad: Memory, output: Memory) -> None:
        shape = self.reduction.kept_shape(data.shape)
        reduced, grad = reduced.reshape(shape), grad.reshape(shape)
        if getattr(self.reduction, "ord", 2) == 1:
            np.sign(data, out=output)
            np.multiply(output, grad, out=output)
        else:
            scale = np.zeros_like(grad)
            np.divide(grad, reduced, out=scale, where=reduced != 0)
            np.multiply(data, scale, out=output)
