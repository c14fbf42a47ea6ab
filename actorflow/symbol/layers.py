"""Layers of networks."""

# Written by docs/make_symbols.py from what the operators say of their parameters:
# change it there, and run `make symbols`.

from __future__ import annotations

from typing import TYPE_CHECKING

from actorflow import ops
from actorflow.symbol.kit import layer

if TYPE_CHECKING:
    from actorflow.ops import DTypeLike
    from actorflow.symbol.kit import Sizes
    from actorflow.symbol.symbol import Symbol

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
    data: Symbol | None = None,
    *,
    act_type: str,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
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
      data: a symbol of one output; a variable is made if it is missing.
      act_type: the function; 'relu', 'sigmoid', 'tanh', 'softrelu' or 'softsign'.
      name, attr: its name, None to make one up; attributes, also of variables made.
    """
    operator = ops.Activation.of(act_type=act_type)
    return layer("activation", operator, name, attr, data)


def Convolution(
    data: Symbol | None = None,
    weight: Symbol | None = None,
    bias: Symbol | None = None,
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
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """A convolution (a cross-correlation, as everywhere in deep learning), plus `bias`.

    `data` is `(n, channels, *size)` with one, two or three axes of sizes, `weight` is
    `(num_filter, channels / num_group, *kernel)`, `bias` `(num_filter,)`, and the output is
    `(n, num_filter, *out)` with `out = (size + 2 pad - dilate (kernel - 1) - 1) // stride + 1`:

        output[n, f, y] = bias[f] + sum of weight[f, c, i] data[n, c, y stride + i dilate - pad]

    over all c and i, where the data is 0 outside. With several groups each sees its own share of
    the channels. It is computed as matrix products; float16 is computed in float32.

    Args:
      data, weight, bias: symbols of one output; variables are made for those that are missing.
      kernel: the size of the kernel: w, (h, w) or (d, h, w); integers of at least 1.
      num_filter: the number of channels of the output; an integer of at least 1.
      stride: the step of the kernel; 1 if not given; integers of at least 1.
      dilate: the distance between the kernel's points; 1 if not given; integers of at least 1.
      pad: zeros put on each side; none if not given; integers.
      num_group: the number of groups of channels; an integer of at least 1.
      workspace, cudnn_tune, cudnn_off: taken for MXNet's sake, and not used.
      no_bias: leave the bias out.
      layout: how the data lies; only the channels before the sizes; 'NCW', 'NCHW' or 'NCDHW'.
      name, attr: its name, None to make one up; attributes, also of variables made.
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
    return layer("convolution", operator, name, attr, data, weight, bias)


