"""Saving and loading NDArrays: through the engine, whole or not at all, and to and from MXNet."""

import asyncio
import os
import subprocess
import threading
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import trio
import trio.testing

import actorflow as af
from actorflow.errors import ContextError, FormatError, WouldBlockError
from actorflow.ndarray.params_format import dumps
from actorflow.ndarray.serialize import load, load_async, save, save_async

DTYPES = ["float32", "float64", "float16", "uint8", "int32", "int8", "int64", "bool"]


@pytest.fixture(params=["naive", "threaded"])
def engine(request):
    with af.Engine(2, engine_type=request.param) as engine:
        yield engine


@pytest.fixture
def path(tmp_path):
    yield tmp_path / "x.params"
    assert not list(tmp_path.glob("*.tmp"))


@contextmanager
def gate(array):
    """Keep `array` unfinished within the block."""
    event = threading.Event()
    af.current_engine().push(event.wait, updates=[array.resource], name="gate", device="io")
    try:
        yield
    finally:
        event.set()


@pytest.mark.usefixtures("engine")
def test_a_list(path):
    arrays = [af.nd.array(np.arange(6).reshape(2, 3) % 2, dtype=dtype) for dtype in DTYPES]
    save(path, arrays)
    loaded = load(path)
    assert [array.dtype for array in loaded] == DTYPES
    for array, got in zip(arrays, loaded, strict=True):
        np.testing.assert_array_equal(got.asnumpy(), array.asnumpy())


@pytest.mark.usefixtures("engine")
def test_a_dict(path):
    save(str(path), {"arg:w": af.nd.ones((2, 3)) * 2, "aux:\u00fc": af.nd.arange(4)})
    loaded = load(str(path))
    assert list(loaded) == ["arg:w", "aux:\u00fc"]
    assert loaded["arg:w"].asnumpy().tolist() == [[2] * 3] * 2
    assert loaded["aux:\u00fc"].asnumpy().tolist() == [0, 1, 2, 3]


@pytest.mark.usefixtures("engine")
def test_one_array_and_views_of_it(path):
    whole = af.nd.arange(12).reshape((4, 3))
    save(path, whole)
    assert load(path)[0].shape == (4, 3)
    save(path, [whole[1:3]])
    assert load(path)[0].asnumpy().tolist() == [[3, 4, 5], [6, 7, 8]]


@pytest.mark.usefixtures("engine")
def test_nothing(path):
    save(path, [])
    assert load(path) == []
    save(path, {})
    assert load(path) == []


@pytest.mark.usefixtures("engine")
def test_large_arrays_use_the_pool_and_can_be_changed(path):
    array = af.nd.ones((1000, 1000))
    save(path, array)
    (loaded,) = load(path)
    loaded += 1
    assert loaded.asnumpy().sum() == 2_000_000


def test_the_values_of_the_call_are_saved(path):
    with af.Engine(2, engine_type="threaded"):
        array = af.nd.zeros((3,))
        array += 1
        with gate(array):
            thread = threading.Thread(target=save, args=(path, array))
            thread.start()
        thread.join()
        array += 1
        assert load(path)[0].asnumpy().tolist() == [1, 1, 1]


def test_save_async_takes_the_values_of_the_call(path):
    async def main():
        async with af.Engine(2, engine_type="threaded"):
            array = af.nd.zeros((3,))
            async with trio.open_nursery() as nursery:
                with gate(array):
                    nursery.start_soon(save_async, path, {"a": array})
                    await trio.testing.wait_all_tasks_blocked()
                    array += 1  # pushed later, so not in the file
                    assert not path.exists()
            loaded = await load_async(path)
            assert (await loaded["a"]).tolist() == [0, 0, 0]
            assert (await array).tolist() == [1, 1, 1]

    trio.run(main)


def test_asyncio(path):
    async def main():
        async with af.Engine(2, engine_type="threaded"):
            await save_async(path, af.nd.ones((2,)))
            (loaded,) = await load_async(path)
            return (await loaded).tolist()

    assert asyncio.run(main()) == [1, 1]


def test_blocking_in_an_event_loop_is_an_error_that_names_await(path):
    async def main():
        async with af.Engine(2, engine_type="threaded"):
            array = af.nd.zeros((3,))
            with gate(array), pytest.raises(WouldBlockError) as caught:
                save(path, array)
            assert any("await save_async" in note for note in caught.value.__notes__)
            await array

    trio.run(main)
    assert not path.exists()


@pytest.mark.usefixtures("engine")
def test_an_arrays_error_is_raised_and_nothing_is_written(path):
    array = af.nd.zeros((3,))

    def fail():
        raise ZeroDivisionError

    af.current_engine().push(fail, updates=[array.resource])
    with pytest.raises(ZeroDivisionError):
        save(path, array)
    assert not path.exists()


@pytest.mark.usefixtures("engine")
def test_an_old_file_stays_if_the_new_one_cannot_be_written(path, monkeypatch):
    save(path, af.nd.ones((1,)))
    before = path.read_bytes()

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as caught:
        save(path, af.nd.zeros((2,)))
    assert caught.value.filename == str(path)
    assert path.read_bytes() == before


@pytest.mark.usefixtures("engine")
def test_the_file_is_as_readable_as_any_other(path, tmp_path):
    save(path, af.nd.ones((1,)))
    other = tmp_path / "other"
    other.touch()
    assert path.stat().st_mode == other.stat().st_mode


