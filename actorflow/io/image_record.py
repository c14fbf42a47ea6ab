"""Images in record files."""

from __future__ import annotations

import weakref
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final
from zlib import crc32

import attrs
import numpy as np

from actorflow.engine import Resource, current_engine
from actorflow.errors import FormatError, ParameterError
from actorflow.io.ahead import Ahead, Job, Step
from actorflow.io.batch import DataBatch, DataDesc
from actorflow.io.image_decoder import Decoder, Known, Labels, Picked
from actorflow.io.image_mean import mean_image
from actorflow.io.image_options import Size, make_augmentation
from actorflow.io.order import ROUND, Order, checked_integer, checked_path
from actorflow.io.reader import Read, Reader, Work
from actorflow.io.state import State, counts
from actorflow.ops.parameters import flag
from actorflow.recordio import find_places, open_source, opencv, read_list, read_places

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Sequence

    from actorflow.io.batch import Numbers
    from actorflow.ndarray import NDArray

__all__ = ["ImageRecordIter"]

_HEAD: Final = 1 << 16  # bytes whose checksum tells one file from another of the same length
_MOST: Final = 2**62
_START: Final = {"epoch": 0, "skip": 0, "batch": 0, "used": 0}
"""A position: the epoch, how many of its first records the one before has used, the number of the
batch, and how many records of the next epoch the batches before that have used."""

_DTYPES: Final = ("float32", "uint8")
_CHANNELS: Final = (1, 3)
_OWN: Final = (
    *("path_imgrec", "data_shape", "batch_size", "path_imgidx", "path_imglist", "label_width"),
    *("shuffle", "seed", "round_batch", "part_index", "num_parts", "preprocess_threads"),
    *("prefetch_buffer", "data_name", "label_name", "dtype"),
)


@attrs.define(eq=False)
class _Raw:
    """The records of one batch between reading and handing over.

    Attributes:
      picked: which they are.
      numbers: those in their headers; each decoder writes its share.
      records: what was read; empty until then, and if reading failed.
    """

    picked: Picked
    numbers: Numbers
    records: list[bytes | memoryview] = attrs.Factory(list)


