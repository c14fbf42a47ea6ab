"""What all optimizers share: names, rates, multipliers, descriptions, messages, mistakes."""

import contextlib
import json
import threading

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import actorflow as af
from actorflow import nd
from actorflow.engine import Engine
from actorflow.engine.instrument import Instrument
from actorflow.errors import ContextError, DTypeError, FormatError, ParameterError, ShapeError
from actorflow.ndarray import update as nd_update
from actorflow.optimizer import Optimizer, create, from_description
from tests.optimizer._references import CASES

NAMES = ("sgd", "ccsgd", "nag", "sgld", "dcasgd", "adam", "adagrad", "rmsprop", "adadelta", "ftrl")


class Pushed(Instrument):
    """The names of the operations that were pushed."""

    def __init__(self):
        self.names = []

    def pushed(self, operation):
        self.names.append(operation.name)


# -- Making ----------------------------------------------------------------------------------------


def test_create_takes_rescale_grad_by_place_and_by_name():
    assert create("sgd", 0.5, momentum=0.9).rescale_grad == 0.5
    assert create("SGD", rescale_grad=0.25).rescale_grad == 0.25
    assert type(Optimizer.create_optimizer("Adam", 0.5)) is af.optimizer.Adam
    assert af.optimizer.SGD(momentum=0.9, rescale_grad=2).rescale_grad == 2


def test_early_defaults():
    assert {create(name).learning_rate for name in NAMES} == {0.01, 0.001, 0.1}
    assert create("adam").learning_rate == 0.001
    assert create("ftrl").learning_rate == 0.1
    sgd = create("sgd")
    assert (sgd.wd, sgd.rescale_grad, sgd.clip_gradient, sgd.momentum) == (0, 1, None, 0)
    rmsprop = create("rmsprop")
    assert (rmsprop.gamma1, rmsprop.gamma2, rmsprop.centered) == (0.95, 0.9, True)
    assert create("sgd", clip_gradient=-1).clip_gradient == -1


def test_an_optimizer_of_ones_own():
    @Optimizer.register
    class Plain(Optimizer):
        def __init__(self, factor=1.0, **more):
            super().__init__(**more)
            self.factor = factor

        def update(self, index, weight, grad, state):
            self._update_count(index)
            weight -= grad * (self._get_lr(index) * self.factor)

    try:
        optimizer = create("plain", factor=2, learning_rate=0.25)
        updater = af.optimizer.get_updater(optimizer)
        weights = [nd.ones((2,)), nd.zeros((3,))]
        updater.update_all([0, 1], [nd.ones((2,)), nd.ones((3,))], weights)
        assert weights[0].asnumpy().tolist() == [0.5, 0.5]
        assert weights[1].asnumpy().tolist() == [-0.5] * 3
        assert from_description(optimizer.describe()).factor == 2
        Optimizer.register(Plain)  # the same once more
        with pytest.raises(ParameterError, match=r"'plain' is .* already"):
            Optimizer.register(type("Plain", (Optimizer,), {}))
    finally:
        del Optimizer.registry.classes["plain"]
    with pytest.raises(NotImplementedError, match="Optimizer: update is missing"):
        Optimizer().update(0, nd.ones((1,)), nd.ones((1,)), None)
    with pytest.raises(ParameterError, match="Plain is not registered"):
        Plain().describe()


def test_what_keeps_an_argument_elsewhere_has_no_description():
    @Optimizer.register
    class Hidden(Optimizer):
        def __init__(self, speed=1.0, **more):
            super().__init__(**more)

    try:
        with pytest.raises(ParameterError, match="Hidden has no attribute 'speed'"):
            Hidden().describe()
        Hidden.speed = {1, 2}
        with pytest.raises(TypeError, match=r"Hidden.speed needs to be None, a flag"):
            Hidden().describe()
    finally:
        del Optimizer.registry.classes["hidden"]


# -- Rates -----------------------------------------------------------------------------------------


def rates(optimizer, *indices):
    return [(optimizer._get_lr(index), optimizer._get_wd(index)) for index in indices]


