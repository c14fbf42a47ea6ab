"""Reductions, shapes, indices, products and draws, against NumPy."""

import itertools

import numpy as np
import pytest

from actorflow import ops
from actorflow.errors import DTypeError, ShapeError
from actorflow.ops import DTYPES

REDUCTIONS = {
    ops.Sum: np.sum,
    ops.Prod: np.prod,
    ops.Mean: np.mean,
    ops.Max: np.max,
    ops.Min: np.min,
}


def run(operator, *inputs):
    _, (shape,) = operator.infer_shape(*[each.shape for each in inputs])
    _, (dtype,) = operator.infer_type(*[each.dtype for each in inputs])
    output = np.full(shape, 77, dtype)
    operator.forward(*inputs, output)
    return output


def same(output, expected, tolerance=1e-6):
    expected = np.asarray(expected)
    assert output.shape == (expected.shape or (1,))
    np.testing.assert_allclose(output, expected.reshape(output.shape), rtol=tolerance)


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [None, 0, 1, -1, (0, 2), (0, 1, 2), ()])
@pytest.mark.parametrize("kind", REDUCTIONS)
def test_reductions_are_numpys(kind, axis, keepdims):
    rng = np.random.default_rng(0)
    for dtype in DTYPES:
        data = rng.integers(0, 3, (2, 3, 4)).astype(dtype)
        output = run(kind(axis, keepdims), data)
        wide = data.astype(np.float64) if kind is ops.Mean else data
        expected = REDUCTIONS[kind](wide, axis=None if axis == () else axis, keepdims=keepdims)
        same(output, expected, 1e-2 if output.dtype == np.float16 else 1e-6)
        if dtype.kind == "f" or kind in (ops.Max, ops.Min):
            assert output.dtype == dtype
        else:
            assert output.dtype == (np.float64 if kind is ops.Mean else np.int64)


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [None, 0, 1, (0, 1)])
@pytest.mark.parametrize("order", [1, 2])
def test_norm_is_numpys(order, axis, keepdims):
    rng = np.random.default_rng(0)
    for dtype in (np.float32, np.float64, np.int32, np.float16, bool):
        data = (rng.normal(size=(3, 4)) * 3).astype(dtype)
        wide = np.abs(data.astype(np.float64)) ** order
        expected = wide.sum(axis=axis, keepdims=keepdims) ** (1 / order)
        tolerance = 1e-3 if dtype == np.float16 else 1e-5
        same(run(ops.Norm(axis, keepdims, order), data), expected, tolerance)


def test_norm_of_half_precision_does_not_overflow_on_the_way():
    assert run(ops.Norm(), np.full(4, 300, np.float16)).tolist() == [600]


def test_norm_has_two_orders():
    with pytest.raises(ValueError, match="ord"):
        ops.Norm(ord=3)


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [None, 0, -1])
def test_places_of_extremes_are_numpys(axis, keepdims):
    data = np.random.default_rng(0).integers(0, 5, (3, 4))
    for kind, reference in ((ops.ArgMax, np.argmax), (ops.ArgMin, np.argmin)):
        output = run(kind(axis, keepdims), data)
        assert output.dtype == np.int64
        same(output, reference(data, axis=axis, keepdims=keepdims))


def test_places_take_one_axis():
    assert run(ops.ArgMax((1,)), np.eye(3)).tolist() == [0, 1, 2]
    with pytest.raises(ShapeError, match="argmax: takes one axis"):
        ops.ArgMax((0, 1)).infer_shape((2, 2))


def test_argmax_channel_keeps_the_type_of_labels():
    output = run(ops.ArgMaxChannel(), np.eye(3, dtype=np.float32))
    assert output.dtype == np.float32
    assert output.tolist() == [0, 1, 2]
    with pytest.raises(ShapeError, match=r"argmax_channel: data has shape \(3,\)"):
        ops.ArgMaxChannel().infer_shape((3,))
    with pytest.raises(DTypeError, match="argmax_channel"):
        ops.ArgMaxChannel().infer_type(np.dtype(bool))


