"""Waits inside operations: those that can end do, on any number of workers; others are refused."""

import threading

import pytest

from actorflow.engine import Engine, Link, Resource
from actorflow.engine.explain import find_any_deadlock
from actorflow.engine.target import OperationEnd
from actorflow.errors import DeadlockError, OperationCancelled
from tests.engine._helpers import LifoPolicy, close, finishes, stepping
from tests.engine.helpers_faults import open_engine, within


@pytest.fixture(params=[0, 1, 2, 8], ids="{} workers".format)
def engine(request):
    """Make a threaded engine, also one without threads."""
    engine = Engine(workers=request.param)
    yield engine
    close(engine)


def count_down(engine, depth, **options):
    """An operation that waits inside itself for one that waits inside itself, `depth` deep."""
    if depth == 0:
        return 0
    return 1 + engine.push(lambda: count_down(engine, depth - 1, **options), **options).wait()


def test_nested_a_hundred_deep(engine):
    assert finishes(lambda: count_down(engine, 100)) == 100


def test_nested_a_hundred_deep_on_the_naive_engine():
    engine = Engine(engine_type="naive")
    assert count_down(engine, 100) == 100


def test_nested_over_two_devices_with_one_worker_each():
    def alternate(depth):
        if depth == 0:
            return 0
        device = ("cpu(0)", "cpu(1)")[depth % 2]
        return 1 + engine.push(lambda: alternate(depth - 1), device=device).wait()

    engine = Engine(workers=1)
    assert finishes(lambda: alternate(40)) == 40


def test_who_waits_on_one_device_for_another_gives_up_its_seat():
    """cpu(0) waits for `side` and runs it itself, and that waits for cpu(0), which has one seat."""
    engine = Engine(workers=1)
    engine.add_device("side", workers=1)
    start, late = engine._start_worker, []

    def start_but_not_side():
        if not late and engine._to_start[0].name == "side":
            late.append(engine._to_start.popleft())
        else:
            start()

    def side():
        engine._start_worker = start
        engine._to_start.extend(late)
        return engine.push(lambda: "innermost").wait()

    outcome, over = [], threading.Event()

    def outer():
        outcome.append(engine.push(side, device="side").wait())
        over.set()

    engine._start_worker = start_but_not_side
    engine.push(outer)
    assert over.wait(5)
    assert outcome == ["innermost"]


def test_fifty_operations_that_all_wait_inside_share_one_worker():
    resource = Resource()
    with Engine(workers=1) as engine:
        outer = [
            engine.push(lambda n=n: engine.push(lambda: n, updates=[resource]).wait())
            for n in range(50)
        ]
        assert [operation.wait() for operation in outer] == list(range(50))


def test_waiting_for_what_one_writes_oneself(any_engine):
    resource = Resource("mine")
    operation = any_engine.push(
        lambda: any_engine.wait(resource), writes=[resource], name="selfish"
    )
    with pytest.raises(DeadlockError, match="operation 'selfish' waits inside itself for"):
        operation.wait()


def test_waiting_for_oneself():
    handles, known = [], threading.Event()

    def itself():
        known.wait(10)
        return handles[0].wait()

    engine = Engine(workers=1)
    handles.append(engine.push(itself, name="itself"))
    known.set()
    with pytest.raises(DeadlockError, match="'itself' waits inside itself for"):
        handles[0].wait()


def test_waiting_for_an_operation_that_comes_after_oneself(any_engine):
    resource = Resource("r")

    def outer():
        any_engine.push(lambda: None, updates=[resource], name="inner").wait()

    operation = any_engine.push(outer, updates=[resource], name="outer")
    with pytest.raises(DeadlockError, match="operation 'outer' waits inside itself for") as caught:
        operation.wait()
    assert "'inner'" in str(caught.value)


def test_the_message_names_the_cycle_and_the_resources():
    first, second = Resource("first"), Resource("second")
    with stepping() as engine:

        def outer():
            engine.push(lambda: None, reads=[first], writes=[second], name="middle")
            engine.push(lambda: None, reads=[second], name="last").wait()

        operation = engine.push(outer, writes=[first], name="outer")
        with pytest.raises(DeadlockError) as caught:
            operation.wait()
        engine.wait_all()
    assert str(caught.value).splitlines() == [
        "operation 'outer' waits inside itself for what can only come after it:",
        "  'outer'",
        "    waits inside for 'last'",
        "    which waits for second, held by 'middle'",
        "    which waits for first, held by 'outer'",
    ]


