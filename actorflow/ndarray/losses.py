"""Where gradients begin and end.

`out` is where the result goes instead of into a new array. It may be or overlap an input, but not
a state. What `is_train` chooses is what `Executor.forward` takes it for.

Each raises in the call: `ParameterError` if a parameter is not valid, `TypeError` if an array is
missing or superfluous or is none, `ShapeError`, `DTypeError` and `ContextError` if the arrays or
`out` do not fit, and `ValueError` if what is written is not writable or is memory of something
else that is written. Wrong values, such as an index, fail the operation, where it is waited for.
"""

# Written by docs/make_symbols.py from what the operators say of their parameters:
# change it there, and run `make symbols`.

from __future__ import annotations

from typing import TYPE_CHECKING

from actorflow import ops
from actorflow.ndarray.kit import layer

if TYPE_CHECKING:
    from actorflow.ndarray.array import NDArray

__all__ = [
    "BlockGrad",
    "LinearRegressionOutput",
    "LogisticRegressionOutput",
    "MAERegressionOutput",
    "MakeLoss",
    "Softmax",
    "SoftmaxOutput",
    "make_loss",
    "stop_gradient",
]


def BlockGrad(
    data: NDArray,
    *,
    out: NDArray | None = None,
) -> NDArray:
    """The same elements, but no gradient goes back through it.

    Args:
      data: the input.
      out: where the result goes; it may be an input.
    """
    operator = ops.BlockGrad.of()
    return layer(operator, out, data)


stop_gradient = BlockGrad


def LinearRegressionOutput(
    data: NDArray,
    label: NDArray,
    *,
    grad_scale: float = 1,
    out: NDArray | None = None,
) -> NDArray:
    """`data` as it is, and the gradient of half the squared distance to `label`.

    `label` has the shape of `data`, or another one with as many elements for each sample. The
    gradient is `(output - label) * grad_scale`, divided by the number of outputs of a sample.

    Args:
      data, label: the inputs.
      grad_scale: what the gradient is multiplied by; a number.
      out: where the result goes; it may be an input.
    """
    operator = ops.LinearRegressionOutput.of(grad_scale=grad_scale)
    return layer(operator, out, data, label)


def LogisticRegressionOutput(
    data: NDArray,
    label: NDArray,
    *,
    grad_scale: float = 1,
    out: NDArray | None = None,
) -> NDArray:
    """`1 / (1 + exp(-data))`, and the gradient of its cross entropy with the chances in `label`.

    `label` has the shape of `data`, or another one with as many elements for each sample. The
    gradient is `(output - label) * grad_scale`, divided by the number of outputs of a sample.

    Args:
      data, label: the inputs.
      grad_scale: what the gradient is multiplied by; a number.
      out: where the result goes; it may be an input.
    """
    operator = ops.LogisticRegressionOutput.of(grad_scale=grad_scale)
    return layer(operator, out, data, label)


def MAERegressionOutput(
    data: NDArray,
    label: NDArray,
    *,
    grad_scale: float = 1,
    out: NDArray | None = None,
) -> NDArray:
    """`data` as it is, and the gradient of the distance to `label`.

    `label` has the shape of `data`, or another one with as many elements for each sample. The
    gradient is `sign(output - label) * grad_scale`, divided by the number of outputs of a sample.

    Args:
      data, label: the inputs.
      grad_scale: what the gradient is multiplied by; a number.
      out: where the result goes; it may be an input.
    """
    operator = ops.MAERegressionOutput.of(grad_scale=grad_scale)
    return layer(operator, out, data, label)


def MakeLoss(
    data: NDArray,
    *,
    grad_scale: float = 1,
    valid_thresh: float = 0,
    normalization: str = "null",
    out: NDArray | None = None,
) -> NDArray:
    """`data` as it is, as a loss that is to be made small: its gradient is `grad_scale`.

    With `normalization` "batch" it is divided by the number of samples, with "valid" by the number
    of elements above `valid_thresh`, or by 1 if there are none.

    Args:
      data: the input.
      grad_scale: the gradient; a number.
      valid_thresh: what an element has to be above to count; a number.
      normalization: what the gradient is divided by; 'null', 'batch' or 'valid'.
      out: where the result goes; it may be an input.
    """
    operator = ops.MakeLoss.of(
        grad_scale=grad_scale,
        valid_thresh=valid_thresh,
        normalization=normalization,
    )
    return layer(operator, out, data)


make_loss = MakeLoss


def SoftmaxOutput(
    data: NDArray,
    label: NDArray,
    *,
    grad_scale: float = 1,
    ignore_label: float = -1,
    multi_output: bool = False,
    use_ignore: bool = False,
    preserve_shape: bool = False,
    normalization: str = "null",
    out_grad: bool = False,
    smooth_alpha: float = 0,
    out: NDArray | None = None,
) -> NDArray:
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

    Args:
      data, label: the inputs.
      grad_scale: what the gradient is multiplied by; a number.
      ignore_label: the class that use_ignore and 'valid' mean; a number.
      multi_output: the classes are the second axis.
      use_ignore: the gradient is 0 where label is ignore_label.
      preserve_shape: the classes are the last axis.
      normalization: divide the gradient by nothing, the samples, or the labels but ignore_label;
        'null', 'batch' or 'valid'.
      out_grad: multiply the gradient by the output's.
      smooth_alpha: how much of a label is given to the other classes, evenly; a number of at least
        0 and at most 1.
      out: where the result goes; it may be an input.
    """
    operator = ops.SoftmaxOutput.of(
        grad_scale=grad_scale,
        ignore_label=ignore_label,
        multi_output=multi_output,
        use_ignore=use_ignore,
        preserve_shape=preserve_shape,
        normalization=normalization,
        out_grad=out_grad,
        smooth_alpha=smooth_alpha,
    )
    return layer(operator, out, data, label)


Softmax = SoftmaxOutput
