"""Mirroring: what the backward half computes again gives the same bits and keeps less memory."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import actorflow as af
from actorflow import nd, sym
from actorflow.errors import ParameterError
from actorflow.graph import Entry, Mirror, Node, topological
from actorflow.ops import ELEMENTWISE, After
from tests.graph._passes import share_common
from tests.operator._operators import op_of

UNARY = (sym.tanh, sym.sin, sym.square, sym.sigmoid, sym.relu, sym.Flatten, sym.identity)
BINARY = (sym.add, sym.multiply, sym.maximum)


@pytest.fixture
def one_by_one(monkeypatch):
    """Operators keep their names: none are fused."""
    monkeypatch.setenv("AF_FUSE", "0")


def program(executor):
    return executor._program(training=True)


def again(executor):
    """The names of what is computed again."""
    return [node.name for node in program(executor).order if node.name.endswith("_mirror")]


def gradients(executor, seed=0):
    """All gradients and outputs, of random values."""
    draw = np.random.default_rng(seed)
    for array in executor.arg_dict.values():
        array[:] = nd.array(draw.normal(size=array.shape))
    af.random.seed(seed)
    outputs = executor.forward(is_train=True)
    executor.backward([nd.array(draw.normal(size=each.shape)) for each in outputs])
    return [each.asnumpy() for each in (*outputs, *executor.grad_arrays, *executor.aux_arrays)]


@st.composite
def networks(draw):
    """Some layers, wired at random; their attributes ask for copies, forbid them, or neither."""
    values = [sym.Variable("a"), sym.Variable("b")]
    for _ in range(draw(st.integers(1, 14))):
        said = draw(st.sampled_from(["true", "false", None]))
        with sym.AttrScope(**({} if said is None else {"force_mirroring": said})):
            one = draw(st.sampled_from(values[-4:]))
            kind = draw(st.integers(0, 9))
            if kind == 0:
                made = sym.Dropout(one, p=0.5)
            elif kind == 1:
                made = sym.BatchNorm(one)
            elif kind == 2:
                made = sym.FullyConnected(one, num_hidden=4)
            elif kind == 3:
                made = sym.SliceChannel(sym.Concat(one, values[-1]), num_outputs=2)[0]
            elif kind < 7:
                made = draw(st.sampled_from(UNARY))(one)
            else:
                made = draw(st.sampled_from(BINARY))(one, draw(st.sampled_from(values)))
        values.append(made)
    return sym.Group([values[-1], *draw(st.lists(st.sampled_from(values[2:]), max_size=2))])


def bound(network, req):
    names = [name for name in ("a", "b") if name in network.list_arguments()]
    return network.simple_bind(grad_req=req, **dict.fromkeys(names, (3, 4)))


@settings(max_examples=60, deadline=None)
@given(networks(), st.integers(1, 4), st.sampled_from(["write", "add"]))
def test_the_gradients_are_the_same_to_the_bit(network, step, req):
    found = []
    for setting in ("0", "1"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AF_BACKWARD_DO_MIRROR", setting)
            patch.setenv("AF_BACKWARD_MIRROR_STEP", str(step))
            executor = bound(network, req)
            found.append(gradients(executor))
    plain = sym.load_json(network.tojson().replace("force_mirroring", "nothing"))
    found.append(gradients(bound(plain, req)))
    for other in found[:2]:
        for one, another in zip(found[2], other, strict=True):
            np.testing.assert_array_equal(one, another)


def chain(count, marked):
    """A chain of `count` operators, of which some are marked."""
    value = sym.Variable("x")
    for number in range(count):
        attr = {"force_mirroring": "True"} if marked(number) else None
        value = sym.tanh(value, name=f"layer{number}", attr=attr)
    return value.simple_bind(x=(256,))


@pytest.mark.parametrize("fuse", ["0", "1"])
def test_checkpoints_at_every_square_root_keep_twice_the_square_root(fuse, monkeypatch):
    monkeypatch.setenv("AF_FUSE", fuse)
    kilobytes = {}
    for count, width in ((64, 8), (256, 16)):
        plain = chain(count, lambda _: False)
        marked = chain(count, lambda number, width=width: number % width)
        if fuse == "0":
            assert len(again(marked)) == count - count // width - 1  # the last one is a head
        kilobytes[count] = program(marked).plan.total // 1024
        assert program(plain).plan.total // 1024 >= count - 1
        for one, another in zip(gradients(plain), gradients(marked), strict=True):
            np.testing.assert_array_equal(one, another)
    assert kilobytes[64] <= 2 * 8 + 2
    assert kilobytes[256] <= 2 * 16 + 2


@pytest.mark.usefixtures("one_by_one")
def test_the_setting_takes_what_is_cheap_and_keeps_every_one_of_a_number(monkeypatch):
    def network():
        value = sym.Variable("data")
        for number in range(12):
            value = sym.FullyConnected(value, num_hidden=32, name=f"fc{number}")
            value = sym.Activation(value, act_type="tanh", name=f"act{number}")
            value = sym.square(value, name=f"square{number}")
        return sym.SoftmaxOutput(value, name="softmax").simple_bind(data=(64, 32))

    plain = network()
    before = program(plain).plan.total
    assert again(plain) == []
    monkeypatch.setenv("AF_BACKWARD_DO_MIRROR", "1")
    mirrored = network()
    assert program(mirrored).plan.total < 0.6 * before
    # No gradient needs the last one. The order is that in which the gradients need them.
    assert again(mirrored)[:4] == ["act11_mirror", "act10_mirror", "square10_mirror", "act9_mirror"]
    monkeypatch.setenv("AF_BACKWARD_MIRROR_STEP", "2")
    assert all(name.startswith("act") for name in again(network()))
    monkeypatch.setenv("AF_BACKWARD_MIRROR_STEP", "none")
    with pytest.raises(ValueError, match="AF_BACKWARD_MIRROR_STEP must be a whole number"):
        program(network())


@pytest.mark.usefixtures("one_by_one")
def test_a_copy_runs_when_the_backward_pass_gets_to_it():
    executor = chain(6, lambda number: number in (1, 2, 4))
    names = [node.name for node in program(executor).order if not isinstance(node.operator, After)]
    assert [name for name in names if name.endswith(("_mirror", "_backward"))] == [
        "layer5_backward",  # of the output, which is kept
        *("layer4_mirror", "layer4_backward", "layer3_backward"),
        *("layer1_mirror", "layer2_mirror", "layer2_backward", "layer1_backward"),
        "layer0_backward",
    ]


@pytest.mark.usefixtures("one_by_one")
def test_what_cannot_run_twice_is_not_but_gives_the_same_again_from_what_it_hid():
    def network(said):
        with sym.AttrScope(force_mirroring=said):
            value = sym.FullyConnected(sym.Variable("data"), num_hidden=4, name="fc")
            value = sym.BatchNorm(value, fix_gamma=False, name="bn")
            value = sym.Dropout(value, name="drop")
            value = sym.tanh(value, name="tanh")
        return sym.sum(value * value, name="sum").simple_bind(data=(300, 5))

    executor = network("true")
    assert again(executor) == ["fc_mirror", "bn_mirror", "drop_mirror", "tanh_mirror"]
    operators = {node.name: node.operator for node in program(executor).order}
    assert not any(operators[name].draws or operators[name].auxiliary for name in again(executor))
    plain = network("false")
    for one, another in zip(gradients(plain), gradients(executor), strict=True):
        np.testing.assert_array_equal(one, another)
    np.testing.assert_array_equal(
        executor.aux_dict["bn_moving_mean"].asnumpy(), plain.aux_dict["bn_moving_mean"].asnumpy()
    )


def test_a_residual_network_keeps_half():
    value = sym.Convolution(sym.Variable("data"), kernel=(3, 3), pad=(1, 1), num_filter=4)
    for _ in range(6):
        inner = sym.Activation(sym.BatchNorm(value), act_type="relu")
        value = value + sym.Convolution(inner, kernel=(3, 3), pad=(1, 1), num_filter=4)
    totals = []
    for setting in ("0", "1"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AF_BACKWARD_DO_MIRROR", setting)
            totals.append(program(value.simple_bind(data=(8, 3, 16, 16))).plan.total)
    assert totals[1] < 0.7 * totals[0]


def test_a_normalization_that_shows_mean_and_variance_is_kept():
    norm = sym.BatchNorm(sym.Variable("x"), output_mean_var=True, attr={"force_mirroring": "1"})
    assert again(sym.tanh(norm[0]).simple_bind(x=(4, 3))) == []


def test_operators_that_users_write_are_kept():
    calls = []

    def forward(in_data, out_data, aux):
        calls.append("forward")
        out_data[0][:] = in_data[0]

    def backward(out_grad, in_data, out_data, in_grad):
        in_grad[0][:] = out_grad[0]

    marked = {"force_mirroring": "true"}
    value = sym.Custom(sym.Variable("x"), op_type=op_of(forward, backward), attr=marked)
    executor = sym.square(value).simple_bind(x=(2,))
    executor.arg_dict["x"][:] = 3
    executor.forward(is_train=True)
    executor.backward(nd.ones((2,)))
    np.testing.assert_array_equal(executor.grad_dict["x"].asnumpy(), [6, 6])
    assert calls == ["forward"]


@pytest.mark.usefixtures("one_by_one")
def test_both_spellings_are_read_and_anything_else_is_refused():
    for key, value, count in (
        ("force_mirroring", "1", 1),
        ("__force_mirroring__", "true", 1),
        ("__mirror__", "True", 1),
        ("force_mirroring", "False", 0),
    ):
        inner = sym.tanh(sym.Variable("x"), name="inner", attr={key: value})
        assert len(again(sym.square(inner).simple_bind(x=(2,)))) == count
    inner = sym.tanh(sym.Variable("x"), name="inner", attr={"force_mirroring": "yes"})
    executor = sym.square(inner).simple_bind(x=(2,))
    with pytest.raises(ParameterError, match="inner: force_mirroring has to be 'true'") as caught:
        executor.forward(is_train=True)
    assert "test_mirror.py" in caught.value.__notes__[0]


def test_copies_are_not_taken_for_what_they_are_copies_of():
    marked = {"force_mirroring": "true"}
    x = Entry(Node(None, "x"), 0)
    above = Entry(Node(None, "above"), 0)
    inner = Node(ELEMENTWISE["tanh"], "inner", (x,), {**marked, "ctx_group": "one"}).entries()[0]
    head = Node(ELEMENTWISE["sin"], "head", (inner,)).entries()[0]
    taken = Mirror([head]).again(inner, above)
    mirrored = Node(ELEMENTWISE["multiply"], "grad", (taken, above)).entries()[0]
    shapes = {e: (2,) for n in topological([head, mirrored]) for e in n.entries()}
    types = dict.fromkeys(shapes, np.dtype("float32"))
    heads = share_common([head, mirrored], shapes, types)
    names = [node.name for node in topological(heads)]
    assert names == ["x", "inner", "head", "above", "inner_mirror_after", "inner_mirror", "grad"]
    # They run where the original runs.
    copies = [node for node in topological(heads) if "mirror" in node.name]
    assert [node.attributes["ctx_group"] for node in copies] == ["one", "one"]
