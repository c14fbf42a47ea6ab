"""`weight -= rate * gradient` as one operation: a product that nobody else can see joins its use.

Two operations would pass through memory twice and need an array for what lies between. When Python
asks for the difference, the product is pushed already; but while it waits for the gradient, and if
nothing came after it, the engine lets it do the rest, too. The numbers are the same bits.
"""

from __future__ import annotations

import sys
from functools import partial
from sys import getrefcount
from typing import TYPE_CHECKING, Final

from actorflow.ndarray import kernels
from actorflow.ndarray.core import ArrayCore

if TYPE_CHECKING:
    from actorflow.ops import Elementwise

__all__ = ["TEMPORARY", "join"]

TEMPORARY: Final = 4 if sys.version_info < (3, 14) else 0
"""What `sys.getrefcount` gives for a parameter of a special method whose argument is the result of
an expression that was just pushed: the caller's stack, the parameter, getrefcount's own, and the
operation's. From 3.14 on the stack may borrow from a variable, so that nothing can be told."""

_BLOCKS_OWN: Final = 5  # of its block: two of the array's, the operation's, ours, getrefcount's

_PRODUCTS: Final = {
    kernels.run_direct_left: True,
    kernels.run_into_left: True,
    kernels.run_direct_right: False,
    kernels.run_into_right: False,
}
"""What computes an array and a number, and whether the number is on the left."""


def join(operator: Elementwise, target: ArrayCore, product: object) -> bool:
    """Let the operation that is to compute a product also compute `operator` of target and it.

    Args:
      operator: of two inputs.
      target: its first input, which it changes.
      product: its second; nobody but the caller's expression refers to it.

    Returns:
      Whether it will. If not, nothing has changed.
    """
    if not isinstance(product, ArrayCore):
        return False
    block = product._block
    operation = block._writer
    if operation is None or getrefcount(block) != _BLOCKS_OWN:
        return False
    fn = operation.fn
    own = target._block
    if (
        fn.__class__ is not partial
        or (reverse := _PRODUCTS.get(fn.func)) is None
        or target._resource is not own
        or not target._writable
        or target._shape != product._shape
        or own.dtype is not block.dtype
        or own.context is not block.context
    ):
        return False
    kernel, data, scalar, _ = fn.args
    if data._block is own or operator.same.get(own.dtype) is not own.dtype:
        return False
    joined = partial(
        kernels.run_joined, operator.kernel, kernel, data, scalar, target, reverse=reverse
    )
    name = f"{operation.name}+{operator.name}"
    return operation.engine.extend_last(operation, joined, own, name)
