"""Gradients of reductions and of products of matrices."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from actorflow import ops
from actorflow.errors import ParameterError
from actorflow.ops import eager
from tests.ops._gradients import check_gradient

KINDS = [ops.Sum, ops.Mean, ops.Prod, ops.Max, ops.Min, ops.Norm]


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2), (0, 1, 2)])
@pytest.mark.parametrize("kind", KINDS)
def test_reductions(kind, axis, keepdims):
    data = np.random.default_rng(0).normal(size=(2, 3, 2))
    check_gradient(kind(axis, keepdims), data)
    if kind is not ops.Norm:
        check_gradient(kind(axis, keepdims, True), data)


@settings(derandomize=True, deadline=None, max_examples=40)
@given(
    kind=st.sampled_from(KINDS),
    shape=st.lists(st.integers(1, 3), min_size=1, max_size=4),
    data=st.data(),
)
def test_reductions_of_any_axes(kind, shape, data):
    axes = data.draw(st.sets(st.integers(0, len(shape) - 1)))
    values = np.random.default_rng(len(shape)).normal(size=shape)
    check_gradient(kind(tuple(axes), data.draw(st.booleans())), values)


def test_norm_one():
    data = np.random.default_rng(0).normal(size=(2, 3))
    for axis in (None, 0, 1):
        check_gradient(ops.Norm(axis, ord=1), data)


def grads(operator, *arrays):
    outputs = eager.apply(operator, *arrays)
    return eager.gradient(operator, arrays, outputs, [np.ones_like(outputs[0])])


def test_prod_with_zeros():
    data = np.array([[2.0, 3, 4], [0, 3, 4], [0, 0, 4]])
    (grad,) = grads(ops.Prod(1), data)
    np.testing.assert_array_equal(grad, [[12, 8, 6], [12, 0, 0], [0, 0, 0]])
    check_gradient(ops.Prod(1), data)


def test_norm_of_nothing_but_zeros():
    (grad,) = grads(ops.Norm(1), np.array([[0.0, 0], [3, 4]]))
    np.testing.assert_allclose(grad, [[0, 0], [0.6, 0.8]])


def test_at_a_tie_each_extreme_gets_the_gradient():
    data = np.array([1.0, 3, 3])
    assert grads(ops.Max(), data)[0].tolist() == [0, 1, 1]
    assert grads(ops.Min(), -data)[0].tolist() == [0, 1, 1]


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("kind", KINDS)
def test_reductions_keep_the_data_type(kind, dtype):
    data = np.random.default_rng(0).uniform(0.5, 1.5, (4, 5)).astype(dtype)
    (grad,) = grads(kind(1), data)
    (wide,) = grads(kind(1), data.astype(np.float64))
    assert grad.dtype == dtype
    np.testing.assert_allclose(grad, wide, rtol=2e-2 if dtype == "float16" else 1e-4)


def test_reductions_from_texts():
    assert ops.Sum.of(axis="(0, -1)", keepdims="1") == ops.Sum((0, -1), True)
    assert ops.Norm.of(axis="None", ord="1") == ops.Norm(ord=1)
    assert ops.Max.of(axis="()") == ops.Max()
    data = np.arange(24.0).reshape(2, 3, 4)
    (found,) = eager.apply(ops.Sum.of(axis="1", exclude="True"), data)
    np.testing.assert_array_equal(found, data.sum((0, 2)))
    with pytest.raises(ParameterError, match="sum: axis needs integers, got 'one'"):
        ops.Sum.of(axis="one")


def test_places_have_no_gradient():
    for operator in (ops.ArgMax(1), ops.ArgMin(), ops.ArgMaxChannel()):
        check_gradient(operator, np.eye(3), skip=("data",))


SHAPES = [
    ((3,), (3,)),
    ((2, 3), (3,)),
    ((3,), (3, 2)),
    ((2, 3), (3, 4)),
    ((2, 1, 3), (3, 2)),
    ((2, 3), (3, 2, 2)),
    ((2, 2, 3), (3, 2, 2)),
]


@pytest.mark.parametrize(("lhs", "rhs"), SHAPES)
def test_dot(lhs, rhs):
    rng = np.random.default_rng(0)
    for left, right in itertools.product((False, True), repeat=2):
        if (left and len(lhs) > 2) or (right and len(rhs) > 2):
            continue
        shapes = lhs[::-1] if left else lhs, rhs[::-1] if right else rhs
        arrays = [rng.normal(size=shape) for shape in shapes]
        check_gradient(ops.Dot(left, right), *arrays)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_dot_keeps_the_data_types(dtype):
    rng = np.random.default_rng(0)
    lhs, rhs = rng.normal(size=(3, 4)).astype(dtype), rng.normal(size=(4, 2))
    left, right = grads(ops.Dot(), lhs, rhs)
    assert (left.dtype, right.dtype) == (lhs.dtype, rhs.dtype)
    np.testing.assert_allclose(left, np.ones((3, 2)) @ rhs.T, rtol=1e-2)
    left, right = grads(ops.Dot.of(transpose_a="True"), lhs, rhs[:3].astype(dtype))
    assert (left.dtype, right.dtype) == (lhs.dtype, lhs.dtype)
