"""Binding: the arrays of an executor, checked or made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from actorflow.device import as_context
from actorflow.engine import describe_site
from actorflow.errors import ContextError, DTypeError, ShapeError
from actorflow.executor.executor import Executor
from actorflow.graph import spread_groups
from actorflow.ndarray import NDArray, empty, zeros
from actorflow.ops import described, meant
from actorflow.symbol import shape_hint, type_hint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actorflow.device import Context
    from actorflow.executor.pool import Pool
    from actorflow.graph import Entry, Node
    from actorflow.ops import DTypeLike, Shape
    from actorflow.symbol import Symbol

__all__ = ["bind", "simple_bind"]

GRAD_REQS = ("write", "add", "null")


def bind(
    symbol: Symbol,
    ctx: Context | None,
    args: Sequence[NDArray] | Mapping[str, NDArray],
    args_grad: Sequence[NDArray | None] | Mapping[str, NDArray] | None = None,
    grad_req: str | Sequence[str] | Mapping[str, str] = "write",
    aux_states: Sequence[NDArray] | Mapping[str, NDArray] | None = None,
    group2ctx: Mapping[str, Context] | None = None,
    shared_exec: Executor | None = None,
    *,
    hinted: bool = True,
) -> Executor:
    """See `Symbol.bind`. With `hinted` the arrays have to be what the variables say of them."""
    context = as_context(ctx, "bind")
    nodes = _variables("bind", symbol)
    places = _Places("bind", symbol, context, group2ctx)
    pool = _pool_of("bind", shared_exec)
    arguments = symbol.list_arguments()
    states = symbol.list_auxiliary_states()
    arrays = _in_order("args", arguments, args)
    auxiliary = _in_order("aux_states", states, {} if aux_states is None else aux_states)
    for kind, names, found in (("args", arguments, arrays), ("aux_states", states, auxiliary)):
        missing = [name for name, each in zip(names, found, strict=True) if each is None]
        if missing:
            message = f"bind: {kind} lacks {', '.join(missing)}"
            raise ValueError(message)
    grads = _in_order("args_grad", arguments, {} if args_grad is None else args_grad)
    reqs = _requests("bind", arguments, grads, grad_req)
    whole: list[Any] = [*arrays, *auxiliary]
    if hinted:
        for node, each in zip(nodes, whole, strict=True):
            _check_hints(node, each)
    outputs = _outputs(symbol, places, dict(zip((*arguments, *states), whole, strict=True)))
    for name, array, grad in zip(arguments, whole, grads, strict=False):
        if grad is not None:
            _check_gradient(name, array, grad)
    wanted = {
        f"the gradient of {n}": (g, r) for n, g, r in zip(arguments, grads, reqs, strict=True)
    }
    _refuse_overlaps(
        dict(zip(arguments, whole, strict=False)),
        dict(zip(states, whole[len(arguments) :], strict=True)),
        {name: (grad, req) for name, (grad, req) in wanted.items() if grad is not None},
    )
    count = len(arguments)
    made = Executor(
        symbol,
        context,
        places.heads,
        places.groups,
        pool,
        whole[:count],
        grads,
        reqs,
        whole[count:],
        outputs,
    )
    made._check_gradients("bind")
    return made


def simple_bind(
    symbol: Symbol,
    ctx: Context | None,
    grad_req: str | Sequence[str] | Mapping[str, str],
    type_dict: Mapping[str, DTypeLike] | None,
    group2ctx: Mapping[str, Context] | None,
    shared_exec: Executor | None,
    shapes: Mapping[str, Shape],
) -> Executor:
    """See `Symbol.simple_bind`."""
    context = as_context(ctx, "simple_bind")
    _variables("simple_bind", symbol)
    places = _Places("simple_bind", symbol, context, group2ctx)
    pool = _pool_of("simple_bind", shared_exec)
    arguments = symbol.list_arguments()
    states = symbol.list_auxiliary_states()
    for what, given in (("", shapes), ("type_dict: ", type_dict or {})):
        for name in given:
            if name not in arguments and name not in states:
                message = (
                    f"simple_bind: {what}there is no argument {name!r}; {meant(name, arguments)}"
                )
                raise KeyError(message)
    arg_shapes, out_shapes, aux_shapes = symbol.infer_shape_partial(**shapes)
    named = (*arguments, *states, *symbol.list_outputs())
    for name, shape in zip(named, (*arg_shapes, *aux_shapes, *out_shapes), strict=True):
        if shape is None:
            message = (
                f"simple_bind: the shape of {name!r} cannot be told from those of "
                f"{', '.join(shapes)}: give it too, as {name}=..."
                if shapes
                else f"simple_bind: the shape of {name!r} cannot be told: give shapes by name, "
                f"such as {name}=(32, 10)"
            )
            raise ShapeError(message)
    arg_types, out_types, aux_types = _types(symbol, arguments, type_dict)
    made: list[list[NDArray]] = [
        # No shape and no data type is None any more.
        [
            make(shape or (1,), there, dtype or "float32")
            for shape, there, dtype in zip(part, where, types, strict=True)
        ]
        for make, part, where, types in (
            (zeros, arg_shapes, map(places.of_variable, arguments), arg_types),
            (zeros, aux_shapes, map(places.of_variable, states), aux_types),
            (empty, out_shapes, places.of_heads(), out_types),
        )
    ]
    reqs = _requests("simple_bind", arguments, made[0], grad_req)
    grads = [
        None if req == "null" else zeros(each.shape, each.context, each._block.dtype)
        for each, req in zip(made[0], reqs, strict=True)
    ]
    executor = Executor(
        symbol, context, places.heads, places.groups, pool, made[0], grads, reqs, made[1], made[2]
    )
    executor._check_gradients("simple_bind")
    return executor


class _Places:
    """Where the parts of a symbol are computed and where its arrays lie.

    Attributes:
      heads: of its graph, whose operators name their groups.
      groups: the context of each group, and of "" for what has none; empty if all have none.
      group_of: the groups of the variables, by their names.
    """

    def __init__(
        self,
        who: str,
        symbol: Symbol,
        context: Context,
        group2ctx: Mapping[str, Context] | None,
    ) -> None:
        self._context = context
        self.heads: list[Entry] = list(symbol._entries)
        self.groups = {
            name: as_context(each, f"{who}: group2ctx[{name!r}]")
            for name, each in (group2ctx or {}).items()
        }
        for name, each in (group2ctx or {}).items():
            if each is None:
                message = f"{who}: group2ctx gives no context for {name!r}"
                raise TypeError(message)
        variables: dict[Node, str] = {}
        if self.groups:
            self.groups[""] = context
            self.heads, variables = spread_groups(self.heads, self.groups)
        self.group_of = {node.name: name for node, name in variables.items()}

    def of_variable(self, name: str) -> Context:
        """Where the array of a variable lies."""
        return self.groups.get(self.group_of.get(name, ""), self._context)

    def of_heads(self) -> list[Context]:
        """Where the arrays of the outputs lie: where they are computed."""
        found = []
        for head in self.heads:
            if head.node.is_variable:
                found.append(self.of_variable(head.node.name))
            else:
                group = head.node.attributes.get("ctx_group", "")
                found.append(self.groups.get(group, self._context))
        return found


def _pool_of(who: str, shared_exec: Executor | None) -> Pool | None:
    if shared_exec is not None and not isinstance(shared_exec, Executor):
        message = f"{who}: shared_exec needs to be an Executor, got {shared_exec!r}"
        raise TypeError(message)
    return None if shared_exec is None else shared_exec._pool


def _types(
    symbol: Symbol, arguments: Sequence[str], type_dict: Mapping[str, DTypeLike] | None
) -> tuple[list[Any], list[Any], list[Any]]:
    """The data types of arguments, outputs and states; float32 where nothing says otherwise."""
    found = symbol._infer_type_or(np.dtype("float32"), type_dict or {})
    if any(dtype is None for part in found for dtype in part):
        given = dict(zip(arguments, found[0], strict=True))
        message = f"simple_bind: the data types of {symbol!r} cannot be told from {given}"
        raise DTypeError(message)
    return found


def _variables(who: str, symbol: Symbol) -> list[Node]:
    """The nodes of the arguments, and then of the states.

    Raises:
      ValueError: two have one name, so that nobody could tell their arrays apart.
    """
    walked = symbol._walk()
    nodes = [*walked.arguments, *walked.states]
    found: dict[str, Node] = {}
    for node in nodes:
        before = found.setdefault(node.name, node)
        if before is not node:
            places = [
                f"\n  one{describe_site(each.site, verb='made')}"
                for each in (before, node)
                if each.site
            ]
            message = f"{who}: two variables of {symbol!r} are called {node.name!r}"
            raise ValueError(message + "".join(places))
    return nodes


def _check_hints(node: Node, array: NDArray) -> None:
    """Raise unless an array has the shape and the data type that its variable was made with."""
    shape, dtype = shape_hint(node), type_hint(node)
    made = describe_site(node.site, verb="made")
    if shape is not None and shape != array.shape:
        message = f"bind: {node.name} has shape {array.shape}, but its variable has {shape}{made}"
        raise ShapeError(message)
    if dtype is not None and dtype != array.dtype:
        message = f"bind: {node.name} is {array.dtype.name}, but its variable is {dtype.name}{made}"
        raise DTypeError(message)


def _in_order(
    what: str,
    names: Sequence[str],
    given: Sequence[NDArray | None] | Mapping[str, NDArray],
) -> list[NDArray | None]:
    """Arrays in the order of names, None where there is none."""
    if isinstance(given, Mapping):
        for name in given:
            if name not in names:
                message = (
                    f"bind: {what} has {name!r}, but no such name is bound; {meant(name, names)}"
                )
                raise ValueError(message)
        found = [given.get(name) for name in names]
    else:
        if not isinstance(given, Iterable) or isinstance(given, NDArray | str):
            message = f"bind: {what} needs arrays in a list or by name, got {described(given)}"
            raise TypeError(message)
        found = list(given)
        if len(found) != len(names):
            message = f"bind: {what} has {len(found)} arrays for {len(names)}: {', '.join(names)}"
            raise ValueError(message)
    for name, each in zip(names, found, strict=True):
        if each is not None and not isinstance(each, NDArray):
            message = f"bind: {what} has {described(each)} for {name}, which is no NDArray"
            raise TypeError(message)
    return found


def _requests(
    who: str,
    names: Sequence[str],
    grads: Sequence[NDArray | None],
    grad_req: str | Sequence[str] | Mapping[str, str],
) -> list[str]:
    if isinstance(grad_req, str):
        reqs = [grad_req] * len(names)
    elif isinstance(grad_req, Mapping):
        unknown = [name for name in grad_req if name not in names]
        if unknown:
            hint = meant(unknown[0], names)
            message = f"{who}: grad_req has {unknown[0]!r}, but no such name is bound; {hint}"
            raise ValueError(message)
        reqs = [grad_req.get(name, "null") for name in names]
    else:
        # Anything else is refused below, as what it is.
        reqs = list(grad_req) if isinstance(grad_req, Iterable) else [repr(grad_req)]
    if len(reqs) != len(names) or any(req not in GRAD_REQS for req in reqs):
        message = (
            f"{who}: grad_req takes 'write', 'add' or 'null' for each argument, got {grad_req!r}"
        )
        raise ValueError(message)
    return ["null" if grad is None else req for grad, req in zip(grads, reqs, strict=True)]


def _check_gradient(name: str, array: NDArray, grad: NDArray) -> None:
    """Raise unless the array of a gradient is like that of its argument."""
    if grad.shape != array.shape:
        message = f"bind: the gradient of {name} is {grad.shape}, but {name} is {array.shape}"
        raise ShapeError(message)
    if grad._block.dtype != array._block.dtype:
        message = (
            f"bind: the gradient of {name} is {grad._block.dtype.name}, but {name} is "
            f"{array._block.dtype.name}"
        )
        raise DTypeError(message)
    if grad.context != array.context:
        message = (
            f"bind: the gradient of {name} is in {grad.context}, but {name} in {array.context}"
        )
        raise ContextError(message)
    if not grad._writable:
        message = f"bind: the gradient of {name} is not writable"
        raise ValueError(message)


def _refuse_overlaps(
    arguments: Mapping[str, NDArray],
    states: Mapping[str, NDArray],
    gradients: Mapping[str, tuple[NDArray, str]],
) -> None:
    """Raise if something is written to memory that something else has.

    Several gradients may be added up in the very same array.
    """
    written = [(name, array, "state") for name, array in states.items()]
    written += [(name, array, req) for name, (array, req) in gradients.items()]
    taken: dict[int, list[tuple[str, NDArray, str]]] = {}
    for name, array in arguments.items():
        taken.setdefault(id(array._block), []).append((name, array, "argument"))
    for name, array, kind in written:
        beside = taken.setdefault(id(array._block), [])
        for other, each, its in beside:
            if kind == its == "add" and array._coincides(each):
                continue
            if array._overlaps(each):
                message = f"bind: {name} and {other} have memory in common, and one is written"
                raise ValueError(message)
        beside.append((name, array, kind))


def _outputs(symbol: Symbol, places: _Places, arrays: Mapping[str, NDArray]) -> list[NDArray]:
    """Make the arrays of the outputs; by that it is seen whether all arrays fit."""
    for name, each in arrays.items():
        context = places.of_variable(name)
        if each.context != context:
            group = places.group_of.get(name)
            who = f"its group {group!r}" if group else "the executor"
            message = f"bind: {name} is in {each.context}, but {who} is to be in {context}"
            raise ContextError(message)
    _, shapes, _ = symbol.infer_shape_partial(**{n: a.shape for n, a in arrays.items()})
    _, types, _ = symbol.infer_type(**{n: a._block.dtype for n, a in arrays.items()})
    if types is None:
        message = f"bind: the data types of {symbol!r} cannot be told from its arguments"
        raise DTypeError(message)
    made = []
    for name, shape, dtype, context in zip(
        symbol.list_outputs(), shapes, types, places.of_heads(), strict=True
    ):
        if shape is None:
            message = f"bind: the shape of {name!r} cannot be told from the arguments"
            raise ShapeError(message)
        made.append(empty(shape, context, dtype))
    return made
