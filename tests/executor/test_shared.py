"""Executors that take turns in the same memory, and values that are not finite."""

import numpy as np
import pytest

import actorflow as af
from actorflow import nd, sym
from actorflow.errors import ActorflowError, AnomalyError
from actorflow.operator import NumpyOp


def net():
    return sym.chain(
        sym.Variable("data"),
        sym.FullyConnected(num_hidden=16, name="fc1"),
        sym.Activation(act_type="tanh", name="act"),
        sym.FullyConnected(num_hidden=3, name="fc2"),
        sym.SoftmaxOutput(name="softmax"),
    )


def run_buckets(*, shared, least, **engine):
    """Train with batches of several sizes; the weights afterwards."""
    draw = np.random.default_rng(5)
    with pytest.MonkeyPatch.context() as patch, af.Engine(**engine):
        patch.setenv("AF_SEGMENT_US", least)
        first = net().simple_bind(data=(8, 6))
        for array in first.arg_arrays:
            array[:] = nd.array(draw.integers(0, 3, array.shape) / 3)
        executors = {8: first}
        for batch in (3, 20, 8, 3, 20, 1, 8, 3):
            if batch not in executors:
                executors[batch] = net().simple_bind(
                    data=(batch, 6), shared_exec=first if shared else None
                )
            executor = executors[batch]
            if executor is not first:
                executor.copy_params_from(
                    {n: a for n, a in first.arg_dict.items() if n.startswith("fc")}
                )
            data = nd.array(draw.normal(size=(batch, 6)))
            executor.forward(is_train=True, data=data)
            executor.backward()
            for name, gradient in executor.grad_dict.items():
                if name.startswith("fc"):
                    weight = first.arg_dict[name]
                    nd.sgd_update(weight, gradient, lr=0.1, out=weight)
            executor.forward()
        found = [a.asnumpy() for n, a in first.arg_dict.items() if n.startswith("fc")]
        return found, {id(each._pool) for each in executors.values()}, first._pool.nbytes


@pytest.mark.parametrize("least", ["0", "200"])
def test_executors_of_several_sizes_share_one_pool(least):
    wanted, pools, _ = run_buckets(shared=False, least=least, engine_type="naive")
    assert len(pools) == 4
    for workers in (1, 2):
        found, pools, nbytes = run_buckets(shared=True, least=least, workers=workers)
        assert len(pools) == 1
        for one, another in zip(wanted, found, strict=True):
            np.testing.assert_array_equal(one, another)
        large = net().simple_bind(data=(20, 6))
        large.forward(is_train=True)
        if least == "200":
            assert nbytes == large._pool.nbytes  # as much as the largest takes alone


def test_who_has_lost_its_values_is_told_so():
    one = net().simple_bind(data=(4, 6))
    two = net().simple_bind(data=(2, 6), shared_exec=one)
    one.forward(is_train=True)
    two.forward(is_train=True)
    with pytest.raises(RuntimeError, match="another executor that shares this one's memory"):
        one.backward()
    two.backward()
    one.forward(is_train=True)
    one.backward()
    with pytest.raises(TypeError, match="shared_exec needs to be an Executor"):
        net().simple_bind(data=(4, 6), shared_exec=net())


def test_reshape_shares_the_memory():
    one = net().simple_bind(data=(8, 6))
    one.forward(is_train=True)
    before = one._pool.nbytes
    small = one.reshape(data=(2, 6), softmax_label=(2,))
    small.forward(is_train=True)
    small.backward()
    assert small._pool is one._pool
    assert one._pool.nbytes == before


def test_a_failed_pass_of_one_does_not_spoil_the_other(monkeypatch):
    ids = sym.Embedding(sym.Variable("ids"), input_dim=4, output_dim=2, name="embed")
    for leasts in (("200", "0"), ("0", "200"), ("0", "0"), ("200", "200")):
        monkeypatch.setenv("AF_SEGMENT_US", leasts[0])
        bad = sym.tanh(ids * 2.0).simple_bind(ids=(3,))
        bad.arg_dict["ids"][:] = 9
        monkeypatch.setenv("AF_SEGMENT_US", leasts[1])
        good = net().simple_bind(data=(4, 6), shared_exec=bad)
        for _ in range(2):
            with pytest.raises(IndexError):
                bad.forward()[0].asnumpy()
            good.forward(is_train=True)
            good.backward()
            assert good.outputs[0].asnumpy().shape == (4, 3)
            good.grad_dict["fc1_weight"].asnumpy()


@pytest.mark.parametrize("least", ["0", "200"])
def test_the_first_operator_whose_output_is_not_finite_is_named(monkeypatch, least):
    monkeypatch.setenv("AF_SEGMENT_US", least)
    x = sym.Variable("x")
    logs = sym.log(x * 1.0, name="logs")
    executor = sym.sqrt(sym.tanh(logs, name="flat")).simple_bind(x=(3,))
    executor.forward(is_train=True, x=nd.array([1.5, 0, -1]))
    assert np.isnan(executor.outputs[0].asnumpy()).any()
    executor.set_detect_anomaly()
    executor.forward(is_train=True)
    with pytest.raises(AnomalyError, match="forward: log 'logs'") as caught:
        executor.outputs[0].asnumpy()
    text = str(caught.value)
    assert "1 NaN and 1 infinite of 3 elements in its output; its inputs are finite" in text
    assert f"made at {__file__}:" in text
    assert isinstance(caught.value, (ActorflowError, FloatingPointError))
    # A square root has no gradient at 0: found on the way back.
    executor.forward(is_train=True, x=nd.array([1, 2, 3]))
    assert np.isfinite(executor.outputs[0].asnumpy()).all()
    executor.backward(nd.ones((3,)))
    with pytest.raises(AnomalyError, match=r"backward: \w+ '\w+', made at .*infinite"):
        executor.grad_dict["x"].asnumpy()
    executor.forward(x=nd.array([1, np.nan, 3]))
    with pytest.raises(AnomalyError, match=r"of its inputs x has 1 NaN of 3 elements"):
        executor.outputs[0].asnumpy()
    executor.set_detect_anomaly(active=False)
    assert np.isnan(executor.forward()[0].asnumpy()).any()


class Halves(NumpyOp):
    """Half of its input, twice."""

    def list_outputs(self):
        return ["one", "two"]

    def infer_shape(self, in_shape):
        return in_shape, [in_shape[0]] * 2

    def forward(self, in_data, out_data):
        for each in out_data:
            each[:] = in_data[0] / 2

    def backward(self, out_grad, in_data, out_data, in_grad):
        in_grad[0][:] = (out_grad[0] + out_grad[1]) / 2


def test_looking_for_what_is_not_finite_may_begin_between_forward_and_backward():
    """The fused program then runs singly; its constants have neither calls nor memory."""
    one = Halves()(sym.Variable("x"))[0]  # the gradient of the other output is a constant
    executor = one.simple_bind(x=(3,))
    for _ in range(2):
        executor.forward(is_train=True)
        executor.set_detect_anomaly()
        executor.backward(nd.ones(3))
        assert (executor.grad_dict["x"].asnumpy() == 0.5).all()
        executor.set_detect_anomaly(active=False)
