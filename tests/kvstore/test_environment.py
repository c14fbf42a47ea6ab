"""Who a process is, by the variables of whoever started it."""

import attrs
import pytest
from hypothesis import given, strategies as st

from actorflow.errors import LaunchError
from actorflow.kvstore.environment import DEFAULT_PORT, Place, read, without, write

AF = {
    "AF_ROLE": "worker",
    "AF_RANK": "1",
    "AF_NUM_WORKERS": "3",
    "AF_NUM_SERVERS": "2",
    "AF_ROOT_URI": "10.0.0.1",
    "AF_ROOT_PORT": "9000",
}
DMLC = {
    "DMLC_ROLE": "worker",
    "DMLC_WORKER_ID": "1",
    "DMLC_NUM_WORKER": "3",
    "DMLC_NUM_SERVER": "2",
    "DMLC_PS_ROOT_URI": "10.0.0.1",
    "DMLC_PS_ROOT_PORT": "9000",
}
PLACE = Place(
    role="worker", rank=1, num_workers=3, num_servers=2, root_uri="10.0.0.1", root_port=9000
)
TORCHRUN = {
    "RANK": "3",
    "WORLD_SIZE": "5",
    "LOCAL_RANK": "1",
    "MASTER_ADDR": "10.0.0.1",
    "MASTER_PORT": "8999",
}
OPEN_MPI = {
    "OMPI_COMM_WORLD_RANK": "3",
    "OMPI_COMM_WORLD_SIZE": "5",
    "OMPI_COMM_WORLD_LOCAL_RANK": "1",
    "OMPI_COMM_WORLD_LOCAL_SIZE": "2",
    "PMIX_RANK": "3",
}
SLURM = {
    "SLURM_PROCID": "3",
    "SLURM_NTASKS": "5",
    "SLURM_LOCALID": "1",
    "SLURM_STEP_NUM_NODES": "2",
    "SLURM_STEP_NODELIST": "node[07-08]",
    "SLURM_LAUNCH_NODE_IPADDR": "10.0.0.9",
}
SERVERS = {"AF_NUM_SERVERS": "2"}


@st.composite
def places(draw):
    """Any place that makes sense."""
    role = draw(st.sampled_from(["worker", "server", "scheduler"]))
    workers, servers = draw(st.integers(1, 50)), draw(st.integers(1, 50))
    most = {"worker": workers, "server": servers, "scheduler": 1}[role]
    return Place(
        role=role,
        rank=draw(st.none() | st.integers(0, most - 1)),
        num_workers=workers,
        num_servers=servers,
        root_uri=draw(st.sampled_from(["127.0.0.1", "::1", "fe80::1%eth0", "node-01.cluster"])),
        root_port=draw(st.integers(1, 65535)),
        local_rank=draw(st.none() | st.integers(0, 50)),
    )


@given(places())
def test_a_place_that_is_written_is_read(place):
    assert read(write(place)) == place
    assert without(write(place)) == {}


@pytest.mark.parametrize("environ", [AF, DMLC, AF | DMLC])
def test_a_process_with_a_role(environ):
    assert read(environ) == PLACE


def test_roles_go_before_what_launchers_count():
    assert read(AF | TORCHRUN | OPEN_MPI | SLURM) == PLACE


def test_names():
    assert PLACE.name == "worker 1"
    assert attrs.evolve(PLACE, role="server", rank=None).name == "server"


@pytest.mark.parametrize(
    ("environ", "uri", "port"),
    [
        (TORCHRUN, "10.0.0.1", 9000),
        (OPEN_MPI | {"AF_ROOT_URI": "node07"}, "node07", DEFAULT_PORT),
        (OPEN_MPI | {"OMPI_COMM_WORLD_LOCAL_SIZE": "5"}, "127.0.0.1", DEFAULT_PORT),
        (SLURM, "node07", DEFAULT_PORT),
        (SLURM | {"SLURM_STEP_NODELIST": "a-b.c,d"}, "a-b.c", DEFAULT_PORT),
        (SLURM | {"SLURM_STEP_NODELIST": "r[1,3-4]x,d[2-3]"}, "r1x", DEFAULT_PORT),
        (SLURM | {"SLURM_STEP_NODELIST": ""}, "10.0.0.9", DEFAULT_PORT),
        (SLURM | {"SLURM_STEP_NUM_NODES": "1"}, "127.0.0.1", DEFAULT_PORT),
        (SLURM | {"AF_ROOT_URI": "me", "AF_ROOT_PORT": "12"}, "me", 12),
        # srun starts one torchrun or mpirun on each machine, which number the ranks of all.
        (SLURM | {"SLURM_PROCID": "0", "SLURM_NTASKS": "2"} | TORCHRUN, "10.0.0.1", 9000),
    ],
)
def test_counted_processes(environ, uri, port):
    assert read(environ | SERVERS) == attrs.evolve(
        PLACE, root_uri=uri, root_port=port, local_rank=1
    )