class ImageRecordIter(Reader):
    """Batches of JPEG and PNG images in a record file, decoded and augmented side by side.

    The records are numbered in the order of the file. `seed`, the number of the epoch and that of
    the record alone decide the order and what is left to chance, and not the number of workers.

    Args:
      path_imgrec: the record file, a path or an fsspec URL.
      data_shape: (3, height, width), or (1, height, width) for grey images.
      batch_size: images of a batch.
      path_imgidx: its index, a path or an fsspec URL. Without it, all headers are read once.
      path_imglist: a list with labels, which count instead of those in the records; it has them by
        the number in a record's header.
      label_width: labels of an image; 1 gives labels of shape (batch_size,).
      shuffle: give each epoch an order of its own, of all records of the part.
      seed: of all that is left to chance, at least 0.
      round_batch: what follows if the images do not fill the last batch (`DataBatch.pad` says how
        many are missing): it is filled up with the first ones of the next epoch, which leaves them
        out, or, if it is false, with the first ones of its own.
      part_index, num_parts: which part of the file to read, as `recordio.part_range` divides it.
      preprocess_threads: decoders of a batch that may work side by side; default as many as the
        engine has workers.
      prefetch_buffer: batches that are made before they are asked for.
      data_name, label_name: what they are called.
      dtype: "float32", or "uint8" for pixels as they are.
      augmentation: what is done to an image, in this order:

        - `resize`: makes the shorter side that long.
        - `max_rotate_angle` or `rotate` (degrees), `max_shear_ratio`, `min_random_scale` to
          `max_random_scale`, `max_aspect_ratio`: turn, shear, scale and stretch it by chance, or,
          with `rotate`, by that angle; `min_img_size` and `max_img_size` bound the sides.
        - `pad`: adds that many pixels at each side.
        - `min_crop_size` to `max_crop_size`: cuts out a square of such a side and resizes it;
          without them, a part of the result's size. It is the middle, or begins at `crop_x_start`
          and `crop_y_start`, or with `rand_crop` anywhere.
        - `random_h`, `random_s`, `random_l`: change hue (of 180), saturation and lightness (of
          255) by up to so much.
        - `mirror`: mirrors it; `rand_mirror` every second one.
        - `((pixel - mean) * contrast + illumination) * scale / std`, where `mean` is `mean_r`,
          `mean_g` and `mean_b`, or an image from the file `mean_img`, which is computed and written
          by the first iterator that finds it missing; `std` is `std_r`, `std_g` and `std_b`;
          contrast differs from 1 by up to `max_random_contrast`, illumination from 0 by up to
          `max_random_illumination`.

        `fill_value` is the colour of what was not in the image, 255 unless given. `inter_method`
        says how to resize: 0 nearest, 1 linear (unless given), 2 cubic, 3 area, 4 Lanczos, 9 by the
        sizes, 10 by chance.

    `DataBatch.index` has the numbers in the records' headers.

    Raises:
      OSError: the file cannot be opened.
      MissingExtraError: OpenCV is missing; or a URL, and what it needs is not installed.
      ParameterError: a parameter of `augmentation` is unknown, out of its range, or does not go
        with another.
      ValueError: another argument is not of the kind given above.

    Damaged records and images are a `FormatError` of the batch that they are in, which names the
    file, the number of the record in the part, from 0, and its offset.
    """

    def __init__(
        self,
        path_imgrec: str | os.PathLike[str],
        data_shape: Iterable[int],
        batch_size: int,
        *,
        path_imgidx: str | os.PathLike[str] | None = None,
        path_imglist: str | os.PathLike[str] | None = None,
        label_width: int = 1,
        shuffle: bool = False,
        seed: int = 0,
        round_batch: bool = True,
        part_index: int = 0,
        num_parts: int = 1,
        preprocess_threads: int | None = None,
        prefetch_buffer: int = 4,
        data_name: str = "data",
        label_name: str = "softmax_label",
        dtype: Any = "float32",  # noqa: ANN401 -- whatever NumPy takes for a data type
        **augmentation: Any,
    ) -> None:
        who = self._who
        super().__init__(batch_size, prefetch_buffer, dict(_START))
        opencv(who)
        self._shape = _shape(who, data_shape)
        self._dtype = _data_type(who, dtype)
        self._options = make_augmentation(who, augmentation, _OWN, self._shape)
        if self._dtype == np.uint8 and self._options.computes:
            raise ParameterError(
                f"{who}: dtype uint8 gives pixels as they are, and cannot have "
                f"{', '.join(self._options.computes)}"
            )
        width = checked_integer(who, "label_width", label_width, 1)
        self._seed = checked_integer(who, "seed", seed, 0)
        self._shuffle = _flag(who, "shuffle", shuffle)
        self._round = _flag(who, "round_batch", round_batch)
        self._part = _part(who, part_index, num_parts)
        self._threads = preprocess_threads
        if preprocess_threads is not None:
            self._threads = checked_integer(who, "preprocess_threads", preprocess_threads, 1)
        self._index = None if path_imgidx is None else checked_path(who, "path_imgidx", path_imgidx)
        self._list = None
        if path_imglist is not None:
            self._list = checked_path(who, "path_imglist", path_imglist)
        data_name, label_name = _names(who, data_name, label_name)
        self._desc = DataDesc(data_name, (self.batch_size, *self._shape), self._dtype)
        inner = () if width == 1 else (width,)
        self._label_desc = DataDesc(label_name, (self.batch_size, *inner))
        self._file = Resource(who)  # who reads the file; one after the other
        self._known: Known | None = None
        self._order: Order | None = None
        self._finding: Ahead[Known] | None = None
        self._open(checked_path(who, "path_imgrec", path_imgrec), width)

    def _open(self, path: str, label_width: int) -> None:
        self._source = open_source(path)
        try:
            size = self._source.size()
            self._head = [size, crc32(self._source.read(0, min(_HEAD, size)))]
        except BaseException:
            self._source.close()
            raise
        weakref.finalize(self, self._source.close).atexit = False
        self._decoder = Decoder(
            self._who, self._source.name, self._options, self._shape, label_width, self._seed
        )

    @property
    def provide_data(self) -> list[DataDesc]:
        """The name, shape and data type of a batch's images: channels red, green, blue, or grey."""
        return [self._desc]

    @property
    def provide_label(self) -> list[DataDesc]:
        """The name, shape and data type of a batch's labels: float32."""
        return [self._label_desc]

    # -- Before the first batch ---------------------------------------------------------------

    def _find(self) -> Known:
        """As an operation: where the records are, and what else all batches need."""
        places = find_places(self._source, *self._part, self._index)
        if not len(places):
            index, parts = self._part
            raise FormatError(
                f"{self._who}: {self._source.name} has no record in part {index} of {parts}; "
                "needs one"
            )
        labels: Labels | None = None
        if self._list is not None:
            labels = {entry.number: entry.labels for entry in read_list(self._list)}
        known = Known(places, labels)
        if not self._options.mean_img:
            return known
        mean = mean_image(self._options.mean_img, self._decoder, known, self._source)
        return attrs.evolve(known, mean=mean)

    def _found(self) -> Ahead[Known]:
        if self._finding is None:
            self._finding = Ahead(self._who, lambda: Job(self._find), self._file, 0)
        return self._finding

    def _learn(self, known: Known) -> None:
        self._finding = None
        self._known = known
        last = ROUND if self._round else "pad"
        self._order = Order(len(known.places), self.batch_size, self._shuffle, self._seed, last)

    def _take(self) -> DataBatch:
        if self._known is None:
            self._learn(self._found().take())
        return super()._take()

    async def _take_async(self) -> DataBatch:
        if self._known is None:
            self._learn(await self._found().take_async())
        return await super()._take_async()

    def _drop_ahead(self) -> None:
        super()._drop_ahead()
        if self._finding is not None:
            self._finding.drop()
            self._finding = None

    # -- Batches ------------------------------------------------------------------------------

    def _plan(self, position: State) -> tuple[Work, State] | None:
        known, order = self._known, self._order
        if known is None or order is None:  # whoever takes a batch finds it before
            return None
        epoch, skip, number = position["epoch"], position["skip"], position["batch"]
        if number >= order.batches(-skip):
            return None
        rows, pad = order.batch(epoch, -skip, number)
        epochs = np.full(len(rows), epoch)
        if pad and self._round:
            epochs[-pad:] += 1
        used = -order.left(-skip, number + 1)
        behind = {**position, "batch": number + 1, "used": used}
        raw = _Raw(Picked(rows, epochs), np.zeros(len(rows), np.int64))
        hand_over = partial(self._hand_over, raw, pad, behind)
        steps = partial(self._steps, known, raw)
        return Work(hand_over, [self._desc], [self._label_desc], steps=steps), behind

    def _steps(
        self, known: Known, raw: _Raw, data: list[NDArray], label: list[NDArray]
    ) -> Sequence[Step]:
        """To read the records, then decoders side by side, each for a share of the batch."""
        ready = Resource(self._who)
        rows = raw.picked.rows
        nbytes = (known.places.ends[rows] - known.places.starts[rows]).tolist()
        read = partial(self._read, known, raw)
        steps = [Step(read, writes=(self._file, ready), nbytes=sum(nbytes))]
        shares = min(self._threads or current_engine().workers or 1, len(rows))
        borders = [len(rows) * i // shares for i in range(shares + 1)]
        for first, behind in pairwise(borders):
            part = data[0][first:behind], label[0][first:behind]
            decode = partial(self._decode, known, raw, slice(first, behind), *part)
            steps.append(
                Step(
                    decode,
                    reads=(ready,),
                    writes=[each.resource for each in part],
                    device="cpu(0)",
                    nbytes=sum(nbytes[first:behind]) + sum(each.nbytes for each in part),
                )
            )
        return steps

    def _read(self, known: Known, raw: _Raw) -> None:
        raw.records = read_places(self._source, known.places, raw.picked.rows, self._who)

    def _decode(self, known: Known, raw: _Raw, share: slice, data: NDArray, label: NDArray) -> None:
        if not raw.records:
            return  # reading has failed
        picked = Picked(raw.picked.rows[share], raw.picked.epochs[share])
        arrays = data._data(), label._data(), raw.numbers[share]
        self._decoder.fill(known, picked, raw.records[share], arrays)

    def _hand_over(
        self, raw: _Raw, pad: int, behind: State, data: list[NDArray], label: list[NDArray]
    ) -> Read:
        return DataBatch(data, label, pad=pad, index=raw.numbers), behind

    # -- Positions ----------------------------------------------------------------------------

    def _next_epoch(self, position: State) -> State:
        return {**_START, "epoch": position["epoch"] + 1, "skip": position["used"]}

    def _check_position(self, position: State) -> State:
        order = self._order
        # How many records there are may be found out later; there are at most as many as bytes.
        most = self._head[0] if order is None else order.count - 1
        found = counts(self._who, position, epoch=_MOST, skip=most, batch=_MOST, used=most)
        if order is None:
            return found
        return found | counts(self._who, position, batch=order.batches(-found["skip"]))

    def _identity(self) -> State:
        return {
            "path_imgrec": self._head,
            "part": list(self._part),
            "batch_size": self.batch_size,
            "shuffle": self._shuffle,
            "seed": self._seed,
            "round_batch": self._round,
            "data_shape": list(self._shape),
        }

    def _last_reads(self) -> Resource:
        return self._file

    def _release(self) -> None:
        self._source.close()


def _shape(who: str, given: Iterable[int]) -> Size:
    needs = "needs (3, height, width) or (1, height, width)"
    try:
        sides = tuple(given)
    except TypeError:
        raise ValueError(f"{who}: data_shape is {given!r}; {needs}") from None
    shape = tuple(checked_integer(who, "data_shape", each, 1) for each in sides)
    if len(shape) != 3 or shape[0] not in _CHANNELS:  # noqa: PLR2004 -- channels, height, width
        raise ValueError(f"{who}: data_shape is {shape}; {needs}")
    return shape[0], shape[1], shape[2]


def _data_type(who: str, given: Any) -> np.dtype[Any]:  # noqa: ANN401
    try:
        dtype: np.dtype[Any] | None = None if given is None else np.dtype(given)
    except TypeError:
        dtype = None
    if dtype is None or dtype.name not in _DTYPES:
        shown = given if dtype is None else dtype.name
        raise ValueError(f"{who}: dtype is {shown}; needs {' or '.join(_DTYPES)}")
    return dtype


def _flag(who: str, name: str, given: Any) -> bool:  # noqa: ANN401
    """True or False, or a text for it: whatever else is true would be taken for True."""
    try:
        found: bool = flag(False).converter(given)  # noqa: FBT003
    except ValueError as error:
        raise ValueError(f"{who}: {name} {error}") from None
    return found


def _names(who: str, data: object, label: object) -> tuple[str, str]:
    for what, name in (("data_name", data), ("label_name", label)):
        if not isinstance(name, str) or not name:
            raise ValueError(f"{who}: {what} is {name!r}; needs a text")
    if data == label:
        raise ValueError(f"{who}: data_name and label_name are both {data!r}; need to differ")
    return str(data), str(label)


def _part(who: str, index: int, parts: int) -> tuple[int, int]:
    parts = checked_integer(who, "num_parts", parts, 1)
    index = checked_integer(who, "part_index", index, 0)
    if index >= parts:
        raise ValueError(f"{who}: part_index is {index}; num_parts {parts} needs it below that")
    return index, parts
