"""Users' functions of NumPy arrays as operations, in a worker's thread or in another process."""

from __future__ import annotations

import inspect
import itertools
import pickle
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, overload

import attrs
import numpy as np

from actorflow.device import current_context, is_poisoned, poison
from actorflow.engine import current_engine
from actorflow.errors import ContextError, DTypeError, ShapeError
from actorflow.ndarray.array import NDArray
from actorflow.ndarray.invoke import make
from actorflow.ndarray.kernels import frozen, unwritten
from actorflow.ndarray.processes import submit
from actorflow.ops import DTypeLike, Memory, as_dtype, as_shape

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    from actorflow.device import Context
    from actorflow.engine import Completion
    from actorflow.ndarray.creation import ShapeLike

__all__ = ["apply"]

Output: TypeAlias = "NDArray | tuple[ShapeLike, DTypeLike]"


@overload
def apply(
    fn: Callable[..., Any],
    inputs: NDArray | Sequence[NDArray],
    outputs: NDArray | tuple[ShapeLike, DTypeLike],
    name: str | None = ...,
    run_in: Literal["thread", "process"] = ...,
    *,
    fills: bool = ...,
    priority: int = ...,
) -> NDArray: ...


@overload
def apply(
    fn: Callable[..., Any],
    inputs: NDArray | Sequence[NDArray],
    outputs: list[Output],
    name: str | None = ...,
    run_in: Literal["thread", "process"] = ...,
    *,
    fills: bool = ...,
    priority: int = ...,
) -> list[NDArray]: ...


def apply(
    fn: Callable[..., Any],
    inputs: NDArray | Sequence[NDArray],
    outputs: Output | list[Output],
    name: str | None = None,
    run_in: Literal["thread", "process"] = "thread",
    *,
    fills: bool = False,
    priority: int = 0,
) -> NDArray | list[NDArray]:
    """Push a Python function of NumPy arrays as one operation; return its outputs at once.

    Args:
      fn: called with the inputs as read-only NumPy arrays that it must not keep. It returns the
        output, or a tuple of as many as there are outputs; their shapes have to be right, and
        their data types are converted within their kind.
      inputs: an array or several, possibly none, all in one context.
      outputs: one output, or a list of them. Each is an array to write or `(shape, dtype)`.
      name: what errors and traces call it; default the function's name.
      run_in: "thread", a worker's thread; or "process", another process, so that functions that
        hold Python's lock overlap. There, `fn` has to be importable by its name, and the arrays
        are copied both ways.
      fills: `fn` takes the outputs after the inputs, writable, and fills them instead of
        returning anything.
      priority: higher goes first where the engine's policy looks at it.

    Returns:
      The output, or a list of them if `outputs` is a list.

    Raises:
      TypeError: an argument is of the wrong type, or `fn` cannot be sent to a process.
      ContextError: the arrays live in different contexts.
      ValueError: an output is not writable, or `run_in` is neither of the two.

    What `fn` raises, and a result of the wrong shape, is raised where an output is waited for.
    Processes end with the program, before the default engine does: wait for their outputs.
    """
    who = name or str(getattr(fn, "__name__", type(fn).__name__))
    if not callable(fn):
        raise TypeError(f"apply: fn needs to be a function, got {type(fn).__name__}")
    if inspect.iscoroutinefunction(fn):
        raise TypeError(f"apply: {who} is an async function; push it with engine.push_async")
    if run_in not in ("thread", "process"):
        raise ValueError(f"apply: run_in is 'thread' or 'process', got {run_in!r}")
    sources = (inputs,) if isinstance(inputs, NDArray) else tuple(inputs)
    context = _common_context(who, sources, outputs)
    targets = tuple(
        _target(who, output, context)
        for output in (outputs if isinstance(outputs, list) else [outputs])
    )
    _push(_Call(fn, who, sources, targets, fills), run_in, context, priority)
    return list(targets) if isinstance(outputs, list) else targets[0]


def _push(call: _Call, run_in: str, context: Context, priority: int) -> None:
    engine = current_engine()
    options: dict[str, Any] = {
        "reads": tuple(each.resource for each in call.inputs),
        "writes": tuple(each.resource for each in call.outputs),
        "device": context.name,
        "priority": priority,
        "name": call.name,
        "nbytes": sum(each.nbytes for each in call.outputs if each._block.data is None),
    }
    if run_in == "process":
        _check_importable(call.name, call.fn)
        engine.push_async(call.start_in_process, **options)
    else:
        engine.push(call.run_verified if engine.verify else call.run_here, **options)


