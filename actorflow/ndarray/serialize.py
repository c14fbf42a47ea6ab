"""Arrays in files that MXNet reads and writes too; `params_format` has the format."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from actorflow.device import as_context
from actorflow.engine import current_engine
from actorflow.errors import WouldBlockError
from actorflow.ndarray.array import NDArray
from actorflow.ndarray.block import Block, host_memory
from actorflow.ndarray.params_format import pieces, read, type_flag
from actorflow.ndarray.replace_file import replace_file

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from actorflow.device import Context
    from actorflow.engine import Accessible, Engine

__all__ = ["load", "load_async", "save", "save_async"]

Savable: TypeAlias = NDArray | Iterable[NDArray] | Mapping[str, NDArray]
Loaded: TypeAlias = list[NDArray] | dict[str, NDArray]


def save(fname: str | os.PathLike[str], data: Savable) -> None:
    """Write arrays to a file that `load` and MXNet read.

    Waits for the arrays' values as of this call; later operations that write them are held up
    until the file is written. The file appears whole, in place of an older one, or not at all.

    Args:
      fname: the file.
      data: one array, a list of them, or a dict of them by name.

    Raises:
      WouldBlockError: the arrays are not finished, and an event loop runs in this thread; use
        `await save_async(...)` there.
      TypeError: `data` is something else.
      DTypeError: an array's dtype is not one of MXNet's.
      OSError: the file cannot be written; its `filename` is `fname`.
      Exception: what an array holds instead of its value.
    """
    write, resources, engine = _writing(fname, data)
    try:
        engine.read(write, resources, name="save")
    except WouldBlockError as error:
        error.add_note("save: in an event loop, write `await save_async(...)`")
        raise


async def save_async(fname: str | os.PathLike[str], data: Savable) -> None:
    """Do like `save` in a trio or asyncio task: a worker writes, and the event loop goes on.

    Cancelling it ends the wait, not the writing: the file may still appear, whole, later.
    """
    write, resources, engine = _writing(fname, data)
    await engine.push(write, reads=resources, device="io", name="save")


def load(fname: str | os.PathLike[str], ctx: Context | None = None) -> Loaded:
    """Read the arrays of a file that `save` or MXNet wrote.

    Args:
      fname: the file.
      ctx: where to put the arrays; the current context by default. The places named in the file
        are those of another machine and do not count.

    Returns:
      A dict if the arrays have names, else a list; a list if there are none. An array without
      axes gets one: its shape becomes (1,).

    Raises:
      FormatError: not a file of arrays, or damaged; with the place, what it is and what it needs.
      OSError: the file cannot be read.
      ContextError: no array can live in `ctx`.
      OutOfMemoryError: the arrays do not fit.
      TypeError: `ctx` is no `Context`.
    """
    return _reading(fname, ctx)()


async def load_async(fname: str | os.PathLike[str], ctx: Context | None = None) -> Loaded:
    """Do like `load` in a trio or asyncio task; a worker reads and the event loop goes on."""
    loaded: Loaded = await current_engine().push(_reading(fname, ctx), device="io", name="load")
    return loaded


def _writing(
    fname: str | os.PathLike[str], data: Savable
) -> tuple[Callable[[], None], list[Accessible], Engine]:
    """The function that writes the file, what it reads, and the engine that has that."""
    arrays, names = _flatten(data)
    for array in arrays:
        type_flag(array.dtype)
    # The folder may be another one by the time that it runs, and a link is to stay a link.
    path = Path(fname).resolve()
    write = partial(_write_file, path, arrays, names, os.fspath(fname))
    engine = arrays[0]._engine() if arrays else current_engine()
    return write, [array.resource for array in arrays], engine


def _reading(fname: str | os.PathLike[str], ctx: Context | None) -> Callable[[], Loaded]:
    """The function that reads the file."""
    return partial(_read_file, Path(fname).resolve(), as_context(ctx, "load"))


def _flatten(data: object) -> tuple[list[NDArray], list[str]]:
    names: list[str] = []
    values: Iterable[object]
    if isinstance(data, NDArray):
        values = [data]
    elif isinstance(data, Mapping):
        names, values = list(data), data.values()
    elif isinstance(data, Iterable):
        values = data
    else:
        raise TypeError(
            f"save: data is a {type(data).__name__}; needs an NDArray, a list or a dict"
        )
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"save: an array's name is {name!r}; needs a str")
    arrays: list[NDArray] = []
    for value in values:
        if not isinstance(value, NDArray):
            which = repr(names[len(arrays)]) if names else f"number {len(arrays)}"
            raise TypeError(f"save: {which} is a {type(value).__name__}; needs an NDArray")
        arrays.append(value)
    return arrays, names


def _write_file(path: Path, arrays: Sequence[NDArray], names: Sequence[str], given: str) -> None:
    """Write the file, when reading the arrays is granted; an error names it as it was given."""
    try:
        replace_file(path, pieces([array._view() for array in arrays], names))
    except OSError as error:
        if error.errno is None:
            raise
        # Its own file name, if it has one, is that of a draft that nobody knows of.
        raise OSError(error.errno, error.strerror, given) from error


def _read_file(path: Path, context: Context) -> Loaded:
    pool = host_memory.storage(context)
    with path.open("rb") as file:
        nbytes = os.fstat(file.fileno()).st_size
        arrays, names = read(file, nbytes, str(path), pool.allocate)
    made = [_adopt(array, context) for array in arrays]
    return dict(zip(names, made, strict=True)) if names else made


def _adopt(array: np.ndarray[Any, Any], context: Context) -> NDArray:
    """Make an NDArray of memory that nobody else has."""
    if array.ndim == 0:
        array = array.reshape(1)
    block = Block(array.shape, array.dtype, context, array)
    return NDArray(block, array.shape, array.size)
