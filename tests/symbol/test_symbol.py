"""Symbols: composition, outputs, attributes, copies."""

import copy
import pickle

import numpy as np
import pytest

from actorflow import nd, sym
from actorflow.errors import FormatError, GradientError


def mlp():
    data = sym.Variable("data")
    net = sym.FullyConnected(data, name="fc1", num_hidden=8)
    net = sym.Activation(net, name="act", act_type="relu")
    net = sym.FullyConnected(net, name="fc2", num_hidden=3)
    return sym.SoftmaxOutput(net, name="softmax")


def test_lists():
    net = mlp()
    assert net.name == "softmax"
    assert net.list_outputs() == ["softmax_output"]
    assert net.list_arguments() == [
        *("data", "fc1_weight", "fc1_bias", "fc2_weight", "fc2_bias", "softmax_label")
    ]
    assert net.list_auxiliary_states() == []
    norm = sym.BatchNorm(name="bn")
    assert norm.list_arguments() == ["bn_data", "bn_gamma", "bn_beta"]
    assert norm.list_auxiliary_states() == ["bn_moving_mean", "bn_moving_var"]
    assert norm.list_outputs() == ["bn_output"]
    assert repr(net) == "<Symbol softmax>"


def test_internals_are_found_by_name():
    inside = mlp().get_internals()
    assert inside.list_outputs()[:4] == ["data", "fc1_weight", "fc1_bias", "fc1_output"]
    layer = inside["fc1_output"]
    assert layer.name == "fc1"
    assert layer.list_arguments() == ["data", "fc1_weight", "fc1_bias"]
    assert inside[0].name == "data"
    assert mlp().get_children().list_outputs() == ["fc2_output", "softmax_label"]
    assert sym.Variable("x").get_children() is None


def test_an_output_that_is_not_there_is_refused_with_near_names():
    inside = mlp().get_internals()
    with pytest.raises(KeyError, match="no outputs are called 'fc1_outptu'; did you mean fc1_out"):
        inside["fc1_outptu"]
    with pytest.raises(IndexError):
        inside[99]
    x = sym.Variable("x")
    with pytest.raises(KeyError, match="2 outputs are called 'x'"):
        sym.Group([x, x])["x"]


def test_groups():
    x = sym.Variable("x")
    cut = sym.SliceChannel(x, num_outputs=2, name="cut")
    group = sym.Group([cut, x])
    assert len(group) == 3
    assert group.name is None
    assert group.list_outputs() == ["cut_output0", "cut_output1", "x"]
    assert [each.list_outputs() for each in group] == [["cut_output0"], ["cut_output1"], ["x"]]
    assert repr(group) == "<Symbol group [cut_output0, cut_output1, x]>"
    with pytest.raises(ValueError, match="at least one symbol"):
        sym.Group([])
    with pytest.raises(TypeError, match="takes symbols, got 3"):
        sym.Group([3])


def test_composition_by_name_and_in_order():
    inner = sym.FullyConnected(name="inner", num_hidden=3)
    data = sym.Variable("data")
    by_name = inner(inner_data=data, name="again")
    assert by_name.list_arguments() == ["data", "inner_weight", "inner_bias"]
    assert by_name.list_outputs() == ["again_output"]
    assert inner(data).list_arguments() == ["data", "inner_weight", "inner_bias"]
    assert inner.list_arguments()[0] == "inner_data"  # which stays what it was
    with pytest.raises(KeyError, match="no argument 'inner_dat'; did you mean inner_data"):
        inner(inner_dat=data)
    with pytest.raises(TypeError, match="in their order or by name, not both"):
        inner(data, inner_data=data)
    with pytest.raises(TypeError, match="4 symbols for 3 arguments"):
        inner(data, data, data, data)
    with pytest.raises(TypeError, match="inner_data has to be a symbol"):
        inner(3)


def test_composition_shares_weights():
    weight = sym.Variable("w")
    layer = sym.FullyConnected(weight=weight, num_hidden=3, no_bias=True, name="fc")
    both = layer(fc_data=sym.Variable("a")) + layer(fc_data=sym.Variable("b"))
    assert both.list_arguments() == ["a", "w", "b"]


