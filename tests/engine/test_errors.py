"""Errors stay where results would have been, reach everybody who waits, and are never lost."""

import dataclasses
import inspect
import traceback

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from actorflow import Engine
from actorflow.engine import Region, Resource
from tests.engine.helpers_faults import KINDS, Gate, fail, flatten, noted, open_engine, within

pytestmark = pytest.mark.parametrize("kind", KINDS)


def push_failing(engine, resource, message="broken", **options):
    return engine.push(lambda: fail(message), writes=(resource,), name="failing", **options)


def collect(fn):
    """What `fn` raises, or None."""
    try:
        fn()
    except BaseException as error:  # noqa: BLE001 -- the value looked at
        return error
    return None


def test_every_wait_raises_the_first_cause(kind):
    with Engine(2, engine_type=kind) as engine:
        a, b, c = (Resource(name) for name in "abc")
        first = push_failing(engine, a)
        second = engine.push(lambda: None, reads=(a,), writes=(b,), name="second")
        third = engine.push(lambda: None, updates=(b,), writes=(c,), name="third")
        waits = [
            first.wait,
            second.wait,
            third.wait,
            first.wait,
            lambda: engine.wait(a),
            lambda: engine.wait(b),
            lambda: engine.wait(c),
            lambda: engine.read(lambda: None, (c,)),
            lambda: engine.wait(Region(c, 3, 5)),
        ]
        errors = {id(collect(lambda wait=wait: within(wait))) for wait in waits}
        assert errors == {id(first.failure.exception)}
        assert str(first.failure.exception) == "broken"
        # There is one first cause: those that were skipped add nothing to it.
        assert noted(first.failure.exception).count("actorflow: operation") == 1


def test_readers_are_skipped_and_others_are_not(kind):
    calls = []
    with Engine(2, engine_type=kind) as engine:
        a, b, c = (Resource(name) for name in "abc")
        push_failing(engine, a)
        reader = engine.push(lambda: calls.append("reader"), reads=(a,), writes=(b,))
        engine.push(lambda: calls.append("updater"), updates=(a,))
        engine.push(lambda: calls.append("after"), reads=(b,))
        other = engine.push(lambda: calls.append("other"), writes=(c,))
        within(other.wait)
        with pytest.raises(ValueError, match="broken"):
            within(reader.wait)
        within(engine.wait_all)  # raises nothing: failures stay where they are
    assert calls == ["other"]


def test_a_rewrite_clears_the_error(kind):
    with Engine(2, engine_type=kind) as engine:
        resource = Resource("r")
        with pytest.raises(ValueError, match="broken"):
            within(push_failing(engine, resource).wait)
        assert within(engine.push(lambda: "new", writes=(resource,)).wait) == "new"
        within(engine.wait, resource)
        assert within(engine.push(lambda: "read", reads=(resource,)).wait) == "read"


def test_an_update_keeps_the_error_and_a_second_failure_replaces_it(kind):
    with Engine(2, engine_type=kind) as engine:
        resource = Resource("r")
        first = push_failing(engine, resource, "first")
        update = engine.push(lambda: None, updates=(resource,))
        second = push_failing(engine, resource, "second")
        for operation, message in ((first, "first"), (update, "first"), (second, "second")):
            with pytest.raises(ValueError, match=message):
                within(operation.wait)
        with pytest.raises(ValueError, match="second"):
            within(engine.wait, resource)


def test_read_and_written_is_an_update_so_the_error_passes_on(kind):
    with Engine(2, engine_type=kind) as engine:
        resource, calls = Resource("r"), []
        push_failing(engine, resource)
        both = engine.push(lambda: calls.append(1), reads=(resource,), writes=(resource,))
        with pytest.raises(ValueError, match="broken"):
            within(both.wait)
        assert calls == []
        with pytest.raises(ValueError, match="broken"):
            within(engine.wait, resource)


def test_an_error_of_a_region_stays_in_it(kind):
    with Engine(2, engine_type=kind) as engine:
        resource = Resource("r")
        left, right = Region(resource, 0, 4), Region(resource, 4, 8)
        engine.push(fail, writes=(left,))
        engine.push(lambda: None, writes=(right,))
        within(engine.wait_all)
        within(engine.wait, right)
        for target in (left, resource, Region(resource, 3, 5)):
            with pytest.raises(ValueError, match="broken"):
                within(engine.wait, target)
        engine.push(lambda: None, writes=(left,))
        within(engine.wait, resource)


