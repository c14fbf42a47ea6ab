"""Which operators become one."""

import numpy as np
import pytest

from actorflow import sym
from actorflow.graph import Ordered, infer_shapes, infer_types, optimise, plan_memory, topological
from actorflow.ops import Constant, Fused
from actorflow.symbol import Group, Variable


@pytest.fixture(autouse=True, scope="module")
def _small_arrays():
    """Fuse small arrays, too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("actorflow.graph.fuse.LEAST", 1)
        yield


def graph(symbol, shape=(100,), stages=None, *, fuse=True, **shapes_of):
    """The operators of a graph after all passes, and the bytes of its plan."""
    heads = list(symbol._entries)
    order = topological(heads)
    free = {n: shapes_of.get(n.name, shape) for n in order if n.is_variable}
    shapes = infer_shapes(order, free)
    types = infer_types(order, dict.fromkeys(free, np.dtype("float32")))
    found = optimise(Ordered.of(heads, stages or [len(heads)]), shapes, types, fuse=fuse)
    order = found.order
    itemsizes = {entry: dtype.itemsize for entry, dtype in types.items()}
    plan = plan_memory(order, shapes, itemsizes, set(found.heads))
    return [n for n in order if not isinstance(n.operator, Constant | None)], plan.total


def steps(node):
    return [step.operator.name for step in node.operator.steps]


def test_a_group_is_connected_by_values_that_are_taken_inside_alone():
    x, y = Variable("x"), Variable("y")
    shared = sym.exp(x, name="e")
    (node,), total = graph(sym.tanh(shared * y) + shared)
    assert steps(node) == ["exp", "multiply", "tanh", "add"]
    assert total == 0
    assert node.name.startswith("e+")


def test_small_arrays_are_not_worth_it(monkeypatch):
    monkeypatch.setattr("actorflow.graph.fuse.LEAST", 100)
    pair = sym.tanh(sym.exp(Variable("x")))
    assert [node.operator.name for node in graph(pair, (99,))[0]] == ["exp", "tanh"]
    assert [node.operator.name for node in graph(pair, (10, 10))[0]] == ["fused"]


def test_what_is_in_two_groups_or_in_none_is_an_output():
    x = Variable("x")
    shared = sym.exp(x)
    nodes, _ = graph(Group([sym.tanh(shared), sym.sin(shared)]))
    assert [node.operator.name for node in nodes] == ["exp", "tanh", "sin"]
    nodes, _ = graph(sym.exp(sym.sum(shared * 2.0)) * shared)
    assert [node.operator.name for node in nodes] == ["exp", "multiply", "sum", "exp", "multiply"]


def test_a_head_inside_is_one_more_output():
    x = Variable("x")
    inner = sym.exp(x)
    (node,), _ = graph(Group([inner, sym.tanh(inner)]))
    assert steps(node) == ["exp", "tanh"]
    assert node.operator.outputs == ("output0", "output1")


def test_no_way_leads_out_of_a_group_and_back():
    x = Variable("x")
    a = sym.exp(x)
    b = sym.broadcast_like(sym.sum(a), x)
    nodes, _ = graph(sym.tanh(a) + b)
    assert [node.operator.name for node in nodes] == ["exp", "sum", "fused"]
    assert sorted(steps(nodes[-1])) == ["add", "broadcast_like", "tanh"]


@pytest.mark.parametrize("late", [False, True])
def test_groups_do_not_cross_stages(late):
    x = Variable("x")
    first = sym.exp(x * 2.0)
    second = sym.tanh(first + 1.0) if late else sym.tanh(sym.sin(x) + 1.0)
    nodes, _ = graph(Group([first, second]), stages=[1, 1])
    assert [steps(node) for node in nodes] == [
        ["multiply", "exp"],
        ["add", "tanh"] if late else ["sin", "add", "tanh"],
    ]


def test_what_a_later_stage_takes_is_an_output_of_its_own_stage():
    x = Variable("x")
    inner = sym.exp(x)
    nodes, _ = graph(Group([sym.tanh(inner), sym.sin(inner)]), stages=[1, 1])
    assert steps(nodes[0]) == ["exp", "tanh"]
    assert len(nodes[0].operator.outputs) == 2
    assert nodes[1].inputs[0] == nodes[0].entries()[0]


def test_places_of_ctx_group_are_kept_apart():
    with sym.AttrScope(ctx_group="one"):
        inner = sym.exp(Variable("x")) * 2.0
    with sym.AttrScope(ctx_group="two"):
        outer = sym.tanh(inner) + 1.0
    nodes, _ = graph(outer)
    assert [steps(node) for node in nodes] == [["exp", "multiply"], ["tanh", "add"]]
    assert [node.attributes["ctx_group"] for node in nodes] == ["one", "two"]
    with sym.AttrScope(ctx_group="one"):
        layer = sym.FullyConnected(Variable("x"), num_hidden=3)
    with sym.AttrScope(ctx_group="two"):
        nodes, _ = graph(sym.tanh(layer), (4, 5), **shapes_of(layer, x=(4, 5)))
    assert [node.operator.name for node in nodes] == ["FullyConnected", "tanh"]


def shapes_of(symbol, **known):
    shapes, _, _ = symbol.infer_shape(**known)
    return dict(zip(symbol.list_arguments(), shapes, strict=True))


def test_other_shapes_part_groups_but_single_elements_do_not():
    x, y, one = Variable("x"), Variable("y"), Variable("one")
    nodes, _ = graph(sym.exp(x * one) + 1.0, one=(1,))
    assert [len(steps(node)) for node in nodes] == [3]
    nodes, _ = graph(sym.exp(x) + sym.tanh(y), (3, 4), y=(1, 4))
    assert [node.operator.name for node in nodes] == ["exp", "tanh", "add"]


def test_a_large_chain_needs_no_memory_between():
    chain = Variable("x")
    for _ in range(30):
        chain = sym.square(chain) * 0.5 + Variable("y")
    nodes, total = graph(chain, (1 << 20,))
    _, before = graph(chain, (1 << 20,), fuse=False)
    assert before == 4 << 20
    assert total == before  # between two groups; one has at most 64 operators
    assert [len(steps(node)) for node in nodes] == [26, 64]
    tree = Variable("x") * 1.5 + Variable("y") * 2.5
    assert graph(tree, (1 << 20,))[1] == 0
    assert graph(tree, (1 << 20,), fuse=False)[1] == 8 << 20


def test_a_sum_of_many_products_does_not_wait_for_all_of_them():
    x = Variable("x")
    total = sym.dot(x, x, transpose_a=True)
    for number in range(20):
        total = total + sym.dot(x * (number + 2.0), x, transpose_a=True)
    _, plain = graph(total, (50, 50), fuse=False)
    nodes, fused = graph(total, (50, 50))
    assert fused <= 2 * plain
    assert any(isinstance(node.operator, Fused) for node in nodes)


def test_a_long_chain_is_compiled_into_groups():
    chain = Variable("x")
    for _ in range(1000):
        chain = sym.tanh(chain)
    nodes, _ = graph(chain)
    assert sum(len(steps(node)) for node in nodes) == 1000
    assert len(nodes) == 16
    assert nodes[0].name.count("+") == 4
