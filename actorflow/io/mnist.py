"""Handwritten digits in the files of MNIST."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

import numpy as np

from actorflow.errors import FormatError
from actorflow.io.batch import DataDesc, Numbers
from actorflow.io.idx import IdxFile
from actorflow.io.order import Order, checked_integer, checked_path
from actorflow.io.rows import RowReader

if TYPE_CHECKING:
    import os

    from actorflow.io.order import Rows
    from actorflow.io.reader import Read
    from actorflow.io.state import State
    from actorflow.ndarray import NDArray

__all__ = ["MNISTIter"]


class MNISTIter(RowReader):
    """Batches of images and labels from two idx files, gzipped or not.

    Pixels are divided by 256, as in MXNet. Rows that do not fill a batch are left out; with
    `shuffle` these are other ones in each epoch.

    Args:
      image: the file of images, a path or an fsspec URL.
      label: the file of labels.
      batch_size: images of a batch.
      shuffle: give each epoch an order of its own, which `seed` and the number of the epoch alone
        decide.
      flat: give batches of shape (batch_size, rows * columns) instead of
        (batch_size, 1, rows, columns).
      seed: of the order, at least 0.
      silent: taken for the sake of MXNet's programs; nothing is printed.
      num_parts: into how many parts, one behind the other, the rows are divided.
      part_index: which of them to read, from 0.
      prefetch_buffer: batches that are made before they are asked for.
      data_name, label_name: what they are called.

    `DataBatch.index` has the numbers of the images in their file.

    Raises:
      OSError: a file cannot be opened.
      MissingExtraError: a URL, and what it needs is not installed.
      FormatError: a file is no such file, or the two do not belong together.
      ValueError: an argument is not of the kind given above, or a batch is larger than the part.

    The headers are read here, the rest by an operation for the first batch, once.
    """

    def __init__(
        self,
        image: str | os.PathLike[str] = "./train-images-idx3-ubyte",
        label: str | os.PathLike[str] = "./train-labels-idx1-ubyte",
        batch_size: int = 128,
        *,
        shuffle: bool = True,
        flat: bool = False,
        seed: int = 0,
        silent: bool = False,  # noqa: ARG002
        num_parts: int = 1,
        part_index: int = 0,
        prefetch_buffer: int = 4,
        data_name: str = "data",
        label_name: str = "softmax_label",
    ) -> None:
        who = self._who
        batch_size = checked_integer(who, "batch_size", batch_size, 1)
        num_parts = checked_integer(who, "num_parts", num_parts, 1)
        part_index = checked_integer(who, "part_index", part_index, 0)
        seed = checked_integer(who, "seed", seed, 0)
        if part_index >= num_parts:
            raise ValueError(
                f"{who}: part_index is {part_index}; num_parts {num_parts} needs it below that"
            )
        self._images = IdxFile(who, checked_path(who, "image", image), 3)
        try:
            self._labels = IdxFile(who, checked_path(who, "label", label), 1)
        except BaseException:
            self._images.close()
            raise
        try:
            self._first, count = self._part(part_index, num_parts)
            order = Order(count, batch_size, bool(shuffle), seed, "discard")
            super().__init__(order, prefetch_buffer)
        except BaseException:
            self._release()
            raise
        for each in (self._images, self._labels):
            weakref.finalize(self, each.close).atexit = False
        _, rows, columns = self._images.shape
        inner = (rows * columns,) if flat else (1, rows, columns)
        self._data_desc = DataDesc(data_name, (batch_size, *inner))
        self._label_desc = DataDesc(label_name, (batch_size,))
        self._loaded: tuple[Numbers, Numbers] | None = None

    def _part(self, index: int, parts: int) -> tuple[int, int]:
        """The first row of a part and how many it has."""
        count, labels = self._images.shape[0], self._labels.shape[0]
        if count != labels:
            raise FormatError(
                f"{self._who}: {self._images.name} has {count} images, but {self._labels.name} "
                f"{labels} labels"
            )
        first, behind = count * index // parts, count * (index + 1) // parts
        if first == behind:
            raise ValueError(f"{self._who}: part {index} of {parts} has none of the {count} images")
        return first, behind - first

    @property
    def provide_data(self) -> list[DataDesc]:
        """The name, shape and data type of a batch's images: float32, from 0 to 255/256."""
        return [self._data_desc]

    @property
    def provide_label(self) -> list[DataDesc]:
        """The name, shape and data type of a batch's labels: float32, (batch_size,)."""
        return [self._label_desc]

    def _fill(
        self, position: State, behind: State, data: list[NDArray], label: list[NDArray]
    ) -> Read:
        batch, behind = super()._fill(position, behind, data, label)
        if batch.index is not None:
            batch.index = batch.index + self._first
        return batch, behind

    def _gather(self, rows: Rows, data: list[NDArray], label: list[NDArray]) -> None:
        if self._loaded is None:
            self._loaded = self._images.load(), self._labels.load()
        images, labels = self._loaded
        picked = images[rows + self._first].reshape(self._data_desc.shape)
        np.multiply(picked, np.float32(1 / 256), out=data[0]._data())
        label[0]._data()[...] = labels[rows + self._first]

    def _identity(self) -> State:
        return {
            **super()._identity(),
            "image": [list(self._images.shape), self._images.size()],
            "label": [list(self._labels.shape), self._labels.size()],
            "flat": len(self._data_desc.shape) == 2,  # noqa: PLR2004 -- batch and pixels
            "first": self._first,
        }

    def _release(self) -> None:
        self._images.close()
        self._labels.close()
