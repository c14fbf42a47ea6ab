"""Random numbers, the same on every engine.

The generator of a context has a seed and counts its draws. Draw number n of a context gets a
generator of its own: NumPy's Philox, whose key comes from the seed and the context and whose
counter starts at block n, of 2**128 numbers. The number is given when the draw is *pushed*.

What is promised: after `seed(s)`, the same calls in the same order in one thread give the same
bits, on the naive engine and on the threaded one with any number of workers, whatever runs
beside them and in whatever order; draws do not wait for one another. Contexts have different
numbers. The bits may differ between versions of NumPy that change its distributions, and if
several threads draw in one context at the same time, who gets which number is up to them. A
program that never calls `seed` begins as after `seed(0)`.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Mapping
from functools import partial
from numbers import Real
from operator import index
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from actorflow.device import Context, as_context
from actorflow.engine import Engine, Resource, current_engine
from actorflow.errors import ContextError, FormatError
from actorflow.ndarray.array import NDArray
from actorflow.ndarray.creation import ShapeLike, arange
from actorflow.ndarray.invoke import check_out, make, push
from actorflow.ops import (
    DTypeLike,
    Normal,
    RandInt,
    Shuffle,
    Uniform,
    as_dtype,
    as_shape,
    described,
)

if TYPE_CHECKING:
    from actorflow.ops import Operator, Orthogonal

__all__ = [
    "Stream",
    "draw_into",
    "get_state",
    "normal",
    "permutation",
    "randint",
    "seed",
    "set_state",
    "shuffle",
    "stream",
    "uniform",
]


_VERSION: Final = 1  # of what `get_state` gives
_MOST: Final = 1 << 64  # draws: the counter has a word for their number


class Stream:
    """The generator of one context: a key, and how many draws it has given numbers to.

    On each engine that draws from it, it is a resource, which draws read: they overlap, and show
    in `explain` and traces what they draw from.
    """

    def __init__(self, context: Context, seed_state: int) -> None:
        self.context = context
        self._lock = threading.RLock()  # a finalizer may come here in the middle
        # A resource belongs to one engine at a time, but two engines may draw side by side.
        self._resources: weakref.WeakKeyDictionary[Engine, Resource] = weakref.WeakKeyDictionary()
        self.reset(seed_state)

    def after_fork_in_child(self) -> None:
        """Another thread of the parent may have had the lock, which nobody would give back here."""
        self._lock = threading.RLock()

    @property
    def draws(self) -> int:
        """How many draws it has given numbers to."""
        return self._draws

    def reset(self, seed_state: int, draws: int = 0) -> None:
        """Start again, with another seed, behind some draws. Those pushed before keep theirs."""
        entropy = (seed_state, self.context.device_typeid, self.context.device_id)
        key = np.asarray(np.random.SeedSequence(entropy).generate_state(2, np.uint64), np.uint64)
        with self._lock:
            self._key = key
            self._draws = draws

    def draw(self) -> partial[np.random.Generator]:
        """Take the next number; return what makes that draw's generator."""
        with self._lock:
            number = self._draws
            self._draws = number + 1
            return partial(_generator, self._key, number)

    def resource(self, engine: Engine) -> Resource:
        """What a draw on `engine` reads."""
        with self._lock:
            resource = self._resources.get(engine)
            if resource is None:
                resource = self._resources[engine] = Resource(f"random {self.context}")
            return resource


def _generator(key: np.ndarray[Any, np.dtype[np.uint64]], number: int) -> np.random.Generator:
    # The counter has 256 bits, the lowest word first; a draw has the two lowest for itself.
    counter = np.array([0, 0, number, 0], np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))