def test_multipliers_by_number_and_name():
    sgd = create("sgd", param_idx2name={0: "a_weight", 1: "a_bias", 2: "b_gamma"}, wd=0.5)
    assert rates(sgd, 0, 1, 2, 3) == [(0.01, 0.5), (0.01, 0), (0.01, 0.5), (0.01, 0.5)]
    assert rates(sgd, "a_weight", "a_bias") == [(0.01, 0.5), (0.01, 0)]
    sgd.set_lr_mult({"a_bias": 2, 0: 3, "a_weight": 5})
    sgd.set_wd_mult({"a_bias": 4, "a_weight": 0})
    assert rates(sgd, 0, 1, 2) == [(0.03, 0), (0.02, 2), (0.01, 0.5)]
    sgd.set_wd_mult({})
    assert rates(sgd, 0, 1) == [(0.03, 0.5), (0.02, 0)]
    assert create("sgd", arg_names=["x", "y_weight"], wd=1)._get_wd(0) == 0


def test_multipliers_of_a_symbol():
    weight = af.sym.Variable("fc_weight", lr_mult=2, wd_mult=0)
    bias = af.sym.Variable("fc_bias", wd_mult=3)
    net = af.sym.FullyConnected(af.sym.Variable("data"), weight, bias, num_hidden=3, name="fc")
    sgd = create("sgd", wd=0.5, learning_rate=0.1, sym=net, param_idx2name={7: "fc_weight"})
    assert rates(sgd, 7, "fc_bias") == [(0.2, 0), (0.1, 1.5)]
    sgd.set_lr_mult({"fc_bias": 4})
    assert rates(sgd, 7, "fc_bias") == [(0.2, 0), (0.4, 1.5)]
    bad = af.sym.Variable("w", attr={"__lr_mult__": "much"})
    with pytest.raises(ParameterError, match="SGD: __lr_mult__ of w needs a finite number"):
        create("sgd", sym=bad)


def test_updates_are_counted_by_weight():
    optimizer = create("sgd", begin_num_update=10)
    updater = af.optimizer.get_updater(optimizer)
    for index in (0, 0, 1):
        updater(index, nd.ones((1,)), nd.ones((1,)))
    assert optimizer.num_update == 12
    assert optimizer._index_update_count == {0: 12, 1: 11}
    optimizer.set_learning_rate(0.5)
    assert optimizer.learning_rate == optimizer.lr == 0.5
    scheduled = create("sgd", lr_scheduler=af.lr_scheduler.FactorScheduler(1, 0.5))
    with pytest.raises(ParameterError, match="the scheduler gives the rate"):
        scheduled.set_learning_rate(1)


# -- Messages --------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", [*CASES, "sgld"])
def test_a_step_is_one_operation(case):
    name, own = CASES.get(case, (case, {}))
    log = Pushed()
    with Engine(instruments=[log]):
        optimizer = create(name, learning_rate=0.1, **own)
        updater = af.optimizer.get_updater(optimizer)
        weights, grads = ([nd.ones((3, each)) for each in (1, 2, 3)] for _ in range(2))
        updater.update_all([0, 1, 2], grads, weights)
        for _ in range(3):
            log.names.clear()
            updater.update_all([0, 1, 2], grads, weights)
            assert log.names == [type(optimizer).__name__]
        log.names.clear()
        updater(0, grads[0], weights[0])
        assert len(log.names) == 1


def test_contexts_and_large_weights_have_operations_of_their_own():
    log = Pushed()
    with Engine(instruments=[log]):
        sgd = create("sgd", learning_rate=1)
        shapes = [(2,), (1 << 20,), (3,), (4,)]
        places = [af.cpu(0), af.cpu(0), af.cpu(1), af.cpu(0)]
        weights, grads = (
            [nd.ones(shape, ctx=ctx) for shape, ctx in zip(shapes, places, strict=True)]
            for _ in range(2)
        )
        nd.waitall()
        log.names.clear()
        sgd.update_all(range(4), weights, grads, [None] * 4)
        assert len(log.names) == 4
        assert all((each.asnumpy() == 0).all() for each in weights)


def test_a_rate_that_changes_at_each_step_is_not_checked_again():
    adam = create("adam", lr_scheduler=af.lr_scheduler.CosineScheduler(100, warmup_steps=5))
    updater = af.optimizer.get_updater(adam)
    weights, grads = ([nd.ones((3,)), nd.ones((4,))] for _ in range(2))
    updater.update_all([0, 1], grads, weights)
    before = nd_update._known.cache_info()
    for _ in range(10):
        updater.update_all([0, 1], grads, weights)
    assert nd_update._known.cache_info() == before


