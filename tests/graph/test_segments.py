"""Cuts of random graphs, and plans of memory that make no segment wait for another."""

import math

import attrs
import pytest
from hypothesis import given, settings, strategies as st

from actorflow.graph import (
    Entry,
    Node,
    cut_segments,
    plan_memory,
    plan_scratch,
    topological,
)
from actorflow.ops import CrossDeviceCopy, Operator


@attrs.frozen
class Fake(Operator):
    """An operator that takes `work` microseconds."""

    inputs: tuple[str, ...]
    took: float = 1.0
    inplace: tuple[tuple[str, str], ...] = ()

    name = "fake"


def node(name, *inputs, work=1.0, inplace=False):
    names = tuple(f"i{number}" for number in range(len(inputs)))
    pairs = tuple((each, "output") for each in names) if inplace else ()
    return Entry(Node(Fake(names, work, pairs), name, inputs), 0)


def work_of(each):
    return getattr(each.operator, "took", 1.0)


def cut(heads, ends=None, least=100.0, contexts=None):
    order = [each for each in topological(heads) if not each.is_variable]
    ends = [len(order)] if ends is None else ends
    return cut_segments(order, ends, set(heads), work_of, contexts, "host", least)


def names(segments):
    return [" ".join(each.name for each in segment.nodes) for segment in segments]


def test_a_chain_is_one_message_however_long_it_takes():
    entry = Entry(Node(None, "x"), 0)
    for number in range(9):
        entry = node(f"n{number}", entry, work=1000.0)
    assert len(cut([entry])) == 1
    assert len(cut([entry], least=0)) == 9


def test_branches_are_told_apart_and_small_ones_are_not():
    x = node("start", Entry(Node(None, "x"), 0), work=10.0)
    for work, wanted in (
        (150.0, ["start", "a1 a2", "b1 b2", "end"]),
        (90.0, ["start", "a1 a2", "b1 b2", "end"]),
        (30.0, ["start a1 a2 b1 b2 end"]),
    ):
        a, b = (node(f"{n}2", node(f"{n}1", x, work=work), work=work) for n in "ab")
        assert names(cut([node("end", a, b, work=10.0)])) == wanted


def test_what_a_long_part_needs_alone_goes_with_it():
    x = Entry(Node(None, "x"), 0)
    before = node("before", x, work=1.0)
    one = node("one", before, x, work=200.0)
    after = node("after", one, work=1.0)
    two = node("two", after, work=200.0)
    # `one` and `two` are wanted from outside, so somebody gains if `one` is there earlier.
    assert names(cut([one, two])) == ["before one", "after two"]


def test_heads_are_there_early():
    x = Entry(Node(None, "x"), 0)
    grads, above = [], x
    for number in range(3):
        weight = node(f"w{number}", above, work=300.0)
        above = node(f"d{number}", above, work=300.0)
        grads.append(weight)
    segments = cut([*grads, above])
    for index, grad in enumerate(grads):
        (own,) = [each for each in segments if grad.node in each.nodes]
        assert len(own.nodes) == 1
        # The gradient of one layer needs none of another's.
        assert own.before.bit_count() == index + 1


@st.composite
def graphs(draw):
    """Heads of a random graph, the ends of two stages, and contexts."""
    entries = [Entry(Node(None, f"v{number}"), 0) for number in range(2)]
    for number in range(draw(st.integers(2, 25))):
        inputs = draw(st.lists(st.sampled_from(entries[-6:]), min_size=1, max_size=3))
        took = draw(st.sampled_from([1.0, 40.0, 120.0]))
        entries.append(node(f"n{number}", *inputs, work=took, inplace=draw(st.booleans())))
    heads = draw(st.lists(st.sampled_from(entries[2:]), min_size=1, max_size=4, unique=True))
    order = [each for each in topological(heads) if not each.is_variable]
    first = len([n for n in topological(heads[: draw(st.integers(1, len(heads)))]) if n.operator])
    contexts = {each: draw(st.sampled_from("AAAB")) for each in order}
    return heads, [first, len(order)], contexts


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(graphs(), st.sampled_from([0, 50.0, 100.0, math.inf]), st.booleans())
def test_segments_of_any_graph(drawn, least, several):
    heads, ends, contexts = drawn
    order = [each for each in topological(heads) if not each.is_variable]
    contexts = contexts if several else None
    segments = cut(heads, ends, least, contexts)
    assert [each for segment in segments for each in segment.nodes] == order
    segment_of = {each: segment for segment in segments for each in segment.nodes}
    for number, segment in enumerate(segments):
        assert segment.number == number
        assert {order.index(each) < ends[0] for each in segment.nodes} == {segment.stage == 0}
        if several:
            assert {contexts[each] for each in segment.nodes} == {segment.context}
        sources = {
            segment_of[entry.node]
            for each in segment.nodes
            for entry in each.inputs
            if entry.node in segment_of
        }
        for source in sources:  # what runs before, and what runs before that
            assert source.before & ~segment.before == 0
        assert segment.before >> number == 1
    if least == math.inf and not several:
        assert len(segments) == len({segment.stage for segment in segments})
    check_memory(heads, segments, segment_of)


def check_memory(heads, segments, segment_of):
    """Two segments that use one buffer for different values cannot run side by side."""
    order = topological(heads)
    sizes = {entry: (8,) for each in order for entry in each.entries()}
    plan = plan_memory(order, sizes, dict.fromkeys(sizes, 4), set(heads), segments)
    users = {}  # of a value: who makes it and who takes it
    for each in order:
        for entry in (*each.inputs, *each.entries()):
            if each in segment_of and plan.places[entry].buffer is not None:
                users.setdefault(entry, []).append(segment_of[each])
    for one, ones in users.items():
        for other, others in users.items():
            if one is other or plan.places[one].buffer != plan.places[other].buffer:
                continue
            assert plan.contexts[plan.places[one].buffer] == segment_of[one.node].context
            later, earlier = (ones, others) if before(other, one, order) else (others, ones)
            maker = later[0]
            for user in earlier:
                assert maker.before >> user.number & 1
    taken, _, contexts = plan_scratch(segments, [5 for _ in segments])
    for one in segments:
        assert contexts[taken[one.number]] == one.context
        for other in segments[one.number + 1 :]:
            if taken[one.number] == taken[other.number]:
                assert other.before >> one.number & 1


def before(one, other, order):
    return order.index(one.node) < order.index(other.node)


def test_copies_are_messages_of_their_own():
    x = Entry(Node(None, "x"), 0)
    one = node("one", x)
    copy = Entry(Node(CrossDeviceCopy(), "copy", (one,)), 0)
    two = node("two", node("more", one), copy)
    contexts = dict.fromkeys(topological([two]), "A")
    assert names(cut([two], contexts=contexts)) == ["one", "more", "copy", "two"]
