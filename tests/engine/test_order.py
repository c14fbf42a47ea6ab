"""Operations on a resource take effect in the order in which they were pushed."""

import threading

import pytest

from actorflow.engine import Engine, Resource
from tests.engine._helpers import Boom, boom, finishes


def test_writes_run_in_the_order_of_their_pushes(engine):
    resource, seen = Resource(), []
    for number in range(2000):
        engine.push(lambda n=number: seen.append(n), updates=[resource])
    engine.wait(resource)
    assert seen == list(range(2000))


def test_reads_between_two_writes_overlap():
    resource, barrier = Resource(), threading.Barrier(4, timeout=10)
    with Engine(workers=4) as engine:
        engine.push(lambda: None, writes=[resource])
        readers = [engine.push(barrier.wait, reads=[resource]) for _ in range(4)]
        engine.push(lambda: None, writes=[resource])
        assert sorted(reader.wait() for reader in readers) == [0, 1, 2, 3]


def test_a_write_is_alone(engine):
    resource, lock, inside = Resource(), threading.Lock(), {"readers": 0, "writers": 0}
    wrong = []

    def enter(kind):
        with lock:
            inside[kind] += 1
            if inside["writers"] > 1 or (inside["writers"] and inside["readers"]):
                wrong.append(dict(inside))
        with lock:
            inside[kind] -= 1

    for number in range(600):
        if number % 3:
            engine.push(lambda: enter("readers"), reads=[resource])
        else:
            engine.push(lambda: enter("writers"), updates=[resource])
    engine.wait(resource)
    assert wrong == []


