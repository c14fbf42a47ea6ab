"""Arrays and NumPy, DLPack, pickle, copy."""

import copy
import pickle

import numpy as np
import pytest

from actorflow import nd
from actorflow.device import cpu

DTYPES = ["float32", "float64", "float16", "uint8", "int32", "int8", "int64", "bool"]


def test_asnumpy_is_a_copy(engine):
    x = nd.array([1, 2, 3])
    copied = x.asnumpy()
    copied[:] = 9
    assert x.asnumpy().tolist() == [1, 2, 3]
    assert x[1:].asnumpy().base is None


def test_numpy_takes_arrays(engine):
    x = nd.array([[1, 2], [3, 4]])
    assert np.asarray(x).dtype == np.float32
    assert np.asarray(x, dtype="float64").dtype == np.float64
    assert np.array(x, copy=True).tolist() == [[1, 2], [3, 4]]
    assert np.exp(x).shape == (2, 2)
    assert np.sum(np.asarray(x)) == 10
    np.testing.assert_array_equal(x, [[1, 2], [3, 4]])
    with pytest.raises(ValueError, match="by copying"):
        np.array(x, copy=False)


@pytest.mark.parametrize("dtype", DTYPES)
def test_dlpack_lends_the_memory(engine, dtype):
    x = nd.array([[0, 1], [1, 1]], dtype=dtype)
    lent = np.from_dlpack(x)
    assert lent.dtype == dtype
    assert lent.tolist() == x.asnumpy().tolist()
    x[:] = 1
    x.wait_to_read()
    assert lent.tolist() == np.ones((2, 2), dtype).tolist()
    assert np.from_dlpack(x[1:]).shape == (1, 2)
    assert x.__dlpack_device__() == (1, 0)


def test_dlpack_borrows_memory(engine):
    data = np.arange(6, dtype="int32").reshape(2, 3)
    x = nd.from_dlpack(data)
    assert x.dtype == np.int32
    assert x.writable
    x += 1
    x.wait_to_read()
    assert data.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert nd.from_dlpack(data.T).asnumpy().tolist() == data.T.tolist()
    assert nd.from_dlpack(x[1]).asnumpy().tolist() == [4, 5, 6]
    assert nd.from_dlpack(data, ctx=cpu(1)).context == cpu(1)


def test_dlpack_respects_what_is_not_writable(engine):
    x = nd.array([1, 2], writable=False)
    lent = np.from_dlpack(x)
    assert not lent.flags.writeable
    assert not nd.from_dlpack(lent).writable


@pytest.mark.parametrize("dtype", DTYPES)
def test_pickling(engine, dtype):
    with cpu(1):
        x = nd.array([[0, 1], [1, 1]], dtype=dtype)
    again = pickle.loads(pickle.dumps(x))  # noqa: S301 -- its own
    assert again.context == cpu(1)
    assert again.dtype == dtype
    assert again.asnumpy().tolist() == x.asnumpy().tolist()
    assert (again + again).shape == (2, 2)
    part = pickle.loads(pickle.dumps(x[1:]))  # noqa: S301
    assert part.asnumpy().tolist() == x[1:].asnumpy().tolist()
    assert len(pickle.dumps(nd.zeros((1000, 10))[:2])) < 1000
    assert not pickle.loads(pickle.dumps(nd.array([1], writable=False))).writable  # noqa: S301


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, nd.NDArray.copy])
def test_copying(engine, how):
    x = nd.array([1, 2, 3])
    copied = how(x)
    x += 1
    assert copied.asnumpy().tolist() == [1, 2, 3]
    assert x.asnumpy().tolist() == [2, 3, 4]


def test_arrays_are_keys_by_identity():
    x, y = nd.ones((2,)), nd.ones((2,))
    found = {x: 1, y: 2}
    assert found[x] == 1
    assert found[y] == 2
    assert hash(x) != hash(y)


def test_repr_shows_shape_type_context_and_values(engine):
    assert repr(nd.array([[1, 2], [3, 4]], dtype="int32")) == (
        "[[1 2]\n [3 4]]\n<NDArray 2x2 int32 @cpu(0)>"
    )
    long = repr(nd.zeros((100, 100), ctx=cpu(1)))
    assert "..." in long
    assert long.endswith("<NDArray 100x100 float32 @cpu(1)>")
    assert repr(nd.zeros((0, 2))).endswith("<NDArray 0x2 float32 @cpu(0)>")


def test_a_subclass_stays_one(engine):
    class Mine(nd.NDArray):
        __slots__ = ()

    x = nd.array([1, 2])
    mine = Mine(x.resource, x.shape, x.size)
    for result in (mine + mine, mine * 2, mine[0], mine.T, mine.sum(), -mine, mine.copy()):
        assert type(result) is Mine


@pytest.mark.parametrize("function", [np.sum, np.prod, np.mean, np.max, np.min])
def test_reductions_by_numpys_functions(function):
    array = nd.array([[1, 2, 3], [4, 5, 6]])
    for given in ({}, {"axis": 1}, {"axis": 0, "keepdims": True}):
        found = function(array, **given)
        assert isinstance(found, nd.NDArray)
        expected = np.atleast_1d(function(array.asnumpy(), **given))
        np.testing.assert_array_equal(found.asnumpy(), expected)
    name = function.__name__.removeprefix("a")
    with pytest.raises(
        TypeError, match=rf"^{name}: out has to be None, got an ndarray .*nd\.{name}"
    ):
        function(array, axis=0, out=np.zeros(3))
    if function in {np.sum, np.prod, np.mean}:
        with pytest.raises(
            TypeError, match=rf"^{name}: dtype has to be None, got 'float64'; astype"
        ):
            function(array, dtype="float64")
