"""Executors against operators applied at once."""

import copy
import pickle

import numpy as np
import pytest
import trio
from hypothesis import given, settings, strategies as st

import actorflow as af
from actorflow import nd, ops, sym
from actorflow.errors import ContextError, ShapeError
from actorflow.graph import Entry, Node, gradient, topological
from actorflow.ops import ELEMENTWISE, eager
from actorflow.symbol import Group, Symbol, Variable
from actorflow.symbol.compose import apply


def layer(operator, name=None, **inputs):
    return Symbol(apply(operator, operator.name.lower(), inputs, name))


def mlp():
    hidden = layer(ops.FullyConnected(5), "fc1", data=Variable("data"))
    active = layer(ops.Activation("tanh"), "act", data=hidden)
    return layer(
        ops.SoftmaxOutput(), "softmax", data=layer(ops.FullyConnected(3), "fc2", data=active)
    )


def fill(executor, seed=0):
    draw = np.random.default_rng(seed)
    for name, array in executor.arg_dict.items():
        values = draw.normal(size=array.shape)
        array[:] = nd.array(draw.integers(0, 3, array.shape) if "label" in name else values)


def oracle(symbol, values, head_grads=None, wrt=()):
    """Outputs and gradients, computed node by node by `eager`."""
    memory = {}

    def compute(order):
        for node in order:
            if node.is_variable:
                memory.setdefault(Entry(node, 0), values.get(node.name))
            elif node.entries()[0] not in memory:
                found = eager.apply(node.operator, *(memory[entry] for entry in node.inputs))
                memory.update(zip(node.entries(), found, strict=True))

    heads = symbol._entries
    compute(topological(heads))
    outputs = [memory[head] for head in heads]
    if head_grads is None:
        return outputs, {}
    above = []
    for value in head_grads:
        entry = None if value is None else Entry(Node(None, "above"), 0)
        if entry is not None:
            memory[entry] = value
        above.append(entry)
    nodes = [n for n in topological(heads) if n.is_variable and n.name in wrt]
    grads = gradient(heads, above, nodes)
    compute(topological([entry for entry in grads.values() if entry is not None]))
    return outputs, {
        node.name: np.zeros_like(values[node.name]) if entry is None else memory[entry]
        for node, entry in grads.items()
    }


@pytest.mark.parametrize("kind", ["threaded", "naive"])
def test_an_mlp_forward_and_backward(kind):
    with af.Engine(workers=2, engine_type=kind):
        executor = mlp().simple_bind(af.cpu(), data=(4, 6))
        fill(executor)
        values = {name: array.asnumpy() for name, array in executor.arg_dict.items()}
        (output,) = executor.forward(is_train=True)
        executor.backward()
        wrt = [name for name in values if name != "softmax_label"]
        (wanted,), grads = oracle(mlp_like(executor), values, [None], wrt)
        np.testing.assert_allclose(output.asnumpy(), wanted, rtol=1e-6)
        for name in wrt:
            found = executor.grad_dict[name].asnumpy()
            np.testing.assert_allclose(found, grads[name], rtol=1e-5, atol=1e-6, err_msg=name)


def mlp_like(executor):
    return executor.symbol


BINARY = ("add", "subtract", "multiply", "maximum")
UNARY = ("tanh", "sin", "square", "negative", "sigmoid")


@st.composite
def expressions(draw):
    """An expression of element-wise operators that broadcast, and its variables' shapes."""
    shapes = {"a": (2, 3), "b": (1, 3), "c": (2, 1)}
    symbols = [Variable(name) for name in shapes]
    for _ in range(draw(st.integers(1, 12))):
        one = draw(st.sampled_from(symbols))
        if draw(st.booleans()):
            operator = ELEMENTWISE[draw(st.sampled_from(UNARY))]
            symbols.append(layer(operator, data=one))
        else:
            operator = ELEMENTWISE[draw(st.sampled_from(BINARY))]
            symbols.append(layer(operator, lhs=one, rhs=draw(st.sampled_from(symbols))))
    heads = draw(st.lists(st.sampled_from(symbols), min_size=1, max_size=3))
    return Group(heads), shapes


