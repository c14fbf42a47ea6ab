"""However a graph is cut and wherever its parts are computed, the results are the same bits."""

import math
import threading

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import actorflow as af
from actorflow import nd, sym

NEVER = str(10**9)  # microseconds that no work takes


LAYERS = {
    "fc": lambda name, one, _: sym.FullyConnected(one, num_hidden=4, name=name),
    "relu": lambda name, one, _: sym.Activation(one, act_type="relu", name=name),
    "tanh": lambda name, one, _: sym.tanh(one, name=name),
    "sum": lambda name, one, two: sym.elemwise_add(one, two, name=name),
    "product": lambda _, one, two: one * two,
    "dropout": lambda name, one, _: sym.Dropout(one, p=0.5, name=name),
    "norm": lambda name, one, _: sym.BatchNorm(one, name=name),
    "view": lambda name, one, _: sym.Reshape(sym.Flatten(one), shape=(3, 4), name=name),
    "parts": lambda name, one, _: sym.Concat(
        *list(sym.SliceChannel(one, num_outputs=2, name=name))[::-1], name=f"{name}_concat"
    ),
}


@st.composite
def networks(draw):
    """A network of layers with states, random numbers, views and branches, in groups."""
    values = [sym.Variable("data"), sym.Variable("other")]
    for number in range(draw(st.integers(2, 14))):
        group = draw(st.sampled_from(["one", "two", "three", ""]))
        with sym.AttrScope(**({"ctx_group": group} if group else {})):
            one, two = (draw(st.sampled_from(values)) for _ in range(2))
            make = LAYERS[draw(st.sampled_from(sorted(LAYERS)))]
            values.append(make(f"n{number}", one, two))
    heads = draw(st.lists(st.sampled_from(values[2:]), min_size=1, max_size=3))
    return sym.Group(heads)


def train(network, groups, seed, least, req="write", **engine):
    """Everything that some steps give, as NumPy arrays."""
    draw = np.random.default_rng(seed)
    af.random.seed(seed)
    given = {n: (3, 4) for n in ("data", "other") if n in network.list_arguments()}
    with af.Engine(**engine):
        executor = network.simple_bind(af.cpu(0), req, group2ctx=groups, **given)
        executor._least = least
        for array in [*executor.arg_arrays, *executor.aux_arrays]:
            array[:] = nd.array(draw.normal(size=array.shape))
        found = []
        for _ in range(2):
            outputs = executor.forward(is_train=True)
            above = [nd.array(draw.normal(size=each.shape)) for each in outputs]
            executor.backward(above)
            for name, gradient in executor.grad_dict.items():
                array = executor.arg_dict[name]
                nd.sgd_update(array, gradient, lr=0.1, out=array)
            found += [each.copy() for each in outputs]
            found += [each.copy() for each in executor.forward()]
            found += [each.copy() for each in executor.grad_arrays]
        found += executor.arg_arrays + executor.aux_arrays
        return [each.asnumpy() for each in found]


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(networks(), st.integers(0, 99), st.sampled_from(["write", "add"]))
def test_the_same_bits_whatever_the_cuts_the_contexts_and_the_workers(network, seed, req):
    oracle = train(network, None, seed, math.inf, req, engine_type="naive")
    places = {"one": af.cpu(0), "two": af.cpu(1)}
    for least, groups, workers in (
        (0, None, 2),
        (0, places, 1),
        (0, places, 2),
        (0.02, None, 2),  # the work of such an operator, in microseconds
        (0.02, places, 2),
        (math.inf, places, 2),
    ):
        found = train(network, groups, seed, least, req, workers=workers)
        for one, another in zip(oracle, found, strict=True):
            np.testing.assert_array_equal(one, another, err_msg=f"{least} {groups} {workers}")


def deep(size=512):
    """Two layers whose passes are worth a message each, and a third output beside them."""
    x = sym.Variable("data")
    one = sym.FullyConnected(x, num_hidden=size, name="fc1")
    return sym.FullyConnected(sym.Activation(one, act_type="relu"), num_hidden=size, name="fc2")


def stages(executor, *, training=True):
    """How many messages forward and backward have."""
    program = executor._program(training=training)
    return [len(stage) for stage in executor._messages(program)]


class Gate:
    """Holds an array back until it is opened."""

    def __init__(self, array):
        self._event = threading.Event()
        engine = af.current_engine()
        engine.push(self._event.wait, updates=(array.resource,), name="gate")

    def open(self):
        self._event.set()


