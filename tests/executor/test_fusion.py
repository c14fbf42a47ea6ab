"""Fused programs against the same ones operator by operator: the same bits."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import actorflow as af
from actorflow import nd, ops, sym
from actorflow.ops import Fused
from actorflow.ops.fused import BLOCK
from actorflow.symbol import Group, Variable


@pytest.fixture(autouse=True, scope="module")
def _small_arrays():
    """Fuse small arrays, too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("actorflow.graph.fuse.LEAST", 1)
        yield


UNARY = ("tanh", "sin", "square", "negative", "sigmoid", "relu", "exp", "abs", "rsqrt", "floor")
BINARY = (sym.Symbol.__add__, sym.Symbol.__sub__, sym.Symbol.__mul__, sym.Symbol.__truediv__)
NUMBERS = (0.0, -0.0, 1.0, 2.5, -1.0)
ONE_INPUT = (
    *(lambda x, name=name: getattr(sym, name)(x) for name in UNARY),
    *(lambda x, number=number: x * number for number in NUMBERS),
    *(lambda x, number=number: number + x for number in NUMBERS),
    *(lambda x, number=number: x - number for number in NUMBERS),
    lambda x: 1.0 - x,
    lambda x: x / 1.0,
    lambda x: sym.negative(sym.negative(x)),
    lambda x: x + sym.zeros_like(x),
    lambda x: x * sym.ones_like(x),
    lambda x: sym.clip(x, a_min=-0.5, a_max=0.75),
    lambda x: sym.Cast(x, dtype="float64"),
    lambda x: sym.Cast(x, dtype="float16"),
    lambda x: sym.Cast(sym.Cast(x, dtype="int32"), dtype="float32"),
    lambda x: sym.ElementWiseSum(x, x, x),
    lambda x: sym.broadcast_like(sym.sum(x), x),  # a wall between two groups
    lambda x: sym.Reshape(sym.Reshape(x, shape=(1, -1)), shape=(-1,)),
    lambda x: sym.LeakyReLU(x, act_type="elu", slope=0.3),
    lambda x: sym.LeakyReLU(x, act_type="leaky", slope=0.1),
    *(
        lambda x, kind=kind: sym.Activation(x, act_type=kind)
        for kind in ("relu", "sigmoid", "tanh", "softrelu", "softsign")
    ),
)


def executors(symbol, arrays, grads, reqs):
    """The same symbol bound twice, fused and not, each with arrays of its own."""
    found = []
    for fuse in ("1", "0"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AF_FUSE", fuse)
            args = {name: nd.array(value, dtype=value.dtype) for name, value in arrays.items()}
            own = {name: nd.array(value, dtype=value.dtype) for name, value in grads.items()}
            found.append(symbol.bind(af.cpu(), args, own, reqs))
    return found


def same(left, right, where):
    assert left.dtype == right.dtype
    assert left.shape == right.shape
    both = np.isnan(left) & np.isnan(right) if left.dtype.kind == "f" else np.zeros_like(left, bool)
    kind = f"V{left.dtype.itemsize}"
    wrong = (left.view(kind) != right.view(kind)) & ~both
    assert not wrong.any(), f"{where}: {left[wrong][:3]} is not {right[wrong][:3]}"


def check(symbol, arrays, reqs, seed=0):
    """Outputs and gradients of both have the same bits."""
    draw = np.random.default_rng(seed)
    names = symbol.list_arguments()
    arrays = {name: arrays[name] for name in names}
    grads = {n: draw.normal(size=arrays[n].shape).astype(arrays[n].dtype) for n in names}
    fused, plain = executors(symbol, arrays, grads, {name: reqs[name] for name in names})
    for training in (False, True):
        pairs = zip(fused.forward(training), plain.forward(training), strict=True)
        for index, (ours, theirs) in enumerate(pairs):
            same(ours.asnumpy(), theirs.asnumpy(), f"output {index}, training={training}")
    above = [nd.array(draw.normal(size=o.shape), dtype=o.dtype) for o in fused.outputs]
    for executor in (fused, plain):
        executor.backward(above)
    for name in names:
        if reqs[name] != "null":
            ours, theirs = (each.grad_dict[name].asnumpy() for each in (fused, plain))
            same(ours, theirs, f"the gradient of {name}")
    return fused, plain


@st.composite
def expressions(draw):
    symbols = [Variable(name) for name in "abc"]
    for _ in range(draw(st.integers(1, 14))):
        one = draw(st.sampled_from(symbols[-4:]))
        if draw(st.booleans()):
            symbols.append(draw(st.sampled_from(ONE_INPUT))(one))
        else:
            symbols.append(draw(st.sampled_from(BINARY))(one, draw(st.sampled_from(symbols))))
    return Group([symbols[-1], *draw(st.lists(st.sampled_from(symbols[3:]), max_size=2))])


@settings(max_examples=150, deadline=None)
@given(
    expressions(),
    st.sampled_from([1, 2, 7, 8, 9, 16, 17, 25]),
    st.lists(st.sampled_from(["write", "add", "null"]), min_size=3, max_size=3),
    st.integers(0, 99),
)
def test_any_expression_has_the_same_bits_fused(symbol, size, reqs, seed):
    draw = np.random.default_rng(seed)
    arrays = {name: draw.normal(size=(size,)).astype("float32") for name in "ab"}
    arrays["a"][:1] = draw.choice([np.nan, np.inf, -0.0, 0.0])
    arrays["c"] = draw.normal(size=(1,)).astype("float32")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ops.fused, "BLOCK", 8)
        check(symbol, arrays, dict(zip("abc", reqs, strict=True)), seed)


