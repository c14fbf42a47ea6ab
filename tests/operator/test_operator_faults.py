"""Operators that users write and that go wrong: who is told, and what."""

import numpy as np
import pytest

import actorflow as af
from actorflow import nd, sym
from actorflow.errors import (
    DeadlockError,
    DTypeError,
    GradientError,
    ParameterError,
    ShapeError,
    VerificationError,
)
from actorflow.operator import CustomOp, CustomOpProp, NumpyOp, register
from tests.engine.helpers_faults import within
from tests.operator._operators import NumpyDouble, op_of


class MineError(Exception):
    """The user's own."""


def fail(*_, **__):
    raise MineError("no")  # the user's line


def copy_in(in_data, out_data, aux):
    out_data[0][:] = in_data[0]


def net_of(*functions, **methods):
    return sym.Custom(sym.Variable("x"), op_type=op_of(*functions, **methods), name="n")


def notes(caught):
    return "\n".join(caught.value.__notes__)


def lines(caught):
    return [entry.name for entry in caught.traceback]


# -- While it runs -----------------------------------------------------------------------------


def test_what_forward_raises_comes_to_who_waits(engine):
    executor = net_of(fail).simple_bind(x=(2,), grad_req="null")
    (output,) = executor.forward()
    with pytest.raises(MineError, match="no") as caught:
        output.asnumpy()
    assert "fail" in lines(caught)  # the user's line is in the traceback
    assert "in forward of custom operator 'test_anything' 'n', made at" in notes(caught)
    assert "test_operator_faults.py" in notes(caught)
    # The next pass is a new one.
    with pytest.raises(MineError):
        executor.forward()[0].asnumpy()


def test_what_backward_raises_comes_to_who_waits_and_forward_goes_on(engine):
    executor = net_of(copy_in, fail).simple_bind(x=(2,))
    executor.forward(is_train=True)
    executor.backward(nd.ones((2,)))
    with pytest.raises(MineError, match="no") as caught:
        executor.grad_dict["x"].asnumpy()
    assert "in backward of custom operator 'test_anything' 'n'" in notes(caught)
    assert executor.forward(is_train=True)[0].asnumpy().tolist() == [0, 0]


def test_what_numpy_operators_raise(engine):
    class Fails(NumpyDouble):
        backward = fail

    executor = Fails()(sym.Variable("x"), name="n").simple_bind(x=(2,))
    executor.forward(is_train=True)
    executor.backward(nd.ones((2,)))
    with pytest.raises(MineError) as caught:
        executor.grad_dict["x"].asnumpy()
    assert "in backward of custom operator 'Fails' 'n'" in notes(caught)


def test_what_a_pushed_operation_raises_is_raised_too(engine):
    """The user's code never waits, and what it pushed fails."""

    def forward(in_data, out_data, aux):
        picked = nd.choose_element_0index(nd.ones((2, 2)), in_data[0])  # 5 is out of range
        out_data[0][:] = picked

    executor = net_of(forward).simple_bind(x=(2,), grad_req="null")
    executor.arg_dict["x"][:] = 5
    with pytest.raises(IndexError) as caught:
        executor.forward()[0].asnumpy()
    assert "in forward of custom operator 'test_anything' 'n'" in notes(caught)


def test_both_raise():
    def forward(in_data, out_data, aux):
        out_data[0][:] = nd.choose_element_0index(nd.ones((2, 2)), in_data[0])
        fail()

    executor = net_of(forward).simple_bind(x=(2,), grad_req="null")
    executor.arg_dict["x"][:] = 5
    with pytest.raises(MineError) as caught:
        executor.forward()[0].asnumpy()
    assert "something that it had pushed failed, too: IndexError" in notes(caught)


def test_waiting_for_the_executors_own_output_is_refused(engine):
    outer = []

    def forward(in_data, out_data, aux):
        out_data[0][:] = outer[0].asnumpy()

    executor = net_of(forward).simple_bind(x=(2,), grad_req="null")
    outer.append(executor.outputs[0])
    executor.forward()
    with pytest.raises(DeadlockError) as caught:
        within(executor.outputs[0].asnumpy)
    assert "in forward of custom operator 'test_anything' 'n'" in notes(caught)


def test_an_output_that_needs_the_executors_own_is_refused(engine):
    """The user's code does not wait; its output is never there, all the same."""
    outer = []

    def forward(in_data, out_data, aux):
        out_data[0][:] = outer[0] + 1

    executor = net_of(forward).simple_bind(x=(2,), grad_req="null")
    outer.append(executor.outputs[0])
    executor.forward()
    with pytest.raises(DeadlockError):
        within(executor.outputs[0].asnumpy)
    with pytest.raises(DeadlockError):
        within(executor.forward()[0].asnumpy)


