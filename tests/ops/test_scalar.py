"""Element-wise operators with numbers as parameters."""

import numpy as np
import pytest

from actorflow.errors import DTypeError
from actorflow.ops import DTYPES, ELEMENTWISE, Arange, Cast, Clip, Fill, WithScalar
from tests.ops._references import BINARY, COMPARISONS


def run(operator, data):
    (dtype,) = operator.infer_type(data.dtype)[1]
    (shape,) = operator.infer_shape(data.shape)[1]
    output = np.full(shape, 77, dtype)
    operator.forward(data, output)
    return output


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(
    "scalar", [2, 1.5, True, np.float64(1.5), np.int8(2), np.uint8(2), np.float16(1)]
)
@pytest.mark.parametrize("name", BINARY)
def test_a_scalar_is_promoted_as_numpy_does(name, scalar, reverse):
    operator = WithScalar(ELEMENTWISE[name], scalar, reverse)
    for dtype in DTYPES:
        data = np.array([1, 1, 1], dtype)
        pair = (scalar, data) if reverse else (data, scalar)
        try:
            expected = BINARY[name](*pair)
        except TypeError:
            with pytest.raises(DTypeError):
                operator.infer_type(dtype)
            continue
        if name in COMPARISONS:
            try:
                expected = expected.astype(np.add(*pair).dtype)
            except TypeError:
                continue
        if expected.dtype == np.int16:  # no array of ours has it
            expected = expected.astype(np.int32)
        output = run(operator, data)
        assert output.dtype == expected.dtype, dtype
        np.testing.assert_array_equal(output, expected)


def test_a_number_of_numpys_is_widened_with_the_array():
    data = np.array([-2, 3], np.int8)
    output = run(WithScalar(ELEMENTWISE["power"], np.uint8(20)), data)
    assert output.dtype == np.int32
    assert output[0] == 2**20  # int16 would be 0


def test_an_integer_that_does_not_fit_is_refused_at_once():
    for name in ("add", "power", "maximum"):
        operator = WithScalar(ELEMENTWISE[name], 300)
        with pytest.raises(
            OverflowError, match=f"{name}: 300 does not fit uint8, which holds 0 to"
        ):
            operator.infer_type(np.dtype("uint8"))


def test_a_comparison_with_an_integer_out_of_range_has_an_answer():
    data = np.array([1, 255], np.uint8)
    assert run(WithScalar(ELEMENTWISE["lesser"], 300), data).tolist() == [1, 1]
    assert run(WithScalar(ELEMENTWISE["equal"], -1), data).tolist() == [0, 0]
    assert run(WithScalar(ELEMENTWISE["lesser"], 300, reverse=True), data).tolist() == [0, 0]


def test_a_negative_integer_power_of_integers_is_refused_at_once():
    operator = WithScalar(ELEMENTWISE["power"], -1)
    with pytest.raises(ValueError, match=r"power: int32 to the power -1, .* -1\.0 gives floats"):
        operator.infer_type(np.dtype("int32"))
    assert run(operator, np.array([2.0])).tolist() == [0.5]


@pytest.mark.parametrize("scalar", [np.uint16(1), 1j, "1", None, np.datetime64(0, "s")])
def test_what_is_no_number_of_ours_is_refused(scalar):
    with pytest.raises(DTypeError, match="add: cannot compute with"):
        WithScalar(ELEMENTWISE["add"], scalar).infer_type(np.dtype("float32"))


def test_equal_numbers_of_different_types_make_different_operators():
    add = ELEMENTWISE["add"]
    numbers = (1, 1.0, True, np.float32(1), np.int8(1))
    assert len({WithScalar(add, number) for number in numbers}) == len(numbers)
    assert WithScalar(add, 1.0) == WithScalar(add, 1.0)


@pytest.mark.parametrize("dtype", [d for d in DTYPES if d.kind != "b"], ids=str)
def test_clip_is_numpys(dtype):
    data = np.arange(10).astype(dtype)
    for low, high in [(2, 5), (2.0, 5.0), (0, 100), (4, 4)]:
        np.testing.assert_array_equal(run(Clip(low, high), data), np.clip(data, low, high))


def test_clip_of_integers_takes_any_bounds():
    data = np.array([0, 100, 255], np.uint8)
    assert run(Clip(-5, 1000), data).tolist() == [0, 100, 255]
    assert run(Clip(300, 400), data).tolist() == [255, 255, 255]
    assert run(Clip(-np.inf, np.inf), data).tolist() == [0, 100, 255]
    assert run(Clip(0.5, 99.5), data).tolist() == [1, 99, 99]


def test_clip_keeps_nan():
    assert np.isnan(run(Clip(0, 1), np.array([np.nan]))).all()


@pytest.mark.parametrize("bounds", [(2, 1), (np.nan, 1), (0, np.nan)])
def test_clip_needs_ordered_bounds(bounds):
    with pytest.raises(ValueError, match=r"clip: a_min .* is greater than a_max"):
        Clip(*bounds)


def test_cast_is_numpys():
    data = np.array([-1.7, 0, 2.9, 100])
    for dtype in DTYPES:
        if dtype.kind != "u":
            np.testing.assert_array_equal(run(Cast(dtype), data), data.astype(dtype))


def test_fill():
    output = np.empty((2, 3), np.int8)
    Fill(7).forward(output)
    assert (output == 7).all()


@pytest.mark.parametrize(
    ("start", "stop", "step", "repeat"),
    [(0, 5, 1, 1), (2, 9, 3, 2), (5, 0, -2, 1), (0.0, 1.0, 0.25, 1), (3, 3, 1, 1), (4, 1, 1, 2)],
)
def test_arange_is_numpys(start, stop, step, repeat):
    operator = Arange(start, stop, step, repeat)
    output = np.empty(operator.count, np.float64)
    operator.forward(output)
    np.testing.assert_array_equal(output, np.repeat(np.arange(start, stop, step), repeat))


def test_arange_refuses_what_never_ends():
    with pytest.raises(ValueError, match="arange: step is 0"):
        Arange(0, 1, 0)
    with pytest.raises(ValueError, match="repeat"):
        Arange(0, 1, 1, 0)
