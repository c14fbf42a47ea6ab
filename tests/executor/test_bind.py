"""What binding and feeding refuse, in whose name, before anything changes."""

import json

import numpy as np
import pytest

import actorflow as af
from actorflow import nd, sym
from actorflow.errors import DTypeError, ShapeError

HERE = "test_bind.py"


def exp():
    return sym.exp(sym.Variable("data"), name="e")


def test_collections_of_arrays_are_collections():
    ones = [nd.ones(2)]
    with pytest.raises(TypeError, match=r"^bind: args needs arrays in a list or by name, got No"):
        exp().bind(None, None)
    with pytest.raises(TypeError, match=r"^bind: args needs .* got an NDArray"):
        exp().bind(None, ones[0])
    with pytest.raises(TypeError, match=r"^bind: args_grad needs .* got 7"):
        exp().bind(None, ones, 7)
    with pytest.raises(TypeError, match=r"^bind: aux_states needs .* got 'mean'"):
        exp().bind(None, ones, aux_states="mean")


@pytest.mark.parametrize("request_", [None, 5, "wrte", ["wrte"], {"data": "wrte"}])
def test_grad_req_is_refused_in_the_name_of_who_asked(request_):
    with pytest.raises(ValueError, match=r"^bind: grad_req takes 'write', 'add' or 'null'"):
        exp().bind(None, [nd.ones(2)], grad_req=request_)
    with pytest.raises(ValueError, match=r"^simple_bind: grad_req takes 'write', 'add' or 'null'"):
        exp().simple_bind(grad_req=request_, data=(2,))
    with pytest.raises(ValueError, match=r"^simple_bind: grad_req has 'dta'"):
        exp().simple_bind(grad_req={"dta": "write"}, data=(2,))


def test_two_variables_of_one_name_are_refused_with_both_lines():
    one = sym.Variable("a")
    other = sym.Variable("a")
    both = sym.elemwise_add(one, other, name="sum")
    for who, call in (
        ("bind", lambda: both.bind(None, [nd.ones(2), nd.ones(2)])),
        ("simple_bind", lambda: both.simple_bind(a=(2,))),
    ):
        with pytest.raises(
            ValueError, match=f"^{who}: two variables of .* are called 'a'"
        ) as found:
            call()
        lines = str(found.value).splitlines()[1:]
        assert [HERE in line for line in lines] == [True, True]
        assert lines[0] != lines[1]
    states = sym.BatchNorm(sym.Variable("x"), moving_mean=sym.Variable("x"))
    with pytest.raises(ValueError, match="are called 'x'"):
        states.simple_bind(x=(2, 3))
    assert sym.elemwise_add(one, one).simple_bind(a=(2,)).forward()[0].shape == (2,)


def test_arrays_are_what_their_variables_were_made_with():
    net = sym.exp(sym.Variable("data", shape=(4, 2), dtype="float64"))
    good = nd.ones((4, 2), dtype="float64")
    with pytest.raises(ShapeError, match=r"^bind: data has shape \(3, 2\), but .* \(4, 2\), made"):
        net.bind(None, [nd.ones((3, 2), dtype="float64")])
    with pytest.raises(DTypeError, match=r"^bind: data is float32, but .* float64, made at .*"):
        net.bind(None, [nd.ones((4, 2))])
    executor = net.bind(None, [good])
    # Whoever names a shape means it.
    assert executor.reshape(data=(2, 2)).forward()[0].shape == (2, 2)
    assert net.simple_bind(data=(1, 2)).outputs[0].shape == (1, 2)
    state = sym.BatchNorm(
        sym.Variable("x"), moving_mean=sym.Variable("m", dtype="float64"), name="b"
    )
    arrays = {"x": nd.ones((2, 3)), "b_gamma": nd.ones(3), "b_beta": nd.ones(3)}
    with pytest.raises(DTypeError, match=r"^bind: m is float32, but"):
        state.bind(None, arrays, aux_states={"m": nd.ones(3), "b_moving_var": nd.ones(3)})


@pytest.mark.parametrize(
    "wrong",
    [
        np.ones(2, complex),
        np.ones(2, object),
        np.array(["1", "2"]),
        np.array([1, 2], "M8[s]"),
        np.zeros(2, "V4"),
    ],
    ids=["complex", "object", "text", "dates", "void"],
)
def test_forward_takes_arrays_of_real_numbers(wrong):
    net = sym.Variable("a") + sym.Variable("b")
    executor = net.simple_bind(a=(2,), b=(2,))
    with pytest.raises(DTypeError, match=r"^forward: b is of .*, but needs real numbers"):
        executor.forward(a=nd.ones(2), b=wrong)
    assert executor.arg_dict["a"].asnumpy().tolist() == [0, 0]
    found = executor.forward(a=np.ones(2, np.int16), b=np.array([True, False]))
    assert found[0].asnumpy().tolist() == [2, 1]


def test_forward_refuses_what_cannot_be_written_before_it_writes():
    net = sym.Variable("a") + sym.Variable("b")
    args = [nd.zeros(2), nd.array([0.0, 0.0], writable=False)]
    executor = net.bind(None, args)
    with pytest.raises(ValueError, match=r"^forward: b was bound to an array that is not writable"):
        executor.forward(a=nd.ones(2), b=nd.ones(2))
    assert args[0].asnumpy().tolist() == [0, 0]


