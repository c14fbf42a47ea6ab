"""Accesses to a thing and to its parts, against a list of who is there."""

import pytest
from hypothesis import given, settings, strategies as st

from actorflow.engine import Region, Resource
from actorflow.engine.operation import DONE, WAITING, Operation
from actorflow.engine.parts import END

SIZE = 12


class Someone(Operation):
    """An operation, and what the model knows of it."""

    def __init__(self, number, resource, reading, writing):
        self.reading = reading
        self.writing = writing

        def accessibles(intervals):
            return tuple(resource if i == (0, END) else Region(resource, *i) for i in intervals)

        self.reads, self.writes = accessibles(reading), accessibles(writing)
        self.number = number
        self.name = f"{number}"
        self.pending = 0
        self.state = WAITING
        self._code = None

    def must_wait_for(self, earlier):
        """Whether this one, which came later, has to wait: they overlap and one of them writes."""
        return any(
            a[0] < b[1] and b[0] < a[1]
            for mine, theirs in (
                (self.writing, earlier.writing + earlier.reading),
                (self.reading, earlier.writing),
            )
            for a in mine
            for b in theirs
        )


class Model:
    """A resource and, beside it, the list of everybody who has come, in order of arrival."""

    def __init__(self):
        self.resource = Resource("r")
        self.everybody = []
        self.failures = [None] * (SIZE + 1)  # the last one stands for all that has no region here

    def arrive(self, reading, writing):
        someone = Someone(len(self.everybody), self.resource, reading, writing)
        pending = sum(accessible._write(someone) for accessible in someone.writes)
        pending += sum(accessible._read(someone) for accessible in someone.reads)
        someone.pending += pending  # a queue that was split may have added some by itself
        self.everybody.append(someone)

    def leave(self, someone, failure):
        someone.state = DONE
        granted = []
        for accessible in someone.reads:
            granted += accessible._end_read(someone)
        for accessible in someone.writes:
            granted += accessible._end_write(someone, failure)
        for other in granted:
            other.pending -= 1
        for start, stop in someone.writing:
            for index in range(start, min(stop, SIZE + 1)):
                self.failures[index] = failure

    def free(self):
        """Who may go, as the model says."""
        there = [s for s in self.everybody if not s.done]
        return [s for i, s in enumerate(there) if not any(map(s.must_wait_for, there[:i]))]

    def check(self):
        there = [s for s in self.everybody if not s.done]
        free = self.free()
        assert [s for s in there if s.pending == 0] == free
        for someone in there:
            predecessors = someone.predecessors
            assert bool(predecessors) == (someone not in free)
            for predecessor in predecessors:
                assert someone.must_wait_for(predecessor)
                assert someone in predecessor.successors
            for successor in someone.successors:
                assert someone in successor.predecessors
        there = [s for s in there if s.reading or s.writing]
        assert self.resource.idle == (not there)
        first = next((f for f in self.failures if f is not None), None)
        assert self.resource._failure is first
        for start in range(SIZE):
            assert Region(self.resource, start, start + 1)._failure is self.failures[start]
        parts = self.resource._parts
        if parts is None:
            return
        edges = [(segment.start, segment.stop) for segment in parts.segments]
        assert [start for start, _ in edges] == [0, *(stop for _, stop in edges[:-1])]
        assert edges[-1][1] == END
        assert parts.starts == [start for start, _ in edges]
        assert parts.busy == sum(not segment.idle for segment in parts.segments)
        assert there or len(set(self.failures)) > 1, "the parts outlive their use"


def intervals():
    part = st.tuples(st.integers(0, SIZE - 1), st.integers(1, SIZE)).map(
        lambda pair: (pair[0], min(SIZE, pair[0] + pair[1]))
    )
    return st.lists(st.one_of(part, part, st.just((0, END))), max_size=2)


arrivals = st.tuples(intervals(), intervals())
departures = st.tuples(st.integers(0, 99), st.booleans())


