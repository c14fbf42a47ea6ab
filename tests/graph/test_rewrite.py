"""Rules that look at one node at a time, by themselves and in one walk."""

import numpy as np

from actorflow import sym
from actorflow.graph import Entry, Node, Ordered, infer_shapes, infer_types, optimise, topological
from actorflow.graph.fold import dropping_neutral, folding
from actorflow.graph.node import first_of, rebuild
from actorflow.graph.rewrite import own_heads, sharing
from actorflow.ops import ELEMENTWISE, Constant, WithScalar
from actorflow.symbol import Group, Variable
from tests.graph._passes import drop_identities, share_common


def known(symbol, shape=(2, 3)):
    heads = list(symbol._entries)
    order = topological(heads)
    free = [node for node in order if node.is_variable]
    shapes = infer_shapes(order, dict.fromkeys(free, shape))
    types = infer_types(order, dict.fromkeys(free, np.dtype("float32")))
    return heads, shapes, types


def names(heads):
    return [node.name for node in topological(heads)]


def test_a_graph_in_order_says_in_which_stage_each_node_runs():
    x = Variable("x")
    first = sym.exp(x, name="first")
    second = sym.tanh(first, name="second")
    late = sym.sin(Variable("y"), name="late")
    graph = Ordered.of(Group([second, first, late * first])._entries, [1, 0, 2])
    assert [node.name for node in graph.order[:5]] == ["x", "first", "second", "y", "late"]
    assert graph.order == tuple(topological(graph.heads))
    assert graph.ends == (3, 3, 6)
    assert list(graph.stage_of().values()) == [0, 0, 0, 2, 2, 2]
    assert list(graph.stage_of()) == list(graph.order)


def test_the_same_is_computed_once():
    x = Variable("x")
    twice = Group([sym.tanh(x * 2.0, name="one"), sym.tanh(x * 2.0, name="other")])
    heads = share_common(*known(twice))
    assert heads[0] == heads[1]
    assert len(names(heads)) == 3


def test_what_draws_is_not_the_same():
    x = Variable("x")
    heads = share_common(*known(Group([sym.Dropout(x), sym.Dropout(x)])))
    assert heads[0] != heads[1]


def test_a_rule_is_asked_once_about_what_is_shared():
    x = Variable("x")
    heads, shapes, types = known(Group([sym.exp(x, name="one"), sym.exp(x, name="other")]))
    asked = []

    def inner(node, inputs):
        asked.append(node.name)
        return inputs if node.operator is ELEMENTWISE["exp"] else None

    assert [head.node.name for head in rebuild(heads, sharing(inner), shapes, types)] == ["x", "x"]
    assert asked == ["one"]


def test_the_first_rule_that_says_something_counts():
    x = Entry(Node(None, "x"), 0)
    node = Node(ELEMENTWISE["exp"], "exp", (x,))
    asked = []

    def silent(node, inputs):
        asked.append("silent")

    def loud(node, inputs):
        return inputs

    def never(node, inputs):
        raise AssertionError

    assert first_of(silent, loud, never)(node, (x,)) == (x,)
    assert first_of(silent)(node, (x,)) is None
    assert asked == ["silent", "silent"]


def test_reshaping_to_the_same_shape_is_left_out():
    heads, shapes, types = known(sym.exp(sym.reshape(Variable("x"), shape=(2, 3)), name="e"))
    assert names(drop_identities(heads, shapes, types)) == ["x", "e"]
    heads, shapes, types = known(sym.exp(sym.reshape(Variable("x"), shape=(3, 2)), name="e"))
    assert len(names(drop_identities(heads, shapes, types))) == 3


def test_rules_see_what_the_others_did_in_one_walk():
    # The two sums are the same because x * 1 is x, and the constant divided by 1 is the constant.
    x = Variable("x")
    one = sym.exp(x * 1.0 + sym.full((2, 3), 2.0))
    other = sym.exp(x + sym.full((2, 3), 2.0) / 1.0)
    heads, shapes, types = known(Group([one - other]))
    order = topological(heads)
    rules = (dropping_neutral(shapes, types), sharing(folding(order, shapes, types)))
    heads = rebuild(heads, first_of(*rules), shapes, types, order)
    assert [n.operator.name for n in topological(heads) if n.operator].count("exp") == 1
    graph = optimise(Ordered.of(heads, [1]), shapes, types)
    assert all(entry in shapes and entry in types for n in graph.order for entry in n.entries())
    assert sum(isinstance(node.operator, Constant) for node in graph.order) == 1


def test_heads_have_memory_of_their_own():
    x = Variable("x")
    first = sym.exp(x, name="first")
    flat = sym.reshape(first, shape=(6,), name="flat")
    own = sym.tanh(first, name="own")
    heads, shapes, types = known(Group([first, first, x, flat, own, first]))
    graph = own_heads(Ordered.of(heads, [5, 1]), shapes, types)
    found = [head.node.name for head in graph.heads]
    assert found == ["first", "first_output_copy", "x_copy", "flat_output_copy", "own", found[5]]
    assert found[5] == "first_output_copy"
    assert graph.heads[1] != graph.heads[5]
    assert [shapes[head] for head in graph.heads[2:4]] == [(2, 3), (6,)]
    assert set(graph.heads) <= {entry for node in graph.order for entry in node.entries()}
    heads, shapes, types = known(own)
    graph = Ordered.of(heads, [1])
    assert own_heads(graph, shapes, types) is graph


def test_numbers_that_are_equal_but_not_the_same_are_told_apart():
    multiply = ELEMENTWISE["multiply"]
    same = WithScalar(multiply, 0.1), WithScalar(multiply, 0.1)
    assert same[0] == same[1]
    assert hash(same[0]) == hash(same[1])
    for one, other in ((1, 1.0), (0.0, -0.0), (1, np.float32(1)), (True, 1)):
        assert len({WithScalar(multiply, one), WithScalar(multiply, other)}) == 2
    nan = WithScalar(multiply, float("nan")), WithScalar(multiply, float("nan"))
    assert nan[0] == nan[1]
    assert hash(nan[0]) == hash(nan[1])