def test_steps_pushed_ahead_have_their_own_rates():
    with Engine(workers=1) as engine:
        weight, grad = nd.zeros((2000,)), nd.ones((2000,))
        updater = af.optimizer.get_updater(create("sgd", learning_rate=0))
        updater(0, grad, weight)
        updater(0, grad, weight)
        gate = threading.Event()
        engine.push(gate.wait, reads=[weight.resource])
        for rate in (1, 2, 4, 8):
            updater.optimizer.lr = rate
            updater(0, grad, weight)
        gate.set()
        assert (weight.asnumpy() == -15).all()


# -- Descriptions ----------------------------------------------------------------------------------

finite = st.floats(0, 10)
index = st.one_of(st.integers(0, 9), st.text(max_size=5))
described = st.fixed_dictionaries(
    {},
    optional={
        "rescale_grad": st.floats(-10, 10),
        "wd": finite,
        "clip_gradient": st.one_of(st.none(), st.floats(-1, 10)),
        "learning_rate": finite,
        "begin_num_update": st.integers(0, 10**6),
        "param_idx2name": st.dictionaries(st.integers(0, 9), st.text(max_size=5)),
        "lr_scheduler": st.builds(
            af.lr_scheduler.FactorScheduler, st.integers(1, 9), st.floats(0, 1)
        ),
    },
)


@given(
    st.sampled_from([*CASES.values(), ("sgld", {}), ("test", {})]),
    described,
    *[st.dictionaries(index, finite, max_size=4)] * 2,
)
def test_descriptions(case, arguments, lr_mult, wd_mult):
    name, own = case
    made = create(name, **own, **arguments)
    made.set_lr_mult(lr_mult)
    made.set_wd_mult(wd_mult)
    plain = made.describe()
    again = from_description(json.loads(json.dumps(plain, allow_nan=False)))
    assert type(again) is type(made)
    assert again.describe() == plain
    indices = [*range(10), *lr_mult, *wd_mult]
    assert rates(again, *indices) == rates(made, *indices)
    assert (again.num_update, again.rescale_grad) == (made.num_update, made.rescale_grad)


def test_a_description_is_of_now():
    sgd = create("sgd", lr_scheduler=af.lr_scheduler.FactorScheduler(1, 0.5))
    sgd.rescale_grad = np.float32(0.25)
    sgd.momentum = 0.5
    sgd.lr_scheduler.base_lr = 4
    again = from_description(sgd.describe())
    assert (again.rescale_grad, again.momentum, again.lr_scheduler(2)) == (0.25, 0.5, 2)


json_like = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
keys = st.sampled_from(["name", "arguments", "lr_mult", "wd_mult", "other"])
names = st.sampled_from(["sgd", "adam", "rmsprop", "nobody"])
arguments = st.dictionaries(st.sampled_from(["momentum", "wd", "lr_scheduler", "sym"]), json_like)


@settings(max_examples=300)
@given(
    st.one_of(
        json_like,
        st.dictionaries(keys, json_like),
        st.fixed_dictionaries(
            {"name": names, "arguments": arguments},
            optional={"lr_mult": json_like, "wd_mult": st.just([])},
        ),
    )
)
def test_whatever_comes_as_a_description_is_refused_or_taken(plain):
    with contextlib.suppress(FormatError, ParameterError, TypeError):
        assert isinstance(from_description(plain), Optimizer)


