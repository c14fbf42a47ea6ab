"""Layers of networks.

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
    from collections.abc import Sequence

    from actorflow.ndarray.array import NDArray
    from actorflow.ops import DTypeLike

    Sizes = int | Sequence[int]

__all__ = [
    "Activation",
    "Convolution",
    "Deconvolution",
    "Dropout",
    "Embedding",
    "FullyConnected",
    "LeakyReLU",
    "Pooling",
]


def Activation(
    data: NDArray,
    *,
    act_type: str,
    out: NDArray | None = None,
) -> NDArray:
    """A function of each element: the nonlinearity between layers.

    `data` and the output have one shape and one floating type.

    - relu: `max(x, 0)`
    - sigmoid: `1 / (1 + exp(-x))`
    - tanh
    - softrelu: `log(1 + exp(x))`
    - softsign: `x / (1 + |x|)`

    The gradient is computed from the output alone, so that the output may take the place of `data`.
    Where relu is flat its gradient is 0, whatever comes from above.

    Args:
      data: the input.
      act_type: the function; 'relu', 'sigmoid', 'tanh', 'softrelu' or 'softsign'.
      out: where the result goes; it may be an input.
    """
    operator = ops.Activation.of(act_type=act_type)
    return layer(operator, out, data)


def Convolution(
    data: NDArray,
    weight: NDArray,
    bias: NDArray | None = None,
    *,
    kernel: Sizes,
    num_filter: int,
    stride: Sizes = (),
    dilate: Sizes = (),
    pad: Sizes = (),
    num_group: int = 1,
    workspace: int = 1024,
    no_bias: bool = False,
    cudnn_tune: str | None = None,
    cudnn_off: bool = False,
    layout: str | None = None,
    out: NDArray | None = None,
) -> NDArray:
    """A convolution (a cross-correlation, as everywhere in deep learning), plus `bias`.

    `data` is `(n, channels, *size)` with one, two or three axes of sizes, `weight` is
    `(num_filter, channels / num_group, *kernel)`, `bias` `(num_filter,)`, and the output is
    `(n, num_filter, *out)` with `out = (size + 2 pad - dilate (kernel - 1) - 1) // stride + 1`:

        output[n, f, y] = bias[f] + sum of weight[f, c, i] data[n, c, y stride + i dilate - pad]

    over all c and i, where the data is 0 outside. With several groups each sees its own share of
    the channels. It is computed as matrix products; float16 is computed in float32.

    Args:
      data, weight: the inputs.
      bias: an input that only some parameters need.
      kernel: the size of the kernel: w, (h, w) or (d, h, w); integers of at least 1.
      num_filter: the number of channels of the output; an integer of at least 1.
      stride: the step of the kernel; 1 if not given; integers of at least 1.
      dilate: the distance between the kernel's points; 1 if not given; integers of at least 1.
      pad: zeros put on each side; none if not given; integers.
      num_group: the number of groups of channels; an integer of at least 1.
      workspace, cudnn_tune, cudnn_off: taken for MXNet's sake, and not used.
      no_bias: leave the bias out.
      layout: how the data lies; only the channels before the sizes; 'NCW', 'NCHW' or 'NCDHW'.
      out: where the result goes; it may be an input.
    """
    operator = ops.Convolution.of(
        kernel=kernel,
        num_filter=num_filter,
        stride=stride,
        dilate=dilate,
        pad=pad,
        num_group=num_group,
        workspace=workspace,
        no_bias=no_bias,
        cudnn_tune=cudnn_tune,
        cudnn_off=cudnn_off,
        layout=layout,
    )
    return layer(operator, out, data, weight, bias)


def Deconvolution(
    data: NDArray,
    weight: NDArray,
    bias: NDArray | None = None,
    *,
    kernel: Sizes,
    num_filter: int,
    stride: Sizes = (),
    dilate: Sizes = (),
    pad: Sizes = (),
    adj: Sizes = (),
    target_shape: Sizes = (),
    num_group: int = 1,
    workspace: int = 512,
    no_bias: bool = True,
    cudnn_tune: str | None = None,
    cudnn_off: bool = False,
    layout: str | None = None,
    out: NDArray | None = None,
) -> NDArray:
    """A transposed convolution, plus `bias`: what a convolution does to gradients.

    `data` is `(n, channels, *size)` with one, two or three axes of sizes, `weight` is
    `(channels, num_filter / num_group, *kernel)`, `bias` `(num_filter,)`, and the output
    `(n, num_filter, *out)` with `out = stride (size - 1) + dilate (kernel - 1) + 1 - 2 pad + adj`
    (M. Zeiler, D. Krishnan, G. Taylor, R. Fergus: Deconvolutional Networks, 2010). float16 is
    computed in float32.

    Args:
      data, weight: the inputs.
      bias: an input that only some parameters need.
      kernel: the size of the kernel: w, (h, w) or (d, h, w); integers of at least 1.
      num_filter: the number of channels of the output; an integer of at least 1.
      stride: how far apart the data is put; 1 by default; integers of at least 1.
      dilate: the distance between the kernel's points; 1 if not given; integers of at least 1.
      pad: how much to leave out on each side; 0 if not given; integers.
      adj: how much to add at the end, less than the stride; integers.
      target_shape: the size of the output, in place of pad and adj, if not 0; integers.
      num_group: the number of groups of channels; an integer of at least 1.
      workspace, cudnn_tune, cudnn_off: taken for MXNet's sake, and not used.
      no_bias: leave the bias out.
      layout: how the data lies; only the channels before the sizes; 'NCW', 'NCHW' or 'NCDHW'.
      out: where the result goes; it may be an input.
    """
    operator = ops.Deconvolution.of(
        kernel=kernel,
        num_filter=num_filter,
        stride=stride,
        dilate=dilate,
        pad=pad,
        adj=adj,
        target_shape=target_shape,
        num_group=num_group,
        workspace=workspace,
        no_bias=no_bias,
        cudnn_tune=cudnn_tune,
        cudnn_off=cudnn_off,
        layout=layout,
    )
    return layer(operator, out, data, weight, bias)


def Dropout(
    data: NDArray,
    *,
    p: float = 0.5,
    mode: str = "training",
    axes: Sizes = (),
    cudnn_off: bool = False,
    is_train: bool = False,
    out: NDArray | None = None,
) -> NDArray:
    """Elements replaced with 0, each with probability `p`; the others multiplied by `1 / (1 - p)`.

    So the mean stays what it was (Srivastava et al. 2014). `data` and the output have one shape and
    one floating type; at inference they are equal, unless `mode` is "always". The hidden output
    `mask` is True where an element was kept.

    Args:
      data: the input.
      p: the probability with which an element is dropped; a number of at least 0 and at most 1.
      mode: when to drop: always means at inference too; 'training' or 'always'.
      axes: axes along which all elements share one draw, for dropping whole rows or maps; integers.
      cudnn_off: for files that have it: no effect.
      is_train: do what is done in training.
      out: where the result goes; it may be an input.
    """
    operator = ops.Dropout.of(p=p, mode=mode, axes=axes, cudnn_off=cudnn_off)
    return layer(operator, out, data, is_train=is_train)


def Embedding(
    data: NDArray,
    weight: NDArray,
    *,
    input_dim: int,
    output_dim: int,
    dtype: DTypeLike | None = None,
    sparse_grad: bool = False,
    out: NDArray | None = None,
) -> NDArray:
    """A row of `weight` for each number in `data`: the vectors that stand for words.

    `data` has any shape, `weight` is `(input_dim, output_dim)`, and the output is
    `(*data, output_dim)`. Numbers of a floating data type are cut to integers; one that is not in
    0 to `input_dim - 1` fails the operation.

    Args:
      data, weight: the inputs.
      input_dim: how many rows the table has; an integer of at least 1.
      output_dim: how long they are; an integer of at least 1.
      dtype: the data type of the weight, where nothing else says it; 'float32', 'float64',
        'float16', 'uint8', 'int32', 'int8', 'int64' or 'bool'.
      sparse_grad: a sparse gradient, which there is not: needs False.
      out: where the result goes; it may be an input.
    """
    operator = ops.Embedding.of(
        input_dim=input_dim,
        output_dim=output_dim,
        dtype=dtype,
        sparse_grad=sparse_grad,
    )
    return layer(operator, out, data, weight)


def FullyConnected(
    data: NDArray,
    weight: NDArray,
    bias: NDArray | None = None,
    *,
    num_hidden: int,
    no_bias: bool = False,
    flatten: bool = True,
    out: NDArray | None = None,
) -> NDArray:
    """A layer that is connected to all of its input: `data` times `weight` transposed, plus `bias`.

    `data` is `(n, ...)`, `weight` is `(num_hidden, k)` and `bias` `(num_hidden,)`. With `flatten`
    all axes of `data` but the first count as one of size k and the output is `(n, num_hidden)`;
    without it the last axis has size k and the others stay.

    Args:
      data, weight: the inputs.
      bias: an input that only some parameters need.
      num_hidden: the size of the last axis of the output; an integer of at least 1.
      no_bias: leave the bias out.
      flatten: take all axes of the data but the first as one.
      out: where the result goes; it may be an input.
    """
    operator = ops.FullyConnected.of(num_hidden=num_hidden, no_bias=no_bias, flatten=flatten)
    return layer(operator, out, data, weight, bias)


def LeakyReLU(
    data: NDArray,
    gamma: NDArray | None = None,
    *,
    act_type: str = "leaky",
    slope: float = 0.25,
    lower_bound: float = 0.125,
    upper_bound: float = 0.334,
    is_train: bool = False,
    out: NDArray | None = None,
) -> NDArray:
    """`x` where it is positive, and elsewhere what `act_type` says.

    `data` and the output have one shape and one floating type.

    - leaky: `slope * x` (Maas et al. 2013)
    - elu: `slope * (exp(x) - 1)` (Clevert et al. 2015, arXiv 1511.07289)
    - prelu: `gamma * x`, where `gamma`, a second input, has a number for each channel, the second
      axis of `data`, or one for all (He et al. 2015, arXiv 1502.01852)
    - rrelu: a slope for each element, drawn evenly from `lower_bound` to `upper_bound`; at
      inference the mean of the two (Xu et al. 2015, arXiv 1505.00853). What each element was
      multiplied by is a hidden output.

    Args:
      data: the input.
      gamma: an input that only some parameters need.
      act_type: which of them; 'leaky', 'elu', 'prelu' or 'rrelu'.
      slope: the slope of leaky, the depth of elu; a number.
      lower_bound: the least slope that rrelu draws; a number.
      upper_bound: the greatest slope that rrelu draws; a number.
      is_train: do what is done in training.
      out: where the result goes; it may be an input.
    """
    operator = ops.LeakyReLU.of(
        act_type=act_type,
        slope=slope,
        lower_bound=lower_bound,
        upper_bound=upper_bound,
    )
    return layer(operator, out, data, gamma, is_train=is_train)


def Pooling(
    data: NDArray,
    *,
    kernel: Sizes = (),
    pool_type: str = "max",
    global_pool: bool = False,
    cudnn_off: bool = False,
    pooling_convention: str = "valid",
    stride: Sizes = (),
    pad: Sizes = (),
    p_value: int | None = None,
    count_include_pad: bool | None = None,
    layout: str | None = None,
    out: NDArray | None = None,
) -> NDArray:
    """The largest element, the sum or the mean of each window of `data`.

    `data` is `(n, channels, *size)` with one, two or three axes of sizes, and the output
    `(n, channels, *out)`, of a floating type. Along an axis `out` is
    `(size + 2 pad - kernel) // stride + 1` with the convention `'valid'`; with `'full'` it is
    rounded up, so that the last window may hang over. Padding never is the largest element. A mean
    is over the whole window, padding too, unless `count_include_pad` is False, but never over what
    hangs over the padding. With `global_pool` there is one window, which is everything.

    Args:
      data: the input.
      kernel: the size of a window; w, (h, w) or (d, h, w); integers of at least 1.
      pool_type: what is taken of a window; 'max', 'avg' or 'sum'.
      global_pool: take one window, the size of the data.
      cudnn_off: taken for MXNet's sake, and not used.
      pooling_convention: whether to round the size of the output down or up; 'valid' or 'full'.
      stride: the step of the window; 1 if not given; integers of at least 1.
      pad: padding on each side; none if not given; integers.
      p_value: of the pooling `lp`, which there is not; an integer.
      count_include_pad: whether a mean counts the padding; it does if not given; True or False.
      layout: how the data lies; only the channels before the sizes; 'NCW', 'NCHW' or 'NCDHW'.
      out: where the result goes; it may be an input.
    """
    operator = ops.Pooling.of(
        kernel=kernel,
        pool_type=pool_type,
        global_pool=global_pool,
        cudnn_off=cudnn_off,
        pooling_convention=pooling_convention,
        stride=stride,
        pad=pad,
        p_value=p_value,
        count_include_pad=count_include_pad,
        layout=layout,
    )
    return layer(operator, out, data)
