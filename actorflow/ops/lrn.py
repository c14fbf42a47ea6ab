"""Normalization over neighbouring channels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from actorflow.errors import DTypeError, ParameterError
from actorflow.ops import half
from actorflow.ops.operator import Operator
from actorflow.ops.parameters import integer, number
from actorflow.ops.types import is_floating, prod

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from actorflow.ops.operator import Apply, Handles
    from actorflow.ops.types import Memory, Shape

__all__ = ["LRN", "LRNGradient"]


@attrs.frozen
class LRN(Operator):
    """Each element divided by a power of the squares of its neighbours in other channels.

        output[n, c] = data[n, c] / (knorm + alpha / nsize sum of data[n, i]^2)^beta

    over the `nsize` channels i around c (A. Krizhevsky, I. Sutskever, G. Hinton: ImageNet
    Classification with Deep Convolutional Neural Networks, 2012, whose alpha is not divided).
    `data` is `(n, channels, ...)`, and so is the output.
    """

    nsize: int = integer(least=1, doc="how many channels count, an odd number")
    alpha: float = number(1e-4, doc="the weight of the squares")
    beta: float = number(0.75, doc="the exponent")
    knorm: float = number(2.0, doc="what is added to the squares")

    name = "LRN"
    inputs = ("data",)
    inplace = (("data", "output"),)

    def __attrs_post_init__(self) -> None:
        if self.nsize % 2 == 0:
            raise ParameterError(f"{self.name}: nsize is {self.nsize}, but needs to be odd")

    def output_shape(self, *shapes: Shape) -> Shape:
        (data,) = shapes
        if len(data) < 2:
            self.refuse("data", data, "it needs an axis of channels, the second one")
        return data

    def output_type(self, *dtypes: np.dtype[Any]) -> np.dtype[Any]:
        (dtype,) = dtypes
        if not is_floating(dtype):
            raise DTypeError(f"{self.name}: data is {dtype.name}, but needs a floating type")
        return dtype

    def scratch(
        self, shapes: Sequence[Shape], dtypes: Sequence[np.dtype[Any]]
    ) -> tuple[tuple[Shape, np.dtype[Any]], ...]:
        return (((prod(shapes[0][1:]),), half.computed_in(dtypes[0])),) * 2

    def forward(self, data: Memory, output: Memory, *work: Memory) -> None:
        for source, target in _images(data, output):
            squares, norm = (each.reshape(source.shape) for each in work)
            self.norms(half.wide(source), squares, norm)
            _power(norm, -self.beta, squares)
            np.multiply(source, norm, out=target, casting="same_kind")

    def norms(self, source: Memory, squares: Memory, norm: Memory) -> None:
        """The bracket of the formula, for an image `(channels, width)`."""
        np.multiply(source, source, out=squares)
        _around(squares, self.nsize, norm)
        np.multiply(norm, self.alpha / self.nsize, out=norm)
        np.add(norm, self.knorm, out=norm)

    def gradient(
        self, apply: Apply, inputs: Handles, outputs: Handles, out_grads: Handles
    ) -> Handles:
        return apply(LRNGradient(self), *inputs, *out_grads)


@attrs.frozen
class LRNGradient(Operator):
    """The gradient of a `LRN`, for which its brackets are computed again.

        data_grad[i] = grad[i] / norm[i]^beta
                       - 2 alpha beta / nsize data[i] sum of grad[c] data[c] / norm[c]^(beta + 1)

    over the channels c around i.
    """

    layer: LRN

    inputs = ("data", "grad")
    outputs = ("data_grad",)
    inplace = (("data", "data_grad"), ("grad", "data_grad"))

    @property
    def name(self) -> str:  # type: ignore[override]
        return f"{self.layer.name}_gradient"

    def output_shape(self, *shapes: Shape) -> Shape:
        return shapes[0]

    def output_type(self, *dtypes: np.dtype[Any]) -> np.dtype[Any]:
        return dtypes[0]

    def scratch(
        self, shapes: Sequence[Shape], dtypes: Sequence[np.dtype[Any]]
    ) -> tuple[tuple[Shape, np.dtype[Any]], ...]:
        return (((prod(shapes[0][1:]),), half.computed_in(dtypes[0])),) * 4

    def forward(self, data: Memory, grad: Memory, data_grad: Memory, *work: Memory) -> None:
        layer = self.layer
        factor = -2 * layer.alpha * layer.beta / layer.nsize
        for source, above, target in _images(data, grad, data_grad):
            one, two, norm, direct = (each.reshape(source.shape) for each in work)
            source, above = half.wide(source), half.wide(above)  # noqa: PLW2901 -- the same values
            layer.norms(source, one, norm)
            np.copyto(two, norm)
            _power(two, -layer.beta, one)
            np.multiply(above, two, out=direct)
            np.divide(direct, norm, out=norm)
            np.multiply(norm, source, out=norm)
            _around(norm, layer.nsize, one)
            np.multiply(one, source, out=one)
            np.multiply(one, factor, out=one)
            np.add(direct, one, out=target, casting="same_kind")


def _images(*arrays: Memory) -> Iterator[tuple[Memory, ...]]:
    """The images of arrays, each `(channels, width)`."""
    yield from zip(
        *(each.reshape(*each.shape[:2], prod(each.shape[2:])) for each in arrays), strict=True
    )


def _around(source: Memory, size: int, target: Memory) -> None:
    """The sums over `size` rows, an odd number, around each row; there is nothing outside."""
    np.copyto(target, source)
    for apart in range(1, min(size // 2, len(source) - 1) + 1):
        for ours, theirs in ((target[apart:], source[:-apart]), (target[:-apart], source[apart:])):
            np.add(ours, theirs, out=ours)


def _power(base: Memory, exponent: float, work: Memory) -> None:
    """`base` to a power, in place; -3/4, the usual one, by roots, which are faster."""
    if exponent == -0.75:
        np.sqrt(base, out=base)
        np.sqrt(base, out=work)
        np.multiply(base, work, out=base)
        np.divide(1, base, out=base)
    else:
        np.power(base, exponent, out=base)
