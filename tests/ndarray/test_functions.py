"""Functions of whole arrays, against NumPy."""

import numpy as np
import pytest

from actorflow import nd
from actorflow.device import cpu
from actorflow.errors import DTypeError, ShapeError

REDUCTIONS = ["sum", "prod", "mean", "max", "min", "argmax", "argmin"]


def data(shape=(2, 3, 4), seed=0):
    return np.random.default_rng(seed).integers(1, 9, shape).astype("float32")


def same(result, expected):
    expected = np.atleast_1d(expected)
    assert result.shape == expected.shape
    np.testing.assert_allclose(result.asnumpy(), expected, rtol=1e-5)


@pytest.mark.parametrize("name", REDUCTIONS)
def test_reductions(engine, name):
    x = data()
    for axis in (None, 0, -1):
        for keepdims in (False, True):
            expected = getattr(np, name)(x, axis=axis, keepdims=keepdims)
            same(getattr(nd, name)(nd.array(x), axis=axis, keepdims=keepdims), expected)
            same(getattr(nd.array(x), name)(axis=axis, keepdims=keepdims), expected)
            kind = "int64" if name.startswith("arg") else "float32"
            out = nd.empty(np.atleast_1d(expected).shape, dtype=kind)
            assert getattr(nd, name)(nd.array(x), axis, keepdims, out=out) is out
            same(out, expected)
    with pytest.raises(ShapeError, match=f"^{name}: axis 5 is out of range"):
        getattr(nd, name)(nd.array(x), axis=5)


def test_early_names_of_reductions(engine):
    x = data()
    same(nd.sum_axis(nd.array(x), axis=(0, 2)), x.sum(axis=(0, 2)))
    same(nd.max_axis(nd.array(x), axis=1, keepdims=True), x.max(axis=1, keepdims=True))
    same(nd.min_axis(nd.array(x)), x.min())
    same(nd.argmax_channel(nd.array(x[0])), x[0].argmax(axis=1))
    assert nd.argmax_channel(nd.array(x[0])).dtype == np.float32


def test_norm(engine):
    x = data()
    same(nd.norm(nd.array(x)), np.sqrt((x**2).sum()))
    same(nd.norm(nd.array(-x), ord=1, axis=1), x.sum(axis=1))
    same(nd.array(x).norm(axis=(0, 2), keepdims=True), np.sqrt((x**2).sum((0, 2), keepdims=True)))


def test_dot(engine):
    a, b = data((3, 4)), data((4, 2), 1)
    same(nd.dot(nd.array(a), nd.array(b)), a @ b)
    same(nd.array(a).dot(nd.array(b)), a @ b)
    same(nd.array(a) @ nd.array(b), a @ b)
    same(nd.dot(nd.array(a), nd.array(b.T), transpose_b=True), a @ b)
    same(nd.dot(nd.array(a), nd.array(a), True), a.T @ a)
    same(nd.dot(nd.array(a[0]), nd.array(a[1])), a[0] @ a[1])
    out = nd.empty((3, 2))
    assert nd.dot(nd.array(a), nd.array(b), out=out) is out
    same(out, a @ b)
    square = nd.array(a[:, :3])
    same(nd.dot(square, square, out=square), a[:, :3] @ a[:, :3])
    with pytest.raises(ShapeError, match=r"^dot: rhs has shape \(3, 4\), but lhs \(3, 4\) needs 4"):
        nd.dot(nd.array(a), nd.array(a))
    with pytest.raises(TypeError, match=r"^dot: rhs needs to be an NDArray, got ndarray"):
        nd.dot(nd.array(a), a)


def test_reshape_gives_a_view(engine):
    x = nd.array(data())
    for shape in [(6, 4), (-1,), (0, -1), (4, 3, 2), (1, 24)]:
        expected = data().reshape([2 if size == 0 else size for size in shape])
        same(x.reshape(shape), expected)
        same(nd.reshape(x, shape), expected)
        same(x.reshape(*shape), expected)
        same(x.reshape(shape=shape), expected)
    view = x.reshape((6, 4))
    view[5] = 0
    assert x[1, 2].asnumpy().tolist() == [0, 0, 0, 0]
    with pytest.raises(
        ShapeError, match=r"^reshape: an array of shape \(2, 3, 4\) \(24 elements\)"
    ):
        x.reshape((5, 5))
    with pytest.raises(TypeError, match="unknown arguments order"):
        x.reshape(shape=(24,), order="C")


def test_other_views(engine):
    x = nd.array(data())
    same(x.flatten(), data().reshape(2, 12))
    same(nd.flatten(x), data().reshape(2, 12))
    same(nd.Flatten(x), data().reshape(2, 12))
    same(nd.expand_dims(x, 1), data()[:, None])
    same(x.expand_dims(-1), data()[..., None])
    same(x.slice(1, 2), data()[1:2])
    x.flatten()[:] = 0
    same(x, np.zeros((2, 3, 4)))
    with pytest.raises(ShapeError, match="expand_dims: axis 4 is out of range"):
        x.expand_dims(4)


def test_copies_with_another_order(engine):
    x = nd.array(data())
    same(x.T, data().T)
    same(nd.transpose(x), data().T)
    same(nd.transpose(x, (1, 0, 2)), data().transpose(1, 0, 2))
    same(x.transpose(1, 0, 2), data().transpose(1, 0, 2))
    same(x.transpose((2, 0, 1)), data().transpose(2, 0, 1))
    same(x.transpose(), data().T)
    square = nd.array(data((3, 3)))
    assert nd.transpose(square, out=square) is square
    same(square, data((3, 3)).T)


