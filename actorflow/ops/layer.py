"""What the gradients of layers with weights have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from actorflow.ops.operator import Operator

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from actorflow.ops.types import Shape

__all__ = ["LayerGradient"]


@attrs.frozen
class LayerGradient(Operator):
    """The gradients of a layer's `data`, `weight` and, if it has one, `bias`.

    Attributes:
      layer: the layer, whose other inputs' shapes follow from that of its data.
    """

    layer: Any

    inputs = ("data", "weight", "grad")
    partial = True

    @property
    def name(self) -> str:  # type: ignore[override]
        return f"{self.layer.name}_gradient"

    @property
    def outputs(self) -> tuple[str, ...]:  # type: ignore[override]
        return tuple(f"{name}_grad" for name in self.layer.inputs)

    def infer_shape(
        self, *shapes: Shape | None
    ) -> tuple[tuple[Shape | None, ...], tuple[Shape | None, ...]]:
        unknown = (None,) * (len(self.outputs) - 1)
        found, _ = self.layer.infer_shape(shapes[0], *unknown)
        return shapes, found

    def infer_type(
        self, *dtypes: np.dtype[Any] | None
    ) -> tuple[tuple[np.dtype[Any] | None, ...], tuple[np.dtype[Any] | None, ...]]:
        return self.one_type(dtypes)

    def work(self, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> float:
        del outputs
        layer: Operator = self.layer
        return 2 * layer.work(inputs[:2], inputs[2:])