@settings(max_examples=400, deadline=None)
@given(st.lists(st.one_of(arrivals, departures), max_size=30))
def test_who_waits_for_whom_is_what_the_order_of_arrival_says(events):
    model = Model()
    for first, second in events:
        if isinstance(first, list):
            model.arrive(first, second)
        elif free := model.free():
            someone = free[first % len(free)]
            model.leave(someone, f"failure of {someone.number}" if second else None)
        model.check()
    while free := model.free():
        model.leave(free[-1], None)
        model.check()
    assert model.resource.idle


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(st.booleans(), st.integers(0, 99)), max_size=40))
def test_whole_resources_keep_the_cheap_form(events):
    model = Model()
    for event in events:
        if isinstance(event, bool):
            model.arrive([] if event else [(0, END)], [(0, END)] if event else [])
        elif free := model.free():
            model.leave(free[event % len(free)], None)
        model.check()
        assert model.resource._parts is None


def test_a_read_behind_a_write_does_not_overtake_it():
    model = Model()
    model.arrive([(0, END)], [])
    model.arrive([], [(0, END)])
    model.arrive([(0, END)], [])
    assert [someone.pending for someone in model.everybody] == [0, 1, 1]


def test_readers_that_are_done_do_not_pile_up():
    model = Model()
    for index in range(1000):
        model.arrive([(0, END)], [])
        if index:
            model.leave(model.everybody[index - 1], None)
    assert len(model.resource._granted) < 100
    model.arrive([], [(0, END)])
    assert model.everybody[-1].predecessors == [model.everybody[-2]]


def test_what_is_named_twice_is_accessed_once():
    model = Model()
    model.arrive([(0, END), (0, END), (1, 3)], [(0, END), (0, END), (2, 4)])
    model.arrive([(1, 3), (2, 4)], [(3, 5), (4, 6)])
    model.arrive([(0, END), (0, END)], [])
    model.check()
    for someone in model.everybody:
        model.leave(someone, None)
        model.check()
    assert model.resource.idle


def test_a_write_behind_reads_waits_for_each_of_them_and_for_nobody_else():
    model = Model()
    model.arrive([], [(0, END)])
    for _ in range(3):
        model.arrive([(0, END)], [])
    model.arrive([], [(0, END)])
    assert model.everybody[4].predecessors == model.everybody[1:4]


def test_parts_keep_apart_what_failed_until_it_is_written_again():
    model = Model()
    model.arrive([], [(2, 4)])
    model.leave(model.everybody[0], "broken")
    assert Region(model.resource, 0, 2)._failure is None
    assert Region(model.resource, 3, 9)._failure == "broken"
    assert model.resource._failure == "broken"
    model.arrive([], [(2, 3)])
    model.arrive([], [(3, 4)])
    model.leave(model.everybody[1], None)
    assert model.resource._failure == "broken"
    model.leave(model.everybody[2], None)
    assert model.resource._failure is None
    assert model.resource._parts is None


@pytest.mark.parametrize("bounds", [(-1, 2), (2, 2), (3, 2), (0, END + 1)])
def test_a_region_needs_sound_bounds(bounds):
    with pytest.raises(ValueError, match="Region of 'r': need 0 <= start < stop, got"):
        Region(Resource("r"), *bounds)


def test_names():
    resource = Resource("weights")
    region = Region(resource, 2, 5)
    assert repr(resource) == "<Resource 'weights'>"
    assert repr(region) == "<Region 'weights[2:5]'>"
    assert region.name == "weights[2:5]"
    assert resource.resource is region.resource is resource


@pytest.mark.parametrize("failure", [None, "broken"])
def test_parts_that_nothing_tells_apart_any_more_are_joined(failure):
    """Somebody is always there, so the cheap form never comes back; or a part has failed."""
    model = Model()
    model.arrive([], [(0, 1)])
    if failure is not None:
        model.leave(model.everybody[0], failure)
    for index in range(1, 1000):
        model.arrive([], [(index, index + 1)])
        assert model.everybody[index].pending == 0
        model.leave(model.everybody[index], None)
    assert len(model.resource._parts.segments) <= 66
    assert Region(model.resource, 0, 1)._failure == failure
    assert Region(model.resource, 1, END)._failure is None