@settings(max_examples=60, deadline=None)
@given(expressions(), st.sampled_from(["write", "add"]), st.integers(0, 99))
def test_any_expression_gives_what_its_operators_give_one_by_one(drawn, req, seed):
    symbol, shapes = drawn
    draw = np.random.default_rng(seed)
    values = {name: draw.normal(size=shapes[name]) for name in symbol.list_arguments()}
    args = {name: nd.array(value, dtype="float64") for name, value in values.items()}
    before = {name: draw.normal(size=value.shape) for name, value in values.items()}
    grads = {name: nd.array(value, dtype="float64") for name, value in before.items()}
    executor = symbol.bind(af.cpu(), args, grads, req)
    for training in (False, True):
        outputs = executor.forward(is_train=training)
        above = [draw.normal(size=output.shape) for output in outputs]
        wanted, wanted_grads = oracle(symbol, values, above, list(values))
        for output, each in zip(outputs, wanted, strict=True):
            np.testing.assert_allclose(output.asnumpy(), each, rtol=1e-12, atol=1e-12)
    for _ in range(2):
        executor.forward(is_train=True)
        executor.backward([nd.array(each, dtype="float64") for each in above])
    for name, grad in grads.items():
        times = 2 if req == "add" else 1
        start = before[name] if req == "add" else 0
        wanted = start + times * wanted_grads[name]
        np.testing.assert_allclose(grad.asnumpy(), wanted, rtol=1e-9, atol=1e-9, err_msg=name)


def test_what_is_not_wanted_is_not_computed():
    executor = mlp().simple_bind(
        af.cpu(), grad_req={"fc2_weight": "write", "fc2_bias": "add"}, data=(4, 6)
    )
    fill(executor)
    executor.forward(is_train=True)
    executor.backward()
    assert [name for name, grad in executor.grad_dict.items() if grad is not None] == [
        "fc2_weight",
        "fc2_bias",
    ]
    names = [node.name for node in executor._programs[True].order]
    assert not [name for name in names if name.startswith(("fc1_backward", "act_backward"))]


def test_forward_copies_what_it_is_given_and_refuses_what_does_not_fit():
    executor = mlp().simple_bind(af.cpu(), data=(4, 6))
    data = nd.ones((4, 6))
    executor.forward(data=data)
    assert (executor.arg_dict["data"].asnumpy() == 1).all()
    with pytest.raises(ValueError, match="has no argument 'dta'"):
        executor.forward(dta=data)
    with pytest.raises(ShapeError, match=r"data has shape \(3, 6\), but was bound with \(4, 6\)"):
        executor.forward(data=nd.ones((3, 6)))


def test_backward_needs_a_forward_for_training_and_the_gradients_of_what_is_no_loss():
    executor = layer(ops.FullyConnected(2), "fc", data=Variable("data")).simple_bind(data=(3, 4))
    with pytest.raises(RuntimeError, match="call forward"):
        executor.backward()
    executor.forward()
    with pytest.raises(RuntimeError, match="call forward"):
        executor.backward()
    executor.forward(is_train=True)
    with pytest.raises(ValueError, match=r"out_grads are needed .* 'fc_output'"):
        executor.backward()
    executor.backward(nd.ones((3, 2)))
    assert (executor.grad_dict["fc_bias"].asnumpy() == 3).all()


def test_arrays_have_to_fit():
    symbol = layer(ops.FullyConnected(2), "fc", data=Variable("data"))
    good = {"data": nd.ones((3, 4)), "fc_weight": nd.ones((2, 4)), "fc_bias": nd.ones((2,))}
    with pytest.raises(ValueError, match="args lacks fc_bias"):
        symbol.bind(af.cpu(), {name: good[name] for name in ("data", "fc_weight")})
    with pytest.raises(
        ValueError, match="'weight', but no such name is bound; did you mean fc_weight"
    ):
        symbol.bind(af.cpu(), {**good, "weight": nd.ones((1,))})
    with pytest.raises(ShapeError, match=r"needs? \(2, 4\)"):
        symbol.bind(af.cpu(), {**good, "fc_weight": nd.ones((2, 5))})
    with pytest.raises(ContextError, match="fc_bias is in"):
        symbol.bind(af.cpu(), {**good, "fc_bias": nd.ones((2,), ctx=af.cpu(1))})
    with pytest.raises(TypeError, match="which is no NDArray"):
        symbol.bind(af.cpu(), {**good, "data": np.ones((3, 4))})
    with pytest.raises(ValueError, match="grad_req takes"):
        symbol.bind(af.cpu(), good, grad_req="wrte")


def test_an_operator_that_fails_leaves_its_error_on_the_outputs():
    label = Variable("label")
    symbol = layer(ops.Embedding(4, 2), "embed", data=label)
    executor = symbol.simple_bind(af.cpu(), label=(3,))
    executor.arg_dict["label"][:] = nd.array([0, 9, 1])
    (output,) = executor.forward()
    with pytest.raises(Exception, match="9"):
        output.asnumpy()
    executor.arg_dict["label"][:] = nd.array([0, 1, 1])
    assert executor.forward()[0].asnumpy().shape == (3, 2)


