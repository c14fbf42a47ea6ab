"""Initializers: rules by name, the numbers of each, seeds, texts, and what is refused."""

import asyncio
import threading

import numpy as np
import pytest

import actorflow as af
from actorflow import init, nd, sym
from actorflow.engine import Engine
from actorflow.errors import DTypeError, ParameterError, ShapeError

SHAPE = (64, 32, 3, 3)


def filled(initializer, name="fc1_weight", shape=SHAPE, dtype="float32"):
    array = nd.full(shape, -5, dtype=dtype)
    initializer(name, array)
    return array.asnumpy()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("fc1_bias", 0),
        ("bn_beta", 0),
        ("bn_gamma", 1),
        ("bn_moving_mean", 0),
        ("bn_moving_var", 1),
        ("bn_moving_inv_var", 0),
        ("bn_moving_avg", 0),
        ("quantized_min", 0),
        ("quantized_max", 1),
        ("stn_loc_fc_weight", 0),
        ("fc1_weight", 7),
        ("weight", 7),
    ],
)
def test_the_end_of_the_name_decides(engine, name, expected):
    np.testing.assert_array_equal(filled(init.Constant(7), name), expected)


def test_a_place_that_changes_nothing(engine):
    found = filled(init.Uniform(), "stn_loc_fc_bias", (6,))
    np.testing.assert_array_equal(found, [1, 0, 0, 0, 1, 0])


def test_an_unknown_name_is_an_error_that_says_what_to_do(engine):
    with pytest.raises(ParameterError, match=r"no rule for 'alpha' of shape \(2,\)") as caught:
        filled(init.Xavier(), "alpha", (2,))
    assert "sym.Variable('alpha', init=...)" in str(caught.value)
    assert isinstance(caught.value, ValueError)


def test_uniform(engine):
    found = filled(init.Uniform(0.5))
    assert -0.5 <= found.min() < -0.49
    assert 0.49 < found.max() <= 0.5
    assert abs(found.mean()) < 0.01
    assert np.abs(filled(init.Uniform())).max() <= 0.07


def test_normal(engine):
    assert filled(init.Normal(2)).std() == pytest.approx(2, rel=0.02)
    assert filled(init.Normal()).std() == pytest.approx(0.01, rel=0.02)


@pytest.mark.parametrize("factor_type", ["in", "out", "avg"])
@pytest.mark.parametrize("rnd_type", ["uniform", "gaussian"])
def test_xavier(engine, factor_type, rnd_type):
    fan = {"in": 32 * 9, "out": 64 * 9, "avg": 48 * 9}[factor_type]
    found = filled(init.Xavier(rnd_type, factor_type, magnitude=2.34))
    scale = np.sqrt(2.34 / fan)
    expected = scale if rnd_type == "gaussian" else scale / np.sqrt(3)
    assert found.std() == pytest.approx(expected, rel=0.02)
    if rnd_type == "uniform":
        assert np.abs(found).max() <= scale


def test_msra(engine):
    found = filled(init.MSRAPrelu("in", slope=0.1))
    assert found.std() == pytest.approx(np.sqrt(2 / 1.01 / (32 * 9)), rel=0.02)


@pytest.mark.parametrize("rand_type", ["uniform", "normal"])
@pytest.mark.parametrize("shape", [(4, 6), (6, 4), (3, 2, 5), (5, 5)])
def test_orthogonal(engine, rand_type, shape):
    matrix = filled(init.Orthogonal(2, rand_type), shape=shape).reshape(shape[0], -1)
    short = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    np.testing.assert_allclose(short @ short.T, 4 * np.eye(len(short)), atol=1e-5)


def test_orthogonal_has_no_preferred_signs(engine):
    found = np.array([filled(init.Orthogonal(rand_type="normal"), shape=(3, 3)) for _ in range(50)])
    positive = (found > 0).mean(0)
    assert positive.min() > 0.2
    assert positive.max() < 0.8


@pytest.mark.parametrize("shape", [(2, 1, 4, 4), (1, 3, 5, 5), (1, 1, 2, 6)])
def test_bilinear(engine, shape):
    half = np.ceil(shape[3] / 2)
    centre = (2 * half - 1 - half % 2) / (2 * half)
    expected = np.empty(shape)
    for where in np.ndindex(*shape):
        y, x = where[2:]
        expected[where] = (1 - abs(x / half - centre)) * (1 - abs(y / half - centre))
    np.testing.assert_allclose(filled(init.Bilinear(), shape=shape), expected, rtol=1e-6)
    by_name = filled(init.Uniform(), "upsampling0_weight", shape)
    np.testing.assert_allclose(by_name, expected, rtol=1e-6)


