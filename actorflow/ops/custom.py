"""Operators that users write in Python, as graphs and arrays see them.

What a user writes works on arrays, which operators know nothing of. So the half that knows arrays
is handed down from above: a `Definition` says what the user's operator takes and gives, and makes
an `Instance`, which wraps memory in arrays and calls the user's code. Both are made where arrays
are known, and an operator here only carries them: nothing below imports anything from above.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, Final, Protocol

import attrs
import numpy as np

from actorflow.errors import FormatError, GradientError, ParameterError
from actorflow.ops.basic import ZerosLike
from actorflow.ops.operator import Operator

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from actorflow.ops.operator import Apply, Handles
    from actorflow.ops.types import Memory, Shape

__all__ = ["Custom", "CustomGradient", "Definition", "Instance", "custom", "register"]

_RAN: Final = np.dtype(np.uint8)

Shapes = tuple["Shape | None", ...]
Types = tuple["np.dtype[Any] | None", ...]


class Instance(Protocol):
    """A user's operator for one node of one executor: forward and backward share it.

    Memory is None where it is not there: outputs and gradients that nobody wants, and inputs of
    `backward` that it does not need.

    Attributes:
      has_backward: whether it has a gradient.
    """

    has_backward: bool

    def forward(
        self,
        inputs: Sequence[Memory],
        states: Sequence[Memory],
        outputs: Sequence[Memory | None],
        *,
        training: bool,
    ) -> None:
        """Fill the outputs; in training it may write the states."""
        ...

    def backward(
        self,
        out_grads: Sequence[Memory | None],
        inputs: Sequence[Memory | None],
        outputs: Sequence[Memory | None],
        states: Sequence[Memory],
        in_grads: Sequence[Memory | None],
    ) -> None:
        """Fill the gradients of the inputs."""
        ...


class Definition(Protocol):
    """What a user's operator takes and gives.

    Attributes:
      op_type: what it is called.
      texts: its parameters as files hold them; None if no file can hold it.
      arguments, outputs, states: the names of its inputs, outputs and auxiliary states.
      needs: which gradients of outputs, which inputs and which outputs its gradient takes, by
        their numbers.
    """

    op_type: str
    texts: Mapping[str, str] | None
    arguments: tuple[str, ...]
    outputs: tuple[str, ...]
    states: tuple[str, ...]
    needs: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]

    def infer_shape(self, *shapes: Shape | None) -> tuple[Shapes, Shapes]:
        """As `Operator.infer_shape`."""
        ...

    def infer_type(self, *dtypes: np.dtype[Any] | None) -> tuple[Types, Types]:
        """As `Operator.infer_type`."""
        ...

    def create(
        self,
        called: str,
        context: Any,  # noqa: ANN401 -- contexts are not known here
        shapes: Sequence[Shape],
        dtypes: Sequence[np.dtype[Any]],
    ) -> Instance:
        """What runs it: for one node, called so in messages, with such inputs and states."""
        ...


@attrs.frozen(eq=False)
class Custom(Operator):
    """An operator that a user wrote.

    Two of them are never equal: what the user's code does besides computing is not known here, so
    that no two nodes may be taken for one.

    Attributes:
      definition: what the user wrote.
      instance: what runs it; None until it is bound.
      shapes, dtypes: of its inputs and states; known once it is bound.
      training: whether something is to be learnt.
    """

    definition: Definition
    instance: Instance | None = None
    shapes: tuple[Shape, ...] = ()
    dtypes: tuple[np.dtype[Any], ...] = ()
    training: bool = True

    has_instances = True
    # What nobody takes need not be computed: the user's code is told so.
    partial = True

    def __repr__(self) -> str:
        return f"Custom(op_type={self.name!r})"

    @property
    def name(self) -> str:  # type: ignore[override]
        return self.definition.op_type

    @property
    def inputs(self) -> tuple[str, ...]:  # type: ignore[override]
        return self.definition.arguments

    @property
    def auxiliary(self) -> tuple[str, ...]:  # type: ignore[override]
        return self.definition.states

    @property
    def outputs(self) -> tuple[str, ...]:  # type: ignore[override]
        # The hidden ones are for the gradient alone: the states as `forward` left them, since a
        # gradient does not reach states, and something that is there once `forward` has run, so
        # that `backward` comes after it even if it takes nothing else of it.
        kept = (f"{state}_kept" for state in self.definition.states)
        return (*self.definition.outputs, *kept, "ran")

    @property
    def hidden(self) -> int:  # type: ignore[override]
        return len(self.definition.states) + 1

    @property
    def is_loss(self) -> bool:  # type: ignore[override]
        return not self.definition.needs[0]

    def infer_shape(self, *shapes: Shape | None) -> tuple[Shapes, Shapes]:
        found, outputs = self.definition.infer_shape(*shapes)
        return found, (*outputs, *found[len(self.definition.arguments) :], (1,))

    def infer_type(self, *dtypes: np.dtype[Any] | None) -> tuple[Types, Types]:
        found, outputs = self.definition.infer_type(*dtypes)
        return found, (*outputs, *found[len(self.definition.arguments) :], _RAN)

    def at_bind(
        self,
        called: str,
        context: Any,  # noqa: ANN401
        shapes: Sequence[Shape],
        dtypes: Sequence[np.dtype[Any]],
        sources: Sequence[Operator | None],
    ) -> Custom:
        instance = self.definition.create(called, context, shapes, dtypes)
        return attrs.evolve(self, instance=instance, shapes=tuple(shapes), dtypes=tuple(dtypes))

    def at_inference(self) -> Operator:
        return attrs.evolve(self, training=False) if self.training else self

    def forward(self, *arrays: Any) -> None:
        n_inputs, n_states = len(self.definition.arguments), len(self.definition.states)
        inputs, states = arrays[:n_inputs], arrays[n_inputs : n_inputs + n_states]
        made = arrays[n_inputs + n_states :]
        outputs, kept, ran = made[: -n_states - 1], made[-n_states - 1 : -1], made[-1]
        instance = self.instance
        if instance is None:  # applied at once: for this one time
            given = (*inputs, *states)
            shapes, dtypes = [each.shape for each in given], [each.dtype for each in given]
            instance = self.definition.create("", None, shapes, dtypes)
        instance.forward(inputs, states, outputs, training=self.training)
        for state, copy in zip(states, kept, strict=True):
            if copy is not None:
                np.copyto(copy, state)
        if ran is not None:
            ran.fill(1)

    def require_backward(self) -> None:
        """Raise a `GradientError` if what the user wrote has no gradient."""
        if self.instance is not None and not self.instance.has_backward:
            raise GradientError(f"{self.name}: this operator has no gradient: it has no backward")

    def gradient(
        self, apply: Apply, inputs: Handles, outputs: Handles, out_grads: Handles
    ) -> Handles:
        if not inputs:
            return ()
        self.require_backward()
        made_of = CustomGradient(self, whole=self.instance is None)
        above, data, made = made_of.needs
        grads = [
            apply(ZerosLike(), outputs[which])[0] if out_grads[which] is None else out_grads[which]
            for which in above
        ]
        taken = [*(inputs[which] for which in data), *(outputs[which] for which in made)]
        kept = outputs[len(self.definition.outputs) :]
        return apply(made_of, *grads, *taken, *kept)


@attrs.frozen(eq=False)
class CustomGradient(Operator):
    """The gradients of the inputs of an operator that a user wrote.

    Attributes:
      layer: that operator.
      whole: whether it takes all inputs of the layer, also those of which it needs only the shapes:
        as long as the layer is not bound, nothing else tells them.
    """

    layer: Custom
    whole: bool = False

    has_instances = True
    partial = True

    def __repr__(self) -> str:
        return f"CustomGradient(op_type={self.layer.name!r})"

    @property
    def name(self) -> str:  # type: ignore[override]
        return f"{self.layer.name}_gradient"

    @property
    def needs(self) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        """Which gradients of outputs, inputs and outputs of the layer it takes."""
        above, data, made = self.layer.definition.needs
        return above, tuple(range(len(self.layer.inputs))) if self.whole else data, made

    @property
    def unread(self) -> tuple[str, ...]:  # type: ignore[override]
        names, (_, data, _) = self.layer.inputs, self.layer.definition.needs
        return tuple(names[which] for which in self.needs[1] if which not in data)

    @property
    def inputs(self) -> tuple[str, ...]:  # type: ignore[override]
        definition = self.layer.definition
        above, data, made = self.needs
        return (
            *(f"{definition.outputs[which]}_grad" for which in above),
            *(definition.arguments[which] for which in data),
            *(definition.outputs[which] for which in made),
            *self.layer.outputs[len(definition.outputs) :],
        )

    @property
    def outputs(self) -> tuple[str, ...]:  # type: ignore[override]
        return tuple(f"{name}_grad" for name in self.layer.inputs)

    def infer_shape(self, *shapes: Shape | None) -> tuple[Shapes, Shapes]:
        layer = self.layer
        found: Shapes = layer.shapes
        if not found:
            found, _ = layer.definition.infer_shape(*self._of_layer(shapes))
        return shapes, found[: len(layer.inputs)]

    def infer_type(self, *dtypes: np.dtype[Any] | None) -> tuple[Types, Types]:
        layer = self.layer
        found: Types = layer.dtypes
        if not found:
            found, _ = layer.definition.infer_type(*self._of_layer(dtypes))
        return dtypes, found[: len(layer.inputs)]

    def _of_layer(self, known: Sequence[Any]) -> list[Any]:
        """What is known of the layer's inputs and states, from what is known of these inputs."""
        _, data, _, states, _ = self._parted(known)
        return [*data, *states]

    def _parted(self, values: Sequence[Any]) -> tuple[list[Any], ...]:
        """Values in the order of its inputs, parted by what they belong to.

        Those of the gradients from above, of the layer's inputs, its outputs and its states, with
        None for what it does not take; and then those of its own outputs.
        """
        definition = self.layer.definition
        parts: list[list[Any]] = []
        begin = 0
        counts = (len(definition.outputs), len(definition.arguments), len(definition.outputs))
        for which, count in zip(self.needs, counts, strict=True):
            part: list[Any] = [None] * count
            for place, number in enumerate(which):
                part[number] = values[begin + place]
            parts.append(part)
            begin += len(which)
        end = begin + len(definition.states)
        return (*parts, list(values[begin:end]), list(values[end + 1 :]))

    def at_bind(
        self,
        called: str,
        context: Any,  # noqa: ANN401
        shapes: Sequence[Shape],
        dtypes: Sequence[np.dtype[Any]],
        sources: Sequence[Operator | None],
    ) -> CustomGradient:
        # The last thing that it takes says that its layer has run, so it is of that layer.
        layer = sources[-1]
        if not isinstance(layer, Custom):
            return self
        layer.require_backward()
        return attrs.evolve(self, layer=layer)

    def forward(self, *arrays: Any) -> None:
        above, data, made, states, grads = self._parted(arrays)
        read = self.layer.definition.needs[1]
        data = [each if which in read else None for which, each in enumerate(data)]
        instance = self.layer.instance
        if instance is None:  # applied at once
            alike = [*grads, *states]
            shapes, dtypes = [each.shape for each in alike], [each.dtype for each in alike]
            instance = self.layer.definition.create("", None, shapes, dtypes)
        instance.backward(above, data, made, states, grads)


