"""The memory plan: no value is overwritten before its last reader has run."""

import attrs
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from actorflow.graph import Entry, Node, plan_memory, topological
from actorflow.ops import Operator


@attrs.frozen
class Fake(Operator):
    """An operator with some inputs, some outputs, and pairs that may share memory."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    inplace: tuple[tuple[str, str], ...] = ()
    is_view: bool = False

    name = "fake"


@st.composite
def graphs(draw):
    """Heads of a random graph, and the shape of each entry."""
    entries = [Entry(Node(None, f"v{i}"), 0) for i in range(draw(st.integers(1, 3)))]
    shapes = {entry: (draw(st.integers(1, 3)),) for entry in entries}
    for number in range(draw(st.integers(1, 14))):
        inputs = tuple(draw(st.lists(st.sampled_from(entries), min_size=1, max_size=3)))
        names = tuple(f"i{i}" for i in range(len(inputs)))
        view = draw(st.integers(0, 5)) == 0
        outs = ("o0",) if view else tuple(f"o{i}" for i in range(draw(st.integers(1, 2))))
        pairs = tuple(draw(st.lists(st.tuples(st.sampled_from(names), st.sampled_from(outs)))))
        node = Node(Fake(names, outs, pairs, view), f"n{number}", inputs)
        for entry in node.entries():
            shapes[entry] = shapes[inputs[0]] if view else (draw(st.integers(1, 3)),)
            entries.append(entry)
    heads = draw(st.lists(st.sampled_from(entries), min_size=1, max_size=3, unique=True))
    heads = [head for head in heads if not (head.node.is_variable or head.node.operator.is_view)]
    return heads, shapes


def check(heads, shapes, plan):
    """Run the plan, with the entry that was written last in the place of each value."""
    held = {}

    def where(entry):
        place = plan.places[entry]
        return ("buffer", place.buffer) if place.buffer is not None else ("own", place.owner)

    names = {}  # what a view shows
    for node in topological(heads):
        if node.is_variable:
            entry = Entry(node, 0)
            held[where(entry)] = names[entry] = entry
            continue
        for entry in node.inputs:
            assert held[where(entry)] == names[entry], f"{entry.name} was overwritten"
        for entry in node.entries():
            if plan.places[entry].view:
                names[entry] = names[node.inputs[0]]
                assert where(entry) == where(node.inputs[0])
                continue
            taken = [where(other) for other in node.entries() if other != entry]
            assert where(entry) not in taken
            shared = [each for each in node.inputs if where(each) == where(entry)]
            allowed = {
                node.inputs[node.operator.inputs.index(source)]
                for source, target in node.operator.inplace
                if target == node.operator.outputs[entry.output]
            }
            assert set(shared) <= allowed
            held[where(entry)] = names[entry] = entry
            kind, number = where(entry)
            if kind == "buffer":
                assert plan.nbytes[number] >= 4 * shapes[entry][0]
    for head in heads:
        assert held[where(head)] == head


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("share", [False, True])
@settings(max_examples=100, deadline=None)
@given(data=graphs())
def test_no_value_is_overwritten_while_somebody_still_needs_it(data, inplace, share):
    heads, shapes = data
    order = topological(heads)
    itemsizes = dict.fromkeys(shapes, 4)
    plan = plan_memory(order, shapes, itemsizes, set(heads), inplace=inplace, share=share)
    check(heads, shapes, plan)


def test_a_chain_takes_one_buffer_in_place_and_two_without():
    operator = Fake(("data",), ("output",), (("data", "output"),))
    entry = Entry(Node(None, "x"), 0)
    for number in range(10):
        entry = Node(operator, f"n{number}", (entry,)).entries()[0]
    order = topological([entry])
    shapes = {each: (100,) for node in order for each in node.entries()}
    sizes = dict.fromkeys(shapes, 4)
    for inplace, share, wanted in ((True, True, 1), (False, True, 2), (False, False, 9)):
        plan = plan_memory(order, shapes, sizes, {entry}, inplace=inplace, share=share)
        assert plan.nbytes == [400] * wanted
        assert plan.total == 400 * wanted


def test_the_walk_is_deep_and_in_order():
    operator = Fake(("data",), ("output",))
    entry = Entry(Node(None, "x"), 0)
    for number in range(5000):
        entry = Node(operator, f"n{number}", (entry,)).entries()[0]
    order = topological([entry, entry])
    assert [node.name for node in order] == ["x", *(f"n{number}" for number in range(5000))]
    assert np.size(order) == 5001
