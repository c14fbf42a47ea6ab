"""Layers that normalize.

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

from typing import TYPE_CHECKING, Literal, overload

from actorflow import ops
from actorflow.ndarray.kit import layer, several

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actorflow.ndarray.array import NDArray
    from actorflow.ops import DTypeLike

__all__ = [
    "LRN",
    "BatchNorm",
    "SoftmaxActivation",
    "log_softmax",
    "softmax",
]


@overload
def BatchNorm(
    data: NDArray,
    gamma: NDArray,
    beta: NDArray,
    moving_mean: NDArray,
    moving_var: NDArray,
    *,
    eps: float = 0.001,
    momentum: float = 0.9,
    fix_gamma: bool = True,
    use_global_stats: bool = False,
    output_mean_var: Literal[False] = False,
    axis: int = 1,
    cudnn_off: bool = False,
    is_train: bool = False,
    out: NDArray | Sequence[NDArray] | None = None,
) -> NDArray: ...


@overload
def BatchNorm(
    data: NDArray,
    gamma: NDArray,
    beta: NDArray,
    moving_mean: NDArray,
    moving_var: NDArray,
    *,
    eps: float = 0.001,
    momentum: float = 0.9,
    fix_gamma: bool = True,
    use_global_stats: bool = False,
    output_mean_var: Literal[True],
    axis: int = 1,
    cudnn_off: bool = False,
    is_train: bool = False,
    out: NDArray | Sequence[NDArray] | None = None,
) -> list[NDArray]: ...


def BatchNorm(
    data: NDArray,
    gamma: NDArray,
    beta: NDArray,
    moving_mean: NDArray,
    moving_var: NDArray,
    *,
    eps: float = 0.001,
    momentum: float = 0.9,
    fix_gamma: bool = True,
    use_global_stats: bool = False,
    output_mean_var: bool = False,
    axis: int = 1,
    cudnn_off: bool = False,
    is_train: bool = False,
    out: NDArray | Sequence[NDArray] | None = None,
) -> NDArray | list[NDArray]:
    """Each channel with mean 0 and deviation 1 over the batch, times `gamma`, plus `beta`.

        output = gamma (data - mean) / sqrt(var + eps) + beta

    (S. Ioffe, C. Szegedy: Batch Normalization, 2015). `data` is `(n, channels, ...)`, or has its
    channels at another `axis`; `gamma`, `beta`, the states and the hidden outputs are
    `(channels,)`. In training `mean` and `var` (the biased one) are those of the batch, and the
    states follow them: `moving = momentum moving + (1 - momentum) batch`. At inference, and with
    `use_global_stats`, they are the states. The hidden outputs are the mean and the inverse
    deviation, `1 / sqrt(var + eps)`.

    float16 data has parameters and states of float32, and is computed in it. Sums are of blocks,
    each around its own mean, and are put together in float64 (T. Chan, G. Golub, R. LeVeque:
    Updating Formulae and a Pairwise Algorithm for Computing Sample Variances, 1979).

    Args:
      data, gamma, beta: the inputs.
      moving_mean, moving_var: the states, which is_train updates.
      eps: what is added to the variance; a number.
      momentum: how much of a moving average a batch leaves; a number.
      fix_gamma: take gamma for 1, and give it no gradient but 0.
      use_global_stats: use the moving averages in training too.
      output_mean_var: show the mean and the inverse deviation as outputs.
      axis: the axis of the channels; an integer.
      cudnn_off: taken for MXNet's sake, and not used.
      is_train: do what is done in training.
      out: where the results go, a list if there are several.
    """
    operator = ops.BatchNorm.of(
        eps=eps,
        momentum=momentum,
        fix_gamma=fix_gamma,
        use_global_stats=use_global_stats,
        output_mean_var=output_mean_var,
        axis=axis,
        cudnn_off=cudnn_off,
    )
    return several(operator, out, data, gamma, beta, moving_mean, moving_var, is_train=is_train)


def log_softmax(
    data: NDArray,
    axis: int = -1,
    temperature: float | None = None,
    dtype: DTypeLike | None = None,
    *,
    use_length: bool = False,
    out: NDArray | None = None,
) -> NDArray:
    """The logarithm of `softmax`, without loss of digits where that is near 0.

    Args:
      data: the input.
      axis: the axis along which the sum is 1; an integer.
      temperature: what data is divided by first; positive; a number.
      dtype: not supported but None: use Cast; 'float32', 'float64', 'float16', 'uint8', 'int32',
        'int8', 'int64' or 'bool'.
      use_length: not supported but False.
      out: where the result goes; it may be an input.
    """
    operator = ops.LogSoftmax.of(
        axis=axis,
        temperature=temperature,
        dtype=dtype,
        use_length=use_length,
    )
    return layer(operator, out, data)


def LRN(
    data: NDArray,
    *,
    nsize: int,
    alpha: float = 0.0001,
    beta: float = 0.75,
    knorm: float = 2.0,
    out: NDArray | None = None,
) -> NDArray:
    """Each element divided by a power of the squares of its neighbours in other channels.

        output[n, c] = data[n, c] / (knorm + alpha / nsize sum of data[n, i]^2)^beta

    over the `nsize` channels i around c (A. Krizhevsky, I. Sutskever, G. Hinton: ImageNet
    Classification with Deep Convolutional Neural Networks, 2012, whose alpha is not divided).
    `data` is `(n, channels, ...)`, and so is the output.

    Args:
      data: the input.
      nsize: how many channels count, an odd number; an integer of at least 1.
      alpha: the weight of the squares; a number.
      beta: the exponent; a number.
      knorm: what is added to the squares; a number.
      out: where the result goes; it may be an input.
    """
    operator = ops.LRN.of(nsize=nsize, alpha=alpha, beta=beta, knorm=knorm)
    return layer(operator, out, data)


def softmax(
    data: NDArray,
    axis: int = -1,
    temperature: float | None = None,
    dtype: DTypeLike | None = None,
    *,
    use_length: bool = False,
    out: NDArray | None = None,
) -> NDArray:
    """`exp(x / temperature)`, divided by its sum along an axis.

    `data` and the output have one shape and one floating type. The greatest number is subtracted
    first, so that nothing overflows.

    Args:
      data: the input.
      axis: the axis along which the sum is 1; an integer.
      temperature: what data is divided by first; positive; a number.
      dtype: not supported but None: use Cast; 'float32', 'float64', 'float16', 'uint8', 'int32',
        'int8', 'int64' or 'bool'.
      use_length: not supported but False.
      out: where the result goes; it may be an input.
    """
    operator = ops.Softmax.of(
        axis=axis,
        temperature=temperature,
        dtype=dtype,
        use_length=use_length,
    )
    return layer(operator, out, data)


def SoftmaxActivation(
    data: NDArray,
    *,
    mode: str = "instance",
    out: NDArray | None = None,
) -> NDArray:
    """Softmax of each sample, the first axis, or of the channels, the second, at each place.

    `data` and the output have one shape and one floating type.

    Args:
      data: the input.
      mode: instance: the sum over all of a sample is 1; channel: that over the channels; 'instance'
        or 'channel'.
      out: where the result goes; it may be an input.
    """
    operator = ops.SoftmaxActivation.of(mode=mode)
    return layer(operator, out, data)