@given(st.integers(1, 20), st.integers(1, 20))
def test_the_first_ranks_are_servers_and_every_place_is_taken_once(servers, workers):
    size = servers + workers
    base = {"WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}
    read_places = [
        read(base | {"RANK": str(rank), "AF_NUM_SERVERS": str(servers)}) for rank in range(size)
    ]
    expected = [("server", rank) for rank in range(servers)]
    expected += [("worker", rank) for rank in range(workers)]
    assert [(place.role, place.rank) for place in read_places] == expected
    assert {(place.num_workers, place.num_servers) for place in read_places} == {(workers, servers)}


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({}, "AF_ROLE"),
        ({"AF_ROLE": "boss"}, "AF_ROLE is 'boss'"),
        (DMLC | {"DMLC_ROLE": "boss"}, "DMLC_ROLE is 'boss'"),
        (AF | {"AF_RANK": "3"}, "AF_RANK is '3'; needs a whole number from 0 to 2"),
        (AF | {"AF_RANK": "-1"}, "AF_RANK"),
        (AF | {"AF_RANK": "²"}, "AF_RANK"),
        (AF | {"AF_RANK": "9" * 5000}, "AF_RANK"),
        (DMLC | {"DMLC_WORKER_ID": "3"}, "DMLC_WORKER_ID is '3'"),
        (AF | {"AF_NUM_WORKERS": "0"}, "AF_NUM_WORKERS is '0'"),
        (AF | {"AF_NUM_SERVERS": ""}, "AF_NUM_SERVERS is not set"),
        (AF | {"AF_ROOT_URI": "tcp://10.0.0.1"}, "AF_ROOT_URI is 'tcp://10.0.0.1'"),
        (AF | {"AF_ROOT_PORT": "70000"}, "AF_ROOT_PORT is '70000'"),
        (AF | {"AF_LOCAL_RANK": "x"}, "AF_LOCAL_RANK"),
        (AF | {"DMLC_ROLE": "server"}, "AF_ROLE is 'worker' and DMLC_ROLE is 'server'"),
        (AF | {"DMLC_NUM_WORKER": "4"}, "AF_NUM_WORKERS is 3 and DMLC_NUM_WORKER is 4"),
        (AF | {"DMLC_WORKER_ID": "2"}, "AF_RANK is 1 and DMLC_WORKER_ID is 2"),
        (AF | {"DMLC_PS_ROOT_URI": "me"}, "DMLC_PS_ROOT_URI is 'me'"),
        ({"AF_RANK": "1"} | TORCHRUN | SERVERS, "AF_RANK is set, which needs AF_ROLE"),
        (TORCHRUN, "AF_NUM_SERVERS is not set"),
        (TORCHRUN | {"AF_NUM_SERVERS": "5"}, "leaves no worker"),
        (TORCHRUN | SERVERS | {"AF_NUM_WORKERS": "4"}, "AF_NUM_WORKERS is not 3"),
        (TORCHRUN | SERVERS | {"RANK": "5"}, "RANK is 5, but WORLD_SIZE is 5"),
        (TORCHRUN | SERVERS | {"MASTER_ADDR": ""}, "MASTER_ADDR is not set"),
        (TORCHRUN | SERVERS | {"MASTER_PORT": "65535"}, "MASTER_PORT is '65535'"),
        (OPEN_MPI | SERVERS, "AF_ROOT_URI is not set"),
        (OPEN_MPI | SERVERS | {"PMIX_RANK": "2"}, "PMIX_RANK is 2"),
        (OPEN_MPI | SERVERS | {"OMPI_COMM_WORLD_SIZE": ""}, "OMPI_COMM_WORLD_SIZE is not set"),
        (SLURM | SERVERS | {"SLURM_STEP_NODELIST": "a[1-"}, r"SLURM_STEP_NODELIST is 'a\[1-'"),
        (SLURM | SERVERS | {"SLURM_NTASKS": ""}, "SLURM_NTASKS is not set"),
    ],
)
def test_nonsense_is_refused(environ, named):
    with pytest.raises(LaunchError, match=named):
        read(environ)


NAMES = sorted({*AF, *DMLC, *TORCHRUN, *OPEN_MPI, *SLURM, "AF_LOCAL_RANK", "DMLC_SERVER_ID"})
WORDS = st.sampled_from(["", "0", "1", "2", "5", "worker", "server", "node[1-2]", "-", "a b"])


@given(st.dictionaries(st.sampled_from(NAMES), WORDS | st.text("019a -[²", max_size=5)))
def test_whatever_is_set_gives_a_place_that_makes_sense_or_the_error(environ):
    try:
        place = read(environ)
    except LaunchError:
        return
    assert read(write(place)) == place