def test_writing_an_input_is_refused():
    def forward(in_data, out_data, aux):
        in_data[0][:] = 1

    executor = net_of(forward).simple_bind(x=(2,), grad_req="null")
    with pytest.raises(ValueError, match="not writable"):
        executor.forward()[0].asnumpy()

    class Writes(NumpyOp):
        def forward(self, in_data, out_data):
            in_data[0][:] = 1

    executor = Writes()(sym.Variable("x")).simple_bind(x=(2,), grad_req="null")
    with pytest.raises(ValueError, match="read-only"):
        executor.forward()[0].asnumpy()


def test_a_forward_that_writes_nothing():
    executor = net_of(lambda *_: None).simple_bind(x=(2,), grad_req="null")
    with pytest.raises(
        VerificationError, match=r"forward .*'n', made at .*wrote nothing .*'output'"
    ):
        executor.forward()[0].asnumpy()

    class Idle(NumpyOp):
        def forward(self, in_data, out_data):
            pass

    executor = Idle()(sym.Variable("x")).simple_bind(x=(2,), grad_req="null")
    with pytest.raises(VerificationError, match="wrote nothing to its output 'output'"):
        executor.forward()[0].asnumpy()


def test_a_result_of_another_shape():
    def forward(in_data, out_data, aux):
        out_data[0][:] = nd.ones((7,))

    executor = net_of(forward).simple_bind(x=(2,), grad_req="null")
    with pytest.raises(ValueError) as caught:  # noqa: PT011 -- the text is that of arrays
        executor.forward()[0].asnumpy()
    assert "in forward of custom operator 'test_anything' 'n'" in notes(caught)


def test_assign():
    array = nd.ones((2,))
    for req, wanted in (("write", 3), ("inplace", 3), ("add", 6), ("null", 6)):
        CustomOp().assign(array, req, 3)
        assert array.asnumpy().tolist() == [wanted, wanted], req
    with pytest.raises(ValueError, match="assign: req is 'write'"):
        CustomOp().assign(array, "both", 3)


# -- When it is bound --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ((None, [(2,), (2,)]), "gives 2 outputs, but there are 1: output"),
        (([], [(2,)]), "gives 0 arguments, but there are 1: data"),
        ((None, [(2,)], [(1,)]), "gives 1 auxiliary states, but there are 0: none"),
        ((None, [(-2,)]), "'output': a shape has no negative sizes"),
        ((None, [("a",)]), "'output': a shape is made of integers"),
        ((None, [None]), "gives no shape for 'output'"),
        (([(3,)], [(3,)]), r"x has shape \(2,\), but needs \(3,\)"),
        (5, "has to give two or three lists"),
        ((None,), "has to give two or three lists"),
    ],
)
def test_wrong_answers_of_infer_shape(given, told):
    def infer_shape(in_shape):
        if isinstance(given, tuple) and given[0] is None:
            return in_shape, *given[1:]
        return given

    net = net_of(copy_in, infer_shape=infer_shape)
    with pytest.raises(ShapeError, match=told) as caught:
        net.simple_bind(x=(2,))
    assert "in test_anything 'n', made at" in notes(caught)
    with pytest.raises(ShapeError, match=told):
        net.bind(af.cpu(), {"x": nd.ones((2,))})


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ([["float32"], ["float99"]], "'output': dtype 'float99' is not supported"),
        ([["float32"], []], "gives 0 outputs, but there are 1"),
        ([["float32"], [None]], "leaves some unknown"),
    ],
)
def test_wrong_answers_of_infer_type(answer, told):
    net = net_of(copy_in, infer_type=lambda in_type: answer)
    with pytest.raises(DTypeError, match=told):
        net.simple_bind(x=(2,))


def test_what_infer_shape_raises_says_which_node():
    with pytest.raises(MineError) as caught:
        net_of(copy_in, infer_shape=fail).simple_bind(x=(2,))
    assert "in infer_shape of custom operator 'test_anything'" in notes(caught)
    assert "in test_anything 'n', made at" in notes(caught)


