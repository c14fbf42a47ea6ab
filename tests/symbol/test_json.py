"""Symbol files: MXNet's JSON."""

import contextlib
import errno
import json
import os
import stat
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st

from actorflow import nd, sym
from actorflow.errors import FormatError

DATA = Path(__file__).parent.parent / "data"


def lenet():
    with sym.NameManager():
        return sym.chain(
            sym.Variable("data", lr_mult=2),
            sym.Convolution(kernel=(5, 5), num_filter=4, name="conv1"),
            sym.Activation(act_type="tanh", name="tanh1"),
            sym.Pooling(pool_type="max", kernel=(2, 2), stride=(2, 2), name="pool1"),
            sym.BatchNorm(name="bn1", fix_gamma=False, attr={"ctx_group": "one"}),
            sym.Dropout(p=0.25, name="drop"),
            sym.Flatten(name="flatten"),
            sym.FullyConnected(num_hidden=16, name="fc1"),
            lambda x: sym.Concat(x, sym.maximum(x, 0.5) * 2, 1 - x, name="concat"),
            sym.FullyConnected(num_hidden=10, no_bias=True, name="fc2"),
            sym.SoftmaxOutput(name="softmax"),
        )


def test_what_is_written_is_read():
    net = lenet()
    text = net.tojson()
    read = sym.load_json(text)
    assert read.tojson() == text
    assert read.list_arguments() == net.list_arguments()
    assert read.list_auxiliary_states() == net.list_auxiliary_states()
    assert read.attr_dict() == net.attr_dict()
    assert read.infer_shape(data=(2, 1, 28, 28)) == net.infer_shape(data=(2, 1, 28, 28))


def test_the_layout():
    x = sym.Variable("x", attr={"mood": "good"}, shape=(2, 4))
    left, right = sym.SliceChannel(x, num_outputs=2, name="cut")
    document = json.loads(sym.Group([right, sym.add(left, 2.5, name="more")]).tojson())
    assert document == {
        "nodes": [
            {
                "op": "null",
                "name": "x",
                "attrs": {"__mood__": "good", "__shape__": "(2, 4)"},
                "inputs": [],
            },
            {
                "op": "SliceChannel",
                "name": "cut",
                "attrs": {"num_outputs": "2"},
                "inputs": [[0, 0, 0]],
            },
            {
                "op": "_plus_scalar",
                "name": "more",
                "attrs": {"scalar": "2.5"},
                "inputs": [[1, 0, 0]],
            },
        ],
        "arg_nodes": [0],
        "node_row_ptr": [0, 1, 3, 4],
        "heads": [[1, 1, 0], [2, 0, 0]],
        "attrs": {"mxnet_version": ["int", 10901]},
    }


def test_files_appear_whole_or_not_at_all(tmp_path):
    path = tmp_path / "net-symbol.json"
    net = lenet()
    net.save(path)
    assert sym.load(path).tojson() == net.tojson() == path.read_text(encoding="utf-8")
    x = sym.Variable("x")
    with pytest.raises(FormatError, match="node 'f' cannot be written"):
        sym.floor_divide(x, x, name="f").save(path)
    assert sym.load(str(path)).tojson() == net.tojson()
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    assert stat.S_IMODE(path.stat().st_mode) & stat.S_IRUSR
    with pytest.raises(FileNotFoundError) as caught:
        net.save(tmp_path / "missing" / "net.json")
    assert caught.value.filename == str(tmp_path / "missing" / "net.json")
    with pytest.raises(FileNotFoundError):
        sym.load(tmp_path / "nothing.json")


def test_a_file_that_cannot_be_written_leaves_the_older_one(tmp_path, monkeypatch):
    path = tmp_path / "net-symbol.json"
    sym.Variable("old").save(path)

    def full(_file):
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space left") as caught:
        lenet().save(path)
    assert caught.value.filename == str(path)
    assert sym.load(path).name == "old"
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_what_could_not_be_read_is_not_written():
    with pytest.raises(FormatError, match="two variables are called 'x'"):
        (sym.Variable("x") + sym.Variable("x")).tojson()


# -- Files of others ---------------------------------------------------------------------------


def node(op, name, inputs=(), **more):
    return {"op": op, "name": name, "inputs": [list(each) for each in inputs], **more}


