"""Networks as a list of layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actorflow.ops import described
from actorflow.symbol.symbol import Symbol

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["chain"]


def chain(data: Symbol, *layers: Symbol | Callable[[Symbol], Symbol]) -> Symbol:
    """Put layers one behind the other.

    A layer is a symbol that was made without its input, whose first argument is therefore a
    variable that stands for it; or any function of a symbol::

        net = sym.chain(
            sym.Variable("data"),
            sym.FullyConnected(num_hidden=128, name="fc1"),
            sym.Activation(act_type="relu"),
            lambda data: data * 2,
            sym.SoftmaxOutput(name="softmax"),
        )

    Args:
      data: what the first layer takes.
      layers: the layers; `layer(what_comes_before)` is what comes next.

    Returns:
      What the last layer gives; `data` if there are none.

    Raises:
      TypeError: a layer, or what one gives, is something else, or has several outputs and another
        layer follows.
    """
    if not isinstance(data, Symbol):
        message = f"chain: starts with a symbol, got {described(data)}"
        raise TypeError(message)
    for number, layer in enumerate(layers):
        if not callable(layer):
            message = f"chain: layer {number} is neither a symbol nor a function: {layer!r}"
            raise TypeError(message)
        made = layer(data)
        if not isinstance(made, Symbol):
            message = f"chain: layer {number} gave no symbol, but {made!r}"
            raise TypeError(message)
        data = made
    return data
