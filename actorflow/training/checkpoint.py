"""Checkpoints in MXNet's two files: `<prefix>-symbol.json` and `<prefix>-0001.params`.

Each file appears whole or not at all, so a process that dies while it writes one leaves what was
there before. The parameters come last: where there are some, their network is there too.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from actorflow.engine import current_engine
from actorflow.errors import FormatError, ParameterError
from actorflow.ndarray import NDArray, load, save, save_async
from actorflow.symbol import Symbol, load_symbol

if TYPE_CHECKING:
    from typing import TypeAlias

    Params: TypeAlias = Mapping[str, NDArray]

__all__ = ["load_checkpoint", "load_params", "save_checkpoint", "save_checkpoint_async"]


def save_checkpoint(
    prefix: str | os.PathLike[str],
    epoch: int,
    symbol: Symbol | None,
    arg_params: Params,
    aux_params: Params,
) -> None:
    """Write a network and its parameters to files that `load_checkpoint` and MXNet read.

    Waits for the parameters as of this call.

    Args:
      prefix: what both files' names begin with.
      epoch: the number in the name of the file of parameters, with at least four digits.
      symbol: the network; None leaves its file as it is.
      arg_params: the arguments, by name.
      aux_params: the auxiliary states, by name.

    Raises:
      ParameterError: the epoch is no number from 0 on.
      TypeError: something is no symbol or no array.
      OSError: a file cannot be written.
      WouldBlockError: the arrays are not finished, and an event loop runs in this thread; use
        `await save_checkpoint_async(...)` there.
      Exception: what an array holds instead of its value.
    """
    path, arrays = _checked(prefix, epoch, symbol, arg_params, aux_params)
    if symbol is not None:
        symbol.save(_symbol_path(prefix))
    save(path, arrays)


async def save_checkpoint_async(
    prefix: str | os.PathLike[str],
    epoch: int,
    symbol: Symbol | None,
    arg_params: Params,
    aux_params: Params,
) -> None:
    """Do like `save_checkpoint` in a trio or asyncio task; workers write.

    Cancelling it ends the wait: the files may still appear, whole.
    """
    path, arrays = _checked(prefix, epoch, symbol, arg_params, aux_params)
    if symbol is not None:
        write = partial(symbol.save, _in_this_folder(_symbol_path(prefix)))
        await current_engine().push(write, device="io", name="save_checkpoint")
    await save_async(path, arrays)


def load_checkpoint(
    prefix: str | os.PathLike[str], epoch: int
) -> tuple[Symbol, dict[str, NDArray], dict[str, NDArray]]:
    """Read what `save_checkpoint`, or MXNet, wrote.

    Args:
      prefix: what both files' names begin with.
      epoch: the number in the name of the file of parameters.

    Returns:
      The network, its arguments and its auxiliary states.

    Raises:
      FormatError: a file is damaged, or another kind of file.
      OSError: a file cannot be read.
      ParameterError: the epoch is no number from 0 on.
    """
    path = _params_path(prefix, epoch)
    return load_symbol(_symbol_path(prefix)), *_split(path)


def load_params(
    prefix: str | os.PathLike[str], epoch: int
) -> tuple[dict[str, NDArray], dict[str, NDArray]]:
    """Read the arguments and auxiliary states of a checkpoint alone; see `load_checkpoint`."""
    return _split(_params_path(prefix, epoch))


def _checked(
    prefix: str | os.PathLike[str],
    epoch: int,
    symbol: object,
    arg_params: Params,
    aux_params: Params,
) -> tuple[str, dict[str, NDArray]]:
    """The file of the parameters, and what it is to hold."""
    if symbol is not None and not isinstance(symbol, Symbol):
        raise TypeError(f"save_checkpoint: needs a Symbol or None, got {type(symbol).__name__}")
    path = _params_path(prefix, epoch)
    arrays = {}
    for kind, given in (("arg", arg_params), ("aux", aux_params)):
        if not isinstance(given, Mapping):
            message = f"save_checkpoint: {kind}_params are arrays by name, got {given!r}"
            raise TypeError(message)
        for name, array in given.items():
            if not isinstance(array, NDArray):
                what = type(array).__name__
                raise TypeError(f"save_checkpoint: {name} has to be an NDArray, got a {what}")
            arrays[f"{kind}:{name}"] = array
    return path, arrays


def _split(path: str) -> tuple[dict[str, NDArray], dict[str, NDArray]]:
    loaded = load(path)
    named = loaded if isinstance(loaded, dict) else dict.fromkeys(map(str, range(len(loaded))))
    parts: dict[str, dict[str, NDArray]] = {"arg": {}, "aux": {}}
    for name, array in named.items():
        kind, colon, rest = name.partition(":")
        if array is None or not colon or kind not in parts:
            raise FormatError(
                f"{path}: the parameters of a checkpoint are called arg:... or aux:..., but one "
                f"is {name!r}; nd.load reads any file of arrays"
            )
        parts[kind][rest] = array
    return parts["arg"], parts["aux"]


def _in_this_folder(path: str) -> Path:
    """The same file, also for somebody who is in another folder by then."""
    return Path(path).resolve()


def _symbol_path(prefix: str | os.PathLike[str]) -> str:
    return f"{os.fspath(prefix)}-symbol.json"


def _params_path(prefix: str | os.PathLike[str], epoch: int) -> str:
    if not isinstance(epoch, int) or epoch < 0:
        raise ParameterError(f"checkpoint: the epoch is an integer from 0 on, got {epoch!r}")
    return f"{os.fspath(prefix)}-{epoch:04d}.params"
