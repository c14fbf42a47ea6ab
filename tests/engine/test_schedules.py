"""Schedules that can be repeated, and a policy of one's own.

An engine without threads runs what the policy chooses, one operation per step. A policy that draws
by seed explores any schedule; a policy that knows costs makes a good one.
"""

import pytest

from actorflow.engine import Resource
from tests.engine._critical_path import CriticalPathPolicy
from tests.engine._helpers import SeededPolicy, run_all, stepping
from tests.engine._programs import mix

CELLS = 5


def push_program(engine, seed, cells):
    """Push 60 operations, named by number, over a few cells."""
    resources = [Resource(f"cell {index}") for index in range(CELLS)]
    for number in range(60):
        source = mix(seed, number) % CELLS
        target = mix(seed, number, 1) % CELLS

        def fn(number=number, source=source, target=target):
            cells[target] = mix(cells[target], cells[source], number)

        engine.push(fn, reads=[resources[source]], updates=[resources[target]], name=f"op {number}")


def schedule(seed):
    """Run the program in the schedule of a seed; return the order and what came out."""
    cells = list(range(CELLS))
    with stepping(lambda: SeededPolicy(seed)) as engine:
        push_program(engine, 7, cells)
        names = run_all(engine)
    return names, cells


def test_a_seed_gives_the_same_schedule_every_time():
    assert schedule(3) == schedule(3)


def test_other_seeds_give_other_schedules_and_the_same_result():
    meant = list(range(CELLS))
    with stepping() as engine:
        push_program(engine, 7, meant)
        in_order = run_all(engine)
    runs = [schedule(seed) for seed in range(30)]
    assert len(in_order) == 60
    assert len({tuple(names) for names, _ in runs}) == 30
    assert all(sorted(names) == sorted(in_order) for names, _ in runs)
    assert all(cells == meant for _, cells in runs)


def test_step_runs_one_operation_and_gives_it():
    ran = []
    with stepping() as engine:
        first = engine.push(lambda: ran.append("first"))
        second = engine.push(lambda: ran.append("second"))
        assert engine.step() is first
        assert ran == ["first"]
        assert engine.statistics().ready == 1
        assert engine.step() is second
        assert engine.step() is None
    assert ran == ["first", "second"]


def test_an_engine_without_workers_starts_no_thread():
    with stepping() as engine:
        for _ in range(10):
            engine.push(lambda: None)
        engine.wait_all()
        assert engine.statistics().workers == 0


# -- A policy of one's own ------------------------------------------------------------------------


def count_ticks(policy, push_work, workers=2):
    """How many ticks the work takes on so many workers, one of whose ticks is a unit of cost."""
    ticks, running = 0, []  # running: (ends at, completion)
    with stepping(policy) as engine:
        push_work(engine, lambda done, cost: running.append((ticks + cost, done)))
        while True:
            while len(running) < workers and engine.step() is not None:
                pass
            if not running:
                return ticks
            running.sort(key=lambda entry: entry[0])
            ticks, completion = running.pop(0)
            completion.succeed()


COSTS = {"load": 1, "scale": 2, "train": 8}


def push_chain_behind_small_ones(engine, begin):
    """Ten scalings that nobody needs, and a chain of two trainings that all wait for in the end."""

    def push(name, **touched):
        engine.push_async(lambda done: begin(done, COSTS[name]), name=name, **touched)

    data, model = Resource("data"), Resource("model")
    push("load", writes=[data])
    for _ in range(10):
        push("scale", reads=[data])
    push("train", reads=[data], writes=[model])
    push("train", updates=[model])


def test_the_critical_path_first_takes_fewer_ticks_than_first_come_first_served():
    fifo = count_ticks("fifo", push_chain_behind_small_ones)
    best = count_ticks(lambda: CriticalPathPolicy(COSTS), push_chain_behind_small_ones)
    # One load, then 36 units of work: 19 ticks are the least there can be on two workers.
    assert (fifo, best) == (27, 19)


def test_the_critical_path_counts_who_waits_for_whom():
    policy = CriticalPathPolicy(COSTS)
    with stepping(lambda: policy) as engine:
        data, model = Resource(), Resource()
        engine.push(lambda: None, writes=[data], name="load")
        engine.push(lambda: None, reads=[data], name="scale")
        engine.push(lambda: None, reads=[data], writes=[model], name="load")
        engine.push(lambda: None, reads=[model], name="train")
        assert run_all(engine) == ["load", "load", "train", "scale"]


@pytest.mark.parametrize("seed", range(5))
def test_the_critical_path_changes_no_result(seed):
    meant, cells = list(range(CELLS)), list(range(CELLS))
    for policy, values in (("fifo", meant), (lambda: CriticalPathPolicy({}), cells)):
        with stepping(policy) as engine:
            push_program(engine, seed, values)
            engine.wait_all()
    assert cells == meant
