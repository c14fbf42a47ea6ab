"""Tables, rows by index, and the gradients that are added up where indices repeat."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from actorflow import ops
from actorflow.errors import DTypeError, ParameterError, ShapeError
from actorflow.ops import eager
from actorflow.ops.embedding import AddAt
from tests.ops._gradients import check_gradient

draw = np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(4,), (2, 3), (2, 1, 3)])
@pytest.mark.parametrize("kind", ["float64", "float32", "int32"])
def test_embedding(shape, kind):
    layer = ops.Embedding(5, 3)
    assert layer.infer_shape(shape, None) == ((shape, (5, 3)), ((*shape, 3),))
    data = draw.integers(0, 5, shape).astype(kind)
    for dtype in ("float64", "float32", "float16"):
        weight = draw.normal(size=(5, 3)).astype(dtype)
        (output,) = eager.apply(layer, data, weight)
        assert output.dtype == dtype
        np.testing.assert_array_equal(output, weight[data.astype(int)])
    weight = draw.normal(size=(5, 3))
    check_gradient(layer, data, weight, skip=("data",))


def test_embedding_completes_data_types():
    single, double, integer = map(np.dtype, ("float32", "float64", "int32"))
    assert ops.Embedding(2, 3).infer_type(integer, None) == ((integer, single), (single,))
    assert ops.Embedding(2, 3).infer_type(double, None) == ((double, double), (double,))
    assert ops.Embedding(2, 3).infer_type(None, double) == ((None, double), (double,))
    given = ops.Embedding.of(input_dim="2", output_dim="3", dtype="float64")
    assert given.infer_type(single, None) == ((single, double), (double,))


def test_embedding_says_what_it_needs():
    layer = ops.Embedding(5, 3)
    with pytest.raises(ShapeError, match=r"Embedding: weight has shape \(4, 3\), but .* \(5, 3\)"):
        layer.infer_shape((2,), (4, 3))
    with pytest.raises(DTypeError, match="Embedding: data is bool"):
        layer.infer_type(np.dtype(bool), None)
    with pytest.raises(ParameterError, match="Embedding: sparse_grad needs False"):
        ops.Embedding.of(input_dim=5, output_dim=3, sparse_grad="True")
    for wrong in (-1, 5):
        with pytest.raises(IndexError, match=r"Embedding: indices from .* in an array of 5 rows"):
            eager.apply(layer, np.array([0, wrong]), np.ones((5, 3)))


def expected_sums(shape, indices, grad):
    output = np.zeros(shape)
    for row, part in zip(indices.ravel(), grad.reshape(-1, *shape[1:]), strict=True):
        output[int(row)] += part
    return output


@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32),
    rows=st.integers(1, 40),
    width=st.sampled_from([1, 5, 63, 64, 100]),
    count=st.integers(0, 200),
    dtype=st.sampled_from(["float64", "float32", "float16"]),
    indices=st.sampled_from(["int64", "int32", "float32"]),
)
def test_parts_are_added_up(seed, rows, width, count, dtype, indices):
    rng = np.random.default_rng(seed)
    places = rng.integers(0, rng.integers(1, rows + 1), count).astype(indices)
    grad = rng.normal(size=(count, width)).astype(dtype)
    (output,) = eager.apply(AddAt(), np.empty((rows, width), dtype), places, grad)
    assert output.dtype == dtype
    wanted = expected_sums((rows, width), places, grad.astype(np.float64))
    tolerance = {"float64": 1e-12, "float32": 1e-4, "float16": 2e-2}[dtype]
    np.testing.assert_allclose(output, wanted, rtol=tolerance, atol=tolerance)


def test_many_parts_of_half_precision_are_added_in_single():
    for width in (1, 64):
        grad = np.ones((4096, width), np.float16)
        (output,) = eager.apply(AddAt(), grad[:2], np.zeros(4096, int), grad)
        assert (output[0] == 4096).all()


def test_more_rows_than_are_added_at_a_time():
    places, grad = draw.integers(0, 3000, 4000), draw.normal(size=(4000, 64))
    (output,) = eager.apply(AddAt(), np.empty((3000, 64)), places, grad)
    np.testing.assert_allclose(output, expected_sums((3000, 64), places, grad), atol=1e-12)


def test_take():
    data = draw.normal(size=(4, 2, 3))
    for places in (np.array([[3, 0], [1, 1]], np.float32), np.array([-1, 2, 2])):
        check_gradient(ops.Take(), data, places, skip=("indices",))
    check_gradient(ops.Take(), draw.normal(size=4), np.array([2, 2]), skip=("indices",))
    check_gradient(AddAt(), data, np.array([1, 1]), draw.normal(size=(2, 2, 3)), wrt=("grad",))


def test_rows_picked_and_filled_by_index():
    lhs, at = draw.normal(size=(3, 4)), np.array([1, 0, 3])
    check_gradient(ops.ChooseElement0Index(), lhs, at, skip=("rhs",))
    check_gradient(ops.FillElement0Index(), lhs, draw.normal(size=3), at, skip=("rhs",))


def test_masks_pick_once():
    data = draw.normal(size=(2, 3))
    check_gradient(ops.GetItem(data > 0), data)
    check_gradient(ops.GetItem((np.array([0, 0, 1]), np.array([1, 1, 2]))), data)
