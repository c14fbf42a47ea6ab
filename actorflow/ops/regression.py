"""Losses of regression. Their gradients do not depend on what comes from above."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from actorflow.ops.blocks import check_floating, run, space
from actorflow.ops.elementwise import ELEMENTWISE
from actorflow.ops.loss import WithLabel
from actorflow.ops.operator import Operator
from actorflow.ops.parameters import number
from actorflow.ops.types import prod

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actorflow.ops.operator import Apply, Handles
    from actorflow.ops.types import Memory, Shape

__all__ = [
    "LinearRegressionOutput",
    "LogisticRegressionOutput",
    "MAERegressionOutput",
    "RegressionGradient",
]


@attrs.frozen
class _Regression(WithLabel):
    grad_scale: float = number(1, doc="what the gradient is multiplied by")

    def infer_shape(
        self, *shapes: Shape | None
    ) -> tuple[tuple[Shape | None, ...], tuple[Shape | None, ...]]:
        data, label = shapes
        if data is None:
            return shapes, (None,)
        if label is None:
            label = data[:1] if data[1:] == (1,) else data
        elif label[0] != data[0] or prod(label) != prod(data):
            self.refuse("label", label, f"data {data} needs as many elements for each sample")
        return (data, label), (data,)

    def forward(self, data: Memory, label: Memory, output: Memory) -> None:
        np.copyto(output, data)

    def error(self, output: Memory, label: Memory, found: Memory) -> None:
        """Fill `found` with the gradient of a block, but for its scale."""
        np.subtract(output, label, found)

    def gradient(
        self, apply: Apply, inputs: Handles, outputs: Handles, out_grads: Handles
    ) -> Handles:
        return (*apply(RegressionGradient(self), *outputs, inputs[1]), None)


@attrs.frozen
class LinearRegressionOutput(_Regression):
    """`data` as it is, and the gradient of half the squared distance to `label`.

    `label` has the shape of `data`, or another one with as many elements for each sample. The
    gradient is `(output - label) * grad_scale`, divided by the number of outputs of a sample.
    """

    name = "LinearRegressionOutput"
    is_view = True


@attrs.frozen
class LogisticRegressionOutput(_Regression):
    """`1 / (1 + exp(-data))`, and the gradient of its cross entropy with the chances in `label`.

    `label` has the shape of `data`, or another one with as many elements for each sample. The
    gradient is `(output - label) * grad_scale`, divided by the number of outputs of a sample.
    """

    name = "LogisticRegressionOutput"

    def scratch(
        self, shapes: Sequence[Shape], dtypes: Sequence[np.dtype[Any]]
    ) -> tuple[tuple[Shape, np.dtype[Any]], ...]:
        return space(prod(shapes[0]), (dtypes[0],) * 2, 0)

    def forward(self, data: Memory, label: Memory, output: Memory, *scratch: Memory) -> None:
        sigmoid = ELEMENTWISE["sigmoid"].kernel

        def step(data: Memory, output: Memory) -> None:
            sigmoid(data, out=output)

        run(step, [data], [output], scratch)


@attrs.frozen
class MAERegressionOutput(_Regression):
    """`data` as it is, and the gradient of the distance to `label`.

    `label` has the shape of `data`, or another one with as many elements for each sample. The
    gradient is `sign(output - label) * grad_scale`, divided by the number of outputs of a sample.
    """

    name = "MAERegressionOutput"
    is_view = True

    def error(self, output: Memory, label: Memory, found: Memory) -> None:
        np.subtract(output, label, found)
        np.sign(found, found)


@attrs.frozen
class RegressionGradient(Operator):
    """The gradient of a regression, in one pass."""

    layer: _Regression

    inputs = ("output", "label")
    outputs = ("data_grad",)
    inplace = (("output", "data_grad"),)

    @property
    def name(self) -> str:  # type: ignore[override]
        return f"{self.layer.name}_gradient"

    def output_shape(self, *shapes: Shape) -> Shape:
        self.layer.infer_shape(*shapes)
        return shapes[0]

    def output_type(self, *dtypes: np.dtype[Any]) -> np.dtype[Any]:
        check_floating(self, dtypes[0])
        return dtypes[0]

    def scratch(
        self, shapes: Sequence[Shape], dtypes: Sequence[np.dtype[Any]]
    ) -> tuple[tuple[Shape, np.dtype[Any]], ...]:
        return space(prod(shapes[0]), (*dtypes, dtypes[0]), 0)

    def forward(self, output: Memory, label: Memory, data_grad: Memory, *scratch: Memory) -> None:
        layer = self.layer
        scale = layer.grad_scale / max(1, prod(output.shape[1:]))

        def step(output: Memory, label: Memory, found: Memory) -> None:
            layer.error(output, label, found)
            if scale != 1:
                np.multiply(found, scale, found)

        run(step, [output, label], [data_grad], scratch)
