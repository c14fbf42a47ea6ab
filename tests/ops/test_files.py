"""Operators as symbol files know them."""

import inspect

import numpy as np
import pytest

from actorflow import ops
from actorflow.errors import FormatError, ParameterError
from actorflow.ops import ELEMENTWISE, WithScalar, from_file, to_file
from actorflow.ops.file_names import BINARY, CLASSES, MIRRORED, SCALAR, UNARY

REQUIRED = {
    "Activation": {"act_type": "relu"},
    "BroadcastTo": {"shape": "(2, 3)"},
    "Cast": {"dtype": "float16"},
    "Clip": {"a_min": "0.0", "a_max": "1.5"},
    "Concat": {"num_args": "3", "dim": "1"},
    "Convolution": {"kernel": "(3, 3)", "num_filter": "8"},
    "Deconvolution": {"kernel": "(3, 3)", "num_filter": "8"},
    "ElementWiseSum": {"num_args": "2"},
    "Embedding": {"input_dim": "5", "output_dim": "3"},
    "ExpandDims": {"axis": "1"},
    "Flip": {"axis": "(1,)"},
    "FullyConnected": {"num_hidden": "10"},
    "LRN": {"nsize": "3"},
    "Pooling": {"kernel": "(2, 2)"},
    "Reshape": {"shape": "(0, -1)"},
    "Slice": {"begin": "(None, 1)", "end": "(2, 3)"},
    "SliceAxis": {"axis": "1", "begin": "0", "end": "2"},
    "SliceChannel": {"num_outputs": "2"},
    "AdamUpdate": {"lr": "0.1"},
    "FtrlUpdate": {"lr": "0.1"},
    "NAGMomUpdate": {"lr": "0.1"},
    "RMSPropAlexUpdate": {"lr": "0.1"},
    "RMSPropUpdate": {"lr": "0.1"},
    "SGDMomUpdate": {"lr": "0.1"},
    "SGDUpdate": {"lr": "0.1"},
}
"""The parameters that an operator cannot be made without."""


@pytest.mark.parametrize("row", CLASSES, ids=lambda row: row.kind.__name__)
def test_classes_are_read_by_all_names_and_written_by_the_first(row):
    params = REQUIRED.get(row.kind.__name__, {})
    for name in row.names:
        operator = from_file(name, params)
        if row.kind is not ops.Copy:  # whose name in files is Identity's
            assert type(operator) is row.kind
        assert to_file(operator) == (row.names[0], params)


def test_every_operator_of_expressions_has_a_row():
    kinds = {
        name
        for name in ops.__all__
        if inspect.isclass(getattr(ops, name)) and issubclass(getattr(ops, name), ops.Operator)
    }
    assert kinds - {row.kind.__name__ for row in CLASSES} == {
        # Written by rules of their own.
        *("Custom", "Elementwise", "Full", "Operator", "Reduction", "WithScalar"),
        # Of arrays alone, or what gradients are made of.
        *("After", "Arange", "Assign", "Fill", "GetItem", "Normal", "OneHotEncode", "RandInt"),
        *("Orthogonal", "SetItem", "Shuffle", "SumLike", "Uniform"),
        # What passes put in the place of others.
        *("Activated", "Constant", "Fused"),
        # Of executors.
        "CrossDeviceCopy",
        # Rules that MXNet has no operator for, and what all rules share.
        *("AdaDeltaUpdate", "AdaGradUpdate", "DCASGDUpdate", "SGLDUpdate", "WeightUpdate"),
    }


@pytest.mark.parametrize("ours", [*BINARY, *UNARY])
def test_elementwise_operators_are_read_by_all_names(ours):
    names = {**BINARY, **UNARY}[ours]
    assert {from_file(name, {}) for name in names} == {ELEMENTWISE[ours]}
    assert to_file(ELEMENTWISE[ours]) == (names[0], {})


def test_every_elementwise_operator_but_one_has_a_name():
    assert set(ELEMENTWISE) - {*BINARY, *UNARY} == {"floor_divide", "softrelu"}
    assert to_file(ELEMENTWISE["softrelu"]) == ("Activation", {"act_type": "softrelu"})
    with pytest.raises(FormatError, match="no name for the operator 'floor_divide'"):
        to_file(ELEMENTWISE["floor_divide"])