def test_updates_interleave_with_executors_on_the_engine():
    async def main():
        async with af.Engine(workers=2):
            executor = mlp().simple_bind(af.cpu(), data=(4, 6))
            fill(executor)
            losses = []
            for _ in range(30):
                executor.forward(is_train=True)
                executor.backward()
                for name, grad in executor.grad_dict.items():
                    if name not in ("data", "softmax_label"):
                        executor.arg_dict[name][:] -= grad * 0.05
                losses.append(await executor.outputs[0])
            label = executor.arg_dict["softmax_label"].asnumpy().astype(int)
            first, last = (-np.log(p[range(4), label]).mean() for p in (losses[0], losses[-1]))
            assert last < first / 2

    trio.run(main)


def test_dropout_draws_in_training_only_and_the_same_numbers_after_the_same_seed():
    symbol = layer(ops.Dropout(0.5), "drop", data=Variable("data"))
    found = []
    for _ in range(2):
        af.random.seed(3)
        executor = symbol.simple_bind(af.cpu(), data=(50,))
        executor.arg_dict["data"][:] = 1
        found.append(executor.forward(is_train=True)[0].asnumpy())
        executor.backward(nd.ones((50,)))
        assert (executor.grad_dict["data"].asnumpy() == found[-1]).all()
        assert (executor.forward()[0].asnumpy() == 1).all()
    assert (found[0] == found[1]).all()
    assert set(found[0]) == {0.0, 2.0}


def test_a_monitor_sees_every_value_lazily_and_nothing_is_overwritten_before():
    executor = mlp().simple_bind(af.cpu(), data=(4, 6))
    fill(executor)
    plain = executor.forward()[0].asnumpy()
    seen = {}
    executor.set_monitor_callback(seen.__setitem__)
    for training in (False, True):
        seen.clear()
        executor.forward(is_train=training)
        assert list(seen) == ["fc1_output", "act_output", "fc2_output", "softmax_output"]
    values = {name: array.asnumpy() for name, array in executor.arg_dict.items()}
    hidden = values["data"] @ values["fc1_weight"].T + values["fc1_bias"]
    np.testing.assert_allclose(seen["fc1_output"].asnumpy(), hidden, rtol=1e-5)
    np.testing.assert_allclose(seen["act_output"].asnumpy(), np.tanh(hidden), rtol=1e-5)
    np.testing.assert_allclose(seen["softmax_output"].asnumpy(), plain, rtol=1e-6)
    executor.set_monitor_callback(None)
    seen.clear()
    executor.forward()
    assert not seen


def test_reshape_shares_what_stays():
    executor = mlp().simple_bind(af.cpu(), data=(4, 6))
    fill(executor)
    small = executor.reshape(data=(2, 6), softmax_label=(2,))
    assert small.arg_dict["fc1_weight"] is executor.arg_dict["fc1_weight"]
    whole = executor.forward()[0].asnumpy()
    np.testing.assert_allclose(small.forward()[0].asnumpy(), whole[:2], rtol=1e-6)
    with pytest.raises(ShapeError, match="softmax_label would change"):
        executor.reshape(data=(2, 6))
    with pytest.raises(ShapeError, match="allow_up_sizing"):
        executor.reshape(data=(8, 6), partial_shaping=True)
    large = executor.reshape(partial_shaping=True, allow_up_sizing=True, data=(8, 6))
    assert large.forward()[0].shape == (8, 3)


def test_a_forward_is_good_for_one_backward():
    executor = layer(ELEMENTWISE["tanh"], data=Variable("x")).simple_bind(x=(2,))
    executor.forward(is_train=True)
    executor.backward(nd.ones((2,)))
    with pytest.raises(RuntimeError, match="a second backward needs another one"):
        executor.backward(nd.ones((2,)))


def test_no_gradient_through_an_output_is_none_and_wrong_ones_are_refused():
    x = Variable("x")
    executor = Group([x * 2.0, x * 3.0]).simple_bind(x=(2,))
    executor.forward(is_train=True)
    for wrong, kind in (([5, None], TypeError), ([nd.ones((1,)), None], ShapeError)):
        with pytest.raises(kind, match="the gradient of _mul"):
            executor.backward(wrong)
    executor.backward([None, nd.ones((2,))])
    assert executor.grad_dict["x"].asnumpy().tolist() == [3, 3]


def test_numbers_that_are_equal_but_not_the_same_are_kept_apart():
    x = Variable("x")
    executor = Group([x / 0.0, x / -0.0]).simple_bind(x=(1,))
    up, down = executor.forward(x=nd.ones((1,)))
    assert (up.asscalar(), down.asscalar()) == (np.inf, -np.inf)