class _Streams:
    """The streams of all contexts, each made when it is first drawn from."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._seed = 0
        self._streams: dict[Context, Stream] = {}

    def get(self, context: Context) -> Stream:
        with self._lock:
            found = self._streams.get(context)
            if found is None:
                found = self._streams[context] = Stream(context, self._seed)
            return found

    def reset(self, seed_state: int, draws: Mapping[Context, int] | None = None) -> None:
        with self._lock:
            self._seed = seed_state
            for context in draws or ():
                self.get(context)
            for context, each in self._streams.items():
                each.reset(seed_state, (draws or {}).get(context, 0))

    def state(self) -> tuple[int, dict[Context, int]]:
        with self._lock:
            return self._seed, {where: each.draws for where, each in self._streams.items()}

    def after_fork_in_child(self) -> None:
        """Another thread of the parent may have had a lock, which nobody would give back here."""
        self._lock = threading.RLock()
        for each in self._streams.values():
            each.after_fork_in_child()


_streams: Final = _Streams()
os.register_at_fork(after_in_child=_streams.after_fork_in_child)


def seed(seed_state: int) -> None:
    """Start the generators of all contexts again.

    Draws pushed before keep the numbers that they were to get.

    Args:
      seed_state: any integer that is not negative.

    Raises:
      TypeError: it is no integer.
      ValueError: it is negative.
    """
    try:
        state = index(seed_state)
    except TypeError:
        raise TypeError(f"seed: the seed is an integer, got {described(seed_state)}") from None
    if state < 0:
        raise ValueError(f"seed: the seed is not negative, got {seed_state}")
    _streams.reset(state)


def get_state() -> dict[str, Any]:
    """Where the generators of all contexts stand, as plain data that JSON can hold.

    Draws pushed so far are behind it, computed or not. NumPy's and your own generators are not
    in it.
    """
    seed_state, draws = _streams.state()
    return {
        "version": _VERSION,
        "seed": seed_state,
        "draws": [[each.device_type, each.device_id, count] for each, count in draws.items()],
    }


def set_state(state: Mapping[str, Any]) -> None:
    """Have the generators of all contexts go on where they stood at a `get_state`.

    The next draws give the same numbers as those that followed it. Draws pushed before keep the
    numbers that they were to get.

    Raises:
      TypeError, FormatError: it is no such state; then nothing has changed.
    """
    _streams.reset(*checked_state(state))


def checked_state(state: object) -> tuple[int, dict[Context, int]]:
    """The seed and the draws in what `get_state` gave; raises what `set_state` raises."""
    if not isinstance(state, Mapping):
        raise TypeError(f"set_state: needs what get_state() gave, got {described(state)}")
    version, seed_state, given = (state.get(name) for name in ("version", "seed", "draws"))
    if version != _VERSION:
        raise FormatError(f"set_state: the version is {version!r}; this release reads {_VERSION}")
    if not isinstance(seed_state, int) or isinstance(seed_state, bool) or seed_state < 0:
        raise FormatError(f"set_state: the seed is {seed_state!r}, and needs to be from 0 on")
    draws: dict[Context, int] = {}
    if not isinstance(given, list | tuple):
        raise FormatError(f"set_state: the draws are {given!r}, and need to be a list")
    for each in given:
        try:
            kind, number, count = each
            context = Context(kind, number)
        except (TypeError, ValueError, ContextError) as error:
            raise FormatError(f"set_state: {each!r} is no context and its draws") from error
        if context in draws or type(count) is not int or not 0 <= count < _MOST:
            raise FormatError(f"set_state: the draws of {context} are {count!r}")
        draws[context] = count
    return seed_state, draws


def stream(ctx: Context | None = None) -> Stream:
    """The generator of a context, by default the current one.

    Raises:
      TypeError: `ctx` is no `Context`.
    """
    return _streams.get(as_context(ctx, "stream"))


def _drawn(
    operator: Uniform | Normal | RandInt,
    shape: ShapeLike | None,
    ctx: Context | None,
    dtype: DTypeLike | None,
    out: NDArray | None,
    default: str,
) -> NDArray:
    who = operator.name
    context = as_context(ctx, who)
    if out is None:
        kind = as_dtype(default if dtype is None else dtype, who)
        context.require_memory()
        operator.check_type(kind)
        sizes = as_shape(() if shape is None else shape, who)
        out = make(NDArray, sizes, kind, context, who)
    else:
        kind = out.dtype if dtype is None else as_dtype(dtype, who)
        operator.check_type(kind)
        check_out(who, out, out.shape if shape is None else as_shape(shape, who), kind, ctx)
    return _draw(operator, (), out, kind)


def _check_numbers(who: str, **given: object) -> None:
    """Refuse what is no number, such as a shape that is given first."""
    for name, value in given.items():
        if not isinstance(value, Real | np.bool_):
            message = f"{who}: {name} has to be a number, got {described(value)}"
            if isinstance(value, tuple | list):
                message += f"; a shape is given by its name, {who}(..., shape={value!r})"
            raise TypeError(message)


def _draw(
    operator: Operator, inputs: tuple[NDArray, ...], out: NDArray, dtype: np.dtype[Any]
) -> NDArray:
    """Push the operation of the next draw in the context of `out`, whose result is of `dtype`."""
    source = _streams.get(out.context)
    engine = current_engine()
    push(
        operator,
        inputs,
        out,
        dtype=dtype,
        draw=source.draw(),
        engine=engine,
        reads=(source.resource(engine),),
    )
    return out


def draw_into(operator: Uniform | Normal | Orthogonal, out: NDArray) -> None:
    """Fill an array with what an operator without inputs draws.

    Raises:
      DTypeError: it does not draw numbers of the array's data type.
      ValueError: the array is not writable.
    """
    operator.check_type(out.dtype)
    check_out(operator.name, out, out.shape, out.dtype)
    _draw(operator, (), out, out.dtype)


def uniform(
    low: float = 0.0,
    high: float = 1.0,
    shape: ShapeLike | None = None,
    ctx: Context | None = None,
    dtype: DTypeLike | None = None,
    out: NDArray | None = None,
) -> NDArray:
    """Numbers drawn evenly from `[low, high)`; rounding may give `high` itself.

    Args:
      low: the least.
      high: the bound, at least `low`.
      shape: the shape of the result; default that of `out`, or one number.
      ctx: where it lives; default the current context, or that of `out`.
      dtype: float32 (the default), float64 or float16.
      out: where the result goes.

    Raises:
      DTypeError: another data type.
      ContextError: no array can live in `ctx`, or `out` lives elsewhere.
      ShapeError: `out` has another shape.
      TypeError: `ctx` is no `Context`, or a number is none.
      ValueError: `low` is greater than `high`.
    """
    _check_numbers("uniform", low=low, high=high)
    return _drawn(Uniform(low, high), shape, ctx, dtype, out, "float32")


def normal(
    loc: float = 0.0,
    scale: float = 1.0,
    shape: ShapeLike | None = None,
    ctx: Context | None = None,
    dtype: DTypeLike | None = None,
    out: NDArray | None = None,
) -> NDArray:
    """Numbers drawn from the normal distribution.

    Args:
      loc: its mean.
      scale: its standard deviation, not negative.
      shape: the shape of the result; default that of `out`, or one number.
      ctx: where it lives; default the current context, or that of `out`.
      dtype: float32 (the default), float64 or float16.
      out: where the result goes.

    Raises:
      DTypeError: a data type that is not floating.
      ContextError: no array can live in `ctx`, or `out` lives elsewhere.
      ShapeError: `out` has another shape.
      TypeError: `ctx` is no `Context`, or a number is none.
      ValueError: `scale` is negative.
    """
    _check_numbers("normal", loc=loc, scale=scale)
    return _drawn(Normal(loc, scale), shape, ctx, dtype, out, "float32")


def randint(
    low: int,
    high: int,
    shape: ShapeLike | None = None,
    ctx: Context | None = None,
    dtype: DTypeLike | None = None,
    out: NDArray | None = None,
) -> NDArray:
    """Integers drawn evenly from `[low, high)`.

    Args:
      low: the least.
      high: the bound, greater than `low`.
      shape: the shape of the result; default that of `out`, or one number.
      ctx: where it lives; default the current context, or that of `out`.
      dtype: int32 (the default), int64, int8 or uint8.
      out: where the result goes.

    Raises:
      DTypeError: no integer type, or one that cannot hold them all.
      ContextError: no array can live in `ctx`, or `out` lives elsewhere.
      ShapeError: `out` has another shape.
      TypeError: `ctx` is no `Context`, or a number is none.
      ValueError: `low` is not less than `high`.
    """
    _check_numbers("randint", low=low, high=high)
    return _drawn(RandInt(index(low), index(high)), shape, ctx, dtype, out, "int32")


def shuffle(data: NDArray, out: NDArray | None = None) -> NDArray:
    """The parts of the first axis of `data` in a random order; with `out=data`, in place.

    Raises:
      ShapeError: `out` has another shape.
    """
    operator = Shuffle()
    if out is None:
        out = make(type(data), data.shape, data.dtype, data.context)
    else:
        check_out(operator.name, out, data.shape, data.dtype, data.context)
    return _draw(operator, (data,), out, data.dtype)


def permutation(n: int, ctx: Context | None = None, dtype: DTypeLike = "int64") -> NDArray:
    """The integers from 0 to `n`, exclusive, in a random order.

    Raises:
      ContextError: no array can live in `ctx`.
      DTypeError: the data type is not supported.
      TypeError: `ctx` is no `Context`.
    """
    return shuffle(arange(0, n, ctx=ctx, dtype=dtype))
