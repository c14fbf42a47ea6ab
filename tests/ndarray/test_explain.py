"""How explanations and errors call arrays."""

import re

import pytest

from actorflow import explain, nd
from actorflow.engine import Engine, Resource

NAME = r"array #\d+ \(\d+(?:x\d+)* \w+\)(?:\[\d+:\d+\])?"


@pytest.fixture
def engine():
    """An engine on which nothing runs before somebody waits."""
    with Engine(workers=0) as made:
        yield made


def first_name(text):
    found = re.match(NAME, text)
    assert found, text
    return found.group()


def test_arrays_of_one_shape_are_told_apart(engine):
    arrays = [nd.zeros((4, 5), dtype="int32") for _ in range(20)]
    names = [first_name(explain(each)) for each in arrays]
    assert len(set(names)) == 20
    assert all(name.endswith(" (4x5 int32)") for name in names)
    assert [first_name(explain(each)) for each in arrays] == names


def test_the_lines_that_write_an_array_are_named(engine):
    left, right = nd.zeros((2000,)), nd.ones((2000,))
    names = [first_name(explain(each)) for each in (left, right)]
    total = left + right
    first, second, *rest = explain(total).splitlines()
    assert re.fullmatch(NAME + " is not ready: it waits for", first)
    assert "'add', pushed at " in second
    assert ", in test_the_lines_that_write" in second
    assert second.endswith(f": waits for {names[0]}, {names[1]}, held by")
    assert len(rest) == 2
    assert all("'full', pushed at " in line for line in rest)


def test_a_view_is_a_part_of_its_array(engine):
    whole = nd.zeros((4, 5))
    name = first_name(explain(whole))
    assert first_name(explain(whole[2:])) == f"{name}[10:20]"


def test_a_name_of_the_users_own(engine):
    whole = nd.zeros((4, 5))
    whole.resource.resource.name = "weights"
    assert explain(whole).startswith("weights is not ready")
    assert explain(whole[1:2]).startswith("weights[5:10] is not ready")
    assert repr(whole.resource) == "<Block 'weights'>"


def test_what_fails_is_named_too(engine):
    table = nd.take(nd.ones((2000,)), nd.array([9999], dtype="int64"))
    with pytest.raises(IndexError):
        table.asnumpy()
    assert re.match(NAME + " is done and holds an error: IndexError", explain(table))


def test_nothing_else_is_explained():
    with pytest.raises(TypeError, match="explain: an array, an operation or a resource is needed"):
        explain("x")
    assert explain(Resource("page")) == "page is ready: nothing is in flight for it"