def test_the_layout_of_2015():
    """Parameters in "param", attributes in "attr", no states, pooling that rounds up."""
    old = {"backward_source_id": -1}
    document = {
        "nodes": [
            node("null", "data", param={}, **old),
            node("null", "w", param={}, **old),
            node(
                "Convolution",
                "conv",
                [(0, 0), (1, 0)],
                param={
                    "cudnn_tune": "off",
                    "kernel": "(2,2)",
                    "no_bias": "True",
                    "num_filter": "3",
                    "num_group": "1",
                    "pad": "(0,0)",
                    "stride": "(1,1)",
                    "dilate": "(1,1)",
                    "workspace": "512",
                },
                attr={"ctx_group": "one", "weight_lr_mult": "3"},
                **old,
            ),
            node("null", "bn_gamma", param={}, **old),
            node("null", "bn_beta", param={}, **old),
            node(
                "BatchNorm",
                "bn",
                [(2, 0), (3, 0), (4, 0)],
                param={"eps": "0.001", "fix_gamma": "True", "momentum": "0.9"},
                **old,
            ),
            node(
                "Pooling",
                "pool",
                [(5, 0)],
                param={"kernel": "(2,2)", "pool_type": "max", "stride": "(2,2)"},
                **old,
            ),
            node("_MinusScalar", "less", [(6, 0)], param={"scalar": "0.5"}, **old),
            node("null", "softmax_label", param={}, **old),
            node("Softmax", "softmax", [(7, 0), (8, 0)], param={"grad_scale": "1"}, **old),
        ],
        "arg_nodes": [0, 1, 3, 4, 8],
        "heads": [[9, 0]],
    }
    net = sym.load_json(json.dumps(document))
    assert net.list_auxiliary_states() == ["bn_moving_mean", "bn_moving_var"]
    assert net.get_internals()["conv_output"].attr("ctx_group") == "one"
    assert net.attr_dict()["w"] == {"__lr_mult__": "3"}
    inside = net.get_internals()
    _, outputs, _ = inside.infer_shape(data=(1, 1, 8, 8))
    shapes = dict(zip(inside.list_outputs(), outputs, strict=True))
    assert shapes["conv_output"] == (1, 3, 7, 7)
    assert shapes["pool_output"] == (1, 3, 4, 4)
    assert sym.load_json(net.tojson()).tojson() == net.tojson()


def test_the_layout_of_0_9():
    """Parameters and attributes in "attr", the states among the inputs, a version."""
    document = {
        "nodes": [
            node("null", "data", attr={"lr_mult": "2"}),
            node("null", "fc_weight"),
            node(
                "FullyConnected",
                "fc",
                [(0, 0, 0), (1, 0, 0)],
                attr={"ctx_group": "one", "no_bias": "True", "num_hidden": "4"},
            ),
            node("Pooling", "pool", [(0, 0, 0)], attr={"kernel": "(2, 2)", "stride": "(2, 2)"}),
        ],
        "arg_nodes": [0, 1],
        "heads": [[2, 0, 0], [3, 0, 0]],
        "attrs": {"mxnet_version": ["int", 905]},
    }
    net = sym.load_json(json.dumps(document))
    assert net.attr_dict() == {"data": {"__lr_mult__": "2"}, "fc": {"ctx_group": "one"}}
    assert net.infer_shape(data=(1, 1, 7, 7))[1] == [(1, 4), (1, 1, 3, 3)]


def test_a_file_of_1_9_1():
    net = sym.load(DATA / "mxnet-1.9.1-lenet-symbol.json")
    arguments, outputs, states = net.infer_shape(data=(2, 1, 28, 28))
    shapes = dict(zip(net.list_arguments(), arguments, strict=True))
    assert shapes["conv1_weight"] == (20, 1, 5, 5)
    assert shapes["fc1_weight"] == (50, 800)
    assert outputs == [(2, 10)]
    assert dict(zip(net.list_auxiliary_states(), states, strict=True)) == {
        "bn_moving_mean": (50,),
        "bn_moving_var": (50,),
    }
    assert net.get_internals()["conv2_output"].attr("ctx_group") == "second"


# -- Damaged files -----------------------------------------------------------------------------

X = node("null", "x")


