"""How a kernel meets memory: what a worker calls for an operation on arrays.

Divisions by zero, overflows and the like give the numbers of IEEE 754 without a warning, in
every thread, whatever `numpy.errstate` is where the operation was pushed.
"""

from __future__ import annotations

import contextvars
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from actorflow.device import is_poisoned, poison
from actorflow.errors import VerificationError
from actorflow.ops.blocks import BLOCK, blocks

if TYPE_CHECKING:
    from collections.abc import Callable

    from actorflow.ndarray.core import ArrayCore
    from actorflow.ops import Memory, Operator, Scalar

    Draw = Callable[[], np.random.Generator]

__all__ = [
    "quietly",
    "run",
    "run_direct_1",
    "run_direct_2",
    "run_direct_left",
    "run_direct_right",
    "run_into_1",
    "run_into_2",
    "run_into_left",
    "run_into_right",
    "run_joined",
    "run_verified",
]


def _find_errstate() -> tuple[contextvars.ContextVar[Any], Any]:
    """The variable that `numpy.errstate` sets, and its value when all is ignored.

    Entering `errstate` costs more than a small operation; setting the variable a tenth of that.
    """
    before = contextvars.copy_context()
    after = before.copy()
    after.run(np.seterr, all="ignore")
    for variable, value in after.items():
        if before.get(variable) is not value:
            return variable, value
    # A NumPy that keeps it elsewhere: set a variable that nobody reads, and let it warn.
    return contextvars.ContextVar("actorflow_errstate"), None


_errstate, _IGNORE = _find_errstate()


def quietly(function: Callable[..., Any], *arguments: Any) -> Any:  # noqa: ANN401
    """Call a function while NumPy gives no floating-point warnings."""
    token = _errstate.set(_IGNORE)
    try:
        return function(*arguments)
    finally:
        _errstate.reset(token)


# The short ways: kernels that make their own, small, output, and elementwise ones that write into
# one. `output._block` is new in the first kind, so nobody else can be allocating it.


def run_direct_1(kernel: Callable[..., Any], data: ArrayCore, output: ArrayCore) -> None:
    """`output = kernel(data)`, in memory that the kernel allocates."""
    x = data._array
    if x is None:
        x = data._view()
    token = _errstate.set(_IGNORE)
    try:
        output._array = output._block.data = kernel(x)
    finally:
        _errstate.reset(token)


def run_direct_2(
    kernel: Callable[..., Any], lhs: ArrayCore, rhs: ArrayCore, output: ArrayCore
) -> None:
    """`output = kernel(lhs, rhs)`, in memory that the kernel allocates."""
    x = lhs._array
    if x is None:
        x = lhs._view()
    y = rhs._array
    if y is None:
        y = rhs._view()
    token = _errstate.set(_IGNORE)
    try:
        output._array = output._block.data = kernel(x, y)
    finally:
        _errstate.reset(token)


def run_direct_right(
    kernel: Callable[..., Any], data: ArrayCore, scalar: Scalar, output: ArrayCore
) -> None:
    """`output = kernel(data, scalar)`, in memory that the kernel allocates."""
    x = data._array
    if x is None:
        x = data._view()
    token = _errstate.set(_IGNORE)
    try:
        output._array = output._block.data = kernel(x, scalar)
    finally:
        _errstate.reset(token)


def run_direct_left(
    kernel: Callable[..., Any], data: ArrayCore, scalar: Scalar, output: ArrayCore
) -> None:
    """`output = kernel(scalar, data)`, in memory that the kernel allocates."""
    x = data._array
    if x is None:
        x = data._view()
    token = _errstate.set(_IGNORE)
    try:
        output._array = output._block.data = kernel(scalar, x)
    finally:
        _errstate.reset(token)


def run_into_1(kernel: Callable[..., Any], data: ArrayCore, output: ArrayCore) -> None:
    """`kernel(data, out=output)`."""
    x = data._array
    if x is None:
        x = data._view()
    z = output._array
    if z is None:
        z = output._view()
    token = _errstate.set(_IGNORE)
    try:
        kernel(x, out=z)
    finally:
        _errstate.reset(token)


def run_into_2(
    kernel: Callable[..., Any], lhs: ArrayCore, rhs: ArrayCore, output: ArrayCore
) -> None:
    """`kernel(lhs, rhs, out=output)`."""
    x = lhs._array
    if x is None:
        x = lhs._view()
    y = rhs._array
    if y is None:
        y = rhs._view()
    z = output._array
    if z is None:
        z = output._view()
    token = _errstate.set(_IGNORE)
    try:
        kernel(x, y, out=z)
    finally:
        _errstate.reset(token)


