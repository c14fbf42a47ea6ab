"""What an array is, without anything that computes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, TypeVar

from actorflow.engine import Engine, Region, Resource, current_engine, current_operation
from actorflow.errors import VerificationError
from actorflow.ops import Memory, Shape, prod

if TYPE_CHECKING:
    import numpy as np

    from actorflow.device import Context
    from actorflow.engine import Operation
    from actorflow.ndarray.block import Block

__all__ = ["A", "ArrayCore"]


class ArrayCore:
    """A part of a block with a shape: what `NDArray` is made of.

    It never changes what it refers to, so operations may hold it and use it in any thread. It is
    C-contiguous, always.

    Attributes of the implementation:
      _block: the memory it is part of.
      _resource: what an operation on it names: the block, or a region of it in elements.
      _offset: where it begins in the block, in elements.
      _size: how many elements it has.
      _array: its memory in its shape, once some operation has asked for it.
    """

    __slots__ = (
        "__weakref__",
        "_array",
        "_block",
        "_offset",
        "_resource",
        "_shape",
        "_size",
        "_writable",
    )

    def __init__(self, block: Block, shape: Shape, size: int, *, writable: bool = True) -> None:
        self._block = block
        self._resource: Resource | Region = block
        self._shape = shape
        self._size = size
        self._offset = 0
        self._array: Memory | None = None
        self._writable = writable

    def _part(self, start: int, shape: Shape) -> Self:
        """A view of `prod(shape)` > 0 elements from element `start` of this array on."""
        block = self._block
        part = type(self)(block, shape, prod(shape), writable=self._writable)
        part._offset = self._offset + start
        if part._size == self._size:
            part._resource = self._resource
        else:
            part._resource = Region(block, part._offset, part._offset + part._size)
        return part

    def _view(self) -> Memory:
        """Its memory in its shape, allocated if need be. Only for who was granted its resource."""
        block = self._block
        data = block.data
        if data is None:
            data = block.allocate()
        if data.shape != self._shape:
            stop = self._offset + self._size
            data = data.reshape(-1)[self._offset : stop].reshape(self._shape)
        self._array = data
        return data

    def _data(self) -> Memory:
        """Its memory, for a function that runs as an operation and was granted `resource`.

        Raises:
          VerificationError: in verification mode, the running operation did not declare it.
        """
        engine = current_engine()
        if engine.verify:
            operation = current_operation()
            if operation is not None:
                self._require_declared(operation)
        return self._view()

    def _require_declared(self, operation: Operation) -> None:
        for declared in (*operation.reads, *operation.writes):
            if declared.resource is self._block:
                if isinstance(declared, Resource):
                    return
                if declared.start <= self._offset and self._offset + self._size <= declared.stop:
                    return
        raise VerificationError(
            f"operation {operation.name!r} touched an array of shape {self._shape} that it "
            "declared neither in what it reads nor in what it writes"
        )

    def _overlaps(self, other: ArrayCore) -> bool:
        """Whether they have an element in common."""
        return (
            self._block is other._block
            and self._offset < other._offset + other._size
            and other._offset < self._offset + self._size
        )

    def _coincides(self, other: ArrayCore) -> bool:
        """Whether they are the same elements, in whatever shape."""
        return (
            self._block is other._block
            and self._offset == other._offset
            and self._size == other._size
        )

    def _engine(self) -> Engine:
        """The engine that works on it, or else the ambient one."""
        engine = self._block.owner
        if engine is None or self._block.idle:
            return current_engine()
        return engine

    @property
    def resource(self) -> Resource | Region:
        """What an operation pushed by hand names to read, write or update the array."""
        return self._resource

    @property
    def shape(self) -> Shape:
        """The sizes of its axes; at least one axis."""
        return self._shape

    @property
    def size(self) -> int:
        """The number of its elements."""
        return self._size

    @property
    def ndim(self) -> int:
        """The number of its axes."""
        return len(self._shape)

    @property
    def nbytes(self) -> int:
        """The size of its elements in bytes."""
        return self._size * self._block.dtype.itemsize

    @property
    def dtype(self) -> np.dtype[Any]:
        """The data type of its elements; compares equal to NumPy's types and their names."""
        return self._block.dtype

    @property
    def context(self) -> Context:
        """Where it lives."""
        return self._block.context

    @property
    def ctx(self) -> Context:
        """The same as `context`."""
        return self._block.context

    @property
    def writable(self) -> bool:
        """Whether it may be changed through this object."""
        return self._writable


A = TypeVar("A", bound=ArrayCore)
