"""The checker takes right histories and rejects each kind of wrong one, naming the events."""

import attrs
import pytest

from actorflow.errors import FormatError, ParameterError
from actorflow.kvstore.checker import check
from actorflow.kvstore.history import (
    Entered,
    History,
    Initialized,
    Join,
    Leave,
    Pulled,
    Pushed,
)
from actorflow.kvstore.members import Worker
from actorflow.testing import check_history
from tests.kvstore._simulation import Simulation

A, B = Worker(0), Worker(1)


def push(worker, seq, start, end, key="w", value=None):
    return Pushed(worker=worker, key=key, seq=seq, start=start, end=end, value=value)


def pull(worker, start, end, a, b, round_=0, key="w", **more):
    seen = more.pop("seen", 0)
    version = {A: a, B: b}
    times = {"start": start, "end": end}
    return Pulled(worker=worker, key=key, seen=seen, version=version, round=round_, **times, **more)


def barrier(worker, number, start, end):
    return Entered(worker=worker, number=number, start=start, end=end)


ROUND = [push(A, 1, 0, 2), push(B, 1, 1, 3)]
BARRIERS = [barrier(A, 1, 4, 7), barrier(B, 1, 5, 8)]

RIGHT = {
    "sequential": [*ROUND, pull(A, 2, 4, 1, 1, 1, seen=1), push(A, 2, 5, None)],
    "bounded:1": [*ROUND, push(A, 2, 2, 3), pull(A, 4, 5, 2, 1, 1, seen=2)],
    "eventual": [*ROUND, pull(A, 0, 1, 0, 0), pull(A, 3, 4, 1, 0), *BARRIERS, pull(B, 9, 10, 1, 1)],
}

WRONG = [
    ("eventual", [push(A, 2, 0, 1)], "push 2 of key 'w' by worker 0 .* should have number 1"),
    ("eventual", [*ROUND, push(A, 1, 4, 5)], "push 1 .* should have number 2: one is missing or"),
    ("eventual", [*ROUND, pull(A, 4, 5, 2, 1)], "has 2 pushes by worker 0, who made 1"),
    ("eventual", [push(A, 1, 5, 6), pull(B, 1, 2, 1, 0)], "has push 1 .*, which began later"),
    ("eventual", [*ROUND, pull(A, 3, 4, 0, 1)], "lacks its worker's own push 1 of key 'w'"),
    ("eventual", [push(A, 1, 0, 9), pull(A, 1, 2, 0, 0, seen=1)], "lacks its worker's own push 1"),
    ("eventual", [*ROUND, pull(B, 4, 5, 1, 1), pull(B, 6, 7, 0, 1)], "goes back behind pull of"),
    ("eventual", [*ROUND, pull(B, 4, 5, 1, 1, 1), pull(B, 6, 7, 1, 1)], "has fewer rounds than"),
    ("eventual", [*ROUND, *BARRIERS, pull(B, 9, 10, 0, 1)], "behind barrier 1, lacks push 1"),
    (
        "eventual",
        [barrier(A, 1, 0, 1), barrier(B, 1, 5, 6)],
        "barrier 1 .* was over before barrier",
    ),
    (
        "sequential",
        [*BARRIERS, push(A, 1, 0, 1), push(B, 1, 0, 9), pull(A, 8, 8.5, 1, 0), pull(B, 9, 9, 1, 1)],
        "needs",
    ),
    (
        "eventual",
        [push(A, 1, 0, 1), push(B, 1, 6, 6.5), *BARRIERS, pull(A, 9, 9, 1, 0), pull(B, 9, 9, 1, 1)],
        "",
    ),
    (
        "sequential",
        [*ROUND, pull(A, 3, 4, 1, 0, 1, seen=1)],
        "has 0 pushes by worker 1, and needs 1",
    ),
    ("sequential", [*ROUND, pull(A, 3, 4, 1, 1, 0, seen=1)], "had sent is of round 1"),
    (
        "bounded:1",
        [*ROUND, push(A, 2, 2, 3), pull(A, 4, 5, 2, 0, 0)],
        "worker 1 is 2 pushes behind",
    ),
    (
        "bounded:0",
        [*ROUND, push(A, 2, 2, 3), pull(A, 4, 5, 2, 1, 1)],
        "1 pushes behind, more than 0",
    ),
    (
        "eventual",
        [
            push(A, 1, 0, 1, "v"),
            push(A, 1, 2, 3, "w"),
            pull(B, 0, 5, 0, 0, key="v", snapshot=1),
            pull(B, 0, 5, 1, 0, key="w", snapshot=1),
        ],
        "lacks push 1 of key 'v' by worker 0 .*, but came with push 1 of key 'w'",
    ),
    (
        "eventual",
        [
            Initialized(key="w", value=100),
            push(A, 1, 0, 1, value=2),
            pull(B, 2, 3, 1, 0, value=104),
        ],
        "has the value 104, and its version gives 102",
    ),
]


