"""Sentences of words as batches of one length each."""

from __future__ import annotations

from bisect import bisect_left
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from zlib import crc32

import numpy as np

from actorflow.io.batch import DataBatch, DataDesc, Numbers
from actorflow.io.order import checked_integer, permutation
from actorflow.io.reader import Read, Reader, Work
from actorflow.io.state import State, counts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from actorflow.ndarray import NDArray

__all__ = ["BucketSentenceIter", "encode_sentences"]

Word = TypeVar("Word")
_LAYOUTS = ("NT", "TN")


def encode_sentences(
    sentences: Iterable[Iterable[Word]],
    vocab: dict[Word, int] | None = None,
    invalid_label: int = -1,
    invalid_key: Any = "\n",  # noqa: ANN401 -- a Word, but the default is none
    start_label: int = 0,
    unknown_token: Word | None = None,
) -> tuple[list[list[int]], dict[Word, int]]:
    """Give each word a number.

    Args:
      sentences: lists of words.
      vocab: the numbers of known words; None makes them. With `unknown_token` it may gain that.
      invalid_label: the number of no word, not given to any.
      invalid_key: what stands for it in a vocabulary that is made here.
      start_label: the first number.
      unknown_token: the word that stands for all that are not known.

    Returns:
      The sentences as lists of numbers, and the vocabulary.

    Raises:
      KeyError: a word is not in `vocab`, and there is no `unknown_token`.
    """
    made = vocab is None
    numbers: dict[Word, int] = {invalid_key: invalid_label} if vocab is None else vocab
    following = start_label
    coded = []
    for sentence in sentences:
        row = []
        for word in sentence:
            known: Word = word
            if word not in numbers:
                if not made and unknown_token is None:
                    raise KeyError(
                        f"encode_sentences: the word {word!r} is not in vocab; needs an "
                        "unknown_token for such words"
                    )
                known = word if unknown_token is None else unknown_token
            if known not in numbers:
                following += following == invalid_label
                numbers[known] = following
                following += 1
            row.append(numbers[known])
        coded.append(row)
    return coded, numbers


