"""From records to the arrays of a batch: what the decoders of an `ImageRecordIter` do."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs
import numpy as np

from actorflow.errors import FormatError
from actorflow.io.augment import NO_CHANCES, Augmenter, Chances, Chooser, Normalizer
from actorflow.recordio import decode_image, opencv, unpack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actorflow.io.augment import Floats, Pixels
    from actorflow.io.batch import Numbers
    from actorflow.io.image_options import Augmentation, Size
    from actorflow.io.order import Rows
    from actorflow.recordio import Places

__all__ = ["Decoder", "Known", "Labels", "Picked"]

Labels: TypeAlias = dict[int, tuple[float, ...]]


@attrs.frozen(eq=False)
class Known:
    """What is found out before the first batch.

    Attributes:
      places: where the records are.
      labels: by the number in a record's header, if a list has them.
      mean: the mean image, of the shape of an image.
    """

    places: Places
    labels: Labels | None = None
    mean: Floats | None = None


@attrs.frozen(eq=False)
class Picked:
    """Which records a batch has, in order.

    Attributes:
      rows: their numbers in the part.
      epochs: to which epoch each one belongs.
    """

    rows: Rows
    epochs: Numbers


@attrs.frozen(eq=False)
class Decoder:
    """Decodes records. It has no state, so any number of operations may use it at a time.

    Attributes:
      who: the iterator's name.
      file: the record file's.
      options: what to do to images.
      shape: channels, height and width of the result.
      label_width: labels of a record.
      seed: of what is left to chance.
    """

    who: str
    file: str
    options: Augmentation
    shape: Size
    label_width: int
    seed: int

    @cached_property
    def _augmenter(self) -> Augmenter:
        return Augmenter(opencv(self.who), self.options, self.shape)

    def fill(
        self,
        known: Known,
        picked: Picked,
        records: Sequence[bytes | memoryview],
        arrays: tuple[Numbers, Numbers, Numbers],
    ) -> None:
        """Decode some records into rows of arrays.

        Args:
          known: what was found out.
          picked: which records they are.
          records: the records.
          arrays: data, labels and numbers of the records, with a row for each.

        Raises:
          FormatError: a record is damaged, or is not what it should be; the message names it.
        """
        data, labels, numbers = arrays
        normalizer = Normalizer(opencv(self.who), self.options, self.shape, known.mean)
        chances = self._chances(picked)
        for i, record in enumerate(records):
            try:
                labels[i], numbers[i], encoded = self._header(known, record)
                pixels = self._augmenter.apply(self._decoded(encoded), chances[i])
                mirrored = self._augmenter.mirrors(chances[i])
                normalizer.write(pixels, chances[i], data[i], mirrored=mirrored)
            except FormatError as error:
                raise self._placed(error, known, int(picked.rows[i])) from error

    def cut(self, known: Known, row: int, record: bytes | memoryview) -> Pixels:
        """The pixels of a record as they are in epoch 0, not mirrored.

        Raises:
          FormatError: as with `fill`.
        """
        picked = Picked(np.array([row]), np.zeros(1, np.int64))
        try:
            encoded = self._header(known, record)[2]
            return self._augmenter.apply(self._decoded(encoded), self._chances(picked)[0])
        except FormatError as error:
            raise self._placed(error, known, row) from error

    def _decoded(self, encoded: bytes | memoryview) -> Pixels:
        colour = int(self.shape[0] > 1)
        return decode_image(encoded, colour, rgb=True, min_side=max(self.options.resize, 0))

    def _header(
        self, known: Known, record: bytes | memoryview
    ) -> tuple[Any, int, bytes | memoryview]:
        """Labels, number and encoded image of a record."""
        encoded: bytes | memoryview
        header, encoded = unpack(memoryview(record))
        number = header.id
        label: Any = header.label
        if known.labels is not None:
            if number not in known.labels:
                raise FormatError(f"the list of images has no labels for its number, {number}")
            label = known.labels[number]
        got = np.size(label)
        if got != self.label_width:
            raise FormatError(f"it has {got} labels; label_width is {self.label_width}")
        if self.label_width == 1 and np.ndim(label):
            label = label[0]
        # What does not fit is kept in its bits, as MXNet keeps it.
        return label, int(np.uint64(number).astype(np.int64)), encoded

    def _chances(self, picked: Picked) -> list[Chances]:
        if not self.options.draws:
            return [NO_CHANCES] * len(picked.rows)
        choosers = {epoch: Chooser(self.seed, epoch) for epoch in set(picked.epochs.tolist())}
        pairs = zip(picked.rows.tolist(), picked.epochs.tolist(), strict=True)
        return [choosers[epoch].chances(row) for row, epoch in pairs]

    def _placed(self, error: FormatError, known: Known, row: int) -> FormatError:
        offset = known.places.starts[row]
        return FormatError(f"{self.who}: record {row}: {self.file}, offset {offset}: {error}")