def test_unknown_shapes_are_empty_and_their_sizes_are_not_invented():
    def flat(in_shape):
        first = in_shape[0]
        return in_shape, [(first[0], int(np.prod(first[1:])))]

    net = net_of(copy_in, infer_shape=flat)
    assert net.infer_shape() == (None, None, None)
    assert net.infer_shape_partial() == ([None], [None], [])
    assert net.infer_shape(x=(2, 3, 4))[1] == [(2, 12)]
    whole = net_of(copy_in, infer_shape=lambda s: (s, [(int(np.prod(s[0])),)]))
    assert whole.infer_shape_partial() == ([None], [None], [])
    told = net_of(copy_in, infer_shape=lambda s: (s if s[0] else [(3,)], [(3,)]))
    assert told.infer_shape() == ([(3,)], [(3,)], [])
    with pytest.raises(ShapeError, match="shape of 'x' cannot be told"):
        net.simple_bind()


def test_wrong_names():
    for method, given, told in (
        ("list_arguments", "data", "has to give a list of names, got 'data'"),
        ("list_arguments", ["a", "a"], "gives a name twice"),
        ("list_outputs", [], "at least one name"),
        ("list_outputs", [3], "list of names"),
        ("list_auxiliary_states", ["data"], "gives names of arguments: data"),
    ):
        with pytest.raises(ParameterError, match=told):
            net_of(copy_in, **{method: lambda given=given: given})
    with pytest.raises(ParameterError, match=r"declare_backward_dependency .* 0 to 2, got"):
        net_of(copy_in, declare_backward_dependency=lambda *_: [3])


def test_wrong_operators():
    for made in (None, CustomOp(), object()):
        net = net_of(copy_in, create_operator=lambda *_, made=made: made)
        with pytest.raises(TypeError, match="has to give a CustomOp with a forward"):
            net.simple_bind(x=(2,))
    with pytest.raises(MineError) as caught:
        net_of(copy_in, create_operator=fail).simple_bind(x=(2,))
    assert "in create_operator of custom operator 'test_anything'" in notes(caught)


def test_an_operator_without_backward_predicts_but_does_not_learn():
    executor = net_of(copy_in).simple_bind(x=(2,))
    assert executor.forward()[0].asnumpy().tolist() == [0, 0]
    with pytest.raises(GradientError, match="it has no backward") as caught:
        executor.forward(is_train=True, x=nd.ones(2))
    assert executor.arg_dict["x"].asnumpy().tolist() == [0, 0]  # refused before it is copied
    assert "on the way back through <test_anything 'n'>" in notes(caught)
    with pytest.raises(GradientError, match="it has no backward"):
        net_of(copy_in).grad(["x"]).simple_bind(x=(2,))


def test_names_and_parameters_that_are_not_known():
    x = sym.Variable("x")
    op_of(copy_in, name="test_robust")
    with pytest.raises(ParameterError, match="'test_robbust'; did you mean 'test_robust'"):
        sym.Custom(x, op_type="test_robbust")
    with pytest.raises(ParameterError, match=r"'zzz'; decorate its class with .*register\('zzz'\)"):
        nd.Custom(nd.ones((1,)), op_type="zzz")
    with pytest.raises(ParameterError, match=r"registered as 'test_robust': .*'sigma'"):
        sym.Custom(x, op_type="test_robust", sigma=3)
    with pytest.raises(TypeError, match="op_type"):
        sym.Custom(x)
    with pytest.raises(TypeError, match="takes only data"):
        sym.Custom(x, x, op_type="test_robust")
    with pytest.raises(TypeError, match="no input 'other'; it takes data"):
        sym.Custom(other=x, op_type="test_robust")
    with pytest.raises(TypeError, match="'data' is given twice"):
        sym.Custom(x, data=x, op_type="test_robust")
    with pytest.raises(TypeError, match="no input 'other'"):
        NumpyDouble()(other=x)


def test_register_takes_props():
    for wrong in (CustomOp, 3, CustomOpProp()):
        with pytest.raises(TypeError, match="takes a subclass of CustomOpProp"):
            register("test_wrong")(wrong)
    with pytest.raises(TypeError, match="register: takes a name"):
        register(CustomOpProp)


def test_methods_that_take_something_else_are_told_how_they_are_called():
    @register("test_other_methods")
    class Prop(CustomOpProp):
        def create_operator(self, ctx, in_shapes, in_dtypes):
            class Other(CustomOp):
                def forward(self, req, in_data, out_data):
                    pass

            return Other()

    class Native(NumpyOp):
        def forward(self, in_data):
            pass

    x = sym.Variable("x")
    nets = {
        "is_train, req, in_data, out_data, aux": sym.Custom(x, op_type="test_other_methods"),
        "in_data, out_data": Native()(x),
    }
    for takes, net in nets.items():
        with pytest.raises(TypeError) as caught:
            net.simple_bind(x=(2,)).forward()[0].asnumpy()
        assert f", which is called by keyword with {takes}" in "".join(caught.value.__notes__)
