"""Keys on servers: each element once, balanced, and the same everywhere."""

import subprocess
import sys
from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from actorflow.errors import MembershipError, ParameterError
from actorflow.kvstore.partition import ALIGN, BIG, Part, Partition, batches

KEYS = st.one_of(st.integers(-(2**40), 2**40), st.text(max_size=20))


@pytest.mark.slow
@given(KEYS, st.integers(0, 20_000), st.integers(1, 9), st.integers(1, 5_000))
def test_each_element_is_on_one_server(key, size, servers, bound):
    parts = Partition(servers, bound).parts(key, size)
    assert [part.start for part in parts] == [0, *(part.stop for part in parts[:-1])]
    assert parts[-1].stop == size
    assert all(part.start % ALIGN == 0 and 0 <= part.server < servers for part in parts)
    assert len({part.server for part in parts}) == len(parts)
    if size < bound:
        assert parts == [Part(Partition(servers).home(key), 0, size)]
    elif len(parts) == servers:
        sizes = [part.size for part in parts]
        assert max(sizes) - min(sizes) <= ALIGN
    else:
        assert size < servers * ALIGN or servers == 1


def test_the_bound_is_mxnets():
    assert len(Partition(2).parts("w", BIG)) == 2
    assert len(Partition(2).parts("w", BIG - 1)) == 1


def test_small_keys_are_balanced():
    for servers in (2, 3, 5):
        where = [Partition(servers).home(key) for key in range(servers * 100)]
        assert {where.count(server) for server in range(servers)} == {100}
        where = [Partition(servers).home(f"layer{key}_weight") for key in range(1000)]
        assert min(where.count(server) for server in range(servers)) > 0.8 * 1000 / servers


@pytest.mark.slow
def test_another_process_finds_the_same():
    """Strings too, whose hash is another one in each process."""
    program = (
        "from actorflow.kvstore.partition import Partition\n"
        "print([Partition(7).home(k) for k in ['w', 'ä', '', 3, -3, 'fc1_weight']])"
    )
    run = [sys.executable, "-c", program]
    printed = {subprocess.check_output(run, text=True) for _ in range(2)}  # noqa: S603
    here = [Partition(7).home(k) for k in ["w", "ä", "", 3, -3, "fc1_weight"]]
    assert printed == {f"{here}\n"}


@given(st.lists(st.tuples(KEYS, st.integers(0, 100))), st.integers(1, 150))
def test_batches_keep_the_order_and_the_limit(keys, limit):
    found = batches(keys, limit)
    assert [key for batch in found for key in batch] == [key for key, _ in keys]
    sizes = iter(size for _, size in keys)
    totals = [[next(sizes) for _ in batch] for batch in found]
    assert all(sum(total) <= limit or len(total) == 1 for total in totals)
    assert all(sum(a) + b[0] > limit for a, b in pairwise(totals))


def test_who_serves_when_servers_die():
    ring = Partition(3)
    assert [ring.replica(server) for server in range(3)] == [1, 2, 0]
    assert ring.serving(2, {0, 1, 2}) == 2
    assert ring.serving(2, {0, 1}, copies=1) == 0
    assert ring.serving(2, {1}, copies=2) == 1
    with pytest.raises(MembershipError, match=r"server 2 does not live.*needs one of \[2, 0\]"):
        ring.serving(2, {1}, copies=1)
    with pytest.raises(ParameterError, match="needs two"):
        Partition(1).replica(0)


@pytest.mark.parametrize(
    "call",
    [
        lambda: Partition(0),
        lambda: Partition(1, 0),
        lambda: Partition(1).parts("w", -1),
        lambda: Partition(2).replica(2),
        lambda: Partition(2).serving(-1, {0}),
        lambda: batches([], 0),
    ],
)
def test_what_cannot_be_is_refused(call):
    with pytest.raises(ParameterError):
        call()
