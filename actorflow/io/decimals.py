"""Plain decimal numbers in text, parsed a whole text at a time.

NumPy parses integers ten times as fast as numbers with a point. So points are taken out, and each
integer is divided by the power of ten that its point stood for. Both are exact in float64 while the
integer is below 2**53 and the power at most 22, so that the one division rounds correctly: the fast
path of Clinger 1990, "How to read floating point numbers accurately".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from actorflow.io.batch import Numbers

__all__ = ["parse_plain"]

_SIGNS: Final = b"0123456789.-,\n"
_MORE_SIGNS: Final = b"+eE"
_PLUS, _COMMA, _MINUS, _POINT, _END = b"+,-.\n"
_TO_COMMAS: Final = bytes.maketrans(b"\n", b",")
_EXACT: Final = 2**53
_MOST_INTEGER: Final = 18  # digits that an int64 holds in any case
_MOST_POWER: Final = 22  # the largest that is exact
_POWERS: Final = np.array([10.0**power for power in range(_MOST_POWER + 1)])
_FEW: Final = 8  # one of so many numbers may take longer


def parse_plain(text: bytes, width: int, dtype: np.dtype[Any]) -> Numbers | None:
    """The numbers of lines with commas between them, as an array of shape (lines, width).

    Args:
      text: the lines, each with its end.
      width: how many numbers a line has to have.
      dtype: of the result.

    Returns:
      None for what is no such text, or has more than digits, points, signs and exponents: spaces,
      blank lines, infinity. It may still be right, but takes longer to parse.
    """
    whole = dtype.kind in "iu"
    if not whole and dtype not in {np.dtype(np.float32), np.dtype(np.float64)}:
        return None
    others = text.translate(None, _SIGNS)
    if not text or others.translate(None, _MORE_SIGNS):
        return None
    codes = np.frombuffer(text, np.uint8)
    ends = np.flatnonzero((codes <= _COMMA) & (codes != _PLUS))
    rows, left = divmod(len(ends), width)
    in_last = codes[ends[width - 1 :: width]] == _END
    if left or not in_last.all() or text.count(b"\n") != rows or text[-1] != _END:
        return None
    if others:
        found = None if whole else _one_by_one(text)
    else:
        found = _together(text, codes, ends, whole=whole)
    if found is None:
        return None
    if whole:
        limits = np.iinfo(dtype)
        if int(found.min()) < limits.min or int(found.max()) > limits.max:
            return None
    with np.errstate(over="ignore"):  # infinity is the float32 that is nearest
        return found.astype(dtype, copy=False).reshape(rows, width)


def _one_by_one(text: bytes) -> Numbers | None:
    try:
        return np.array([float(field) for field in text[:-1].translate(_TO_COMMAS).split(b",")])
    except ValueError:
        return None


def _together(text: bytes, codes: Numbers, ends: Numbers, *, whole: bool) -> Numbers | None:
    """All numbers of a text of `_SIGNS`; where each ends is known."""
    starts = np.concatenate(([0], ends[:-1] + 1))
    digits = ends - starts
    minus = np.flatnonzero(codes == _MINUS)
    negative = np.searchsorted(ends, minus)
    if (starts[negative] != minus).any():
        return None
    digits[negative] -= 1
    places = np.zeros(len(ends), np.int64)
    points = np.flatnonzero(codes == _POINT)
    if len(points) == len(ends) and (points >= starts).all() and (points < ends).all():
        pointed = np.arange(len(ends))  # each has one: nothing to search
    else:
        pointed = np.searchsorted(ends, points)
    if (pointed[1:] == pointed[:-1]).any() or (whole and len(points)):
        return None
    digits[pointed] -= 1
    places[pointed] = ends[pointed] - points - 1
    if digits.min() < 1 or (whole and digits.max() > _MOST_INTEGER):
        return None
    integers = np.fromstring(text[:-1].translate(_TO_COMMAS, b"."), np.int64, sep=",")
    if whole:
        return integers
    values: Numbers = integers / _POWERS[np.minimum(places, _MOST_POWER)]
    values[negative] = -np.abs(values[negative])  # there is no integer -0
    doubtful = (np.abs(integers) > _EXACT) | (places > _MOST_POWER) | (digits > _MOST_INTEGER)
    count = np.count_nonzero(doubtful)
    if count * _FEW > len(ends):
        return _one_by_one(text)
    if count:
        fields = text[:-1].translate(_TO_COMMAS).split(b",")
        for each in np.flatnonzero(doubtful).tolist():
            values[each] = float(fields[each])
    return values
