"""Arithmetic on arrays, against NumPy."""

import operator
import warnings

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp

from actorflow import nd
from actorflow.device import cpu
from actorflow.engine import Engine
from actorflow.errors import ContextError, DTypeError, ShapeError
from tests.ops._references import BINARY, COMPARISONS, UNARY

steady = settings(derandomize=True, deadline=None, max_examples=60)

DTYPES = ["float32", "float64", "float16", "uint8", "int32", "int8", "int64", "bool"]
OPERATORS = {
    operator.add: np.add,
    operator.sub: np.subtract,
    operator.mul: np.multiply,
    operator.truediv: np.true_divide,
    operator.floordiv: np.floor_divide,
    operator.mod: np.remainder,
    operator.pow: np.power,
}
COMPARING = [operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge]


def numbers(shape, dtype, seed=0):
    data = np.random.default_rng(seed).integers(1, 4, shape)
    return data.astype(dtype)


def array(data):
    return nd.array(data, dtype=data.dtype)


def same(result, expected):
    """The result is what NumPy says, of that data type; no axes mean the shape (1,)."""
    expected = np.atleast_1d(expected)
    if expected.dtype == np.int16:  # of int8 and uint8; no array of ours has it
        expected = expected.astype("int32")
    got = result.asnumpy()
    assert result.shape == got.shape == expected.shape
    assert result.dtype == got.dtype == expected.dtype
    tolerance = {2: 1e-2, 4: 1e-5, 8: 1e-12}[expected.itemsize] if expected.dtype.kind == "f" else 0
    np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("function", OPERATORS)
def test_operators_are_numpys_for_all_types(engine, function):
    for left in DTYPES:
        for right in DTYPES:
            lhs, rhs = numbers((2, 3), left), numbers((2, 3), right, 1)
            try:
                expected = OPERATORS[function](lhs, rhs)
            except TypeError:
                with pytest.raises(DTypeError):
                    function(array(lhs), array(rhs))
                continue
            same(function(array(lhs), array(rhs)), expected)


@pytest.mark.parametrize("function", OPERATORS)
def test_operators_take_numbers_on_both_sides(engine, function):
    for dtype in DTYPES:
        data = numbers((2, 3), dtype)
        for number in (2, 1.5, np.float64(0.5), np.int8(3)):
            for pair, arrays in (
                ((data, number), (array(data), number)),
                ((number, data), (number, array(data))),
            ):
                try:
                    expected = OPERATORS[function](*pair)
                except TypeError:
                    continue
                same(function(*arrays), expected)


@pytest.mark.parametrize("function", COMPARING)
def test_comparisons_give_ones_and_zeros_in_the_common_type(engine, function):
    for dtype in DTYPES:
        lhs, rhs = numbers((3, 4), dtype), numbers((3, 4), dtype, 1)
        same(function(array(lhs), array(rhs)), function(lhs, rhs).astype(dtype))
    same(function(array(lhs), array(rhs).astype("float64")), function(lhs, rhs).astype("float64"))
    data = numbers((3, 4), "float32")
    same(function(array(data), 2), function(data, 2).astype("float32"))
    same(function(2, array(data)), function(2, data).astype("float32"))


def test_every_named_function_of_two_operands(engine):
    lhs, rhs = numbers((2, 1, 3), "float32"), numbers((4, 1), "float32", 1)
    for name, reference in BINARY.items():
        function = getattr(nd, name)
        expected = reference(lhs, rhs)
        if name in COMPARISONS:
            expected = expected.astype("float32")
        same(function(array(lhs), array(rhs)), expected)
        out = nd.empty(expected.shape)
        assert function(array(lhs), array(rhs), out=out) is out
        same(out, expected)
        scalar = reference(lhs, np.float32(2)).astype("float32")
        same(function(array(lhs), 2.0), scalar)
        out = nd.empty(lhs.shape)
        assert function(2.0, array(lhs), out) is out
        same(out, reference(np.float32(2), lhs).astype("float32"))


def test_every_named_function_of_one_array(engine):
    for name, (reference, (low, high)) in UNARY.items():
        data = np.random.default_rng(0).uniform(low, high, (3, 4)).astype("float32")
        same(getattr(nd, name)(array(data)), reference(data))
        out = nd.empty((3, 4))
        assert getattr(nd, name)(array(data), out=out) is out
        same(out, reference(data))
        inplace = array(data)
        getattr(nd, name)(inplace, out=inplace)
        same(inplace, reference(data))
        large = np.random.default_rng(0).uniform(low, high, (100, 100)).astype("float32")
        same(getattr(nd, name)(array(large)), reference(large))
    same(nd.fix(array(data)), np.trunc(data))


