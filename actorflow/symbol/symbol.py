"""Symbols: expressions that are computed once they are bound to arrays."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from actorflow.engine import capture_line
from actorflow.graph import Entry, Node
from actorflow.ops import DTYPES, as_dtype, as_shape, described
from actorflow.symbol import compose, infer, json_format, show, storing
from actorflow.symbol.arithmetic import Arithmetic
from actorflow.symbol.binding import binder
from actorflow.symbol.naming import check_attributes, current_attributes, find_attribute

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping, Sequence

    from actorflow.device import Context
    from actorflow.executor import Executor
    from actorflow.ndarray import NDArray
    from actorflow.ops import DTypeLike, Shape
    from actorflow.symbol.naming import SupportsDumps

__all__ = ["Group", "Symbol", "Variable", "var"]


class Symbol(Arithmetic):
    """An expression with one output or several.

    Made by `Variable`, by the functions of `actorflow.sym`, by operators on symbols and by `Group`.
    Symbols never change, but for `_set_attr`; they may share parts.
    """

    __slots__ = ("_entries", "_known_walk")

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._entries = tuple(entries)
        self._known_walk: infer.Walk | None = None

    def _walk(self) -> infer.Walk:
        """Its graph, walked through by whoever asked first: nodes get no other inputs."""
        if self._known_walk is None:
            self._known_walk = infer.walk(self._entries)
        return self._known_walk

    # -- Outputs -----------------------------------------------------------------------------

    @property
    def name(self) -> str | None:
        """Its name; None for a group of several."""
        nodes = {entry.node for entry in self._entries}
        return nodes.pop().name if len(nodes) == 1 else None

    def __repr__(self) -> str:
        if self.name is not None:
            return f"<Symbol {self.name}>"
        return f"<Symbol group [{', '.join(self.list_outputs())}]>"

    def __len__(self) -> int:
        """How many outputs it has."""
        return len(self._entries)

    def __iter__(self) -> Iterator[Symbol]:
        """Its outputs, each as a symbol."""
        return (Symbol((entry,)) for entry in self._entries)

    def __getitem__(self, which: int | str | slice) -> Symbol:
        """One output, by its number or its name (`"fc1_output"`), or several by a slice.

        Raises:
          IndexError: it has not so many outputs.
          KeyError: no output, or more than one, has that name.
          TypeError: it is no number, name or slice.
        """
        if isinstance(which, slice):
            return Group(Symbol((entry,)) for entry in self._entries[which])
        if isinstance(which, str):
            names = self.list_outputs()
            if names.count(which) != 1:
                near = [name for name in names if name.startswith(f"{which}_output")]
                near = near or difflib.get_close_matches(which, names, 3)
                hint = f"; did you mean {' or '.join(near)}?" if near else ""
                count = names.count(which)
                message = (
                    f"{reprlib.repr(self)}: {count or 'no'} outputs are called {which!r}{hint}"
                )
                raise KeyError(message)
            which = names.index(which)
        if not isinstance(which, int):
            message = f"{self!r}: outputs have numbers and names, not {which!r}"
            raise TypeError(message)
        if not -len(self._entries) <= which < len(self._entries):
            message = f"{self!r}: output {which} of {len(self._entries)}"
            raise IndexError(message)
        return Symbol((self._entries[which],))

    def list_outputs(self) -> list[str]:
        """The names of its outputs: the node's and the output's."""
        return [entry.name for entry in self._entries]

    def get_internals(self) -> Symbol:
        """A group of everything inside of it: variables, and visible outputs of operators."""
        order = self._walk().order
        return Symbol(entry for node in order for entry in node.entries()[: node.n_visible])

    def get_children(self) -> Symbol | None:
        """A group of what its own nodes take; None for a variable."""
        nodes = dict.fromkeys(entry.node for entry in self._entries)
        inputs = [entry for node in nodes for entry in node.inputs]
        return Symbol(inputs) if inputs else None

    # -- Arguments ---------------------------------------------------------------------------

    def list_arguments(self) -> list[str]:
        """The names of the variables that arrays are bound to, in the order of `bind`."""
        return [node.name for node in self._walk().arguments]

    def list_auxiliary_states(self) -> list[str]:
        """The names of the states that operators update by themselves."""
        return [node.name for node in self._walk().states]

    def __call__(self, *args: Symbol, name: str | None = None, **kwargs: Symbol) -> Symbol:
        """The same expression with other symbols in the place of its variables.

        Args:
          args: for its arguments in their order; or
          kwargs: by their names.
          name: what to call the result; None to keep its name.

        Raises:
          TypeError: both are given, or something that is no symbol of one output.
          KeyError: it has no such argument; the message lists near ones.
        """
        return Symbol(compose.substitute(self._entries, args, kwargs, name))

    # -- Shapes and types --------------------------------------------------------------------

    def infer_shape(
        self, *args: Shape | None, **kwargs: Shape
    ) -> tuple[list[Shape] | None, list[Shape] | None, list[Shape] | None]:
        """Find all shapes from some.

        Args:
          args: the shapes of its arguments in their order, None where unknown; or
          kwargs: by name. A size of 0 is one, of an array without elements; in the shape that
            `Variable` was given it is not known.

        Returns:
          The shapes of the arguments, the outputs and the auxiliary states; three times None if
          some cannot be told.

        Raises:
          ShapeError: two do not fit each other; the message names the node, the argument and both
            shapes, its notes the lines where they were made.
        """
        found = infer.shapes(self._walk(), args, kwargs)
        if any(shape is None for part in found for shape in part):
            return None, None, None
        return found

    def infer_shape_partial(
        self, *args: Shape | None, **kwargs: Shape
    ) -> tuple[list[Shape | None], list[Shape | None], list[Shape | None]]:
        """The same, with None for each shape that cannot be told."""
        return infer.shapes(self._walk(), args, kwargs)

    def infer_type(
        self, *args: DTypeLike | None, **kwargs: DTypeLike
    ) -> tuple[list[np.dtype[Any]] | None, list[np.dtype[Any]] | None, list[np.dtype[Any]] | None]:
        """Find all data types from some, like `infer_shape`.

        Raises:
          DTypeError: two do not fit each other.
        """
        given = [None if dtype is None else as_dtype(dtype, "infer_type") for dtype in args]
        named = {name: as_dtype(dtype, "infer_type") for name, dtype in kwargs.items()}
        found = infer.types(self._walk(), given, named)
        if any(dtype is None for part in found for dtype in part):
            return None, None, None
        return found

    def infer_type_partial(
        self, **kwargs: DTypeLike
    ) -> tuple[list[np.dtype[Any] | None], list[np.dtype[Any] | None], list[np.dtype[Any] | None]]:
        """The same, with None for each data type that cannot be told."""
        named = {name: as_dtype(dtype, "infer_type") for name, dtype in kwargs.items()}
        return infer.types(self._walk(), (), named)

    def _infer_type_or(
        self, otherwise: np.dtype[Any], given: Mapping[str, DTypeLike]
    ) -> tuple[list[np.dtype[Any] | None], list[np.dtype[Any] | None], list[np.dtype[Any] | None]]:
        """The same, with one data type for arguments that nothing tells, one after the other."""
        named = {name: as_dtype(dtype, "infer_type") for name, dtype in given.items()}
        return infer.types(self._walk(), (), named, otherwise)

    # -- Attributes --------------------------------------------------------------------------

    def attr(self, key: str) -> str | None:
        """An attribute of its node; None if it has none of that name.

        Files and later versions of MXNet put two underscores on both sides of the names of
        attributes: `ctx_group` and `__ctx_group__` are one attribute here.
        """
        if self.name is None:
            return None
        return find_attribute(self._entries[0].node.attributes, key)

    def list_attr(self, recursive: bool = False) -> dict[str, str]:  # noqa: FBT001, FBT002
        """The attributes of its node; with `recursive` of all nodes, as `<node>_<key>`."""
        if recursive:
            return {
                f"{name}_{key}": value
                for name, attributes in self.attr_dict().items()
                for key, value in attributes.items()
            }
        return dict(self._entries[0].node.attributes) if self.name is not None else {}

    def attr_dict(self) -> dict[str, dict[str, str]]:
        """The attributes of all nodes that have some, by the nodes' names."""
        order = self._walk().order
        return {node.name: dict(node.attributes) for node in order if node.attributes}

    def _set_attr(self, **attributes: str) -> None:
        """Set attributes of its node, for all symbols that have it."""
        check_attributes("_set_attr", attributes)
        for node in {entry.node for entry in self._entries}:
            node.attributes.update(attributes)

    # -- Gradients ---------------------------------------------------------------------------

    def grad(self, wrt: Sequence[str]) -> Symbol:
        """The gradients of the sum of all outputs, as a symbol with one output for each variable.

        Args:
          wrt: the names of the variables.

        Raises:
          TypeError: `wrt` is one name, not a list of them.
          KeyError: it has no such argument.
          GradientError: an operator has no gradient, or a variable has none.
        """
        return Symbol(compose.gradients(self._entries, wrt))

    # -- Binding -----------------------------------------------------------------------------

    def bind(
        self,
        ctx: Context | None,
        args: Sequence[NDArray] | Mapping[str, NDArray],
        args_grad: Sequence[NDArray | None] | Mapping[str, NDArray] | None = None,
        grad_req: str | Sequence[str] | Mapping[str, str] = "write",
        aux_states: Sequence[NDArray] | Mapping[str, NDArray] | None = None,
        group2ctx: Mapping[str, Context] | None = None,
        shared_exec: Executor | None = None,
    ) -> Executor:
        """Bind arrays to it.

        Args:
          ctx: where it is computed, but for groups; None for the current context.
          args: the arrays of its arguments, in order or by name.
          args_grad: where their gradients go, in order or by name; no gradient where there is no
            array.
          grad_req: "write" replaces what was there, "add" adds to it, "null" computes no
            gradient; one for all, or one for each argument, in order or by name.
          aux_states: the arrays of its auxiliary states, in order or by name.
          group2ctx: where the groups are computed that the attribute `ctx_group` names. What has
            none goes with what it is connected with; values are copied where that changes.
          shared_exec: an executor to share the memory with for what is computed in between. The
            two take turns: a `forward` of one ends what `backward` of the other could do.

        Returns:
          An executor, which computes with these very arrays.

        Raises:
          ValueError: an array is missing or not known, `grad_req` is none, or two variables have
            one name.
          TypeError: something is no array, or no collection of arrays.
          ShapeError, DTypeError, ContextError: the arrays do not fit, or are not what a variable
            was made with.
        """
        executor: Executor = binder("bind")(
            self, ctx, args, args_grad, grad_req, aux_states, group2ctx, shared_exec
        )
        return executor

    def simple_bind(
        self,
        ctx: Context | None = None,
        grad_req: str | Sequence[str] | Mapping[str, str] = "write",
        type_dict: Mapping[str, DTypeLike] | None = None,
        group2ctx: Mapping[str, Context] | None = None,
        shared_exec: Executor | None = None,
        **shapes: Shape,
    ) -> Executor:
        """Bind new arrays of zeros to it, whose shapes follow from some.

        Args:
          ctx: where they lie, and where it is computed, but for groups; None for the current
            context.
          grad_req: as with `bind`.
          type_dict: data types by the names of arguments; float32 where nothing says otherwise.
          group2ctx, shared_exec: as with `bind`.
          shapes: the shapes of some arguments by name, such as `data=(32, 784)`.

        Raises:
          ShapeError, DTypeError: they do not fit, or do not tell all others.
          ValueError: `grad_req` is none, or two variables have one name.
        """
        executor: Executor = binder("simple_bind")(
            self, ctx, grad_req, type_dict, group2ctx, shared_exec, shapes
        )
        return executor

    # -- Files and texts ---------------------------------------------------------------------

    def tojson(self) -> str:
        """The text that `sym.load_json` and MXNet 1.9.1 read.

        Raises:
          FormatError: an operator has no name in MXNet, such as those that gradients are made of;
            the message names the node.
        """
        return json_format.dumps(self._entries)

    def save(self, fname: str | os.PathLike[str]) -> None:
        """Write a file that `sym.load` and MXNet 1.9.1 read.

        The file appears whole, in place of an older one, or not at all.

        Raises:
          FormatError: an operator has no name in MXNet.
          OSError: the file cannot be written.
        """
        storing.write(fname, self.tojson())

    def debug_str(self) -> str:
        """A text that says of each node what it computes, from what, with which parameters."""
        return show.debug_text(self._entries)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle it as the text of a file, so what has no name in files cannot be pickled."""
        return _unpickled, (self.tojson(),)

    # -- Copies ------------------------------------------------------------------------------

    def __copy__(self) -> Symbol:
        """A symbol with nodes of its own, so that `_set_attr` concerns it alone."""
        return Symbol(compose.copied(self._entries))

    def __deepcopy__(self, memo: dict[int, Any]) -> Symbol:
        """The same as a copy."""
        return self.__copy__()


def _unpickled(text: str) -> Symbol:
    return Symbol(json_format.loads(text, "unpickling"))


def Variable(  # noqa: N802 -- MXNet's name
    name: str,
    attr: dict[str, str] | None = None,
    shape: int | Sequence[int] | None = None,
    *,
    lr_mult: float | None = None,
    wd_mult: float | None = None,
    dtype: DTypeLike | None = None,
    init: str | SupportsDumps | None = None,
) -> Symbol:
    """A symbol that stands for an array.

    Args:
      name: what to call it.
      attr: attributes.
      shape: a hint for `infer_shape`, where no other shape is given; what `bind` is given has to
        have it. A size of 0 is not known.
      lr_mult, wd_mult: multiply the learning rate and the weight decay of optimizers.
      dtype: the same for `infer_type`.
      init: the initializer of this variable, whatever its name ends in; or its name.

    Raises:
      TypeError: the name, or an attribute, is no text; the shape is not made of integers; a
        multiplier is no number; or `init` is no initializer, or one that no text can say.
      ValueError: a size is negative.
      DTypeError: `dtype` is not supported.
    """
    if not isinstance(name, str):
        message = f"Variable: the name has to be a text, got {name!r}"
        raise TypeError(message)
    check_attributes("Variable", attr)
    attributes = current_attributes(attr)
    if shape is not None:
        attributes["__shape__"] = str(as_shape(shape, f"Variable: {name}"))
    for key, factor in (("__lr_mult__", lr_mult), ("__wd_mult__", wd_mult)):
        if factor is not None:
            if not isinstance(factor, int | float | np.number):
                message = f"Variable: {key.strip('_')} has to be a number, got {factor!r}"
                raise TypeError(message)
            attributes[key] = str(factor)
    if dtype is not None:
        # As MXNet has it in files: a number.
        attributes["__dtype__"] = str(DTYPES.index(as_dtype(dtype, f"Variable: {name}")))
    if init is not None:
        if not isinstance(init, str) and not hasattr(init, "dumps"):
            message = f"Variable: init of {name} has to be an initializer, got {described(init)}"
            raise TypeError(message)
        attributes["__init__"] = init if isinstance(init, str) else init.dumps()
    return Symbol((Entry(Node(None, name, (), attributes, capture_line()), 0),))


var = Variable


def Group(symbols: Iterable[Symbol]) -> Symbol:  # noqa: N802 -- MXNet's name
    """One symbol with the outputs of several, in their order.

    Raises:
      TypeError: something in it is no symbol.
      ValueError: there are none.
    """
    if not isinstance(symbols, Iterable):
        message = f"Group: takes several symbols, got {symbols!r}"
        raise TypeError(message)
    entries: list[Entry] = []
    for symbol in symbols:
        if not isinstance(symbol, Symbol):
            message = f"Group: takes symbols, got {described(symbol)}"
            raise TypeError(message)
        entries += symbol._entries
    if not entries:
        message = "Group: needs at least one symbol"
        raise ValueError(message)
    return Symbol(entries)
