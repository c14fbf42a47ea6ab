"""Executors: symbols that are bound to arrays."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import numpy as np

from actorflow.engine import current_engine
from actorflow.errors import DTypeError, EngineError, ShapeError
from actorflow.executor.arrays import BoundArrays
from actorflow.executor.build import (
    backward_heads,
    bound_heads,
    inference_heads,
    needed_grads,
    refuse_gradients,
    training_heads,
)
from actorflow.executor.message import STAGES
from actorflow.executor.pool import Pool
from actorflow.executor.program import Program
from actorflow.graph import Ordered
from actorflow.ndarray import NDArray, empty, stream, zeros
from actorflow.ops import described, meant, prod
from actorflow.settings import read_choice, read_number

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from actorflow.device import Context
    from actorflow.executor.message import Message
    from actorflow.graph import Entry, Node
    from actorflow.ops import Shape
    from actorflow.symbol import Symbol

__all__ = ["Executor"]

# The work that is worth a message of its own, in microseconds: ten times what a message costs.
_WORTH_US = 200
_SHOWN = 4  # arguments

Bound = TypeVar("Bound")


class Executor:
    """A symbol bound to arrays: it computes the outputs, and the gradients, when it is asked to.

    Everything is lazy: `forward` and `backward` push messages and return. Made by `Symbol.bind` and
    `Symbol.simple_bind`. An executor has one state, so it is for one thread or task at a time, and
    so are all executors that share memory.

    Attributes:
      symbol: what it computes.
      context: where, but for the operators of groups.
      arg_arrays: the arrays of the arguments, in the order of `symbol.list_arguments()`.
      grad_arrays: for each argument the array of its gradient, or None.
      aux_arrays: the arrays of the auxiliary states.
      outputs: the arrays of the outputs; always the same ones.
      arg_dict, grad_dict, aux_dict, output_dict: the same arrays by name. Write into them, as in
        `arg_dict["data"][:] = batch`: another array in the place of one is refused.
    """

    def __init__(
        self,
        symbol: Symbol,
        context: Context,
        heads: Sequence[Entry],
        groups: Mapping[str, Context],
        pool: Pool | None,
        arg_arrays: Sequence[NDArray],
        grad_arrays: Sequence[NDArray | None],
        grad_reqs: Sequence[str],
        aux_arrays: Sequence[NDArray],
        outputs: Sequence[NDArray],
    ) -> None:
        self.symbol = symbol
        self.context = context
        self._name = symbol.name or "a group"
        self.arg_arrays = list(arg_arrays)
        self.grad_arrays = list(grad_arrays)
        self.aux_arrays = list(aux_arrays)
        self._grad_reqs = list(grad_reqs)
        self._groups = dict(groups)
        _, _, arguments, states = symbol._walk()
        self._arguments, self._states = arguments, states
        self._heads = list(bound_heads(heads, self._bound(), self._groups, context))
        self.outputs = list(outputs)
        names = [node.name for node in arguments]
        kept = [node.name for node in states]
        self.arg_dict = _by_name("arg_dict", names, self.arg_arrays)
        self.grad_dict = _by_name("grad_dict", names, self.grad_arrays)
        self.aux_dict = _by_name("aux_dict", kept, self.aux_arrays)
        self.output_dict = _by_name("output_dict", symbol.list_outputs(), self.outputs)
        self._least = read_number("AF_SEGMENT_US", _WORTH_US, least=0)
        self._fuse = read_choice("AF_FUSE", ("1", "0")) == "1"
        # For training and for prediction. While somebody watches, those without fusion run, which
        # have all values.
        self._programs: dict[bool, Program] = {}
        self._watched: dict[bool, Program] = {}
        # Their messages, made anew when the pool has got other memory.
        self._wired: dict[Program, list[list[Message]]] = {}
        self._pool = Pool() if pool is None else pool
        self._pool.members.add(self)
        self._compiling = threading.RLock()
        # By the numbers of the outputs that are no losses.
        self._out_grads: dict[int, NDArray] = {}
        # What ran in the last forward for training, if no backward has followed, and the
        # generators of that run.
        self._trained: Program | None = None
        self._draws: list[Callable[[], np.random.Generator]] = []
        self._checked = False
        self._monitor: Callable[[str, NDArray], None] | None = None

    def __repr__(self) -> str:
        shown = [f"{name}={each.shape}" for name, each in self.arg_dict.items()]
        if len(shown) > _SHOWN:
            shown[_SHOWN:] = [f"{len(shown) - _SHOWN} more"]
        return f"<Executor of {self._name} on {self.context}: {', '.join(shown)}>"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied.

        Raises:
          TypeError: always; the message says what to pickle instead.
        """
        message = (
            f"the executor of {self.symbol!r} cannot be pickled or copied, as it computes in "
            "memory of its own: pickle its symbol, arg_dict and aux_dict, and bind them again"
        )
        raise TypeError(message)

    def copy_params_from(
        self,
        arg_params: Mapping[str, NDArray],
        aux_params: Mapping[str, NDArray] | None = None,
        allow_extra_params: bool = False,  # noqa: FBT001, FBT002
    ) -> None:
        """Copy arrays into those of the arguments and states that have their names.

        Raises:
          TypeError: they are not given by name, or something is no NDArray.
          ValueError: there is no such name, unless extra ones are allowed.
          TypeError: something is no array.
          ShapeError: an array has another shape. Nothing has been copied when one is raised.
        """
        for given, own in ((arg_params, self.arg_dict), (aux_params or {}, self.aux_dict)):
            if not isinstance(given, Mapping):
                message = f"copy_params_from: takes arrays by name, got {described(given)}"
                raise TypeError(message)
            for name in given:
                if name not in own and not allow_extra_params:
                    message = (
                        f"copy_params_from: {self.symbol!r} has nothing called {name!r}; "
                        f"{meant(name, own)}"
                    )
                    raise ValueError(message)
            for name, value in given.items():
                if name in own and not isinstance(value, NDArray):
                    message = (
                        f"copy_params_from: {name} has to be an NDArray, got {described(value)}"
                    )
                    raise TypeError(message)
                if name in own and value.shape != own[name].shape:
                    message = (
                        f"copy_params_from: {name} has shape {value.shape}, but was bound with "
                        f"{own[name].shape}"
                    )
                    raise ShapeError(message)
        for given, own in ((arg_params, self.arg_dict), (aux_params or {}, self.aux_dict)):
            for name, value in given.items():
                if name in own:
                    value.copyto(own[name])

    # -- Computing -----------------------------------------------------------------------------

    def forward(self, is_train: bool = False, **kwargs: Any) -> list[NDArray]:  # noqa: FBT001, FBT002
        """Compute the outputs.

        Args:
          is_train: whether `backward` follows; operators such as Dropout and BatchNorm then do
            what they do in training.
          kwargs: arrays to copy into arguments first, by name.

        Returns:
          `outputs`.

        Raises:
          ValueError: there is no such argument, or its array is not writable, or, in training, that
            of an auxiliary state.
          TypeError: something is no array, or `is_train` is one.
          GradientError: training needs the gradient of an operator that has none.
          ShapeError: an array has another shape than the argument.
          DTypeError: a NumPy array holds something else than real numbers.
        """
        if not isinstance(is_train, int | np.bool_):
            message = (
                f"forward: is_train needs True or False, got {described(is_train)}; arrays are "
                "given by name, such as data=batch"
            )
            raise TypeError(message)
        self._check_fed(kwargs)
        for name, state in self.aux_dict.items():
            if is_train and not state._writable:
                message = f"forward: {name} is updated in training, but is not writable"
                raise ValueError(message)
        program = self._program(training=bool(is_train))
        forward = self._messages(program)[0]
        taps = self._taps(program)
        self._trained = None
        for name, value in kwargs.items():
            self.arg_dict[name][:] = value
        engine = current_engine()
        self._pool.take(program, engine)
        self._draws = []
        if program.n_draws:
            source = stream(self.context)
            self._draws = [source.draw() for _ in range(program.n_draws)]
        self._send(forward, taps)
        if is_train:
            self._trained = program
        if self._monitor is not None:
            for entry, value in taps.items():
                self._monitor(entry.name, value)
        return self.outputs

    def set_monitor_callback(self, callback: Callable[[str, NDArray], None] | None) -> None:
        """Have a function called with the name and the array of every output of every operator.

        It is called in each `forward`, in this thread, at once: the arrays are lazy like all
        others, and have memory of their own, so that they may be kept. Operators then run one by
        one, none fused with others, and each value is copied.

        Args:
          callback: the function; None for none any more.

        Raises:
          TypeError: it cannot be called.
        """
        if callback is not None and not callable(callback):
            message = (
                "set_monitor_callback: needs a function of a name and an array, "
                f"got {described(callback)}"
            )
            raise TypeError(message)
        self._monitor = callback

    def set_detect_anomaly(self, active: bool = True) -> None:  # noqa: FBT001, FBT002
        """Have `forward` and `backward` stop at the first operator that gives NaN or an infinity.

        Whoever reads what depends on it then gets an `AnomalyError` that names the pass, the
        operator, the line where it was made and how many elements are not finite. Operators then
        run one by one, none fused with others, and all values are looked at.

        Args:
          active: whether to look from now on.
        """
        self._checked = bool(active)

    def _taps(self, program: Program) -> dict[Entry, NDArray]:
        if self._monitor is None:
            return {}
        return program.tapped()

    def backward(self, out_grads: NDArray | Sequence[NDArray] | None = None) -> None:
        """Compute the gradients of the last `forward(is_train=True)`, once.

        Args:
          out_grads: the gradients of the outputs; not needed if there are only losses, which ignore
            them, and outputs through which none can come, such as those of `BlockGrad`. None for an
            output through which none is to come.

        Raises:
          RuntimeError: the last forward was none for training, or another executor has run forward
            since in the memory that both share.
          EngineError: another engine still works on the arrays, as if `forward` was called on it.
          ValueError: an output that needs a gradient has none.
          TypeError, ShapeError: a gradient is no array, or not of its output's shape.
        """
        program = self._trained
        if program is None:
            message = (
                "backward: call forward(is_train=True) first; a second backward needs another one, "
                "since the first has used up the values in between"
            )
            raise RuntimeError(message)
        if self._pool.holder is not program:
            message = (
                "backward: another executor that shares this one's memory has run forward since, "
                "and has taken the place of the values in between"
            )
            raise RuntimeError(message)
        self._feed_out_grads(out_grads)
        messages = self._messages(program)[1]
        if not messages:
            return
        self._trained = None
        self._send(messages, {})

    def _send(self, messages: Sequence[Message], taps: Mapping[Entry, NDArray]) -> None:
        engine = current_engine()
        source = stream(self.context).resource(engine) if self._draws else None
        for message in messages:
            try:
                message.send(engine, self._draws, source, taps, checked=self._checked)
            except EngineError as error:
                stage = STAGES[message.segment.stage]
                told = f"{stage}: the executor of {self._name!r} cannot compute on this engine: "
                raise EngineError(told + str(error)) from error

    def _check_fed(self, given: Mapping[str, Any]) -> None:
        arguments = self.arg_dict
        for name, value in given.items():
            if name not in arguments:
                hint = meant(name, arguments)
                message = f"forward: {self.symbol!r} has no argument {name!r}; {hint}"
                raise ValueError(message)
            if not isinstance(value, NDArray | np.ndarray):
                message = (
                    f"forward: {name} has to be an NDArray or NumPy array, got {described(value)}"
                )
                raise TypeError(message)
            if value.dtype.kind not in "biuf":
                message = f"forward: {name} is of {value.dtype}, but needs real numbers"
                raise DTypeError(message)
            if value.shape != arguments[name].shape:
                message = (
                    f"forward: {name} has shape {value.shape}, but was bound with "
                    f"{arguments[name].shape}"
                )
                raise ShapeError(message)
            if not arguments[name]._writable:
                message = f"forward: {name} was bound to an array that is not writable"
                raise ValueError(message)

    def _feed_out_grads(self, out_grads: NDArray | Sequence[NDArray] | None) -> None:
        if out_grads is None:
            if self._out_grads:
                names = ", ".join(repr(self._heads[head].name) for head in self._out_grads)
                message = f"backward: out_grads are needed for outputs that are no losses: {names}"
                raise ValueError(message)
            return
        if not isinstance(out_grads, NDArray | list | tuple):
            what = described(out_grads)
            message = f"backward: out_grads needs an NDArray, or a list of them, got {what}"
            raise TypeError(message)
        given = [out_grads] if isinstance(out_grads, NDArray) else list(out_grads)
        if len(given) != len(self.outputs):
            message = f"backward: {len(given)} out_grads for {len(self.outputs)} outputs"
            raise ValueError(message)
        for head, target in self._out_grads.items():
            value, name = given[head], self._heads[head].name
            if value is not None and not isinstance(value, NDArray):
                message = (
                    f"backward: the gradient of {name} has to be an NDArray, got {described(value)}"
                )
                raise TypeError(message)
            if value is not None and value.shape != target.shape:
                message = (
                    f"backward: the gradient of {name} has shape {value.shape}, but {name} has "
                    f"{target.shape}"
                )
                raise ShapeError(message)
        for head, target in self._out_grads.items():
            target[:] = 0 if given[head] is None else given[head]

    # -- Programs ------------------------------------------------------------------------------

    def _messages(self, program: Program) -> list[list[Message]]:
        found = self._wired.get(program)
        if found is None:
            found = self._wired[program] = program.wire(self._pool, self._name)
        return found

    def _program(self, *, training: bool) -> Program:
        fuse = self._fuse and self._monitor is None and not self._checked
        programs = self._programs if fuse or not self._fuse else self._watched
        found = programs.get(training)
        if found is None:
            with self._compiling:
                found = programs.get(training)
                if found is None:
                    found = self._train(fuse=fuse) if training else self._predict(fuse=fuse)
                    programs[training] = found
        return found

    def _bound(self) -> dict[Node, NDArray]:
        nodes = (*self._arguments, *self._states)
        return dict(zip(nodes, (*self.arg_arrays, *self.aux_arrays), strict=True))

    def _wanted(self) -> dict[Node, tuple[str, NDArray]]:
        """How the gradient of each argument that is to have one is written, and where."""
        return {
            node: (req, grad)
            for node, grad, req in zip(
                self._arguments, self.grad_arrays, self._grad_reqs, strict=True
            )
            if grad is not None and req != "null"
        }

    def _check_gradients(self, who: str) -> None:
        types = {node: each._block.dtype for node, each in self._bound().items()}
        refuse_gradients(who, self._heads, types, self._wanted())

    def _predict(self, *, fuse: bool) -> Program:
        heads = inference_heads(self._heads, fuse=fuse)
        graph = Ordered.of(heads, [len(heads)])
        return self._compiled(graph, self.outputs, self._bound(), fuse=fuse)

    def _compiled(
        self,
        graph: Ordered,
        targets: Sequence[NDArray],
        bound: Mapping[Node, NDArray],
        *,
        fuse: bool,
    ) -> Program:
        return Program(
            graph,
            targets,
            bound,
            self.context,
            fuse=fuse,
            groups=self._groups,
            learns=len(graph.stages) > 1,
            least=self._least,
        )

    def _train(self, *, fuse: bool) -> Program:
        bound = self._bound()
        wanted = self._wanted()
        heads, head_grads = training_heads(self._heads, fuse=fuse)
        grads, sums = backward_heads(heads, head_grads, wanted, self._groups)
        # Those of the last layers first: so each is computed as soon as it can be, and what it
        # needs is not kept for long.
        grads.reverse()
        graph = Ordered.of([*heads, *grads], [len(heads), len(grads)])
        for node, head in needed_grads(head_grads, graph).items():
            if head not in self._out_grads:
                output = self.outputs[head]
                made = empty(output.shape, output.context, output._block.dtype)
                self._out_grads[head] = made
            bound[node] = self._out_grads[head]
        bound.update({node: wanted[of][1] for node, of in sums.items()})
        targets = [*self.outputs, *reversed([grad for _, grad in wanted.values()])]
        return self._compiled(graph, targets, bound, fuse=fuse)

    def reshape(
        self,
        partial_shaping: bool = False,  # noqa: FBT001, FBT002
        allow_up_sizing: bool = False,  # noqa: FBT001, FBT002
        **shapes: Shape,
    ) -> Executor:
        """An executor for other shapes that shares the arrays whose shapes stay the same.

        Both share the memory for what is computed in between, as with `shared_exec`.

        Args:
          partial_shaping: whether the shapes of arguments that are not named here may change.
          allow_up_sizing: whether arrays may get larger; those that do not share their memory.
          shapes: the new shapes of arguments by name, such as `data=(16, 784)`.

        Raises:
          ShapeError: a shape cannot be told, or changes although it may not.
        """
        arg_shapes, _, aux_shapes = self.symbol.infer_shape(**shapes)
        names = [node.name for node in self._arguments]
        if arg_shapes is None or aux_shapes is None:
            told = self.symbol.infer_shape_partial(**shapes)[0]
            unknown = [name for name, shape in zip(names, told, strict=True) if shape is None]
            message = f"reshape: the shapes of {', '.join(unknown)} cannot be told from {shapes}"
            raise ShapeError(message)
        for name, shape, own in zip(names, arg_shapes, self.arg_arrays, strict=True):
            if shape != own.shape and name not in shapes and not partial_shaping:
                message = (
                    f"reshape: {name} would change from {own.shape} to {shape}: name its shape, or "
                    "say partial_shaping=True"
                )
                raise ShapeError(message)

        def fitted(name: str, own: NDArray, shape: Shape) -> NDArray:
            if own.shape == shape:
                return own
            if prod(shape) <= own.size:
                return own.reshape((-1,))[: prod(shape)].reshape(shape)
            if not allow_up_sizing:
                message = (
                    f"reshape: {name} would grow from {own.shape} to {shape}: say "
                    "allow_up_sizing=True"
                )
                raise ShapeError(message)
            return zeros(shape, own.context, own._block.dtype)

        args = [fitted(*each) for each in zip(names, self.arg_arrays, arg_shapes, strict=True)]
        grads = [
            None if grad is None else fitted(name, grad, shape)
            for name, grad, shape in zip(names, self.grad_arrays, arg_shapes, strict=True)
        ]
        kept = [node.name for node in self._states]
        states = [fitted(*each) for each in zip(kept, self.aux_arrays, aux_shapes, strict=True)]
        from actorflow.executor.bind import bind  # noqa: PLC0415 -- it makes executors

        # Who names a shape here means it, whatever the variable was made with.
        more = (self._grad_reqs, states, self._groups, self)
        return bind(self.symbol, self.context, args, grads, *more, hinted=False)

    def debug_str(self) -> str:
        """The plan as text: every operator in its order, the messages, and how much memory."""
        training = any(req != "null" for req in self._grad_reqs)
        program = self._program(training=training)
        lines = []
        for segment in program.segments:
            if program.shares:
                lines.append(f"{program.name_of(segment, self._name)}, in {segment.context}:")
            lines += [f"{node.operator!r} {node.name}" for node in segment.nodes]
        lines.append(f"Total {program.plan.total / 2**20:.3f} MB allocated")
        return "\n".join(lines)


def _by_name(what: str, names: Sequence[str], arrays: Sequence[Bound]) -> BoundArrays[Bound]:
    return BoundArrays(what, dict(zip(names, arrays, strict=True)))
