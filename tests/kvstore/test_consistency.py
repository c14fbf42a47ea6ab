"""One key on one server: what follows from what came in."""

import itertools

import numpy as np
import pytest

from actorflow.errors import MembershipError, ParameterError, SequenceError
from actorflow.kvstore.consistency import (
    Acknowledge,
    Answer,
    Apply,
    Consistency,
    KeyState,
    Log,
    Staleness,
    summed,
)
from actorflow.kvstore.core import Deed, Event, ServerCore, Snapshot
from actorflow.kvstore.members import Worker

A, B, C = Worker(0), Worker(1), Worker(2)


def state(model, members=(A, B)):
    return KeyState(Consistency.parse(model), members)


def kinds(actions):
    return [type(action).__name__ for action in actions]


def answers(actions):
    return [action.ticket for action in actions if isinstance(action, Answer)]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("dist_sync", "sequential"),
        ("dist_sync_device", "sequential"),
        ("dist_async", "eventual"),
        ("distributed_async", "eventual"),
        ("dist", "eventual"),
        ("dist_ssp:3", "bounded:3"),
        ("bounded:0", "bounded:0"),
        ("sequential", "sequential"),
    ],
)
def test_names_of_models(name, found):
    assert str(Consistency.parse(name)) == found
    assert Consistency.parse(found) == Consistency.parse(name)


@pytest.mark.parametrize(
    "name",
    ["", "dist_ssp", "dist_ssp:", "dist_ssp:-1", "dist_ssp:x", "dist_sync:2", "sync", "local"],
)
def test_names_of_nothing(name):
    with pytest.raises(ParameterError, match="needs sequential, bounded:N"):
        Consistency.parse(name)


@pytest.mark.parametrize(
    "arguments", [("sequential", 1), ("bounded",), ("bounded", -1), ("bounded", True), ("other",)]
)
def test_models_that_cannot_be(arguments):
    with pytest.raises(ParameterError):
        Consistency(*arguments)


def test_sums_go_from_left_to_right():
    values = [np.float32([x]) for x in (1e8, 1.0, -1e8, 1.0)]
    assert summed(values).tolist() == [1.0]
    assert summed([values[0], values[2], values[1], values[3]]).tolist() == [2.0]
    assert values[0].tolist() == [1e8]


def test_a_round_is_applied_at_once_in_the_order_of_ranks():
    key = state("sequential", (A, B, C))
    assert kinds(key.push(C, 1, "c")) == ["Log", "Acknowledge"]
    assert kinds(key.push(A, 1, "a")) == ["Log", "Acknowledge"]
    assert key.version == {}
    log, acknowledge, apply = key.push(B, 1, "b")
    assert isinstance(log, Log)
    assert acknowledge == Acknowledge(B, 1)
    assert [push.value for push in apply.pushes] == ["a", "b", "c"]
    assert (apply.round, key.round, key.version) == (1, 1, {A: 1, B: 1, C: 1})


@pytest.mark.parametrize("order", list(itertools.permutations([(A, 1), (A, 2), (B, 1), (B, 2)])))
def test_whatever_comes_first_the_rounds_are_the_same(order):
    """With refused pushes sent again, as a worker does."""
    key, todo, applied = state("sequential"), list(order), []
    while todo:
        worker, seq = todo.pop(0)
        try:
            actions = key.push(worker, seq, (worker.rank, seq))
        except SequenceError:
            todo.append((worker, seq))
            continue
        applied += [a for a in actions if isinstance(a, Apply)]
    rounds = [[push.value for push in apply.pushes] for apply in applied]
    assert rounds == [[(0, 1), (1, 1)], [(0, 2), (1, 2)]]


@pytest.mark.parametrize("model", ["sequential", "bounded:1", "eventual"])
def test_a_repeated_push_is_acknowledged_and_not_applied(model):
    key = state(model, [A])
    first = key.push(A, 1, "x")
    assert sum(isinstance(action, Apply) for action in first) == 1
    assert key.push(A, 1, "x") == [Acknowledge(A, 1)]
    with pytest.raises(SequenceError, match="number 3 of worker 0 has come, but needs number 2"):
        key.push(A, 3, "z")
    assert key.version == {A: 1}


