"""Regions: parts of one resource, accessed independently where they do not overlap."""

import random
import threading

import numpy as np
import pytest

from actorflow.engine import Engine, Region, Resource
from tests.engine._helpers import Boom, SeededPolicy, boom, stepping


def test_writes_of_parts_that_do_not_overlap_run_at_the_same_time():
    resource = Resource()
    barrier = threading.Barrier(4, timeout=10)
    with Engine(workers=4) as engine:
        written = [
            engine.push(barrier.wait, writes=[Region(resource, 8 * n, 8 * n + 8)]) for n in range(4)
        ]
        assert sorted(operation.wait() for operation in written) == [0, 1, 2, 3]


def test_a_part_is_read_while_another_is_written():
    resource = Resource()
    barrier = threading.Barrier(2, timeout=10)
    with Engine(workers=2) as engine:
        engine.push(barrier.wait, updates=[Region(resource, 0, 4)])
        engine.push(barrier.wait, reads=[Region(resource, 4, 8)])
        engine.wait(resource)


def test_overlapping_parts_keep_their_order(engine):
    resource, seen = Resource(), []
    for number in range(200):
        start = number % 7
        engine.push(lambda n=number: seen.append(n), updates=[Region(resource, start, start + 8)])
    engine.wait(resource)
    assert seen == list(range(200))


def test_the_whole_comes_after_the_parts_before_it_and_before_those_behind_it():
    resource, inside = Resource(), []
    barrier = threading.Barrier(2, timeout=10)

    def both():
        barrier.wait()
        inside.append("part")

    with Engine(workers=4) as engine:
        for _ in range(2):
            for n in range(2):
                engine.push(both, writes=[Region(resource, n, n + 1)])
            engine.push(lambda: inside.append("whole"), updates=[resource])
    assert inside == ["part", "part", "whole"] * 2


def test_a_part_waits_for_a_whole_that_was_pushed_before_there_were_parts():
    resource, seen = Resource(), []
    with stepping() as engine:
        engine.push(lambda: seen.append("whole"), writes=[resource])
        engine.push(lambda: seen.append("reader"), reads=[resource])
        part = engine.push(lambda: seen.append("part"), writes=[Region(resource, 2, 3)])
        assert part.pending == 1
        part.wait()
    assert seen == ["whole", "reader", "part"]


def test_parts_named_twice_or_overlapping_in_one_operation_do_not_block_it(any_engine):
    resource = Resource()
    operation = any_engine.push(
        lambda: 5,
        reads=[Region(resource, 0, 4), Region(resource, 2, 6), resource],
        writes=[Region(resource, 3, 8), Region(resource, 3, 8)],
        updates=[Region(resource, 0, 9)],
    )
    assert operation.wait() == 5
    any_engine.wait(resource)
    assert resource._parts is None


def test_the_failure_of_a_part_hits_the_readers_of_that_part_alone(any_engine):
    resource = Resource()
    left, right = Region(resource, 0, 4), Region(resource, 4, 8)
    any_engine.push(lambda: None, writes=[resource])
    any_engine.push(boom, updates=[left])
    assert any_engine.push(lambda: "fine", reads=[right]).wait() == "fine"
    any_engine.wait(right)
    for access in (left, resource, Region(resource, 3, 5)):
        with pytest.raises(Boom):
            any_engine.wait(access)
        with pytest.raises(Boom):
            any_engine.push(lambda: "fine", reads=[access]).wait()
    any_engine.wait(Region(resource, 4, 5))


def test_writing_a_failed_part_heals_it(any_engine):
    resource = Resource()
    any_engine.push(boom, writes=[Region(resource, 0, 4)])
    with pytest.raises(Boom):
        any_engine.wait(resource)
    any_engine.push(lambda: None, writes=[Region(resource, 0, 2)])
    any_engine.wait(Region(resource, 0, 2))
    with pytest.raises(Boom):
        any_engine.wait(Region(resource, 1, 3))
    any_engine.push(lambda: None, writes=[Region(resource, 2, 4)])
    any_engine.wait(resource)
    assert resource._parts is None


def test_writing_the_whole_heals_every_part(any_engine):
    resource = Resource()
    for start in range(0, 8, 2):
        with pytest.raises(Boom):
            any_engine.push(boom, writes=[Region(resource, start, start + 1)]).wait()
    any_engine.push(lambda: None, writes=[resource])
    any_engine.wait(resource)
    assert resource._parts is None


def test_an_update_of_a_part_passes_on_the_failure_of_another_part_that_it_reads(any_engine):
    resource = Resource()
    left, right = Region(resource, 0, 4), Region(resource, 4, 8)
    any_engine.push(boom, writes=[left])
    copied = any_engine.push(lambda: None, reads=[left], writes=[right])
    with pytest.raises(Boom):
        copied.wait()
    with pytest.raises(Boom):
        any_engine.wait(right)


def test_waiting_for_a_part_does_not_wait_for_another():
    resource, gate = Resource(), threading.Event()
    with Engine(workers=2) as engine:
        engine.push(gate.wait, writes=[Region(resource, 0, 4)])
        engine.push(lambda: None, writes=[Region(resource, 4, 8)])
        engine.wait(Region(resource, 4, 8))
        assert not gate.is_set()
        gate.set()
        engine.wait(resource)


def test_a_resource_goes_back_to_its_cheap_form(engine):
    resource = Resource()
    for _ in range(3):
        for start in range(50):
            engine.push(lambda: None, updates=[Region(resource, start, start + 3)])
        engine.wait(resource)
        assert resource._parts is None
        assert resource.idle


@pytest.mark.parametrize("seed", range(8))
def test_blocks_of_an_array_hold_what_the_order_of_the_program_gives(seed):
    draw = random.Random(seed)
    array, expected = np.zeros(64, np.uint64), np.zeros(64, np.uint64)
    resource = Resource("array")

    def step(array, source, target, factor):
        width = np.uint64(factor)
        array[target : target + 8] = array[target : target + 8] * width + array[source : source + 8]

    steps = [(draw.randrange(57), draw.randrange(57), draw.randrange(3, 999)) for _ in range(300)]
    with Engine(workers=4, policy=lambda: SeededPolicy(seed)) as engine:
        for source, target, factor in steps:
            engine.push(
                lambda s=source, t=target, f=factor: step(array, s, t, f),
                reads=[Region(resource, source, source + 8)],
                updates=[Region(resource, target, target + 8)],
            )
    for source, target, factor in steps:
        step(expected, source, target, factor)
    assert array.tolist() == expected.tolist()
    assert resource._parts is None
