"""Why an array, an operation or a resource is not ready."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actorflow.engine import Operation, Region, Resource, current_engine
from actorflow.ndarray.core import ArrayCore

if TYPE_CHECKING:
    from actorflow.engine import Accessible

__all__ = ["explain"]


def explain(x: ArrayCore | Operation | Accessible) -> str:
    """Print why `x` is not ready: the chain of operations and holders that it waits for.

    An array is called by a number, its shape and its data type, the same array by the same number
    each time: "array #3 (600x600 float32)"; a view is a part of one, counted in elements: "array #3
    (600x600 float32)[0:1200]". To call it otherwise, set `array.resource.resource.name`. The
    operations that have yet to write it stand below, each with the line that pushed it.

    It never waits itself, so it may be called from anywhere, also from a debugger or another
    thread while a program hangs.

    Args:
      x: an array, an operation or a resource.

    Returns:
      What it prints: one line per operation, with the resources that stand between them and the
      lines of the program where they were pushed.

    Raises:
      TypeError: `x` is none of these.
    """
    target = x._resource if isinstance(x, ArrayCore) else x
    if not isinstance(target, (Operation, Resource, Region)):
        message = f"explain: an array, an operation or a resource is needed, got {type(x).__name__}"
        raise TypeError(message)
    engine = target.engine if isinstance(target, Operation) else target.resource.owner
    text = (engine or current_engine()).explain(target)
    print(text)  # noqa: T201 -- that is what it is for
    return text