# -- Names -------------------------------------------------------------------------------------

_registered: Final[dict[str, Callable[[dict[str, str]], Definition]]] = {}


def register(op_type: str, define: Callable[[dict[str, str]], Definition]) -> None:
    """Have `custom` find an operator; one that was registered by this name before is forgotten.

    Args:
      op_type: its name.
      define: makes its definition from its parameters, as texts.
    """
    _registered[op_type] = define


def custom(op_type: str, texts: Mapping[str, str]) -> Custom:
    """An operator that was registered.

    Args:
      op_type: its name.
      texts: its parameters.

    Raises:
      ParameterError: there is none of that name, or it does not take these parameters.
    """
    define = _registered.get(op_type)
    if define is None:
        near = difflib.get_close_matches(str(op_type), _registered, 3, 0.5)
        hint = f"decorate its class with actorflow.operator.register({op_type!r}) first"
        if near:
            hint = f"did you mean {' or '.join(map(repr, near))}?"
        raise ParameterError(f"Custom: no operator is registered as {op_type!r}; {hint}")
    return Custom(define(dict(texts)))


def from_texts(texts: Mapping[str, str]) -> Custom:
    """The operator that a file means by `Custom`; raises as `custom`."""
    rest = dict(texts)
    op_type = rest.pop("op_type", None)
    if op_type is None:
        raise ParameterError("Custom: the parameter 'op_type' is missing; it is a name")
    return custom(op_type, rest)


def to_texts(operator: Custom) -> dict[str, str]:
    """The parameters that a file holds.

    Raises:
      FormatError: no file can hold it.
    """
    texts = operator.definition.texts
    if texts is None:
        raise FormatError(
            f"{operator.name}: symbol files hold operators that are registered with "
            "actorflow.operator.register, not objects of a NumpyOp or an NDArrayOp"
        )
    return {"op_type": operator.name, **texts}
