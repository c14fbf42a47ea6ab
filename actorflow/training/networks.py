"""Well-known networks as symbols, for a first run and for `actorflow train --network`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actorflow import sym
from actorflow.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from actorflow.symbol import Symbol

__all__ = ["NETWORKS", "lenet", "mlp", "resnet"]


def mlp(num_classes: int = 10, hidden: Sequence[int] = (128, 64)) -> Symbol:
    """Fully connected layers with rectifiers between them, and softmax at the end.

    Args:
      num_classes: how many classes there are.
      hidden: how many outputs each layer but the last has.

    Returns:
      A network of `data` (batch, ...) and `softmax_label` (batch,), which gives (batch,
      num_classes).

    Raises:
      ParameterError: a number is less than 1.
    """
    _check("mlp", num_classes, *hidden)
    net = sym.Variable("data")
    for number, size in enumerate(hidden, 1):
        net = sym.FullyConnected(net, num_hidden=size, name=f"fc{number}")
        net = sym.Activation(net, act_type="relu", name=f"relu{number}")
    net = sym.FullyConnected(net, num_hidden=num_classes, name=f"fc{len(hidden) + 1}")
    return sym.SoftmaxOutput(net, name="softmax")


def lenet(num_classes: int = 10) -> Symbol:
    """Two convolutions and two fully connected layers, for images of 28 x 28 or so.

    LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document recognition"
    (1998), with the sizes that MXNet's example has.

    Args:
      num_classes: how many classes there are.

    Returns:
      A network of `data` (batch, channels, height, width), with sides of 16 pixels at least, and
      `softmax_label` (batch,), which gives (batch, num_classes).

    Raises:
      ParameterError: a number is less than 1.
    """
    _check("lenet", num_classes)
    net = sym.Variable("data")
    for number, filters in enumerate((20, 50), 1):
        net = sym.Convolution(net, kernel=(5, 5), num_filter=filters, name=f"conv{number}")
        net = sym.Activation(net, act_type="tanh", name=f"tanh{number}")
        net = sym.Pooling(net, kernel=(2, 2), stride=(2, 2), pool_type="max", name=f"pool{number}")
    net = sym.FullyConnected(sym.Flatten(net, name="flatten"), num_hidden=500, name="fc1")
    net = sym.Activation(net, act_type="tanh", name="tanh3")
    net = sym.FullyConnected(net, num_hidden=num_classes, name="fc2")
    return sym.SoftmaxOutput(net, name="softmax")


def resnet(num_classes: int = 10, num_layers: int = 20, filters: int = 16) -> Symbol:
    """A residual network for small images, such as those of CIFAR.

    He, Zhang, Ren and Sun, "Deep residual learning for image recognition" (2015), section 4.2:
    three stages of blocks of two convolutions; each stage halves the sides and doubles the
    channels. Where it does, a convolution of 1 x 1 fits the shortcut.

    Args:
      num_classes: how many classes there are.
      num_layers: 6 n + 2 for n blocks in a stage: 8, 14, 20, 32, ...
      filters: channels of the first stage.

    Returns:
      A network of `data` (batch, channels, height, width) and `softmax_label` (batch,), which
      gives (batch, num_classes).

    Raises:
      ParameterError: a number is less than 1, or `num_layers` is none of these.
    """
    _check("resnet", num_classes, num_layers, filters)
    blocks, rest = divmod(num_layers - 2, 6)
    if rest or not blocks:
        message = f"resnet: num_layers is 6 n + 2, such as 8, 14 or 20, got {num_layers}"
        raise ParameterError(message)
    net = _convolution(sym.Variable("data"), "first", filters, 3, 1)
    net = sym.Activation(net, act_type="relu", name="first_relu")
    for stage in range(3):
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            net = _block(net, f"stage{stage + 1}_block{block + 1}", filters << stage, stride)
    net = sym.Pooling(net, kernel=(1, 1), pool_type="avg", global_pool=True, name="pool")
    net = sym.FullyConnected(sym.Flatten(net, name="flatten"), num_hidden=num_classes, name="fc")
    return sym.SoftmaxOutput(net, name="softmax")


NETWORKS: Final[Mapping[str, Callable[[int], Symbol]]] = {
    "lenet": lenet,
    "mlp": mlp,
    "resnet": resnet,
}
"""By name, called with the number of classes."""


def _block(net: Symbol, name: str, filters: int, stride: int) -> Symbol:
    """Two convolutions, and what they are added to."""
    inner = _convolution(net, f"{name}_a", filters, 3, stride)
    inner = sym.Activation(inner, act_type="relu", name=f"{name}_a_relu")
    inner = _convolution(inner, f"{name}_b", filters, 3, 1)
    shortcut = net if stride == 1 else _convolution(net, f"{name}_shortcut", filters, 1, stride)
    return sym.Activation(inner + shortcut, act_type="relu", name=f"{name}_relu")


def _convolution(net: Symbol, name: str, filters: int, kernel: int, stride: int) -> Symbol:
    """A convolution that keeps the sides, but for the stride, and its normalisation."""
    net = sym.Convolution(
        net,
        kernel=(kernel, kernel),
        stride=(stride, stride),
        pad=(kernel // 2, kernel // 2),
        num_filter=filters,
        no_bias=True,
        name=f"{name}_conv",
    )
    return sym.BatchNorm(net, fix_gamma=False, name=f"{name}_bn")


def _check(who: str, *numbers: int) -> None:
    for number in numbers:
        if not isinstance(number, int) or number < 1:
            raise ParameterError(f"{who}: needs integers of at least 1, got {number!r}")
