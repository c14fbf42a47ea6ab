"""Operators that move, repeat, cut and join: values against NumPy, gradients, messages."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from actorflow import ops
from actorflow.errors import ParameterError, ShapeError
from actorflow.ops import eager
from actorflow.ops.slicing import ConcatGradient, SliceChannelGradient
from tests.ops._gradients import check_gradient

CUBE = np.random.default_rng(0).normal(size=(2, 3, 4))


def run(operator, *arrays):
    (output,) = eager.apply(operator, *arrays)
    return output


@pytest.mark.parametrize(
    ("shape", "codes", "reverse", "expected"),
    [
        ((2, 3, 4), (4, 0, 2), False, (4, 3, 2)),
        ((2, 3, 4), (2, 0, 0), False, (2, 3, 4)),
        ((2, 3, 4), (6, 1, -1), False, (6, 1, 4)),
        ((2, 3, 4), (3, -1, 8), False, (3, 1, 8)),
        ((2, 3, 4), (-1,), False, (24,)),
        ((2, 3, 4), (-2,), False, (2, 3, 4)),
        ((2, 3, 4), (2, -2), False, (2, 3, 4)),
        ((2, 3, 4), (-2, 1, 1), False, (2, 3, 4, 1, 1)),
        ((2, 3, 4), (-3, 4), False, (6, 4)),
        ((2, 3, 4, 5), (-3, -3), False, (6, 20)),
        ((2, 3, 4), (0, -3), False, (2, 12)),
        ((2, 3, 4), (-3, -2), False, (6, 4)),
        ((2, 3, 4), (-4, 1, 2, -2), False, (1, 2, 3, 4)),
        ((2, 3, 4), (2, -4, -1, 3, -2), False, (2, 1, 3, 4)),
        ((8, 3), (-4, 2, -1, 0), False, (2, 4, 3)),
        ((10, 5, 4), (-1, 0), False, (40, 5)),
        ((10, 5, 4), (-1, 0), True, (50, 4)),
        ((2, 3, 8), (-2, -4, 2, -1), True, (2, 3, 2, 4)),
        ((2, 3, 4), (0, -3), True, (2, 12)),
        ((0, 3), (0, -2), False, (0, 3)),
    ],
)
def test_reshape_codes(shape, codes, reverse, expected):
    operator = ops.Reshape(codes, reverse)
    assert operator.infer_shape(shape)[1] == (expected,)
    data = np.arange(np.prod(shape), dtype=float).reshape(shape)
    np.testing.assert_array_equal(run(operator, data), data.reshape(expected))
    assert ops.Reshape.of(shape=str(codes), reverse=str(reverse)) == operator


@pytest.mark.parametrize(
    ("target", "keep", "expected"),
    [((4, 0), False, (4, 6)), ((0, 0), True, (2, 12)), ((9, 3, 0), True, (2, 3, 4))],
)
def test_reshape_as_it_was_spelt_first(target, keep, expected):
    operator = ops.Reshape(target_shape=target, keep_highest=keep)
    assert operator.infer_shape((2, 3, 4))[1] == (expected,)
    both = ops.Reshape((-1,), target_shape=target, keep_highest=keep)
    assert both.infer_shape((2, 3, 4))[1] == ((24,),)


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        ((5, 5), r"Reshape: data of shape \(2, 3, 4\) has 24 elements, which cannot be \(5, 5\)"),
        ((-1, -1), "cannot be"),
        ((5, -1), "cannot be"),
        ((0, 0, 0, 0), "no axis left for the 0"),
        ((-3, -3), "no axis left for the -3"),
        ((-2, -4, 1, 2), "no axis left for the -4"),
        ((-4, 3, -1, -2), r"axis of size 2, which -4 cannot split into \(3, -1\)"),
        ((-4, -1, -1, -2), "cannot split"),
        ((-4, 2), "needs two sizes behind the -4"),
    ],
)
def test_reshape_says_what_does_not_fit(codes, message):
    with pytest.raises(ShapeError, match=message):
        ops.Reshape(codes).infer_shape((2, 3, 4))


def test_reshape_needs_a_shape():
    for parameters in ({}, {"shape": "()"}, {"shape": "(-5,)"}):
        with pytest.raises(ParameterError, match="Reshape: "):
            ops.Reshape.of(**parameters)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.data())
def test_reshape_by_random_codes_keeps_the_elements(shape, data):
    codes, place = [], 0
    while place < len(shape):
        choice = data.draw(st.sampled_from([0, -2, -3, -4]))
        if choice == -3 and place + 2 > len(shape):
            choice = 0
        codes += [choice, 1, -1] if choice == -4 else [choice]
        place = len(shape) if choice == -2 else place + (2 if choice == -3 else 1)
    values = np.arange(np.prod(shape), dtype=float).reshape(shape)
    output = run(ops.Reshape(tuple(codes)), values)
    np.testing.assert_array_equal(output.ravel(), values.ravel())


MOVING = [
    (ops.Reshape((0, -1)), lambda x: x.reshape(2, 12)),
    (ops.Flatten(), lambda x: x.reshape(2, 12)),
    (ops.ExpandDims(1), lambda x: x[:, None]),
    (ops.ExpandDims(-1), lambda x: x[..., None]),
    (ops.Identity(), lambda x: x),
    (ops.Copy(), lambda x: x),
    (ops.SwapAxis(0, 2), lambda x: x.swapaxes(0, 2)),
    (ops.SwapAxis(-1, 1), lambda x: x.swapaxes(1, 2)),
    (ops.Transpose(), lambda x: x.T),
    (ops.Transpose((1, -1, 0)), lambda x: x.transpose(1, 2, 0)),
    (ops.Flip(1), lambda x: x[:, ::-1]),
    (ops.Flip((0, -1)), lambda x: x[::-1, :, ::-1]),
    (ops.SliceAxis(1, 1, None), lambda x: x[:, 1:]),
    (ops.SliceAxis(-1, -3, -1), lambda x: x[..., -3:-1]),
    (ops.SliceAxis(0, 1, 1), lambda x: x[1:1]),
    (ops.Slice((0, 1), (2, 3)), lambda x: x[:2, 1:3]),
    (ops.Slice((None, -2), (-1, None)), lambda x: x[:-1, -2:]),
    (ops.Slice((None, None, 3), (None, None, 0), (1, -1, -2)), lambda x: x[:, ::-1, 3:0:-2]),
    (ops.GetItem((slice(None), 1)), lambda x: x[:, 1]),
    (ops.GetItem((0, 1, 2)), lambda x: x[0, 1, 2].reshape(1)),
    (ops.GetItem((slice(None), [0, 0, 2])), lambda x: x[:, [0, 0, 2]]),
    (ops.BroadcastTo((5, 2, 3, 4)), lambda x: np.stack([x] * 5)),
]


@pytest.mark.parametrize(("operator", "reference"), MOVING, ids=str)
def test_moving_is_numpys(operator, reference):
    for dtype in ("float64", "float32", "float16", "int32"):
        data = (CUBE * 10).astype(dtype)
        output = run(operator, data)
        np.testing.assert_array_equal(output, reference(data))
        assert output.dtype == dtype
    check_gradient(operator, CUBE)


@pytest.mark.parametrize("operator", [ops.Transpose(), ops.SwapAxis(0, 1)], ids=str)
@pytest.mark.parametrize("shape", [(1024, 1030), (1031, 1025)])
def test_large_matrices_are_transposed_in_strips(operator, shape):
    for dtype in ("float32", "bool"):
        data = (np.arange(np.prod(shape)) % 7).reshape(shape).astype(dtype)
        np.testing.assert_array_equal(run(operator, data), data.T)


def test_moving_from_texts():
    assert ops.Transpose.of(axes="(1, 0)") == ops.Transpose((1, 0))
    assert ops.Flip.of(axis="1") == ops.Flip((1,))
    assert ops.SliceAxis.of(axis="1", begin="0", end="None") == ops.SliceAxis(1, 0)
    assert ops.Slice.of(begin="(0, None)", end="(2, 3)") == ops.Slice((0, None), (2, 3))
    assert ops.Slice.of(begin="1", end="[2]") == ops.Slice((1,), (2,))
    assert ops.SliceChannel.of(num_outputs="3", squeeze_axis="1") == ops.SliceChannel(3, 1, True)
    assert ops.Concat.of(num_args="2", dim="0") == ops.Concat(2, dim=0)
    assert ops.BroadcastTo.of(shape="(2, 3)") == ops.BroadcastTo((2, 3))
    with pytest.raises(ParameterError, match="slice: begin needs integers, or None"):
        ops.Slice.of(begin="(a, 1)", end="(1, 1)")
    with pytest.raises(ParameterError, match="equally many"):
        ops.Slice.of(begin="(0, 1)", end="(2,)")
    with pytest.raises(ParameterError, match="has a 0"):
        ops.Slice.of(begin="0", end="2", step="0")


@pytest.mark.parametrize(
    ("operator", "message"),
    [
        (ops.SliceAxis(1, 0, 4), "slice_axis: data has shape .* axis 1 has no part from 0 to 4"),
        (ops.SliceAxis(1, 2, 1), "no part from 2 to 1"),
        (ops.SliceAxis(1, -4, 1), "no part from -4 to 1"),
        (ops.SliceAxis(3, 0, 1), "axis 3 is out of range"),
        (ops.Slice((0,) * 4, (1,) * 4), "needs more axes"),
        (ops.Slice((5,), (0,), (-1,)), "no part from 5 to 0 by step -1"),
        (ops.SliceChannel(2, 1), "SliceChannel: data .* axis 1 cannot be cut into 2 parts"),
        (ops.SliceChannel(2, 2, True), "axis 2 needs size 2 to be left out"),
        (ops.SwapAxis(0, 3), "SwapAxis: axis 3 is out of range"),
        (ops.Flip(3), "flip: axis 3 is out of range"),
        (ops.ExpandDims(5), "expand_dims: axis 5 is out of range"),
    ],
)
def test_what_does_not_fit_is_named(operator, message):
    with pytest.raises(ShapeError, match=message):
        operator.infer_shape((2, 3, 4))


# -- Broadcasting ------------------------------------------------------------------------------


def test_broadcast_axis():
    data = np.random.default_rng(0).normal(size=(1, 3, 1))
    operator = ops.BroadcastAxis((0, -1), (2, 4))
    np.testing.assert_array_equal(run(operator, data), np.broadcast_to(data, (2, 3, 4)))
    check_gradient(operator, data)
    assert ops.BroadcastAxis.of(axis="0", size="2") == ops.BroadcastAxis(0, 2)
    with pytest.raises(ShapeError, match="only axes of size 1 can be repeated, not 1"):
        ops.BroadcastAxis(1, 2).infer_shape((1, 3))
    with pytest.raises(ParameterError, match="equally many"):
        ops.BroadcastAxis.of(axis="(0, 1)", size="2")


def test_broadcast_like():
    data, like = np.random.default_rng(0).normal(size=(3, 1)), np.empty((2, 3, 4))
    np.testing.assert_array_equal(run(ops.BroadcastLike(), data, like), data + np.zeros((2, 3, 4)))
    check_gradient(ops.BroadcastLike(), data, like, skip=("rhs",))
    operator = ops.BroadcastLike((1,), (0,))
    assert run(operator, data, like).shape == (3, 2)
    check_gradient(operator, data, like, skip=("rhs",))
    with pytest.raises(ShapeError, match=r"broadcast_like: lhs has shape \(3, 1\), but only"):
        ops.BroadcastLike().infer_shape((3, 1), (2, 4))
    with pytest.raises(ShapeError, match="axis 0 needs size 1 or 2"):
        ops.BroadcastLike((0,), (0,)).infer_shape((3, 1), (2, 4))


# -- Parts -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("axis", "count"), [(0, 2), (1, 3), (2, 2), (-1, 4), (1, 1)])
def test_slice_channel(axis, count):
    for dtype in ("float64", "float32", "float16"):
        data = CUBE.astype(dtype)
        parts = eager.apply(ops.SliceChannel(count, axis), data)
        for part, expected in zip(parts, np.split(data, count, axis), strict=True):
            np.testing.assert_array_equal(part, expected)
    check_gradient(ops.SliceChannel(count, axis), CUBE)


def test_slice_channel_can_leave_the_axis_out():
    operator = ops.SliceChannel(3, squeeze_axis=True)
    for index, part in enumerate(eager.apply(operator, CUBE)):
        np.testing.assert_array_equal(part, CUBE[:, index])
    check_gradient(operator, CUBE)
    assert ops.SliceChannel(3, 0, True).infer_shape((3,))[1] == ((1,),) * 3
    assert operator.infer_shape(None) == ((None,), (None,) * 3)


def test_slice_channel_of_which_not_all_is_wanted():
    operator = ops.SliceChannel(3)
    output = np.empty((2, 1, 4))
    operator.forward(CUBE, None, output, None)
    np.testing.assert_array_equal(output, CUBE[:, 1:2])
    ones = np.ones((2, 1, 4))
    (grad,) = eager.gradient(operator, [CUBE], [None] * 3, [ones, None, 2 * ones])
    np.testing.assert_array_equal(grad, np.array([1, 0, 2])[:, None] * np.ones((2, 3, 4)))
    assert SliceChannelGradient(operator, (True, False, True)).inputs == ("data", "grad0", "grad2")


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_concat_as_symbols_spell_it(axis):
    rng = np.random.default_rng(0)
    shapes = [[2, 3, 2] for _ in range(3)]
    for index, shape in enumerate(shapes):
        shape[axis] = index + 1
    arrays = [rng.normal(size=shape) for shape in shapes]
    operator = ops.Concat(3, dim=axis)
    np.testing.assert_array_equal(run(operator, *arrays), np.concatenate(arrays, axis))
    check_gradient(operator, *arrays)
    check_gradient(ops.Concat(3, axis), *arrays)
    with pytest.raises(ShapeError, match=r"^Concat: arg1"):
        operator.infer_shape((2, 2), (3, 3), (3, 3))


def test_concat_gradients_that_nobody_wants():
    operator = ConcatGradient(ops.Concat(2))
    second = np.empty((2, 1), np.float32)
    first = np.broadcast_to(np.empty((), np.float32), (2, 3))
    operator.forward(first, second, np.ones((2, 4)), None, second)
    assert second.tolist() == [[1], [1]]


# -- Whole arrays ------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_element_wise_sum(count):
    rng = np.random.default_rng(count)
    operator = ops.ElementWiseSum(count)
    for shape in ((3, 4), (20_000,)):
        arrays = [rng.normal(size=shape) for _ in range(count)]
        for dtype in ("float64", "float32", "float16"):
            narrow = [each.astype(dtype) for each in arrays]
            wanted = np.sum(np.stack(narrow).astype(np.float64), axis=0).astype(dtype)
            tolerance = {"float64": 1e-12, "float32": 1e-5, "float16": 1e-2}[dtype]
            np.testing.assert_allclose(run(operator, *narrow), wanted, atol=tolerance)
            for name, _ in operator.inplace:
                copies = [each.copy() for each in narrow]
                target = copies[operator.inputs.index(name)]
                operator.forward(*copies, target)
                np.testing.assert_allclose(target, wanted, atol=tolerance)
    check_gradient(operator, *[rng.normal(size=(2, 3)) for _ in range(count)])


def test_element_wise_sum_completes_shapes():
    operator = ops.ElementWiseSum(3)
    assert operator.infer_shape(None, (2, 3), None) == (((2, 3),) * 3, ((2, 3),))
    with pytest.raises(ShapeError, match=r"ElementWiseSum: arg2 has shape \(3,\), but all need"):
        operator.infer_shape((2, 3), None, (3,))


def test_a_blocked_gradient_ends():
    np.testing.assert_array_equal(run(ops.BlockGrad(), CUBE), CUBE)
    check_gradient(ops.BlockGrad(), CUBE, skip=("data",))


def test_zeros_and_ones_like():
    for dtype in ops.DTYPES:
        like = np.full((2, 3), 7).astype(dtype)
        for operator, value in ((ops.ZerosLike(), 0), (ops.OnesLike(), 1)):
            output = run(operator, like)
            assert (output.dtype, output.shape) == (dtype, (2, 3))
            assert (output == value).all()
    check_gradient(ops.OnesLike(), CUBE, skip=("data",))


def test_what_is_the_same_can_be_left_out():
    same = [ops.Identity(), ops.BlockGrad(), ops.ElementWiseSum(1), ops.Reshape((0, -2))]
    for operator in [*same, ops.BroadcastTo((2, 3)), ops.BroadcastAxis()]:
        assert operator.is_identity((2, 3)), operator
    for operator in (ops.ReshapeLike(), ops.BroadcastLike()):
        assert operator.is_identity((2, 3), (2, 3)), operator
    for operator in (ops.Copy(), ops.Flatten(), ops.ExpandDims(0), ops.ElementWiseSum(2)):
        assert not operator.is_identity((2, 3, 1)), operator


def test_the_elements_of_unread_inputs_do_not_matter():
    grad = np.ones(3)
    shadow = np.broadcast_to(np.full((), np.nan), (2, 3))
    for operator, arrays in (
        (ops.SumLike(), (np.ones((4, 2, 3)), shadow)),
        (ops.BroadcastLike(), (grad, shadow)),
        (ops.ReshapeLike(), (np.ones(6), shadow)),
        (ops.ZerosLike(), (shadow,)),
        (ops.OnesLike(), (shadow,)),
    ):
        assert operator.unread == operator.inputs[-1:]
        assert np.isfinite(run(operator, *arrays)).all()