@pytest.mark.parametrize(("base", "reverse"), SCALAR)
@pytest.mark.parametrize(("text", "number"), [("3", 3), ("2.5", 2.5), ("-1.0", -1.0)])
def test_scalars_keep_their_side_and_kind(base, reverse, text, number):
    for name in SCALAR[base, reverse]:
        operator = from_file(name, {"scalar": text})
        assert operator == WithScalar(ELEMENTWISE[base], number, reverse)
        assert type(operator.scalar) is type(number)
        assert to_file(operator) == (SCALAR[base, reverse][0], {"scalar": text})


@pytest.mark.parametrize("base", MIRRORED)
def test_a_number_on_the_left_is_written_as_one_on_the_right(base):
    name, params = to_file(WithScalar(ELEMENTWISE[base], 2, reverse=True))
    assert from_file(name, params) == WithScalar(ELEMENTWISE[MIRRORED[base]], 2)


def test_scalars_of_later_and_of_the_first_files():
    assert from_file("_plus_scalar", {"scalar": "2", "is_int": "False"}).scalar == 2.0
    first = from_file("_MinusScalar", {"scalar": "2", "scalar_on_left": "1"})
    assert to_file(first) == ("_rminus_scalar", {"scalar": "2"})
    assert to_file(WithScalar(ELEMENTWISE["add"], np.float32(0.5)))[1] == {"scalar": "0.5"}
    assert to_file(WithScalar(ELEMENTWISE["add"], True))[1] == {"scalar": "1"}


@pytest.mark.parametrize(
    ("op", "params", "message"),
    [
        ("FulyConnected", {}, "there is no operator 'FulyConnected'; did you mean FullyConnected"),
        ("\0", {}, "there is no operator"),
        ("FullyConnected", {"num_hiden": "3"}, "no parameter 'num_hiden'; did you mean 'num_hid"),
        ("FullyConnected", {}, "the parameter 'num_hidden' is missing"),
        ("Convolution", {"kernel": "x", "num_filter": "1"}, "kernel needs integers of at least 1"),
        ("exp", {"axis": "1"}, "exp: there is no parameter 'axis'; it takes none"),
        ("_plus_scalar", {}, "the parameter 'scalar' is missing"),
        ("_plus_scalar", {"scalar": "x"}, "scalar needs a number, got 'x'"),
        ("_plus_scalar", {"scalar": "9" * 30}, "is too large"),
        ("take", {"axis": "1"}, "take: axis needs '0', got '1'"),
        ("_zeros", {"value": "1"}, "_zeros: there is no parameter 'value'"),
        ("Cast", {"dtype": "complex64"}, "dtype 'complex64' is not supported"),
        ("slice", {"begin": "((", "end": "1"}, "begin needs integers"),
    ],
)
def test_what_is_not_valid_is_refused(op, params, message):
    with pytest.raises(ParameterError) as caught:
        from_file(op, params)
    assert message in str(caught.value)


def test_the_number_of_inputs_is_the_files():
    assert from_file("add_n", {}, 3).num_args == 3
    with pytest.raises(ParameterError, match="num_args is 1000000000000, but it has 2 inputs"):
        from_file("add_n", {"num_args": "1000000000000"}, 2)


def test_none_leaves_the_default_and_what_only_files_have_may_say_the_usual():
    assert from_file("Dropout", {"cudnn_off": "None"}) == ops.Dropout()
    assert from_file("dot", {"forward_stype": "default"}) == ops.Dot()
    assert from_file("Pooling", {"kernel": "(2,2)", "p_value": "None"}) == ops.Pooling((2, 2))


def test_constants():
    zeros = from_file("_zeros", {"shape": "(2, 3)", "ctx": "gpu(0)", "dtype": "int32"})
    assert zeros == ops.Full((2, 3), 0, "int32")
    assert to_file(zeros) == ("_zeros", {"shape": "(2, 3)", "dtype": "int32"})
    assert to_file(ops.Full((2,), 1)) == ("_ones", {"shape": "(2,)"})
    assert to_file(ops.Full((2,), 3)) == ("_full", {"shape": "(2,)", "value": "3.0"})
    assert from_file("_full", {"shape": "2", "value": "3"}) == ops.Full((2,), 3)


def test_an_axis_of_concatenate_is_written_as_dim():
    assert to_file(ops.Concat(2, axis=0)) == ("Concat", {"num_args": "2", "dim": "0"})


def test_what_only_arrays_have_has_no_name():
    with pytest.raises(FormatError, match="no name for the operator 'getitem'"):
        to_file(ops.GetItem((0,)))