def run_into_right(
    kernel: Callable[..., Any], data: ArrayCore, scalar: Scalar, output: ArrayCore
) -> None:
    """`kernel(data, scalar, out=output)`."""
    x = data._array
    if x is None:
        x = data._view()
    z = output._array
    if z is None:
        z = output._view()
    token = _errstate.set(_IGNORE)
    try:
        kernel(x, scalar, out=z)
    finally:
        _errstate.reset(token)


def run_into_left(
    kernel: Callable[..., Any], data: ArrayCore, scalar: Scalar, output: ArrayCore
) -> None:
    """`kernel(scalar, data, out=output)`."""
    x = data._array
    if x is None:
        x = data._view()
    z = output._array
    if z is None:
        z = output._view()
    token = _errstate.set(_IGNORE)
    try:
        kernel(scalar, x, out=z)
    finally:
        _errstate.reset(token)


class _Rooms(threading.local):
    """Working memory of a thread, a block of each type: new memory costs more than the work."""

    def __init__(self) -> None:
        self._known: dict[np.dtype[Any], Memory] = {}

    def of(self, dtype: np.dtype[Any]) -> Memory:
        room = self._known.get(dtype)
        if room is None:
            room = self._known[dtype] = np.empty(BLOCK, dtype)
        return room


_rooms = _Rooms()


def run_joined(
    kernel: Callable[..., Any],
    product: Callable[..., Any],
    data: ArrayCore,
    scalar: Scalar,
    target: ArrayCore,
    *,
    reverse: bool,
) -> None:
    """`kernel(target, product(data, scalar), out=target)`, and what lies between stays in cache.

    Target is a whole block, and not data's.
    """
    x = data._view().reshape(-1)
    z = target._view().reshape(-1)
    size = len(z)
    room = _rooms.of(target._block.dtype)
    token = _errstate.set(_IGNORE)
    try:
        for part in blocks(size) if size > BLOCK else (slice(size),):
            y = room[: min(BLOCK, size - (part.start or 0))]
            if reverse:
                product(scalar, x[part], out=y)
            else:
                product(x[part], scalar, out=y)
            kernel(z[part], y, out=z[part])
    finally:
        _errstate.reset(token)


def run(
    operator: Operator,
    inputs: tuple[ArrayCore, ...],
    output: ArrayCore,
    staged: np.dtype[Any] | None,
    draw: Draw | None,
) -> None:
    """Any operator.

    Args:
      operator: what to compute.
      inputs: its inputs.
      output: where the result goes.
      staged: compute into memory of its own, of this data type, and copy from there: the output
        overlaps an input or has another data type.
      draw: makes the generator, if the operator draws.
    """
    sources = [each._view() if each._array is None else each._array for each in inputs]
    target = output._array
    if target is None:
        target = output._view()
    _forward(operator, sources, target, staged, draw)


def _forward(
    operator: Operator,
    inputs: list[Memory],
    output: Memory,
    staged: np.dtype[Any] | None,
    draw: Draw | None,
) -> None:
    target = output if staged is None else np.empty(output.shape, staged)
    token = _errstate.set(_IGNORE)
    try:
        if draw is None:
            operator.forward(*inputs, target)
        else:
            operator.forward(*inputs, target, draw())
        if target is not output:
            np.copyto(output, target, casting="same_kind")
    finally:
        _errstate.reset(token)


def run_verified(
    operator: Operator,
    inputs: tuple[ArrayCore, ...],
    output: ArrayCore,
    staged: np.dtype[Any] | None,
    draw: Draw | None,
    *,
    keeps: bool,
) -> None:
    """The same in verification mode: inputs are read-only, and an unwritten output is found.

    Args:
      keeps: the output's content is an input too.

    Raises:
      VerificationError: the operator did not write its output.
    """
    views = [frozen(each._view()) for each in inputs]
    target = output._view()
    if keeps:
        _forward(operator, views, target, staged, draw)
        return
    poison(target)
    _forward(operator, views, target, staged, draw)
    if not is_poisoned(target):
        return
    if target.dtype.kind != "f":
        # Integers may rightly be what the poison is. They are not two things at once.
        np.invert(target, target)
        before = target.copy()
        _forward(operator, views, target, staged, draw)
        if not np.array_equal(before, target):
            return
    raise unwritten(operator.name, output)


def unwritten(name: str, output: ArrayCore) -> VerificationError:
    """The error of an operation that left its output as it was."""
    return VerificationError(
        f"{name}: declared that it writes an array of shape {output.shape} ({output.dtype.name}), "
        "but wrote nothing there"
    )


def frozen(array: Memory) -> Memory:
    """A read-only view."""
    view = array.view()
    view.flags.writeable = False
    return view
