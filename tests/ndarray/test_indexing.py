"""`a[key]` and `a[key] = value`, against NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp

from actorflow import nd
from actorflow.engine import Engine, Region
from actorflow.errors import DTypeError, ShapeError

steady = settings(derandomize=True, deadline=None, max_examples=200)

KEYS = [
    0,
    -1,
    np.int64(1),
    slice(None),
    slice(1, 3),
    slice(1, None),
    slice(None, None, 2),
    slice(None, None, -1),
    slice(3, 0, -2),
    slice(2, 2),
    slice(3, 1),
    ...,
    None,
    (),
    (1, 2),
    (1, 2, 3),
    (1, slice(0, 2)),
    (1, slice(None), 2),
    (slice(1, 3), slice(1, 2)),
    (slice(1, 3), slice(None), slice(None)),
    (slice(1, 3), ...),
    (..., 1),
    (..., slice(1, 3), 0),
    (0, ..., 0),
    (slice(None), None, 1),
    [0, 2],
    np.array([[0, 1], [2, 3]]),
    (slice(None), [0, 2]),
    (np.array([0, 1]), np.array([2, 0])),
    (slice(1, 4), [0, 2], slice(None, None, 2)),
    (0, [0, 2]),
    np.array([True, False, True, False]),
    (np.array([True, False, True, False]), 1),
    True,
    np.array([], int),
]


def source():
    return np.arange(4 * 3 * 5, dtype="float32").reshape(4, 3, 5)


def same(result, expected):
    expected = np.atleast_1d(expected)
    assert result.shape == expected.shape
    np.testing.assert_array_equal(result.asnumpy(), expected)


@pytest.mark.parametrize("key", KEYS, ids=repr)
def test_reading_is_numpys(engine, key):
    same(nd.array(source())[key], source()[key])


@pytest.mark.parametrize("key", KEYS, ids=repr)
def test_writing_is_numpys(engine, key):
    data = source()
    place = data[key].shape
    values = [7, 2.5, np.float64(3), np.arange(np.prod(place, dtype=int)).reshape(place)]
    if place:
        values.append(np.ones(place[-1:], "int64"))
    for value in values:
        expected, x = source(), nd.array(source())
        expected[key] = value
        x[key] = value
        same(x, expected)
        if isinstance(value, np.ndarray):
            x = nd.array(source())
            x[key] = nd.array(value, dtype="int32")
            same(x, expected)


@steady
@given(data=st.data())
def test_any_basic_index(data):
    shape = data.draw(hnp.array_shapes(max_dims=4, max_side=5))
    key = data.draw(hnp.basic_indices(shape, allow_newaxis=True))
    plain = np.arange(np.prod(shape), dtype="float32").reshape(shape)
    with Engine(engine_type="naive"):
        x = nd.array(plain)
        same(x[key], plain[key])
        x[key] = 5
        plain[key] = 5
        same(x, plain)


@steady
@given(data=st.data())
def test_any_integer_index_beside_slices(data):
    plain = source()
    index = data.draw(hnp.integer_array_indices((4, 3)))
    key = (*index, data.draw(st.sampled_from([slice(None), slice(1, 3), 2])))
    with Engine(engine_type="naive"):
        same(nd.array(plain)[key], plain[key])


VIEWS = [
    0,
    slice(1, 3),
    slice(None),
    ...,
    (),
    (1, 2),
    (1, slice(1, 3)),
    (slice(2, 3), ...),
    (1, 2, 3),
]
COPIES = [slice(None, None, 2), (slice(None), 1), (slice(0, 4), slice(0, 1)), [0], None, (..., 0)]


@pytest.mark.parametrize("key", VIEWS, ids=repr)
def test_one_run_of_memory_is_a_view(engine, key):
    x = nd.array(source())
    view = x[key]
    assert view.resource is x.resource or view.resource.resource is x.resource
    view[:] = -1
    expected = source()
    expected[key] = -1
    same(x, expected)
    x += 1
    same(view, np.zeros(view.shape, "float32"))


@pytest.mark.parametrize("key", COPIES, ids=repr)
def test_anything_else_is_a_copy(engine, key):
    x = nd.array(source())
    copied = x[key]
    assert copied.resource.resource is not x.resource
    copied[:] = -1
    same(x, source())


def test_views_of_views(engine):
    x = nd.array(source())
    view = x[1:][1:].reshape((6, 5))[2:5][1]
    same(view, source()[2:].reshape(6, 5)[3])
    view += 100
    assert x[3, 0, 0].asscalar() == source()[3, 0, 0] + 100


def test_a_view_names_the_region_that_it_covers():
    x = nd.array(source())
    part = x[1:3].resource
    assert isinstance(part, Region)
    assert (part.start, part.stop) == (15, 45)
    assert x[1:3][1].resource.start == 30
    assert x[:].resource is x.resource


def test_iterating_gives_views(engine):
    x = nd.array(source())
    for row in x:
        nd.multiply(row, 2, out=row)
    same(x, source() * 2)
    assert [each.asscalar() for each in nd.array([1, 2, 3])] == [1, 2, 3]


def test_an_array_can_be_the_index_of_the_first_axis(engine):
    x = nd.array(source())
    for index in ([0, 2], [[1], [3]], [-1]):
        for dtype in ("int64", "uint8"):
            if dtype != "uint8" or min(index) != -1:
                same(x[nd.array(index, dtype=dtype)], source()[index])
    with pytest.raises(DTypeError, match="indices are bool"):
        x[nd.array([1, 0, 1, 0], dtype=bool)]
    with pytest.raises(DTypeError, match="for a mask"):
        x[x > 0]
    with pytest.raises(IndexError, match="only by itself"):
        x[nd.array([0]), 0]
    with pytest.raises(IndexError, match="only by itself"):
        x[nd.array([0])] = 1
    bad = x[nd.array([7], dtype="int64")]
    with pytest.raises(IndexError):
        bad.asnumpy()


@pytest.mark.parametrize("key", [4, -5, (0, 3), (0, 0, 0, 0), (slice(1), 9), [4], "a", 1.0])
def test_an_index_that_is_not_there_is_refused_at_once(key):
    x = nd.array(source())
    with pytest.raises(IndexError):
        x[key]
    with pytest.raises(IndexError):
        x[key] = 1


def test_a_value_that_does_not_fit_is_refused_at_once():
    x = nd.array(source())
    message = r"^setitem: value has shape \(2,\), but the place that is set has shape \(3, 5\)"
    with pytest.raises(ShapeError, match=message):
        x[0] = nd.ones((2,))
    with pytest.raises(ShapeError, match=message):
        x[0] = np.ones(2)
    with pytest.raises(ShapeError, match=r"value has shape \(3, 3, 5\)"):
        x[0:2] = nd.ones((3, 3, 5))
    small = nd.zeros((2,), dtype="uint8")
    with pytest.raises(OverflowError):
        small[0] = 256


def test_what_is_written_is_what_it_was_at_the_call(engine):
    x = nd.zeros((3,))
    value, index = np.ones(3, "float32"), np.array([0, 1])
    x[:] = value
    x[index] = 5
    value[:] = 9
    index[:] = 2
    same(x, np.array([5, 5, 1]))
    y = x[np.array([0, 2])]
    x[:] = 0
    same(y, np.array([5, 1]))


def test_a_value_of_another_type_is_converted(engine):
    x = nd.zeros((2, 2), dtype="int32")
    x[:] = nd.array([1.7, -1.7])
    same(x, np.array([[1, -1], [1, -1]]))
    x[0] = 2.9
    x[:, 1] = nd.array([7.5, 8.5])
    same(x, np.array([[2, 7], [1, 8]]))


def test_overlapping_assignments_read_first(engine):
    data = source()
    x = nd.array(data)
    x[1:] = x[:-1]
    data[1:] = data[:-1].copy()
    same(x, data)
    x[::2] = x[1:3]
    data[::2] = data[1:3].copy()
    same(x, data)
    x[[0, 1]] = x[2:]
    data[[0, 1]] = data[2:].copy()
    same(x, data)
    x[:] = x[1]
    data[:] = data[1].copy()
    same(x, data)
