"""Shapes and data types of symbols."""

import numpy as np
import pytest

from actorflow import sym
from actorflow.errors import DTypeError, ShapeError


def net():
    data = sym.Variable("data")
    layer = sym.FullyConnected(data, num_hidden=3, name="fc")
    return sym.SoftmaxOutput(layer, name="softmax")


def test_shapes_follow_from_the_data():
    arguments, outputs, states = net().infer_shape(data=(4, 5))
    assert arguments == [(4, 5), (3, 5), (3,), (4,)]
    assert outputs == [(4, 3)]
    assert states == []
    assert net().infer_shape((4, 5))[0] == arguments
    assert sym.BatchNorm(name="bn").infer_shape(bn_data=(2, 6, 3))[2] == [(6,), (6,)]


def test_what_cannot_be_told_is_none():
    assert net().infer_shape() == (None, None, None)
    both = sym.Group([net(), sym.exp(sym.Variable("x", shape=(2,)))])
    arguments, outputs, _ = both.infer_shape_partial(softmax_label=(4,))
    assert arguments == [None, None, None, (4,), (2,)]
    assert outputs == [None, (2,)]
    assert net().infer_type() == (None, None, None)


def test_hints_of_variables_count_unless_another_shape_is_given():
    x = sym.Variable("x", shape=(2, 3), dtype="float16")
    assert sym.exp(x).infer_shape()[1] == [(2, 3)]
    assert sym.exp(x).infer_shape(x=(4,))[1] == [(4,)]
    assert sym.exp(x).infer_type()[1] == [np.dtype("float16")]
    assert sym.exp(sym.Variable("x", shape=(0, 3))).infer_shape() == (None, None, None)
    with pytest.raises(ShapeError, match="its attribute __shape__ is no shape: 'x'"):
        sym.Variable("x", attr={"__shape__": "x"}).infer_shape()


def test_types_follow_from_the_data():
    arguments, outputs, _ = sym.FullyConnected(num_hidden=3).infer_type("float64")
    assert arguments == [np.dtype("float64")] * 3
    assert outputs == [np.dtype("float64")]
    with pytest.raises(DTypeError, match="'complex64' is not supported"):
        sym.exp(sym.Variable("x")).infer_type(x="complex64")


def test_shapes_that_do_not_fit_name_the_node_and_both_lines():
    x = sym.Variable("x")
    w = sym.Variable("w")
    layer = sym.FullyConnected(x, w, num_hidden=3, name="fc")
    with pytest.raises(ShapeError, match="FullyConnected: weight has shape") as caught:
        layer.infer_shape(x=(2, 5), w=(3, 4))
    first, *others = caught.value.__notes__
    assert "in FullyConnected 'fc'" in first
    line = test_shapes_that_do_not_fit_name_the_node_and_both_lines.__code__.co_firstlineno
    assert f"{__file__}:{line + 3}, in" in first
    assert "weight is 'w', shape (3, 4)" in others[1]
    assert f"{__file__}:{line + 2}, in" in others[1]


def test_two_layers_that_disagree():
    w = sym.Variable("w")
    one = sym.FullyConnected(sym.Variable("a"), w, num_hidden=3, no_bias=True, name="one")
    other = sym.FullyConnected(sym.Variable("b"), w, num_hidden=3, no_bias=True, name="other")
    with pytest.raises(ShapeError) as caught:
        sym.Group([one, other]).infer_shape(a=(2, 5), b=(2, 4))
    assert "in FullyConnected 'other'" in caught.value.__notes__[0]


def test_names_that_are_not_there_are_refused_with_near_ones():
    with pytest.raises(KeyError, match="infer_shape: there is no argument 'dat'; did you mean dat"):
        net().infer_shape(dat=(4, 5))
    with pytest.raises(TypeError, match="in order or by name, not both"):
        net().infer_shape((4, 5), data=(4, 5))
    with pytest.raises(TypeError, match="5 values for 4 arguments"):
        net().infer_shape(*[(1,)] * 5)