@pytest.mark.parametrize("axis", [2, -3, (0, 5)])
def test_an_axis_that_is_not_there_is_refused(axis):
    with pytest.raises(ShapeError, match=r"sum: axis .* is out of range: the array has 2 axes"):
        ops.Sum(axis).infer_shape((2, 3))


def test_operators_with_simple_parameters_are_shared():
    assert ops.shared(ops.Sum, 1, True) is ops.shared(ops.Sum, 1, True)
    assert ops.shared(ops.Sum, 1, True) == ops.Sum(1, keepdims=True)
    assert ops.shared(ops.Sum, None, False) is not ops.shared(ops.Prod, None, False)
    assert ops.shared(ops.Sum, [0, 1], False) == ops.Sum((0, 1))


def test_what_equals_an_axis_is_not_taken_for_one():
    ops.shared(ops.Sum, 1, False)
    ops.shared(ops.Sum, (0, 1), False)
    for axis in (1.0, (0.0, 1)):
        with pytest.raises(ValueError, match="needs integers"):
            ops.shared(ops.Sum, axis, False)


def test_an_axis_named_twice_is_refused():
    with pytest.raises(ShapeError, match="names an axis twice"):
        ops.Sum((1, -1)).infer_shape((2, 3))


def test_nothing_has_a_sum_but_no_extreme():
    assert run(ops.Sum(), np.empty((0, 3))).tolist() == [0]
    assert run(ops.Max(1), np.empty((0, 3))).shape == (0,)
    for kind in (ops.Max, ops.Min, ops.Mean, ops.ArgMax):
        with pytest.raises(ShapeError, match="at least one element"):
            kind(0).infer_shape((0, 3))


@pytest.mark.parametrize(
    ("shape", "new", "expected"),
    [
        ((2, 3), (3, 2), (3, 2)),
        ((2, 3), (-1,), (6,)),
        ((2, 3, 4), (0, -1), (2, 12)),
        ((2, 3, 4), (-1, 0, 1), (8, 3, 1)),
        ((0, 3), (3, 0), (3, 0)),
        ((1,), (), (1,)),
    ],
)
def test_reshaped(shape, new, expected):
    assert ops.reshaped(shape, new) == expected


@pytest.mark.parametrize(
    ("shape", "new"),
    [((2, 3), (4,)), ((2, 3), (-1, -1)), ((2, 3), (-2, 3)), ((6,), (2, 3, 0)), ((2, 3), (4, -1))],
)
def test_shapes_with_another_size_are_refused(shape, new):
    with pytest.raises(ShapeError, match=r"^reshape: "):
        ops.reshaped(shape, new)


@pytest.mark.parametrize("axes", [None, (), (2, 0, 1), (0, -1, 1)])
def test_transpose_is_numpys(axes):
    data = np.arange(24).reshape(2, 3, 4)
    same(run(ops.Transpose(axes), data), data.transpose(axes or None))


@pytest.mark.parametrize("axes", [(0, 1), (0, 0, 1), (0, 1, 2, 3)])
def test_transpose_needs_each_axis_once(axes):
    with pytest.raises(ShapeError, match=r"transpose: data has shape \(2, 3, 4\)"):
        ops.Transpose(axes).infer_shape((2, 3, 4))


def test_broadcast_to_is_numpys():
    data = np.arange(3).reshape(3, 1)
    same(run(ops.BroadcastTo((2, 3, 4)), data), np.broadcast_to(data, (2, 3, 4)))
    assert ops.BroadcastTo((0, 5)).infer_shape((3, 1))[1] == ((3, 5),)
    for shape in [(2, 4), (3,), (2, 4, 1)]:
        with pytest.raises(ShapeError, match=r"broadcast_to: data has shape \(3, 1\)"):
            ops.BroadcastTo(shape).infer_shape((3, 1))


def test_concat_is_numpys():
    parts = [np.arange(6).reshape(2, 3), np.ones((2, 1), np.float32), np.zeros((2, 0), bool)]
    output = run(ops.Concat(3, -1), *parts)
    assert output.dtype == np.result_type(*parts)
    same(output, np.concatenate(parts, axis=1))
    with pytest.raises(ShapeError, match=r"concatenate: arg1 has shape \(3, 3\), but it needs"):
        ops.Concat(2, 1).infer_shape((2, 3), (3, 3))
    with pytest.raises(ValueError, match="at least 1, got 0"):
        ops.Concat(0)