def deep(x, y):
    hidden = sym.Activation(x * 0.9 + y, act_type="relu")
    return sym.tanh(sym.exp(-sym.square(hidden)) * 0.5 + 0.1) - y


@pytest.mark.parametrize("size", [1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 5])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_at_the_borders_of_blocks(size, dtype):
    draw = np.random.default_rng(size)
    arrays = {name: draw.normal(size=(size,)).astype(dtype) for name in "xy"}
    symbol = deep(Variable("x"), Variable("y"))
    fused, plain = check(symbol, arrays, {"x": "write", "y": "add"})
    assert [node.operator.name for node in fused._programs[False].order] == ["fused"]
    assert len(plain._programs[False].order) == 10
    assert len(fused._programs[True].order) <= 4
    assert fused._programs[False].plan.total == 0 < plain._programs[False].plan.total
    assert fused._programs[True].plan.total <= plain._programs[True].plan.total


def test_a_times_b_plus_1_is_one_operator_of_one_pass_without_memory():
    symbol = Variable("a") * Variable("b") + 1.0
    executor = symbol.simple_bind(a=(2 * BLOCK,), b=(2 * BLOCK,), grad_req="null")
    executor.arg_dict["a"][:] = 2
    executor.arg_dict["b"][:] = 3
    assert (executor.forward()[0].asnumpy() == 7).all()
    program = executor._programs[False]
    (node,) = program.order
    assert isinstance(node.operator, Fused)
    assert node.name.startswith("_multiply")
    assert "+_add_scalar" in node.name
    assert program.plan.total == 0
    ((message,), _) = executor._messages(program)
    assert len(message._calls) == 4  # two ufuncs for each of two blocks


def test_a_forward_for_training_keeps_what_backward_needs_and_computes_all_of_its_stage():
    x = Variable("x")
    symbol = sym.tanh(sym.tanh(sym.tanh(x) * 2.0) * 2.0)
    executor = symbol.simple_bind(x=(4,))
    executor.forward(is_train=True, x=nd.ones((4,)))
    inner = np.tanh(np.float32(1)) * np.float32(2)
    np.testing.assert_allclose(
        executor.outputs[0].asnumpy(), np.tanh(np.tanh(inner) * 2), rtol=1e-6
    )
    program = executor._programs[True]
    assert [len(segment.nodes) for segment in program.segments] == [1, 1]
    assert len(program.order[0].operator.outputs) == 3


