"""Groups spread over a graph, and copies are where contexts change."""

import pytest

import actorflow as af
from actorflow import nd, sym
from actorflow.errors import ContextError
from actorflow.graph import cut_segments, insert_copies, spread_groups, topological

PLACES = {"": "host", "a": "A", "b": "B"}


def tanh(x, name, group=None):
    with sym.AttrScope(**({"ctx_group": group} if group else {})):
        return sym.tanh(x, name=name)


def placed(net):
    """Where each node is, and which copies there are."""
    heads, variables = spread_groups(net._entries, PLACES)
    names = {node: PLACES[group] for node, group in variables.items()}
    entries = [entry for node in topological(heads) for entry in node.entries()]
    notes = dict.fromkeys(entries, 1)
    targets = [PLACES[head.node.attributes["ctx_group"]] for head in heads]
    heads, where = insert_copies(heads, targets, PLACES, names, "host", notes, dict(notes))
    order = topological(heads)
    assert all(entry in notes for node in order for entry in node.entries())
    return {node.name: where[node] for node in order}, heads


def test_what_has_no_group_goes_with_its_inputs_and_then_with_its_users():
    x, y, z = (sym.Variable(name) for name in "xyz")
    one = tanh(x, "one")
    two = tanh(one, "two", "a")
    three = tanh(two, "three")
    other = tanh(z, "other", "unknown")
    where, _ = placed(sym.Group([three, tanh(y, "four", "b"), other]))
    assert where == {
        **dict.fromkeys(["x", "one", "two", "three"], "A"),
        **dict.fromkeys(["y", "four"], "B"),
        **dict.fromkeys(["z", "other"], "host"),
    }


def test_one_copy_for_each_value_and_context():
    x = tanh(sym.Variable("x"), "one", "a")
    net = tanh(x, "two", "b") + tanh(x, "three", "b")
    where, heads = placed(tanh(net, "four", "a"))
    copies = [name for name in where if name.endswith("copynode")]
    assert len(copies) == 2
    assert where["one_0_copynode"] == "B"
    order = [node for node in topological(heads) if node.operator is not None]
    contexts = {node: where[node.name] for node in order}
    segments = cut_segments(order, [len(order)], set(heads), lambda _: 1, contexts, "host", 1e9)
    for segment in segments:
        assert len({where[node.name] for node in segment.nodes}) == 1
        assert len(segment.nodes) == 1 or "copynode" not in "".join(n.name for n in segment.nodes)
    assert [node.name for segment in segments for node in segment.nodes] == [n.name for n in order]


def test_both_spellings_of_the_attribute():
    net = sym.tanh(sym.Variable("x"), name="one")
    net._set_attr(__ctx_group__="a")
    assert placed(net)[0]["one"] == "A"


def test_states_are_where_they_are_updated():
    with sym.AttrScope(ctx_group="a"):
        mean = sym.Variable("mean")
    with sym.AttrScope(ctx_group="b"):
        net = sym.BatchNorm(sym.Variable("x"), moving_mean=mean, name="norm")
    with pytest.raises(ContextError, match=r"mean: by its group it is in A, but 'norm'.* in B"):
        placed(net)


def test_arrays_have_to_be_where_their_group_is():
    x = tanh(sym.Variable("x"), "one", "a")
    net = sym.FullyConnected(x, num_hidden=2, name="fc", attr={"ctx_group": "b"})
    groups = {"a": af.cpu(0), "b": af.cpu(1)}
    good = {"x": nd.ones((1, 3)), "fc_weight": nd.ones((2, 3), af.cpu(1))}
    good["fc_bias"] = nd.ones((2,), af.cpu(1))
    executor = net.bind(af.cpu(0), good, group2ctx=groups)
    assert executor.forward()[0].context == af.cpu(1)
    wrong = {**good, "fc_bias": nd.ones((2,))}
    expected = r"fc_bias is in cpu\(0\), but its group 'b' is to be in cpu\(1\)"
    with pytest.raises(ContextError, match=expected):
        net.bind(af.cpu(0), wrong, group2ctx=groups)
    with pytest.raises(ContextError, match=r"x is in cpu\(1\), but its group 'a'"):
        net.bind(af.cpu(0), {**good, "x": nd.ones((1, 3), af.cpu(1))}, group2ctx=groups)
    with pytest.raises(TypeError, match=r"group2ctx\['a'\]: ctx needs to be a Context"):
        net.simple_bind(af.cpu(0), group2ctx={"a": "cpu(1)"}, x=(1, 3))
    with pytest.raises(TypeError, match="gives no context for 'a'"):
        net.simple_bind(af.cpu(0), group2ctx={"a": None}, x=(1, 3))


def test_a_weight_that_two_groups_use():
    weight = sym.Variable("w", attr={"ctx_group": "a"})
    x = sym.Variable("x")
    for group in ("a", "b"):
        with sym.AttrScope(ctx_group=group):
            x = sym.FullyConnected(x, weight, num_hidden=3, no_bias=True, name=f"fc_{group}")
    executor = x.simple_bind(x=(2, 3), group2ctx={"a": af.cpu(0), "b": af.cpu(1)})
    plain = x.simple_bind(x=(2, 3))
    for each in (executor, plain):
        each.arg_dict["w"][:] = nd.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]])
        each.forward(is_train=True, x=nd.ones((2, 3)))
        each.backward(nd.ones((2, 3)))  # from another context than the output's
    for name in ("w", "x"):
        found, wanted = (each.grad_dict[name].asnumpy() for each in (executor, plain))
        assert (found == wanted).all()
    assert executor.grad_dict["w"].context == af.cpu(0)
    half = x.get_internals()["fc_a_output"]
    features = half.simple_bind(x=(2, 3), group2ctx={"a": af.cpu(1), "b": af.cpu(0)})
    assert features.forward()[0].context == af.cpu(1)