@pytest.mark.parametrize("function", OPERATORS)
@steady
@given(shapes=hnp.mutually_broadcastable_shapes(num_shapes=2, min_dims=1, min_side=0, max_side=4))
def test_operators_broadcast_as_numpy_does(function, shapes):
    left, right = shapes.input_shapes
    lhs, rhs = numbers(left, "float32"), numbers(right, "float32", 1)
    with Engine(engine_type="naive"):
        same(function(array(lhs), array(rhs)), OPERATORS[function](lhs, rhs))


@pytest.mark.parametrize("name", BINARY)
def test_every_pair_of_types_goes_on_or_is_refused_in_the_call(engine, name):
    function = getattr(nd, name)
    for left in DTYPES:
        for right in DTYPES:
            lhs, rhs = numbers((2, 3), left), numbers((2, 3), right, 1)
            for pair in (
                (array(lhs), array(rhs)),
                (array(lhs), rhs),
                (array(lhs), rhs.dtype.type(2)),
                (lhs.dtype.type(2), array(rhs)),
            ):
                try:
                    result = function(*pair)
                except DTypeError:
                    assert "bool" in {left, right}
                    continue
                assert result.dtype.name in DTYPES
                again = nd.add(result, result) * nd.ones((2, 3))
                assert result.asnumpy().dtype == result.dtype
                assert again.asnumpy().dtype == again.dtype


def test_int8_with_uint8_is_int32(engine):
    small, large = nd.array([-2, 127], dtype="int8"), nd.array([20, 255], dtype="uint8")
    assert (small * large).dtype == "int32"
    same(small * large, np.array([-40, 127 * 255], "int32"))
    same(small ** np.uint8(20), np.array([-2, 127], "int32") ** np.int32(20))
    same(large > small, np.array([1, 1], "int32"))
    same(nd.concatenate([small, large]), np.array([-2, 127, 20, 255], "int32"))
    many = nd.full((4,), 127, dtype="int8")
    same(nd.dot(many, nd.full((4,), 255, dtype="uint8")), np.array([4 * 127 * 255], "int32"))
    small += large
    same(small, np.array([18, 126], "int8"))
    with pytest.raises(DTypeError, match="out has dtype uint8, to which the result's int32"):
        large += small


def test_unary_operators(engine):
    data = numbers((2, 3), "int32") - 2
    same(-array(data), -data)
    same(abs(array(data)), abs(data))
    same(+array(data), data)


INPLACE = [
    operator.iadd,
    operator.isub,
    operator.imul,
    operator.itruediv,
    operator.ifloordiv,
    operator.imod,
    operator.ipow,
]


@pytest.mark.parametrize("function", INPLACE)
def test_operators_in_place(engine, function):
    for other in (numbers((2, 3), "float32", 1), numbers((3,), "float32", 1), 2.0, 3):
        expected = numbers((2, 3), "float32")
        x = array(expected)
        alias = x
        expected = function(expected, other)
        x = function(x, array(other) if isinstance(other, np.ndarray) else other)
        assert x is alias
        same(x, expected)


def test_in_place_keeps_the_data_type_or_refuses(engine):
    half = nd.ones((2,), dtype="float16")
    half += nd.ones((2,), dtype="float64")
    same(half, np.full(2, 2, "float16"))
    half *= np.float64(1.5)
    same(half, np.full(2, 3, "float16"))
    whole = nd.ones((2,), dtype="int32")
    with pytest.raises(DTypeError, match="add: out has dtype int32, to which the result's float64"):
        whole += 0.5
    with pytest.raises(ShapeError, match=r"add: out has shape \(2,\), but the result has \(3, 2\)"):
        half += nd.ones((3, 2), dtype="float16")


def test_an_array_with_itself(engine):
    x = nd.array([1, 2, 3])
    x += x
    x *= x
    same(x - x / 2, np.array([2, 8, 18], "float32"))


def test_views_of_one_array_with_one_another(engine):
    data = np.arange(12, dtype="float32").reshape(4, 3)
    x = array(data)
    x[1:] += x[:-1]
    data[1:] += data[:-1].copy()
    same(x, data)
    nd.sigmoid(x[:3], out=x[1:])
    data[1:] = 1 / (1 + np.exp(-data[:3]))
    same(x, data)
    nd.dot(x[:3], x[:3], out=x[1:])
    data[1:] = data[:3] @ data[:3]
    same(x, data)
    nd.multiply(x[1:], 2.0, out=x[:-1])
    data[:-1] = data[1:] * np.float32(2)
    same(x, data)


def test_numpy_arrays_are_copied_as_they_are(engine):
    data = np.arange(3, dtype="float32")
    x = nd.ones((3,))
    left, right = data + x, x - data
    data[:] = 99
    same(left, np.array([1, 2, 3], "float32"))
    same(right, np.array([1, 0, -1], "float32"))
    assert isinstance(np.float64(2) * x, nd.NDArray)


