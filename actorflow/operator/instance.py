"""Users' operators at work: memory in, the user's code called, memory out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from actorflow.device import is_poisoned, poison
from actorflow.errors import VerificationError
from actorflow.operator.loan import Loan, how_called

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from actorflow.device import Context
    from actorflow.ndarray import NDArray
    from actorflow.ops import Definition, Memory, Shape

__all__ = ["ArrayInstance", "MemoryInstance", "Node"]


class Node:
    """What is known of the node that an instance is for.

    Args:
      definition: the operator.
      called: the node, for messages; empty if there is none.
      context: where it runs.
      shapes, dtypes: of its inputs and states.
    """

    def __init__(
        self,
        definition: Definition,
        called: str,
        context: Context,
        shapes: Sequence[Shape],
        dtypes: Sequence[np.dtype[Any]],
    ) -> None:
        self.definition = definition
        self.context = context
        self._called = f" {called}" if called else ""
        count = len(definition.arguments)
        _, out_shapes = definition.infer_shape(*shapes)
        _, out_types = definition.infer_type(*dtypes)
        self.inputs = list(zip(shapes[:count], dtypes[:count], strict=True))
        self.outputs: list[Any] = list(zip(out_shapes, out_types, strict=True))

    def where(self, what: str) -> str:
        """One of its functions, for messages."""
        return f"{what} of custom operator {self.definition.op_type!r}{self._called}"

    def unwritten(self, what: str, name: str) -> VerificationError:
        """The error of an output that was not written."""
        return VerificationError(f"{self.where(what)} wrote nothing to its output {name!r}")


class ArrayInstance:
    """A user's operator on arrays.

    Args:
      node: what it is for.
      forward, backward: the user's code, called as `CustomOp`'s methods are; no backward for None.
    """

    def __init__(
        self,
        node: Node,
        forward: Callable[..., object],
        backward: Callable[..., object] | None,
    ) -> None:
        self._node = node
        self._forward = forward
        self._backward = backward
        self.has_backward = backward is not None

    def forward(
        self,
        inputs: Sequence[Memory],
        states: Sequence[Memory],
        outputs: Sequence[Memory | None],
        *,
        training: bool,
    ) -> None:
        """Call the user's `forward`."""
        node = self._node
        loan = Loan(node.where("forward"), node.context)
        out_data = _targets(loan, "out_data", outputs, node.outputs)
        arguments = {
            "is_train": training,
            "req": _requests(outputs),
            "in_data": _lent(loan, "in_data", inputs, node.inputs),
            "out_data": out_data,
            # Other passes may be reading the states when nothing is learnt.
            "aux": [loan.array(s, f"aux[{i}]", writable=training) for i, s in enumerate(states)],
        }
        loan.run(self._forward, arguments)
        found = zip(node.definition.outputs, outputs, loan.touched(out_data), strict=True)
        for name, memory, touched in found:
            if memory is not None and memory.size and not touched:
                raise node.unwritten("forward", name)

    def backward(
        self,
        out_grads: Sequence[Memory | None],
        inputs: Sequence[Memory | None],
        outputs: Sequence[Memory | None],
        states: Sequence[Memory],
        in_grads: Sequence[Memory | None],
    ) -> None:
        """Call the user's `backward`; a gradient that it leaves alone is 0."""
        assert self._backward is not None  # noqa: S101 -- asked for before the gradient is made
        node = self._node
        loan = Loan(node.where("backward"), node.context)
        in_grad = _targets(loan, "in_grad", in_grads, node.inputs)
        arguments = {
            "req": _requests(in_grads),
            "out_grad": _lent(loan, "out_grad", out_grads, node.outputs),
            "in_data": _lent(loan, "in_data", inputs, node.inputs),
            "out_data": _lent(loan, "out_data", outputs, node.outputs),
            "in_grad": in_grad,
            "aux": [loan.array(s, f"aux[{i}]", writable=False) for i, s in enumerate(states)],
        }
        loan.run(self._backward, arguments)
        for memory, touched in zip(in_grads, loan.touched(in_grad), strict=True):
            if memory is not None and not touched:
                memory.fill(0)