def test_a_failed_read_of_the_caller_is_raised_and_nothing_else(kind):
    with Engine(2, engine_type=kind) as engine:
        resource = Resource("r")
        with pytest.raises(ValueError, match="in the caller"):
            engine.read(lambda: fail("in the caller"), (resource,))
        assert within(engine.push(lambda: 1, updates=(resource,)).wait) == 1


# -- What an error says ----------------------------------------------------------------------------


def user_line(engine):
    operation = engine.push(fail, name="my operator")  # the user's line
    return operation, inspect.currentframe().f_lineno - 1


def test_the_note_has_the_name_and_the_line_of_the_push(kind):
    with Engine(2, engine_type=kind) as engine:
        operation, line = user_line(engine)
        error = collect(lambda: within(operation.wait))
        note = noted(error)
        assert "'my operator'" in note
        assert f"{__file__}:{line}, in user_line" in note
        assert 'engine.push(fail, name="my operator")  # the user\'s line' in note
        assert "called from" not in note
        printed = "".join(traceback.format_exception(error))
        assert "in fail" in printed  # where it broke
        assert "in user_line" in printed  # where it was pushed


def test_with_stack_the_note_has_the_callers_too(kind):
    with Engine(2, engine_type=kind, trace="stack") as engine:
        operation, line = user_line(engine)
        note = noted(collect(lambda: within(operation.wait)))
        assert f"{__file__}:{line}, in user_line" in note
        assert "called from" in note
        assert "in test_with_stack_the_note_has_the_callers_too" in note


def test_with_off_the_note_has_the_name_only(kind):
    with Engine(2, engine_type=kind, trace="off") as engine:
        operation, _ = user_line(engine)
        note = noted(collect(lambda: within(operation.wait)))
        assert "'my operator'" in note
        assert __file__ not in note


def test_the_level_comes_from_the_environment(kind, monkeypatch):
    monkeypatch.setenv("AF_ENGINE_TRACE", "off")
    with Engine(1, engine_type=kind) as engine:
        operation, _ = user_line(engine)
        assert __file__ not in noted(collect(lambda: within(operation.wait)))
    with pytest.raises(ValueError, match="trace must be one of"):
        Engine(1, engine_type=kind, trace="everything")


def test_raising_it_often_does_not_grow_it(kind):
    with Engine(2, engine_type=kind) as engine:
        operation = engine.push(fail)

        def size():
            error = collect(operation.wait)
            return len(traceback.extract_tb(error.__traceback__)), len(error.__notes__)

        within(engine.wait_all)
        sizes = {size() for _ in range(50)}
        assert len(sizes) == 1


def test_an_exception_that_takes_no_note_is_raised_all_the_same(kind):
    @dataclasses.dataclass(frozen=True)
    class FrozenError(Exception):
        number: int

    def break_it():
        raise FrozenError(7)

    with open_engine(1) if kind == "threaded" else Engine(engine_type=kind) as engine:
        operation = engine.push(break_it)
        error = collect(lambda: within(operation.wait))
        assert isinstance(error, FrozenError)
        assert within(engine.push(lambda: 1).wait) == 1  # the engine lives


def test_one_exception_object_may_fail_several_operations(kind):
    error = ValueError("shared")

    def break_it():
        raise error

    with Engine(2, engine_type=kind) as engine:
        operations = [engine.push(break_it, name=f"user {i}") for i in range(3)]
        for operation in operations:
            assert collect(lambda operation=operation: within(operation.wait)) is error
        assert all(f"'user {i}'" in noted(error) for i in range(3))


# -- What nobody awaited ---------------------------------------------------------------------------


def test_closing_raises_what_nobody_awaited(kind):
    engine = Engine(2, engine_type=kind)
    a, b = Resource("a"), Resource("b")
    push_failing(engine, a, "first")
    push_failing(engine, b, "second")
    engine.push(lambda: None, reads=(a,), name="skipped")
    with pytest.raises(ExceptionGroup, match="2 operations failed and nobody awaited") as caught:
        within(engine.close)
    assert sorted(str(error) for error in flatten(caught.value)) == ["first", "second"]
    assert engine.closed
    within(engine.close)  # told once