class BucketSentenceIter(Reader):
    """Batches of sentences for language models: each word's label is the word behind it.

    A sentence goes to the smallest bucket that is long enough, and is filled up there with
    `invalid_label`. A batch is of one bucket (`DataBatch.bucket_key` is its length), and comes with
    its own `provide_data` and `provide_label`. Sentences that do not fill a batch of their bucket
    are left out, other ones in each epoch. `seed` and the number of the epoch alone decide the
    order.

    Args:
      sentences: lists of numbers, as `encode_sentences` gives them.
      batch_size: sentences of a batch.
      buckets: lengths; by default each length that at least `batch_size` sentences have.
      invalid_label: what stands where no word is.
      data_name, label_name: what they are called.
      dtype: of data and labels.
      layout: "NT" gives batches of shape (batch_size, length), "TN" (length, batch_size).
      seed: of the order, at least 0.
      prefetch_buffer: batches that are made before they are asked for.

    Attributes:
      default_bucket_key: the length of the longest bucket.
      discarded: how many sentences are longer than that.

    Raises:
      ValueError: no bucket has a batch, or an argument is not of the kind given above.
    """

    _device = "cpu(0)"

    def __init__(
        self,
        sentences: Sequence[Sequence[int]],
        batch_size: int,
        buckets: Iterable[int] | None = None,
        invalid_label: int = -1,
        data_name: str = "data",
        label_name: str = "softmax_label",
        dtype: Any = "float32",  # noqa: ANN401 -- whatever NumPy takes for a data type
        layout: str = "NT",
        *,
        seed: int = 0,
        prefetch_buffer: int = 1,
    ) -> None:
        who = self._who
        super().__init__(batch_size, prefetch_buffer, {"epoch": 0, "batch": 0})
        if layout not in _LAYOUTS:
            raise ValueError(f"{who}: layout must be one of {', '.join(_LAYOUTS)}, got {layout!r}")
        self._seed = checked_integer(who, "seed", seed, 0)
        self._dtype = np.dtype(dtype)
        self._names = data_name, label_name
        self._layout = layout
        self._invalid = invalid_label
        lengths = [len(each) for each in sentences]
        if not buckets:
            times = np.bincount(lengths).tolist() if lengths else []
            buckets = [n for n, count in enumerate(times) if n and count >= batch_size]
        wanted = sorted({checked_integer(who, "a bucket", each, 1) for each in buckets})
        rows: list[list[Numbers]] = [[] for _ in wanted]
        self.discarded = 0
        for sentence, length in zip(sentences, lengths, strict=True):
            bucket = bisect_left(wanted, length)
            if bucket == len(wanted):
                self.discarded += 1
                continue
            row = np.full(wanted[bucket], invalid_label, self._dtype)
            row[:length] = sentence
            rows[bucket].append(row)
        self.buckets = [length for length, each in zip(wanted, rows, strict=True) if each]
        self._rows = [np.stack(each) for each in rows if each]
        self._places = [
            (bucket, start)
            for bucket, each in enumerate(self._rows)
            for start in range(0, len(each) - batch_size + 1, batch_size)
        ]
        if not self._places:
            raise ValueError(
                f"{who}: no bucket has the {batch_size} sentences of a batch; buckets "
                f"{wanted} for {len(lengths)} sentences"
            )
        self.default_bucket_key = max(self.buckets)
        self._orders: dict[int, list[Numbers]] = {}  # of the epoch that was asked for last

    def _desc(self, which: int, length: int) -> DataDesc:
        shape = (self.batch_size, length) if self._layout == "NT" else (length, self.batch_size)
        return DataDesc(self._names[which], shape, self._dtype, self._layout)

    @property
    def provide_data(self) -> list[DataDesc]:
        """The name, shape and data type of a batch of the longest bucket."""
        return [self._desc(0, self.default_bucket_key)]

    @property
    def provide_label(self) -> list[DataDesc]:
        """The name, shape and data type of the labels of a batch of the longest bucket."""
        return [self._desc(1, self.default_bucket_key)]

    def _order(self, epoch: int) -> list[Numbers]:
        """The order of the batches, then that of the rows of each bucket."""
        if epoch not in self._orders:
            sizes = (len(self._places), *map(len, self._rows))
            made = [permutation(size, self._seed, epoch, i) for i, size in enumerate(sizes)]
            self._orders = {epoch: made}
        return self._orders[epoch]

    def _plan(self, position: State) -> tuple[Work, State] | None:
        number = position["batch"]
        if number >= len(self._places):
            return None
        places, *orders = self._order(position["epoch"])
        bucket, start = self._places[places[number]]
        rows = orders[bucket][start : start + self.batch_size]
        data, label = ([self._desc(i, self.buckets[bucket])] for i in (0, 1))
        behind = {**position, "batch": number + 1}
        fill = partial(self._fill, bucket, rows, behind, (data, label))
        return Work(fill, data, label), behind

    def _fill(
        self,
        bucket: int,
        rows: Numbers,
        behind: State,
        described: tuple[list[DataDesc], list[DataDesc]],
        data: list[NDArray],
        label: list[NDArray],
    ) -> Read:
        words = self._rows[bucket][rows]
        following = np.full_like(words, self._invalid)
        following[:, :-1] = words[:, 1:]
        transposed = self._layout == "TN"
        data[0]._data()[...] = words.T if transposed else words
        label[0]._data()[...] = following.T if transposed else following
        batch = DataBatch(
            data,
            label,
            pad=0,
            bucket_key=self.buckets[bucket],
            provide_data=described[0],
            provide_label=described[1],
        )
        return batch, behind

    def _next_epoch(self, position: State) -> State:
        return {"epoch": position["epoch"] + 1, "batch": 0}

    def _check_position(self, position: State) -> State:
        return counts(self._who, position, epoch=2**62, batch=len(self._places))

    def _identity(self) -> State:
        return {
            "buckets": list(self.buckets),
            "sentences": [[len(each), crc32(each.tobytes())] for each in self._rows],
            "batch_size": self.batch_size,
            "seed": self._seed,
        }