def file(*nodes, heads=((0, 0),), **more):
    return json.dumps({"nodes": list(nodes), "heads": [list(each) for each in heads], **more})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ("[1]", "is no object"),
        ("{}", "has no list of nodes"),
        (file(), "has no list of nodes"),
        (file(X, heads=()), "has no list of heads"),
        (file(3), "has a node 0 that is no object"),
        (file({"op": "null"}), "has a node 0 without op and name"),
        (file({**X, "inputs": 3}), "node 'x' whose inputs are no list"),
        (file({**X, "attrs": 3}), "node 'x' whose attrs is no object"),
        (file({**X, "attrs": {"a": 3}}), "node 'x' whose a is no text: 3"),
        (file(X, heads=[(1, 0)]), "heads from a node that does not come before it"),
        (file(X, heads=[(0, 1)]), "heads from output 1 of 'x'"),
        (file(X, heads=[(True, 0)]), "does not come before it"),
        (file(X, heads=[(0,)]), "heads that is no pair"),
        (file(X, node("exp", "e", [(1, 0)])), "node 'e' from a node that does not come before"),
        (file(X, node("exp", "e")), "gives node 'e' (exp) 0 inputs, but it takes 1: data"),
        (file(X, node("epx", "e", [(0, 0)])), "node 'e': there is no operator 'epx'; did you"),
        (
            file(X, node("Dropout", "d", [(0, 0)], attrs={"p": "2"})),
            "node 'd': Dropout: p needs a number of at least 0 and at most 1, got '2'",
        ),
        (
            file(X, node("Concat", "c", [(0, 0)], attrs={"num_args": "99999999999"})),
            "node 'c': Concat: num_args is 99999999999, but it has 1 inputs",
        ),
        (
            file(X, node("split", "c", [(0, 0)], attrs={"num_outputs": "99999999999"})),
            "node 'c' with more than 65536 outputs",
        ),
        (
            file(X, node("Dropout", "d", [(0, 0)]), heads=[(1, 1)]),
            "heads from output 1 of 'd'",
        ),
        (file(X, X, heads=[(0, 0), (1, 0)]), "has two variables called 'x'"),
    ],
)
def test_damage_is_named_with_the_file_and_the_node(text, message, tmp_path):
    path = tmp_path / "net-symbol.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FormatError) as caught:
        sym.load(path)
    assert str(caught.value).startswith(str(path))
    assert message in str(caught.value)
    with pytest.raises(FormatError, match="load_json: "):
        sym.load_json(text)


def test_a_file_that_is_no_text(tmp_path):
    path = tmp_path / "net.json"
    path.write_bytes(b"\xff\xfe{}")
    with pytest.raises(FormatError, match="is no text"):
        sym.load(path)


TEXTS = st.sampled_from(
    ["", "1", "-1", "(1, 2)", "(", "True", "None", "relu", "1e9", "nan", "9" * 30]
)
OPS = st.sampled_from(
    ["null", "exp", "Convolution", "Concat", "SliceChannel", "BatchNorm", "_plus_scalar", "Reshape"]
)
KEYS = st.sampled_from(
    ["num_args", "num_outputs", "kernel", "num_filter", "shape", "scalar", "axis", "__shape__", "x"]
)
PARAMS = st.dictionaries(KEYS, TEXTS | st.integers(), max_size=3)
PAIRS = st.lists(st.integers(-1, 4), max_size=3) | st.none()
NODES = st.fixed_dictionaries(
    {"op": OPS, "name": st.sampled_from("abc")},
    optional={
        "inputs": st.lists(PAIRS, max_size=3),
        "attrs": PARAMS,
        "param": PARAMS | st.none(),
        "attr": PARAMS,
    },
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)
FILES = st.fixed_dictionaries(
    {},
    optional={
        "nodes": st.lists(NODES, max_size=5) | JSON,
        "heads": st.lists(PAIRS, min_size=1, max_size=2) | JSON,
        "attrs": JSON,
    },
)


@given(FILES | JSON)
def test_hostile_files_are_read_or_refused(document):
    try:
        net = sym.load_json(json.dumps(document))
    except FormatError as error:
        assert str(error).startswith("load_json: ")  # noqa: PT017 -- it need not be raised
    else:
        assert sym.load_json(net.tojson()).list_arguments() == net.list_arguments()


