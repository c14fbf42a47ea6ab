"""What typical mistakes with executors are told, and that they change nothing."""

import copy
import pickle
import threading

import numpy as np
import pytest

from actorflow import Engine, nd, sym
from actorflow.errors import EngineError, ShapeError


def layer():
    return sym.FullyConnected(sym.Variable("data"), num_hidden=2, name="fc")


def test_no_other_array_takes_the_place_of_a_bound_one():
    executor = layer().simple_bind(data=(4, 3))
    weight = executor.arg_dict["fc_weight"]
    with pytest.raises(TypeError, match=r"^arg_dict: .* as in arg_dict\['fc_weight'\]\[:\] = "):
        executor.arg_dict["fc_weight"] = weight + 1
    with pytest.raises(TypeError, match=r"arg_dict\['fc_wight'\]"):
        executor.arg_dict["fc_wight"] = weight
    with pytest.raises(TypeError, match="grad_dict: an executor keeps"):
        del executor.grad_dict["data"]
    with pytest.raises(TypeError, match="output_dict: an executor keeps"):
        executor.output_dict.update(fc_output=weight)
    executor.arg_dict["fc_weight"] += 1  # sets the same array
    assert executor.arg_dict["fc_weight"] is weight
    assert executor.arg_arrays[1] is weight
    assert (weight.asnumpy() == 1).all()


def test_arrays_by_name_are_copied_as_a_plain_dictionary():
    executor = layer().simple_bind(data=(4, 3))
    for made in (copy.copy(executor.arg_dict), pickle.loads(pickle.dumps(executor.arg_dict))):  # noqa: S301
        assert type(made) is dict
        assert list(made) == ["data", "fc_weight", "fc_bias"]


def test_is_train_is_no_array():
    executor = layer().simple_bind(data=(4, 3))
    for data in (nd.ones((4, 3)), np.ones((4, 3))):
        with pytest.raises(
            TypeError, match=r"^forward: is_train needs .* of shape \(4, 3\); .*name"
        ):
            executor.forward(data)
    executor.forward(np.bool_(True))
    with pytest.raises(ValueError, match="no argument 'dta'; did you mean data"):
        executor.forward(dta=np.ones((4, 3)))


def test_gradients_from_above_are_a_list_of_arrays():
    executor = layer().simple_bind(data=(4, 3))
    executor.forward(is_train=True)
    with pytest.raises(
        TypeError, match=r"^backward: out_grads needs .* an ndarray of shape \(4, 2\)"
    ):
        executor.backward(np.ones((4, 2)))
    with pytest.raises(
        TypeError, match=r"^backward: out_grads needs an NDArray, or a list of them"
    ):
        executor.backward(3)
    executor.backward(nd.ones((4, 2)))


def test_parameters_are_arrays_by_name():
    executor = layer().simple_bind(data=(4, 3))
    good = {"fc_bias": nd.ones(2)}
    with pytest.raises(
        TypeError, match=r"^copy_params_from: fc_weight has to be an NDArray, got an"
    ):
        executor.copy_params_from({**good, "fc_weight": np.ones((2, 3))})
    with pytest.raises(
        TypeError, match=r"^copy_params_from: takes arrays by name, got a list of 1"
    ):
        executor.copy_params_from([nd.ones(2)])
    with pytest.raises(ValueError, match="nothing called 'fc_wight'; did you mean fc_weight"):
        executor.copy_params_from({**good, "fc_wight": nd.ones((2, 3))})
    assert (executor.arg_dict["fc_bias"].asnumpy() == 0).all()


def test_monitors_are_functions_and_see_the_users_operators_alone():
    net = sym.LinearRegressionOutput(layer(), name="loss")
    executor = net.simple_bind(data=(4, 3))
    with pytest.raises(TypeError, match=r"^set_monitor_callback: needs a function"):
        executor.set_monitor_callback(3)
    seen = []
    executor.set_monitor_callback(lambda name, _: seen.append(name))
    for is_train in (True, False):
        executor.forward(is_train=is_train)
        assert seen == ["fc_output", "loss_output"]
        seen.clear()


