"""What the engine says about why something is not ready."""

import pytest

from actorflow.engine import Engine, Link, Region, Resource
from tests.engine._helpers import Boom, boom, stepping


@pytest.fixture
def engine():
    with stepping() as engine:
        yield engine


def say(engine, target):
    return engine.explain(target).splitlines()


def test_ready(engine):
    resource = Resource("x")
    assert say(engine, resource) == ["x is ready: nothing is in flight for it"]
    operation = engine.push(lambda: None, writes=[resource], name="fill")
    operation.wait()
    assert say(engine, resource) == ["x is ready: nothing is in flight for it"]
    assert say(engine, operation) == ["'fill' is ready: nothing is in flight for it"]


def test_failed(engine):
    resource = Resource("x")
    operation = engine.push(lambda: boom("no"), writes=[resource], name="fill")
    with pytest.raises(Boom):
        operation.wait()
    assert say(engine, resource) == ["x is done and holds an error: Boom('no')"]
    assert say(engine, operation) == ["'fill' is done and holds an error: Boom('no')"]


def test_waits_for_a_worker(engine):
    resource = Resource("x")
    engine.push(lambda: None, writes=[resource], name="fill")
    assert say(engine, resource) == [
        "x is not ready: it waits for",
        "  'fill': is ready and waits for a worker of cpu(0)",
    ]


def test_the_chain_of_operations_and_resources(engine):
    a, b, c = Resource("a"), Resource("b"), Resource("c")
    engine.push(lambda: None, writes=[a], name="first")
    engine.push(lambda: None, reads=[a], writes=[b], name="second")
    engine.push(lambda: None, reads=[b], writes=[c], name="third")
    assert say(engine, c) == [
        "c is not ready: it waits for",
        "  'third': waits for b, held by",
        "    'second': waits for a, held by",
        "      'first': is ready and waits for a worker of cpu(0)",
    ]


def test_what_was_said_is_not_said_again(engine):
    a, b, c = Resource("a"), Resource("b"), Resource("c")
    engine.push(lambda: None, writes=[a], name="source")
    engine.push(lambda: None, reads=[a], writes=[b], name="left")
    engine.push(lambda: None, reads=[a], writes=[c], name="right")
    sink = engine.push(lambda: None, reads=[b, c], name="sink")
    assert say(engine, sink) == [
        "'sink' is not ready: it waits for",
        "  'sink': waits for b, c, held by",
        "    'left': waits for a, held by",
        "      'source': is ready and waits for a worker of cpu(0)",
        "    'right': waits for a, held by",
        "      'source' (see above)",
    ]


def test_readers_do_not_keep_a_resource_from_being_ready(engine):
    resource = Resource("x")
    engine.push(lambda: None, reads=[resource])
    engine.push(lambda: None, reads=[resource])
    assert say(engine, resource) == ["x is ready; 2 operations read it"]


def test_a_reader_of_several_parts_is_one_operation(engine):
    resource = Resource("x")
    engine.push(lambda: None, reads=[resource])
    engine.push(lambda: None, reads=[Region(resource, 0, 4)])
    assert say(engine, resource) == ["x is ready; 2 operations read it"]


def test_a_region_waits_only_for_what_overlaps_it(engine):
    resource = Resource("x")
    engine.push(lambda: None, writes=[Region(resource, 0, 4)], name="left")
    engine.push(lambda: None, writes=[Region(resource, 4, 8)], name="right")
    assert say(engine, Region(resource, 5, 6)) == [
        "x[5:6] is not ready: it waits for",
        "  'right': is ready and waits for a worker of cpu(0)",
    ]
    assert [line.split(":")[0] for line in say(engine, resource)[1:]] == ["  'left'", "  'right'"]


def test_it_is_the_contended_part_that_is_named(engine):
    resource = Resource("x")
    engine.push(lambda: None, writes=[Region(resource, 0, 4)], name="left")
    both = engine.push(
        lambda: None, reads=[Region(resource, 0, 4)], writes=[Region(resource, 8, 12)], name="both"
    )
    assert say(engine, both)[1] == "  'both': waits for x[0:4], held by"


def test_what_both_only_read_is_not_named(engine):
    shared, contended = Resource("shared"), Resource("contended")
    engine.push(lambda: None, reads=[shared], writes=[contended])
    reader = engine.push(lambda: None, reads=[shared, contended], name="reader")
    assert say(engine, reader)[1] == "  'reader': waits for contended, held by"


def test_a_link(engine):
    link = Link(3, "bus")
    engine.push(lambda: None, uses={link: 2}, name="holder")
    queued = engine.push(lambda: None, uses={link: 2}, name="queued")
    assert say(engine, queued) == [
        "'queued' is not ready: it waits for",
        "  'queued': waits for <Link 'bus'> (1 of 3 free), held by",
        "    'holder': is ready and waits for a worker of cpu(0)",
    ]


def test_behind_another_in_the_queue_of_a_link(engine):
    link = Link(3, "bus")
    engine.push(lambda: None, uses=[link], name="holder")
    engine.push(lambda: None, uses={link: 3}, name="large")
    queued = engine.push(lambda: None, uses=[link], name="queued")
    assert say(engine, queued) == [
        "'queued' is not ready: it waits for",
        "  'queued': waits for <Link 'bus'> (2 of 3 free), behind",
        "    'large': waits for <Link 'bus'> (2 of 3 free), held by",
        "      'holder': is ready and waits for a worker of cpu(0)",
    ]
    assert say(engine, link) == ["bus is ready; 1 operation uses it"]


def test_running_and_waiting_inside(engine):
    x, y = Resource("x"), Resource("y")
    texts = []
    completions = []
    engine.push_async(completions.append, writes=[y], name="slow")
    engine.step()

    def look():
        texts.append(say(engine, x))
        completions.pop().succeed()

    def outer():
        inner = engine.push(lambda: None, reads=[y], name="inner")
        engine.push(look, name="look").wait()
        inner.wait()

    assert say(engine, y)[1] == "  'slow': is running on cpu(0)"
    engine.push(outer, writes=[x], name="outer").wait()
    assert texts == [
        [
            "x is not ready: it waits for",
            "  'outer': runs, but waits inside itself for",
            "    'look': is running on cpu(0)",
        ]
    ]


def test_a_long_chain_is_cut(engine):
    resource = Resource("x")
    for number in range(200):
        engine.push(lambda: None, updates=[resource], name=f"op {number}")
    lines = say(engine, resource)
    assert len(lines) == 41
    assert lines[1] == "  'op 199': waits for x, held by"
    assert lines[20] == "  ... 161 more ..."
    assert lines[-1].strip().startswith("'op 0': is ")


def test_the_line_of_the_push_is_shown():
    resource = Resource("x")
    with Engine(workers=0, trace="line") as engine:
        engine.push(lambda: None, writes=[resource], name="fill")
        line = say(engine, resource)[1]
    assert line.startswith("  'fill', pushed at ")
    assert "test_explain.py:" in line
    assert ", in test_the_line_of_the_push_is_shown: is ready and waits" in line


def test_the_naive_engine_has_little_to_explain():
    resource = Resource("x")
    engine = Engine(engine_type="naive")
    texts = []
    assert engine.explain(resource) == "x is ready: a naive engine runs everything at once"
    engine.push(lambda: texts.append(engine.explain(resource)), writes=[resource], name="fill")
    assert texts == ["x is not ready: it waits for 'fill', inside which this code runs"]
