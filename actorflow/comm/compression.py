"""Gradients in fewer bytes, with the error kept by the sender and sent later.

`float16` rounds. `2bit` sends plus or minus a threshold, or nothing, for each element (as MXNet;
Seide et al., "1-bit stochastic gradient descent and its application to data-parallel distributed
training of speech DNNs", 2014). `topk` sends the largest elements (Aji and Heafield, "Sparse
communication for distributed gradient descent", 2017; Lin et al., "Deep gradient compression",
2018). What the last two leave out is the residual: it stays with the sender and is added to the
next gradient, so that over time everything is sent.

What is sent and the residual together are what was given, but for rounding: each step rounds the
sum of residual and gradient once, and the difference from what is sent once more.
"""

from __future__ import annotations

import math
from typing import Any, Final, Literal, TypeAlias

import attrs
import numpy as np

from actorflow.errors import AnomalyError, DTypeError, FormatError, ParameterError, ShapeError

__all__ = ["Compressor", "decompress"]

Kind: TypeAlias = Literal["float16", "2bit", "topk"]
Floats: TypeAlias = np.ndarray[Any, np.dtype[np.float32]]
Payload: TypeAlias = np.ndarray[Any, np.dtype[np.uint8]]

_KINDS: Final = ("float16", "2bit", "topk")
_LARGEST_HALF: Final = 65504.0
_NOTHING, _PLUS, _MINUS = range(3)  # two bits; 3 is no code
_SHIFTS: Final = np.array([0, 2, 4, 6], np.uint8)  # the first element is in the lowest bits
_INDEX: Final = np.dtype("<u4")
_VALUE: Final = np.dtype("<f4")
_MOST: Final = 2**32 - 1  # elements whose index has room


def _check_kind(_instance: object, _attribute: object, kind: str) -> None:
    if kind not in _KINDS:
        raise ParameterError(f"compression {kind!r}; needs one of {', '.join(_KINDS)}")


