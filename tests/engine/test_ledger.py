"""The ledger alone: messages in, operations out, no thread."""

import random

import pytest

from actorflow.engine import FifoPolicy, Link, Resource
from actorflow.engine.ledger import Ledger
from actorflow.engine.operation import DONE, READY, RUNNING, WAITING, Failure, make_operation
from actorflow.engine.worker import Device
from actorflow.errors import EngineError, OperationCancelled


class Book:
    """A ledger, one device, and short words for both."""

    def __init__(self):
        self.ledger = Ledger()
        self.device = Device("here", 1, FifoPolicy)
        self.count = 0

    def admit(self, reads=(), writes=(), updates=(), uses=None, nbytes=0):
        self.count += 1
        operation = make_operation(
            None,
            print,
            tuple(reads),
            (*writes, *updates),
            (*reads, *updates),
            self.device,
            0,
            f"op {self.count}",
            nbytes,
        )
        if uses is not None:
            operation.uses = tuple(uses.items())
            operation.next_link = 0
        self.ledger.admit(operation)
        return operation

    def pick(self):
        return self.ledger.pick(self.device, None)

    def end(self, operation, error=None):
        if error is not None:
            operation.failure = Failure(error, operation)
        self.ledger.end(operation)

    def run_next(self, error=None):
        operation = self.pick()
        self.end(operation, error)
        return operation


@pytest.fixture
def book():
    return Book()


def test_an_operation_without_resources_is_ready_at_once(book):
    operation = book.admit()
    assert operation.state == READY
    assert book.pick() is operation
    assert operation.state == RUNNING
    assert book.pick() is None
    book.end(operation)
    assert operation.state == DONE
    assert book.ledger.in_flight == 0


def test_a_reader_waits_for_the_writer_and_readers_overlap(book):
    resource = Resource()
    writer = book.admit(writes=[resource])
    readers = [book.admit(reads=[resource]) for _ in range(3)]
    last = book.admit(updates=[resource])
    assert book.pick() is writer
    assert {reader.state for reader in readers} == {WAITING}
    book.end(writer)
    assert [book.pick() for _ in range(4)] == [*readers, None]
    for reader in reversed(readers):
        assert last.state == WAITING
        book.end(reader)
    assert book.pick() is last


def test_one_operation_may_wait_for_another_at_several_resources(book):
    one, other = Resource(), Resource()
    first = book.admit(writes=[one, other])
    second = book.admit(reads=[one, one, other], updates=[other])
    assert second.pending == 3  # it reads `one` twice; to update `other` covers reading it
    assert second.predecessors == [first]
    assert first.successors == [second]
    book.end(book.pick())
    assert first.done
    assert second.pending == 0
    assert book.pick() is second


def test_a_failure_goes_to_readers_and_updates_and_ends_at_a_write(book):
    cause, passed, clean = Resource(), Resource(), Resource()
    error = ValueError("cause")
    book.admit(writes=[cause])
    reader = book.admit(reads=[cause], writes=[passed])
    further = book.admit(updates=[passed])
    fresh = book.admit(writes=[passed])
    other = book.admit(reads=[clean])
    book.run_next(error)
    assert reader.done
    assert further.done
    assert reader.failure is further.failure
    assert further.failure.exception is error
    assert [book.run_next(), book.run_next()] == [other, fresh]
    assert fresh.failure is None
    assert passed._failure is None
    assert cause._failure is reader.failure


def test_of_several_failures_the_first_that_is_named_is_passed_on(book):
    first, second = Resource(), Resource()
    book.admit(writes=[first])
    book.admit(writes=[second])
    reader = book.admit(reads=[second], updates=[first])
    book.run_next(ValueError("first"))
    book.run_next(ValueError("second"))
    assert str(reader.failure.exception) == "second"


