"""The array that users hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, overload

from actorflow.device import Context
from actorflow.ndarray.arithmetic import Arithmetic
from actorflow.ndarray.core import A, ArrayCore
from actorflow.ndarray.indexing import Indexing
from actorflow.ndarray.interop import Interop
from actorflow.ndarray.invoke import copy_into, invoke, make, push
from actorflow.ops import (
    ArgMax,
    ArgMin,
    Axis,
    BroadcastTo,
    Cast,
    Clip,
    Copy,
    Dot,
    DTypeLike,
    Max,
    Mean,
    Min,
    Norm,
    Prod,
    Sum,
    Transpose,
    as_dtype,
    described,
    expanded_shape,
    flattened_shape,
    reshaped,
    shared,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["NDArray"]


class NDArray(Arithmetic, Indexing, Interop):
    """An array whose content may still be computed.

    Every operation on arrays returns at once. It is checked, pushed to the engine, and run when the
    arrays that it needs are there; arrays that do not depend on one another are worked on at the
    same time. `asnumpy()` waits in a script, `await array` in a trio or asyncio task; both give a
    NumPy array.

    Slices of the leading axis with step 1 and reshapes are views: they share memory, and what is
    written through one is seen through the other. Two operations on parts that do not
    overlap may run at the same time. All other picking of elements copies.

    An array has at least one axis: where NumPy gives a number or an array without axes, the shape
    is `(1,)`, as in MXNet. Data types are those of `actorflow.ops.DTYPES`, float32 by default, and
    they are promoted as in NumPy 2, but int8 with uint8 to int32. Floating-point exceptions give
    infinities and NaN, silently.

    Make one with the functions of `actorflow.nd`, such as `array`, `zeros` or `arange`.
    """

    __slots__ = ()

    def __iter__(self) -> Iterator[Self]:
        """Its parts along the first axis, as views."""
        for index in range(self._shape[0]):
            yield self[index]

    # -- Views ------------------------------------------------------------------------------------

    def reshape(self, *shape: Any, **named: Any) -> Self:
        """A view with another shape and as many elements.

        Args:
          shape: the sizes, as one sequence or one by one; -1, once, is inferred, 0 keeps the size
            at its place.

        Raises:
          ShapeError: the number of elements differs.
        """
        if named:
            shape = (named.pop("shape"),)
            if named:
                raise TypeError(f"reshape: unknown arguments {', '.join(named)}")
        sizes = shape[0] if len(shape) == 1 and hasattr(shape[0], "__iter__") else shape
        return self._reshaped(reshaped(self._shape, tuple(each.__index__() for each in sizes)))

    def _reshaped(self, shape: tuple[int, ...]) -> Self:
        view = type(self)(self._block, shape, self._size, writable=self._writable)
        view._offset = self._offset
        view._resource = self._resource
        return view

    def flatten(self) -> Self:
        """A view with two axes: the first, and all others as one."""
        return self._reshaped(flattened_shape(self._shape))

    def expand_dims(self, axis: int) -> Self:
        """A view with an axis of size 1 put in at `axis`.

        Raises:
          ShapeError: there is no such place.
        """
        return self._reshaped(expanded_shape(self._shape, axis))

    def slice(self, start: int, stop: int) -> Self:
        """The view `self[start:stop]`."""
        return self[start:stop]

    # -- Copies -----------------------------------------------------------------------------------

    @property
    def T(self) -> Self:  # noqa: N802 -- NumPy's name
        """A copy with the axes in reverse order."""
        return invoke(shared(Transpose), (self,))

    def transpose(self, *axes: Any) -> Self:
        """A copy with the axes in another order, by default reversed; see `nd.transpose`."""
        order = axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes
        return invoke(Transpose(tuple(order) if order else None), (self,))

    def broadcast_to(self, shape: Sequence[int]) -> Self:
        """A copy with axes of size 1 repeated; 0 keeps an axis's size.

        Raises:
          ShapeError: another axis would change.
        """
        return invoke(BroadcastTo(tuple(shape)), (self,))

    def astype(self, dtype: DTypeLike) -> Self:
        """A copy with another data type, or the same; floats lose their fraction in integers.

        Raises:
          DTypeError: it is not supported.
        """
        return invoke(Cast(as_dtype(dtype, "astype")), (self,))

    def copy(self) -> Self:
        """A copy in memory of its own, in the same context."""
        return invoke(shared(Copy), (self,))

    def __copy__(self) -> Self:
        return self.copy()

    def __deepcopy__(self, _memo: dict[int, Any]) -> Self:
        return self.copy()

    @overload
    def copyto(self, other: Context) -> Self: ...

    @overload
    def copyto(self, other: A) -> A: ...

    def copyto(self, other: Context | ArrayCore) -> ArrayCore:
        """Copy into another array of the same shape, or into a new one in a context.

        Args:
          other: an array, whose data type is kept, or a `Context`.

        Returns:
          The array copied into.

        Raises:
          ShapeError: the shapes differ.
          TypeError: `other` is neither.
          ValueError: it is not writable, or this array itself.
        """
        if isinstance(other, ArrayCore):
            if other._coincides(self):
                raise ValueError("copyto: source and target are the same array")
            copy_into(self, other)
            return other
        if not isinstance(other, Context):
            raise TypeError(f"copyto: needs an NDArray or a Context, got {type(other).__name__}")
        other.require_memory()
        copied = make(type(self), self._shape, self._block.dtype, other)
        push(shared(Copy), (self,), copied)
        return copied

    def as_in_context(self, context: Context) -> Self:
        """Itself if it lives in `context`, else a copy there.

        Raises:
          ContextError: no array can live there.
          TypeError: `context` is no `Context`.
        """
        if not isinstance(context, Context):
            raise TypeError(f"as_in_context: needs a Context, got {type(context).__name__}")
        if context == self._block.context:
            return self
        return self.copyto(context)

    # -- Reductions and products ------------------------------------------------------------------

    def sum(
        self,
        axis: Axis = None,
        keepdims: bool = False,  # noqa: FBT001, FBT002
        *,
        dtype: None = None,
        out: None = None,
    ) -> Self:
        """The sum along axes; see `nd.sum`."""
        _refuse("sum", dtype, out)
        return invoke(shared(Sum, axis, keepdims), (self,))

    def prod(
        self,
        axis: Axis = None,
        keepdims: bool = False,  # noqa: FBT001, FBT002
        *,
        dtype: None = None,
        out: None = None,
    ) -> Self:
        """The product along axes; see `nd.prod`."""
        _refuse("prod", dtype, out)
        return invoke(shared(Prod, axis, keepdims), (self,))

    def mean(
        self,
        axis: Axis = None,
        keepdims: bool = False,  # noqa: FBT001, FBT002
        *,
        dtype: None = None,
        out: None = None,
    ) -> Self:
        """The mean along axes; see `nd.mean`."""
        _refuse("mean", dtype, out)
        return invoke(shared(Mean, axis, keepdims), (self,))

    def max(
        self,
        axis: Axis = None,
        keepdims: bool = False,  # noqa: FBT001, FBT002
        *,
        out: None = None,
    ) -> Self:
        """The greatest element along axes; see `nd.max`."""
        _refuse("max", None, out)
        return invoke(shared(Max, axis, keepdims), (self,))

    def min(
        self,
        axis: Axis = None,
        keepdims: bool = False,  # noqa: FBT001, FBT002
        *,
        out: None = None,
    ) -> Self:
        """The least element along axes; see `nd.min`."""
        _refuse("min", None, out)
        return invoke(shared(Min, axis, keepdims), (self,))

    def argmax(self, axis: int | None = None, keepdims: bool = False) -> Self:  # noqa: FBT001, FBT002
        """Where the greatest element is; see `nd.argmax`."""
        return invoke(shared(ArgMax, axis, keepdims), (self,))

    def argmin(self, axis: int | None = None, keepdims: bool = False) -> Self:  # noqa: FBT001, FBT002
        """Where the least element is; see `nd.argmin`."""
        return invoke(shared(ArgMin, axis, keepdims), (self,))

    def norm(self, ord: int = 2, axis: Axis = None, keepdims: bool = False) -> Self:  # noqa: FBT001, FBT002
        """The norm along axes; see `nd.norm`."""
        return invoke(shared(Norm, axis, keepdims, ord), (self,))

    def dot(self, rhs: Self, transpose_a: bool = False, transpose_b: bool = False) -> Self:  # noqa: FBT001, FBT002
        """The product over this array's last and the other's first axis; see `nd.dot`."""
        return invoke(shared(Dot, transpose_a, transpose_b), (self, rhs))

    def __matmul__(self, rhs: Self) -> Self:
        if not isinstance(rhs, ArrayCore):
            return NotImplemented
        return invoke(shared(Dot), (self, rhs))

    def clip(self, a_min: float, a_max: float) -> Self:
        """Every element moved into `[a_min, a_max]`; see `nd.clip`."""
        return invoke(Clip(a_min, a_max), (self,))


def _refuse(who: str, dtype: object, out: object) -> None:
    """Refuse what NumPy's functions hand on, `np.sum(array, dtype=...)`, unless it is None."""
    if dtype is not None:
        raise TypeError(f"{who}: dtype has to be None, got {dtype!r}; astype gives another one")
    if out is not None:
        raise TypeError(f"{who}: out has to be None, got {described(out)}; nd.{who} takes it")