def test_small_passes_are_one_message_and_large_ones_several():
    small = deep(8).simple_bind(data=(4, 8))
    assert stages(small) == [1, 1]
    assert stages(small, training=False) == [1, 0]
    large = deep().simple_bind(data=(64, 512))
    assert stages(large) == [1, 2]


def test_a_gradient_is_there_while_backward_still_runs():
    with af.Engine(workers=2):
        executor = deep().simple_bind(data=(64, 512))
        executor.arg_dict["fc2_weight"][:] = 1
        executor.forward(is_train=True)[0].wait_to_read()
        gate = Gate(executor.arg_dict["data"])  # the backward pass of fc1 needs it
        executor.backward(nd.ones((64, 512)))
        weight = executor.arg_dict["fc2_bias"]
        nd.sgd_update(weight, executor.grad_dict["fc2_bias"], lr=1, out=weight)
        assert (weight.asnumpy() == -64).all()
        with pytest.raises(TimeoutError):
            af.current_engine().wait(executor.grad_dict["fc1_weight"].resource, timeout=0)
        gate.open()
        assert executor.grad_dict["fc1_weight"].asnumpy().shape == (512, 512)


def test_branches_do_not_wait_for_each_other():
    parts = []
    for name in ("left", "right"):
        with sym.Prefix(f"{name}_"):
            x = sym.FullyConnected(sym.Variable(name), num_hidden=512, name="fc1")
            parts.append(sym.FullyConnected(x, num_hidden=512, name="fc2"))
    with af.Engine(workers=2):
        executor = sym.Group(parts).simple_bind(left=(64, 512), right=(64, 512))
        assert stages(executor, training=False)[0] == 2
        gate = Gate(executor.arg_dict["left"])
        executor.forward()
        assert (executor.outputs[1].asnumpy() == 0).all()
        gate.open()
        assert (executor.outputs[0].asnumpy() == 0).all()


def test_a_failure_reaches_what_depends_on_it_and_no_later_pass(monkeypatch):
    monkeypatch.setenv("AF_SEGMENT_US", "0")
    ids, x = sym.Variable("ids"), sym.Variable("x")
    bad = sym.Embedding(ids, input_dim=4, output_dim=2, name="embed")
    net = sym.Group([sym.tanh(bad), sym.tanh(x), sym.tanh(sym.tanh(bad)) * 2.0])
    executor = net.simple_bind(ids=(3,), x=(2,))
    above = [nd.ones(each.shape) for each in executor.outputs]
    for wrong in (True, False, True, False):
        executor.arg_dict["ids"][:] = nd.array([0, 9 if wrong else 2, 1])
        first, second, third = executor.forward(is_train=True)
        executor.backward(above)
        assert (second.asnumpy() == 0).all()
        assert (executor.grad_dict["x"].asnumpy() == 1).all()
        for each in (first, third, executor.grad_dict["embed_weight"]):
            if wrong:
                with pytest.raises(IndexError, match="9"):
                    each.asnumpy()
            else:
                assert each.asnumpy().shape == each.shape


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_a_failure_reaches_the_end_where_no_gradient_is_wanted(layers, monkeypatch):
    """As many messages as stages, but all of them forward."""
    monkeypatch.setenv("AF_SEGMENT_US", "0")
    net = sym.Embedding(sym.Variable("ids"), input_dim=4, output_dim=2, name="embed")
    for _ in range(layers):
        net = sym.tanh(net)
    executor = net.simple_bind(ids=(3,), grad_req="null")
    for wrong in (False, True, False):
        executor.arg_dict["ids"][:] = nd.array([0, 9 if wrong else 2, 1])
        (output,) = executor.forward(is_train=True)
        if wrong:
            with pytest.raises(IndexError, match="9"):
                output.asnumpy()
        else:
            assert (output.asnumpy() == 0).all()


def test_memory_goes_on_only_to_what_comes_later_in_any_case(monkeypatch):
    totals = []
    for least in (NEVER, "0"):
        monkeypatch.setenv("AF_SEGMENT_US", least)
        chain = sym.Variable("x")
        for _ in range(20):
            chain = sym.sin(sym.FullyConnected(chain, num_hidden=100, no_bias=True))
        totals.append(chain.simple_bind(x=(100, 100))._program(training=False).plan.total)
    assert totals[0] == totals[1]  # a chain is in order however it is cut


def test_the_setting_is_a_number(monkeypatch):
    monkeypatch.setenv("AF_SEGMENT_US", "many")
    with pytest.raises(ValueError, match="AF_SEGMENT_US must be a whole number of at least 0"):
        sym.tanh(sym.Variable("x")).simple_bind(x=(1,))