def test_floating_point_exceptions_are_silent(engine):
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        x = nd.array([1, 0, -1])
        same(x / 0, np.array([np.inf, np.nan, -np.inf], "float32"))
        same(nd.log(x), np.array([0, -np.inf, np.nan], "float32"))
        same(nd.exp(x * 1000), np.array([np.inf, 1, 0], "float32"))
        same(x / nd.zeros((3,)), np.array([np.inf, np.nan, -np.inf], "float32"))
        same((x * 1e30) * 1e30, np.array([np.inf, 0, -np.inf], "float32"))


def test_errors_come_with_the_call_and_name_everything(engine):
    a, b = nd.ones((2, 3)), nd.ones((4,))
    with pytest.raises(
        ShapeError, match=r"^multiply: cannot broadcast lhs \(2, 3\) and rhs \(4,\)"
    ):
        a * b
    with pytest.raises(
        ShapeError, match=r"^add: out has shape \(3,\), but the result has \(2, 3\)"
    ):
        nd.add(a, a, out=nd.ones((3,)))
    with pytest.raises(DTypeError, match=r"^subtract: got bool and bool, but it takes"):
        nd.subtract(a.astype(bool), a.astype(bool))
    with pytest.raises(TypeError, match=r"^add: out is a ndarray, but needs to be an NDArray"):
        nd.add(a, a, out=np.ones((2, 3)))
    with pytest.raises(TypeError, match=r"^add: takes arrays and numbers, got str"):
        nd.add(a, "1")
    with pytest.raises(TypeError, match=r"^add: needs at least one NDArray, got int and float"):
        nd.add(1, 2.0)
    with pytest.raises(TypeError, match=r"^exp: takes an NDArray, got list"):
        nd.exp([1])
    with pytest.raises(TypeError, match="unsupported operand"):
        a + "1"
    with pytest.raises(OverflowError, match=r"^add: 300 does not fit uint8"):
        a.astype("uint8") + 300
    with pytest.raises(ValueError, match=r"^power: int32 to the power -2"):
        a.astype("int32") ** -2
    fixed = nd.array([1], writable=False)
    with pytest.raises(ValueError, match=r"^add: out is not writable"):
        fixed += 1


def test_arrays_of_different_contexts_do_not_mix(engine):
    a = nd.ones((2,), ctx=cpu(0))
    b = nd.ones((2,), ctx=cpu(1))
    with pytest.raises(ContextError, match=r"^add: rhs is in cpu\(1\), but lhs in cpu\(0\)"):
        a + b
    same(a.as_in_context(cpu(1)) + b, np.full(2, 2, "float32"))
    assert (a.copyto(cpu(1)) + b).context == cpu(1)
    with pytest.raises(ContextError, match=r"^add: out is in cpu\(1\), but the inputs in cpu\(0\)"):
        nd.add(a, a, out=b)


def test_equality_with_something_else_is_false():
    assert (nd.ones((2,)) == "x") is False
    assert (nd.ones((2,)) != None) is True  # noqa: E711


@steady
@given(
    data=hnp.arrays(
        st.sampled_from([np.dtype("float32"), np.dtype("float64"), np.dtype("int32")]),
        hnp.array_shapes(max_side=4),
        elements=st.integers(-8, 8),
    ),
    steps=st.lists(st.sampled_from([*OPERATORS][:3]), max_size=5),
)
def test_chains_are_numpys(data, steps):
    with Engine(workers=2):
        x, expected = array(data), data
        for step in steps:
            x, expected = step(x, array(data)), step(expected, data)
        same(x, expected)


@pytest.mark.parametrize("verify", [False, True])
def test_what_one_number_gave_is_not_remembered_for_an_equal_one(verify):
    with Engine(workers=1, verify=verify):
        integers = nd.ones((3,), dtype="int32")
        for _ in range(2):
            found = [(integers * number).dtype.name for number in (1, 1.0, True, np.float32(1))]
            assert found == ["int32", "float64", "int32", "float64"]


def test_broadcasting_into_what_is_broadcast_is_as_if_there_were_no_overlap(engine):
    source = np.arange(12, dtype="float32").reshape(3, 4)
    x = nd.array(source)
    nd.add(x[1], x, out=x)
    np.testing.assert_array_equal(x.asnumpy(), source[1] + source)
    y = nd.array(source)
    y -= y[0:1]
    np.testing.assert_array_equal(y.asnumpy(), source - source[0:1])
    message = r"^add: out has shape \(4,\), but the result has \(3, 4\)"
    with pytest.raises(ShapeError, match=message):
        nd.add(y[0], y, out=y[0])