@pytest.mark.usefixtures("engine")
def test_a_link_stays_a_link(path, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(path.name)
    save(link, af.nd.ones((1,)))
    assert link.is_symlink()
    assert load(path)[0].asnumpy().tolist() == [1]


@pytest.mark.usefixtures("engine")
def test_an_error_names_the_file_as_it_was_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, kind in (("missing/x.params", FileNotFoundError), (".", OSError)):
        with pytest.raises(kind) as caught:
            save(name, af.nd.ones((1,)))
        assert caught.value.filename == name
        assert caught.value.filename2 is None

    async def main():
        async with af.Engine(2):
            await save_async("missing/x.params", af.nd.ones((1,)))

    with pytest.raises(FileNotFoundError, match=r"'missing/x\.params'"):
        trio.run(main)
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("engine")
def test_a_missing_folder(tmp_path):
    missing = tmp_path / "missing" / "x.params"
    with pytest.raises(FileNotFoundError) as caught:
        save(missing, af.nd.ones((1,)))
    assert caught.value.filename == str(missing)
    assert ".tmp" not in str(caught.value)
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "missing.params")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (3, "data is a int; needs an NDArray, a list or a dict"),
        ([np.zeros(1)], "number 0 is a ndarray; needs an NDArray"),
        ({"a": 1.0}, "'a' is a float; needs an NDArray"),
        ({1: None}, "an array's name is 1; needs a str"),
    ],
)
def test_other_things_are_refused(path, data, message):
    with pytest.raises(TypeError, match=message):
        save(path, data)


@pytest.mark.usefixtures("engine")
def test_arrays_go_where_they_are_asked_to(path):
    save(path, af.nd.ones((2,), ctx=af.cpu(3)))
    assert load(path)[0].context == af.cpu(0)
    assert load(path, af.cpu(1))[0].context == af.cpu(1)
    with af.Context("cpu", 2):
        (loaded,) = load(path)
    assert loaded.context == af.cpu(2)
    assert (loaded + 1).asnumpy().tolist() == [2, 2]
    with pytest.raises(ContextError, match="no CUDA backend"):
        load(path, af.gpu(0))


@pytest.mark.usefixtures("engine")
def test_an_array_without_axes_gets_one(path):
    path.write_bytes(dumps([np.array(2.5, "f4")]))
    (loaded,) = load(path)
    assert loaded.shape == (1,)
    assert loaded.asscalar() == 2.5


def test_a_damaged_file_is_named(path):
    path.write_bytes(b"no arrays at all")
    with pytest.raises(FormatError, match=r"x\.params, byte 0: not a file of arrays"):
        load(path)


def test_nd_has_the_functions():
    assert af.nd.save is save
    assert af.nd.load is load


# -- With a real MXNet ----------------------------------------------------------------------------

PEER = os.environ.get("AF_MXNET_PYTHON")
MXNET_PROGRAM = """
import sys, warnings
warnings.filterwarnings("ignore")
import mxnet as mx, numpy as np
source, target = sys.argv[1:]
loaded = mx.nd.load(source)
for name in sorted(loaded):
    print(name, loaded[name].dtype.__name__, loaded[name].asnumpy().tolist())
mx.nd.save(target, loaded)
"""


@pytest.mark.skipif(not PEER, reason="AF_MXNET_PYTHON names no Python that has MXNet")
@pytest.mark.slow
def test_mxnet_reads_and_writes_the_same(path, tmp_path):
    # MXNet 0.x reads the same headers but has fewer dtypes; AF_MXNET_DTYPES says how many.
    dtypes = DTYPES[: int(os.environ.get("AF_MXNET_DTYPES", "8"))]
    arrays = {dtype: af.nd.array(np.array([[0, 1, 1], [1, 0, 1]]), dtype=dtype) for dtype in dtypes}
    arrays["\u00fc" * 50] = af.nd.ones((1, 2, 3, 1, 1))
    save(path, arrays)
    back = tmp_path / "back.params"
    done = subprocess.run(  # noqa: S603
        [PEER, "-c", MXNET_PROGRAM, path, back], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for dtype in dtypes:
        kind = "bool_" if dtype == "bool" else dtype
        assert f"{dtype} {kind} {arrays[dtype].asnumpy().tolist()}\n" in done.stdout
    loaded = load(back)
    assert set(loaded) == set(arrays)
    for name, array in arrays.items():
        assert loaded[name].dtype == array.dtype
        np.testing.assert_array_equal(loaded[name].asnumpy(), array.asnumpy())


@pytest.mark.skipif(not PEER, reason="AF_MXNET_PYTHON names no Python that has MXNet")
@pytest.mark.slow
def test_mxnets_numpy_mode_reads_arrays_without_axes(path):
    if "AF_MXNET_DTYPES" in os.environ:
        pytest.skip("MXNet 0.x has no NumPy mode")
    program = """
import sys, warnings
warnings.filterwarnings("ignore")
import mxnet as mx
mx.npx.set_np()
print([(array.shape, array.tolist()) for array in mx.npx.load(sys.argv[1])])
"""
    Path(path).write_bytes(dumps([np.array(2.5, "f4"), np.zeros((0, 2), "f4")]))
    done = subprocess.run(  # noqa: S603
        [PEER, "-c", program, path], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "[((), 2.5), ((0, 2), [])]", done.stderr
