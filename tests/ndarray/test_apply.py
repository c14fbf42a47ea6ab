"""Users' functions as operations."""

import os
import threading

import numpy as np
import pytest

from actorflow import nd
from actorflow.device import cpu
from actorflow.engine import Engine
from actorflow.errors import ContextError, DTypeError, ShapeError
from tests.ndarray import _functions

PLACES = ["thread", "process"]


@pytest.mark.parametrize("run_in", PLACES)
def test_a_function_of_numpy_arrays_is_an_operation(engine, run_in):
    x = nd.array([1, 2, 3]) + 1
    y = nd.apply(_functions.double, [x], ((3,), "float32"), run_in=run_in)
    assert isinstance(y, nd.NDArray)
    assert (y + 1).asnumpy().tolist() == [5, 7, 9]
    assert nd.apply(_functions.double, x, x, run_in=run_in) is x
    assert x.asnumpy().tolist() == [4, 6, 8]


@pytest.mark.parametrize("run_in", PLACES)
def test_several_outputs_are_a_list(engine, run_in):
    x = nd.array([1, 2, 3])
    given = nd.zeros((2,), dtype="float64")
    first, rest = nd.apply(_functions.split, [x], [((), "float32"), given], run_in=run_in)
    assert first.asnumpy().tolist() == [1]
    assert rest is given
    assert rest.asnumpy().tolist() == [2, 3]
    (only,) = nd.apply(_functions.double, [x], [((3,), "float32")], run_in=run_in)
    assert only.asnumpy().tolist() == [2, 4, 6]


@pytest.mark.parametrize("run_in", PLACES)
def test_a_function_may_fill_its_outputs(engine, run_in):
    x = nd.array([1, 2, 3])
    y = nd.zeros((2, 3))
    nd.apply(_functions.fill, [x], y[1], fills=True, run_in=run_in)
    assert y.asnumpy().tolist() == [[0, 0, 0], [2, 3, 4]]
    wrong = nd.apply(_functions.fill_and_return, [x], y[0], fills=True, run_in=run_in)
    with pytest.raises(TypeError, match=r"fill_and_return: with fills=True it .* ndarray"):
        wrong.asnumpy()


@pytest.mark.parametrize("run_in", PLACES)
def test_what_a_function_raises_is_raised_where_its_output_is_waited_for(engine, run_in):
    x = nd.array([1])
    y = nd.apply(_functions.fail, x, ((1,), "float32"), name="my function", run_in=run_in)
    with pytest.raises(ZeroDivisionError, match="in the process") as caught:
        (y + 1).asnumpy()
    assert any("operation 'my function'" in note for note in caught.value.__notes__)
    y[:] = 1
    assert y.asnumpy().tolist() == [1]


@pytest.mark.parametrize("run_in", PLACES)
def test_inputs_cannot_be_written(engine, run_in):
    x = nd.array([1, 2])
    with pytest.raises(ValueError, match="read-only"):
        nd.apply(_functions.change_input, x, ((2,), "float32"), run_in=run_in).asnumpy()
    assert x.asnumpy().tolist() == [1, 2]


def test_a_process_is_another_one(engine):
    there = nd.apply(_functions.process_id, [], ((1,), "int64"), run_in="process")
    here = nd.apply(_functions.process_id, [], ((1,), "int64"))
    assert here.asnumpy()[0] == os.getpid()
    assert there.asnumpy()[0] != os.getpid()


def test_the_results_are_checked(engine):
    x = nd.array([1, 2])
    cases = [
        (
            lambda a: a[:1],
            ((2,), "float32"),
            ShapeError,
            r"output 0 has shape \(2,\), but .* \(1,\)",
        ),
        (lambda a: a, ((2,), "int32"), DTypeError, "output 0 has dtype int32, but .* float32"),
        (lambda a: (a, a), ((2,), "float32"), ValueError, "returned 2 arrays, but has 1 outputs"),
        (lambda a: None, ((2,), "float32"), TypeError, "returned None .* needs fills=True"),
    ]
    for function, output, error, message in cases:
        with pytest.raises(error, match=r"checked: .*" + message):
            nd.apply(function, x, output, name="checked").asnumpy()
    assert nd.apply(lambda: [1, 2], [], ((2,), "int8")).asnumpy().tolist() == [1, 2]
    assert nd.apply(lambda a: a.sum(), x, ((1,), "float32")).asnumpy().tolist() == [3]


def test_wrong_arguments_are_refused_at_the_call():
    x = nd.ones((2,))
    spec = ((2,), "float32")
    with pytest.raises(TypeError, match="apply: fn needs to be a function, got int"):
        nd.apply(3, x, spec)
    with pytest.raises(TypeError, match="double: input 0 needs to be an NDArray, got ndarray"):
        nd.apply(_functions.double, [np.ones(2)], spec)
    with pytest.raises(TypeError, match=r"double: an output is an NDArray or a tuple"):
        nd.apply(_functions.double, x, 3)
    with pytest.raises(ValueError, match="run_in is 'thread' or 'process', got 'fiber'"):
        nd.apply(_functions.double, x, spec, run_in="fiber")
    with pytest.raises(TypeError, match=r"cannot be sent to another process .* top level"):
        nd.apply(lambda a: a, x, spec, run_in="process")
    with pytest.raises(ContextError, match=r"double: its arrays live in cpu\(0\) and cpu\(1\)"):
        nd.apply(_functions.double, x, nd.ones((2,), ctx=cpu(1)))
    with pytest.raises(ValueError, match="double: an output is not writable"):
        nd.apply(_functions.double, x, nd.array([1, 2], writable=False))

    async def double(a):
        return a

    with pytest.raises(TypeError, match=r"is an async function; push it with engine.push_async"):
        nd.apply(double, x, spec)


def test_functions_in_threads_overlap():
    barrier = threading.Barrier(2, timeout=30)

    def meet(x):
        barrier.wait()
        return x

    with Engine(workers=2):
        x = nd.ones((1,))
        outputs = [nd.apply(meet, x, ((1,), "float32")) for _ in range(2)]
        assert [each.asscalar() for each in outputs] == [1, 1]


def test_a_function_may_use_arrays():
    with Engine(workers=1):
        x = nd.array([1, 2])
        y = nd.apply(lambda a: (nd.array(a) * 3).asnumpy(), x, ((2,), "float32"))
        assert y.asnumpy().tolist() == [3, 6]


@pytest.mark.slow
def test_functions_that_hold_pythons_lock_overlap_in_processes():
    with Engine(workers=2):
        for _ in range(2):  # the first time, starting the processes takes longer than the work
            seconds = nd.full((1,), 0.3)
            spec = ((2,), "float64")
            both = [nd.apply(_functions.spin, seconds, spec, run_in="process") for _ in range(2)]
            (start, end), (other_start, other_end) = (each.asnumpy() for each in both)
        assert start < other_end
        assert other_start < end


def test_a_process_that_dies_is_an_error_and_is_replaced(engine):
    x = nd.ones((1,))
    with pytest.raises(RuntimeError, match="ended before its function did"):
        nd.apply(_functions.die, x, ((1,), "float32"), run_in="process").asnumpy()
    y = nd.apply(_functions.double, x, ((1,), "float32"), run_in="process")
    assert y.asnumpy().tolist() == [2]
