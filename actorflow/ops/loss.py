"""Losses: the ends of networks. Their gradients do not depend on what comes from above."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import attrs
import numpy as np

from actorflow.ops.blocks import BLOCK, Notes, all_floating, blocks, check_floating, run, space
from actorflow.ops.operator import Operator, call_each
from actorflow.ops.parameters import choice, flag, number
from actorflow.ops.softmax import Space, View, softmax, softmax_space, split_at
from actorflow.ops.types import prod

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actorflow.ops.operator import Apply, Call, Handles
    from actorflow.ops.types import Memory, Shape

__all__ = [
    "MakeLoss",
    "MakeLossGradient",
    "SoftmaxOutput",
    "SoftmaxOutputGradient",
    "WithLabel",
]

# Each block costs a dozen calls for its labels, whatever the number of classes.
_BLOCK: Final = 4 * BLOCK


class WithLabel(Operator):
    """A loss that compares `data`, of a floating type, with `label`, of any type."""

    __slots__ = ()

    inputs = ("data", "label")
    inplace = (("data", "output"),)
    is_loss = True

    def infer_type(
        self, *dtypes: np.dtype[Any] | None
    ) -> tuple[tuple[np.dtype[Any] | None, ...], tuple[np.dtype[Any] | None, ...]]:
        data, label = dtypes
        # Classes may well be integers: float16 does not even hold all those below 3000.
        check_floating(self, data)
        return (data, label or data), (data,)


# -- Softmax ------------------------------------------------------------------------------------


@attrs.frozen
class SoftmaxOutput(WithLabel):
    """Softmax, and the gradient of its cross entropy with the classes in `label`.

    `data` and the output are `(n, ...)`: the softmax of each sample, all its axes as one. With
    `multi_output` they are `(n, k, ...)` with a softmax over the k classes at each place, and with
    `preserve_shape` they are `(..., k)`. `label` has a class, from 0, for each softmax: `(n,)`,
    `(n, places)` or `(..., )` of `data`'s other axes; an axis of size 1 in the place of the classes
    is as good. Or it has the shape of `data` and holds probabilities.

    The gradient of `data` is `(output - one_hot(label)) * grad_scale`, divided by what
    `normalization` says and, with `multi_output` but not `valid`, by the number of places. That of
    probabilities is `(output - label) * grad_scale`, never divided. Classes that are no integers
    are rounded towards 0; one out of range is an `IndexError`.
    """

    grad_scale: float = number(1, doc="what the gradient is multiplied by")
    ignore_label: float = number(-1, doc="the class that use_ignore and 'valid' mean")
    multi_output: bool = flag(False, doc="the classes are the second axis")
    use_ignore: bool = flag(False, doc="the gradient is 0 where label is ignore_label")
    preserve_shape: bool = flag(False, doc="the classes are the last axis")
    normalization: str = choice(
        "null",
        "batch",
        "valid",
        default="null",
        doc="divide the gradient by nothing, the samples, or the labels but ignore_label",
    )
    out_grad: bool = flag(False, doc="multiply the gradient by the output's")
    smooth_alpha: float = number(
        0, least=0, most=1, doc="how much of a label is given to the other classes, evenly"
    )

    name = "SoftmaxOutput"
    costly = True

    @property
    def is_loss(self) -> bool:  # type: ignore[override]
        return not self.out_grad

    def view(self, data: Shape) -> View:
        """What is before the classes, the classes, and what is behind."""
        if self.multi_output:
            if len(data) == 1:
                self.refuse("data", data, "multi_output needs (n, classes, ...)")
            return split_at(data, 1)
        if self.preserve_shape:
            return split_at(data, len(data) - 1)
        return data[0], prod(data[1:]), 1

    def infer_shape(
        self, *shapes: Shape | None
    ) -> tuple[tuple[Shape | None, ...], tuple[Shape | None, ...]]:
        data, label = shapes
        if data is None:
            return shapes, (None,)
        outer, _, inner = self.view(data)
        if self.multi_output:
            usual: tuple[int, ...] = (outer, inner) if len(data) > 2 else (outer,)
        else:
            usual = (data[:-1] or (1,)) if self.preserve_shape else data[:1]
        if label is None:
            label = usual
        elif label != data and (prod(label) != outer * inner or label[0] != usual[0]):
            self.refuse(
                "label", label, f"data {data} needs {usual} for classes, or {data} for chances"
            )
        return (data, label), (data,)

    def scratch(self, shapes: Sequence[Shape], dtypes: Sequence[np.dtype[Any]]) -> Space:
        return softmax_space(self.view(shapes[0]), dtypes[0], 1)

    def calls(self, arrays: list[Any]) -> list[Call]:
        data, _, output, room = arrays
        notes = Notes()
        softmax(data, output, self.view(data.shape), room, do=notes)
        return notes.calls

    def forward(self, *arrays: Memory) -> None:
        call_each(self.calls(list(arrays)))

    def gradient(
        self, apply: Apply, inputs: Handles, outputs: Handles, out_grads: Handles
    ) -> Handles:
        more = out_grads if self.out_grad else ()
        return (*apply(SoftmaxOutputGradient(self), *outputs, inputs[1], *more), None)


@attrs.frozen
class SoftmaxOutputGradient(Operator):
    """The gradient of a `SoftmaxOutput`, in one pass over its output."""

    layer: SoftmaxOutput

    name = "SoftmaxOutput_gradient"
    outputs = ("data_grad",)

    @property
    def inputs(self) -> tuple[str, ...]:  # type: ignore[override]
        return ("output", "label", "grad") if self.layer.out_grad else ("output", "label")

    @property
    def inplace(self) -> tuple[tuple[str, str], ...]:  # type: ignore[override]
        return (("output", "data_grad"),)

    def output_shape(self, *shapes: Shape) -> Shape:
        self.layer.infer_shape(*shapes[:2])
        if shapes[2:] not in ((), shapes[:1]):
            self.refuse("grad", shapes[2], f"output has {shapes[0]}")
        return shapes[0]

    def output_type(self, *dtypes: np.dtype[Any]) -> np.dtype[Any]:
        check_floating(self, dtypes[0])
        return dtypes[0]

    def scratch(self, shapes: Sequence[Shape], dtypes: Sequence[np.dtype[Any]]) -> Space:
        if shapes[0] != shapes[1]:
            return ()
        return space(prod(shapes[0]), (*dtypes, dtypes[0]), 0)

    def forward(self, output: Memory, label: Memory, *rest: Memory) -> None:
        if output.shape == label.shape:
            self._from_chances(output, label, *rest)
        else:
            self._from_classes(output, label, *rest)

    def _from_chances(self, output: Memory, label: Memory, *rest: Memory) -> None:
        count = len(self.inputs) - 2
        grads, data_grad, scratch = rest[:count], rest[count], rest[count + 1 :]
        scale = self.layer.grad_scale

        def step(output: Memory, label: Memory, *blocks: Memory) -> None:
            *above, found = blocks
            np.subtract(output, label, found)
            if scale != 1:
                np.multiply(found, scale, found)
            for each in above:
                np.multiply(found, each, found)

        run(step, [output, label, *grads], [data_grad], scratch)

    def _scale(self, label: Memory, view: View) -> float:
        """What all gradients are multiplied by."""
        layer, (outer, _, inner) = self.layer, view
        scale = layer.grad_scale
        if layer.normalization == "valid":
            ignored = int(np.count_nonzero(_classes(label) == int(layer.ignore_label)))
            return scale / max(1, label.size - ignored)
        if layer.multi_output:
            scale /= inner
        return scale / outer if layer.normalization == "batch" else scale

    def _from_classes(self, output: Memory, label: Memory, *rest: Memory) -> None:
        *grads, data_grad = rest
        layer, view = self.layer, self.layer.view(output.shape)
        outer, k, inner = view
        if not output.size:
            return
        scale = self._scale(label, view)
        output, data_grad = output.reshape(view), data_grad.reshape(view)
        label = label.reshape(outer, inner)
        # A label counts for 1 - alpha, and each other class for its part of alpha.
        others = layer.smooth_alpha / max(1, k - 1)
        at_label = scale * (1 - layer.smooth_alpha - others)
        for part in blocks(outer, max(1, _BLOCK // (k * inner))):
            found, classes = data_grad[part], _classes(label[part])
            if scale != 1:
                np.multiply(output[part], scale, found)
            elif not np.may_share_memory(output, data_grad):
                np.copyto(found, output[part])
            if others:
                np.subtract(found, scale * others, found)
            ignored = classes == int(layer.ignore_label) if layer.use_ignore else None
            if ignored is not None:
                classes = np.where(ignored, 0, classes)
            flat = found.reshape(-1)
            flat[self._places(classes, k)] -= flat.dtype.type(at_label)
            if ignored is not None and ignored.any():
                found.transpose(0, 2, 1)[ignored] = 0
            for above in grads:
                np.multiply(found, above.reshape(view)[part], found)

    def _places(self, classes: Memory, k: int) -> Memory:
        """Where each label's class is in a block, counted through its elements.

        Raises:
          IndexError: there is no such class.
        """
        wrong = classes.view(np.uint64) >= k  # as are all negative ones, seen so
        if wrong.any():
            raise IndexError(
                f"{self.layer.name}: label has the class {classes[wrong][0]}, but data has {k} "
                f"classes, 0 to {k - 1}; use_ignore with ignore_label leaves one class out"
            )
        outer, inner = classes.shape
        places: Memory
        if inner == 1:
            places = classes[:, 0] + np.arange(0, outer * k, k)
        else:
            start = np.arange(0, outer * k * inner, k * inner)[:, np.newaxis]
            places = classes * inner + start + np.arange(inner)
        return places


def _classes(label: Memory) -> Memory:
    """Labels as integers, rounded towards 0."""
    return label.astype(np.int64, casting="unsafe", copy=False)


# -- Whatever is a loss -------------------------------------------------------------------------


@attrs.frozen
class MakeLoss(Operator):
    """`data` as it is, as a loss that is to be made small: its gradient is `grad_scale`.

    With `normalization` "batch" it is divided by the number of samples, with "valid" by the number
    of elements above `valid_thresh`, or by 1 if there are none.
    """

    grad_scale: float = number(1, doc="the gradient")
    valid_thresh: float = number(0, doc="what an element has to be above to count")
    normalization: str = choice(
        "null", "batch", "valid", default="null", doc="what the gradient is divided by"
    )

    name = "MakeLoss"
    inputs = ("data",)
    inplace = (("data", "output"),)
    is_view = True
    is_loss = True

    def output_shape(self, *shapes: Shape) -> Shape:
        return shapes[0]

    def infer_type(
        self, *dtypes: np.dtype[Any] | None
    ) -> tuple[tuple[np.dtype[Any] | None, ...], tuple[np.dtype[Any] | None, ...]]:
        return all_floating(self, dtypes)

    def forward(self, data: Memory, output: Memory) -> None:
        np.copyto(output, data)

    def gradient(
        self, apply: Apply, inputs: Handles, outputs: Handles, out_grads: Handles
    ) -> Handles:
        # The output, which somebody who makes a loss keeps anyway.
        return apply(MakeLossGradient(self), *outputs)


@attrs.frozen
class MakeLossGradient(Operator):
    """The gradient of a `MakeLoss`: one number everywhere."""

    layer: MakeLoss

    name = "MakeLoss_gradient"
    inputs = ("output",)
    outputs = ("data_grad",)
    inplace = (("output", "data_grad"),)

    def output_shape(self, *shapes: Shape) -> Shape:
        return shapes[0]

    def output_type(self, *dtypes: np.dtype[Any]) -> np.dtype[Any]:
        return dtypes[0]

    def forward(self, output: Memory, data_grad: Memory) -> None:
        layer = self.layer
        count = 1
        if layer.normalization == "batch":
            count = output.shape[0]
        elif layer.normalization == "valid":
            flat = output.reshape(-1)
            count = sum(
                int(np.count_nonzero(flat[part] > layer.valid_thresh)) for part in blocks(flat.size)
            )
        data_grad.fill(layer.grad_scale / max(1, count))
