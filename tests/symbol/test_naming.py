"""Names and attributes that come from what surrounds a symbol."""

import threading

import pytest

import actorflow as af
from actorflow import sym


def test_names_are_made_up_from_the_operator_and_a_number():
    with sym.NameManager():
        names = [sym.FullyConnected(num_hidden=3).name for _ in range(2)]
        assert names == ["fullyconnected0", "fullyconnected1"]
        assert sym.exp(sym.Variable("x")).name == "exp0"
        with sym.NameManager():
            assert sym.exp(sym.Variable("x")).name == "exp0"
        assert sym.exp(sym.Variable("x")).name == "exp1"
        assert sym.exp(sym.Variable("x"), name="mine").name == "mine"


def test_a_prefix_is_put_before_every_name_of_an_operator():
    with sym.Prefix("net_"):
        layer = sym.FullyConnected(sym.Variable("data"), num_hidden=3, name="fc")
        assert layer.list_arguments() == ["data", "net_fc_weight", "net_fc_bias"]
        assert sym.exp(layer).name == "net_exp0"


def test_a_scope_may_be_entered_again_and_inside_of_itself():
    scope = sym.Prefix("a_")
    with scope, sym.Prefix("b_"), scope:
        assert sym.exp(sym.Variable("x"), name="e").name == "a_e"
    assert sym.exp(sym.Variable("x"), name="e").name == "e"


def test_attributes_of_inner_scopes_and_of_the_symbol_win():
    with sym.AttrScope(group="1", stage="a"):
        with sym.AttrScope(group="2"):
            x = sym.Variable("x", attr={"stage": "b"})
            net = sym.FullyConnected(x, num_hidden=3, name="fc")
        y = sym.Variable("y")
    assert x.list_attr() == {"group": "2", "stage": "b"}
    assert net.attr_dict()["fc_weight"] == {"group": "2", "stage": "a"}
    assert y.list_attr() == {"group": "1", "stage": "a"}
    assert sym.Variable("z").list_attr() == {}


def test_attributes_are_texts():
    with pytest.raises(TypeError, match="AttrScope: the attribute group has to be a text, got 1"):
        sym.AttrScope(group=1)
    with pytest.raises(TypeError, match="Variable: the attribute a has to be a text"):
        sym.Variable("x", attr={"a": None})
    with pytest.raises(TypeError, match="the name has to be a text"):
        sym.Variable(3)
    with pytest.raises(TypeError, match="FullyConnected: the name has to be a text, got 3"):
        sym.FullyConnected(num_hidden=3, name=3)


def test_scopes_concern_their_own_thread():
    found = []
    with sym.AttrScope(group="1"):
        thread = threading.Thread(target=lambda: found.append(sym.Variable("x").list_attr()))
        thread.start()
        thread.join()
    assert found == [{}]


def test_early_mxnets_modules_of_names_and_attributes():
    with af.name.Prefix("left_"), af.attribute.AttrScope(lr_mult="2"):
        layer = sym.tanh(sym.Variable("data"), name="layer")
    assert layer.name == "left_layer"
    assert layer.attr("lr_mult") == "2"
    assert af.name.NameManager is sym.NameManager
