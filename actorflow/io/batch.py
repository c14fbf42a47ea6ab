"""What an iterator gives: batches, and what they look like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from actorflow.ndarray import NDArray

__all__ = ["DataBatch", "DataDesc", "Numbers"]

Numbers: TypeAlias = np.ndarray[Any, np.dtype[Any]]


class _NameAndShape(NamedTuple):
    name: str
    shape: tuple[int, ...]


class DataDesc(_NameAndShape):
    """The name and the shape of one array of a batch, as a pair that also knows its data type.

    Attributes:
      name: the input of the network that it is for.
      shape: with the batch size among its axes.
      dtype: its data type; default float32.
      layout: what its axes are: N is the axis of the batch.
    """

    dtype: np.dtype[Any]
    layout: str | None

    def __new__(
        cls,
        name: str,
        shape: Iterable[int],
        dtype: Any = "float32",  # noqa: ANN401 -- whatever NumPy takes for a data type
        layout: str | None = "NCHW",
    ) -> Self:
        """Make the pair."""
        made = super().__new__(cls, name, tuple(shape))
        made.dtype = np.dtype(dtype)
        made.layout = layout
        return made

    def __repr__(self) -> str:
        return f"DataDesc[{self.name},{self.shape},{self.dtype},{self.layout}]"

    def __reduce__(self) -> tuple[type[DataDesc], tuple[Any, ...]]:
        return type(self), (self.name, self.shape, self.dtype, self.layout)

    @staticmethod
    def get_batch_axis(layout: str | None) -> int:
        """The number of the batch's axis in a layout: 0 if it is None, -1 if it has none."""
        return 0 if layout is None else layout.find("N")

    @staticmethod
    def get_list(
        shapes: Iterable[tuple[str, Iterable[int]]], types: Iterable[tuple[str, Any]] | None
    ) -> list[DataDesc]:
        """Make descriptions of pairs (name, shape) and, unless it is None, (name, data type)."""
        if types is None:
            return [DataDesc(name, shape) for name, shape in shapes]
        known = dict(types)
        return [DataDesc(name, shape, known[name]) for name, shape in shapes]


class DataBatch:
    """One batch.

    Attributes:
      data, label: the arrays, in the order of `provide_data` and `provide_label`.
      pad: how many examples at its end only fill it up.
      index: the numbers of the examples in their source, int64, or None where they have none.
      bucket_key: which bucket it is from; None without buckets.
      provide_data, provide_label: what its arrays look like, where that differs from batch to
        batch; else None.
    """

    def __init__(
        self,
        data: Sequence[NDArray] | None,
        label: Sequence[NDArray] | None = None,
        pad: int | None = None,
        index: Numbers | None = None,
        bucket_key: Any = None,  # noqa: ANN401 -- the user's own
        provide_data: list[DataDesc] | None = None,
        provide_label: list[DataDesc] | None = None,
    ) -> None:
        for name, arrays in (("data", data), ("label", label)):
            if arrays is not None and not isinstance(arrays, list | tuple):
                raise TypeError(
                    f"DataBatch: {name} has to be a list of arrays, got {type(arrays).__name__}"
                )
        self.data = data
        self.label = label
        self.pad = pad
        self.index = index
        self.bucket_key = bucket_key
        self.provide_data = provide_data
        self.provide_label = provide_label

    def __repr__(self) -> str:
        shapes = [[each.shape for each in arrays or ()] for arrays in (self.data, self.label)]
        return f"<DataBatch data {shapes[0]} label {shapes[1]} pad {self.pad}>"
