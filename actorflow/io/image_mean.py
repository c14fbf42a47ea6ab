"""The mean of all images, in a file that MXNet reads and writes too."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from actorflow.errors import FormatError
from actorflow.ndarray import array
from actorflow.ndarray.serialize import load, save
from actorflow.recordio import read_places

if TYPE_CHECKING:
    from actorflow.io.augment import Floats
    from actorflow.io.image_decoder import Decoder, Known
    from actorflow.recordio.storage import Source

__all__ = ["mean_image"]

_NAME: Final = "mean_img"
_TOGETHER: Final = 16  # records that are read at a time


def mean_image(path: str, decoder: Decoder, known: Known, source: Source) -> Floats:
    """The mean image of a file; computed and saved if there is no such file.

    Runs as an operation, which decodes all records one after the other.

    Returns:
      float32, of the shape of an image.

    Raises:
      FormatError: the file is of other images, or a record is damaged.
      OSError: a file cannot be read or written.
    """
    if Path(path).exists():
        return _loaded(path, decoder)
    if not Path(path).absolute().parent.is_dir():  # told before all images are read, not behind
        raise FileNotFoundError(2, f"{decoder.who}: no folder for mean_img", path)
    # Sums of integers: exact, in whatever order.
    channels, height, width = decoder.shape
    sums: Any = np.zeros((height, width, channels), np.int64)
    count = len(known.places)
    for first in range(0, count, _TOGETHER):
        rows = np.arange(first, min(first + _TOGETHER, count))
        for row, record in zip(
            rows.tolist(), read_places(source, known.places, rows, decoder.who), strict=True
        ):
            sums += decoder.cut(known, row, record).reshape(sums.shape)
    mean: Floats = np.ascontiguousarray((sums / count).transpose(2, 0, 1), np.float32)
    save(path, {_NAME: array(mean)})
    return mean


def _loaded(path: str, decoder: Decoder) -> Floats:
    arrays = load(path)
    found = arrays.get(_NAME) if isinstance(arrays, dict) else None
    if found is None:
        raise FormatError(f"{decoder.who}: mean_img {path} has no array of the name {_NAME!r}")
    if found.shape != decoder.shape:
        raise FormatError(
            f"{decoder.who}: mean_img {path} has shape {found.shape}, and data_shape is "
            f"{decoder.shape}"
        )
    return found.asnumpy().astype(np.float32, copy=False)
