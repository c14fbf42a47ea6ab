"""Iterators of whatever a user gives as data: arrays, dictionaries of them, iterators."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from actorflow.errors import ParameterError
from actorflow.io import DataIter, NDArrayIter
from actorflow.ndarray import NDArray
from actorflow.ops import described

__all__ = ["as_eval_iterator", "as_iterator", "positive"]

_PAIR = 2


def as_iterator(who: str, given: Any, labels: Any, batch_size: int, *, training: bool) -> DataIter:  # noqa: ANN401
    """An iterator over rows, or the iterator that is given.

    Args:
      who: who asks, for the message.
      given: an iterator, an array, or a dict of arrays.
      labels: likewise, or None.
      batch_size: rows of a batch, or all if they are fewer.
      training: rows come in another order in each epoch, and need labels.

    Raises:
      ParameterError: labels are missing, or there are too many of them.
      ValueError: there are no rows, or not the same number of them everywhere.
      TypeError: it is nothing of this.
    """
    if isinstance(given, DataIter):
        if labels is not None:
            message = f"{who}: y is given beside a {type(given).__name__}, which has its own labels"
            raise ParameterError(message)
        return given
    if not isinstance(given, np.ndarray | NDArray | Mapping):
        message = f"{who}: X needs an array, a dict of arrays or a DataIter, got {described(given)}"
        raise TypeError(message)
    if training and labels is None:
        message = f"{who}: X are arrays, so that it needs y: their labels, one for each row"
        raise ParameterError(message)
    data = dict(given) if isinstance(given, Mapping) else {"data": given}
    found = {} if labels is None else _labels(labels)
    rows = {name: _shape(each)[:1] for name, each in (*data.items(), *found.items())}
    if not data or len(set(rows.values())) > 1 or next(iter(rows.values())) in {(), (0,)}:
        said = ", ".join(f"{name} {'none' if not n else n[0]}" for name, n in rows.items())
        message = f"{who}: all arrays need as many rows, and at least one, got {said or 'no array'}"
        raise ValueError(message)
    return NDArrayIter(
        data,
        found or None,
        min(batch_size, next(iter(rows.values()))[0]),
        shuffle=training,
        last_batch_handle="roll_over" if training else "pad",
    )


def as_eval_iterator(who: str, what: str, given: Any, batch_size: int) -> DataIter:  # noqa: ANN401
    """An iterator over rows with labels, in their order, of an iterator or a pair (X, y).

    Raises:
      ParameterError, ValueError: as for `as_iterator`.
      TypeError: it is neither.
    """
    if isinstance(given, DataIter):
        return given
    if not isinstance(given, list | tuple) or len(given) != _PAIR:
        message = f"{who}: {what} needs a DataIter or a pair (X, y), got {described(given)}"
        raise TypeError(message)
    data, labels = given
    if labels is None and not isinstance(data, DataIter):
        message = f"{who}: {what} needs labels, too: a pair (X, y)"
        raise ParameterError(message)
    return as_iterator(who, data, labels, batch_size, training=False)


def positive(who: str, name: str, value: int | None, *, least: int = 1) -> int | None:
    """An integer that is not too small, or None.

    Raises:
      ParameterError: it is something else.
    """
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= least):
        return value
    message = f"{who}: {name} needs an integer of at least {least}, got {value!r}"
    raise ParameterError(message)


def _labels(given: Any) -> dict[str, Any]:  # noqa: ANN401
    if isinstance(given, Mapping):
        return dict(given)
    found = given if isinstance(given, NDArray) else np.asarray(given)
    # One label for each row may come as a column.
    if len(found.shape) == 2 and found.shape[1] == 1:  # noqa: PLR2004
        found = found.reshape((found.shape[0],))
    return {"softmax_label": found}


def _shape(array: Any) -> tuple[int, ...]:  # noqa: ANN401
    return tuple(array.shape) if isinstance(array, NDArray) else np.shape(array)
