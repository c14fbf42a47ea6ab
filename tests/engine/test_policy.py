"""Policies: which ready operation goes next."""

import pytest
from hypothesis import given, strategies as st

from actorflow.engine import Engine, FifoPolicy, Policy, PriorityPolicy, Resource
from actorflow.errors import EngineError
from tests.engine._helpers import LifoPolicy, SeededPolicy, close, run_all, stepping


def push_named(engine, *names, **options):
    for name in names:
        engine.push(lambda: None, name=name, **options)


@pytest.mark.parametrize(
    "policy", [FifoPolicy, PriorityPolicy, LifoPolicy, lambda: SeededPolicy(1)]
)
def test_each_is_a_policy(policy):
    assert isinstance(policy(), Policy)
    assert len(policy()) == 0
    assert policy().pop(None) is None


def test_fifo_runs_what_is_ready_first():
    with stepping() as engine:
        push_named(engine, *"abc")
        assert run_all(engine) == ["a", "b", "c"]


def test_priority_runs_the_highest_and_the_first_of_equals():
    with stepping("priority") as engine:
        for name, priority in (("a", 0), ("b", 1), ("c", -1), ("d", 1), ("e", 0)):
            push_named(engine, name, priority=priority)
        assert run_all(engine) == ["b", "d", "a", "e", "c"]


def test_priority_never_beats_the_order_of_a_resource():
    resource = Resource()
    with stepping("priority") as engine:
        for priority in range(5):
            push_named(engine, str(priority), updates=[resource], priority=priority)
        assert run_all(engine) == ["0", "1", "2", "3", "4"]


def test_a_policy_sees_an_operation_only_when_it_is_ready():
    seen = []

    class Watching(LifoPolicy):
        def push(self, operation):
            seen.append((operation.name, len(operation.successors)))
            super().push(operation)

    resource = Resource()
    with stepping(Watching) as engine:
        push_named(engine, "first", "second", updates=[resource])
        assert seen == [("first", 0)]
        assert run_all(engine) == ["first", "second"]
        assert seen == [("first", 0), ("second", 0)]


_few = st.sets(st.integers(0, 3), max_size=2)


@given(st.lists(st.tuples(_few, _few), min_size=1, max_size=25), st.randoms(use_true_random=False))
def test_a_policy_is_told_when_the_order_around_an_operation_is_settled(program, random):
    """While one of several readers gets ready, those beside it must not look like successors."""

    class Checking(SeededPolicy):
        def push(self, operation):
            assert operation.predecessors == []
            for successor in operation.successors:
                assert operation in successor.predecessors
                mine, theirs = set(operation.writes), set(successor.writes)
                assert mine & {*successor.reads, *theirs} or theirs & {*operation.reads}
            super().push(operation)

    with stepping(lambda: Checking(random.randrange(100))) as engine:
        resources = [Resource(f"r{i}") for i in range(4)]
        for reads, writes in program:
            engine.push(
                lambda: None,
                reads=[resources[i] for i in reads - writes],
                writes=[resources[i] for i in writes],
            )
            if random.random() < 0.2:
                engine.step()
        run_all(engine)


def test_a_policy_may_look_at_what_an_operation_is_about():
    looked = {}

    class Looking(LifoPolicy):
        def push(self, operation):
            for field in ("name", "priority", "nbytes", "reads", "writes", "successors"):
                looked[field] = getattr(operation, field)
            super().push(operation)

    source, target = Resource("source"), Resource("target")
    with stepping(Looking) as engine:
        push_named(engine, "x", reads=[source], updates=[target], priority=3, nbytes=7)
        run_all(engine)
    assert looked == {
        "name": "x",
        "priority": 3,
        "nbytes": 7,
        "reads": (source,),
        "writes": (target,),
        "successors": [],
    }


def test_every_device_gets_a_policy_of_its_own():
    made = []

    def factory():
        made.append(LifoPolicy())
        return made[-1]

    with stepping(factory) as engine:
        before = len(made)
        push_named(engine, "a", "b")
        push_named(engine, "c", "d", device="cpu(1)")
        assert len(made) == before + 1
        assert run_all(engine) == ["b", "a", "d", "c"]


def test_a_device_may_have_another_policy_than_the_engine():
    with stepping() as engine:
        engine.add_device("last first", workers=0, policy=LifoPolicy)
        push_named(engine, "a", "b", device="last first")
        assert run_all(engine) == ["b", "a"]


def test_the_policy_is_told_which_worker_asks():
    asked = []

    class Asking(FifoPolicy):
        def pop(self, worker):
            asked.append(worker)
            return super().pop(worker)

    resource = Resource()
    with Engine(workers=1, policy=Asking) as engine:
        engine.push(lambda: None, writes=[resource])
        while not any(worker is not None for worker in asked):
            engine.wait_all()
            engine.push(lambda: None, updates=[resource])
    assert {repr(w) for w in asked} <= {"None", "<Worker actorflow cpu(0) worker 1>"}


@pytest.mark.parametrize(
    ("policy", "error", "message"),
    [
        ("best", ValueError, "no policy is called 'best'; there are fifo, priority"),
        (7, TypeError, "policy must be a name or a factory of policies, got 7"),
        (object, TypeError, "which lacks push, pop or __len__"),
    ],
)
def test_what_is_no_policy_is_refused(policy, error, message):
    with pytest.raises(error, match=message):
        Engine(workers=1, policy=policy)


def test_a_policy_that_keeps_an_operation_to_itself_breaks_the_engine():
    class Miser(FifoPolicy):
        def pop(self, worker):
            return None

    engine = stepping(Miser)
    operation = engine.push(lambda: None)
    with pytest.raises(EngineError, match="gave none of 1 operations"):
        operation.wait()
    with pytest.raises(EngineError, match="the engine stopped"):
        engine.push(lambda: None)
    assert len(close(engine)) == 1


def test_a_policy_that_raises_breaks_the_engine_and_says_why():
    class Clumsy(FifoPolicy):
        def pop(self, worker):
            raise ZeroDivisionError("oops")

    engine = stepping(Clumsy)
    operation = engine.push(lambda: None)
    with pytest.raises(ZeroDivisionError, match="oops"):
        engine.step()
    with pytest.raises(EngineError, match=r"ZeroDivisionError in the middle of a turn \(oops\)"):
        operation.wait()
    assert len(close(engine)) == 1
