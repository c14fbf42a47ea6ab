"""Inference: what follows from what, with each node visited no more often than it may learn."""

import attrs
import numpy as np
from hypothesis import given, settings, strategies as st

from actorflow.graph import Entry, Node, infer_shapes, infer_types
from actorflow.ops import ELEMENTWISE, Operator

FLOAT32, FLOAT64 = np.dtype("float32"), np.dtype("float64")
asked = []


@attrs.frozen
class Alike(Operator):
    """An operator whose inputs and output are alike; `known` is what the output always is."""

    inputs: tuple[str, ...]
    known: object = None
    name = "alike"

    def infer_shape(self, *shapes):
        asked.append(self)
        found = self.known or next((each for each in shapes if each is not None), None)
        return (found,) * len(shapes), (found,)

    def infer_type(self, *dtypes):
        asked.append(self)
        return self.one_type(dtypes)


@attrs.frozen
class Forward(Operator):
    """An operator that tells nothing of its inputs."""

    inputs: tuple[str, ...] = ("lhs", "rhs")
    name = "forward"

    def output_shape(self, *shapes):
        return shapes[0]

    def output_type(self, *dtypes):
        asked.append(self)
        return dtypes[0]


def walked_again_and_again(order, known):
    """What is known once a walk teaches nothing more."""
    found = {Entry(node, 0): value for node, value in known.items()}
    before = -1
    while before < len(found):
        before = len(found)
        for node in order:
            if node.operator is not None:
                given_ = [found.get(entry) for entry in node.inputs]
                inputs, outputs = node.operator.infer_shape(*given_)
                told = zip((*node.inputs, *node.entries()), (*inputs, *outputs), strict=True)
                found.update((entry, value) for entry, value in told if value is not None)
    return found


@st.composite
def graphs(draw):
    order = [Node(None, f"v{number}") for number in range(draw(st.integers(1, 5)))]
    for number in range(draw(st.integers(1, 15))):
        taken = draw(st.lists(st.sampled_from(order), min_size=1, max_size=3))
        names = tuple(f"i{index}" for index in range(len(taken)))
        kind = Alike if draw(st.booleans()) else Forward
        inputs = tuple(Entry(node, 0) for node in taken)
        order.append(Node(kind(names), f"n{number}", inputs))
    variables = [node for node in order if node.is_variable]
    return order, draw(st.sets(st.sampled_from(variables)))


@settings(max_examples=200, deadline=None)
@given(graphs())
def test_everything_that_follows_is_found(drawn):
    order, told = drawn
    known = dict.fromkeys(told, (2, 3))
    assert infer_shapes(order, known) == walked_again_and_again(order, known)


def test_a_shape_goes_back_from_node_to_node_in_few_visits():
    order = [Node(None, "v0")]
    for number in range(300):
        other = Node(None, f"v{number + 1}")
        inputs = (Entry(order[-1], 0), Entry(other, 0))
        order += [Node(Alike(("lhs", "rhs")), f"n{number}", inputs), other]
    order.sort(key=lambda node: not node.is_variable)
    asked.clear()
    found = infer_shapes(order, {Node(None, "elsewhere"): (3,), order[300]: (4,)})
    assert [found[Entry(node, 0)] for node in order] == [(4,)] * len(order)
    assert len(asked) <= 3 * 300


def test_many_arguments_that_nothing_tells_take_one_visit_more_each():
    order = [Node(None, "x")]
    arguments = order[:]
    for number in range(300):
        other = Node(None, f"y{number}")
        order += [other, Node(Forward(), f"n{number}", (Entry(order[-1], 0), Entry(other, 0)))]
        arguments.append(other)
    asked.clear()
    found = infer_types(order, {}, dict.fromkeys(arguments, FLOAT32))
    assert set(found.values()) == {FLOAT32}
    assert len(found) == len(order)
    assert len(asked) <= 3 * 300


def test_what_follows_from_one_guess_is_no_guess():
    x, y, z = (Node(None, name) for name in "xyz")
    both = Node(Alike(("lhs", "rhs")), "both", (Entry(x, 0), Entry(y, 0)))
    found = infer_types([x, y, z, both], {}, {x: FLOAT64, y: FLOAT32, z: FLOAT32})
    assert [found[Entry(node, 0)] for node in (x, y, z)] == [FLOAT64, FLOAT64, FLOAT32]


def test_guesses_do_not_outweigh_what_is_told():
    nodes = {name: Node(None, name) for name in "xyz"}
    x, y, z = (Entry(node, 0) for node in nodes.values())
    add = Node(ELEMENTWISE["add"], "add", (x, y))
    top = Node(ELEMENTWISE["multiply"], "top", (Entry(add, 0), z))
    guesses = dict.fromkeys(nodes.values(), FLOAT32)
    found = infer_types([*nodes.values(), add, top], {nodes["y"]: FLOAT64}, guesses)
    assert [found[each] for each in (x, y, z)] == [FLOAT32, FLOAT64, FLOAT32]
    assert found[Entry(add, 0)] == found[Entry(top, 0)] == FLOAT64