def Deconvolution(
    data: Symbol | None = None,
    weight: Symbol | None = None,
    bias: Symbol | None = None,
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
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """A transposed convolution, plus `bias`: what a convolution does to gradients.

    `data` is `(n, channels, *size)` with one, two or three axes of sizes, `weight` is
    `(channels, num_filter / num_group, *kernel)`, `bias` `(num_filter,)`, and the output
    `(n, num_filter, *out)` with `out = stride (size - 1) + dilate (kernel - 1) + 1 - 2 pad + adj`
    (M. Zeiler, D. Krishnan, G. Taylor, R. Fergus: Deconvolutional Networks, 2010). float16 is
    computed in float32.

    Args:
      data, weight, bias: symbols of one output; variables are made for those that are missing.
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
      name, attr: its name, None to make one up; attributes, also of variables made.
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
    return layer("deconvolution", operator, name, attr, data, weight, bias)


def Dropout(
    data: Symbol | None = None,
    *,
    p: float = 0.5,
    mode: str = "training",
    axes: Sizes = (),
    cudnn_off: bool = False,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """Elements replaced with 0, each with probability `p`; the others multiplied by `1 / (1 - p)`.

    So the mean stays what it was (Srivastava et al. 2014). `data` and the output have one shape and
    one floating type; at inference they are equal, unless `mode` is "always". The hidden output
    `mask` is True where an element was kept.

    Args:
      data: a symbol of one output; a variable is made if it is missing.
      p: the probability with which an element is dropped; a number of at least 0 and at most 1.
      mode: when to drop: always means at inference too; 'training' or 'always'.
      axes: axes along which all elements share one draw, for dropping whole rows or maps; integers.
      cudnn_off: for files that have it: no effect.
      name, attr: its name, None to make one up; attributes, also of variables made.
    """
    operator = ops.Dropout.of(p=p, mode=mode, axes=axes, cudnn_off=cudnn_off)
    return layer("dropout", operator, name, attr, data)


def Embedding(
    data: Symbol | None = None,
    weight: Symbol | None = None,
    *,
    input_dim: int,
    output_dim: int,
    dtype: DTypeLike | None = None,
    sparse_grad: bool = False,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """A row of `weight` for each number in `data`: the vectors that stand for words.

    `data` has any shape, `weight` is `(input_dim, output_dim)`, and the output is
    `(*data, output_dim)`. Numbers of a floating data type are cut to integers; one that is not in
    0 to `input_dim - 1` fails the operation.

    Args:
      data, weight: symbols of one output; variables are made for those that are missing.
      input_dim: how many rows the table has; an integer of at least 1.
      output_dim: how long they are; an integer of at least 1.
      dtype: the data type of the weight, where nothing else says it; 'float32', 'float64',
        'float16', 'uint8', 'int32', 'int8', 'int64' or 'bool'.
      sparse_grad: a sparse gradient, which there is not: needs False.
      name, attr: its name, None to make one up; attributes, also of variables made.
    """
    operator = ops.Embedding.of(
        input_dim=input_dim,
        output_dim=output_dim,
        dtype=dtype,
        sparse_grad=sparse_grad,
    )
    return layer("embedding", operator, name, attr, data, weight)


def FullyConnected(
    data: Symbol | None = None,
    weight: Symbol | None = None,
    bias: Symbol | None = None,
    *,
    num_hidden: int,
    no_bias: bool = False,
    flatten: bool = True,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """A layer that is connected to all of its input: `data` times `weight` transposed, plus `bias`.

    `data` is `(n, ...)`, `weight` is `(num_hidden, k)` and `bias` `(num_hidden,)`. With `flatten`
    all axes of `data` but the first count as one of size k and the output is `(n, num_hidden)`;
    without it the last axis has size k and the others stay.

    Args:
      data, weight, bias: symbols of one output; variables are made for those that are missing.
      num_hidden: the size of the last axis of the output; an integer of at least 1.
      no_bias: leave the bias out.
      flatten: take all axes of the data but the first as one.
      name, attr: its name, None to make one up; attributes, also of variables made.
    """
    operator = ops.FullyConnected.of(num_hidden=num_hidden, no_bias=no_bias, flatten=flatten)
    return layer("fullyconnected", operator, name, attr, data, weight, bias)


def LeakyReLU(
    data: Symbol | None = None,
    gamma: Symbol | None = None,
    *,
    act_type: str = "leaky",
    slope: float = 0.25,
    lower_bound: float = 0.125,
    upper_bound: float = 0.334,
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
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
      data, gamma: symbols of one output; variables are made for those that are missing.
      act_type: which of them; 'leaky', 'elu', 'prelu' or 'rrelu'.
      slope: the slope of leaky, the depth of elu; a number.
      lower_bound: the least slope that rrelu draws; a number.
      upper_bound: the greatest slope that rrelu draws; a number.
      name, attr: its name, None to make one up; attributes, also of variables made.
    """
    operator = ops.LeakyReLU.of(
        act_type=act_type,
        slope=slope,
        lower_bound=lower_bound,
        upper_bound=upper_bound,
    )
    return layer("leakyrelu", operator, name, attr, data, gamma)


def Pooling(
    data: Symbol | None = None,
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
    name: str | None = None,
    attr: dict[str, str] | None = None,
) -> Symbol:
    """The largest element, the sum or the mean of each window of `data`.

    `data` is `(n, channels, *size)` with one, two or three axes of sizes, and the output
    `(n, channels, *out)`, of a floating type. Along an axis `out` is
    `(size + 2 pad - kernel) // stride + 1` with the convention `'valid'`; with `'full'` it is
    rounded up, so that the last window may hang over. Padding never is the largest element. A mean
    is over the whole window, padding too, unless `count_include_pad` is False, but never over what
    hangs over the padding. With `global_pool` there is one window, which is everything.

    Args:
      data: a symbol of one output; a variable is made if it is missing.
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
      name, attr: its name, None to make one up; attributes, also of variables made.
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
    return layer("pooling", operator, name, attr, data)