SHAPES = [((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((2, 3), (3, 4)), ((2, 2, 3), (3, 4))]


@pytest.mark.parametrize("shapes", [*SHAPES, ((2, 3), (3, 2, 2)), ((2, 0), (0, 3))])
def test_dot_is_the_product_over_the_axes_between(shapes):
    rng = np.random.default_rng(0)
    for left, right in itertools.product(("float16", "float32", "float64", "int32"), repeat=2):
        lhs = rng.integers(-3, 4, shapes[0]).astype(left)
        rhs = rng.integers(-3, 4, shapes[1]).astype(right)
        output = run(ops.Dot(), lhs, rhs)
        assert output.dtype == np.result_type(left, right)
        same(output, np.tensordot(lhs, rhs, 1))


def test_dot_takes_its_inputs_transposed():
    rng = np.random.default_rng(0)
    lhs, rhs = rng.normal(size=(3, 2)), rng.normal(size=(4, 3))
    same(run(ops.Dot(transpose_a=True, transpose_b=True), lhs, rhs), lhs.T @ rhs.T)
    same(run(ops.Dot(transpose_a=True), lhs, rhs.T.copy()), lhs.T @ rhs.T)


def test_dot_names_what_does_not_fit():
    with pytest.raises(
        ShapeError, match=r"dot: rhs has shape \(3, 4\), but lhs \(3, 2\) needs 2 along its first"
    ):
        ops.Dot().infer_shape((3, 2), (3, 4))
    with pytest.raises(
        ShapeError, match=r"with transpose_a and transpose_b needs 3 along its last"
    ):
        ops.Dot(transpose_a=True, transpose_b=True).infer_shape((3, 2), (3, 4))
    with pytest.raises(ShapeError, match="transposed only with one or two axes"):
        ops.Dot(transpose_a=True).infer_shape((3, 2, 2), (3, 4))


def test_rows_are_picked_and_filled_by_index():
    lhs = np.arange(12, dtype=np.float32).reshape(3, 4)
    at = np.array([1, 0, 3], np.float32)
    assert run(ops.ChooseElement0Index(), lhs, at).tolist() == [1, 4, 11]
    filled = run(ops.FillElement0Index(), lhs, np.full(3, -1, np.float32), at)
    expected = lhs.copy()
    expected[np.arange(3), [1, 0, 3]] = -1
    np.testing.assert_array_equal(filled, expected)
    output = np.full((3, 4), 9, np.int8)
    ops.OneHotEncode().forward(at, output)
    np.testing.assert_array_equal(output, np.eye(4)[[1, 0, 3]])


@pytest.mark.parametrize("bad", [[-1, 0, 0], [0, 0, 4]])
def test_an_index_out_of_range_is_an_error(bad):
    with pytest.raises(IndexError, match=r"choose_element_0index: indices from .* of 4 elements"):
        run(ops.ChooseElement0Index(), np.zeros((3, 4)), np.array(bad))


def test_row_indices_have_to_fit():
    with pytest.raises(ShapeError, match=r"rhs has shape \(2,\), but lhs \(3, 4\) needs it to be"):
        ops.ChooseElement0Index().infer_shape((3, 4), (2,))
    with pytest.raises(ShapeError, match=r"lhs has shape .* needs two axes"):
        ops.FillElement0Index().infer_shape((3,), (3,), (3,))
    with pytest.raises(ShapeError, match=r"out has shape \(2, 4\), but indices \(3,\) need"):
        ops.OneHotEncode().check((3,), (2, 4))
    with pytest.raises(ShapeError, match="indices has shape"):
        ops.OneHotEncode().check((3, 1), (3, 4))


def test_take_is_numpys():
    data = np.arange(12).reshape(4, 3)
    indices = np.array([[3, 0], [1, -1]], np.float32)
    same(run(ops.Take(), data, indices), data[indices.astype(int)])
    with pytest.raises(IndexError):
        run(ops.Take(), data, np.array([4]))


@pytest.mark.parametrize("dtype", ["int8", "int64", "float32", "uint8"])
@pytest.mark.parametrize("count", [3, 3000])  # what is looked at first, and what is not
def test_take_checks_large_results_as_small_ones(dtype, count):
    data = np.arange(400).reshape(100, 4)
    right = np.random.default_rng(count).integers(0, 100, count)
    low = right.copy()
    low[1] = -100
    for indices in (right, low) if dtype != "uint8" else (right,):
        same(run(ops.Take(), data, indices.astype(dtype)), data[indices])
    for wrong in (100, -101) if dtype != "uint8" else (100,):
        indices = right.copy()
        indices[-1] = wrong
        with pytest.raises(IndexError, match=f"index {wrong} is out of bounds for axis 0 with"):
            run(ops.Take(), data, indices.astype(dtype))
    nothing = np.empty((0, 4))
    with pytest.raises(IndexError):
        run(ops.Take(), nothing, right)
    same(run(ops.Take(), nothing, right[:0]), nothing)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_draws_fill_their_output_with_what_was_asked_for(dtype):
    output = np.full(20_000, -99, dtype)
    ops.Uniform(2.0, 4.0).forward(output, np.random.default_rng(0))
    assert output.min() >= 2
    assert output.max() <= 4
    assert abs(output.astype(float).mean() - 3) < 0.02
    ops.Normal(5.0, 2.0).forward(output, np.random.default_rng(0))
    assert abs(output.astype(float).mean() - 5) < 0.05
    assert abs(output.astype(float).std() - 2) < 0.05


def test_drawn_integers_cover_their_range():
    output = np.empty(1000, np.int8)
    ops.RandInt(-2, 3).forward(output, np.random.default_rng(0))
    assert set(output.tolist()) == {-2, -1, 0, 1, 2}


def test_draws_check_their_parameters():
    for make, message in [
        (lambda: ops.Uniform(2, 1), "uniform: low 2 is greater than high 1"),
        (lambda: ops.Normal(0, -1), "normal: scale -1 is negative"),
        (lambda: ops.RandInt(3, 3), "randint: needs low < high"),
    ]:
        with pytest.raises(ValueError, match=message):
            make()
    with pytest.raises(DTypeError, match="uniform: draws float16, float32 or float64, not int32"):
        ops.Uniform().check_type(np.dtype("int32"))
    with pytest.raises(DTypeError, match="randint: 0 to 299 does not fit uint8"):
        ops.RandInt(0, 300).check_type(np.dtype("uint8"))
    with pytest.raises(DTypeError, match="randint: draws integers, not float32"):
        ops.RandInt(0, 3).check_type(np.dtype("float32"))


def test_shuffle_keeps_the_parts_whole():
    data = np.arange(20).reshape(10, 2)
    output = np.empty_like(data)
    ops.Shuffle().forward(data, output, np.random.default_rng(1))
    assert not np.array_equal(output, data)
    np.testing.assert_array_equal(output[np.argsort(output[:, 0])], data)


def test_types_are_known_by_many_names():
    for spelling in ("float32", np.float32, np.dtype("float32"), np.dtype(">f4"), "f4"):
        assert ops.as_dtype(spelling, "test") is np.dtype("float32")
    assert ops.as_dtype(float, "test") == np.float64
    for wrong in ("uint16", complex, "nonsense", 3, None, object):
        with pytest.raises(DTypeError, match=r"test: dtype .* may be float32, float64"):
            ops.as_dtype(wrong, "test")


def test_shapes_are_known_in_many_forms():
    assert ops.as_shape(3, "test") == (3,)
    assert ops.as_shape([2, np.int64(3)], "test") == (2, 3)
    assert ops.as_shape((), "test") == (1,)
    for wrong in ("ab", 2.5, (1, 2.0), None):
        with pytest.raises(TypeError, match="test: a shape is made of integers"):
            ops.as_shape(wrong, "test")
    with pytest.raises(ValueError, match="test: a shape has no negative sizes"):
        ops.as_shape((2, -1), "test")