@pytest.mark.parametrize("model", RIGHT)
def test_right_histories_pass(model):
    check_history(RIGHT[model], model)


@pytest.mark.parametrize(("model", "events", "complaint"), WRONG)
def test_wrong_histories_are_rejected(model, events, complaint):
    if not complaint:  # a push that was not acknowledged in time: any version may be seen
        check_history(events, model)
        return
    with pytest.raises(AssertionError, match=f"(?s)not {model}:.*{complaint}"):
        check_history(events, model)


def test_all_see_the_same_behind_a_barrier():
    quiet = [push(A, 1, 0, None), *ROUND[1:], *BARRIERS]
    check_history([*quiet, pull(A, 9, 9, 1, 1), pull(B, 9, 9, 0, 1)], "eventual")
    done = [*ROUND, *BARRIERS]
    later = [*done, push(A, 2, 20, 21), pull(A, 22, 23, 2, 1), pull(B, 9, 10, 1, 1)]
    check_history(later, "eventual")


def test_who_left_or_joined_later_is_no_reason_to_complain():
    joined = Join(worker=B, key="w", base=1, start=2, end=3)
    events = [push(A, 1, 0, 1), joined, push(A, 2, 4, 5), push(B, 1, 4, 6)]
    check_history([*events, pull(A, 7, 8, 2, 1, 2, seen=2)], "sequential")
    check_history([*events, pull(A, 7, 8, 2, 1, 2, seen=2)], "bounded:0")
    left = Leave(worker=B, start=2, end=3)
    events = [*ROUND, left, push(A, 2, 4, 5), pull(A, 6, 7, 2, 1, 2, seen=2)]
    check_history(events, "sequential")
    check_history(events, "bounded:0")
    events.remove(left)
    assert check(events, "sequential")
    assert check(events, "bounded:0")


def test_models_of_single_keys():
    events = RIGHT["bounded:1"]
    assert check(events, "sequential")
    assert check(events, "sequential", {"w": "bounded:1"}) == []
    with pytest.raises(ParameterError):
        check(events, "strong")


@pytest.mark.parametrize("model", ["sequential", "bounded:1", "eventual"])
def test_a_real_history_that_was_changed_is_rejected(model):
    """Each pull in turn loses, or gains, one push in its version."""
    history = Simulation(model, 3).run()
    assert check(history, model) == []
    pulls = [n for n, event in enumerate(history.events) if isinstance(event, Pulled)]
    for place in pulls[:: len(pulls) // 12]:
        event = history.events[place]
        for step in (-1, 1):
            worker = event.worker
            changed = {**event.version, worker: event.version.get(worker, 0) + step}
            events = list(history.events)
            events[place] = attrs.evolve(event, version=changed)
            assert check(events, model), (event, step)


def test_histories_as_files(tmp_path):
    history = Simulation("sequential", 1).run()
    history.save(tmp_path / "x.jsonl")
    assert History.load(tmp_path / "x.jsonl").events == history.events
    check_history(tmp_path / "x.jsonl", "sequential")
    assert History.loads("\n" + history.dumps()).events == history.events


@pytest.mark.parametrize(
    "line",
    [
        "[]",
        "{",
        '{"event": "other"}',
        '{"event": "leave", "worker": [1], "start": 0}',
        '{"event": "leave", "worker": [1, 1, 1], "start": 0, "end": 1}',
        '{"event": "leave", "worker": [1, 1], "start": "soon", "end": 1}',
    ],
)
def test_lines_that_are_no_events(line):
    with pytest.raises(FormatError, match=r"x\.jsonl, line 2: no event"):
        History.loads("\n" + line, "x.jsonl")


def test_a_long_list_of_complaints_is_cut():
    events = [push(A, 1, 0, 1), *(pull(A, n, n, 0, 0) for n in range(2, 40))]
    with pytest.raises(AssertionError, match="and 18 more"):
        check_history(events, "eventual")
