"""The functions of `af.sym`."""

import inspect
import subprocess
import sys

import numpy as np
import pytest

import actorflow as af
from actorflow import nd, ops, sym
from actorflow.errors import ParameterError
from docs.make_symbols import written
from docs.symbol_tables import BINARY, MODULES, UNARY

NO_FUNCTION = {
    # Of arrays alone, whose results have shapes that no expression knows.
    *("Arange", "Assign", "Fill", "GetItem", "Normal", "OneHotEncode", "RandInt", "SetItem"),
    *("Orthogonal", "Shuffle", "Uniform"),
    # Its function is written by hand.
    "Custom",
    # What other operators are made of.
    *("After", "Copy", "CrossDeviceCopy", "Elementwise", "Full", "Operator", "Reduction"),
    *("SumLike", "WithScalar"),
    # What passes put in the place of others.
    *("Activated", "Constant", "Fused"),
    # Optimizers apply them to arrays.
    *("AdaDeltaUpdate", "AdaGradUpdate", "AdamUpdate", "DCASGDUpdate", "FtrlUpdate"),
    *("NAGMomUpdate", "RMSPropAlexUpdate", "RMSPropUpdate", "SGDMomUpdate", "SGDUpdate"),
    *("SGLDUpdate", "WeightUpdate"),
}


def test_the_files_are_what_the_operators_say():
    outdated = [
        path.name for path, text in written().items() if path.read_text(encoding="utf-8") != text
    ]
    assert outdated == [], "run `make symbols`"


def test_every_operator_has_a_function():
    kinds = {
        name
        for name in ops.__all__
        if inspect.isclass(getattr(ops, name)) and issubclass(getattr(ops, name), ops.Operator)
    }
    used = {function.kind.__name__ for module in MODULES for function in module.functions}
    assert kinds - used == NO_FUNCTION
    assert {*BINARY, *UNARY} == set(ops.ELEMENTWISE)


def test_the_namespace():
    assert af.sym is sym
    assert [name for name in sym.__all__ if not hasattr(sym, name)] == []
    public = [name for name in vars(sym) if not name.startswith("_")]
    assert sorted(public) == sorted(sym.__all__)
    assert af.Symbol is sym.Symbol
    assert sym.var is sym.Variable


@pytest.mark.slow
def test_symbols_can_be_imported_alone():
    code = "from actorflow import sym; print(sym.FullyConnected(num_hidden=3).list_arguments())"
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    expected = [f"fullyconnected0_{name}" for name in ("data", "weight", "bias")]
    assert done.stdout.strip() == str(expected)


def test_a_layer_makes_variables_for_what_is_missing():
    data = sym.Variable("data")
    net = sym.FullyConnected(data, num_hidden=3, name="fc", attr={"lr_mult": "2"})
    assert net.list_arguments() == ["data", "fc_weight", "fc_bias"]
    assert net.list_outputs() == ["fc_output"]
    assert net.attr_dict()["fc_weight"] == {"lr_mult": "2"}
    assert "data" not in net.attr_dict()
    shared = sym.Variable("w")
    assert sym.FullyConnected(data, shared, num_hidden=3, name="fc").list_arguments()[1] == "w"
    bare = sym.FullyConnected(num_hidden=3, no_bias=True, name="fc")
    assert bare.list_arguments() == ["fc_data", "fc_weight"]


def test_an_input_that_the_operator_does_not_have_is_refused():
    data = sym.Variable("data")
    with pytest.raises(TypeError, match="takes only data, weight as it is, got <Symbol data> too"):
        sym.FullyConnected(data, bias=data, num_hidden=3, no_bias=True)
    with pytest.raises(TypeError, match="data has to be a symbol, got 3"):
        sym.exp(3)
    with pytest.raises(TypeError, match=r"with one output, but .* has 2: choose one"):
        sym.exp(sym.SliceChannel(data, num_outputs=2))


def test_parameters_are_checked():
    with pytest.raises(ParameterError, match=r"act_type needs .*did you mean 'relu'"):
        sym.Activation(act_type="rellu")
    with pytest.raises(TypeError, match="num_hiden"):
        sym.FullyConnected(num_hiden=3)
    with pytest.raises(TypeError, match="has to be a text"):
        sym.exp(attr={"a": 1})


