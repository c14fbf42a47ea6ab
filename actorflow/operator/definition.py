"""What a user's operator says of itself, checked."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NoReturn

from actorflow.device import current_context
from actorflow.errors import DTypeError, ParameterError, ShapeError
from actorflow.operator.base import CustomOp
from actorflow.operator.instance import ArrayInstance, Node
from actorflow.ops import as_dtype, as_shape

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np

    from actorflow.device import Context
    from actorflow.ops import Instance, Shape

__all__ = ["PropDefinition", "checked_names"]

Shapes = tuple["Shape | None", ...]
Types = tuple["np.dtype[Any] | None", ...]


class _UnknownShapeError(IndexError):
    """A user's `infer_shape` looked at a shape that is not known yet."""


class _Unknown:
    """A shape that is not known: empty, as in MXNet; whoever looks for its sizes learns nothing.

    An empty list would do for `if not shape`, but what is computed from its sizes would be wrong:
    the product of none is 1.
    """

    def __len__(self) -> int:
        return 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, list | tuple | _Unknown) and len(other) == 0

    def __hash__(self) -> int:
        return hash(())

    def __repr__(self) -> str:
        return "[]"

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        message = "this shape is not known yet"
        raise _UnknownShapeError(message)

    __getitem__ = __iter__ = __add__ = __radd__ = __array__ = _refuse


def checked_names(who: str, given: Any, *, least: int = 0) -> tuple[str, ...]:  # noqa: ANN401
    """Names as a user's operator lists them.

    Raises:
      ParameterError: they are no list of different texts, or less than `least`.
    """
    listed = isinstance(given, Sequence) and not isinstance(given, str)
    names: tuple[Any, ...] = tuple(given) if listed else ()
    if not listed or not all(isinstance(name, str) and name for name in names):
        raise ParameterError(f"{who} has to give a list of names, got {given!r}")
    if len(set(names)) < len(names):
        raise ParameterError(f"{who} gives a name twice: {names}")
    if len(names) < least:
        raise ParameterError(f"{who} has to give at least one name")
    return names