class MemoryInstance:
    """A user's operator on NumPy arrays.

    Args:
      node: what it is for.
      forward, backward: the user's code, called as `NumpyOp`'s methods are.
    """

    has_backward = True

    def __init__(
        self, node: Node, forward: Callable[..., object], backward: Callable[..., object]
    ) -> None:
        self._node = node
        self._forward = forward
        self._backward = backward

    def forward(
        self,
        inputs: Sequence[Memory],
        states: Sequence[Memory],
        outputs: Sequence[Memory | None],
        *,
        training: bool,
    ) -> None:
        """Call the user's `forward`."""
        del states, training  # there are no states, and it does the same in training
        for memory in outputs:
            if memory is not None:
                poison(memory)
        arguments = {
            "in_data": [_frozen(each, *like) for each, like in _with(inputs, self._node.inputs)],
            "out_data": [_room(each, *like) for each, like in _with(outputs, self._node.outputs)],
        }
        self._call("forward", self._forward, arguments)
        for name, memory in zip(self._node.definition.outputs, outputs, strict=True):
            # Integers may rightly be what the poison is.
            if memory is None or memory.dtype.kind != "f" or not memory.size:
                continue
            if is_poisoned(memory):
                raise self._node.unwritten("forward", name)

    def backward(
        self,
        out_grads: Sequence[Memory | None],
        inputs: Sequence[Memory | None],
        outputs: Sequence[Memory | None],
        states: Sequence[Memory],
        in_grads: Sequence[Memory | None],
    ) -> None:
        """Call the user's `backward`; a gradient that it leaves alone is 0."""
        del states
        for memory in in_grads:
            if memory is not None:
                memory.fill(0)
        arguments = {
            "out_grad": [_frozen(e, *like) for e, like in _with(out_grads, self._node.outputs)],
            "in_data": [_frozen(e, *like) for e, like in _with(inputs, self._node.inputs)],
            "out_data": [_frozen(e, *like) for e, like in _with(outputs, self._node.outputs)],
            "in_grad": [_room(e, *like) for e, like in _with(in_grads, self._node.inputs)],
        }
        self._call("backward", self._backward, arguments)

    def _call(
        self, what: str, function: Callable[..., object], arguments: dict[str, list[Memory]]
    ) -> None:
        try:
            with self._node.context:
                function(**arguments)
        except BaseException as error:
            how = how_called(error, function, arguments)
            error.add_note(f"actorflow: in {self._node.where(what)}{how}")
            raise


# -- Arguments ---------------------------------------------------------------------------------


def _requests(targets: Sequence[Memory | None]) -> list[str]:
    """What to do with each output: executors add gradients up themselves, so never "add"."""
    return ["null" if each is None else "write" for each in targets]


def _with(memories: Sequence[Memory | None], kinds: Sequence[Any]) -> list[tuple[Any, Any]]:
    return list(zip(memories, kinds, strict=True))


def _lent(
    loan: Loan, what: str, memories: Sequence[Memory | None], kinds: Sequence[Any]
) -> list[NDArray]:
    why = "is not there, since declare_backward_dependency leaves it out"
    return [
        loan.missing(like[0], like[1], f"{what}[{index}]", why)
        if memory is None
        else loan.array(memory, f"{what}[{index}]", writable=False)
        for index, (memory, like) in enumerate(_with(memories, kinds))
    ]


def _targets(
    loan: Loan, what: str, memories: Sequence[Memory | None], kinds: Sequence[Any]
) -> list[NDArray]:
    return [
        loan.spare(*like)
        if memory is None
        else loan.array(memory, f"{what}[{index}]", writable=True)
        for index, (memory, like) in enumerate(_with(memories, kinds))
    ]


def _frozen(memory: Memory | None, shape: Shape, dtype: np.dtype[Any]) -> Memory:
    """A view that cannot be written; of gradients that nobody needs there are none."""
    view: Memory = np.zeros(shape, dtype) if memory is None else memory.view()
    view.flags.writeable = False
    return view


def _room(memory: Memory | None, shape: Shape, dtype: np.dtype[Any]) -> Memory:
    """Memory to write; some that nobody reads where nothing is wanted."""
    found: Memory = np.empty(shape, dtype) if memory is None else memory
    return found