def test_functions_take_their_parameters_in_order():
    data = sym.Variable("data", shape=(2, 3, 4))
    assert sym.reshape(data, (0, -1)).infer_shape()[1] == [(2, 12)]
    assert sym.sum(data, 1).infer_shape()[1] == [(2, 4)]
    assert sym.transpose(data, (2, 0, 1)).infer_shape()[1] == [(4, 2, 3)]
    assert sym.expand_dims(data, 0).infer_shape()[1] == [(1, 2, 3, 4)]
    assert sym.slice_axis(data, 2, 1, None).infer_shape()[1] == [(2, 3, 3)]
    assert sym.clip(data, 0, 1).infer_shape()[1] == [(2, 3, 4)]
    assert sym.swapaxes(data, 0, 2).infer_shape()[1] == [(4, 3, 2)]
    assert sym.cast(data, "int32").infer_type(data="float32")[1] == [np.dtype("int32")]


def test_any_number_of_symbols():
    parts = [sym.Variable(name, shape=(2, 3)) for name in "abc"]
    assert sym.Concat(*parts, dim=0).infer_shape()[1] == [(6, 3)]
    assert sym.concat(*parts, num_args=3, name="all").list_outputs() == ["all_output"]
    assert sym.add_n(*parts).infer_shape()[1] == [(2, 3)]
    made = sym.ElementWiseSum(num_args=2, name="s")
    assert made.list_arguments() == ["s_arg0", "s_arg1"]
    with pytest.raises(ParameterError, match="num_args is 2, but there are 3 symbols"):
        sym.Concat(*parts, num_args=2)
    with pytest.raises(ParameterError, match="num_args needs an integer of at least 1"):
        sym.Concat()


def computed(symbol, **arrays):
    bound = symbol.bind(None, {name: nd.array(value) for name, value in arrays.items()})
    return bound.forward()[0].asnumpy()


@pytest.mark.parametrize("name", UNARY)
def test_functions_of_one_symbol(name):
    data = np.array([[0.25, 0.5], [0.75, 1.0]], "f4")
    if name == "arccosh":
        data = data + 1
    expected = getattr(nd, name)(nd.array(data)).asnumpy()
    result = computed(getattr(sym, name)(sym.Variable("data"), name="f"), data=data)
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("name", BINARY)
def test_functions_of_two_symbols_or_a_number(name):
    one, other = np.array([[1, 2], [0, 5]], "f4"), np.array([[3, 2], [1, 0.5]], "f4")
    ours, theirs = getattr(sym, name), getattr(nd, name)
    x, y = sym.Variable("x"), sym.Variable("y")
    cases = [
        (ours(x, y), {"x": one, "y": other}, (one, other)),
        (ours(x, 3), {"x": one}, (one, 3)),
        (ours(3, y), {"y": other}, (3, other)),
    ]
    for symbol, arrays, operands in cases:
        given = [nd.array(each) if isinstance(each, np.ndarray) else each for each in operands]
        np.testing.assert_array_equal(computed(symbol, **arrays), theirs(*given).asnumpy())
    with pytest.raises(TypeError, match="two symbols, or a symbol and a number"):
        ours(1, 2)
    with pytest.raises(TypeError, match="two symbols, or a symbol and a number"):
        ours(x, "1")


def test_constants():
    np.testing.assert_array_equal(computed(sym.zeros((2, 3))), np.zeros((2, 3)))
    np.testing.assert_array_equal(computed(sym.ones(2) + sym.full(2, 2.5)), [3.5, 3.5])
    assert sym.zeros((1,), "int32").infer_type()[1] == [np.dtype("int32")]
    np.testing.assert_array_equal(computed(sym.ones_like(sym.Variable("x")), x=[[3.0]]), [[1]])


def test_a_chain_of_layers():
    net = sym.chain(
        sym.Variable("data"),
        sym.FullyConnected(num_hidden=8, name="fc1"),
        sym.Activation(act_type="relu", name="act"),
        lambda data: data * 2,
        sym.FullyConnected(num_hidden=3, name="fc2"),
        sym.SoftmaxOutput(name="softmax"),
    )
    assert net.list_arguments() == [
        *("data", "fc1_weight", "fc1_bias", "fc2_weight", "fc2_bias", "softmax_label")
    ]
    assert net.infer_shape(data=(4, 5))[1] == [(4, 3)]
    data = sym.Variable("data")
    assert sym.chain(data) is data


def test_a_chain_says_which_layer_is_wrong():
    data = sym.Variable("data")
    with pytest.raises(TypeError, match="starts with a symbol, got 3"):
        sym.chain(3)
    with pytest.raises(TypeError, match="layer 1 is neither a symbol nor a function: 'relu'"):
        sym.chain(data, sym.exp(), "relu")
    with pytest.raises(TypeError, match="layer 0 gave no symbol, but None"):
        sym.chain(data, lambda _: None)
