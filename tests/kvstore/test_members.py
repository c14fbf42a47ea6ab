"""Who takes part: joining, leaving, dying, barriers."""

import itertools

import pytest

from actorflow.errors import MembershipError, ParameterError, SequenceError
from actorflow.kvstore.members import Joined, Left, Members, Released, Worker

A, B, C = Worker(0), Worker(1), Worker(2)


def members(count=2, **options):
    found = Members(count, 0.0, timeout=5.0, **options)
    for rank in range(count):
        found.join(f"p{rank}", 0.0, rank)
    return found


def test_ranks_are_given_or_asked_for():
    found = Members(3, 0.0)
    assert found.join("x", 0, 1) == [Joined(B, 0)]
    assert found.join("y", 0) == [Joined(A, 0)]
    assert found.join("x", 0) == found.join("x", 0, 1) == [Joined(B, 0)]
    assert found.awaited == (C,)
    assert found.join("z", 0) == [Joined(C, 0)]
    assert found.join("elastic", 0) == [Joined(Worker(3), 0)]
    with pytest.raises(MembershipError, match="x is worker 1, and now asks for rank 2"):
        found.join("x", 0, 2)
    with pytest.raises(ParameterError):
        found.join("x", 0, -1)


def test_the_silent_are_dead_after_the_timeout():
    found = members()
    for now in range(1, 6):
        found.heartbeat(A, now)
        assert found.tick(now) == []
    assert found.tick(5.1) == [Left(B, "dead")]
    assert found.present == (A,)
    with pytest.raises(MembershipError, match=r"heartbeat: worker 1.*join \(again\)"):
        found.heartbeat(B, 5.2)


def test_time_in_which_nobody_listened_kills_nobody():
    found = members()
    assert found.tick(100.0) == []
    assert found.present == (A, B)
    changes = [found.tick(100.0 + step) for step in range(1, 7)]
    assert [Left(A, "dead"), Left(B, "dead")] in changes


def test_a_restarted_worker_is_a_new_incarnation():
    found = members()
    assert found.join("again", 1, 1) == [Left(B, "replaced"), Joined(Worker(1, 2), 0)]
    with pytest.raises(MembershipError):
        found.enter(B, 1, 1)
    found.leave(Worker(1, 2))
    assert found.join("third", 1, 1) == [Joined(Worker(1, 3), 0)]


@pytest.mark.parametrize("order", list(itertools.permutations([A, B, C])))
def test_any_rank_may_go_first(order):
    found = members(3)
    for worker in order:
        assert not found.finished
        assert found.leave(worker) == [Left(worker, "left")]
        assert found.leave(worker) == []
    assert found.finished


def test_a_barrier_waits_for_everybody_who_is_expected():
    found = Members(2, 0.0, patience=20.0)
    found.join("x", 0, 0)
    assert found.enter(A, 1, 0) == []
    assert found.waited_for() == (B,)
    found.join("y", 0, 1)
    assert found.enter(B, 1, 0) == [Released(1, (A, B), ())]
    assert found.enter(A, 1, 0) == [Released(1, (A,), ())]
    with pytest.raises(SequenceError, match="is at number 3, but needs number 2 first"):
        found.enter(A, 3, 0)
    assert found.waited_for() == ()


def test_who_never_came_is_given_up():
    found = Members(2, 0.0, timeout=5.0, patience=20.0)
    found.join("x", 0, 0)
    found.enter(A, 1, 0)
    changes = []
    for now in range(1, 22):
        found.heartbeat(A, now)
        changes += found.tick(now)
    assert changes == [Left(B, "absent"), Released(1, (A,), (B,))]


@pytest.mark.parametrize("way", ["leave", "die"])
def test_a_barrier_is_over_without_those_who_are_gone(way):
    found = members(3)
    assert found.enter(A, 1, 0) == found.enter(B, 1, 0) == []
    if way == "leave":
        assert found.leave(C) == [Left(C, "left"), Released(1, (A, B), ())]
    else:
        changes = []
        for now in range(1, 7):
            found.heartbeat(A, now)
            found.heartbeat(B, now)
            changes += found.tick(now)
        assert changes == [Left(C, "dead"), Released(1, (A, B), (C,))]


def test_who_joins_later_is_not_waited_for_at_a_barrier_that_has_begun():
    found = members()
    found.enter(A, 1, 0)
    assert found.join("new", 0) == [Joined(C, 1)]
    assert found.enter(B, 1, 0) == [Released(1, (A, B, C), ())]
    found.enter(A, 2, 0)
    found.enter(B, 2, 0)
    assert found.enter(C, 2, 0) == [Released(2, (A, B, C), ())]


@pytest.mark.parametrize("options", [{"expected": -1}, {"timeout": 0.0}, {"patience": -1.0}])
def test_numbers_that_cannot_be(options):
    with pytest.raises(ParameterError):
        Members(**{"expected": 1, "now": 0.0, **options})