def test_a_reader_sees_the_write_before_it_and_none_behind_it(engine):
    cell, resource, seen = [0], Resource(), []

    def write(value):
        cell[0] = value

    for number in range(300):
        engine.push(lambda n=number: write(n), writes=[resource])
        seen += [engine.push(lambda: cell[0], reads=[resource]) for _ in range(2)]
    assert [operation.wait() for operation in seen] == [n // 2 for n in range(600)]


def test_operations_without_a_conflict_overlap(engine):
    """As many as there are workers meet, whatever else has gone on before."""
    workers = engine.workers
    for _ in range(5):
        barrier = threading.Barrier(workers, timeout=10)
        met = [engine.push(barrier.wait, updates=[Resource()]) for _ in range(workers)]
        assert sorted(operation.wait() for operation in met) == list(range(workers))


def test_a_diamond(engine):
    resources = [Resource(name) for name in "abcd"]
    a, b, c, d = resources
    order = []
    for _ in range(100):
        engine.push(lambda: order.append("a"), writes=[a])
        engine.push(lambda: order.append("b"), reads=[a], writes=[b])
        engine.push(lambda: order.append("c"), reads=[a], writes=[c])
        engine.push(lambda: order.append("d"), reads=[b, c], writes=[d])
    engine.wait_all()
    last = {name: [i for i, seen in enumerate(order) if seen == name] for name in "abcd"}
    for i in range(100):
        assert last["a"][i] < min(last["b"][i], last["c"][i])
        assert max(last["b"][i], last["c"][i]) < last["d"][i]


@pytest.mark.parametrize(
    "roles",
    [
        {"reads": "xx"},
        {"writes": "xx"},
        {"updates": "xx"},
        {"reads": "x", "writes": "x"},
        {"reads": "x", "updates": "x"},
        {"writes": "x", "updates": "x"},
        {"reads": "xx", "writes": "xx", "updates": "xx"},
    ],
)
def test_a_resource_in_several_roles_counts_once(any_engine, roles):
    resource, seen = Resource(), []
    touched = {role: [resource] * len(names) for role, names in roles.items()}
    any_engine.push(lambda: seen.append("before"), writes=[resource])
    any_engine.push(lambda: seen.append("it"), **touched)
    any_engine.push(lambda: seen.append("behind"), writes=[resource])
    any_engine.wait_all()
    assert seen == ["before", "it", "behind"]
    assert resource.idle


@pytest.mark.parametrize(
    ("roles", "passes"),
    [
        (["writes"], False),
        (["reads"], True),
        (["updates"], True),
        (["reads", "writes"], True),
        (["writes", "updates"], True),
    ],
)
def test_what_is_read_and_written_counts_as_updated(any_engine, roles, passes):
    """An update passes an old error on; a write discards it."""
    resource = Resource()
    with pytest.raises(Boom):
        any_engine.push(boom, writes=[resource]).wait()
    operation = any_engine.push(lambda: "ran", **{role: [resource] for role in roles})
    if passes:
        with pytest.raises(Boom):
            operation.wait()
    else:
        assert operation.wait() == "ran"


def test_of_several_old_errors_the_first_that_is_named_is_passed_on(any_engine):
    first, second = Resource(), Resource()
    any_engine.push(lambda: boom("first"), writes=[first])
    any_engine.push(lambda: boom("second"), writes=[second])
    any_engine.wait_all()
    for reads, updates, message in (
        ([first, second], [], "first"),
        ([second, first], [], "second"),
        ([second], [first], "second"),
    ):
        with pytest.raises(Boom, match=message):
            any_engine.push(lambda: None, reads=reads, updates=updates).wait()
        any_engine.push(lambda: boom("first"), writes=[first])


def test_each_thread_keeps_its_own_order_on_a_shared_resource(engine):
    resource, seen = Resource(), []

    def push(thread):
        for number in range(300):
            engine.push(lambda n=number: seen.append((thread, n)), updates=[resource])

    threads = [threading.Thread(target=push, args=(thread,)) for thread in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    engine.wait(resource)
    for thread in range(4):
        assert [n for t, n in seen if t == thread] == list(range(300))


def test_what_an_operation_pushes_on_its_own_resource_runs_when_it_has_ended(any_engine):
    resource, seen = Resource(), []

    def outer():
        for number in range(5):
            any_engine.push(lambda n=number: seen.append(n), updates=[resource])
        seen.append("outer")

    any_engine.push(outer, updates=[resource]).wait()
    any_engine.wait(resource)
    assert seen == ["outer", 0, 1, 2, 3, 4]


def test_waiting_for_an_operation_that_is_still_in_the_mailbox_runs_it_once():
    """Another thread has the turn while it is pushed and lets go of it without looking again."""
    ran = []
    engine = Engine(workers=0)
    engine._lock.acquire()
    operation = engine.push(lambda: ran.append("ran") or "result")
    engine._lock.release()
    assert operation.wait() == "result"
    assert ran == ["ran"]


@pytest.mark.parametrize("engine_type", ["threaded", "naive"])
def test_an_operation_may_push_any_number_on_its_own_resource(engine_type):
    any_engine = Engine(workers=1, engine_type=engine_type)
    resource, seen = Resource(), []

    def outer():
        for number in range(3000):
            any_engine.push(lambda n=number: seen.append(n), updates=[resource])

    any_engine.push(outer, updates=[resource]).wait()
    any_engine.wait(resource)
    assert seen == list(range(3000))


def test_operations_overlap_after_one_that_waited_inside_itself_has_gone_on():
    """Both seats are taken while it waits; then a worker that has none is the one that is woken."""
    both, second_runs = threading.Barrier(2, timeout=10), threading.Event()
    first_runs = threading.Event()

    def first():
        first_runs.set()
        both.wait()

    def waits():
        operations = [engine.push(first), engine.push(both.wait)]
        assert first_runs.wait(10)
        for operation in operations:
            operation.wait()
        engine.push(second_runs.set)
        return second_runs.wait(5)

    with Engine(workers=2) as engine:
        assert engine.push(waits).wait()


def test_a_wait_with_a_timeout_runs_operations_where_there_is_no_thread():
    with Engine(workers=0) as engine:
        operation = engine.push(lambda: "result")
        try:
            assert engine.wait(operation, timeout=0.2) == "result"
        finally:
            engine.step()


def test_what_becomes_ready_just_before_a_caller_parks_is_run():
    engine = Engine(workers=0)
    resource, completions = Resource(), []
    engine.push_async(completions.append, writes=[resource])
    operation = engine.push(lambda: "result", reads=[resource])
    park = engine._park

    def complete_and_park(*arguments):
        if completions:
            completions.pop().succeed()
        return park(*arguments)

    engine._park = complete_and_park
    assert finishes(operation.wait) == "result"


def test_what_others_push_during_a_quick_operation_is_run():
    ran, pushed = threading.Event(), []
    engine = Engine(workers=1)

    def quick():
        other = threading.Thread(target=lambda: pushed.append(engine.push(ran.set)))
        other.start()
        other.join()

    engine.push(quick, quick=True)
    assert ran.wait(5)
    assert pushed[0].wait() is None
