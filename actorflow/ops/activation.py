"""Activations: functions of single elements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import attrs
import numpy as np

from actorflow.ops.blocks import (
    BLOCK,
    all_floating,
    at_least_zero,
    blocks,
    run,
    select,
    space,
    working_type,
)
from actorflow.ops.operator import Operator
from actorflow.ops.parameters import choice
from actorflow.ops.types import prod

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from actorflow.ops.operator import Apply, Call, Handles
    from actorflow.ops.types import Memory, Shape

__all__ = ["Activation", "ActivationGradient"]


@attrs.frozen
class _Kernel:
    """A function of blocks.

    Attributes:
      function: takes what it reads, what it writes and its temporaries.
      temporaries: how many.
      exact: whether it only picks numbers, so that float16 need not be converted.
    """

    function: Callable[..., object]
    temporaries: int = 0
    exact: bool = False


def _relu(data: Memory, output: Memory) -> None:
    at_least_zero(data, output)


def _sigmoid(data: Memory, output: Memory) -> None:
    np.negative(data, output)
    np.exp(output, output)
    np.add(output, 1, output)
    np.reciprocal(output, output)


def _tanh(data: Memory, output: Memory) -> None:
    np.tanh(data, output)


def _softrelu(data: Memory, output: Memory, room: Memory) -> None:
    # max(x, 0) + log(1 + exp(-|x|)): neither overflows nor loses what is far below 1, and takes a
    # tenth of the time of NumPy's logaddexp.
    np.absolute(data, room)
    np.negative(room, room)
    np.exp(room, room)
    np.log1p(room, room)
    at_least_zero(data, output)
    np.add(output, room, output)


def _softsign(data: Memory, output: Memory, room: Memory) -> None:
    np.absolute(data, room)
    np.add(room, 1, room)
    np.divide(data, room, output)


def _relu_gradient(
    output: Memory, grad: Memory, data_grad: Memory, one: Memory, two: Memory
) -> None:
    kept = one.view(np.bool)[: output.size]
    np.not_equal(output, 0, out=kept)  # it is above, or NaN, through which the gradient goes, too
    select(grad, kept, data_grad, two)


def _sigmoid_gradient(output: Memory, grad: Memory, data_grad: Memory, room: Memory) -> None:
    np.subtract(1, output, room)
    np.multiply(room, output, room)
    np.multiply(grad, room, data_grad)


def _tanh_gradient(output: Memory, grad: Memory, data_grad: Memory, room: Memory) -> None:
    np.square(output, room)
    np.subtract(1, room, room)
    np.multiply(grad, room, data_grad)


def _softrelu_gradient(output: Memory, grad: Memory, data_grad: Memory, room: Memory) -> None:
    np.negative(output, room)
    np.expm1(room, room)
    np.negative(room, room)
    np.multiply(grad, room, data_grad)


def _softsign_gradient(output: Memory, grad: Memory, data_grad: Memory, room: Memory) -> None:
    np.absolute(output, room)
    np.subtract(1, room, room)
    np.square(room, room)
    np.multiply(grad, room, data_grad)


_FORWARD: Final = {
    "relu": _Kernel(_relu, exact=True),
    "sigmoid": _Kernel(_sigmoid),
    "tanh": _Kernel(_tanh),
    "softrelu": _Kernel(_softrelu, 1),
    "softsign": _Kernel(_softsign, 1),
}
_GRADIENT: Final = {
    "relu": _Kernel(_relu_gradient, 2, exact=True),
    "sigmoid": _Kernel(_sigmoid_gradient, 1),
    "tanh": _Kernel(_tanh_gradient, 1),
    "softrelu": _Kernel(_softrelu_gradient, 1),
    "softsign": _Kernel(_softsign_gradient, 1),
}


class _ByElement(Operator):
    """What runs one kernel on arrays of one shape and one floating type."""

    __slots__ = ()

    elementwise = True

    @property
    def kernel(self) -> _Kernel:
        raise NotImplementedError

    def output_shape(self, *shapes: Shape) -> Shape:
        return shapes[0]

    def infer_type(
        self, *dtypes: np.dtype[Any] | None
    ) -> tuple[tuple[np.dtype[Any] | None, ...], tuple[np.dtype[Any] | None, ...]]:
        return all_floating(self, dtypes)

    def scratch(
        self, shapes: Sequence[Shape], dtypes: Sequence[np.dtype[Any]]
    ) -> tuple[tuple[Shape, np.dtype[Any]], ...]:
        count, kernel = prod(shapes[0]), self.kernel
        if kernel.exact:
            rows = kernel.temporaries
            return (((rows, min(count, BLOCK)), dtypes[0]),) if rows else ()
        return space(count, (*dtypes, dtypes[0]), kernel.temporaries)

    def calls(self, arrays: list[Any]) -> list[Call]:
        count, kernel = len(self.inputs) + 1, self.kernel
        output, scratch = arrays[count - 1], arrays[count:]
        if output.size > BLOCK or not (kernel.exact or output.dtype == working_type(output.dtype)):
            return super().calls(arrays)
        flat = [array.reshape(-1) for array in arrays[:count]]
        return [(kernel.function, (*flat, *(scratch[0] if scratch else ())))]

    def forward(self, *arrays: Memory) -> None:
        count, kernel = len(self.inputs), self.kernel
        reads, output, scratch = arrays[:count], arrays[count], arrays[count + 1 :]
        if not kernel.exact:
            run(kernel.function, reads, (output,), scratch)
            return
        flat = [array.reshape(-1) for array in arrays[: count + 1]]
        rows = tuple(scratch[0]) if scratch else ()
        if output.size <= BLOCK:
            kernel.function(*flat, *rows)
            return
        for part in blocks(output.size):
            rooms = (row[: part.stop - part.start] for row in rows)
            kernel.function(*(array[part] for array in flat), *rooms)


@attrs.frozen
class Activation(_ByElement):
    """A function of each element: the nonlinearity between layers.

    `data` and the output have one shape and one floating type.

    - relu: `max(x, 0)`
    - sigmoid: `1 / (1 + exp(-x))`
    - tanh
    - softrelu: `log(1 + exp(x))`
    - softsign: `x / (1 + |x|)`

    The gradient is computed from the output alone, so that the output may take the place of `data`.
    Where relu is flat its gradient is 0, whatever comes from above.
    """

    act_type: str = choice("relu", "sigmoid", "tanh", "softrelu", "softsign", doc="the function")

    name = "Activation"
    inputs = ("data",)
    inplace = (("data", "output"),)

    @property
    def kernel(self) -> _Kernel:
        return _FORWARD[self.act_type]

    def gradient(
        self, apply: Apply, inputs: Handles, outputs: Handles, out_grads: Handles
    ) -> Handles:
        return apply(ActivationGradient(self.act_type), *outputs, *out_grads)


@attrs.frozen
class ActivationGradient(_ByElement):
    """The gradient of an `Activation`, from its output."""

    act_type: str

    name = "Activation_gradient"
    inputs = ("output", "grad")
    outputs = ("data_grad",)
    inplace = (("grad", "data_grad"), ("output", "data_grad"))

    @property
    def kernel(self) -> _Kernel:
        return _GRADIENT[self.act_type]

    def output_shape(self, *shapes: Shape) -> Shape:
        output, grad = shapes
        if grad != output:
            self.refuse("grad", grad, f"output has {output}")
        return output