def test_cancelling_is_possible_until_the_start(book):
    resource = Resource("r")
    first = book.admit(writes=[resource])
    waiting = book.admit(updates=[resource])
    ready = book.admit()
    assert [book.ledger.skip(o) for o in (waiting, ready)] == [True, True]
    assert [book.ledger.skip(o) for o in (waiting, ready)] == [False, False]
    assert ready.done
    assert not waiting.done
    assert book.pick() is first
    assert not book.ledger.skip(first)
    assert book.pick() is None
    book.end(first)
    assert waiting.done
    assert isinstance(resource._failure.exception, OperationCancelled)
    assert not book.ledger.skip(first)
    assert str(waiting.failure.exception) == "operation 'op 2' was cancelled before it started"


def test_skipping_all_leaves_alone_what_runs_and_what_comes_later(book):
    resource = Resource()
    running = book.admit(writes=[resource])
    assert book.pick() is running
    waiting, ready = book.admit(reads=[resource]), book.admit()
    book.ledger.skip_all([book.device])
    later = book.admit(writes=[resource])
    assert ready.done
    assert isinstance(ready.failure.exception, OperationCancelled)
    book.end(running)
    assert waiting.done
    assert running.failure is None
    assert book.run_next() is later
    assert later.failure is None


def test_an_epoch_is_over_when_all_before_it_is_done(book):
    assert book.ledger.close_epoch() is None
    first = book.admit()
    one = book.ledger.close_epoch()
    second = book.admit()
    two = book.ledger.close_epoch()
    book.admit()
    told = object()
    two.attach(told)
    assert [book.pick(), book.pick()] == [first, second]
    book.end(second)
    assert not one.over
    assert not two.over  # the one before it is not
    book.end(first)
    assert one.over
    assert two.over
    assert list(book.ledger.outbox) == [told]


def test_bytes_are_counted_until_the_end(book):
    resource = Resource()
    first = book.admit(writes=[resource], nbytes=10)
    book.admit(writes=[resource], nbytes=5)
    assert book.ledger.nbytes_in_flight == 15
    book.end(book.pick())
    assert first.done
    assert book.ledger.nbytes_in_flight == 5
    book.end(book.pick())
    assert book.ledger.nbytes_in_flight == 0


def test_a_cancelled_operation_in_the_queue_of_a_link_takes_nothing(book):
    link = Link(1)
    holder = book.admit(uses={link: 1})
    queued = book.admit(uses={link: 1})
    last = book.admit(uses={link: 1})
    assert book.ledger.skip(queued)
    book.end(book.pick())
    assert holder.done
    assert queued.done
    assert book.run_next() is last
    assert link._free == 1


def test_what_is_done_lets_go_of_what_it_touched(book):
    resource = Resource()
    operation = book.admit(updates=[resource])
    book.run_next()
    assert operation.fn is None
    assert operation.reads == operation.writes == ()
    assert operation.predecessors == operation.successors == []
    assert resource.idle


def test_a_policy_that_loses_an_operation_is_reported(book):
    book.admit()
    book.device.policy._queue.clear()
    with pytest.raises(EngineError, match="the policy of here gave none of 1 operations"):
        book.pick()


@pytest.mark.parametrize("seed", range(20))
def test_whatever_order_they_end_in_each_sees_the_writes_before_it(seed):
    draw = random.Random(seed)
    book, resources = Book(), [Resource() for _ in range(4)]
    expected, versions = {}, dict.fromkeys(resources, 0)  # what each sees; writes pushed so far
    now, running = dict.fromkeys(resources, 0), []
    for _ in range(400):
        kind = draw.random()
        if kind < 0.4:
            reads, writes = draw.sample(resources, 2), draw.sample(resources, draw.randint(0, 2))
            operation = book.admit(reads=reads, updates=writes)
            expected[operation] = ({r: versions[r] for r in reads + writes}, writes)
            for resource in writes:
                versions[resource] += 1
        elif kind < 0.7 and (operation := book.pick()) is not None:
            running.append(operation)
        elif running:
            operation = running.pop(draw.randrange(len(running)))
            sees, writes = expected.pop(operation)
            assert sees == {resource: now[resource] for resource in sees}
            for resource in writes:
                now[resource] += 1
            book.end(operation)
    while running or (running := [book.pick()]) != [None]:
        book.end(running.pop())
    assert book.ledger.in_flight == 0
    assert all(resource.idle for resource in resources)
