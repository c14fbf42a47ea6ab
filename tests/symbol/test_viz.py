"""Networks as tables and pictures."""

import sys

import pytest

import actorflow as af
from actorflow import sym, viz
from actorflow.errors import MissingExtraError, ShapeError


def net():
    return sym.chain(
        sym.Variable("data"),
        sym.Convolution(kernel=(3, 3), num_filter=4, name="conv"),
        sym.BatchNorm(name="bn"),
        sym.Flatten(name="flat"),
        sym.FullyConnected(num_hidden=10, name="fc"),
        sym.SoftmaxOutput(name="softmax"),
    )


TABLE = """\
________________________________________________________________________________
Layer (type)                Output shape        Parameters  Takes
================================================================================
data (data)                 (2, 1, 8, 8)        0
conv (Convolution)          (2, 4, 6, 6)        40          data
bn (BatchNorm)              (2, 4, 6, 6)        8           conv_output
flat (Flatten)              (2, 144)            0           bn_output
fc (FullyConnected)         (2, 10)             1,450       flat_output
softmax (SoftmaxOutput)     (2, 10)             0           fc_output
================================================================================
Parameters in all: 1,498
"""


def test_a_summary(capsys):
    af.viz.print_summary(net(), {"data": (2, 1, 8, 8)}, line_length=80)
    assert capsys.readouterr().out == TABLE


def test_a_summary_without_shapes(capsys):
    viz.print_summary(net())
    out = capsys.readouterr().out
    assert "conv (Convolution)" in out
    assert "Parameters in all: 0" in out


def test_weights_that_are_shared_count_once(capsys):
    weight = sym.Variable("w")
    layer = sym.FullyConnected(weight=weight, num_hidden=3, no_bias=True, name="fc")
    both = sym.Concat(layer(fc_data=sym.Variable("a")), layer(fc_data=sym.Variable("b")))
    viz.print_summary(both, {"a": (2, 5), "b": (2, 5)})
    assert "Parameters in all: 15" in capsys.readouterr().out


def test_a_long_name_goes_on_below(capsys):
    viz.print_summary(sym.exp(sym.Variable("x"), name="n" * 40), {"x": (2,)}, line_length=80)
    lines = capsys.readouterr().out.splitlines()
    assert lines[4].startswith("n" * 27 + " (2,)")
    assert lines[5] == "n" * 13 + " (exp)"


def test_a_summary_needs_shapes_that_tell_all():
    both = net() + sym.Variable("other")
    with pytest.raises(ShapeError, match="do not tell that of"):
        viz.print_summary(both, {"data": (2, 1, 8, 8)})
    with pytest.raises(KeyError, match="did you mean data"):
        viz.print_summary(net(), {"dat": (2, 1, 8, 8)})


def test_a_picture():
    pytest.importorskip("graphviz")
    dot = viz.plot_network(
        net(), "lenet", {"data": (2, 1, 8, 8)}, {"fontname": "Sans"}, save_format="svg"
    )
    assert (dot.name, dot.format) == ("lenet", "svg")
    source = dot.source
    assert r'label="conv\nConvolution\nkernel=(3, 3), num_filter=4"' in source
    assert 'label="4x6x6"' in source
    assert "fontname=Sans" in source
    assert "conv_weight" not in source
    assert "bn_moving_mean" not in source
    assert "softmax_label" in source
    assert "conv_weight" in viz.plot_network(net(), hide_weights=False).source


def test_gradients_can_be_drawn():
    pytest.importorskip("graphviz")
    assert "FullyConnected_gradient" in viz.plot_network(net().grad(["fc_weight"])).source


def test_without_graphviz_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "graphviz", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'actorflow\[viz\]'"):
        viz.plot_network(net())
