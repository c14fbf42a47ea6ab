"""The operators of 2015: objects that make symbols of themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actorflow.device import current_context
from actorflow.operator.definition import PropDefinition
from actorflow.operator.instance import ArrayInstance, MemoryInstance, Node
from actorflow.ops import Custom
from actorflow.symbol.custom import symbol_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from actorflow.device import Context
    from actorflow.ops import Instance, Shape
    from actorflow.symbol import Symbol

__all__ = ["NDArrayOp", "NumpyOp", "PythonOp"]


class PythonOp:
    """The base class of `NumpyOp` and `NDArrayOp`.

    The object itself computes, for every executor that its symbol is bound in: `CustomOp` has one
    for each. No file can hold such a symbol.

    Args:
      need_top_grad: whether the gradient depends on that of the outputs; False for a loss.
    """

    _hint = "_python"
    need_top_grad_ = True  # also for a subclass whose own __init__ does not call this one

    def __init__(self, need_top_grad: bool = True) -> None:  # noqa: FBT001, FBT002 -- MXNet's
        self.need_top_grad_ = need_top_grad

    def __call__(self, *args: Symbol, **kwargs: Any) -> Symbol:
        """The same as `get_symbol`."""
        return self.get_symbol(*args, **kwargs)

    def get_symbol(self, *args: Symbol, **kwargs: Any) -> Symbol:
        """A symbol that this object computes.

        Args:
          args: its inputs; or
          kwargs: by the names of `list_arguments`; and `name` and `attr`, as with all symbols.

        Raises:
          TypeError: something is no symbol of one output, or there is no such input.
        """
        name, attr = kwargs.pop("name", None), kwargs.pop("attr", None)
        operator = Custom(_Definition(self))
        return symbol_of(self._hint, operator, args, kwargs, name, attr)

    def list_arguments(self) -> list[str]:
        """The names of the inputs; by default `["data"]`."""
        return ["data"]

    def list_outputs(self) -> list[str]:
        """The names of the outputs; by default `["output"]`."""
        return ["output"]

    def infer_shape(self, in_shape: list[Any]) -> tuple[Sequence[Any], Sequence[Any]]:
        """Complete the shapes of the inputs and give those of the outputs.

        By default the only output is like the first input; see `CustomOpProp.infer_shape`.
        """
        return in_shape, [in_shape[0]]

    def need_top_grad(self) -> bool:
        """Whether the gradient depends on that of the outputs."""
        return self.need_top_grad_

    def forward(self, in_data: list[Any], out_data: list[Any]) -> None:
        """Fill the outputs; by default the first one with the first input."""
        out_data[0][:] = in_data[0]

    def backward(
        self,
        out_grad: list[Any],
        in_data: list[Any],
        out_data: list[Any],
        in_grad: list[Any],
    ) -> None:
        """Fill the gradients of the inputs; by default the first one with 1. The others are 0."""
        del out_grad, in_data, out_data
        in_grad[0][:] = 1.0

    def declare_backward_dependency(
        self, out_grad: list[int], in_data: list[int], out_data: list[int]
    ) -> list[int]:
        """Say what `backward` needs; see `CustomOpProp.declare_backward_dependency`."""
        return [*(out_grad if self.need_top_grad() else []), *in_data, *out_data]

    def _create(self, node: Node) -> Instance:
        raise NotImplementedError


class NumpyOp(PythonOp):
    """An operator on NumPy arrays: `forward` and `backward` get them, inputs read-only."""

    _hint = "_native"

    def _create(self, node: Node) -> Instance:
        return MemoryInstance(node, self.forward, self.backward)


class NDArrayOp(PythonOp):
    """An operator on arrays: `forward` and `backward` may push operations and wait for them."""

    _hint = "_ndarray"

    def _create(self, node: Node) -> Instance:
        def forward(*, in_data: Any, out_data: Any, **_: Any) -> None:  # noqa: ANN401
            self.forward(in_data=in_data, out_data=out_data)

        def backward(*, req: Any, aux: Any, **arrays: Any) -> None:  # noqa: ANN401
            del req, aux
            self.backward(**arrays)

        return ArrayInstance(node, forward, backward)


class _Definition(PropDefinition):
    """What an operator of 2015 says of itself."""

    def __init__(self, op: PythonOp) -> None:
        self.op = op
        super().__init__(type(op).__name__, _Prop(op), None)

    def create(
        self,
        called: str,
        context: Context | None,
        shapes: Sequence[Shape],
        dtypes: Sequence[np.dtype[Any]],
    ) -> Instance:
        """What calls the object."""
        where = current_context() if context is None else context
        return self.op._create(Node(self, called, where, shapes, dtypes))


class _Prop:
    """Such an operator with the methods of a `CustomOpProp` that it lacks."""

    def __init__(self, op: PythonOp) -> None:
        self._op = op

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 -- whatever the user's object has
        return getattr(self._op, name)

    def list_auxiliary_states(self) -> list[str]:
        return []

    def infer_type(self, in_type: list[Any]) -> tuple[list[Any], list[Any]]:
        """All like the first input."""
        return [in_type[0]] * len(in_type), [in_type[0]] * len(self._op.list_outputs())
