"""float16 in kernels that compute in float32."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from actorflow.ops.types import Memory

__all__ = ["computed_in", "deliver", "target", "wide"]

HALF: Final = np.dtype(np.float16)
SINGLE: Final = np.dtype(np.float32)


def computed_in(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The data type to compute in: float32 for float16."""
    return SINGLE if dtype == HALF else dtype


def wide(array: Memory) -> Memory:
    """An input as it is computed with."""
    return array.astype(SINGLE) if array.dtype == HALF else array


def target(output: Memory) -> Memory:
    """What to compute an output in: itself, or memory for `deliver`."""
    return np.empty(output.shape, SINGLE) if output.dtype == HALF else output


def deliver(computed: Memory, output: Memory) -> None:
    """Bring a `target` to its output."""
    if computed is not output:
        np.copyto(output, computed, casting="same_kind")
