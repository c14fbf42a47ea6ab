"""Operators that users write: what they are given, and what comes of it."""

import copy
import pickle

import numpy as np
import pytest
import trio
from hypothesis import given, settings, strategies as st

import actorflow as af
from actorflow import nd, sym
from actorflow.testing import check_gradient
from tests.engine.helpers_faults import in_threads
from tests.operator._operators import ArrayDouble, NumpyDouble, ScaleProp, bound, op_of

draw = np.random.default_rng(0)
DATA, WEIGHT = draw.normal(size=(2, 3)), draw.normal(size=(2, 3))


def scaled(scale=0.5, **options):
    return sym.Custom(sym.Variable("x"), op_type="test_scale", scale=scale, name="s", **options)


def test_names_and_shapes_are_those_of_the_prop():
    net = sym.Custom(sym.Variable("x"), op_type="test_scale", scale=2)
    name = net.name
    assert name.startswith("custom")
    assert net.list_arguments() == ["x", f"{name}_weight"]
    assert net.list_outputs() == [f"{name}_output"]
    assert net.list_auxiliary_states() == [f"{name}_count"]
    assert net.infer_shape(x=(4, 5)) == ([(4, 5), (4, 5)], [(4, 5)], [(1,)])
    named = sym.Custom(weight=sym.Variable("w"), data=sym.Variable("x"), op_type="test_scale")
    assert named.list_arguments() == ["x", "w"]


def test_forward_and_backward(engine):
    executor = bound(scaled(), {"x": DATA, "s_weight": WEIGHT})
    (output,) = executor.forward(is_train=True)
    np.testing.assert_allclose(output.asnumpy(), DATA * WEIGHT * 0.5)
    executor.backward(nd.array(DATA, dtype="float64"))
    np.testing.assert_allclose(executor.grad_dict["x"].asnumpy(), DATA * WEIGHT * 0.5)
    np.testing.assert_allclose(executor.grad_dict["s_weight"].asnumpy(), DATA * DATA * 0.5)
    assert executor.aux_dict["s_count"].asscalar() == 1


@pytest.mark.parametrize("grad_req", ["write", "add", "null"])
def test_gradients_are_those_of_differences(grad_req):
    location = {"x": DATA, "s_weight": WEIGHT}
    check_gradient(scaled(), location, {"s_count": np.zeros(1)}, grad_req=grad_req)
    x = sym.Variable("x")
    both = sym.tanh(sym.Custom(x, op_type="test_scale", name="s")) + x
    check_gradient(both, location, {"s_count": np.zeros(1)}, grad_req=grad_req)


@pytest.mark.parametrize("kind", [NumpyDouble, ArrayDouble])
@pytest.mark.parametrize("grad_req", ["write", "add", "null"])
def test_gradients_of_the_operators_of_2015(kind, grad_req):
    check_gradient(sym.sin(kind()(sym.Variable("x"))), {"x": DATA}, grad_req=grad_req)


def test_one_operator_is_made_for_each_node_of_each_executor():
    before = len(ScaleProp.made)
    twice = sym.Custom(scaled(), op_type="test_scale", name="t")
    values = {"x": DATA, "s_weight": WEIGHT, "t_weight": WEIGHT}
    first, second = bound(twice, values), bound(twice, values)
    made = ScaleProp.made[before:]
    assert len(made) == 4
    kind = np.float64
    assert made[0].given == (af.cpu(), [[2, 3], [2, 3], [1]], [kind, kind, kind])
    first.forward(is_train=True)
    first.backward(nd.ones((2, 3), dtype="float64"))
    first.forward(is_train=False)
    nd.waitall()
    # Prediction and training share it, and so do forward and backward.
    assert made[0].calls == [
        ("forward", True, ("write",)),
        ("backward", ("write", "write"), 1.0),
        ("forward", False, ("write",)),
    ]
    assert [len(each.calls) for each in made] == [3, 3, 0, 0]
    second.forward(is_train=True)
    nd.waitall()
    assert len(made[2].calls) == 1