def test_sequential_pulls_wait_for_the_round_of_the_last_push():
    key = state("sequential")
    assert answers(key.pull(A, 0, "before", 0.0)) == ["before"]
    key.push(A, 1, "a")
    assert key.pull(A, 1, "t", 5.0) == key.pull(A, 1, "t", 6.0) == []
    ((waiting),) = key.waiting()
    assert (waiting.since, waiting.slowest) == (5.0, (B,))
    (answer,) = key.pull(B, 0, "u", 0.0)
    assert (answer.version, answer.staleness) == ({}, Staleness(missing=1, behind=0))
    actions = key.push(B, 1, "b")
    assert kinds(actions) == ["Log", "Acknowledge", "Apply", "Answer"]
    assert actions[-1].version == {A: 1, B: 1}


@pytest.mark.parametrize("bound", [0, 1, 3])
def test_bounded_pulls_wait_for_the_slowest(bound):
    key = state(f"bounded:{bound}")
    for seq in range(1, bound + 1):
        assert kinds(key.push(A, seq, seq)) == ["Log", "Acknowledge", "Apply"]
        (answer,) = key.pull(A, seq, "t", 0)
        assert answer.staleness == Staleness(0, seq)
    key.push(A, bound + 1, 0)
    assert key.pull(A, bound + 1, "late", 0) == []
    assert answers(key.pull(B, 0, "slow", 0)) == ["slow"]
    assert answers(key.push(B, 1, 0)) == ["late"]


def test_eventual_pulls_wait_for_own_pushes_alone():
    key = state("eventual")
    assert answers(key.pull(A, 0, "t", 0)) == ["t"]
    assert key.pull(A, 1, "overtakes its push", 0) == []
    assert answers(key.push(B, 1, 0)) == []
    assert answers(key.push(A, 1, 0)) == ["overtakes its push"]


@pytest.mark.parametrize("model", ["sequential", "bounded:0"])
def test_who_leaves_is_not_waited_for(model):
    key = state(model)
    key.push(A, 1, "a")
    key.push(A, 2, "a")
    key.pull(A, 2, "t", 0)
    key.pull(B, 1, "dropped", 0)
    actions = key.leave(B)
    assert answers(actions) == ["t"]
    assert key.version == {A: 2}
    assert key.leave(B) == []
    for call in (lambda: key.push(B, 1, "b"), lambda: key.pull(B, 0, "t", 0)):
        with pytest.raises(MembershipError, match=r"worker 1 does not take part.*join \(again\)"):
            call()


def test_pushes_of_the_dead_stay_in_their_rounds():
    key = state("sequential")
    key.push(B, 1, "b1")
    key.push(B, 2, "b2")
    assert key.leave(B) == []
    (*_, first) = key.push(A, 1, "a1")
    assert [push.value for push in first.pushes] == ["a1", "b1"]
    (last,) = key.leave(A)
    assert [push.value for push in last.pushes] == ["b2"]


def test_who_joins_takes_part_from_the_next_round_on():
    key = state("sequential")
    key.push(A, 1, "a1")
    key.join(C)
    (*_, apply) = key.push(B, 1, "b1")
    assert len(apply.pushes) == 2
    key.push(A, 2, "a2")
    assert kinds(key.push(B, 2, "b2")) == ["Log", "Acknowledge"]
    (*_, apply) = key.push(C, 1, "c2")
    assert [push.value for push in apply.pushes] == ["a2", "b2", "c2"]
    assert key.version == {A: 2, B: 2, C: 1}


def test_who_is_at_a_barrier_is_not_waited_for():
    key = state("sequential")
    for seq in (1, 2):
        key.push(A, seq, "a")
    key.push(B, 1, "b")
    assert len(key.pause(B)) == 1
    assert key.round == 2
    assert key.pause(B) == []
    key.pause(A)
    key.resume(A)
    key.resume(B)
    assert kinds(key.push(B, 2, "b")) == ["Log", "Acknowledge"]
    (*_, apply) = key.push(A, 3, "a")
    assert (apply.round, len(apply.pushes)) == (3, 2)


def test_rounds_can_be_asked_for():
    key = state("sequential")
    assert key.pull(A, 0, "cut", 0, at_least=1) == []
    key.push(A, 1, "a")
    assert answers(key.push(B, 1, "b")) == ["cut"]