def test_two_operations_that_wait_for_each_other():
    handles, both = {}, threading.Barrier(3, timeout=10)
    outcomes = {}

    def wait_for(mine, other):
        both.wait()
        try:
            outcomes[mine] = handles[other].wait()
        except DeadlockError as error:
            outcomes[mine] = str(error)
        return f"result of {mine}"

    with Engine(workers=2) as engine:
        handles["a"] = engine.push(lambda: wait_for("a", "b"), name="a")
        handles["b"] = engine.push(lambda: wait_for("b", "a"), name="b")
        both.wait()
    refused = [mine for mine, text in outcomes.items() if "waits inside itself" in text]
    assert len(refused) == 1
    (other,) = {"a", "b"} - set(refused)
    assert outcomes[other] == f"result of {refused[0]}"


def test_a_wait_that_was_refused_leaves_the_operation_able_to_go_on():
    resource = Resource()
    with stepping() as engine:

        def outer():
            inner = engine.push(lambda: "inner", updates=[resource])
            with pytest.raises(DeadlockError):
                inner.wait()
            return inner

        inner = engine.push(outer, updates=[resource]).wait()
        assert inner.wait() == "inner"


def test_waiting_for_an_earlier_operation_is_no_deadlock(engine):
    resource = Resource()
    first = engine.push(lambda: "first", writes=[resource])
    second = engine.push(first.wait, reads=[resource])
    assert finishes(second.wait) == "first"


def test_reading_what_one_reads_oneself_is_no_deadlock(engine):
    resource = Resource()
    engine.push(lambda: None, writes=[resource])
    operation = engine.push(
        lambda: engine.push(lambda: "inner", reads=[resource]).wait(), reads=[resource]
    )
    assert finishes(operation.wait) == "inner"


def test_wait_all_inside_an_operation_is_refused(any_engine):
    operation = any_engine.push(any_engine.wait_all, name="greedy")
    with pytest.raises(DeadlockError, match="wait_all inside operation 'greedy'"):
        operation.wait()


def test_waiting_for_a_link_that_one_holds_oneself():
    link = Link(1, "bus")
    with stepping() as engine:

        def outer():
            engine.push(lambda: None, uses=[link], name="inner").wait()

        operation = engine.push(outer, uses=[link], name="outer")
        with pytest.raises(DeadlockError) as caught:
            operation.wait()
        engine.wait_all()
    assert str(caught.value).splitlines()[-1] == (
        "    which waits for <Link 'bus'>, held by 'outer'"
    )


def test_a_link_with_room_is_no_deadlock(engine):
    link = Link(2)
    operation = engine.push(lambda: engine.push(lambda: "inner", uses=[link]).wait(), uses=[link])
    assert finishes(operation.wait) == "inner"


def test_waiting_for_what_will_need_a_link_that_one_holds():
    def run():
        link, resource, handles = Link(1, "bus"), Resource(), {}
        engine = stepping(LifoPolicy)
        engine.push(lambda: None, writes=[resource])

        def wait_for_inner():
            handles["inner"].wait()

        outer = engine.push(wait_for_inner, uses=[link], name="outer")
        handles["inner"] = engine.push(lambda: None, reads=[resource], uses=[link])
        outer.wait()

    with pytest.raises(DeadlockError, match="'outer' waits inside itself"):
        finishes(run)


def test_waiting_for_what_needs_more_of_a_link_than_all_others_will_give_back():
    def run():
        link, gate, handles = Link(2, "bus"), threading.Event(), {}
        known = threading.Event()
        engine = Engine(workers=2)

        def outer():
            known.wait(10)
            gate.set()
            handles["inner"].wait()

        engine.push(lambda: gate.wait(10), uses=[link])
        operation = engine.push(outer, uses=[link], name="outer")
        handles["inner"] = engine.push(lambda: None, uses={link: 2})
        known.set()
        operation.wait()

    with pytest.raises(DeadlockError, match="'outer' waits inside itself"):
        finishes(run)


def stalled(late_comer, *, timed=False):
    """One holds half of a link and waits for one that comes to its queue behind `late_comer`."""
    link, gate, completions = Link(2, "bus"), Resource("gate"), []
    engine = stepping()
    engine.push_async(completions.append, writes=[gate], name="gate")
    engine.step()
    engine.push(lambda: None, reads=[gate], uses=late_comer(link), name="large")
    inner = engine.push(lambda: None, reads=[gate], uses=[link], name="inner")
    found = []

    def outer():
        blocked = {engine.current_operation(): [OperationEnd(inner, timed=timed)]}
        found.append(find_any_deadlock(blocked))
        completions.pop().succeed()
        found.append(find_any_deadlock(blocked))

    operation = engine.push(outer, uses=[link], name="outer")
    operation.wait()
    engine.close()
    assert found[0] is None
    assert find_any_deadlock({}) is None
    return operation, found[1]