def test_what_nobody_wants_is_said():
    executor = bound(scaled(), {"x": DATA, "s_weight": WEIGHT}, {"s_weight": "write"})
    executor.forward(is_train=True)
    executor.backward(nd.ones((2, 3), dtype="float64"))
    nd.waitall()
    assert ScaleProp.made[-1].calls[-1] == ("backward", ("null", "write"), 1.0)


def test_an_output_that_nobody_takes_may_be_left_alone():
    def forward(in_data, out_data, aux):
        out_data[0][:] = in_data[0] + 1

    name = op_of(forward, list_outputs=lambda: ["one", "two"], infer_shape=_two_like_the_first)
    both = sym.Custom(sym.Variable("x"), op_type=name, name="n")
    executor = both[0].simple_bind(x=(3,))
    assert executor.forward()[0].asnumpy().tolist() == [1, 1, 1]
    with pytest.raises(af.errors.VerificationError, match="wrote nothing to its output 'two'"):
        both.simple_bind(x=(3,)).forward()[1].asnumpy()


def _two_like_the_first(in_shape):
    return in_shape, [in_shape[0], in_shape[0]]


def test_a_gradient_that_comes_to_one_of_two_outputs():
    def forward(in_data, out_data, aux):
        out_data[0][:] = in_data[0] * 2
        out_data[1][:] = in_data[0] * 3

    def backward(out_grad, in_data, out_data, in_grad):
        in_grad[0][:] = out_grad[0] * 2 + out_grad[1] * 3

    name = op_of(
        forward, backward, list_outputs=lambda: ["one", "two"], infer_shape=_two_like_the_first
    )
    both = sym.Custom(sym.Variable("x"), op_type=name)
    for symbol in (both, both[0], both[1], both[0] * both[1]):
        check_gradient(symbol, {"x": DATA})


def test_a_loss_needs_no_gradient_from_above_and_a_gradient_left_alone_is_0(engine):
    net = sym.Custom(sym.Variable("x"), op_type="test_softmax", name="softmax")
    assert net.list_arguments() == ["x", "softmax_label"]
    assert net.infer_shape(x=(4, 3))[0] == [(4, 3), (4,)]
    ours = sym.SoftmaxOutput(sym.Variable("x"), name="softmax")
    found = []
    for symbol in (net, ours):
        executor = symbol.simple_bind(x=(4, 3))
        executor.arg_dict["x"][:] = nd.array(np.arange(12).reshape(4, 3) % 5)
        executor.arg_dict["softmax_label"][:] = nd.array([0, 2, 1, 1])
        executor.grad_dict["softmax_label"][:] = 7
        (output,) = executor.forward(is_train=True)
        executor.backward()
        found.append([output.asnumpy(), executor.grad_dict["x"].asnumpy()])
        assert executor.grad_dict["softmax_label"].asnumpy().tolist() == [0, 0, 0, 0]
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5, atol=1e-6)


def test_states_are_only_read_when_nothing_is_learnt():
    def forward(in_data, out_data, aux):
        out_data[0][:] = in_data[0]
        aux[0][:] += 1

    name = op_of(
        forward,
        list_auxiliary_states=lambda: ["n"],
        infer_shape=lambda shape: (shape, [shape[0]], [(1,)]),
    )
    executor = sym.Custom(sym.Variable("x"), op_type=name).simple_bind(x=(2,), grad_req="null")
    executor.forward(is_train=True)
    assert executor.aux_arrays[0].asscalar() == 1
    with pytest.raises(ValueError, match="not writable"):
        executor.forward(is_train=False)[0].asnumpy()