@pytest.mark.parametrize("model", ["sequential", "bounded:1", "eventual"])
def test_a_state_that_was_saved_goes_on(model):
    key = state(model)
    key.push(A, 1, "a1")
    key.push(A, 2, "a2")
    key.pause(B)
    key.push(A, 3, "a3")
    key.resume(B)
    key.push(A, 4, "a4")
    again = KeyState.from_plain(*key.to_plain())
    assert again.to_plain() == key.to_plain()
    assert again.push(B, 1, "b") == key.push(B, 1, "b")


def core_of(model, *keys, workers=(A, B)):
    core = ServerCore(Consistency.parse(model))
    for worker in workers:
        core.join(worker)
    for key in keys:
        core.init(key, 0)
    return core


def test_events_come_before_what_they_promise():
    core = core_of("eventual", "w")
    event, acknowledge, apply = core.push("w", A, 1, 5)
    assert event == Event("push", "w", A, 1)
    assert acknowledge == Deed("w", Acknowledge(A, 1))
    assert isinstance(apply.action, Apply)


def test_keys_pulled_together_are_of_one_moment():
    core = core_of("sequential", "v", "w")
    for key in ("v", "w"):
        core.push(key, A, 1, 0)
    assert core.pull_several({"v": 1, "w": 1}, A, "t", 1.0) == []
    assert not any(isinstance(found, Snapshot) for found in core.push("v", B, 1, 0))
    assert core.waiting(3.0) == ["worker 0 has waited 2.0 s for the keys 'v', 'w'"]
    (*_, snapshot) = core.push("w", B, 1, 0)
    assert isinstance(snapshot, Snapshot)
    assert {k: a.round for k, a in snapshot.answers.items()} == {"v": 1, "w": 1}


def test_keys_have_models_of_their_own():
    core = core_of("sequential", "v")
    core.init("w", 0, Consistency("eventual"))
    assert core.init("w", 0, Consistency("eventual")) == []
    with pytest.raises(ParameterError, match="key 'w' is eventual, and cannot become bounded:1"):
        core.init("w", 0, Consistency("bounded", 1))
    assert len(core.push("v", A, 1, 0)) == 2
    assert len(core.push("w", A, 1, 0)) == 3
    with pytest.raises(ParameterError, match="key 'x': there is none; needs init first"):
        core.push("x", A, 1, 0)


def test_who_joins_begins_with_one_round_in_all_keys():
    """Two that began in the middle of a step would otherwise wait for each other for ever."""
    core = core_of("sequential", "v", "w", "seldom")
    for _ in range(2):
        for key in ("v", "w"):
            core.push(
                key, A, core.keys[key].members[A] + core.keys[key]._members[A].received + 1, 0
            )
    core.push("v", A, 3, 0)
    core.join(C)
    assert [core.keys[key].members[C] for key in ("v", "w", "seldom")] == [3, 3, 0]
    assert core.base(C) == 3
    core.align(C, 4)
    assert [core.keys[key].members[C] for key in ("v", "w", "seldom")] == [4, 4, 0]


def test_a_new_incarnation_takes_the_place_of_the_old_one():
    core = core_of("sequential", "w")
    core.push("w", A, 1, "x")
    again = Worker(0, 2)
    events = [each.kind for each in core.join(again) if isinstance(each, Event)]
    assert events == ["leave", "join"]
    assert core.members == {again, B}
    with pytest.raises(MembershipError, match="comes after worker 0"):
        core.join(A)


def test_late_messages_about_barriers_change_nothing():
    core = core_of("sequential", "w")
    assert core.pause(A, 1)
    assert core.pause(A, 1) == []
    core.pause(B, 1)
    assert core.resume(1)
    assert core.resume(1) == core.pause(A, 1) == []
    assert core.push("w", A, 1, 0)
    assert core.keys["w"].round == 0


def test_time_in_the_server_state_is_only_shown():
    core = core_of("bounded:0", "w")
    core.push("w", A, 1, 0)
    core.pull("w", A, 1, "t", 1.0)
    (line,) = core.waiting(2.5)
    assert line == "worker 0 has waited 1.5 s for key 'w', which waits for worker 1"
