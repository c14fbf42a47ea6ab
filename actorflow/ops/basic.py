"""Operators that hand on, stop, make or add up whole arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import attrs
import numpy as np

from actorflow.ops.operator import Operator
from actorflow.ops.parameters import integer

if TYPE_CHECKING:
    from actorflow.ops.operator import Apply, Handles
    from actorflow.ops.types import Memory, Shape

__all__ = [
    "After",
    "BlockGrad",
    "Copy",
    "CrossDeviceCopy",
    "ElementWiseSum",
    "Identity",
    "OnesLike",
    "ZerosLike",
]

_BLOCK: Final = 1 << 14  # elements that are added up at a time


class _Same(Operator):
    """What the operators share whose output has the shape and the data type of their input."""

    __slots__ = ()

    inputs: tuple[str, ...] = ("data",)
    elementwise = True

    def output_shape(self, *shapes: Shape) -> Shape:
        return shapes[0]

    def output_type(self, *dtypes: np.dtype[Any]) -> np.dtype[Any]:
        return dtypes[0]


@attrs.frozen
class Copy(_Same):
    """The same elements in memory of their own."""

    name = "copy"
    inplace = (("data", "output"),)
    overlap_safe = True

    def forward(self, data: Memory, output: Memory) -> None:
        np.copyto(output, data, casting="unsafe")

    def gradient(
        self, apply: Apply, inputs: Handles, outputs: Handles, out_grads: Handles
    ) -> Handles:
        return out_grads


@attrs.frozen
class CrossDeviceCopy(Copy):
    """The same elements in another context. Executors put it where a value changes contexts."""

    name = "_CrossDeviceCopy"


@attrs.frozen
class Identity(Copy):
    """The same elements; it need not copy them."""

    name = "identity"
    is_view = True

    def is_identity(self, *shapes: Shape) -> bool:
        return True


@attrs.frozen
class BlockGrad(Identity):
    """The same elements, but no gradient goes back through it."""

    name = "BlockGrad"

    def gradient(
        self, apply: Apply, inputs: Handles, outputs: Handles, out_grads: Handles
    ) -> Handles:
        return (None,)


@attrs.frozen
class After(_Same):
    """The elements of `data`, but not before `after` is there.

    It puts off what follows it, and keeps it apart from the same computation on `data` itself.
    """

    name = "after"
    inputs = ("data", "after")
    is_view = True
    elementwise = False  # it is there to be in nobody's group

    def forward(self, data: Memory, after: Memory, output: Memory) -> None:
        np.copyto(output, data)

    def gradient(
        self, apply: Apply, inputs: Handles, outputs: Handles, out_grads: Handles
    ) -> Handles:
        return (*out_grads, None)


@attrs.frozen
class ZerosLike(_Same):
    """0 everywhere, in the shape and the data type of `data`."""

    name = "zeros_like"
    unread = ("data",)

    def forward(self, data: Memory, output: Memory) -> None:
        output.fill(0)

    def gradient(
        self, apply: Apply, inputs: Handles, outputs: Handles, out_grads: Handles
    ) -> Handles:
        return (None,)


@attrs.frozen
class OnesLike(ZerosLike):
    """1 everywhere, in the shape and the data type of `data`."""

    name = "ones_like"

    def forward(self, data: Memory, output: Memory) -> None:
        output.fill(1)


@attrs.frozen
class ElementWiseSum(Operator):
    """The sum of arrays of one shape and data type; float16 is added up in float32."""

    num_args: int = integer(least=1, doc="how many arrays there are")

    name = "ElementWiseSum"
    elementwise = True

    @property
    def inputs(self) -> tuple[str, ...]:  # type: ignore[override]
        return tuple(f"arg{index}" for index in range(self.num_args))

    @property
    def inplace(self) -> tuple[tuple[str, str], ...]:  # type: ignore[override]
        # The first two are read before anything of their block is written.
        return tuple((name, "output") for name in self.inputs[:2])

    def infer_shape(
        self, *shapes: Shape | None
    ) -> tuple[tuple[Shape | None, ...], tuple[Shape | None, ...]]:
        found = next((shape for shape in shapes if shape is not None), None)
        for name, shape in zip(self.inputs, shapes, strict=True):
            if found is not None and shape is not None and shape != found:
                self.refuse(name, shape, f"all need one shape, and another has {found}")
        return (found,) * self.num_args, (found,)

    def infer_type(
        self, *dtypes: np.dtype[Any] | None
    ) -> tuple[tuple[np.dtype[Any] | None, ...], tuple[np.dtype[Any] | None, ...]]:
        return self.one_type(dtypes)

    def is_identity(self, *shapes: Shape) -> bool:
        return self.num_args == 1

    def forward(self, *arrays: Memory) -> None:
        *parts, output = arrays
        if self.num_args == 1:
            np.copyto(output, parts[0])
        elif output.dtype == np.float16:
            _sum_halves([part.reshape(-1) for part in parts], output.reshape(-1))
        elif self.num_args == 2:
            np.add(parts[0], parts[1], output)
        else:
            _sum_blocks([part.reshape(-1) for part in parts], output.reshape(-1))

    def gradient(
        self, apply: Apply, inputs: Handles, outputs: Handles, out_grads: Handles
    ) -> Handles:
        return out_grads * self.num_args


def _sum_blocks(parts: list[Memory], output: Memory) -> None:
    """Block by block, so that what has been added up stays in the cache until the last one."""
    for start in range(0, output.size, _BLOCK):
        first, second, *rest = (part[start : start + _BLOCK] for part in parts)
        target = output[start : start + _BLOCK]
        np.add(first, second, target)
        for part in rest:
            np.add(target, part, target)


def _sum_halves(parts: list[Memory], output: Memory) -> None:
    total: Memory = np.empty(min(output.size, _BLOCK), np.float32)
    for start in range(0, output.size, _BLOCK):
        target = output[start : start + _BLOCK]
        whole = total[: target.size]
        np.copyto(whole, parts[0][start : start + _BLOCK])
        for part in parts[1:]:
            np.add(whole, part[start : start + _BLOCK], whole)
        np.copyto(target, whole, casting="same_kind")
