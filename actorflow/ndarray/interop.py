"""Waiting for arrays, and their way to NumPy, other libraries, files and people."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from actorflow.errors import ActorflowError
from actorflow.ndarray.block import Block
from actorflow.ndarray.core import ArrayCore
from actorflow.ops import DTypeLike, Memory, as_dtype

if TYPE_CHECKING:
    from collections.abc import Generator

    from actorflow.device import Context

__all__ = ["Interop"]


def _nothing() -> None:
    """What an operation does that only waits for its turn."""


class Interop(ArrayCore):
    """What waits for the content of an array.

    The blocking methods wait for all writes pushed so far. Inside a running trio or asyncio event
    loop they work if there is nothing to wait for, and raise `WouldBlockError` if there is: write
    `await array` there. What made the array fail is raised by each of them.
    """

    __slots__ = ()

    # -- NumPy ----------------------------------------------------------------------------------

    def _copied(self) -> Memory:
        return self._view().copy()

    def asnumpy(self) -> Memory:
        """Wait for the array; return a copy."""
        copied: Memory = self._engine().read(self._copied, (self._resource,), "asnumpy")
        return copied

    def __await__(self) -> Generator[Any, Any, Memory]:
        """Wait without blocking the event loop; give a copy as a NumPy array."""
        return self._read_async().__await__()

    async def _read_async(self) -> Memory:
        copied: Memory = await self._engine().read_async(
            self._copied, (self._resource,), "await", self.nbytes
        )
        return copied

    def asscalar(self) -> np.generic:
        """Wait for an array of one element; return it as a NumPy number.

        Raises:
          ValueError: it has more elements, or none.
        """
        if self._size != 1:
            raise ValueError(f"asscalar: the array has shape {self._shape}, not one element")
        scalar: np.generic = self.asnumpy().reshape(-1)[0]
        return scalar

    def item(self) -> bool | int | float:
        """Wait for an array of one element; return it as a Python number; see `asscalar`."""
        number: bool | int | float = self.asscalar().item()
        return number

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> Memory:  # noqa: FBT001
        if copy is False:
            raise ValueError(
                "an NDArray is converted to NumPy by copying: later operations may change it; "
                "numpy.from_dlpack gives its memory without a copy"
            )
        return self.asnumpy() if dtype is None else self.asnumpy().astype(dtype, copy=False)

    def __bool__(self) -> bool:
        if self._size != 1:
            raise ValueError(
                f"the truth of an array of shape {self._shape} is ambiguous: it needs one element"
            )
        return bool(self.asscalar())

    def __float__(self) -> float:
        return float(self._only("float"))

    def __int__(self) -> int:
        return int(self._only("int"))

    def __index__(self) -> int:
        if self._block.dtype.kind not in "iu":
            raise TypeError(f"only an integer array can be an index, not {self._block.dtype.name}")
        return operator.index(self._only("index").item())

    def _only(self, what: str) -> Any:  # noqa: ANN401
        if self._size != 1:
            raise TypeError(f"{what}: takes an array of one element, not of shape {self._shape}")
        return self.asscalar()

    # -- Waiting --------------------------------------------------------------------------------

    def wait_to_read(self) -> None:
        """Wait until all writes pushed so far are done."""
        self._engine().wait(self._resource)

    def wait_to_write(self) -> None:
        """Wait until all reads and writes pushed so far are done."""
        engine = self._engine()
        engine.wait(engine.push(_nothing, updates=(self._resource,), name="wait_to_write"))

    # -- Other libraries --------------------------------------------------------------------------

    def __dlpack__(self, **options: Any) -> object:
        """Wait, and lend the memory itself.

        The engine does not see what happens to it then: operations pushed later change what the
        other library sees, and what that writes is in no order with them.
        """
        self.wait_to_read()
        view = self._view()
        if not self._writable:
            view = view.view()
            view.flags.writeable = False
        return view.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        device, number = np.empty(0).__dlpack_device__()
        return int(device), int(number)

    # -- Copies and pickles -----------------------------------------------------------------------

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.asnumpy(), self._block.context, self._writable)

    # -- People -----------------------------------------------------------------------------------

    def __repr__(self) -> str:
        sizes = "x".join(map(str, self._shape))
        kind = f"<{type(self).__name__} {sizes} {self._block.dtype.name} @{self._block.context}"
        try:
            # Formatting, not copying: NumPy looks only at the corners of a large array.
            values = self._engine().read(lambda: str(self._view()), (self._resource,), "repr")
        except ActorflowError as error:  # it cannot be waited for here
            return f"{kind}, {type(error).__name__}>"
        except Exception as error:  # noqa: BLE001 -- whatever made it fail
            return f"{kind}, failed: {error!r}>"
        return f"{values}\n{kind}>"


def _rebuild(
    cls: type[Interop],
    array: Memory,
    context: Context,
    writable: bool,  # noqa: FBT001
) -> Interop:
    """Undo `__reduce__`."""
    block = Block(array.shape, as_dtype(array.dtype, "NDArray"), context, array)
    return cls(block, array.shape, array.size, writable=writable)
