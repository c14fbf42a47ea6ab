"""Gradients against differences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from actorflow.ndarray import array, seed as set_seed
from actorflow.ops import described, meant
from actorflow.symbol import Symbol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actorflow.device import Context
    from actorflow.executor import Executor
    from actorflow.ndarray import NDArray

__all__ = ["check_gradient"]

_GRAD_REQS = ("write", "add", "null")
Values = np.ndarray[Any, np.dtype[Any]]


def check_gradient(
    symbol: Symbol,
    location: Mapping[str, Any],
    aux_states: Mapping[str, Any] | None = None,
    *,
    wrt: Sequence[str] | None = None,
    grad_req: str = "write",
    ctx: Context | None = None,
    eps: float = 1e-6,
    rtol: float = 1e-5,
    atol: float = 1e-6,
    seed: int = 0,
) -> None:
    """Compare the gradients of a symbol with central differences, in float64.

    The outputs are summed with random weights, which are the gradients from above. It runs two
    forward passes for each element that is varied, so keep the arrays small. What draws random
    numbers, such as Dropout, draws the same ones each time. Symbols that end in a loss are refused,
    as the gradient of a loss is not that of its output: check what comes before it.

    Args:
      symbol: what to check.
      location: the values of its arguments by name; those of a floating type are taken as float64.
      aux_states: the values of its auxiliary states by name; each pass begins with these.
      wrt: the arguments to vary; None for all of a floating type.
      grad_req: "write", "add" (to random numbers that were there before) or "null".
      ctx: where to compute.
      eps: the step of the differences.
      rtol, atol: the differences allowed, as with `numpy.allclose`.
      seed: of the weights and of what the symbol draws.

    Raises:
      AssertionError: a gradient differs; the message names the argument, the element and both
        values.
      ValueError: the symbol ends in a loss, a name is none of its, an argument or a state has no
        value, or `grad_req` is none.
      TypeError: `symbol` is none, or a value is no array of real numbers.
    """
    _refuse_losses(symbol)
    _check_names(symbol, location, aux_states or {}, wrt, grad_req)
    draw = np.random.default_rng(seed)
    values = {name: _as_float64(name, value) for name, value in location.items()}
    names = wrt or [name for name, value in values.items() if value.dtype == np.float64]
    before = {name: np.asarray(draw.normal(size=values[name].shape)) for name in names}
    executor = _bound(symbol, values, before, aux_states or {}, grad_req, ctx)
    states = {name: each.asnumpy() for name, each in executor.aux_dict.items()}

    def forward() -> list[Values]:
        for name, value in states.items():
            executor.aux_dict[name][:] = array(value, ctx, "float64")
        set_seed(seed)
        return [output.asnumpy() for output in executor.forward(is_train=True)]

    weights = [np.asarray(draw.normal(size=output.shape)) for output in forward()]
    executor.backward([array(weight, ctx, "float64") for weight in weights])
    for name, wanted in before.items():
        if grad_req != "null":
            slope = _differences(executor, name, values[name], weights, forward, eps)
            wanted = np.add(slope, wanted) if grad_req == "add" else slope  # noqa: PLW2901
        _compare(name, executor.grad_dict[name], wanted, rtol, atol)


def _bound(
    symbol: Symbol,
    values: Mapping[str, Values],
    before: Mapping[str, Values],
    aux_states: Mapping[str, Any],
    grad_req: str,
    ctx: Context | None,
) -> Executor:
    return symbol.bind(
        ctx,
        {name: array(value, ctx, value.dtype) for name, value in values.items()},
        {name: array(value, ctx, "float64") for name, value in before.items()},
        dict.fromkeys(before, grad_req),
        {n: array(_as_float64(n, value), ctx, "float64") for n, value in aux_states.items()},
    )


def _refuse_losses(symbol: Symbol) -> None:
    if not isinstance(symbol, Symbol):
        raise TypeError(f"check_gradient: symbol is {described(symbol)}; needs a Symbol")
    for entry in symbol._entries:
        if entry.node.operator is not None and entry.node.operator.is_loss:
            message = f"check_gradient: {entry.name} is a loss, whose gradient is not its output's"
            raise ValueError(message)


def _check_names(
    symbol: Symbol,
    location: Mapping[str, Any],
    aux_states: Mapping[str, Any],
    wrt: Sequence[str] | None,
    grad_req: str,
) -> None:
    """Refuse names that the symbol does not have, and what it lacks."""
    states = symbol.list_auxiliary_states()
    arguments = symbol.list_arguments()
    for what, given, names in (
        ("location", location, arguments),
        ("aux_states", aux_states, states),
    ):
        if not isinstance(given, Mapping):
            raise TypeError(
                f"check_gradient: {what} is {described(given)}; needs values by name: "
                f"{', '.join(names) or 'none'}"
            )
        for name in given:
            if name not in names:
                raise ValueError(
                    f"check_gradient: {what} has {name!r}, which {symbol!r} has not; "
                    f"{meant(name, names)}"
                )
        missing = [name for name in names if name not in given]
        if missing:
            raise ValueError(f"check_gradient: {what} lacks {', '.join(missing)}")
    for name in wrt or ():
        if name not in location:
            raise ValueError(
                f"check_gradient: wrt has {name!r}, which location has not; {meant(name, location)}"
            )
    if grad_req not in _GRAD_REQS:
        raise ValueError(f"check_gradient: grad_req is {grad_req!r}; needs {', '.join(_GRAD_REQS)}")


def _as_float64(name: str, value: Any) -> Values:  # noqa: ANN401 -- whatever NumPy takes
    found: Values = np.asarray(value)
    if found.dtype.kind not in "biuf":
        raise TypeError(
            f"check_gradient: {name} is {described(value)}; needs an array of real numbers"
        )
    return found.astype(np.float64) if found.dtype.kind == "f" else found


def _differences(
    executor: Executor,
    name: str,
    value: Values,
    weights: list[Values],
    forward: Any,  # noqa: ANN401 -- a function without arguments
    eps: float,
) -> Values:
    """The slope of the weighted sum of all outputs, element by element."""
    argument = executor.arg_dict[name]
    slope = np.empty(value.shape)
    for place in np.ndindex(value.shape):
        sides = []
        for step in (eps, -eps):
            moved = value.copy()
            moved[place] += step
            argument[:] = array(moved, dtype="float64")
            pairs = zip(forward(), weights, strict=True)
            sides.append(sum(float((output * weight).sum()) for output, weight in pairs))
        slope[place] = (sides[0] - sides[1]) / (2 * eps)
    argument[:] = array(value, dtype="float64")
    return slope


def _compare(name: str, gradient: NDArray | None, wanted: Values, rtol: float, atol: float) -> None:
    assert gradient is not None  # noqa: S101 -- it was bound
    found = gradient.asnumpy()
    scale = max(1.0, float(np.abs(wanted).max(initial=0)))
    wrong = ~(np.abs(found - wanted) <= atol * scale + rtol * np.abs(wanted))
    if wrong.any():
        place = tuple(int(index) for index in np.argwhere(wrong)[0])
        message = (
            f"check_gradient: the gradient of {name!r} at {place} is {found[place]:.9g}, but "
            f"differences give {wanted[place]:.9g} ({int(wrong.sum())} of {wrong.size} elements "
            "differ)"
        )
        raise AssertionError(message)
