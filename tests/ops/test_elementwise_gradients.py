"""Gradients of element-wise operators, with arrays and with numbers."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from actorflow.errors import ShapeError
from actorflow.ops import ELEMENTWISE, Cast, Clip, SumLike, WithScalar, eager
from tests.ops._gradients import check_gradient
from tests.ops._references import BINARY, COMPARISONS, UNARY

STEPS = {"sign", "round", "rint", "ceil", "floor", "trunc", "logical_not"}
FLAT = COMPARISONS | {"floor_divide"}
POSITIVE = {"divide", "power", "modulo", "hypot"}
SMOOTH = sorted(set(BINARY) - FLAT)


def away_from_kinks(name, rng, shape):
    low, high = UNARY[name][1]
    margin = (high - low) / 20
    data = rng.uniform(low + margin, high - margin, shape)
    return np.where(np.abs(data) < 0.05, 0.05, data)


def operands(name, rng, *shapes):
    if name in POSITIVE:
        return [rng.uniform(0.5, 3, shape) for shape in shapes]
    return [rng.normal(size=shape) for shape in shapes]


@pytest.mark.parametrize("shape", [(1,), (5,), (2, 3)])
@pytest.mark.parametrize("name", UNARY)
def test_unary(name, shape):
    data = away_from_kinks(name, np.random.default_rng(len(name)), shape)
    skip = ("data",) if name in STEPS else ()
    check_gradient(ELEMENTWISE[name], data, skip=skip)


@pytest.mark.parametrize(
    "shapes", [((3,), (3,)), ((2, 3), (3,)), ((2, 1), (1, 3)), ((1,), (2, 1, 2)), ((2, 3), (1, 1))]
)
@pytest.mark.parametrize("name", BINARY)
def test_binary_reduces_what_was_broadcast(name, shapes):
    lhs, rhs = operands(name, np.random.default_rng(len(name)), *shapes)
    skip = ("lhs", "rhs") if name in FLAT else ()
    check_gradient(ELEMENTWISE[name], lhs, rhs, skip=skip)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("scalar", [2, 0.5, -1.5, 3, 1, np.float64(1.25), True])
@pytest.mark.parametrize("name", SMOOTH)
def test_with_a_number(name, scalar, reverse):
    if reverse and name == "power":
        scalar = abs(scalar)  # a negative number has no real powers
    (data,) = operands(name, np.random.default_rng(3), (2, 3))
    check_gradient(WithScalar(ELEMENTWISE[name], scalar, reverse), data)


def test_with_a_number_steps_have_no_gradient():
    for name in FLAT:
        check_gradient(WithScalar(ELEMENTWISE[name], 2.0), np.ones(3), skip=("data",))


@settings(derandomize=True, deadline=None, max_examples=40)
@given(st.integers(0, 2**32), st.sampled_from(SMOOTH), st.data())
def test_binary_at_any_shapes_that_broadcast(seed, name, data):
    rng = np.random.default_rng(seed)
    whole = tuple(data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=3)))
    shapes = []
    for _ in range(2):
        shape = tuple(data.draw(st.sampled_from([1, size])) for size in whole)
        shapes.append(shape[data.draw(st.integers(0, len(shape) - 1)) :])
    check_gradient(ELEMENTWISE[name], *operands(name, rng, *shapes))


def grads(operator, *arrays):
    outputs = eager.apply(operator, *arrays)
    return eager.gradient(operator, arrays, outputs, [np.ones_like(outputs[0])])


@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_a_tie_is_the_left_operands(name):
    ones = np.ones(2)
    lhs, rhs = grads(ELEMENTWISE[name], ones, ones)
    assert (lhs.tolist(), rhs.tolist()) == ([1, 1], [0, 0])
    assert grads(WithScalar(ELEMENTWISE[name], 1), ones)[0].tolist() == [1, 1]
    assert grads(WithScalar(ELEMENTWISE[name], 1, True), ones)[0].tolist() == [0, 0]


def test_powers_of_and_to_zero_have_finite_gradients():
    power = ELEMENTWISE["power"]
    base, exponent = np.array([0.0, 0.0, 0.0, 2.0]), np.array([0.0, 1.0, 2.0, 0.0])
    lhs, rhs = grads(power, base, exponent)
    np.testing.assert_array_equal(lhs, [0, 1, 0, 0])
    np.testing.assert_allclose(rhs, [0, 0, 0, np.log(2)])
    assert grads(WithScalar(power, 0), base)[0].tolist() == [0, 0, 0, 0]
    assert grads(WithScalar(power, 0.0, True), exponent)[0].tolist() == [0, 0, 0, 0]
    assert np.isnan(grads(WithScalar(power, -1.0, True), exponent)[0]).all()


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_gradients_keep_the_data_type(dtype):
    rng = np.random.default_rng(0)
    for name, operator in ELEMENTWISE.items():
        arrays = [rng.uniform(0.3, 0.7, (2, 3)) + (name == "arccosh") for _ in operator.inputs]
        narrow = [each.astype(dtype) for each in arrays]
        wide = [each.astype(np.float64) for each in narrow]
        for grad, expected in zip(grads(operator, *narrow), grads(operator, *wide), strict=True):
            if grad is None:
                assert expected is None
                continue
            assert grad.dtype == dtype, name
            tolerance = 2e-2 if dtype == "float16" else 1e-4
            np.testing.assert_allclose(grad, expected, rtol=tolerance, atol=tolerance)


def test_gradients_have_the_type_of_their_input_where_types_are_mixed():
    lhs, rhs = np.ones(3, np.float16), np.full((2, 3), 2.0)
    found = grads(ELEMENTWISE["multiply"], lhs, rhs)
    assert [grad.dtype for grad in found] == [np.float16, np.float64]
    assert found[0].tolist() == [4, 4, 4]
    (grad,) = grads(WithScalar(ELEMENTWISE["multiply"], np.float64(2)), lhs)
    assert grad.dtype == np.float16
    (grad,) = grads(Cast(np.dtype("float64")), lhs)
    assert grad.dtype == np.float16
    assert Cast.of(dtype="float16") == Cast(np.dtype("float16"))


def test_clip_passes_the_gradient_between_its_bounds():
    check_gradient(Clip(-0.5, 0.7), np.random.default_rng(0).normal(size=(3, 4)))
    (grad,) = grads(Clip(0, 1), np.array([-1, 0, 0.5, 1, 2]))
    assert grad.tolist() == [0, 1, 1, 1, 0]
    assert Clip.of(a_min="0", a_max="1e1") == Clip(0, 10)


def test_sum_like_undoes_broadcasting():
    data = np.arange(24.0).reshape(2, 3, 4)
    for like in [(2, 3, 4), (3, 4), (4,), (1,), (3, 1), (2, 1, 1), (1, 1, 4), (1, 3, 1)]:
        (found,) = eager.apply(SumLike(), data, np.empty(like))
        lead = data.ndim - len(like)
        axes = tuple(range(lead)) + tuple(lead + i for i, size in enumerate(like) if size == 1)
        np.testing.assert_array_equal(found, data.sum(axes, keepdims=True).reshape(like))
        check_gradient(SumLike(), data, np.empty(like), skip=("like",))
    (found,) = eager.apply(SumLike(), np.ones((1, 2)), np.empty(2))
    assert found.tolist() == [1, 1]
    with pytest.raises(ShapeError, match=r"sum_like: data has shape \(2, 3, 4\), but like \(3,\)"):
        SumLike().infer_shape((2, 3, 4), (3,))


def test_sum_like_adds_half_precision_in_single():
    (found,) = eager.apply(SumLike(), np.ones((4096, 1), np.float16), np.empty(1, np.float16))
    assert found.tolist() == [4096]


def test_sum_like_can_be_left_out_where_nothing_was_broadcast():
    assert SumLike().is_identity((2, 3), (2, 3))
    assert not SumLike().is_identity((2, 3), (3,))