def _common_context(who: str, sources: tuple[Any, ...], outputs: object) -> Context:
    found: list[Context] = []
    listed = outputs if isinstance(outputs, list) else [outputs]
    for index, each in enumerate(sources):
        if not isinstance(each, NDArray):
            raise TypeError(
                f"{who}: input {index} needs to be an NDArray, got {type(each).__name__}"
            )
    for each in itertools.chain(sources, listed):
        if isinstance(each, NDArray) and each.context not in found:
            found.append(each.context)
    if len(found) > 1:
        names = " and ".join(str(each) for each in found)
        raise ContextError(f"{who}: its arrays live in {names}; copy them with as_in_context")
    return found[0] if found else current_context()


def _target(who: str, output: Any, context: Context) -> NDArray:  # noqa: ANN401
    if isinstance(output, NDArray):
        if not output.writable:
            raise ValueError(f"{who}: an output is not writable")
        return output
    try:
        shape, dtype = output
    except (TypeError, ValueError):
        raise TypeError(
            f"{who}: an output is an NDArray or a tuple (shape, dtype), got {output!r}"
        ) from None
    return make(NDArray, as_shape(shape, who), as_dtype(dtype, who), context, who)


def _check_importable(who: str, fn: Callable[..., Any]) -> None:
    try:
        pickle.dumps(fn)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise TypeError(
            f"{who}: cannot be sent to another process ({error}); define it at the top level of a "
            "module, or use run_in='thread'"
        ) from None


@attrs.frozen
class _Call:
    """One call of a user's function."""

    fn: Callable[..., Any]
    name: str
    inputs: tuple[NDArray, ...]
    outputs: tuple[NDArray, ...]
    fills: bool

    def run_here(self) -> None:
        """Call it in this thread."""
        sources = [frozen(each._view()) for each in self.inputs]
        if not self.fills:
            self._store(self.fn(*sources))
            return
        self._require_nothing(self.fn(*sources, *[each._view() for each in self.outputs]))

    def run_verified(self) -> None:
        """Call it, and see whether it fills what it is to fill."""
        watched = self._poisoned([each._view() for each in self.outputs]) if self.fills else []
        self.run_here()
        for each in watched:
            if is_poisoned(each._view()):
                raise unwritten(self.name, each)

    def _poisoned(self, targets: list[Memory]) -> list[NDArray]:
        """Poison the outputs that are no inputs too; return those where it tells something."""
        watched = []
        for each, target in zip(self.outputs, targets, strict=True):
            if not any(each._overlaps(source) for source in self.inputs):
                poison(target)
                if target.dtype.itemsize > 1:  # a byte may rightly be what the poison is
                    watched.append(each)
        return watched

    def start_in_process(self, completion: Completion) -> None:
        """Send it to another process; complete the operation when its results are here."""
        sources = [each._view() for each in self.inputs]
        blank = [(each.shape, each.dtype.name) for each in self.outputs] if self.fills else None
        submit(self.fn, sources, blank).add_done_callback(partial(self._finish, completion))

    def _finish(self, completion: Completion, future: Future[Any]) -> None:
        try:
            self._store(future.result())
        except BaseException as error:  # noqa: BLE001 -- whoever waits for the outputs gets it
            completion.fail(error)
        else:
            completion.succeed()

    def _require_nothing(self, result: object) -> None:
        if result is not None:
            raise TypeError(
                f"{self.name}: with fills=True it fills its outputs and returns None, but it "
                f"returned a {type(result).__name__}"
            )

    def _store(self, result: Any) -> None:  # noqa: ANN401
        """Put what the function returned into the outputs."""
        results = result if isinstance(result, tuple) else (result,)
        if len(results) != len(self.outputs):
            raise ValueError(
                f"{self.name}: returned {len(results)} arrays, but has {len(self.outputs)} outputs"
            )
        checked = []
        for index, (each, target) in enumerate(zip(results, self.outputs, strict=True)):
            if each is None:
                raise TypeError(
                    f"{self.name}: returned None for output {index}; a function that fills its "
                    "outputs needs fills=True"
                )
            array = np.asarray(each)
            if array.shape != target.shape and not (array.ndim == 0 and target.shape == (1,)):
                raise ShapeError(
                    f"{self.name}: output {index} has shape {target.shape}, but the function "
                    f"returned {array.shape}"
                )
            # Python's own numbers and lists have no data type that anybody chose.
            if isinstance(each, np.ndarray | np.generic) and not np.can_cast(
                array.dtype, target.dtype, "same_kind"
            ):
                raise DTypeError(
                    f"{self.name}: output {index} has dtype {target.dtype.name}, but the function "
                    f"returned {array.dtype.name}"
                )
            checked.append(array)
        for array, target in zip(checked, self.outputs, strict=True):
            np.copyto(target._view(), array, casting="unsafe")
