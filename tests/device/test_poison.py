"""Poison marks what nobody has written."""

import numpy as np
import pytest

from actorflow.device import count_poisoned, is_poisoned, poison

DTYPES = ["f2", "f4", "f8", "?", "u1", "i1", "i2", "u4", "i4", "i8"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_poison_is_recognised(dtype):
    array = np.zeros((3, 4), dtype)
    assert not is_poisoned(array)
    poison(array)
    assert is_poisoned(array)
    assert count_poisoned(array) == 12
    array[1] = 0
    assert not is_poisoned(array)
    assert count_poisoned(array) == 8


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_floats_are_nan_but_not_any_nan(dtype):
    array = np.empty(4, dtype)
    poison(array)
    assert np.isnan(array).all()
    array[:] = np.nan
    assert count_poisoned(array) == 0
    with np.errstate(invalid="ignore"):
        array[:] = np.array(np.inf, dtype) - np.array(np.inf, dtype)
    assert count_poisoned(array) == 0


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_arithmetic_hands_the_poison_on(dtype):
    array = np.empty(4, dtype)
    poison(array)
    assert is_poisoned(array * 2 + 1)


def test_integers_get_the_byte():
    array = np.empty(2, np.uint32)
    poison(array)
    assert array.tolist() == [0xA5A5A5A5] * 2


def test_strided_and_scalar_arrays():
    whole = np.zeros((4, 6), np.float32)
    part = whole[::2, 1::3].T
    poison(part)
    assert is_poisoned(part)
    assert count_poisoned(whole) == part.size
    scalar = np.zeros((), np.float32)
    poison(scalar)
    assert is_poisoned(scalar)


def test_an_empty_array_is_never_poisoned():
    array = np.empty((0, 3), np.float32)
    poison(array)
    assert not is_poisoned(array)


def test_other_dtypes_are_refused():
    with pytest.raises(TypeError, match="complex64"):
        poison(np.zeros(1, np.complex64))


def test_read_only_arrays_are_refused():
    array = np.zeros(1, np.float32)
    array.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        poison(array)
