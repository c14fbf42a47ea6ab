"""What an operator is."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

from actorflow.errors import ShapeError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from actorflow.ops.types import Shape

__all__ = ["Operator", "shared"]


class Operator:
    """One operator with its parameters: what it takes, what it gives, how it computes it.

    An operator is a value. It knows no engine and no array class: it works on shapes, data types
    and NumPy arrays, so that arrays, graphs and executors can all be built on it. One class (with
    `attrs.frozen`, its parameters as fields), or one entry in a table of such a class, defines it.
    Equal operators infer the same: what one has answered stands for the others.

    A subclass gives at least `name`, `inputs`, `output_shape`, `output_type` and `forward`; one
    with several outputs, or one that can infer the shape of an input from the others, overrides
    `infer_shape` and `infer_type` instead of the two in the middle.

    Attributes:
      name: what messages call it.
      inputs: the names of its inputs, in the order in which `forward` takes them.
      outputs: the names of its outputs; `forward` takes them after the inputs.
      inplace: pairs of an input and an output that may be the same memory.
      overlap_safe: whether an output may also overlap an input in part.
      draws: whether `forward` takes, last, a `numpy.random.Generator` of its own, a new one
        for each run.
      forward: the kernel on the CPU. It takes the inputs, then the outputs, C-contiguous arrays
        that it has to fill completely; what it returns is ignored.
    """

    __slots__ = ()

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...] = ("output",)
    inplace: tuple[tuple[str, str], ...] = ()
    overlap_safe: bool = False
    draws: bool = False
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
                return shapes, (None,)
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
                return dtypes, (None,)
        return dtypes, (self.output_type(*dtypes),)  # type: ignore[arg-type]

    def output_shape(self, *shapes: Shape) -> Shape:
        """The shape of the only output, from all inputs' shapes; raises as `infer_shape`."""
        raise NotImplementedError

    def output_type(self, *dtypes: np.dtype[Any]) -> np.dtype[Any]:
        """The data type of the only output, from all inputs'; raises as `infer_type`."""
        raise NotImplementedError

    def refuse(self, argument: str, got: Shape, needs: str) -> NoReturn:
        """Raise the `ShapeError` of an input."""
        raise ShapeError(f"{self.name}: {argument} has shape {got}, but {needs}")


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