@pytest.mark.parametrize("how", ["operation", "resource", "dependent", "read"])
def test_closing_does_not_repeat_what_was_raised(kind, how):
    with Engine(2, engine_type=kind) as engine:
        resource = Resource("r")
        operation = push_failing(engine, resource)
        dependent = engine.push(lambda: None, reads=(resource,))
        wait = {
            "operation": operation.wait,
            "resource": lambda: engine.wait(resource),
            "dependent": dependent.wait,
            "read": lambda: engine.read(lambda: None, (resource,)),
        }[how]
        with pytest.raises(ValueError, match="broken"):
            within(wait)


def test_a_rewritten_error_was_not_seen_by_that(kind):
    engine = Engine(2, engine_type=kind)
    resource = Resource("r")
    push_failing(engine, resource)
    engine.push(lambda: None, writes=(resource,))
    within(engine.wait, resource)
    with pytest.raises(ExceptionGroup) as caught:
        within(engine.close)
    assert [str(error) for error in flatten(caught.value)] == ["broken"]


def test_an_error_of_the_body_comes_with_what_nobody_awaited(kind):
    def block():
        with Engine(2, engine_type=kind) as engine:
            operation = engine.push(fail)
            within(engine.wait_all)
            assert operation.done
            raise KeyError("body")

    with pytest.raises(ExceptionGroup) as caught:
        within(block)
    assert [type(error) for error in flatten(caught.value)] == [KeyError, ValueError]


def test_an_error_of_the_body_alone_stays_itself(kind):
    def block():
        with Engine(2, engine_type=kind) as engine:
            engine.push(lambda: 1)
            raise KeyError("body")

    with pytest.raises(KeyError, match="body"):
        within(block)


def test_what_was_awaited_leaves_the_block_as_itself(kind):
    with (
        pytest.raises(ValueError, match="broken"),
        Engine(2, engine_type=kind) as engine,
    ):
        engine.push(fail).wait()


def test_the_end_of_an_async_block_does_the_same(kind):
    async def unseen():
        async with Engine(2, engine_type=kind) as engine:
            engine.push(fail)

    async def body_and_unseen():
        async with Engine(2, engine_type=kind) as engine:
            engine.push(fail)
            await engine.wait_all_async()
            raise KeyError("body")

    async def seen():
        async with Engine(2, engine_type=kind) as engine:
            await engine.push(fail)

    with pytest.raises(ExceptionGroup) as caught:
        within(trio.run, unseen)
    assert [type(error) for error in flatten(caught.value)] == [ValueError]
    with pytest.raises(ExceptionGroup) as caught:
        within(trio.run, body_and_unseen)
    assert {type(error) for error in flatten(caught.value)} == {KeyError, ValueError}
    with pytest.raises(ValueError, match="broken"):
        within(trio.run, seen)


def test_a_cancelled_block_still_tells_what_failed(kind):
    async def main():
        with trio.CancelScope() as scope:
            async with Engine(2, engine_type=kind) as engine:
                engine.push(fail)
                await engine.wait_all_async()
                scope.cancel()
                await trio.lowlevel.checkpoint()

    with pytest.raises(ExceptionGroup) as caught:
        within(trio.run, main)
    assert [type(error) for error in flatten(caught.value)] == [ValueError]


def test_every_waiter_gets_it(kind):
    if kind == "naive":
        pytest.skip("nobody can wait there")
    gate = Gate()

    async def main():
        errors = []

        async def wait(target):
            try:
                await target
            except ValueError as error:
                errors.append(error)

        async with Engine(2, engine_type=kind) as engine:
            resource = Resource("r")
            first = engine.push(lambda: (gate(), fail()), writes=(resource,))
            second = engine.push(lambda: None, updates=(resource,))
            async with trio.open_nursery() as nursery:
                for _ in range(10):
                    nursery.start_soon(wait, first)
                    nursery.start_soon(wait, second)
                    nursery.start_soon(engine.wait_async, Resource("other"))
                await wait_all_tasks_blocked()
                gate.open()
            assert errors == [first.failure.exception] * 20

    within(trio.run, main)