def test_a_value_that_forward_has_is_copied_to_a_gradient_by_backward_alone():
    # Both the expression and the gradient of y have 0 * x in them, and y's has nothing else.
    x, y = Variable("x"), Variable("y")
    symbol = sym.BlockGrad(y) * x + sym.zeros_like(y)
    for fuse in ("1", "0"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AF_FUSE", fuse)
            executor = symbol.simple_bind(x=(3,), y=(3,))
        executor.grad_dict["y"][:] = 7
        executor.forward(is_train=True)
        assert (executor.grad_dict["y"].asnumpy() == 7).all()
        executor.backward(nd.ones((3,)))
        assert (executor.grad_dict["y"].asnumpy() == 0).all()


def test_gradients_may_be_added_up_in_one_array():
    x, y = Variable("x"), Variable("y")
    symbol = sym.tanh(x * 2.0) * sym.exp(y) + x
    found = []
    for fuse in ("1", "0"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AF_FUSE", fuse)
            both = nd.ones((5,))
            args = {"x": nd.ones((5,)) * 0.3, "y": nd.ones((5,)) * 0.7}
            executor = symbol.bind(af.cpu(), args, {"x": both, "y": both}, "add")
        executor.forward(is_train=True)
        executor.backward(nd.ones((5,)))
        found.append(both.asnumpy())
    same(*found, "the sum")
    assert (found[0] > 3).all()


@pytest.mark.parametrize("kind", ["relu", "sigmoid", "tanh", "softrelu", "softsign"])
@pytest.mark.parametrize("shape", [(3, 5), (129, 3)])
def test_a_layer_and_its_activation_are_one_kernel(kind, shape):
    layer = sym.FullyConnected(Variable("x"), num_hidden=700, name="fc")
    symbol = sym.Activation(layer, act_type=kind, name="act")
    draw = np.random.default_rng(0)
    shapes = {"x": shape, "fc_weight": (700, shape[1]), "fc_bias": (700,)}
    arrays = {n: draw.normal(size=s).astype("float32") for n, s in shapes.items()}
    fused, _ = check(symbol, arrays, dict.fromkeys(arrays, "write"))
    assert [node.name for node in fused._programs[False].order] == ["fc+act"]
    assert fused._programs[True].order[0].name == "fc+act"


@pytest.mark.parametrize("leaky", [{"act_type": "leaky", "slope": 0.1}, {"act_type": "elu"}])
@pytest.mark.parametrize(
    "how",
    [
        {"kernel": (3, 3), "pad": (1, 1)},
        {"kernel": (1, 1)},
        {"kernel": (5, 5), "num_group": 2, "no_bias": True},
    ],
)
def test_a_convolution_too(how, leaky):
    layer = sym.Convolution(Variable("x"), num_filter=4, name="conv", **how)
    symbol = sym.LeakyReLU(layer, name="act", **leaky)
    draw = np.random.default_rng(0)
    shapes, _, _ = symbol.infer_shape(x=(9, 2, 20, 21))
    arrays = {
        name: draw.normal(size=shape).astype("float32")
        for name, shape in zip(symbol.list_arguments(), shapes, strict=True)
    }
    fused, _ = check(symbol, arrays, dict.fromkeys(arrays, "add"))
    assert [node.name for node in fused._programs[False].order] == ["conv+act"]


def test_a_layer_whose_output_somebody_else_takes_stays_alone():
    layer = sym.FullyConnected(Variable("x"), num_hidden=2, name="fc")
    for symbol in (
        Group([layer, sym.Activation(layer, act_type="relu")]),
        sym.sin(layer),  # in training, whose gradient takes what it was given
    ):
        executor = symbol.simple_bind(x=(3, 4))
        executor.forward(is_train=True)
        assert executor._program(training=True).order[0].name == "fc"


def test_float16_layers_stay_alone():
    layer = sym.FullyConnected(Variable("x"), num_hidden=2, name="fc")
    executor = sym.tanh(layer).simple_bind(x=(3, 4), type_dict={"x": "float16"})
    executor.forward()
    assert executor._program(training=False).order[0].name == "fc"


def test_the_logarithm_of_a_softmax_is_log_softmax():
    symbol = sym.log(sym.softmax(Variable("x"), temperature=2.0, name="p"), name="l")
    draw = np.random.default_rng(0)
    arrays = {"x": draw.normal(size=(5, 7)).astype("float32")}
    fused, plain = executors(symbol, arrays, arrays, "write")
    for each in (fused, plain):
        each.forward(is_train=True)
        each.backward(nd.array(arrays["x"]))
    assert fused._programs[True].order[0].name == "p+l"
    assert [node.operator.name for node in fused._programs[True].order] == [
        "log_softmax",
        "log_softmax_gradient",
    ]
    for ours, theirs in (
        (fused.outputs[0], plain.outputs[0]),
        (fused.grad_dict["x"], plain.grad_dict["x"]),
    ):
        np.testing.assert_allclose(ours.asnumpy(), theirs.asnumpy(), rtol=1e-5, atol=1e-6)
    far = nd.array([[0.0, 500.0]])
    far = symbol.simple_bind(x=(1, 2)).forward(x=far)[0].asnumpy()
    assert far.tolist() == [[-250, 0]]


def test_the_gradient_of_a_cross_entropy_is_the_softmax_without_the_label():
    x, label = Variable("x"), Variable("label")
    loss = sym.MakeLoss(-sym.sum(label * sym.log_softmax(x)))
    executor = loss.simple_bind(x=(4, 5), label=(4, 5), grad_req={"x": "write"})
    draw = np.random.default_rng(0)
    data, one_hot = draw.normal(size=(4, 5)), np.eye(5)[draw.integers(0, 5, 4)]
    executor.forward(is_train=True, x=nd.array(data), label=nd.array(one_hot))
    executor.backward()
    softmax = np.exp(data) / np.exp(data).sum(1, keepdims=True)
    found = executor.grad_dict["x"].asnumpy()
    np.testing.assert_allclose(found, softmax - one_hot, rtol=1e-5, atol=1e-6)
    program = executor._programs[True]
    backward = program.segments[-1].nodes
    assert [node.operator.name for node in backward][-2:] == ["fused", "log_softmax_gradient"]


def test_a_softmax_that_somebody_else_takes_stays_one():
    p = sym.softmax(Variable("x"))
    executor = (p * sym.log(p)).simple_bind(x=(2, 3))
    executor.forward()
    names = [node.operator.name for node in executor._program(training=False).order]
    assert names == ["softmax", "fused"]


def test_a_monitor_sees_what_is_inside_of_groups_and_the_bits_are_the_same():
    x = Variable("x")
    symbol = sym.tanh(sym.FullyConnected(x, num_hidden=3, name="fc") * 2.0, name="t") + 1.0
    executor = symbol.simple_bind(x=(4, 5))
    draw = np.random.default_rng(0)
    for array in executor.arg_arrays:
        array[:] = nd.array(draw.normal(size=array.shape))
    above = nd.array(draw.normal(size=(4, 3)))

    def step():
        output = executor.forward(is_train=True)[0].asnumpy()
        executor.backward(above)
        return output, executor.grad_dict["x"].asnumpy()

    plain = step()
    seen = []
    executor.set_monitor_callback(lambda name, value: seen.append(name))
    watched = step()
    assert len(seen) == 4
    assert seen[0] == "fc_output"
    assert seen[2] == "t_output"
    for ours, theirs in zip(plain, watched, strict=True):
        same(ours, theirs, "watched")
    # A monitor that comes or goes between does not part a backward from its forward.
    executor.forward(is_train=True)
    executor.set_monitor_callback(None)
    executor.backward(above)
    same(executor.grad_dict["x"].asnumpy(), plain[1], "backward")
    executor.forward(is_train=True)
    executor.set_monitor_callback(lambda name, value: None)
    executor.backward(above)
    same(executor.grad_dict["x"].asnumpy(), plain[1], "backward")


def test_the_switch(monkeypatch):
    monkeypatch.setenv("AF_FUSE", "yes")
    with pytest.raises(ValueError, match="AF_FUSE must be one of 1, 0, got 'yes'"):
        (Variable("x") + 1.0).simple_bind(x=(3,))


def test_the_plan_tells_what_is_in_a_group():
    text = sym.tanh(Variable("x") * 2.0, name="t").simple_bind(x=(3,), grad_req="null").debug_str()
    assert "<operator 'fused' of multiply, tanh> " in text
    assert "+t\n" in text


def test_constants_are_computed_once_and_may_be_outputs():
    x = Variable("x")
    table = sym.sqrt(sym.ones((2, 3)) * 4.0)
    symbol = Group([x * table, table, sym.sum(table, axis=1) + sym.sum(x)])
    draw = np.random.default_rng(0)
    fused, _ = check(symbol, {"x": draw.normal(size=(2, 3)).astype("float32")}, {"x": "write"})
    names = [node.operator.name for node in fused._programs[False].order]
    assert "sqrt" not in names
    assert "full" not in names
    for _ in range(2):
        assert (fused.forward()[1].asnumpy() == 2).all()
        fused.outputs[1][:] = 0  # the constant is somewhere else


@pytest.mark.parametrize("watch", ["AF_FUSE", "monitor", "anomaly"])
def test_what_is_drawn_does_not_depend_on_fusion(watch, monkeypatch):
    """A group takes its inputs in another order than its operators, and some are left out."""
    x = sym.Variable("x")
    nothing = sym.zeros_like(sym.Dropout(x, p=0.5))
    net = nothing + (sym.Dropout(x, p=0.5) + sym.Dropout(x, p=0.5) * 2.0)
    found = []
    for fused in (True, False):
        if watch == "AF_FUSE":
            monkeypatch.setenv("AF_FUSE", str(int(fused)))
        executor = net.simple_bind(x=(8,))
        executor.arg_dict["x"][:] = 1
        if watch == "monitor" and not fused:
            executor.set_monitor_callback(lambda *_: None)
        if watch == "anomaly" and not fused:
            executor.set_detect_anomaly()
        af.random.seed(3)
        found += [executor.forward(is_train=True)[0].asnumpy() for _ in range(2)]
    np.testing.assert_array_equal(found[0], found[2])
    np.testing.assert_array_equal(found[1], found[3])