def test_a_stall_that_comes_about_when_an_operation_gets_to_the_queue_of_a_link():
    operation, found = stalled(lambda link: {link: 2})
    assert found is not None
    inside, target, text = found
    assert inside is operation
    assert target.operation.name == "inner"
    assert text.splitlines() == [
        "operation 'outer' waits inside itself for what can only come after it:",
        "  'outer'",
        "    waits inside for 'inner'",
        "    which waits for <Link 'bus'>, behind 'large'",
        "    which waits for <Link 'bus'>, held by 'outer'",
    ]


def test_who_gets_to_the_queue_of_a_link_behind_one_that_goes_on_is_not_stuck():
    _, found = stalled(lambda link: {link: 1})
    assert found is None


def test_waiting_behind_one_that_needs_more_of_a_link_than_there_will_be():
    link, resource = Link(2, "bus"), Resource()
    with stepping() as engine:

        def outer():
            engine.push(lambda: None, uses={link: 2}, name="large")
            engine.push(lambda: None, uses=[link], writes=[resource], name="inner").wait()

        operation = engine.push(outer, uses=[link], name="outer")
        with pytest.raises(DeadlockError) as caught:
            operation.wait()
        engine.wait_all()
    assert str(caught.value).splitlines()[3:] == [
        "    which waits for <Link 'bus'>, behind 'large'",
        "    which waits for <Link 'bus'>, held by 'outer'",
    ]


def test_what_is_cancelled_will_need_no_link():
    link, resource = Link(1), Resource()
    with stepping() as engine:
        engine.push(lambda: None, writes=[resource])
        inner = engine.push(lambda: None, reads=[resource], uses=[link])
        assert inner.cancel()

        def outer():
            with pytest.raises(OperationCancelled):
                inner.wait()
            return "went on"

        assert engine.push(outer, uses=[link]).wait() == "went on"


def test_a_wait_for_what_comes_after_oneself_is_refused_with_a_timeout_too(any_engine):
    resource = Resource("r")

    def outer():
        any_engine.push(lambda: None, updates=[resource], name="inner").wait(timeout=3600)

    operation = any_engine.push(outer, updates=[resource], name="outer")
    with pytest.raises(DeadlockError, match="operation 'outer' waits inside itself for"):
        finishes(operation.wait)


def test_who_waits_with_a_timeout_may_be_waited_for():
    handles, known = {}, threading.Event()

    def first():
        known.wait(10)
        try:
            handles["second"].wait(timeout=0.2)
        except TimeoutError:
            return "went on"

    def second():
        known.wait(10)
        while not (engine._blocked or handles["first"].done):
            pass
        return handles["first"].wait()

    with Engine(workers=2) as engine:
        handles["first"] = engine.push(first)
        handles["second"] = engine.push(second)
        known.set()
        assert finishes(handles["second"].wait) == "went on"


@pytest.mark.parametrize("timed", [False, True])
def test_a_wait_with_a_timeout_never_makes_a_link_one_that_is_held_for_ever(timed):
    _, found = stalled(lambda link: {link: 2}, timed=timed)
    assert (found is None) == timed


def test_closing_waits_for_what_operations_push_meanwhile():
    ran = []
    engine = Engine(workers=0)
    engine.push(lambda: engine.push(lambda: ran.append("inner")))
    engine.close()
    assert ran == ["inner"]


def test_closing_while_a_worker_is_being_started():
    engine, closed, finishing = Engine(workers=1), [], threading.Event()
    closing = threading.Thread(target=lambda: closed.append(outcome_of(engine.close)))
    finish = engine._finish

    def finish_and_tell():
        finishing.set()
        finish()

    def close_meanwhile():
        closing.start()
        assert finishing.wait(10)

    engine._finish = finish_and_tell
    engine._blas.apply = close_meanwhile
    engine.push(lambda: None)
    closing.join(10)
    assert closed == [None]


def outcome_of(function):
    try:
        return function()
    except RuntimeError as error:
        return error


def test_a_read_that_waits_inside_for_a_later_write_of_what_it_reads_is_refused():
    resource = Resource("r")
    with open_engine(1) as engine:

        def look():
            later = engine.push(lambda: None, name="later", updates=(resource,))
            with pytest.raises(DeadlockError, match="later"):
                later.wait()
            return 3

        assert within(engine.read, look, (resource,)) == 3
        within(engine.wait_all)


def test_a_read_inside_an_operation_gives_up_its_seat_and_shows_what_waits_for_what():
    mine, other = Resource("mine"), Resource("other")
    with open_engine(1) as engine:

        def look():
            assert engine.push(lambda: 7, device="cpu(0)").wait() == 7  # the one worker is needed
            behind = engine.push(lambda: None, name="behind", reads=(mine,))
            with pytest.raises(DeadlockError, match="behind"):
                behind.wait()
            return 4

        operation = engine.push(lambda: engine.read(look, (other,)), updates=(mine,))
        assert within(operation.wait) == 4