@given(st.data())
def test_files_with_a_few_wrong_characters_are_read_or_refused(data):
    text = lenet().tojson()
    start = data.draw(st.integers(0, len(text) - 1))
    length = data.draw(st.integers(0, 20))
    put = data.draw(st.text(alphabet='{}[]",:0123456789ae-', max_size=5))
    with contextlib.suppress(FormatError):
        sym.load_json(text[:start] + put + text[start + length :])


# -- With a real MXNet -------------------------------------------------------------------------

PEER = os.environ.get("AF_MXNET_PYTHON")
WITH_PEER = pytest.mark.skipif(not PEER, reason="AF_MXNET_PYTHON names no Python that has MXNet")
MXNET_PROGRAM = """
import json, sys, warnings
warnings.filterwarnings("ignore")
import mxnet as mx
net = mx.sym.load(sys.argv[1])
net.save(sys.argv[2])
shapes = json.loads(sys.argv[3])
found = net.infer_shape(**{name: tuple(shape) for name, shape in shapes.items()})
print(json.dumps([net.list_arguments(), net.list_outputs(), net.list_auxiliary_states(), *found]))
"""


def through_mxnet(net, tmp_path, **shapes):
    """What MXNet says of a file that we write, and the file that it writes then."""
    ours, theirs = tmp_path / "ours.json", tmp_path / "theirs.json"
    net.save(ours)
    done = subprocess.run(  # noqa: S603
        [PEER, "-c", MXNET_PROGRAM, ours, theirs, json.dumps(shapes)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), sym.load(theirs)


@WITH_PEER
@pytest.mark.slow
def test_mxnet_reads_and_writes_the_same(tmp_path):
    net = lenet()
    (arguments, outputs, states, *shapes), back = through_mxnet(net, tmp_path, data=(2, 1, 28, 28))
    assert arguments == net.list_arguments() == back.list_arguments()
    assert outputs == net.list_outputs() == back.list_outputs()
    assert states == net.list_auxiliary_states() == back.list_auxiliary_states()
    ours = [[list(shape) for shape in part] for part in net.infer_shape(data=(2, 1, 28, 28))]
    assert shapes == ours
    assert back.infer_shape(data=(2, 1, 28, 28)) == net.infer_shape(data=(2, 1, 28, 28))
    for name, attributes in net.attr_dict().items():
        assert attributes.items() <= back.attr_dict()[name].items()


COMPUTING_PROGRAM = """
import sys, warnings
warnings.filterwarnings("ignore")
import mxnet as mx
net, arrays = mx.sym.load(sys.argv[1]), mx.nd.load(sys.argv[2])
states = {name: arrays.pop(name) for name in net.list_auxiliary_states()}
bound = net.bind(mx.cpu(), arrays, aux_states=states)
mx.nd.save(sys.argv[3], bound.forward())
"""


@WITH_PEER
@pytest.mark.slow
def test_mxnet_computes_the_same(tmp_path):
    net = lenet()
    arguments, _, states = net.infer_shape(data=(2, 1, 28, 28))
    names = [*net.list_arguments(), *net.list_auxiliary_states()]
    random = np.random.default_rng(7)
    arrays = {
        name: nd.array(random.uniform(0.1, 0.9, shape).astype("f4"))
        for name, shape in zip(names, [*arguments, *states], strict=True)
    }
    paths = [tmp_path / name for name in ("net.json", "in.params", "out.params")]
    net.save(paths[0])
    nd.save(paths[1], arrays)
    done = subprocess.run(  # noqa: S603
        [PEER, "-c", COMPUTING_PROGRAM, *paths], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    aux = {name: arrays.pop(name) for name in net.list_auxiliary_states()}
    ours = net.bind(None, arrays, aux_states=aux).forward()[0].asnumpy()
    np.testing.assert_allclose(ours, nd.load(paths[2])[0].asnumpy(), rtol=1e-4, atol=1e-6)


@WITH_PEER
@pytest.mark.slow
def test_mxnet_knows_every_name_and_parameter_that_is_written(tmp_path):
    x, y = sym.Variable("x", shape=(4, 6)), sym.Variable("y", shape=(4, 6))
    image = sym.Variable("image", shape=(2, 4, 9, 9))
    parts = [getattr(sym, name)(x) for name in UNARY_NAMES]
    for name in BINARY_NAMES:
        function = getattr(sym, name)
        parts += [function(x, y), function(x, 2), function(x, 0.5), function(2, x)]
    parts += [
        *(sym.sum(x, 1), sym.mean(x, (0, 1), keepdims=True), sym.max(x, 0, exclude=True)),
        *(sym.min(x), sym.prod(x), sym.norm(x, 1, ord=1), sym.argmax(x, 1), sym.argmin(x, 0)),
        *(sym.argmax_channel(x), sym.dot(x, y, transpose_b=True), sym.take(x, sym.floor(y))),
        sym.choose_element_0index(x, sym.Variable("index", shape=(4,))),
        *(sym.clip(x, 0, 1), sym.add_n(x, y), sym.identity(x), sym.ones_like(x)),
        *(sym.zeros_like(x), sym.zeros((2, 3)), sym.ones((2,), "int32"), sym.full((2,), 2.5)),
        *(sym.broadcast_to(sym.sum(x, 0, keepdims=True), (4, 6)), sym.reshape_like(x, y)),
        *(sym.broadcast_axis(sym.sum(x, 0, keepdims=True), 0, 4), sym.broadcast_like(x, y)),
        *(sym.Cast(x, "float16"), sym.Concat(x, y, dim=0), sym.expand_dims(x, 1)),
        *(sym.Flatten(image), sym.flip(x, 1), sym.Reshape(x, (0, -1)), sym.slice_axis(x, 1, 1, 3)),
        *(sym.slice(x, (0, None), (2, 3)), sym.SwapAxis(x, 0, 1), sym.transpose(x, (1, 0))),
        *(sym.SliceChannel(x, num_outputs=2), sym.transpose(x), sym.BlockGrad(x)),
        *(sym.softmax(x, temperature=2), sym.log_softmax(x, 0), sym.SoftmaxActivation(x)),
        *(sym.LinearRegressionOutput(x, y), sym.LogisticRegressionOutput(x, y, grad_scale=2)),
        *(sym.MAERegressionOutput(x, y), sym.MakeLoss(x, normalization="batch")),
        sym.SoftmaxOutput(x, sym.Variable("label", shape=(4,)), use_ignore=True, ignore_label=3),
        *(sym.LRN(image, nsize=3), sym.BatchNorm(image, axis=1, eps=1e-2)),
        *(sym.LeakyReLU(image, act_type="prelu"), sym.Activation(x, act_type="softsign")),
        sym.Convolution(image, kernel=(3, 3), num_filter=4, num_group=2, dilate=(2, 2)),
        sym.Deconvolution(image, kernel=(3, 3), num_filter=4, stride=(2, 2), adj=(1, 1)),
        sym.Pooling(image, kernel=(2, 2), pool_type="avg", count_include_pad=False, pad=(1, 1)),
        sym.Pooling(image, kernel=(2, 2), stride=(2, 2), pooling_convention="full"),
        sym.Pooling(image, global_pool=True, pool_type="sum"),
        *(sym.Embedding(x, input_dim=9, output_dim=3), sym.Dropout(x, p=0.1, mode="always")),
    ]
    net = sym.Group(parts)
    (arguments, outputs, states, *shapes), back = through_mxnet(net, tmp_path)
    assert arguments == net.list_arguments()
    assert outputs == net.list_outputs()
    assert states == net.list_auxiliary_states()
    ours = [[list(shape) for shape in part] for part in net.infer_shape()]
    assert shapes == ours
    assert [entry.node.operator for entry in back._entries] == [
        entry.node.operator for entry in sym.load_json(net.tojson())._entries
    ]


UNARY_NAMES = (
    *("negative", "abs", "sign", "round", "rint", "ceil", "floor", "square", "sqrt", "rsqrt"),
    *("cbrt", "reciprocal", "exp", "expm1", "log", "log2", "log10", "log1p", "sin", "cos", "tan"),
    *("arcsin", "arccos", "arctan", "sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh"),
    *("degrees", "radians", "sigmoid", "relu", "logical_not", "trunc", "softrelu"),
)
BINARY_NAMES = (
    *("add", "subtract", "multiply", "divide", "modulo", "power", "maximum", "minimum", "hypot"),
    *("equal", "not_equal", "greater", "greater_equal", "lesser", "lesser_equal", "arctan2"),
    *("logical_and", "logical_or", "logical_xor"),
)