def test_simple_bind_speaks_for_itself():
    with pytest.raises(
        KeyError, match="simple_bind: there is no argument 'dta'; did you mean data"
    ):
        layer().simple_bind(dta=(4, 3))
    with pytest.raises(KeyError, match="simple_bind: type_dict: there is no argument 'dta'"):
        layer().simple_bind(data=(4, 3), type_dict={"dta": "float32"})
    with pytest.raises(ShapeError, match=r"^simple_bind: the shape of 'data' .* such as data="):
        layer().simple_bind()
    with pytest.raises(ValueError, match=r"aux_states has 'mean', but .*; there are none"):
        sym.exp(sym.Variable("x")).bind(None, [nd.ones(2)], aux_states={"mean": nd.ones(1)})


def test_reshape_names_what_it_cannot_do():
    x, label = sym.Variable("data"), sym.Variable("label")
    flat = sym.Reshape(label, shape=(-1,))
    executor = sym.SoftmaxOutput(x, flat, name="s").simple_bind(data=(4, 3), label=(2, 2))
    with pytest.raises(ShapeError, match=r"^reshape: the shapes of label cannot be told from"):
        executor.reshape(data=(2, 3))
    with pytest.raises(ShapeError, match=r"^reshape: data would grow from \(4, 3\) to \(6, 3\)"):
        executor.reshape(data=(6, 3), label=(2, 3))


def test_errors_neither_print_nor_await_arrays():
    x = sym.Variable("x")
    array = np.ones((30, 40))
    shape = r"an ndarray of shape \(30, 40\)"
    with pytest.raises(TypeError, match=f"^FullyConnected: data has to be a symbol, got {shape}$"):
        sym.FullyConnected(array, num_hidden=3)
    with pytest.raises(TypeError, match=f"bind: args has {shape} for x, which is no NDArray"):
        sym.exp(x).bind(None, {"x": array})
    with pytest.raises(TypeError, match=r"a shape is made of integers, got an NDArray of shape"):
        sym.exp(x).simple_bind(x=nd.ones((3, 4)))


def test_an_executor_says_what_it_is():
    executor = layer().simple_bind(data=(4, 3))
    assert repr(executor) == (
        "<Executor of fc on cpu(0): data=(4, 3), fc_weight=(2, 3), fc_bias=(2,)>"
    )
    many = sym.Group([sym.Variable(name) for name in "abcdef"])
    executor = many.simple_bind(**dict.fromkeys("abcdef", (1,)))
    assert repr(executor) == (
        "<Executor of a group on cpu(0): a=(1,), b=(1,), c=(1,), d=(1,), 2 more>"
    )


def test_a_pass_on_another_engine_names_the_executor():
    free = threading.Event()
    executor = layer().simple_bind(data=(4, 3))
    with Engine(workers=1) as busy:
        busy.push(free.wait, writes=(executor.arg_dict["data"].resource,))
        executor.forward(is_train=True)
        try:
            with Engine(workers=1):
                message = r"^backward: the executor of 'fc' cannot compute on this engine: .*'array"
                with pytest.raises(EngineError, match=message):
                    executor.backward(nd.ones((4, 2)))
                with pytest.raises(EngineError, match=r"^forward: the executor of 'fc' cannot"):
                    executor.forward()
        finally:
            free.set()


def test_a_kernel_of_too_few_axes():
    for make in (sym.Convolution, sym.Deconvolution):
        net = make(sym.Variable("x"), kernel=3, num_filter=2)
        message = (
            r"\(n, channels\) and 1 more axes; such data needs a kernel of 2, as kernel=\(3, 3\)"
        )
        with pytest.raises(ShapeError, match=message):
            net.infer_shape(x=(1, 3, 8, 8))
    with pytest.raises(ShapeError, match=r"a kernel of 2, as kernel=\(3, 3\)"):
        sym.Pooling(sym.Variable("x"), kernel=3).infer_shape(x=(1, 3, 8, 8))