def test_what_backward_does_not_declare_cannot_be_read():
    def backward(out_grad, in_data, out_data, in_grad):
        assert in_data[0].shape == (2,)
        in_grad[0][:] = out_grad[0] * in_data[0]

    name = op_of(
        lambda in_data, out_data, aux: in_data[0].copyto(out_data[0]),
        backward,
        declare_backward_dependency=lambda out_grad, in_data, out_data: out_grad,
    )
    executor = sym.Custom(sym.Variable("x"), op_type=name, name="n").simple_bind(x=(2,))
    executor.forward(is_train=True)
    executor.backward(nd.ones((2,)))
    with pytest.raises(af.errors.VerificationError, match=r"in_data\[0\] of backward .*'n'.* is n"):
        executor.grad_dict["x"].asnumpy()


def test_backward_comes_after_forward_even_if_it_takes_nothing_of_it():
    seen = []

    def forward(in_data, out_data, aux):
        seen.append("forward")
        out_data[0][:] = in_data[0]

    def backward(out_grad, in_data, out_data, in_grad):
        seen.append("backward")
        in_grad[0][:] = 3

    name = op_of(forward, backward, declare_backward_dependency=lambda *_: [])
    net = sym.Custom(sym.Variable("x"), op_type=name)
    executor = net.grad(["x"]).simple_bind(x=(2,))
    assert executor.forward()[0].asnumpy().tolist() == [3, 3]
    assert seen == ["forward", "backward"]


def test_arrays_are_lent_for_the_call_alone():
    kept = []

    def forward(in_data, out_data, aux):
        out_data[0][:] = in_data[0]
        kept.extend([in_data[0], in_data[0].copy()])

    executor = sym.Custom(sym.Variable("x"), op_type=op_of(forward)).simple_bind(x=(2,))
    executor.forward()[0].asnumpy()
    assert kept[1].asnumpy().tolist() == [0, 0]
    with pytest.raises(af.errors.VerificationError, match="was kept, but its memory is lent"):
        kept[0].asnumpy()


def test_memory_does_not_go_back_before_what_reads_it_is_done(engine):
    """Forward only pushes: an operation that reads its input later must see it as it was."""
    kept = []

    def forward(in_data, out_data, aux):
        chain = in_data[0]
        for _ in range(20):
            chain = chain + 1
        kept.append(in_data[0] * 2)
        out_data[0][:] = chain

    inner = sym.Variable("x") + 1  # in a buffer of the plan, which others use again
    net = sym.Custom(inner, op_type=op_of(forward)) * 5
    executor = net.simple_bind(x=(300, 300))
    (output,) = executor.forward()
    assert (output.asnumpy() == 105).all()
    assert (kept[0].asnumpy() == 2).all()


def test_on_arrays(engine):
    x, w, count = (nd.array(v, dtype="float64") for v in (DATA, WEIGHT, [0.0]))
    found = nd.Custom(x, w, count, op_type="test_scale", scale=2)
    np.testing.assert_allclose(found.asnumpy(), DATA * WEIGHT * 2)
    assert count.asscalar() == 0  # nothing is learnt
    out = nd.zeros((2, 3), dtype="float64")
    assert nd.Custom(x, count=count, weight=w, op_type="test_scale", out=out) is out
    np.testing.assert_allclose(out.asnumpy(), DATA * WEIGHT)
    for wrong in ((x,), (x, w, count, x), (x, 3, count)):
        with pytest.raises(TypeError, match="test_scale: "):
            nd.Custom(*wrong, op_type="test_scale")
    with pytest.raises(ValueError, match="memory in common"):
        nd.Custom(x, w, count, op_type="test_scale", out=x)
    with pytest.raises(af.errors.ShapeError, match="weight has shape"):
        nd.Custom(x, w[:1], count, op_type="test_scale")


def test_in_a_task():
    async def main():
        async with af.Engine(workers=1):
            executor = bound(scaled(), {"x": DATA, "s_weight": WEIGHT})
            output = await executor.forward(is_train=True)[0]
            executor.backward(nd.ones((2, 3), dtype="float64"))
            return output, await executor.grad_dict["x"]

    output, slope = trio.run(main)
    np.testing.assert_allclose(output, DATA * WEIGHT * 0.5)
    np.testing.assert_allclose(slope, WEIGHT * 0.5)