def test_lstm_bias(engine):
    wanted = [0, 0, 3, 3, 0, 0, 0, 0]
    np.testing.assert_array_equal(filled(init.LSTMBias(3), shape=(8,)), wanted)
    # A name that says that it is a bias asks for no other rule.
    mixed = init.Mixed([".*i2h_bias", ".*"], [init.LSTMBias(3), init.Uniform()])
    for rule in (init.LSTMBias(3), mixed):
        np.testing.assert_array_equal(filled(rule, "lstm_i2h_bias", (8,)), wanted)


def test_constants(engine):
    value = np.arange(4).reshape(2, 2)
    for given in (value, nd.array(value), value.tolist()):
        np.testing.assert_array_equal(filled(init.Constant(given), shape=(2, 2)), value)
    np.testing.assert_array_equal(filled(init.One(), shape=(2,)), 1)
    np.testing.assert_array_equal(filled(init.Zero(), shape=(2,), dtype="int32"), 0)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_data_types(engine, dtype):
    for each in (init.Uniform(), init.Normal(), init.Orthogonal(), init.Xavier()):
        found = filled(each, shape=(4, 3), dtype=dtype)
        assert found.dtype == dtype
        assert len(np.unique(found)) > 6


# -- Seeds -----------------------------------------------------------------------------------------


def test_the_seed_decides_on_any_engine():
    found = []
    for kind, workers in (("naive", 1), ("threaded", 1), ("threaded", 3)):
        with Engine(engine_type=kind, workers=workers):
            af.random.seed(3)
            rules = (init.Uniform(), init.Normal(), init.Orthogonal(), init.MSRAPrelu())
            found.append([filled(each, shape=(30, 20)) for each in rules])
    for other in found[1:]:
        for one, two in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(one, two)


def test_nothing_waits():
    with Engine(engine_type="threaded", workers=2) as engine:
        event = threading.Event()
        array = nd.empty((3, 4))
        engine.push(event.wait, updates=[array.resource])
        for each in (init.Orthogonal(), init.Bilinear(), init.Constant(nd.ones((3, 4)))):
            each(
                "a_weight", array.reshape(1, 1, 3, 4) if isinstance(each, init.Bilinear) else array
            )
        event.set()
        np.testing.assert_array_equal(array.asnumpy(), 1)


def test_in_an_event_loop():
    async def main():
        async with Engine(engine_type="threaded", workers=1):
            array = nd.zeros((3, 3))
            init.Orthogonal(1)("a_weight", array)
            found = await array
            np.testing.assert_allclose(found @ found.T, np.eye(3), atol=1e-5)

    asyncio.run(main())


# -- Variables with their own ----------------------------------------------------------------------


@pytest.mark.parametrize("own", [init.Constant(3), "one", '["constant", {"value": 3}]'])
def test_a_variable_with_its_own(engine, own):
    net = sym.FullyConnected(
        sym.Variable("data"), weight=sym.Variable("odd", init=own), num_hidden=2, name="fc"
    )
    net = sym.load_json(net.tojson())
    array = nd.zeros((2, 2))
    name = init.InitDesc("odd", net.attr_dict()["odd"])
    default = init.Uniform()
    default(name, array)
    np.testing.assert_array_equal(array.asnumpy(), 1 if own == "one" else 3)
    assert name.global_init is default


def test_what_a_variable_refuses():
    with pytest.raises(TypeError, match="init of x has to be an initializer, got 3"):
        sym.Variable("x", init=3)
    with pytest.raises(TypeError, match="Mixed: initializers by pattern cannot be written"):
        sym.Variable("x", init=init.Mixed([".*"], ["one"]))
    with pytest.raises(ParameterError, match=r"none called 'ones_'; did you mean ones") as caught:
        filled(init.Uniform(), init.InitDesc("x", {"__init__": "ones_"}), (2,))
    assert "the variable 'x'" in caught.value.__notes__[0]


def test_mixed(engine):
    mixed = init.Mixed(["fc1_bias", ".*bias", ".*"], [init.Constant(2), init.Zero(), "xavier"])
    np.testing.assert_array_equal(filled(mixed, "fc2_bias", (3,)), 0)
    assert len(np.unique(filled(mixed))) > 100
    with pytest.raises(ParameterError, match=r"no pattern matches 'x': there are 'a.*', 'b'"):
        init.Mixed(["a.*", "b"], ["one", "zero"])("x", nd.zeros(2))
    with pytest.raises(ParameterError, match="needs an initializer for each pattern"):
        init.Mixed(["a"], [])


