"""Any schedule on any engine gives what a program means: results, errors and cells, bit for bit.

AF_LONG_TESTS=1 runs a hundred times as many operations, from a fresh seed. AF_TEST_SEED=n begins
at seed n.
"""

import os
import secrets
from dataclasses import replace

import pytest

from tests.engine._helpers import SeededPolicy
from tests.engine._interpreter import Interpreter
from tests.engine._maker import Maker
from tests.engine._programs import EngineRun, Push, conflict

LONG = os.environ.get("AF_LONG_TESTS") == "1"
OPERATIONS = 1_000_000 if LONG else 10_000
FIRST_SEED = int(os.environ.get("AF_TEST_SEED") or (secrets.randbelow(1 << 40) if LONG else 1))
LENGTH = 60  # statements per program; each may push more inside


def options_of(kind, seed):
    """The engine of a run, which may depend on the seed."""
    workers = {"1 worker": 1, "2 workers": 2, "8 workers": 8}.get(kind)
    if workers is not None:
        policy = ("fifo", "priority", lambda: SeededPolicy(seed))[seed % 3]
        # With few operations in flight pushers wait for room, which makes other schedules.
        return {"workers": workers, "policy": policy, "max_ops": (5, 50_000)[seed % 2]}
    if kind == "naive":
        return {"engine_type": "naive"}
    # Without links: test_links.py shows what is wrong with them there.
    return {"workers": 0, "policy": lambda: SeededPolicy(seed), "with_links": False}


def differences(program, kind, seed):
    """What an engine does otherwise than the interpreter: (what, engine's, interpreter's)."""
    meant = Interpreter(program).run()
    try:
        got = EngineRun(program, **options_of(kind, seed)).run(threads="worker" in kind)
    except Exception as error:  # noqa: BLE001 -- a difference, too
        return [("run", repr(error), "no error")], len(meant["results"])
    found = [
        (f"{part} {key}", got[part].get(key), meant[part].get(key))
        for part in meant
        for key in sorted(meant[part].keys() | got[part].keys())
        if got[part].get(key) != meant[part].get(key)
    ]
    return found, len(meant["results"])


def smaller(program):
    """All programs with one push less, or one action inside a push less."""
    statements = program.statements
    for index, statement in enumerate(statements):
        for action in without_one(statement.action):
            rest = () if action is None else (replace(statement, action=action),)
            if action is None and statement.ticket is not None:
                continue
            changed = (*statements[:index], *rest, *statements[index + 1 :])
            yield replace(program, statements=changed)


def without_one(action):
    """An action, gone or with one push inside it less; waits stay, which return what was lent."""
    if not isinstance(action, Push):
        return
    yield None
    for index, inner in enumerate(action.actions):
        for less in without_one(inner):
            rest = () if less is None else (less,)
            yield replace(
                action, actions=(*action.actions[:index], *rest, *action.actions[index + 1 :])
            )


def shrink(program, kind, seed):
    """A program that fails, and of which no part can be left out."""
    while True:
        for candidate in smaller(program):
            if any(differences(candidate, kind, seed)[0] for _ in range(3)):
                program = candidate
                break
        else:
            return program


@pytest.mark.slow
@pytest.mark.timeout(0 if LONG else 90)
@pytest.mark.parametrize("kind", ["1 worker", "2 workers", "8 workers", "seeded", "naive"])
def test_every_engine_does_what_the_program_means(kind):
    count, seed = 0, FIRST_SEED
    print(f"seeds from {seed}")  # noqa: T201 -- shown with a failure
    while count < OPERATIONS:
        program = Maker(seed).make(LENGTH)
        found, ran = differences(program, kind, seed)
        if found:
            small = shrink(program, kind, seed)
            lines = [str(statement) for statement in small.statements]
            lines += [str(difference) for difference in differences(small, kind, seed)[0]]
            pytest.fail(f"{kind}, seed {seed}, differs:\n{found[0]}\nshrunk:\n" + "\n".join(lines))
        count += ran
        seed += 1
    print(f"{count} operations, seeds up to {seed}")  # noqa: T201
    assert count >= OPERATIONS


def test_programs_have_everything_in_them():
    """The generator makes what it is for: otherwise the test above shows nothing."""
    outcomes = {"fine": 0, "failed": 0, "cancelled": 0}
    inside = held = waits = threads = 0
    for seed in range(60):
        program = Maker(seed).make(LENGTH)
        threads = max(threads, len({s.thread for s in program.statements}))
        for statement in program.statements:
            actions = getattr(statement.action, "actions", ())
            pushes = [a for a in actions if isinstance(a, Push)]
            inside += len(pushes)
            held += sum(conflict(statement.action, inner) for inner in pushes)
            waits += sum(type(a).__name__ == "Wait" for a in actions)
        for result in Interpreter(program).run()["results"].values():
            if isinstance(result, int):
                outcomes["fine"] += 1
            else:
                outcomes["cancelled" if result[0] == "OperationCancelled" else "failed"] += 1
    assert threads == 4
    assert min(inside, held, waits) > 50
    assert outcomes["fine"] > outcomes["failed"] > 100
    assert outcomes["cancelled"] > 10


def test_a_program_depends_on_its_seed_alone():
    assert Maker(7).make(LENGTH) == Maker(7).make(LENGTH)
    assert Maker(7).make(LENGTH) != Maker(8).make(LENGTH)


def test_the_order_of_operations_shows_in_the_result():
    """Exchanging two operations that conflict changes what the program gives."""
    program = Maker(3).make(LENGTH)
    simple = [s for s in program.statements if isinstance(s.action, Push) and not s.action.actions]
    first = next(
        i for i in range(len(simple) - 1) if conflict(simple[i].action, simple[i + 1].action)
    )
    swapped = [*simple]
    swapped[first], swapped[first + 1] = swapped[first + 1], swapped[first]
    results = [Interpreter(replace(program, statements=tuple(s))).run() for s in (simple, swapped)]
    assert results[0] != results[1]