def test_variables_check_what_they_are_given():
    assert sym.Variable("x", shape=5).infer_shape()[1] == [(5,)]
    for wrong, message in (
        ({"shape": "ab"}, "Variable: x: a shape is made of integers, got 'ab'"),
        ({"shape": (2.5,)}, "Variable: x: a shape is made of integers"),
        ({"attr": "q"}, "Variable: attr has to be a dict of texts, got 'q'"),
        ({"attr": {1: "q"}}, "Variable: an attribute is called 1, but needs a text"),
        ({"attr": {"q": 1}}, "Variable: the attribute q has to be a text, got 1"),
        ({"lr_mult": "q"}, "Variable: lr_mult has to be a number, got 'q'"),
        ({"wd_mult": [1]}, r"Variable: wd_mult has to be a number, got \[1\]"),
    ):
        with pytest.raises(TypeError, match=f"^{message}"):
            sym.Variable("x", **wrong)
    with pytest.raises(ValueError, match=r"^Variable: x: a shape has no negative sizes"):
        sym.Variable("x", shape=(-1, 2))
    with pytest.raises(DTypeError, match=r"^Variable: x: dtype 'floot' is not supported"):
        sym.Variable("x", dtype="floot")
    with pytest.raises(TypeError, match=r"^exp: attr has to be a dict of texts, got \[1\]"):
        sym.exp(sym.Variable("x"), attr=[1])


def test_groups_are_of_several_symbols():
    for wrong in (None, 3):
        with pytest.raises(TypeError, match=f"^Group: takes several symbols, got {wrong}"):
            sym.Group(wrong)


def test_data_types_of_variables_are_numbers_in_files_as_mxnet_has_them():
    net = sym.exp(sym.Variable("x", shape=(2,), dtype="float64"))
    (attributes,) = [node["attrs"] for node in json.loads(net.tojson())["nodes"] if "attrs" in node]
    assert attributes == {"__shape__": "(2,)", "__dtype__": "1"}
    assert sym.load_json(net.tojson()).infer_type()[1] == [np.dtype("float64")]
    for spelled, wanted in (("int32", "int32"), ("4", "int32"), ("2", "float16")):
        named = sym.exp(sym.Variable("x", attr={"__dtype__": spelled}))
        assert named.infer_type()[0] == [np.dtype(wanted)]
    assert sym.exp(sym.Variable("x", attr={"__dtype__": "-1"})).infer_type()[0] is None
    with pytest.raises(DTypeError, match=r"^x: dtype '99' is not supported"):
        sym.exp(sym.Variable("x", attr={"__dtype__": "99"})).infer_type()


def test_contexts_are_told_apart():
    with pytest.raises(TypeError, match=r"^simple_bind: "):
        exp().simple_bind("cpu", data=(2,))
    assert exp().simple_bind(af.cpu(), data=(2,)).context == af.cpu()


def test_copied_parameters_are_refused_before_any_is_copied():
    executor = sym.elemwise_add(sym.Variable("a"), sym.Variable("b")).simple_bind(a=(2,), b=(2,))
    with pytest.raises(TypeError, match=r"^copy_params_from: b has to be an NDArray, got an nd"):
        executor.copy_params_from({"a": nd.ones(2), "b": np.ones(2, np.float32)})
    with pytest.raises(TypeError, match=r"^copy_params_from: takes arrays by name, got a list"):
        executor.copy_params_from([nd.ones(2)])
    assert (executor.arg_dict["a"].asnumpy() == 0).all()


@pytest.mark.parametrize("wrong", [None, "yes", [1], np.ones(2), nd.ones(2)])
def test_whether_to_train_is_true_or_false(wrong):
    executor = exp().simple_bind(data=(2,))
    with pytest.raises(TypeError, match=r"^forward: is_train needs True or False, got "):
        executor.forward(wrong, data=nd.ones(2))
    assert (executor.arg_dict["data"].asnumpy() == 0).all()
    for right in (1, True, np.True_):
        executor.forward(right)
        executor.backward(nd.ones(2))
        assert (executor.grad_dict["data"].asnumpy() == 1).all()


@pytest.mark.parametrize("wrong", [5, "ones", {"e_output": None}])
def test_gradients_of_outputs_are_a_collection(wrong):
    executor = exp().simple_bind(data=(2,))
    executor.forward(is_train=True)
    with pytest.raises(TypeError, match=r"^backward: out_grads needs an NDArray, or a list"):
        executor.backward(wrong)


def test_states_that_cannot_be_written_are_good_for_prediction_alone():
    one = np.ones(2, np.float32)
    one.flags.writeable = False
    net = sym.BatchNorm(sym.Variable("data"), name="norm")
    args = [nd.ones((3, 2)), nd.ones(2), nd.zeros(2)]
    executor = net.bind(None, args, aux_states=[nd.from_dlpack(one), nd.from_dlpack(one)])
    assert executor.forward()[0].asnumpy().shape == (3, 2)
    with pytest.raises(ValueError, match=r"^forward: norm_moving_mean is updated in training, but"):
        executor.forward(is_train=True)
