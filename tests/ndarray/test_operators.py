"""The functions on arrays that apply an operator, against executors of the same operator."""

import inspect

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import actorflow as af
from actorflow import nd, sym
from actorflow.engine import Instrument
from actorflow.errors import ContextError, DTypeError, ParameterError, ShapeError
from docs.symbol_tables import BINARY, MODULES, UNARY
from tests.ndarray._cases import FUNCTIONS, cases

BY_NAME = {each.name: each for module in MODULES for each in module.functions}


def test_every_function_of_symbols_is_one_of_arrays():
    names = {name for each in BY_NAME.values() for name in (each.name, *each.aliases)}
    for name, (_, others) in (UNARY | BINARY).items():
        names |= {name, *others}
    assert sorted(names - set(nd.__all__)) == []
    assert set(FUNCTIONS) == set(BY_NAME)
    public = [name for name in vars(nd) if not name.startswith("_")]
    assert sorted(public) == sorted(nd.__all__)


@pytest.mark.parametrize("name", BY_NAME)
def test_parameters_have_the_names_that_they_have_for_symbols(name):
    for each in (name, *BY_NAME[name].aliases):
        ours = set(inspect.signature(getattr(nd, each)).parameters)
        theirs = set(inspect.signature(getattr(sym, each)).parameters)
        assert theirs - ours == {"name", "attr"}
        assert ours - theirs <= {"out", "is_train"}


def arrays(name, shapes, indices, dtype, seed):
    """Values for inputs and states; those of states and indices have to be some."""
    draw = np.random.default_rng(seed)
    found = {}
    for each, shape in shapes.items():
        values = draw.normal(size=shape)
        if each in indices:
            values = draw.integers(0, indices[each], shape)
        elif each == "moving_var":
            values = draw.random(shape) + 0.5
        wide = dtype == "float16" and name == "BatchNorm" and each != "data"
        found[each] = nd.array(values, dtype="float32" if wide else dtype)
    return found


def bits(results):
    several = results if isinstance(results, list) else [results]
    return [(each.dtype, each.shape, each.asnumpy().tobytes()) for each in several]


@pytest.mark.parametrize("name", BY_NAME)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_a_function_gives_what_an_executor_gives(name, data):
    parameters, shapes, indices = data.draw(cases(name))
    dtype = data.draw(st.sampled_from(["float32", "float64", "float16"]))
    is_train = data.draw(st.booleans())
    kind = data.draw(st.sampled_from(["naive", "threaded", "verifying"]))
    seed = data.draw(st.integers(0, 99))
    function = BY_NAME[name]
    learns = "is_train" in inspect.signature(getattr(nd, name)).parameters
    with af.Engine(
        workers=None if kind == "naive" else 2,
        engine_type="naive" if kind == "naive" else "threaded",
        verify=kind == "verifying",
    ):
        ours = arrays(name, shapes, indices, dtype, seed)
        theirs = arrays(name, shapes, indices, dtype, seed)
        af.random.seed(seed)
        positional = list(ours.values()) if function.any_number else []
        named = {} if function.any_number else ours
        training = {"is_train": is_train} if learns else {}
        results = getattr(nd, name)(*positional, **named, **parameters, **training)
        af.random.seed(seed)
        symbol = getattr(sym, name)(
            *([sym.Variable(each) for each in theirs] if function.any_number else []),
            **({} if function.any_number else {each: sym.Variable(each) for each in theirs}),
            **parameters,
        )
        states = symbol.list_auxiliary_states()
        executor = symbol.bind(
            None,
            {each: theirs[each] for each in symbol.list_arguments()},
            grad_req="null",
            aux_states={each: theirs[each] for each in states},
        )
        expected = executor.forward(is_train=is_train and learns)
        assert bits(results) == bits(expected)
        for each in states:
            assert bits(ours[each]) == bits(theirs[each])


@pytest.mark.parametrize("name", BY_NAME)
@settings(max_examples=6, deadline=None)
@given(data=st.data())
def test_results_go_where_out_says(name, data):
    parameters, shapes, indices = data.draw(cases(name))
    overlapping = data.draw(st.booleans())
    function = BY_NAME[name]
    given_ = list(arrays(name, shapes, indices, "float32", 0).values())
    af.random.seed(0)
    names = list(shapes)

    def call(**more):
        af.random.seed(0)
        if function.any_number:
            return getattr(nd, name)(*given_, **parameters, **more)
        return getattr(nd, name)(**dict(zip(names, given_, strict=True)), **parameters, **more)

    wanted = call()
    several = wanted if isinstance(wanted, list) else [wanted]
    expected = bits(wanted)
    outs = [nd.empty(each.shape, dtype=each.dtype) for each in several]
    first = given_[0]
    if overlapping and first.size >= outs[0].size and first.dtype == outs[0].dtype:
        # Elements of an input, from its end on, so that not every kernel can compute there.
        outs[0] = first.reshape((-1,))[first.size - outs[0].size :].reshape(outs[0].shape)
    results = call(out=outs if isinstance(wanted, list) else outs[0])
    assert bits(results) == expected
    for out, result in zip(outs, results if isinstance(results, list) else [results], strict=True):
        assert result is out


