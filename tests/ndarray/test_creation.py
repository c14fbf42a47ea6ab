"""Making arrays."""

import numpy as np
import pytest

from actorflow import nd, random
from actorflow.device import Context, cpu, gpu
from actorflow.engine import Engine
from actorflow.errors import ContextError, DTypeError, OutOfMemoryError, ShapeError

DTYPES = ["float32", "float64", "float16", "uint8", "int32", "int8", "int64", "bool"]


def same(result, expected):
    got = result.asnumpy()
    assert got.dtype == expected.dtype
    np.testing.assert_array_equal(got, expected, strict=True)


def test_array_copies_what_it_is_given(engine):
    data = np.arange(6.0).reshape(2, 3)
    x = nd.array(data)
    data[:] = 9
    same(x, np.arange(6, dtype="float32").reshape(2, 3))
    same(nd.array([[1, 2], [3, 4]]), np.array([[1, 2], [3, 4]], "float32"))
    same(nd.array(5), np.array([5], "float32"))
    same(nd.array(np.asfortranarray(np.eye(3, 2))), np.eye(3, 2, dtype="float32"))
    same(nd.array(x, dtype="int32"), x.asnumpy().astype("int32"))
    same(nd.array([]), np.empty(0, "float32"))


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_data_type(engine, dtype):
    expected = np.array([0, 1, 1]).astype(dtype)
    same(nd.array(expected, dtype=dtype), expected)
    same(nd.array([0, 1, 1], dtype=np.dtype(dtype).type), expected)
    same(nd.zeros((2, 3), dtype=dtype), np.zeros((2, 3), dtype))
    same(nd.ones((2, 3), dtype=dtype), np.ones((2, 3), dtype))
    same(nd.full((2,), 1, dtype=dtype), np.full(2, 1, dtype))
    same(nd.zeros_like(nd.array(expected, dtype=dtype)), np.zeros(3, dtype))
    same(nd.ones_like(nd.array(expected, dtype=dtype)), np.ones(3, dtype))
    same(nd.array(nd.array(expected, dtype=dtype)), expected)
    assert nd.empty((2,), dtype=dtype).dtype == dtype


def test_the_default_is_float32_unless_an_ndarray_says_otherwise(engine):
    assert nd.array(np.arange(3)).dtype == np.float32
    assert nd.array(nd.ones((2,), dtype="int8")).dtype == np.int8
    assert nd.empty((2,)).dtype == nd.zeros((2,)).dtype == nd.arange(3).dtype == np.float32


def test_arange_is_numpys(engine):
    same(nd.arange(5), np.arange(5, dtype="float32"))
    same(nd.arange(2, 9, 3), np.arange(2, 9, 3, dtype="float32"))
    same(nd.arange(0, 1, 0.25, dtype="float64"), np.arange(0, 1, 0.25))
    same(nd.arange(3, repeat=2, dtype="int64"), np.repeat(np.arange(3), 2))
    same(nd.arange(3, 1), np.empty(0, "float32"))


def test_shapes(engine):
    assert nd.zeros(3).shape == (3,)
    assert nd.zeros([2, 3]).shape == (2, 3)
    assert nd.zeros(()).shape == (1,)
    x = nd.zeros((2, 3), dtype="float64")
    assert (x.size, x.ndim, x.nbytes, len(x)) == (6, 2, 48, 2)
    assert nd.zeros((0, 3)).asnumpy().shape == (0, 3)


def test_out_is_filled(engine):
    x = nd.empty((2, 2))
    assert nd.ones((2, 2), out=x) is x
    same(x, np.ones((2, 2), "float32"))
    nd.full((2,), 3, out=x[1])
    same(x, np.array([[1, 1], [3, 3]], "float32"))
    with pytest.raises(
        ValueError, match=r"full: out has shape \(2, 2\), but the result has \(3,\)"
    ):
        nd.zeros((3,), out=x)


def test_contexts(engine):
    assert nd.zeros((2,)).context == cpu(0)
    with Context("cpu", 1):
        x = nd.zeros((2,))
        assert (x + 1).context == nd.array([1]).context == x.ctx == cpu(1)
    assert nd.zeros((2,), ctx=cpu(2)).context == cpu(2)
    assert nd.array(x).context == cpu(1)
    assert nd.array(x, ctx=cpu(3)).context == cpu(3)
    same(nd.array(x, ctx=cpu(3)), np.zeros(2, "float32"))


def test_what_cannot_be_made_is_refused():
    for make in (nd.zeros, nd.empty, nd.ones):
        with pytest.raises(DTypeError, match="dtype 'uint16' is not supported"):
            make((2,), dtype="uint16")
        with pytest.raises(ValueError, match="no negative sizes"):
            make((2, -1))
        with pytest.raises(ContextError, match=r"gpu\(0\)"):
            make((2,), ctx=gpu(0))
    with pytest.raises(DTypeError, match="array: cannot be made of complex128 elements"):
        nd.array([1j])
    with pytest.raises(DTypeError, match="array: cannot be made of <U1 elements"):
        nd.array(["a"])
    with pytest.raises(ValueError, match="inhomogeneous"):
        nd.array([[1], [1, 2]])
    with pytest.raises(OverflowError):
        nd.full((2,), 300, dtype="uint8")
    with pytest.raises(TypeError, match="full: val is one number"):
        nd.full((2,), [1, 2])
    with pytest.raises(ValueError, match="arange: step is 0"):
        nd.arange(0, 1, 0)


