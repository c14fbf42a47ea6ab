"""Constants are computed once, and only what changes no bit is left out."""

import numpy as np
import pytest

from actorflow import ops, sym
from actorflow.graph import Entry, Node, infer_shapes, infer_types, topological
from actorflow.graph.fold import LIMIT
from actorflow.ops import ELEMENTWISE, Constant, eager
from actorflow.symbol import Variable
from tests.graph._passes import drop_neutral, fold_constants

TYPES = ("float16", "float32", "float64", "int8", "uint8", "int32", "int64", "bool")


def known(symbol, shape=(4,), dtype="float32"):
    order = topological(symbol._entries)
    free = [node for node in order if node.is_variable]
    shapes = infer_shapes(order, dict.fromkeys(free, shape))
    types = infer_types(order, dict.fromkeys(free, np.dtype(dtype)))
    return list(symbol._entries), shapes, types


def names(heads):
    return [node.operator.name for node in topological(heads) if node.operator is not None]


def test_what_depends_on_no_variable_is_one_constant():
    x = Variable("x")
    table = sym.sqrt(sym.full((2, 2), 9.0)) + sym.ones((2, 2))
    heads = fold_constants(*known(x * table, (2, 2)))
    assert names(heads) == ["constant", "multiply"]
    constant = heads[0].node.inputs[1].node.operator
    assert constant.value.tolist() == [[4, 4], [4, 4]]
    assert constant.uniform == 4
    assert not constant.value.flags.writeable


def test_what_reads_no_elements_is_constant_too():
    x = Variable("x")
    heads = fold_constants(*known(sym.ones_like(sym.exp(x)) * 3.0 + x))
    assert names(heads) == ["constant", "add"]


def test_all_outputs_of_an_operator():
    parts = sym.SliceChannel(sym.ones((2, 6)), num_outputs=3)
    heads = fold_constants(*known(parts[0] + parts[2]))
    assert names(heads) == ["constant"]


def test_a_large_array_is_not_kept():
    size = LIMIT // 4
    for count, wanted in ((size, ["constant"]), (size + 1, ["full", "exp"])):
        assert names(fold_constants(*known(sym.exp(sym.ones((count,)))))) == wanted


def test_what_draws_and_what_writes_its_state_stays():
    drop = sym.Dropout(sym.ones((3,)), mode="always")
    assert names(fold_constants(*known(drop))) == ["constant", "Dropout"]


def test_an_error_of_a_value_is_left_to_the_run():
    wrong = sym.Embedding(sym.full((2,), 7.0), sym.ones((3, 2)), input_dim=3, output_dim=2)
    assert "Embedding" in names(fold_constants(*known(wrong)))


def test_a_constant_knows_whether_all_its_elements_are_one_number():
    for values, wanted in (([1, 1], 1), ([1, 2], None), ([], None), ([0.0, -0.0], None)):
        assert Constant(np.array(values)).uniform == wanted
    assert np.signbit(Constant(np.array([-0.0, -0.0])).uniform)


def edges(dtype):
    """Numbers of a data type at which rules fail."""
    dtype = np.dtype(dtype)
    if dtype.kind != "f":
        return np.array([0, 1, 2, 5, 100, 127], np.int64).astype(dtype)
    info = np.finfo(dtype)
    found = [0.0, -0.0, 1, -1, 0.1, np.inf, -np.inf, np.nan, info.max, -info.tiny]
    found += [info.smallest_subnormal, -info.smallest_subnormal, 1 + info.eps]
    return np.array(found, dtype)


CHANGES = {
    f"{name} {number!r} {'left' if left else 'right'}": ops.WithScalar(
        ELEMENTWISE[name], number, left
    )
    for name in ("add", "subtract", "multiply", "divide", "power")
    for number in (0, 1, 0.0, -0.0, 1.0, True, np.float32(1), np.float64(-0.0))
    for left in (False, True)
}


@pytest.mark.parametrize("dtype", TYPES)
def test_what_is_left_out_with_a_number_changes_no_bit(dtype):
    dropped = set()
    data = edges(dtype)
    for what, operator in CHANGES.items():
        try:
            operator.output_type(np.dtype(dtype))
            (found,) = eager.apply(operator, data)
        except (TypeError, ValueError):
            continue
        heads = [Node(operator, "n", (Entry(Node(None, "x"), 0),)).entries()[0]]
        order = topological(heads)
        shapes = infer_shapes(order, {order[0]: data.shape})
        types = infer_types(order, {order[0]: data.dtype})
        (head,) = drop_neutral(heads, shapes, types)
        if head.node.is_variable:
            dropped.add(what)
            assert found.dtype == data.dtype
            nan = np.isnan(data) if data.dtype.kind == "f" else np.zeros(data.shape, bool)
            same = found.view(f"V{data.itemsize}") == data.view(f"V{data.itemsize}")
            assert (same | nan).all(), what
            assert (nan == (np.isnan(found) if nan.any() else nan)).all()
    floats = np.dtype(dtype).kind == "f"
    assert ("multiply 1 right" in dropped) == (dtype != "bool")
    assert ("add 0 left" in dropped) == (dtype not in ("bool", "float16", "float32", "float64"))
    assert ("divide 1 right" in dropped) == floats
    assert ("add -0.0 right" in dropped) == floats
    assert "subtract 0.0 left" not in dropped


@pytest.mark.parametrize(
    ("make", "kept"),
    [
        (lambda x: sym.negative(sym.negative(x)), 0),
        (lambda x: sym.negative(sym.negative(sym.negative(x))), 1),
        (lambda x: sym.floor(sym.floor(x)), 1),
        (lambda x: sym.abs(sym.abs(x)), 1),
        (lambda x: sym.abs(-x), 2),
        (lambda x: x * sym.ones_like(x), 0),
        (lambda x: sym.ones((4,)) * x, 0),
        (lambda x: x - sym.zeros_like(x), 0),
        (lambda x: x + sym.zeros_like(x), 2),  # -0.0 + 0.0 is 0.0
        (lambda x: x + sym.full((4,), -0.0), 0),
        (lambda x: x * sym.zeros((4,)), 2),  # of an infinity it is NaN
        (lambda x: x * sym.ones((3, 4)), 2),  # repeats it
        (lambda x: x * sym.ones((4,), dtype="float64"), 2),  # converts it
        (lambda x: x**1.0, 1),  # libraries may round
    ],
)
def test_what_is_left_out_of_expressions(make, kept):
    heads, shapes, types = known(make(Variable("x")))
    heads = drop_neutral(fold_constants(heads, shapes, types), shapes, types)
    assert len(names(heads)) == kept


def test_sums_with_zeros_are_left_out_for_integers():
    x = Variable("x")
    heads, shapes, types = known(sym.zeros_like(x) + x, dtype="int32")
    assert names(drop_neutral(heads, shapes, types)) == []