@attrs.define(kw_only=True)
class Compressor:
    """Makes the gradients of one key smaller; it keeps what was not sent.

    Args:
      kind: "float16", "2bit" or "topk".
      threshold: of "2bit": what is sent for an element, and from where on; more than 0.
      ratio: of "topk": how much of the elements is sent, in (0, 1]; at least one is.

    Raises:
      ParameterError: one of these is something else.
    """

    kind: Kind = attrs.field(validator=_check_kind)
    threshold: float = 0.5
    ratio: float = 0.01
    residual: Floats | None = attrs.field(default=None, init=False)
    """(size,) float32: what was given and not sent; None before the first gradient."""

    def __attrs_post_init__(self) -> None:
        if not 0 < self.threshold < math.inf:
            raise ParameterError(f"2bit compression: threshold {self.threshold}; needs more than 0")
        if not 0 < self.ratio <= 1:
            raise ParameterError(f"topk compression: ratio {self.ratio}; needs (0, 1]")

    def compress(self, gradient: Floats) -> Payload:
        """What to send for a gradient.

        Args:
          gradient: float32, any shape, always with as many elements. It is not changed.

        Returns:
          (nbytes,) uint8, for `decompress`.

        Raises:
          DTypeError: it is not float32.
          ShapeError: it has another number of elements than the one before, or too many.
          AnomalyError: an element is not finite, and would stay in the residual for ever. Nothing
            was changed.
        """
        if gradient.dtype != np.float32:
            raise DTypeError(f"{self.kind} compression of {gradient.dtype}; needs float32")
        flat = gradient.reshape(-1)
        if flat.size > _MOST:
            raise ShapeError(f"{self.kind} compression of {flat.size} elements; at most {_MOST}")
        if self.kind == "float16":
            # A finite element stays finite: an infinity would never leave the weight again.
            finite = np.where(np.isfinite(flat), np.clip(flat, -_LARGEST_HALF, _LARGEST_HALF), flat)
            return finite.astype("<f2").view(np.uint8)
        if self.residual is not None and self.residual.size != flat.size:
            raise ShapeError(
                f"{self.kind} compression of {flat.size} elements after {self.residual.size}"
            )
        with np.errstate(over="ignore"):
            total = flat.copy() if self.residual is None else self.residual + flat
        if not np.isfinite(total).all():
            raise AnomalyError(f"{self.kind} compression of a gradient that is not finite")
        payload = self._two_bit(total) if self.kind == "2bit" else self._top(total)
        self.residual = total
        return payload

    def _two_bit(self, total: Floats) -> Payload:
        """Codes of what is to be sent; take it away from `total`."""
        threshold = np.float32(self.threshold)
        plus, minus = total >= threshold, total <= -threshold
        total -= threshold * plus
        total += threshold * minus
        codes = np.zeros(-(-total.size // 4) * 4, np.uint8)
        codes[: total.size] = plus * np.uint8(_PLUS) + minus * np.uint8(_MINUS)
        shifted = codes.reshape(-1, 4) << _SHIFTS
        payload: Payload = np.bitwise_or.reduce(shifted, axis=1)
        return payload

    def _top(self, total: Floats) -> Payload:
        """The largest elements and where they are; take them away from `total`."""
        if not total.size:
            return np.empty(0, np.uint8)
        count = max(1, int(self.ratio * total.size))
        chosen = np.argpartition(np.abs(total), total.size - count)[total.size - count :]
        chosen.sort()
        payload = np.empty(count * (_INDEX.itemsize + _VALUE.itemsize), np.uint8)
        split = count * _INDEX.itemsize
        payload[:split].view(_INDEX)[:] = chosen
        payload[split:].view(_VALUE)[:] = total[chosen]
        total[chosen] = 0
        return payload


def decompress(kind: str, payload: Payload, size: int, *, threshold: float = 0.0) -> Floats:
    """The gradient that was sent.

    Args:
      kind: as of the `Compressor`.
      payload: (nbytes,) uint8.
      size: how many elements the gradient has. The result takes so much memory: check it first
        against what is known of the key.
      threshold: as of the `Compressor`, of "2bit".

    Returns:
      (size,) float32.

    Raises:
      FormatError: the payload is not one of this kind and size.
    """
    if payload.dtype != np.uint8 or payload.ndim != 1 or not 0 <= size <= _MOST:
        raise FormatError(f"{kind} payload {payload.dtype}{payload.shape} of {size} elements")
    payload = np.ascontiguousarray(payload)
    if kind == "float16":
        _check_length(kind, payload, size * 2)
        return payload.view("<f2").astype(np.float32)
    if kind == "2bit":
        return _from_two_bit(payload, size, threshold)
    if kind == "topk":
        return _from_top(payload, size)
    raise FormatError(f"compression {kind[:32]!r}; needs one of {', '.join(_KINDS)}")


def _from_two_bit(payload: Payload, size: int, threshold: float) -> Floats:
    _check_length("2bit", payload, -(-size // 4))
    if not 0 < threshold < math.inf:
        raise FormatError(f"2bit payload with the threshold {threshold}; needs more than 0")
    if (payload & payload >> 1 & 0b01010101).any():
        raise FormatError("2bit payload has a code that means nothing")
    if size % 4 and payload[-1] >> 2 * (size % 4):
        raise FormatError("2bit payload goes on behind its last element")
    values = np.array([0, threshold, -threshold, 0], np.float32)
    codes = np.arange(256, dtype=np.uint8)[:, None] >> _SHIFTS & 3
    gradient: Floats = values[codes][payload].reshape(-1)[:size]
    return gradient


def _from_top(payload: Payload, size: int) -> Floats:
    count, rest = divmod(payload.size, _INDEX.itemsize + _VALUE.itemsize)
    if rest or count > size:
        raise FormatError(f"topk payload of {payload.size} bytes of {size} elements")
    split = count * _INDEX.itemsize
    where, values = payload[:split].view(_INDEX), payload[split:].view(_VALUE)
    if count and (int(where[-1]) >= size or (where[1:] <= where[:-1]).any()):
        raise FormatError(f"topk payload: places do not ascend, or one is not below {size}")
    gradient = np.zeros(size, np.float32)
    gradient[where] = values
    return gradient


def _check_length(kind: str, payload: Payload, nbytes: int) -> None:
    if payload.size != nbytes:
        raise FormatError(f"{kind} payload of {payload.size} bytes; needs {nbytes}")