def test_broadcast_to(engine):
    x = nd.array(data((2, 1)))
    same(nd.broadcast_to(x, (2, 3)), np.broadcast_to(data((2, 1)), (2, 3)))
    same(x.broadcast_to((4, 0, 3)), np.broadcast_to(data((2, 1)), (4, 2, 3)))
    with pytest.raises(ShapeError, match=r"^broadcast_to: data has shape \(2, 1\)"):
        x.broadcast_to((3, 3))


def test_concatenate(engine):
    parts = [data((2, 3)), data((1, 3), 1), data((4, 3), 2)]
    arrays = [nd.array(each) for each in parts]
    same(nd.concatenate(arrays), np.concatenate(parts))
    out = nd.empty((7, 3))
    assert nd.concatenate(arrays, out=out) is out
    same(out, np.concatenate(parts))
    same(nd.concatenate(arrays[:1] * 3, axis=1), np.concatenate(parts[:1] * 3, axis=1))
    assert nd.concatenate(arrays[:1], always_copy=False) is arrays[0]
    assert nd.concatenate(arrays[:1]) is not arrays[0]
    mixed = nd.concatenate([arrays[0], nd.ones((1, 3), dtype="float64")])
    assert mixed.dtype == np.float64
    with pytest.raises(ValueError, match="at least one array"):
        nd.concatenate([])
    with pytest.raises(ShapeError, match=r"concatenate: arg1 has shape \(2, 2\)"):
        nd.concatenate([arrays[0], nd.ones((2, 2))])
    with pytest.raises(TypeError, match="concatenate: arg1 needs to be an NDArray"):
        nd.concatenate([arrays[0], parts[0]])


def test_clip(engine):
    x = nd.array(data())
    same(nd.clip(x, 2, 5), np.clip(data(), 2, 5))
    same(x.clip(2, 5), np.clip(data(), 2, 5))
    nd.clip(x, 3, 4, out=x)
    same(x, np.clip(data(), 3, 4))


def test_picking_by_index(engine):
    x, at = data((4, 3)), np.array([2, 0, 1, 1])
    rows = np.arange(4)
    same(nd.choose_element_0index(nd.array(x), nd.array(at)), x[rows, at])
    filled = x.copy()
    filled[rows, at] = -1
    same(nd.fill_element_0index(nd.array(x), nd.full((4,), -1), nd.array(at)), filled)
    inplace = nd.array(x)
    nd.fill_element_0index(inplace, nd.full((4,), -1), nd.array(at), out=inplace)
    same(inplace, filled)
    out = nd.full((4, 3), 9)
    assert nd.onehot_encode(nd.array(at), out) is out
    same(out, np.eye(3)[at])
    same(nd.take(nd.array(x), nd.array([3, 3, 0])), x[[3, 3, 0]])
    with pytest.raises(
        ShapeError, match=r"onehot_encode: out has shape \(3, 3\), but indices \(4,\)"
    ):
        nd.onehot_encode(nd.array(at), nd.empty((3, 3)))
    with pytest.raises(TypeError, match="onehot_encode: out needs to be an NDArray"):
        nd.onehot_encode(nd.array(at), x)
    with pytest.raises(IndexError, match="onehot_encode: indices from 0 to 2 in rows of 2"):
        nd.onehot_encode(nd.array(at), nd.empty((4, 2))).asnumpy()


def test_copyto(engine):
    x = nd.array(data())
    y = nd.empty((2, 3, 4), dtype="float64")
    assert x.copyto(y) is y
    same(y, data())
    z = x.copyto(cpu(1))
    assert z.context == cpu(1)
    x[:] = 0
    same(z, data())
    same(y, data())
    z.copyto(x)
    same(x, data())
    x[0].copyto(x[1])
    same(x[1], data()[0])
    with pytest.raises(
        ShapeError, match=r"copyto: the source has shape \(2, 3, 4\), but the target"
    ):
        x.copyto(nd.empty((2, 3)))
    with pytest.raises(TypeError, match="needs an NDArray or a Context, got int"):
        x.copyto(3)
    with pytest.raises(ValueError, match="the same array"):
        x.copyto(x)


def test_as_in_context(engine):
    x = nd.array(data())
    assert x.as_in_context(cpu(0)) is x
    moved = x.as_in_context(cpu(1))
    assert moved.context == cpu(1)
    same(moved, data())


def test_astype(engine):
    x = nd.array([-1.5, 0, 2.7])
    for dtype in ("float64", "int32", "bool", "float16", "int8"):
        result = x.astype(dtype)
        assert result.dtype == dtype
        same(result, x.asnumpy().astype(dtype))
    with pytest.raises(DTypeError, match=r"^astype: dtype 'complex64' is not supported"):
        x.astype("complex64")
    copied = x.astype("float32")
    x[:] = 0
    same(copied, np.array([-1.5, 0, 2.7], "float32"))


def test_large_arrays_come_from_the_pool(engine):
    big = data((300, 200))
    x = nd.array(big)
    same(x + x, big + big)
    same(x * 2.0, big * 2)
    same(2.0 - x, 2 - big)
    same(nd.sqrt(x), np.sqrt(big))
    same(x > 4, (big > 4).astype("float32"))
    y = x[100:200]
    y *= 3.0
    same(x[100:201], np.concatenate([big[100:200] * 3, big[200:201]]))