def test_in_threads():
    def learn(seed):
        data = np.random.default_rng(seed).normal(size=(2, 3))
        executor = bound(scaled(), {"x": data, "s_weight": WEIGHT})
        for _ in range(5):
            executor.forward(is_train=True)
            executor.backward(nd.ones((2, 3), dtype="float64"))
        np.testing.assert_allclose(executor.grad_dict["s_weight"].asnumpy(), data * 0.5)
        return executor.aux_dict["s_count"].asscalar()

    assert in_threads(*(lambda seed=seed: learn(seed) for seed in range(4))) == [5, 5, 5, 5]


def test_operators_inside_operators(engine):
    """An operator's forward binds and runs a symbol that has an operator, three deep."""

    def forward(in_data, out_data, aux):
        level = int(in_data[0].asnumpy()[0])
        if level == 0:
            out_data[0][:] = 1
            return
        inner = sym.Custom(sym.Variable("x"), op_type="test_nested").simple_bind(x=(1,))
        inner.arg_dict["x"][:] = level - 1
        out_data[0][:] = inner.forward()[0] * 2

    net = sym.Custom(sym.Variable("x"), op_type=op_of(forward, name="test_nested"))
    executor = net.simple_bind(x=(1,))
    executor.arg_dict["x"][:] = 3
    assert executor.forward()[0].asscalar() == 8


def test_files_and_copies():
    net = scaled(scale=0.25, attr={"ctx_group": "a"})
    unpickled = pickle.loads(pickle.dumps(net))  # noqa: S301
    for other in (sym.load_json(net.tojson()), unpickled, copy.deepcopy(net)):
        assert other.list_arguments() == net.list_arguments()
        assert other.attr("ctx_group") == "a"
        executor = bound(other, {"x": DATA, "s_weight": WEIGHT})
        np.testing.assert_allclose(executor.forward()[0].asnumpy(), DATA * WEIGHT * 0.25)
    assert '"op_type": "test_scale"' in net.tojson()
    assert '"scale": "0.25"' in net.tojson()
    unknown = net.tojson().replace("test_scale", "test_scael")
    with pytest.raises(
        af.errors.FormatError, match=r"node 's'.*'test_scael'; did you mean 'test_scale'"
    ):
        sym.load_json(unknown)
    with pytest.raises(af.errors.FormatError, match="NumpyDouble: symbol files hold operators"):
        NumpyDouble()(sym.Variable("x")).tojson()
    assert "NumpyDouble" in NumpyDouble()(sym.Variable("x")).debug_str()


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.sampled_from(["custom", "numpy", "array", "plain"]), min_size=1, max_size=6),
    st.sampled_from(["write", "add"]),
    st.integers(0, 99),
)
def test_any_chain_is_what_plain_operators_give(kinds, grad_req, seed):
    """Doubling in each of four ways, with a sine in between: the same values and gradients."""
    double = op_of(
        lambda in_data, out_data, aux: out_data[0].__setitem__(slice(None), in_data[0] * 2),
        lambda out_grad, in_data, out_data, in_grad: (out_grad[0] * 2).copyto(in_grad[0]),
    )
    ways = {
        "custom": lambda s: sym.Custom(s, op_type=double),
        "numpy": NumpyDouble(),
        "array": ArrayDouble(),
        "plain": lambda s: s * 2,
    }
    values = np.random.default_rng(seed).normal(size=(3, 2))
    found = []
    for plain in (True, False):
        net = sym.Variable("x")
        for kind in kinds:
            net = sym.sin(ways["plain" if plain else kind](net)) + net
        executor = bound(net, {"x": values}, grad_req)
        (output,) = executor.forward(is_train=True)
        executor.backward(nd.array(values, dtype="float64"))
        found.append((output.asnumpy(), executor.grad_dict["x"].asnumpy()))
    np.testing.assert_array_equal(found[0], found[1])
