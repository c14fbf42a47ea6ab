"""Descriptions of users' operators, and their names."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, TypeVar

from actorflow.errors import ParameterError
from actorflow.operator.definition import PropDefinition
from actorflow.ops import register as register_definition

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from actorflow.device import Context
    from actorflow.operator.base import CustomOp

__all__ = ["CustomOpProp", "register"]

Prop = TypeVar("Prop", bound="type[CustomOpProp]")


class CustomOpProp:
    """What an operator takes and gives: the base class of its description.

    An object is made from the parameters of `sym.Custom`, all of them texts, so that a file
    holds them.

    Args:
      need_top_grad: whether the gradient depends on that of the outputs; False for a loss.
    """

    need_top_grad_ = True  # also for a subclass whose own __init__ does not call this one

    def __init__(self, need_top_grad: bool = True) -> None:  # noqa: FBT001, FBT002 -- MXNet's
        self.need_top_grad_ = need_top_grad

    def list_arguments(self) -> list[str]:
        """The names of the inputs; by default `["data"]`."""
        return ["data"]

    def list_outputs(self) -> list[str]:
        """The names of the outputs; by default `["output"]`."""
        return ["output"]

    def list_auxiliary_states(self) -> list[str]:
        """The names of the states that `forward` updates; by default none."""
        return []

    def infer_shape(self, in_shape: list[Any]) -> tuple[Sequence[Any], ...]:
        """Complete the shapes of the inputs and give those of the outputs and the states.

        Args:
          in_shape: the inputs' shapes, as lists; empty where unknown. If it looks for a size of
            an unknown shape it is asked again when more is known.

        Returns:
          Lists of shapes: of the inputs, of the outputs and, if there are any, of the states. By
          default all outputs are like the first input, and the states have no shape.
        """
        return in_shape, [in_shape[0]] * len(self.list_outputs()), []

    def infer_type(self, in_type: list[Any]) -> tuple[Sequence[Any], ...]:
        """Complete the data types of the inputs and give those of the outputs and the states.

        Args:
          in_type: NumPy types such as `numpy.float32`; None where unknown, but never for the first.

        Returns:
          Lists of data types, as with `infer_shape`. By default all inputs that nothing is known
          of, all outputs and all states are like the first input.
        """
        first = in_type[0]
        known = [first if each is None else each for each in in_type]
        outputs, states = self.list_outputs(), self.list_auxiliary_states()
        return known, [first] * len(outputs), [first] * len(states)

    def declare_backward_dependency(
        self, out_grad: list[int], in_data: list[int], out_data: list[int]
    ) -> list[int]:
        """Say what `backward` needs, so that the memory of all else is free before that.

        Args:
          out_grad, in_data, out_data: numbers that stand for the gradients of the outputs, for the
            inputs and for the outputs.

        Returns:
          Those of them that are needed. By default all, but the gradients only with
          `need_top_grad`. An operator that needs none of the gradients is a loss.
        """
        return [*(out_grad if self.need_top_grad_ else []), *in_data, *out_data]

    def create_operator(
        self, ctx: Context, in_shapes: list[list[int]], in_dtypes: list[Any]
    ) -> CustomOp:
        """Make what computes; it is called once for each node when a symbol is bound.

        Args:
          ctx: where it will run.
          in_shapes: the shapes of the inputs and the states.
          in_dtypes: their NumPy types.
        """
        raise NotImplementedError(f"{type(self).__name__} has no create_operator")


def register(reg_name: str) -> Callable[[Prop], Prop]:
    """Give a `CustomOpProp` the name under which `sym.Custom` and `nd.Custom` find it.

    ::

        @register("softmax")
        class SoftmaxProp(CustomOpProp): ...

    Args:
      reg_name: the name. A class that was registered by it before is replaced.

    Raises:
      TypeError: the name is no text, or what is decorated no subclass of `CustomOpProp`.
    """
    if not isinstance(reg_name, str):
        message = f"register: takes a name, such as @register('softmax'), got {reg_name!r}"
        raise TypeError(message)

    def decorate(kind: Prop) -> Prop:
        if not (isinstance(kind, type) and issubclass(kind, CustomOpProp)):
            message = f"register({reg_name!r}): takes a subclass of CustomOpProp, got {kind!r}"
            raise TypeError(message)

        def define(texts: dict[str, str]) -> PropDefinition:
            try:
                inspect.signature(kind).bind(**texts)
            except TypeError as error:
                message = f"Custom: {kind.__name__}, registered as {reg_name!r}: {error}"
                raise ParameterError(message) from None
            make: Callable[..., CustomOpProp] = kind
            return PropDefinition(reg_name, make(**texts), texts)

        register_definition(reg_name, define)
        return kind

    return decorate
