"""What an operator is."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NoReturn, Protocol, Self, TypeAlias, TypeVar

from actorflow.errors import DTypeError, GradientError, ShapeError
from actorflow.ops.parameters import make

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import numpy as np

    from actorflow.ops.types import Shape

__all__ = [
    "ELEMENT_US",
    "MULTIPLY_US",
    "Apply",
    "Call",
    "Handles",
    "Operator",
    "call_each",
    "shared",
]

# Estimates of time, in microseconds on one core: to touch an element (some 10 GB/s), and one
# multiplication with its addition in a product of matrices (some 100 GFLOP/s).
ELEMENT_US: Final = 5e-4
MULTIPLY_US: Final = 2e-5

# Handles of values: NumPy arrays, entries of a graph, whatever `apply` takes. An operator only
# passes them on.
Handles: TypeAlias = tuple[Any, ...]

Call: TypeAlias = tuple["Callable[..., object]", tuple[Any, ...]]
"""A function and its arguments."""


def call_each(calls: Iterable[Call]) -> None:
    """Make calls, one after the other."""
    for function, arguments in calls:
        function(*arguments)


class Apply(Protocol):
    """Applies an operator to handles of values: computes, or makes a node of a graph."""

    def __call__(self, operator: Operator, *inputs: Any) -> Handles:
        """Give a handle for each output, the hidden ones too."""
        ...


class Operator:
    """One operator with its parameters: what it takes, what it gives, how it computes it.

    An operator is a value. It knows no engine and no array class: it works on shapes, data types
    and NumPy arrays, so that arrays, graphs and executors can all be built on it. One class (with
    `attrs.frozen`, its parameters as fields), or one entry in a table of such a class, defines it.
    Equal operators infer the same: what one has answered stands for the others.

    A subclass gives at least `name`, `inputs`, `output_shape`, `output_type` and `forward`; one
    with several outputs, or one that can infer the shape of an input from the others, overrides
    `infer_shape` and `infer_type` instead of the two in the middle. Shapes and data types are
    always those of the inputs and then of the auxiliary states.

    Attributes:
      name: what messages call it.
      inputs: the names of its inputs, in the order in which `forward` takes them.
      auxiliary: the names of its states, which training updates and gradients do not reach, such
        as moving averages; `forward` takes them after the inputs, and may write them.
      outputs: the names of its outputs; `forward` takes them after the states.
      hidden: how many of the outputs, the last ones, only its gradient uses.
      inplace: pairs of an input and an output that may be the same memory.
      overlap_safe: whether an output may also overlap an input in part.
      draws: whether `forward` takes, last, a `numpy.random.Generator` of its own, a new one
        for each run.
      is_view: whether its output is its first input's elements in another shape, so that nothing
        has to be computed where both may be the same memory.
      partial: whether `forward` takes None in the place of an output that nobody wants.
      unread: the inputs of which it uses the shape and the data type alone. `forward` reads none of
        their elements, so any array of that shape will do, one that has no memory of its own too.
      costly: whether it takes too long, or gives too little memory, to be computed again for the
        gradients rather than kept (`graph.mirror`).
      is_loss: whether its gradient ignores what comes from above: it ends a network.
      has_instances: whether each node of each executor has one of its own, `at_bind`, which keeps
        something from one run to the next.
      elementwise: whether an element of its only output depends on the elements at its place of
        the inputs alone, and on inputs of one element, so that it may be computed part by part.
        With inputs of other shapes it need not be so.
      forward: the kernel on the CPU. It takes the inputs, the states, the outputs and its scratch
        space, C-contiguous arrays; it has to fill the outputs completely. What it returns is
        ignored.
    """

    __slots__ = ()

    name: str
    inputs: tuple[str, ...]
    auxiliary: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ("output",)
    hidden: int = 0
    inplace: tuple[tuple[str, str], ...] = ()
    overlap_safe: bool = False
    draws: bool = False
    is_view: bool = False
    partial: bool = False
    unread: tuple[str, ...] = ()
    costly: bool = False
    is_loss: bool = False
    has_instances: bool = False
    elementwise: bool = False
    forward: Callable[..., object]

    def infer_shape(
        self, *shapes: Shape | None
    ) -> tuple[tuple[Shape | None, ...], tuple[Shape | None, ...]]:
        """Complete the shapes of the inputs, None where unknown, and give those of the outputs.

        Raises:
          ShapeError: they do not fit each other; the message names the operator, the input, what
            it got and what it needs.
        """
        for shape in shapes:
            if shape is None:
                return shapes, (None,) * len(self.outputs)
        return shapes, (self.output_shape(*shapes),)  # type: ignore[arg-type]

    def infer_type(
        self, *dtypes: np.dtype[Any] | None
    ) -> tuple[tuple[np.dtype[Any] | None, ...], tuple[np.dtype[Any] | None, ...]]:
        """Complete the data types of the inputs, None where unknown, and give the outputs'.

        Raises:
          DTypeError: the operator does not take them; the message says what it takes.
        """
        for dtype in dtypes:
            if dtype is None:
                return dtypes, (None,) * len(self.outputs)
        return dtypes, (self.output_type(*dtypes),)  # type: ignore[arg-type]

    def one_type(
        self, dtypes: tuple[np.dtype[Any] | None, ...]
    ) -> tuple[tuple[np.dtype[Any] | None, ...], tuple[np.dtype[Any] | None, ...]]:
        """What `infer_type` gives where all inputs, states and outputs have one data type.

        Raises:
          DTypeError: they have not.
        """
        found = next((dtype for dtype in dtypes if dtype is not None), None)
        for name, dtype in zip((*self.inputs, *self.auxiliary), dtypes, strict=True):
            if dtype is not None and dtype != found:
                raise DTypeError(f"{self.name}: {name} is {dtype.name}, but needs {found}")
        return (found,) * len(dtypes), (found,) * len(self.outputs)

    def output_shape(self, *shapes: Shape) -> Shape:
        """The shape of the only output, from all inputs' shapes; raises as `infer_shape`."""
        raise NotImplementedError

    def output_type(self, *dtypes: np.dtype[Any]) -> np.dtype[Any]:
        """The data type of the only output, from all inputs'; raises as `infer_type`."""
        raise NotImplementedError

    def scratch(
        self, shapes: Sequence[Shape], dtypes: Sequence[np.dtype[Any]]
    ) -> tuple[tuple[Shape, np.dtype[Any]], ...]:
        """The working memory that `forward` takes after the outputs: a shape and data type each.

        Args:
          shapes: of the inputs and states.
          dtypes: of the inputs and states.
        """
        del shapes, dtypes
        return ()

    def work(self, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> float:
        """Roughly how long `forward` takes on one core, in microseconds.

        By that a graph is cut into messages, so a factor of two does no harm. Unless an operator
        says otherwise, it touches each element once.

        Args:
          inputs: the shapes of the inputs and states.
          outputs: the shapes of the outputs.
        """
        return ELEMENT_US * (sum(map(math.prod, inputs)) + sum(map(math.prod, outputs)))

    def gradient(
        self, apply: Apply, inputs: Handles, outputs: Handles, out_grads: Handles
    ) -> Handles:
        """The gradients of the inputs from those of the outputs, made of other operators.

        Args:
          apply: applies an operator to handles like the ones given here.
          inputs: what it took, without the states.
          outputs: what it gave, the hidden ones too. To name an input or an output here keeps it
            until the gradient is computed.
          out_grads: the gradients of the visible outputs; None where nothing depends on one. At
            least one is there, unless `is_loss`.

        Returns:
          For each input its gradient, of its shape; None where it has none, as an index.

        Raises:
          GradientError: the operator has no gradient.
        """
        if not self.inputs:
            return ()
        del apply, inputs, outputs, out_grads
        raise GradientError(f"{self.name}: this operator has no gradient")

    def calls(self, arrays: list[Any]) -> list[Call]:
        """The calls that compute it on certain arrays, again and again.

        Args:
          arrays: all that `forward` takes.
        """
        return [(self.forward, tuple(arrays))]

    def is_identity(self, *shapes: Shape) -> bool:
        """Whether for inputs of these shapes the only output is the first input.

        A data type that differs is not looked at: who leaves the operator out compares those.
        """
        del shapes
        return False

    def again(self) -> Operator | None:
        """What gives its visible outputs once more, from its inputs and its hidden outputs.

        It is asked of operators that draw or have states, which cannot be applied twice; None if
        there is nothing that gives the same bits (`graph.mirror`).
        """
        return None

    def at_inference(self) -> Operator:
        """The operator to use instead when nothing is to be learnt: it has the same outputs."""
        return self

    def at_bind(
        self,
        called: str,
        context: Any,  # noqa: ANN401 -- contexts are not known here
        shapes: Sequence[Shape],
        dtypes: Sequence[np.dtype[Any]],
        sources: Sequence[Operator | None],
    ) -> Operator:
        """The operator to use instead in one executor, if it `has_instances`.

        Args:
          called: which node it is of, for messages.
          context: where it will run.
          shapes, dtypes: of its inputs and states.
          sources: for each input and state the operator that gives it, as it was bound; None for
            a variable.
        """
        del called, context, shapes, dtypes, sources
        return self

    def refuse(self, argument: str, got: Shape, needs: str) -> NoReturn:
        """Raise the `ShapeError` of an input."""
        raise ShapeError(f"{self.name}: {argument} has shape {got}, but {needs}")

    @classmethod
    def of(cls, **parameters: Any) -> Self:
        """Make one from parameters as a file holds them: texts are taken for what they spell.

        Raises:
          ParameterError: one is unknown, missing or not valid; the message names the operator.
        """
        return make(cls, parameters)


AnyOperator = TypeVar("AnyOperator", bound=Operator)

_SIMPLE: Final = frozenset({bool, int, type(None)})


def shared(kind: type[AnyOperator], *parameters: Any) -> AnyOperator:
    """`kind(*parameters)`: the same object each time if the parameters are flags, integers, None.

    To make it anew takes longer than to find it, and what is remembered of it is found sooner.
    Other parameters are not looked up: they may be equal and yet mean something else, or be
    something that cannot be looked up.
    """
    for parameter in parameters:
        if parameter.__class__ not in _SIMPLE:
            return kind(*parameters)
    # mypy does not know that a type variable's classes can be looked up.
    operator: AnyOperator = _shared(kind, *parameters)  # type: ignore[arg-type]
    return operator


@lru_cache(maxsize=1024, typed=True)
def _shared(kind: Any, *parameters: Any) -> Any:  # noqa: ANN401 -- the types are those of `shared`
    return kind(*parameters)
