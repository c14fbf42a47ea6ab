"""What typical mistakes with symbols are told."""

import numpy as np
import pytest

import actorflow as af
from actorflow import nd, sym
from actorflow.operator import CustomOp, CustomOpProp, NumpyOp, register


def layer():
    return sym.FullyConnected(sym.Variable("data"), num_hidden=2, name="fc")


def test_the_output_of_a_layer_is_meant_by_its_name():
    with pytest.raises(KeyError, match="no outputs are called 'fc'; did you mean fc_output"):
        layer().get_internals()["fc"]


def test_grad_takes_a_list():
    with pytest.raises(
        TypeError, match=r"^grad: wrt needs a list of names, such as \['fc_weight'\]"
    ):
        layer().grad("fc_weight")


def test_symbols_in_a_list_are_given_one_by_one():
    x = sym.Variable("x")
    with pytest.raises(TypeError, match=r"^Concat: .* got a list of 2; give .* one by one"):
        sym.Concat([x, x])


@pytest.mark.parametrize("array", [np.ones(3), np.array(3.0), nd.ones(3)])
def test_symbols_and_arrays_do_not_mix(array):
    x = sym.Variable("x")
    for mix in (lambda: x + array, lambda: array + x):
        with pytest.raises(TypeError, match=r"^add: a symbol goes with .* put a Variable"):
            mix()
    assert (np.float32(2) * x).list_arguments() == ["x"]


def test_a_table_without_shapes_claims_no_number(capsys):
    af.viz.print_summary(layer())
    assert "0 or more: not all shapes are known" in capsys.readouterr().out
    with pytest.raises(TypeError, match=r"^print_summary: shape needs shapes by name"):
        af.viz.print_summary(layer(), (4, 3))


def test_an_operator_need_not_call_the_constructor_it_inherits():
    class Twice(CustomOp):
        def forward(self, is_train, req, in_data, out_data, aux):
            self.assign(out_data[0], req[0], in_data[0] * 2)

        def backward(self, req, out_grad, in_data, out_data, in_grad, aux):
            self.assign(in_grad[0], req[0], out_grad[0] * 2)

    @register("test_twice_without_super")
    class TwiceProp(CustomOpProp):
        def __init__(self):
            pass

        def create_operator(self, ctx, in_shapes, in_dtypes):
            return Twice()

    class Thrice(NumpyOp):
        def __init__(self):
            pass

        def forward(self, in_data, out_data):
            out_data[0][:] = in_data[0] * 3

        def backward(self, out_grad, in_data, out_data, in_grad):
            in_grad[0][:] = out_grad[0] * 3

    x = sym.Variable("x")
    for net in (sym.Custom(x, op_type="test_twice_without_super"), Thrice()(x)):
        af.testing.check_gradient(net, {"x": np.arange(3.0)})


@pytest.mark.parametrize("number", [0, 1.5, np.float32(2)])
def test_a_symbol_is_not_compared_with_a_number_as_an_object(number):
    x = sym.Variable("x")
    assert x == x  # noqa: PLR0124
    assert x != sym.Variable("x")
    assert x != "x"
    assert {x: 1}[x] == 1
    with pytest.raises(TypeError, match=r"sym\.equal\(<Symbol x>, "):
        x == number  # noqa: B015
    with pytest.raises(TypeError, match=r"sym\.not_equal"):
        number != x  # noqa: B015
