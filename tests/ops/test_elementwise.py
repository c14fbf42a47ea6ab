"""The element-wise operators without parameters, against NumPy."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp

from actorflow.errors import DTypeError, ShapeError
from actorflow.ops import DTYPES, ELEMENTWISE
from tests.ops._references import BINARY, COMPARISONS, UNARY, promoted

FLOATS = [np.dtype(name) for name in ("float16", "float32", "float64")]
TOLERANCE = {"float16": 1e-2, "float32": 1e-5, "float64": 1e-12}


def run(operator, *inputs):
    _, (shape,) = operator.infer_shape(*[each.shape for each in inputs])
    _, (dtype,) = operator.infer_type(*[each.dtype for each in inputs])
    output = np.full(shape, 77, dtype)
    operator.forward(*inputs, output)
    return output


def test_each_operator_has_a_reference():
    assert set(ELEMENTWISE) == set(UNARY) | set(BINARY)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("name", UNARY)
def test_unary_is_numpys(name, dtype):
    reference, (low, high) = UNARY[name]
    rng = np.random.default_rng(len(name))
    for shape in [(1,), (7,), (3, 4), (2, 1, 5), (0,), (2, 0)]:
        data = rng.uniform(low, high, shape).astype(dtype)
        output = run(ELEMENTWISE[name], data)
        assert output.dtype == dtype
        tolerance = TOLERANCE[dtype.name]
        np.testing.assert_allclose(output, reference(data), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", UNARY)
def test_unary_takes_integers_as_numpy_does(name):
    operator = ELEMENTWISE[name]
    for dtype in DTYPES:
        if dtype.kind == "f" or dtype not in operator.same:
            continue
        data = np.array([0, 0] if name == "arctanh" else [1, 1], dtype)
        output = run(operator, data)
        assert output.dtype == operator.same[dtype]
        wide = UNARY[name][0](data.astype(np.float64))
        tolerance = 1e-2 if output.dtype == np.float16 else 1e-12
        if name != "negative" or dtype.kind != "u":
            np.testing.assert_allclose(output, wide, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", BINARY)
def test_binary_is_numpys_for_every_pair_of_types(name):
    operator = ELEMENTWISE[name]
    rng = np.random.default_rng(len(name))
    for left, right in itertools.product(DTYPES, DTYPES):
        lhs = rng.integers(0, 2 if left.kind == "b" else 4, (3, 4)).astype(left)
        rhs = rng.integers(1, 2 if right.kind == "b" else 4, (3, 4)).astype(right)
        try:
            expected = BINARY[name](lhs, rhs)
            if name in COMPARISONS or expected.dtype == np.int16:
                expected = expected.astype(promoted(left, right))
        except TypeError:
            with pytest.raises(DTypeError, match=rf"^{name}: got {left.name} and {right.name}"):
                operator.infer_type(left, right)
            continue
        output = run(operator, lhs, rhs)
        assert output.dtype == expected.dtype, (left, right)
        np.testing.assert_array_equal(output, expected)


@pytest.mark.parametrize("name", BINARY)
def test_what_a_binary_operator_gives_is_a_type_of_ours(name):
    operator = ELEMENTWISE[name]
    for dtypes in itertools.product([*DTYPES, int, float], repeat=2):
        try:
            found = operator.loop_types(*dtypes)
        except DTypeError:
            continue
        assert set(found) <= set(DTYPES), dtypes


@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    small=hnp.arrays("int8", 7, elements=st.integers(-128, 127)),
    large=hnp.arrays("uint8", 7, elements=st.integers(0, 255)),
    swapped=st.booleans(),
)
@pytest.mark.parametrize("name", sorted(set(BINARY) - {"divide", "hypot", "arctan2"}))
def test_int8_with_uint8_is_computed_as_int32(name, small, large, swapped):
    operator = ELEMENTWISE[name]
    if name == "power":
        small, large = abs(small.astype("int32")).clip(0, 127).astype("int8"), large % 8
    lhs, rhs = (large, small) if swapped else (small, large)
    with np.errstate(all="ignore"):
        output = run(operator, lhs, rhs)
        wide = BINARY[name](lhs.astype("int32"), rhs.astype("int32"))
    assert output.dtype == np.int32
    np.testing.assert_array_equal(output, wide)


@pytest.mark.parametrize("name", ["add", "maximum", "equal", "power"])
def test_binary_broadcasts(name):
    rng = np.random.default_rng(0)
    for left, right in [((3, 1), (1, 4)), ((2, 3, 4), (4,)), ((1,), (3, 2)), ((0, 3), (1, 3))]:
        lhs, rhs = rng.uniform(1, 2, left), rng.uniform(1, 2, right)
        np.testing.assert_array_equal(run(ELEMENTWISE[name], lhs, rhs), BINARY[name](lhs, rhs))


def test_shapes_that_do_not_broadcast_are_named():
    with pytest.raises(ShapeError, match=r"add: cannot broadcast lhs \(2, 3\) and rhs \(2,\)"):
        ELEMENTWISE["add"].infer_shape((2, 3), (2,))


def test_an_unknown_shape_or_type_stays_unknown():
    add = ELEMENTWISE["add"]
    assert add.infer_shape(None, (2,)) == ((None, (2,)), (None,))
    assert add.infer_type(None, np.dtype(bool)) == ((None, np.dtype(bool)), (None,))


def test_a_type_that_is_not_taken_is_named_with_those_that_are():
    with pytest.raises(DTypeError, match=r"^negative: got bool, but it takes float32, float64"):
        ELEMENTWISE["negative"].infer_type(np.dtype(bool))


def test_halves_are_rounded_away_from_zero():
    data = np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 0.49999999999999994, -0.0])
    output = run(ELEMENTWISE["round"], data)
    np.testing.assert_array_equal(output, [-3, -2, -1, 1, 2, 3, 0, 0])
    np.testing.assert_array_equal(run(ELEMENTWISE["rint"], data), np.rint(data))


@pytest.mark.parametrize("name", [*UNARY, *BINARY])
def test_an_operator_may_work_in_place(name):
    operator = ELEMENTWISE[name]
    low, high = UNARY[name][1] if name in UNARY else (1, 2)
    rng = np.random.default_rng(1)
    inputs = [rng.uniform(low, high, (5,)) for _ in operator.inputs]
    expected = run(operator, *inputs)
    for index, (taken, _) in enumerate(operator.inplace):
        assert operator.inputs[index] == taken
        copies = [each.copy() for each in inputs]
        operator.forward(*copies, copies[index])
        np.testing.assert_array_equal(copies[index], expected)


def test_sigmoid_of_large_numbers_is_zero_or_one():
    with np.errstate(over="ignore"):
        output = run(ELEMENTWISE["sigmoid"], np.array([-1e4, 1e4, 0], np.float32))
    np.testing.assert_array_equal(output, [0, 1, 0.5])