def test_arithmetic_makes_nodes():
    x, y = sym.Variable("x"), sym.Variable("y")
    values = {"x": np.array([2.0, 5.0], "f4"), "y": np.array([3.0, 4.0], "f4")}
    made = ((x + 1) * y - 2 / x) ** 2 % 3 + (-x) - abs(-y)
    made += (x > y) + (y > 2) + (x <= 2) + (y >= 5) + 2**x
    a, b = values["x"], values["y"]
    expected = ((a + 1) * b - 2 / a) ** 2 % 3 - a - b
    expected += (1.0 * (a > b)) + (b > 2) + (a <= 2) + (b >= 5) + 2**a
    args = {name: nd.array(value) for name, value in values.items()}
    np.testing.assert_allclose(made.bind(None, args).forward()[0].asnumpy(), expected, rtol=1e-6)
    assert (x == x) is True  # noqa: PLR0124 -- symbols are keys
    with pytest.raises(TypeError, match="no truth value"):
        bool(x)
    with pytest.raises(TypeError, match="unsupported operand"):
        x + "1"


def test_what_a_symbol_lacks_says_how_to_get_it():
    with pytest.raises(AttributeError, match="it has not been computed; bind it to arrays first"):
        _ = sym.Variable("x").shape


# -- Attributes --------------------------------------------------------------------------------


def test_attributes_are_found_in_both_spellings():
    x = sym.Variable("x", attr={"mood": "good", "__old__": "1"}, lr_mult=2, shape=(2, 3))
    assert x.attr("mood") == x.attr("__mood__") == "good"
    assert x.attr("old") == x.attr("__old__") == "1"
    assert x.attr("lr_mult") == "2"
    assert x.attr("__shape__") == "(2, 3)"
    assert x.attr("nothing") is None
    assert sym.Group([x, sym.Variable("y")]).attr("mood") is None
    assert x.list_attr() == {
        "mood": "good",
        "__old__": "1",
        "__lr_mult__": "2",
        "__shape__": "(2, 3)",
    }
    net = sym.exp(x, name="e", attr={"a": "b"})
    assert net.attr_dict() == {"x": x.list_attr(), "e": {"a": "b"}}
    assert net.list_attr(recursive=True)["e_a"] == "b"
    net._set_attr(a="c")
    assert net.attr("a") == "c"
    with pytest.raises(TypeError, match="has to be a text"):
        net._set_attr(a=1)


# -- Copies ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, lambda symbol: pickle.loads(pickle.dumps(symbol))],  # noqa: S301
)
def test_copies_have_nodes_of_their_own(copied):
    with sym.AttrScope(stage="1"):
        net = mlp()
    other = copied(net)
    other._set_attr(stage="2")
    assert (net.attr("stage"), other.attr("stage")) == ("1", "2")
    assert other.list_arguments() == net.list_arguments()
    assert net.attr_dict()["fc1"] == other.attr_dict()["fc1"] == {"stage": "1"}
    assert other.infer_shape(data=(2, 5)) == net.infer_shape(data=(2, 5))


def test_what_files_cannot_hold_is_not_pickled():
    x = sym.Variable("x")
    with pytest.raises(FormatError, match=r"node 'f' cannot be written: .*'floor_divide'"):
        pickle.dumps(sym.floor_divide(x, x, name="f"))


# -- Gradients ---------------------------------------------------------------------------------


def test_gradients_are_symbols():
    x, y = sym.Variable("x"), sym.Variable("y")
    grads = (x * x * y).grad(["x", "y"])
    args = {"x": nd.array([3.0]), "y": nd.array([5.0])}
    found = [array.asnumpy().tolist() for array in grads.bind(None, args).forward()]
    assert found == [[30.0], [9.0]]
    with pytest.raises(KeyError, match="no argument 'z'"):
        (x * y).grad(["z"])
    with pytest.raises(GradientError, match="no output depends on 'x'"):
        sym.BlockGrad(x).grad(["x"])


def test_debug_str():
    text = sym.FullyConnected(sym.Variable("data"), num_hidden=3, name="fc").debug_str()
    assert text == (
        "Outputs:\n  0: fc_output\nVariable data\nVariable fc_weight\nVariable fc_bias\n"
        "FullyConnected fc(num_hidden=3)\n  data = data\n  weight = fc_weight\n"
        "  bias = fc_bias"
    )
    x = sym.Variable("x", attr={"a": "b"})
    assert "  [a = b]" in x.debug_str()
    assert "FullyConnected_gradient" in sym.FullyConnected(x, num_hidden=3).grad(["x"]).debug_str()