# -- Mistakes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: create("sdg"), ParameterError, "no optimizer 'sdg'; did you mean 'sgd'"),
        (lambda: create("lamb2000"), ParameterError, "no optimizer 'lamb2000'; there are"),
        (lambda: create(3), TypeError, "the name of optimizer is a text, got 3"),
        (lambda: create("sgd", momentun=1), ParameterError, "SGD: .*did you mean 'momentum'"),
        (lambda: create("adam", learning_rte=1), ParameterError, "Adam.*mean 'learning_rate'"),
        (lambda: create("sgd", wd=-1), ParameterError, "SGD: wd needs a finite number of at le"),
        (lambda: create("sgd", wd=True), ParameterError, "SGD: wd needs"),
        (lambda: create("sgd", learning_rate="0.1"), ParameterError, "learning_rate needs"),
        (lambda: create("sgd", learning_rate=float("inf")), ParameterError, "got inf"),
        (lambda: create("sgd", rescale_grad=10**400), ParameterError, "rescale_grad needs"),
        (lambda: create("sgd", begin_num_update=1.5), ParameterError, "begin_num_update needs"),
        (lambda: create("adam", beta1=1), ParameterError, "beta1 needs to be less than 1"),
        (lambda: create("rmsprop", centered=1), ParameterError, "centered needs True or False"),
        (lambda: create("sgd", param_idx2name={0: 1}), TypeError, "weights have names that are"),
        (lambda: create("sgd", sym=[]), TypeError, "SGD: sym needs a Symbol, got"),
        (lambda: create("sgd", param_idx2name=3), TypeError, "param_idx2name needs a dictionary"),
        (
            lambda: create("sgd", param_idx2name={}, arg_names=[]),
            ParameterError,
            "say the same; give one",
        ),
        (lambda: create("sgd").set_lr_mult({"a": -1}), ParameterError, "multiplier of 'a' needs"),
        (lambda: create("sgd").set_wd_mult({1.5: 1}), TypeError, "is a name or a number, got 1.5"),
        (lambda: create("sgd").set_learning_rate(-1), ParameterError, "lr needs"),
        (lambda: Optimizer.register(int), TypeError, "needs a subclass of Optimizer"),
        (lambda: af.optimizer.get_updater("sgd"), TypeError, "Updater: needs an Optimizer"),
        (lambda: from_description([]), FormatError, "needs a dictionary"),
        (
            lambda: from_description({"name": "sgd", "arguments": {}}),
            FormatError,
            "needs exactly arguments, lr_mult, name, wd_mult",
        ),
    ],
)
def test_mistakes(make, error, says):
    with pytest.raises(error, match=says):
        make()


def test_what_does_not_fit_is_refused_before_anything_changes():
    sgd = create("sgd", momentum=0.9)
    one, two, grad = nd.ones((2,)), nd.ones((3,)), nd.ones((2,))
    mom = [nd.zeros((2,)), nd.zeros((3,))]
    for grads, error in (
        ([grad, grad], ShapeError),
        ([grad, nd.ones((3,), dtype="float64")], DTypeError),
        ([grad, nd.ones((3,), ctx=af.cpu(1))], ContextError),
        ([grad, np.ones(3)], TypeError),
    ):
        with pytest.raises(error):
            sgd.update_all([0, 1], [one, two], grads, mom)
    with pytest.raises(TypeError, match="SGD: weight 1 is no NDArray"):
        sgd.update_all([0, 1], [one, 3], [grad, grad], mom)
    with pytest.raises(ParameterError, match="got 2 indices, but 1 weights"):
        sgd.update_all([0, 1], [one], [grad, grad], mom)
    with pytest.raises(ParameterError, match="state of 0 has 0 arrays, but sgd_mom_update needs 1"):
        sgd.update(0, one, grad, None)
    with pytest.raises(ParameterError, match="needs to be more than 0"):
        create("ftrl", learning_rate=0).update(0, one, grad, (nd.zeros((2,)), nd.zeros((2,))))
    assert (one.asnumpy() == 1).all()
    assert sgd.num_update == 0
    assert sgd._index_update_count == {}
    far = nd.ones((2,), ctx=af.cpu(1))
    with pytest.raises(ContextError):  # the second operation; the first one counts
        sgd.update_all([0, 1], [one, far], [grad, grad], [mom[0], nd.zeros((2,), ctx=af.cpu(1))])
    assert sgd._index_update_count == {0: 1}
    assert (one.asnumpy() != 1).all()


def test_numbers_that_became_wrong_are_refused():
    sgd = create("sgd")
    weight, grad = nd.ones((2,)), nd.ones((2,))
    for _ in range(3):
        sgd.update(0, weight, grad, None)
    for lr in (-1.0, float("nan"), "much"):
        sgd.lr = lr
        with pytest.raises((ParameterError, ValueError)):
            sgd.update(0, weight, grad, None)
    sgd.lr, sgd.rescale_grad = 0.01, float("nan")
    with pytest.raises(ParameterError, match="rescale_grad needs"):
        sgd.update(0, weight, grad, None)
    assert sgd.num_update == 3
