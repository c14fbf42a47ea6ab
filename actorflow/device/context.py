"""Contexts: the names of the places where arrays live and operations run.

A context is a name and nothing else: making one touches no device, so that a program written for
another machine can be read, printed and pickled here.
"""

from __future__ import annotations

import operator
from contextvars import ContextVar
from typing import TYPE_CHECKING, ClassVar, Final, NoReturn, Self, SupportsIndex

from actorflow.errors import ContextError

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Context", "as_context", "cpu", "cpu_pinned", "current_context", "gpu"]

_TYPEIDS: Final = {"cpu": 1, "gpu": 2, "cpu_pinned": 3}
_MAX_DEVICE_ID: Final = 2**31 - 1  # it is 32 bits wide wherever MXNet writes it


class Context:
    """A place: a kind of device and a number. Immutable, hashable, picklable.

    `Context("cpu", 1)`, `Context("gpu")` and `Context(other_context)` are early MXNet's ways to
    make one. Several cpu contexts are distinct devices with workers of their own, although they
    share the machine's memory. `cpu_pinned` is host memory meant for copies to a GPU: a cpu
    device with another type number.

    As a context manager it is the default place of the arrays that this task or thread
    makes within the block. Blocks nest, and one context may be entered many times, by many
    tasks at once: what is entered is kept by the task, not by the context.

    Attributes:
      device_type: `"cpu"`, `"gpu"` or `"cpu_pinned"`.
      device_id: from 0 to 2**31 - 1.
      device_typeid: MXNet's number for the type: 1, 2 or 3.
      name: `str(self)`, such as `"cpu(0)"`; the engine's name for the device.

    Raises:
      ContextError: the type is not known, or the number is out of range or no integer.
    """

    __slots__ = ("_hash", "device_id", "device_type", "device_typeid", "name")

    device_type: str
    device_id: int
    device_typeid: int
    name: str
    _hash: int

    devtype2str: ClassVar[dict[int, str]] = {number: name for name, number in _TYPEIDS.items()}
    devstr2type: ClassVar[dict[str, int]] = dict(_TYPEIDS)

    def __init__(self, device_type: str | Context, device_id: SupportsIndex = 0) -> None:
        if isinstance(device_type, Context):
            kind, number = device_type.device_type, device_type.device_id
        else:
            kind, number = _checked_kind(device_type), _checked_id(device_type, device_id)
        name = f"{kind}({number})"
        put = super().__setattr__
        put("device_type", kind)
        put("device_id", number)
        put("device_typeid", _TYPEIDS[kind])
        put("name", name)
        put("_hash", hash((_TYPEIDS[kind], number)))

    def require_memory(self) -> None:
        """Check that this version can hold arrays here.

        Raises:
          ContextError: the context is a GPU.
        """
        if self.device_type == "gpu":
            raise ContextError(
                f"{self.name}: no CUDA backend is installed in this version, so no array can live "
                "there; use a cpu context such as cpu(0)"
            )

    def __enter__(self) -> Self:
        _entered.set((*_entered.get(), self))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        stack = _entered.get()
        if not stack or stack[-1] is not self:
            raise ContextError(f"{self.name}: `with` blocks of contexts were left out of order")
        _entered.set(stack[:-1])

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Context):
            return NotImplemented
        return self.name == other.name

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self) -> tuple[type[Context], tuple[str, int]]:
        return Context, (self.device_type, self.device_id)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{self.name} cannot be changed; make a new Context instead")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{self.name} cannot be changed; make a new Context instead")


def _checked_kind(kind: object) -> str:
    if not isinstance(kind, str) or kind not in _TYPEIDS:
        raise ContextError(
            f"Context: device_type is {kind!r}, but must be one of {', '.join(map(repr, _TYPEIDS))}"
        )
    return kind


def _checked_id(kind: str, device_id: SupportsIndex) -> int:
    try:
        number = operator.index(device_id)
    except TypeError:
        number = -1
    if isinstance(device_id, bool) or not 0 <= number <= _MAX_DEVICE_ID:
        raise ContextError(
            f"Context: device_id of a {kind} is {device_id!r}, "
            f"but must be an integer from 0 to {_MAX_DEVICE_ID}"
        )
    return number


# The contexts that this task or thread has entered, innermost last.
_entered: ContextVar[tuple[Context, ...]] = ContextVar("actorflow_contexts", default=())
_DEFAULT: Final = Context("cpu", 0)


def cpu(device_id: SupportsIndex = 0) -> Context:
    """The host, as device number `device_id`.

    Raises:
      ContextError: `device_id` is out of range or no integer.
    """
    return Context("cpu", device_id)


def gpu(device_id: SupportsIndex = 0) -> Context:
    """GPU number `device_id`. It can be named here, but this version cannot use it.

    Raises:
      ContextError: `device_id` is out of range or no integer.
    """
    return Context("gpu", device_id)


def cpu_pinned(device_id: SupportsIndex = 0) -> Context:
    """Host memory for copies to and from GPU `device_id`; without a GPU it is plain host memory.

    Raises:
      ContextError: `device_id` is out of range or no integer.
    """
    return Context("cpu_pinned", device_id)


def current_context() -> Context:
    """The context of the innermost `with` block of this task or thread; `cpu(0)` outside any."""
    stack = _entered.get()
    return stack[-1] if stack else _DEFAULT


def as_context(ctx: Context | None, who: str) -> Context:
    """Return the context that a function was given, or the current one for None.

    Args:
      ctx: what the function was given.
      who: the function, for the message.

    Raises:
      TypeError: it is something else, such as a context's name.
    """
    if ctx is None:
        return current_context()
    if not isinstance(ctx, Context):
        raise TypeError(
            f"{who}: ctx needs to be a Context, such as actorflow.cpu(0), got {ctx!r} of type "
            f"{type(ctx).__name__}"
        )
    return ctx