class PropDefinition:
    """What a `CustomOpProp`, or something like one, says.

    Args:
      op_type: the operator's name.
      prop: the user's object.
      texts: its parameters as files hold them; None if no file can hold it.

    Raises:
      ParameterError: what it says makes no sense.
    """

    def __init__(self, op_type: str, prop: Any, texts: Mapping[str, str] | None) -> None:  # noqa: ANN401
        self.op_type = op_type
        self.prop = prop
        self.texts = texts
        self.arguments = checked_names(self._of("list_arguments"), prop.list_arguments())
        self.outputs = checked_names(self._of("list_outputs"), prop.list_outputs(), least=1)
        listed = self._of("list_auxiliary_states")
        self.states = checked_names(listed, prop.list_auxiliary_states())
        both = set(self.arguments).intersection(self.states)
        if both:
            raise ParameterError(f"{listed} gives names of arguments: {', '.join(sorted(both))}")
        self.needs = self._needs()

    def _of(self, method: str) -> str:
        return f"{method} of custom operator {self.op_type!r}"

    def _asked(self, method: str, *arguments: Any) -> Any:  # noqa: ANN401 -- what a user returns
        try:
            return getattr(self.prop, method)(*arguments)
        except _UnknownShapeError:
            raise
        except Exception as error:
            error.add_note(f"actorflow: in {self._of(method)}")
            raise

    def _needs(self) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        n_outputs, n_inputs = len(self.outputs), len(self.arguments)
        ends = (0, n_outputs, n_outputs + n_inputs, 2 * n_outputs + n_inputs)
        parts = [list(range(*pair)) for pair in pairwise(ends)]
        found = self._asked("declare_backward_dependency", *parts)
        listed = list(found) if isinstance(found, Sequence) else [found]
        if any(each not in range(ends[-1]) for each in listed):
            message = (
                f"{self._of('declare_backward_dependency')} has to give some of the numbers that "
                f"it was given, 0 to {ends[-1] - 1}, got {found!r}"
            )
            raise ParameterError(message)
        above, data, made = (
            tuple(each - part[0] for each in part if each in listed) for part in parts
        )
        return above, data, made

    # -- Shapes and types ----------------------------------------------------------------------

    def infer_shape(self, *shapes: Shape | None) -> tuple[Shapes, Shapes]:
        """As `Operator.infer_shape`; unknown shapes are empty, as in MXNet.

        Raises:
          ShapeError: what the user's `infer_shape` gives is not what it has to be.
        """
        count = len(self.arguments)
        given = [_Unknown() if shape is None else list(shape) for shape in shapes[:count]]
        try:
            result = self._asked("infer_shape", given)
        except _UnknownShapeError:
            return shapes, (None,) * len(self.outputs)
        inputs, outputs, states = self._parted("infer_shape", result, ShapeError, self._as_shape)
        if None not in shapes[:count]:
            for name, shape in zip((*self.outputs, *self.states), (*outputs, *states), strict=True):
                if shape is None:
                    message = (
                        f"{self._of('infer_shape')} gives no shape for {name!r}, although the "
                        f"shapes of all arguments are known: {given}"
                    )
                    raise ShapeError(message)
        return (*inputs, *states), outputs

    def infer_type(self, *dtypes: np.dtype[Any] | None) -> tuple[Types, Types]:
        """As `Operator.infer_type`; nothing is asked before the first input's type is known.

        Raises:
          DTypeError: what the user's `infer_type` gives is not what it has to be.
        """
        count = len(self.arguments)
        if count and dtypes[0] is None:
            return dtypes, (None,) * len(self.outputs)
        given = [None if dtype is None else dtype.type for dtype in dtypes[:count]]
        result = self._asked("infer_type", given)
        inputs, outputs, states = self._parted("infer_type", result, DTypeError, self._as_dtype)
        if None not in dtypes[:count] and (None in outputs or None in states):
            message = (
                f"{self._of('infer_type')} leaves some unknown, although the data types of all "
                f"arguments are known: {outputs + states}"
            )
            raise DTypeError(message)
        return (*inputs, *states), outputs

    def _parted(
        self,
        method: str,
        result: Any,  # noqa: ANN401
        kind: type[Exception],
        convert: Callable[[str, Any], Any],
    ) -> tuple[tuple[Any, ...], tuple[Any, ...], tuple[Any, ...]]:
        """What `infer_shape` or `infer_type` gave, for the arguments, outputs and states."""
        who = self._of(method)
        parts = list(result) if isinstance(result, list | tuple) else []
        if len(parts) == 2:  # noqa: PLR2004 -- without the states
            parts.append([])
        if len(parts) != 3 or not all(isinstance(part, list | tuple) for part in parts):  # noqa: PLR2004
            raise kind(
                f"{who} has to give two or three lists, of the arguments, the outputs and the "
                f"auxiliary states, got {result!r}"
            )
        listed = (
            ("arguments", self.arguments),
            ("outputs", self.outputs),
            ("auxiliary states", self.states),
        )
        found = []
        for (what, names), part in zip(listed, parts, strict=True):
            if len(part) != len(names):
                raise kind(
                    f"{who} gives {len(part)} {what}, but there are {len(names)}: "
                    f"{', '.join(names) or 'none'}"
                )
            pairs = zip(names, part, strict=True)
            found.append(tuple(convert(f"{who}: {name!r}", each) for name, each in pairs))
        return found[0], found[1], found[2]

    @staticmethod
    def _as_shape(who: str, shape: Any) -> Shape | None:  # noqa: ANN401 -- what a user returns
        if shape is None or (hasattr(shape, "__len__") and len(shape) == 0):
            return None
        try:
            return as_shape(shape, who)
        except (TypeError, ValueError) as error:
            raise ShapeError(str(error)) from None

    @staticmethod
    def _as_dtype(who: str, dtype: Any) -> np.dtype[Any] | None:  # noqa: ANN401
        return None if dtype is None else as_dtype(dtype, who)

    # -- Making one ----------------------------------------------------------------------------

    def create(
        self,
        called: str,
        context: Context | None,
        shapes: Sequence[Shape],
        dtypes: Sequence[np.dtype[Any]],
    ) -> Instance:
        """Have the user's object make an operator.

        Raises:
          TypeError: what it makes has no `forward`.
        """
        where = current_context() if context is None else context
        node = Node(self, called, where, shapes, dtypes)
        kinds = [dtype.type for dtype in dtypes]
        made = self._asked("create_operator", where, [list(shape) for shape in shapes], kinds)
        forward, backward = _own(made, "forward"), _own(made, "backward")
        if forward is None:
            message = (
                f"{self._of('create_operator')} has to give a CustomOp with a forward of its own, "
                f"got {made!r}"
            )
            raise TypeError(message)
        return ArrayInstance(node, forward, backward)


def _own(made: Any, name: str) -> Callable[..., object] | None:  # noqa: ANN401 -- a user's operator
    """A method of a user's operator; None if it has only the one that it inherits."""
    method: Callable[..., object] | None = getattr(made, name, None)
    inherited = getattr(CustomOp, name)
    return None if getattr(method, "__func__", None) is inherited else method
