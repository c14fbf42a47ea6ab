"""What an operator is that works element by element and has no parameters."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

import attrs
import numpy as np

from actorflow.errors import DTypeError
from actorflow.ops.broadcast import SumLike, broadcast_shapes
from actorflow.ops.operator import Operator
from actorflow.ops.types import DTYPES, supported

if TYPE_CHECKING:
    from collections.abc import Callable

    from actorflow.ops.operator import Apply, Call, Handles
    from actorflow.ops.types import Memory, Shape

__all__ = ["Derivative", "Elementwise", "into"]


class Derivative(Protocol):
    """The gradient of one input of an element-wise operator."""

    def __call__(self, apply: Apply, grad: Any, output: Any, *operands: Any) -> Any:  # noqa: ANN401
        """Give its handle, in the shape of the output.

        Args:
          apply: applies an operator to handles.
          grad: the handle of the output's gradient.
          output: the handle of the output.
          operands: a handle for each input, or Python's number in its place.
        """
        ...


_INT32: Final = np.dtype(np.int32)

_SUM_LIKE: Final = SumLike()

# Ufuncs that NumPy wants to be given their output by its name.
_BY_NAME_ONLY: Final = (np.maximum, np.minimum)


def into(kernel: Callable[..., object], *arrays: Memory) -> Call:
    """A call of a ufunc, the last array its output, in the form that costs least."""
    if kernel in _BY_NAME_ONLY:
        return partial(kernel, out=arrays[-1]), arrays[:-1]
    return kernel, arrays  # a ufunc takes its output as one more argument


@attrs.frozen(eq=False, repr=False)
class Elementwise(Operator):
    """An operator on one or two inputs, with NumPy's broadcasting, that has no parameters.

    Attributes:
      kernel: a NumPy ufunc, or a function called as one, `kernel(*inputs, out=output)`. Who has no
        time to lose calls it instead of `forward`.
      typed_like: the ufunc whose rule gives the data types.
      derivatives: for each input what gives its gradient; None where that is zero everywhere.
      same: the output's data type for inputs that all have one data type, where it takes that.
      direct: whether the kernel, called without an output, makes one of the right data type.
    """

    elementwise = True

    name: str
    kernel: Callable[..., object]
    typed_like: np.ufunc
    inputs: tuple[str, ...]
    derivatives: tuple[Derivative | None, ...]
    direct: bool = attrs.field(init=False)
    overlap_safe: bool = attrs.field(init=False)
    inplace: tuple[tuple[str, str], ...] = attrs.field(init=False)
    # What the rule said before: asking NumPy takes longer than the rest of a call.
    _types: dict[Any, tuple[np.dtype[Any], ...]] = attrs.field(init=False, factory=dict)
    same: dict[np.dtype[Any], np.dtype[Any]] = attrs.field(init=False)

    @direct.default
    def _is_direct(self) -> bool:
        return self.kernel is self.typed_like

    @overlap_safe.default
    def _is_overlap_safe(self) -> bool:
        return isinstance(self.kernel, np.ufunc)

    @inplace.default
    def _all_inputs(self) -> tuple[tuple[str, str], ...]:
        return tuple((name, "output") for name in self.inputs)

    @same.default
    def _rule_for_one_type(self) -> dict[np.dtype[Any], np.dtype[Any]]:
        table = {}
        for dtype in DTYPES:
            try:
                table[dtype] = self._resolve((dtype,) * len(self.inputs))[-1]
            except TypeError:
                continue
        return table

    def __repr__(self) -> str:
        return f"<operator {self.name!r}>"

    def output_shape(self, *shapes: Shape) -> Shape:
        return shapes[0] if len(shapes) == 1 else broadcast_shapes(self.name, self.inputs, shapes)

    def output_type(self, *dtypes: np.dtype[Any]) -> np.dtype[Any]:
        return self.loop_types(*dtypes)[-1]

    def forward(self, *arrays: Memory) -> None:
        *inputs, output = arrays
        if self.direct and output.dtype == _INT32:
            # NumPy would compute int8 with uint8 in int16, where a power wraps around sooner.
            self.kernel(*inputs, out=output, dtype=output.dtype)
        else:
            self.kernel(*inputs, out=output)

    def calls(self, arrays: list[Any]) -> list[Call]:
        *inputs, output = arrays
        if not self.direct or output.dtype == _INT32:
            return super().calls(arrays)
        return [into(self.kernel, *inputs, output)]

    def gradient(
        self, apply: Apply, inputs: Handles, outputs: Handles, out_grads: Handles
    ) -> Handles:
        found: list[Any] = []
        for data, derivative in zip(inputs, self.derivatives, strict=True):
            grad = None
            if derivative is not None:
                grad = derivative(apply, out_grads[0], outputs[0], *inputs)
                if len(inputs) > 1:
                    (grad,) = apply(_SUM_LIKE, grad, data)
            found.append(grad)
        return tuple(found)

    def loop_types(self, *dtypes: np.dtype[Any] | type) -> tuple[np.dtype[Any], ...]:
        """The data types that the inputs are converted to, and last the output's.

        Args:
          dtypes: the inputs'; `int` and `float` stand for Python's own numbers.

        Raises:
          DTypeError: the operator does not take them.
        """
        found = self._types.get(dtypes)
        if found is None:
            try:
                found = self._types[dtypes] = self._resolve(dtypes)
            except TypeError:
                got = " and ".join(np.dtype(dtype).name for dtype in dtypes)
                takes = ", ".join(dtype.name for dtype in self.same)
                raise DTypeError(f"{self.name}: got {got}, but it takes {takes}") from None
        return found

    def _resolve(self, dtypes: tuple[Any, ...]) -> tuple[np.dtype[Any], ...]:
        return tuple(map(supported, self.typed_like.resolve_dtypes((*dtypes, None))))
