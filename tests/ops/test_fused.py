"""Several operators as one, by themselves: shapes, data types, memory and bits."""

import numpy as np
import pytest

from actorflow import ops
from actorflow.ops import ELEMENTWISE, Activated, Constant, Fused, Step, WithScalar, eager
from actorflow.ops.fused import BLOCK

MULTIPLY, ADD, TANH = (ELEMENTWISE[name] for name in ("multiply", "add", "tanh"))


def fused():
    """tanh(a * b) and tanh(a * b) + c, where c has one element."""
    steps = (Step(MULTIPLY, (0, 1)), Step(TANH, (3,)), Step(ADD, (4, 2)))
    return Fused(3, frozenset({2}), steps, (4, 5))


def test_what_it_says_of_itself():
    operator = fused()
    assert repr(operator) == "<operator 'fused' of multiply, tanh, add>"
    assert operator.inputs == ("arg0", "arg1", "arg2")
    assert operator.outputs == ("output0", "output1")
    shapes = ((4, 2), (4, 2), (1,))
    assert operator.infer_shape(*shapes) == (shapes, ((4, 2), (4, 2)))
    halves, single = np.dtype("float16"), np.dtype("float32")
    assert operator.infer_type(halves, halves, single)[1] == (halves, single)
    long = Fused(1, frozenset(), tuple(Step(TANH, (place,)) for place in range(9)), (9,))
    assert repr(long) == "<operator 'fused' of tanh, tanh, tanh, tanh, tanh, 4 more>"


def test_an_output_may_lie_where_an_input_is_that_nobody_takes_later():
    both = {("arg0", "output0"), ("arg1", "output0"), ("arg0", "output1"), ("arg1", "output1")}
    assert set(fused().inplace) == both
    late = Fused(2, frozenset(), (Step(TANH, (0,)), Step(ADD, (2, 1))), (2, 3))
    assert set(late.inplace) == {
        ("arg0", "output0"),  # not arg1, which the sum takes after that is written
        ("arg0", "output1"),
        ("arg1", "output1"),
    }


def test_what_lies_between_takes_one_row_of_a_block():
    count = 3 * BLOCK
    steps = (Step(MULTIPLY, (0, 0)), Step(TANH, (1,)), Step(WithScalar(ADD, 1.0), (2,)))
    operator = Fused(1, frozenset(), steps, (3,))
    single = np.dtype("float32")
    rows = operator.scratch([(count,)], [single])
    assert rows == (((BLOCK,), single), ((0,), np.dtype("uint8")))
    assert operator.scratch([(7,)], [single])[0] == ((7,), single)


@pytest.mark.parametrize("shape", [(0,), (1,), (3, 5), (BLOCK - 1,), (2, BLOCK), (2 * BLOCK + 3,)])
def test_it_has_the_bits_of_its_operators(shape):
    draw = np.random.default_rng(0)
    a, b, c = (draw.normal(size=s).astype("float32") for s in (shape, shape, (1,)))
    operator = fused() if shape != (1,) else Fused(3, frozenset(), fused().steps, (4, 5))
    inner, output = eager.apply(operator, a, b, c)
    assert (inner == np.tanh(a * b)).all()
    assert (output == np.tanh(a * b) + c).all()


def test_an_array_of_one_block_takes_the_calls_of_its_operators():
    a, b, c, one, two = (np.ones(5, np.float32) for _ in range(5))
    calls = fused().calls([a, b, c[:1], one, two, np.empty(5, np.float32), np.empty(0, np.uint8)])
    assert [function for function, _ in calls] == [np.multiply, np.tanh, np.add]


def test_a_layer_and_a_function():
    operator = Activated(ops.FullyConnected(3), ops.Activation("relu"))
    assert operator.name == "FullyConnected+Activation"
    assert operator.inputs == ("data", "weight", "bias")
    draw = np.random.default_rng(0)
    data, weight, bias = (draw.normal(size=s).astype("float32") for s in ((2, 4), (3, 4), (3,)))
    (output,) = eager.apply(operator, data, weight, bias)
    assert (output == np.maximum(data @ weight.T + bias, 0)).all()


def test_a_constant_is_an_operator_like_others():
    operator = Constant(np.arange(6.0).reshape(2, 3))
    assert operator.infer_shape() == ((), ((2, 3),))
    assert eager.apply(operator)[0].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert repr(operator) == "<operator 'constant' of shape (2, 3)>"
