"""Learning rates over time."""

import math

import pytest
from hypothesis import given, strategies as st

import actorflow as af
from actorflow.errors import FormatError, ParameterError
from actorflow.lr_scheduler import (
    CosineScheduler,
    FactorScheduler,
    LRScheduler,
    MultiFactorScheduler,
    PolyScheduler,
)
from actorflow.optimizer import schedule


def test_factor():
    rates = FactorScheduler(2, 0.5, stop_factor_lr=0.2, base_lr=1)
    assert [rates(n) for n in range(1, 9)] == [1, 1, 0.5, 0.5, 0.25, 0.25, 0.2, 0.2]
    assert rates(0) == 1
    assert rates(3) == 0.5  # it is a function of the number alone
    assert FactorScheduler(1)(10**12) == 0.01
    assert FactorScheduler(1, 0.5, 0)(10**12) == 0


def test_factor_rounds_as_one_step_after_the_other():
    rates, expected = FactorScheduler(3, 0.9, base_lr=0.3), 0.3
    for _ in range(100):
        expected *= 0.9
    assert rates(301) == expected


def test_several_factors():
    rates = MultiFactorScheduler([2, 5], 0.1, base_lr=1)
    assert [rates(n) for n in (1, 2, 3, 5, 6, 100)] == [1, 1, 0.1, 0.1, 0.1 * 0.1, 0.1 * 0.1]


def test_powers():
    rates = PolyScheduler(10, base_lr=1, pwr=2, final_lr=0.5)
    assert rates(5) == 0.5 + 0.5 * 0.5**2
    assert rates(10) == rates(11) == 0.5


def test_cosine():
    rates = CosineScheduler(10, base_lr=1, final_lr=0.2)
    assert rates(0) == 1
    assert rates(5) == pytest.approx(0.6)
    assert rates(3) == pytest.approx(0.2 + 0.8 * (1 + math.cos(math.pi * 0.3)) / 2)
    assert rates(10) == rates(99) == pytest.approx(0.2)


def test_warming_up():
    rates = CosineScheduler(10, 1.0, warmup_steps=4, warmup_begin_lr=0.2)
    assert [rates(n) for n in range(4)] == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert rates(4) == 1
    assert rates(7) == pytest.approx(0.5)
    flat = FactorScheduler(5, 0.5, base_lr=1, warmup_steps=2, warmup_mode="constant")
    assert [flat(n) for n in (0, 1, 2, 5, 6)] == [0, 0, 1, 1, 0.5]


def test_who_says_where_it_begins():
    create = af.optimizer.create
    assert create("sgd", lr_scheduler=FactorScheduler(5)).learning_rate == 0.01
    assert create("adam", lr_scheduler=FactorScheduler(5)).learning_rate == 0.001
    assert create("adam", lr_scheduler=FactorScheduler(5, base_lr=0.3)).learning_rate == 0.3
    both = create("sgd", learning_rate=0.2, lr_scheduler=FactorScheduler(5, 0.5, base_lr=0.3))
    assert both.learning_rate == 0.2
    assert both.lr_scheduler(6) == 0.1


def test_a_scheduler_of_ones_own():
    class Mine(LRScheduler):
        def __init__(self, half, **more):
            super().__init__(**more)
            self.half = half

        def decayed(self, num_update):
            return self.base_lr / (1 + num_update / self.half)

    assert Mine(4, base_lr=1)(4) == 0.5
    with pytest.raises(ParameterError, match="Mine is not registered"):
        Mine(4).describe()
    LRScheduler.register(Mine)
    try:
        again = schedule.from_description(Mine(4, base_lr=1, warmup_steps=2).describe())
        assert isinstance(again, Mine)
        assert [again(n) for n in (1, 4)] == [0.5, 0.5]
    finally:
        del LRScheduler.registry.classes["mine"]


number = st.floats(0, 1)
common = st.fixed_dictionaries(
    {},
    optional={
        "base_lr": st.floats(0.5, 2),
        "warmup_steps": st.integers(0, 9),
        "warmup_begin_lr": st.floats(0, 0.01),
        "warmup_mode": st.sampled_from(["linear", "constant"]),
    },
)
schedulers = st.one_of(
    st.builds(
        lambda more, *each: FactorScheduler(*each, **more),
        *(common, st.integers(1, 50), number, number),
    ),
    st.builds(
        lambda more, steps, factor: MultiFactorScheduler(sorted(steps), factor, **more),
        *(common, st.sets(st.integers(1, 99), min_size=1), number),
    ),
    st.builds(
        lambda more, most, final: CosineScheduler(most, final_lr=final, **more),
        *(common, st.integers(10, 99), number),
    ),
    st.builds(
        lambda more, most, power: PolyScheduler(most, pwr=power, **more),
        *(common, st.integers(10, 99), st.floats(0, 4)),
    ),
)


@given(schedulers, st.lists(st.integers(0, 200), min_size=1))
def test_descriptions(scheduler, numbers):
    again = schedule.from_description(scheduler.describe())
    assert type(again) is type(scheduler)
    assert again.describe() == scheduler.describe()
    rates = [scheduler(n) for n in numbers]
    assert [again(n) for n in sorted(numbers)] == [scheduler(n) for n in sorted(numbers)]
    assert rates == [again(n) for n in numbers]
    assert all(0 <= rate <= 2 for rate in rates)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: FactorScheduler(0), "FactorScheduler: step needs an integer of at least 1, got 0"),
        (lambda: FactorScheduler(5, 1.5), "factor needs a finite number of at least 0 and at most"),
        (lambda: FactorScheduler(5, warmup_step=3), "no argument 'warmup_step'; did you mean 'war"),
        (lambda: FactorScheduler(5, base_lr=float("nan")), "base_lr needs a finite number"),
        (lambda: FactorScheduler(5, base_lr=0.1, warmup_begin_lr=1), "needs to be at most base_lr"),
        (lambda: FactorScheduler(5, warmup_mode="quick"), "warmup_mode needs one of"),
        (lambda: MultiFactorScheduler([]), "step needs a list of integers, got"),
        (lambda: MultiFactorScheduler([3, 3]), "step needs to increase"),
        (lambda: MultiFactorScheduler([3, True]), "each step needs an integer"),
        (lambda: PolyScheduler(3, pwr=-1), "pwr needs"),
        (lambda: CosineScheduler(3, warmup_steps=3), "needs to be more than warmup_steps, 3"),
        (lambda: CosineScheduler(2.5), "max_update needs an integer"),
    ],
)
def test_mistakes(make, says):
    with pytest.raises(ParameterError, match=says):
        make()


def test_mistakes_in_descriptions():
    with pytest.raises(ParameterError, match="no scheduler 'factrscheduler'; did you mean 'fact"):
        schedule.from_description({"name": "factrscheduler", "arguments": {}})
    with pytest.raises(FormatError, match="needs a dictionary, got 3"):
        schedule.from_description(3)
    with pytest.raises(ParameterError, match="no argument 'stop'"):
        schedule.from_description({"name": "factorscheduler", "arguments": {"stop": 1}})
    with pytest.raises(TypeError, match="lr_scheduler needs an LRScheduler"):
        af.optimizer.create("sgd", lr_scheduler=lambda n: 0.1)
    with pytest.raises(NotImplementedError, match="decayed, or __call__, is missing"):
        LRScheduler()(1)