def test_numpys_numbers_and_arrays_leave_operators_to_symbols():
    x = Variable("x")
    executor = (np.float32(2) * x).simple_bind(x=(1,))
    assert executor.forward(x=nd.ones((1,)))[0].asscalar() == 2
    with pytest.raises(TypeError):
        np.ones(3) * x


def test_data_types_follow_from_some_and_are_float32_otherwise():
    x = Variable("x")
    half = layer(ops.FullyConnected(2), "fc", data=layer(ops.Cast("float16"), data=x))
    executor = half.simple_bind(x=(2, 3))
    assert executor.arg_dict["fc_weight"].dtype == np.float16
    assert executor.arg_dict["x"].dtype == np.float32
    hinted = Variable("h", dtype="float64") * layer(ops.Cast("float64"), data=x)
    assert hinted.simple_bind(h=(2,), x=(2,)).arg_dict["h"].dtype == np.float64


def test_memory_that_is_written_belongs_to_one():
    symbol = layer(ops.FullyConnected(2), "fc", data=Variable("x"))
    args = {"x": nd.ones((3, 4)), "fc_weight": nd.ones((2, 4)), "fc_bias": nd.ones((2,))}
    with pytest.raises(ValueError, match="the gradient of x and x have memory in common"):
        symbol.bind(af.cpu(), args, {"x": args["x"]})
    both = nd.zeros((4, 4))
    with pytest.raises(ValueError, match="have memory in common"):
        symbol.bind(af.cpu(), args, {"x": both[0:3], "fc_weight": both[2:4]})
    with pytest.raises(ValueError, match="grad_req has 'fc_wieght'"):
        symbol.bind(af.cpu(), args, args, {"fc_wieght": "write"})


def test_a_monitor_leaves_out_what_nobody_computes():
    parts = layer(ops.SliceChannel(3), "sc", data=Variable("x"))
    executor = parts[1].simple_bind(x=(2, 3))
    seen = {}
    executor.set_monitor_callback(seen.__setitem__)
    executor.forward(x=nd.array(np.arange(6.0).reshape(2, 3)))
    assert seen["sc_output1"].asnumpy().ravel().tolist() == [1, 4]
    for name, value in seen.items():
        wanted = int(name[-1]) if name[-1].isdigit() else 1
        assert value.asnumpy().ravel().tolist() == [wanted, wanted + 3]


def test_layers_without_width():
    executor = layer(ops.FullyConnected(2), "fc", data=Variable("x")).simple_bind(x=(3, 0))
    executor.arg_dict["fc_bias"][:] = 5
    assert executor.forward(is_train=True)[0].asnumpy().tolist() == [[5, 5]] * 3
    executor.backward(nd.ones((3, 2)))
    assert executor.grad_dict["fc_bias"].asnumpy().tolist() == [3, 3]


def test_executors_say_what_to_pickle_instead():
    executor = mlp().simple_bind(data=(2, 3))
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="pickle its symbol, arg_dict and aux_dict"):
            attempt(executor)
    fill(executor)
    symbol, args = pickle.loads(pickle.dumps((executor.symbol, executor.arg_dict)))  # noqa: S301
    (again,) = symbol.bind(None, args).forward()
    (wanted,) = executor.forward()
    np.testing.assert_array_equal(again.asnumpy(), wanted.asnumpy())


def test_heads_through_which_no_gradient_can_come_need_none():
    x, w = Variable("x"), Variable("w")
    stopped = sym.BlockGrad(x * 3)
    largest = sym.argmax(x, axis=1)
    loss = sym.MakeLoss(x * w)
    executor = Group([stopped, loss, largest]).simple_bind(x=(2, 3), w=(2, 3))
    fill(executor)
    executor.forward(is_train=True)
    executor.backward()
    values = {name: array.asnumpy() for name, array in executor.arg_dict.items()}
    np.testing.assert_array_equal(executor.grad_dict["x"].asnumpy(), values["w"])
    # A way for a gradient counts only if it leads to an argument that wants one.
    both = Group([sym.square(x), w * 2])
    only_w = both.simple_bind(grad_req={"w": "write"}, x=(2,), w=(2,))
    only_w.forward(is_train=True)
    with pytest.raises(ValueError, match=r"needed for outputs .*: '_mul"):
        only_w.backward()
    only_w.backward([None, nd.ones((2,))])
    np.testing.assert_array_equal(only_w.grad_dict["w"].asnumpy(), [2, 2])