def test_load(engine, tmp_path, caplog):
    path = tmp_path / "saved.params"
    nd.save(path, {"arg:fc1_weight": nd.full((2, 2), 4), "aux:bn_moving_var": nd.full(2, 3)})
    caplog.set_level("INFO")
    loaded = init.Load(path, default_init=init.One(), verbose=True)
    np.testing.assert_array_equal(filled(loaded, shape=(2, 2)), 4)
    np.testing.assert_array_equal(filled(loaded, "bn_moving_var", (2,)), 3)
    np.testing.assert_array_equal(filled(loaded, "fc2_weight", (2,)), 1)
    assert caplog.messages == [
        "fc1_weight: loaded",
        "bn_moving_var: loaded",
        "fc2_weight: initialized by default",
    ]
    with pytest.raises(ShapeError, match=r"'fc1_weight' has shape \(3,\), but was saved with"):
        filled(loaded, shape=(3,))
    with pytest.raises(ParameterError, match="'x' is not among the 1 saved arrays"):
        init.Load({"arg:y": nd.zeros(1)})("x", nd.zeros(1))
    nd.save(path, [nd.zeros(1)])
    with pytest.raises(TypeError, match="needs arrays by name"):
        init.Load(path)


# -- Texts -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "made",
    [
        init.Uniform(0.1),
        init.Normal(2),
        init.Orthogonal(1, "normal"),
        init.Xavier("gaussian", "in", 2),
        init.MSRAPrelu("out", 0.1),
        init.One(),
        init.Zero(),
        init.Constant([[1, 2]]),
        init.Constant(nd.array([1, 2])),
        init.Bilinear(),
        init.LSTMBias(2),
    ],
    ids=repr,
)
def test_as_text_and_back(made):
    back = init.create(made.dumps())
    assert back == made
    assert back.dumps() == made.dumps()


def test_by_name():
    assert init.create("Xavier", magnitude=2) == init.Xavier(magnitude=2)
    assert init.create("zeros") == init.Zero()
    assert init.Uniform(1) != init.Normal(1)
    assert repr(init.Uniform(0.1)) == "Uniform(scale=0.1)"
    made = init.One()
    assert init.create(made) is made
    with pytest.raises(ParameterError, match=r"there is none called 'xavir'; did you mean xavier"):
        init.create("xavir")
    with pytest.raises(ParameterError, match="unexpected keyword argument 'sigma'"):
        init.create("uniform", sigma=1)
    with pytest.raises(ParameterError, match=r'needs \["name", {parameters}\]'):
        init.create("[1]")
    with pytest.raises(ParameterError, match="is no JSON"):
        init.create("[1")
    with pytest.raises(TypeError, match="needs a name or an object of it, got 3"):
        init.create(3)


def test_a_class_of_ones_own(engine):
    @init.register
    @init.alias("mine")
    class Own(init.Initializer):
        def _init_weight(self, name, arr):
            arr[:] = 5

        def _init_bias(self, name, arr):
            arr[:] = 6

    for made in (Own(), init.create("own"), init.create("mine")):
        assert filled(made, shape=(1,)) == 5
        assert filled(made, "b_bias", shape=(1,)) == 6
    with pytest.raises(TypeError, match="needs a class of Initializer"):
        init.register(int)


def test_what_is_refused(engine):
    with pytest.raises(TypeError, match="Uniform: the parameter's name is a text, got 3"):
        init.Uniform()(3, nd.zeros(1))
    with pytest.raises(TypeError, match="Uniform: needs an NDArray for 'a_weight', got an ndarray"):
        init.Uniform()("a_weight", np.zeros(1))
    with pytest.raises(DTypeError, match="uniform: draws float16, float32 or float64, not int32"):
        filled(init.Uniform(), dtype="int32")
    with pytest.raises(ShapeError, match=r"Xavier: 'fc1_weight' has shape \(3,\), but needs"):
        filled(init.Xavier(), shape=(3,))
    with pytest.raises(ShapeError, match=r"Bilinear: .* needs four axes"):
        filled(init.Bilinear(), shape=(3,))
    with pytest.raises(ShapeError, match=r"LSTMBias: .* of four gates"):
        filled(init.LSTMBias(), shape=(6,))
    with pytest.raises(ShapeError, match=r"Constant: .*\(3,\), but the value \(2,\)"):
        filled(init.Constant([1, 2]), shape=(3,))
    with pytest.raises(ParameterError, match="factor_type is one of avg, in, out, got 'both'"):
        init.Xavier(factor_type="both")
    with pytest.raises(ParameterError, match="rnd_type is one of uniform, gaussian, got 'normal'"):
        init.Xavier("normal")
    with pytest.raises(ParameterError, match="magnitude is positive, got 0"):
        init.Xavier(magnitude=0)
    with pytest.raises(ParameterError, match="rand_type is one of"):
        init.Orthogonal(rand_type="gaussian")
    with pytest.raises(NotImplementedError, match="Initializer: has no _init_weight"):
        filled(init.Initializer())


def test_both_modules_have_the_same_names():
    from actorflow import initializer

    assert initializer.__all__ == init.__all__
    assert all(getattr(initializer, name) is getattr(init, name) for name in init.__all__)
