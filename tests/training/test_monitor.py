"""Monitors: what they see, when, and that they change nothing."""

import asyncio
import threading

import numpy as np
import pytest

from actorflow import nd, sym
from actorflow.engine import Engine
from actorflow.errors import ParameterError, WouldBlockError
from actorflow.monitor import Monitor


def executor():
    """A network whose values in between share memory, bound to the numbers 1 to 6."""
    data = sym.Variable("data")
    for i in range(3):
        data = sym.Activation(data + 1, act_type="relu", name=f"relu{i}")
    bound = sym.MakeLoss(data, name="loss").simple_bind(data=(2, 3))
    bound.arg_dict["data"][:] = np.arange(1, 7).reshape(2, 3)
    return bound


def watched(monitor, bound, batches=1):
    monitor.install(bound)
    told = []
    for _ in range(batches):
        monitor.tic()
        bound.forward(is_train=True)
        bound.backward()
        told.append(monitor.toc())
    return told


def root_mean_square(array):
    return np.sqrt(np.mean(np.square(array, dtype="f8")))


def test_every_value_is_as_it_was(engine):
    (told,) = watched(Monitor(1), executor())
    data = np.arange(1, 7)
    found = {name: float(text) for _, name, text in told}
    for i in range(3):
        assert found[f"relu{i}_output"] == pytest.approx(root_mean_square(data + i + 1))
    assert found["data"] == pytest.approx(root_mean_square(data))
    assert {step for step, *_ in told} == {1}


def test_some_batches_alone(engine):
    monitor = Monitor(2)
    told = watched(monitor, executor(), batches=3)
    assert [bool(each) for each in told] == [True, False, True]
    assert {step for step, *_ in told[2]} == {3}


def test_pattern_and_order(engine):
    (told,) = watched(Monitor(1, pattern="relu[02]|data"), executor())
    assert [name for _, name, _ in told] == ["relu0_output", "relu2_output", "data"]
    (told,) = watched(Monitor(1, pattern="relu[02]|data", sort=True), executor())
    assert [name for _, name, _ in told] == ["data", "relu0_output", "relu2_output"]


def test_several_statistics(engine):
    def span(array):
        return [array.min(), array.max(), array.reshape(-1)[:2]]

    (told,) = watched(Monitor(1, span, pattern="data"), executor())
    assert told == [(1, "data", "1.0\t6.0\t[1. 2.]")]


def test_states_are_seen_too(engine):
    net = sym.BatchNorm(sym.Variable("data"), name="bn")
    bound = net.simple_bind(data=(2, 3), grad_req="null")
    bound.aux_dict["bn_moving_var"][:] = 4
    monitor = Monitor(1, pattern=".*moving_var")
    monitor.install(bound)
    monitor.tic()
    bound.forward()
    assert monitor.toc() == [(1, "bn_moving_var", "4.0")]


def test_toc_print(engine, caplog):
    caplog.set_level("INFO")
    monitor, bound = Monitor(1, pattern="data"), executor()
    monitor.install(bound)
    monitor.tic()
    bound.forward()
    monitor.toc_print()
    *words, number = caplog.messages[0].split()
    assert words == ["Batch:", "1", "data"]
    assert float(number) == pytest.approx(root_mean_square(np.arange(1, 7)))


def test_installed_between_tic_and_toc(engine):
    monitor, bound = Monitor(1, pattern="relu0"), executor()
    monitor.tic()
    monitor.install(bound)
    bound.forward()
    assert len(monitor.toc()) == 1
    assert monitor.toc() == []


def test_gradients_are_the_same(engine):
    plain, seen = executor(), executor()
    plain.forward(is_train=True)
    plain.backward()
    watched(Monitor(1), seen)
    for one, other in zip(
        (*plain.outputs, *plain.grad_arrays), (*seen.outputs, *seen.grad_arrays), strict=True
    ):
        np.testing.assert_array_equal(one.asnumpy(), other.asnumpy())


def test_what_made_a_statistic_fail(engine):
    monitor, bound = (
        Monitor(
            1,
            lambda array: nd.Embedding(array, nd.ones((2, 2)), input_dim=2, output_dim=2),
            pattern="data",
        ),
        executor(),
    )
    monitor.install(bound)
    monitor.tic()
    bound.forward()
    with pytest.raises(IndexError):
        monitor.toc()
    assert monitor.toc() == []


def test_in_an_event_loop():
    async def main():
        async with Engine(engine_type="threaded", workers=1) as engine:
            monitor, bound = Monitor(1, pattern="relu2"), executor()
            monitor.install(bound)
            event = threading.Event()
            engine.push(event.wait, updates=[bound.arg_dict["data"].resource])
            monitor.tic()
            bound.forward()
            with pytest.raises(WouldBlockError) as caught:
                monitor.toc()
            assert "await monitor.toc_async()" in caught.value.__notes__[-1]
            event.set()
            assert [name for _, name, _ in await monitor.toc_async()] == ["relu2_output"]

    asyncio.run(main())


def test_what_is_refused(engine):
    with pytest.raises(ParameterError, match="interval is at least 1, got 0"):
        Monitor(0)
    with pytest.raises(ParameterError, match=r"the pattern '\(': "):
        Monitor(1, pattern="(")
    monitor, bound = Monitor(1, lambda array: 3), executor()
    monitor.install(bound)
    monitor.tic()
    with pytest.raises(TypeError, match="has to give an NDArray or a list of them, got 3 for"):
        bound.forward()