def test_dropout_draws_in_training_and_where_it_is_told_to():
    data = nd.ones((1000,))
    assert (nd.Dropout(data).asnumpy() == 1).all()
    for options in ({"is_train": True}, {"mode": "always"}):
        af.random.seed(1)
        found = nd.Dropout(data, p=0.25, **options).asnumpy()
        assert set(found) == {np.float32(0), np.float32(4 / 3)}
        assert 150 < (found == 0).sum() < 350
        assert (nd.Dropout(data, p=0.25, **options).asnumpy() != found).any()
        af.random.seed(1)
        assert (nd.Dropout(data, p=0.25, **options).asnumpy() == found).all()


def test_batch_norm_updates_its_states_in_training_only():
    data = nd.array(np.random.default_rng(0).normal(3, 2, (64, 2)))
    gamma, beta, mean, var = nd.ones(2), nd.zeros(2), nd.zeros(2), nd.ones(2)
    plain = nd.BatchNorm(data, gamma, beta, mean, var, eps=0)
    np.testing.assert_allclose(plain.asnumpy(), data.asnumpy(), rtol=1e-6)
    assert (mean.asnumpy() == 0).all()
    found = nd.BatchNorm(data, gamma, beta, mean, var, momentum=0.5, is_train=True).asnumpy()
    np.testing.assert_allclose(found.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(mean.asnumpy(), data.asnumpy().mean(0) / 2, rtol=1e-5)
    np.testing.assert_allclose(var.asnumpy(), (1 + data.asnumpy().var(0)) / 2, rtol=1e-5)
    output, center, _ = nd.BatchNorm(data, gamma, beta, mean, var, output_mean_var=True)
    assert output.shape == (64, 2)
    assert (center.asnumpy() == mean.asnumpy()).all()


def test_results_of_several_outputs():
    data = nd.arange(0, 12).reshape((2, 6))
    first, second, third = nd.split(data, num_outputs=3)
    assert [each.shape for each in (first, second, third)] == [(2, 2)] * 3
    assert nd.SliceChannel(data, num_outputs=1).shape == (2, 6)
    outs = [nd.empty((2, 3)), nd.empty((2, 3))]
    assert nd.split(data, num_outputs=2, out=outs)[1] is outs[1]
    assert (outs[1].asnumpy() == data.asnumpy()[:, 3:]).all()
    with pytest.raises(TypeError, match=r"^SliceChannel: out has 1 arrays, but there are 2"):
        nd.split(data, num_outputs=2, out=outs[0])
    with pytest.raises(TypeError, match=r"^SliceChannel: out is a str, but needs to be a list"):
        nd.split(data, num_outputs=2, out="x")
    with pytest.raises(ValueError, match=r"^SliceChannel: two arrays in out have memory in common"):
        nd.split(data, num_outputs=2, out=[outs[0], outs[0]])


def test_arrays_have_to_fit():
    data, weight, bias = nd.ones((2, 3)), nd.ones((4, 3)), nd.ones(4)
    with pytest.raises(TypeError, match=r"^FullyConnected: bias is missing; as it is, it takes"):
        nd.FullyConnected(data, weight, num_hidden=4)
    with pytest.raises(
        TypeError, match=r"takes only data, weight as it is, got an NDArray of shape \(4,\) too"
    ):
        nd.FullyConnected(data, weight, bias, num_hidden=4, no_bias=True)
    with pytest.raises(TypeError, match=r"^FullyConnected: weight needs to be an NDArray, got .1"):
        nd.FullyConnected(data, [1.0], bias, num_hidden=4)
    with pytest.raises(ShapeError, match=r"^FullyConnected: weight has shape \(4, 3\), but"):
        nd.FullyConnected(nd.ones((2, 5)), weight, bias, num_hidden=4)
    with pytest.raises(DTypeError, match=r"^FullyConnected: weight is float64, but needs float32"):
        nd.FullyConnected(data, weight.astype("float64"), bias, num_hidden=4)
    there = nd.ones(4, ctx=af.cpu(1))
    with pytest.raises(ContextError, match=r"^FullyConnected: bias is in cpu\(1\), but data in"):
        nd.FullyConnected(data, weight, there, num_hidden=4)
    with pytest.raises(ParameterError, match=r"^Activation: act_type needs .*did you mean 'relu'"):
        nd.Activation(data, act_type="rellu")
    with pytest.raises(TypeError, match="num_hiden"):
        nd.FullyConnected(data, weight, bias, num_hiden=4)
    with pytest.raises(ParameterError, match="num_args is 3, but there are 2 arrays"):
        nd.Concat(data, data, num_args=3)
    with pytest.raises(ParameterError, match="num_args needs an integer of at least 1"):
        nd.add_n()


def test_out_has_to_fit_and_may_convert():
    data = nd.array([[-1.0, 2.0]])
    with pytest.raises(ShapeError, match=r"^Activation: out has shape \(2,\), but the result has"):
        nd.Activation(data, act_type="relu", out=nd.empty(2))
    with pytest.raises(DTypeError, match=r"^Activation: out has dtype int32, to which"):
        nd.Activation(data, act_type="relu", out=nd.empty((1, 2), dtype="int32"))
    out = nd.empty((1, 2), dtype="float64")
    nd.Activation(data, act_type="relu", out=out)
    assert out.asnumpy().tolist() == [[0, 2]]
    nd.Activation(data, act_type="relu", out=data)
    assert data.asnumpy().tolist() == [[0, 2]]


def test_states_have_memory_of_their_own():
    data, one, other = nd.ones((4, 2)), nd.ones(2), nd.ones(2)
    with pytest.raises(ValueError, match="moving_mean is updated, and moving_var has the same"):
        nd.BatchNorm(data, one, one, other, other, is_train=True)
    with pytest.raises(ValueError, match="moving_mean is updated, and data has the same memory"):
        nd.BatchNorm(data, one, one, data[0], other, is_train=True)
    frozen = nd.array([1.0, 1.0], writable=False)
    with pytest.raises(ValueError, match="moving_var is updated in training, but is not writable"):
        nd.BatchNorm(data, one, one, other, frozen, is_train=True)
    assert (nd.BatchNorm(data, one, one, other, frozen, eps=0).asnumpy() == 1).all()


def test_wrong_values_fail_the_operation(engine):
    found = nd.Embedding(nd.array([0, 9]), nd.ones((3, 2)), input_dim=3, output_dim=2)
    with pytest.raises(IndexError, match="9"):
        found.asnumpy()


def test_verification_sees_what_a_function_declares():
    with af.Engine(workers=2, verify=True):
        data = nd.array(np.random.default_rng(0).normal(size=(8, 3)))
        states = [nd.ones(3) for _ in range(4)]
        nd.BatchNorm(data, *states, is_train=True, out=data)
        nd.Dropout(data, is_train=True, out=data)
        assert np.isfinite(data.asnumpy()).all()
        assert nd.Cast(nd.zeros(3), "bool").asnumpy().tolist() == [False] * 3


class Pushed(Instrument):
    """What operations declare when they are pushed: they forget it when they are done."""

    def __init__(self):
        self.said = []

    def pushed(self, operation):
        reads, writes = (
            {each.resource.name for each in part} for part in (operation.reads, operation.writes)
        )
        self.said.append((operation.name, reads, writes))


def test_a_function_is_one_message():
    log = Pushed()
    with af.Engine(workers=2, instruments=[log]):
        arrays = {
            name: nd.ones((8, 3) if name == "data" else 3) for name in BY_NAME["BatchNorm"].inputs
        }
        for name, each in arrays.items():
            each.resource.name = name
        del log.said[:]
        out = nd.empty((8, 3))
        out.resource.name = "out"
        nd.BatchNorm(**arrays, is_train=True, out=out)
        nd.BatchNorm(**arrays, out=out)
        nd.Dropout(arrays["data"], is_train=True, out=out)
        nd.waitall()
    states = {"moving_mean", "moving_var"}
    assert log.said == [
        ("BatchNorm", {"data", "gamma", "beta"}, {"out", *states}),
        ("BatchNorm", set(arrays), {"out"}),
        ("Dropout", {"data", "random cpu(0)"}, {"out"}),
    ]


def test_reshaping_gives_views_and_copies_where_out_says():
    data = nd.arange(0, 6)
    view = nd.Reshape(data, shape=(2, -1))
    view[0] = 7
    assert data.asnumpy().tolist() == [7, 7, 7, 3, 4, 5]
    out = nd.empty((3, 2))
    assert nd.reshape(data, (3, 2), out=out) is out
    out[:] = 0
    assert data.asnumpy()[3] == 3
    assert nd.reshape(nd.ones((2, 3, 4)), (-1, 0), reverse=True).shape == (6, 4)
    assert nd.Flatten(nd.ones((2, 3, 4)), out=nd.empty((2, 12))).shape == (2, 12)
    with pytest.raises(ParameterError, match="the parameter 'shape' is missing"):
        nd.reshape(data)
    with pytest.raises(TypeError, match="data needs to be an NDArray, got list"):
        nd.expand_dims([1], 0)