def test_an_array_that_is_not_writable(engine):
    x = nd.array([1, 2, 3], writable=False)
    assert not x.writable
    for change in (
        lambda: x.__setitem__(0, 1),
        lambda: x.__iadd__(1),
        lambda: x[1:].__setitem__(0, 1),
        lambda: nd.ones((3,)).copyto(x),
        lambda: nd.add(x, x, out=x),
        lambda: nd.exp(x, out=x.reshape((3, 1)).reshape((3,))),
    ):
        with pytest.raises(ValueError, match="not writable"):
            change()
    same(x + 1, np.array([2, 3, 4], "float32"))
    assert x.copy().writable


def test_the_memory_of_a_dropped_array_is_used_by_the_operation_all_the_same(engine):
    a = nd.ones((100, 100))
    b = a + 1
    del a
    c = b * 2
    del b
    assert (c.asnumpy() == 4).all()


def test_a_block_has_all_that_a_resource_has():
    from actorflow.engine import Resource

    block = nd.zeros((2,)).resource
    plain = Resource("array")
    for kind in type(plain).__mro__:
        for slot in getattr(kind, "__slots__", ()):
            if not slot.startswith("__") and slot != "engine":
                assert hasattr(block, slot) == hasattr(plain, slot), slot


@pytest.mark.parametrize("wrong", ["cpu", "cpu(1)", 0, Context, nd])
def test_a_context_is_a_context(wrong, tmp_path):
    file, x = tmp_path / "x.params", nd.ones((2,))
    nd.save(file, x)
    for who, call in {
        "empty": lambda: nd.empty((2,), wrong),
        "full": lambda: nd.zeros((2,), ctx=wrong, out=x),
        "array": lambda: nd.array([1], ctx=wrong),
        "from_dlpack": lambda: nd.from_dlpack(np.ones(2), wrong),
        "arange": lambda: nd.arange(2, ctx=wrong),
        "uniform": lambda: random.uniform(ctx=wrong, out=x),
        "normal": lambda: random.normal(shape=2, ctx=wrong),
        "randint": lambda: random.randint(0, 2, ctx=wrong),
        "stream": lambda: random.stream(wrong),
        "load": lambda: nd.load(file, wrong),
    }.items():
        with pytest.raises(TypeError, match=rf"^{who}: ctx needs to be a Context, such as"):
            call()
    for call in (
        lambda: nd.array(x, ctx=wrong),
        lambda: nd.ones((2,), ctx=wrong),
        lambda: nd.full((2,), 1, ctx=wrong),
        lambda: random.permutation(3, ctx=wrong),
    ):
        with pytest.raises(TypeError, match="ctx needs to be a Context"):
            call()
    with pytest.raises(TypeError, match=r"^as_in_context: needs a Context, got"):
        x.as_in_context(wrong)
    with pytest.raises(TypeError, match=r"^copyto: needs an NDArray or a Context, got"):
        x.copyto(wrong)


HUGE = 10**15  # bytes; more than any machine has


@pytest.mark.parametrize(
    ("who", "call"),
    [
        ("full", lambda: nd.zeros((HUGE,))),
        ("full", lambda: nd.full((HUGE // 8, 8), 3, dtype="int8")),
        ("empty", lambda: nd.empty((HUGE,), dtype="uint8")),
        ("arange", lambda: nd.arange(HUGE)),
        ("uniform", lambda: random.uniform(shape=(HUGE,))),
        ("broadcast_to", lambda: nd.ones((1,)).broadcast_to((HUGE,))),
        ("add", lambda: nd.empty((HUGE // 10**6, 1)) + nd.empty((1, 10**6))),
        ("dot", lambda: nd.dot(nd.empty((HUGE // 10**6, 1)), nd.empty((1, 10**6)))),
        ("bytes", lambda: nd.apply(bytes, [], ((HUGE,), "int8"))),
    ],
)
def test_what_can_never_be_allocated_is_refused_in_the_call(engine, who, call):
    with pytest.raises(OutOfMemoryError, match=rf"^{who}: an array of shape \(\d+,.* bytes, but "):
        call()


def test_shapes_that_no_array_can_have(engine):
    for shape in ((2**63,), (2**40, 2**40), (0, 2**63), (1,) * 65):
        with pytest.raises(ShapeError, match=r"^empty: a shape has at most 64 axes and \d+ elem"):
            nd.empty(shape)
    assert nd.zeros((0, 2**30, 2**29)).asnumpy().size == 0
    assert nd.zeros((1,) * 64).asnumpy().size == 1


def test_an_allocation_that_fails_names_the_array_and_the_line(monkeypatch):
    monkeypatch.setattr("actorflow.settings.attainable_nbytes", lambda: 10 * HUGE)
    with Engine(workers=1):
        x = nd.zeros((HUGE, 2), dtype="int8")  # no limit that is known forbids it
        with pytest.raises(OutOfMemoryError) as caught:
            x.asnumpy()
    assert f"for an array of shape ({HUGE}, 2) (int8)" in str(caught.value)
    (note,) = caught.value.__notes__
    assert "operation 'full', pushed at" in note
    assert "x = nd.zeros((HUGE, 2)" in note
