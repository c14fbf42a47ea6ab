"""Layers that normalize."""

# Written by docs/make_symbols.py from what the operators say of their parameters:
# change it there, and run `make symbols`.

from __future__ import annotations

from typing import TYPE_CHECKING

from actorflow import ops
from actorflow.symbol.kit import layer

if TYPE_CHECKING:
    from actorflow.ops import DTypeLike
    from actorflow.symbol.symbol import Symbol

__all__ = [
    "LRN",
    "BatchNorm",
    "SoftmaxActivation",
    "log_softmax",
    "softmax",
]


def BatchNorm(
    data: Symbol | None = None,
    gamma: Symbol | None = None,
    beta: Symbol | None = None,
    moving_mean: Symbol | None = None,
    moving_var: Symbol | None = None,
    *,
    eps: float = 0.001,
    momentum: float = 0.9,
    fix_gamma: bool = True,
    use_global_stats: bool = False,
    output_mean_var: bool = False,
    axis: int = 1,
    cudnn_off: bool = False,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
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
      data, gamma, beta, moving_mean, moving_var: symbols of one output; variables are made for
        those that are missing.
      eps: what is added to the variance; a number.
      momentum: how much of a moving average a batch leaves; a number.
      fix_gamma: take gamma for 1, and give it no gradient but 0.
      use_global_stats: use the moving averages in training too.
      output_mean_var: show the mean and the inverse deviation as outputs.
      axis: the axis of the channels; an integer.
      cudnn_off: taken for MXNet's sake, and not used.
      name, attr: its name, None to make one up; attributes, also of variables made.
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
    return layer("batchnorm", operator, name, attr, data, gamma, beta, moving_mean, moving_var)


def log_softmax(
    data: Symbol | None = None,
    axis: int = -1,
    temperature: float | None = None,
    dtype: DTypeLike | None = None,
    *,
    use_length: bool = False,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """The logarithm of `softmax`, without loss of digits where that is near 0.

    Args:
      data: a symbol of one output; a variable is made if it is missing.
      axis: the axis along which the sum is 1; an integer.
      temperature: what data is divided by first; positive; a number.
      dtype: not supported but None: use Cast; 'float32', 'float64', 'float16', 'uint8', 'int32',
        'int8', 'int64' or 'bool'.
      use_length: not supported but False.
      name, attr: its name, None to make one up; attributes, also of variables made.
    """
    operator = ops.LogSoftmax.of(
        axis=axis,
        temperature=temperature,
        dtype=dtype,
        use_length=use_length,
    )
    return layer("log_softmax", operator, name, attr, data)


def LRN(
    data: Symbol | None = None,
    *,
    nsize: int,
    alpha: float = 0.0001,
    beta: float = 0.75,
    knorm: float = 2.0,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """Each element divided by a power of the squares of its neighbours in other channels.

        output[n, c] = data[n, c] / (knorm + alpha / nsize sum of data[n, i]^2)^beta

    over the `nsize` channels i around c (A. Krizhevsky, I. Sutskever, G. Hinton: ImageNet
    Classification with Deep Convolutional Neural Networks, 2012, whose alpha is not divided).
    `data` is `(n, channels, ...)`, and so is the output.

    Args:
      data: a symbol of one output; a variable is made if it is missing.
      nsize: how many channels count, an odd number; an integer of at least 1.
      alpha: the weight of the squares; a number.
      beta: the exponent; a number.
      knorm: what is added to the squares; a number.
      name, attr: its name, None to make one up; attributes, also of variables made.
    """
    operator = ops.LRN.of(nsize=nsize, alpha=alpha, beta=beta, knorm=knorm)
    return layer("lrn", operator, name, attr, data)


def softmax(
    data: Symbol | None = None,
    axis: int = -1,
    temperature: float | None = None,
    dtype: DTypeLike | None = None,
    *,
    use_length: bool = False,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """`exp(x / temperature)`, divided by its sum along an axis.

    `data` and the output have one shape and one floating type. The greatest number is subtracted
    first, so that nothing overflows.

    Args:
      data: a symbol of one output; a variable is made if it is missing.
      axis: the axis along which the sum is 1; an integer.
      temperature: what data is divided by first; positive; a number.
      dtype: not supported but None: use Cast; 'float32', 'float64', 'float16', 'uint8', 'int32',
        'int8', 'int64' or 'bool'.
      use_length: not supported but False.
      name, attr: its name, None to make one up; attributes, also of variables made.
    """
    operator = ops.Softmax.of(
        axis=axis,
        temperature=temperature,
        dtype=dtype,
        use_length=use_length,
    )
    return layer("softmax", operator, name, attr, data)


def SoftmaxActivation(
    data: Symbol | None = None,
    *,
    mode: str = "instance",
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """Softmax of each sample, the first axis, or of the channels, the second, at each place.

    `data` and the output have one shape and one floating type.

    Args:
      data: a symbol of one output; a variable is made if it is missing.
      mode: instance: the sum over all of a sample is 1; channel: that over the channels; 'instance'
        or 'channel'.
      name, attr: its name, None to make one up; attributes, also of variables made.
    """
    operator = ops.SoftmaxActivation.of(mode=mode)
    return layer("softmaxactivation", operator, name, attr, data)
