"""Which process of a run this one is, by the variables that whoever started it has set. No I/O.

`AF_ROLE` and its like say it, or MXNet's `DMLC_ROLE`; the two may be mixed and must not contradict
each other. Where neither names a role, the launchers of clusters count their
processes: torchrun, Open MPI, Slurm, looked for in this order, the inner one first, since torchrun
and mpirun run inside a job of Slurm and not the other way round. Of what they count, the first
`AF_NUM_SERVERS` ranks are servers, and the others are workers from 0 on.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, TypeVar, cast

import attrs

from actorflow.errors import LaunchError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["DEFAULT_PORT", "Place", "Role", "read", "without", "write"]

T = TypeVar("T")
Role: TypeAlias = Literal["worker", "server", "scheduler"]

DEFAULT_PORT: Final = 9091  # what MXNet's tracker begins with
_LOOPBACK: Final = "127.0.0.1"
_ROLES: Final = ("worker", "server", "scheduler")
_COUNT_MAX: Final = 1_000_000
_PORT_MAX: Final = 65535

_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "role": ("AF_ROLE", "DMLC_ROLE"),
    "rank": ("AF_RANK",),
    "num_workers": ("AF_NUM_WORKERS", "DMLC_NUM_WORKER"),
    "num_servers": ("AF_NUM_SERVERS", "DMLC_NUM_SERVER"),
    "root_uri": ("AF_ROOT_URI", "DMLC_PS_ROOT_URI"),
    "root_port": ("AF_ROOT_PORT", "DMLC_PS_ROOT_PORT"),
    "local_rank": ("AF_LOCAL_RANK",),
}
_RANK_OF_ROLE: Final = {"worker": "DMLC_WORKER_ID", "server": "DMLC_SERVER_ID"}


@attrs.frozen(kw_only=True)
class Place:
    """One process's place in a run.

    Attributes:
      role: what it does. Schedulers are MXNet's; here server 0 does what they did.
      rank: its number among those of its role, from 0; None if the run is to give it one.
      num_workers: how many workers the run has, 1 at least.
      num_servers: how many servers the run has, 1 at least.
      root_uri: the host name or address where all meet: that of server 0, or of the scheduler.
      root_port: the TCP port there.
      local_rank: its number on its machine, from 0, as whoever started it counts; None if that
        was not said. `actorflow launch` counts each role by itself, other launchers all processes.
    """

    role: Role
    rank: int | None
    num_workers: int
    num_servers: int
    root_uri: str
    root_port: int
    local_rank: int | None = None

    @property
    def name(self) -> str:
        """For people: `worker 0`, or `worker` without a rank."""
        return self.role if self.rank is None else f"{self.role} {self.rank}"


def read(environ: Mapping[str, str]) -> Place:
    """This process's place in its run.

    Args:
      environ: the variables, as in `os.environ`.

    Raises:
      LaunchError: it is not part of a run, a variable is missing, has no sense, or contradicts
        another one. The message names the variables.
    """
    given = _Given(environ)
    role = given.text("role")
    if role is not None:
        return _by_role(given, role)
    for name in (*_NAMES["rank"], *_NAMES["local_rank"], *_RANK_OF_ROLE.values()):
        if given.raw(name) is not None:
            raise LaunchError(f"{name} is set, which needs AF_ROLE")
    for launcher in (_torchrun, _open_mpi, _slurm):
        counted = launcher(given)
        if counted is not None:
            return _by_count(given, counted)
    raise LaunchError(
        "this process is not part of a run: no AF_ROLE, and nothing of torchrun, Open MPI or "
        "Slurm; `actorflow launch -n 2 -s 1 -- python train.py` starts one"
    )


def write(place: Place) -> dict[str, str]:
    """The variables by which a process that gets them reads this place."""
    fields = attrs.asdict(place)
    return {
        names[0]: str(fields[field]) for field, names in _NAMES.items() if fields[field] is not None
    }


def without(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that say nothing of a place by role: for those who get another place."""
    ours = {name for names in _NAMES.values() for name in names} | set(_RANK_OF_ROLE.values())
    return {name: value for name, value in environ.items() if name not in ours}


@attrs.frozen
class _Given:
    """The variables, read and checked one by one. An empty one counts as not set."""

    environ: Mapping[str, str]

    def raw(self, name: str) -> str | None:
        return self.environ.get(name, "").strip() or None

    def need(self, name: str, why: str) -> str:
        value = self.raw(name)
        if value is None:
            raise LaunchError(f"{name} is not set; {why} needs it")
        return value

    def number(self, name: str, least: int = 0, most: int = _COUNT_MAX) -> int | None:
        value = self.raw(name)
        if value is None:
            return None
        if not (value.isascii() and value.isdecimal()) or not least <= int(value[:20]) <= most:
            raise LaunchError(f"{name} is {value!r}; needs a whole number from {least} to {most}")
        return int(value)

    def text(self, field: str, *more: str) -> str | None:
        """The value of a field by its first name that is set; all that are set must agree."""
        said = {name: self.raw(name) for name in (*_NAMES[field], *more)}
        found = {name: value for name, value in said.items() if value is not None}
        if len(set(found.values())) > 1:
            raise _contradiction(found)
        return next(iter(found.values()), None)

    def count(self, field: str, least: int, most: int, *more: str) -> int | None:
        """The same for a number."""
        found = {}
        for name in (*_NAMES[field], *more):
            value = self.number(name, least, most)
            if value is not None:
                found[name] = value
        if len(set(found.values())) > 1:
            raise _contradiction(found)
        return next(iter(found.values()), None)

    def uri(self) -> str | None:
        """The root's host, which is no URL whatever the variable's name says."""
        value = self.text("root_uri")
        if value is not None and not re.fullmatch(r"[\w.:%-]+", value, re.ASCII):
            name = next(name for name in _NAMES["root_uri"] if self.raw(name))
            raise LaunchError(f"{name} is {value!r}; needs a host name or an address")
        return value

    def port(self) -> int | None:
        return self.count("root_port", 1, _PORT_MAX)


@attrs.frozen
class _Counted:
    """What a launcher that knows of no roles has said.

    `root_uri` is None if that launcher does not tell where its first rank is.
    """

    rank_name: str
    rank: int
    size_name: str
    size: int
    local_rank: int | None
    root_uri: str | None
    root_port: int


def _by_role(given: _Given, role: str) -> Place:
    """The place of a process that was told its role."""
    if role not in _ROLES:
        name = next(name for name in _NAMES["role"] if given.raw(name))
        raise LaunchError(f"{name} is {role!r}; needs one of {', '.join(_ROLES)}")
    num_workers = _need("num_workers", given.count("num_workers", 1, _COUNT_MAX))
    num_servers = _need("num_servers", given.count("num_servers", 1, _COUNT_MAX))
    most = {"worker": num_workers, "server": num_servers, "scheduler": 1}[role] - 1
    dmlc = _RANK_OF_ROLE.get(role)
    return Place(
        role=cast("Role", role),
        rank=given.count("rank", 0, most, *([dmlc] if dmlc else [])),
        num_workers=num_workers,
        num_servers=num_servers,
        root_uri=_need("root_uri", given.uri()),
        root_port=_need("root_port", given.port()),
        local_rank=given.count("local_rank", 0, _COUNT_MAX),
    )


def _by_count(given: _Given, counted: _Counted) -> Place:
    """The place of a process that was only counted: the first ranks are servers."""
    num_servers = given.count("num_servers", 1, _COUNT_MAX)
    if num_servers is None:
        raise LaunchError(
            f"AF_NUM_SERVERS is not set; of the {counted.size} processes by {counted.size_name} "
            "it says how many, the first ones, are servers"
        )
    num_workers = counted.size - num_servers
    if num_workers < 1:
        raise LaunchError(
            f"AF_NUM_SERVERS is {num_servers} of {counted.size} processes by {counted.size_name}, "
            "which leaves no worker"
        )
    if given.count("num_workers", 1, _COUNT_MAX) not in {None, num_workers}:
        raise LaunchError(
            f"AF_NUM_WORKERS is not {num_workers}, what {num_servers} servers leave of the "
            f"{counted.size} processes by {counted.size_name}"
        )
    root_uri = given.uri() or counted.root_uri
    if root_uri is None:
        raise LaunchError(
            f"AF_ROOT_URI is not set; {counted.rank_name} does not say on which machine rank 0 is"
        )
    server = counted.rank < num_servers
    return Place(
        role="server" if server else "worker",
        rank=counted.rank if server else counted.rank - num_servers,
        num_workers=num_workers,
        num_servers=num_servers,
        root_uri=root_uri,
        root_port=given.port() or counted.root_port,
        local_rank=counted.local_rank,
    )


def _torchrun(given: _Given) -> _Counted | None:
    """What torchrun says; its own store listens at MASTER_PORT, so the next port is ours."""
    if given.raw("RANK") is None or given.raw("WORLD_SIZE") is None:
        return None
    address = given.need("MASTER_ADDR", "RANK of torchrun")
    given.need("MASTER_PORT", "RANK of torchrun")
    port = given.number("MASTER_PORT", 1, _PORT_MAX - 1) or 0
    rank, size = _rank_of(given, "RANK", "WORLD_SIZE")
    local_rank = given.number("LOCAL_RANK")
    return _Counted("RANK", rank, "WORLD_SIZE", size, local_rank, address, port + 1)


def _open_mpi(given: _Given) -> _Counted | None:
    """What mpirun says: nothing of machines, unless all processes are on this one."""
    rank_name, size_name = "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"
    if given.raw(rank_name) is None:
        return None
    rank, size = _rank_of(given, rank_name, size_name)
    if given.number("PMIX_RANK") not in {None, rank}:
        raise _contradiction({rank_name: rank, "PMIX_RANK": given.number("PMIX_RANK")})
    local_rank = given.number("OMPI_COMM_WORLD_LOCAL_RANK")
    here = given.number("OMPI_COMM_WORLD_LOCAL_SIZE") == size
    root = _LOOPBACK if here else None
    return _Counted(rank_name, rank, size_name, size, local_rank, root, DEFAULT_PORT)


def _slurm(given: _Given) -> _Counted | None:
    """What srun says: its first rank is on the first machine of the step."""
    rank_name, size_name = "SLURM_PROCID", "SLURM_NTASKS"
    if given.raw(rank_name) is None:
        return None
    rank, size = _rank_of(given, rank_name, size_name)
    if given.number("PMIX_RANK") not in {None, rank}:
        raise _contradiction({rank_name: rank, "PMIX_RANK": given.number("PMIX_RANK")})
    nodes = given.raw("SLURM_STEP_NODELIST")
    if given.number("SLURM_STEP_NUM_NODES", 1) == 1:
        root: str | None = _LOOPBACK
    elif nodes is not None:
        root = _first_node(nodes)
    else:
        root = given.raw("SLURM_LAUNCH_NODE_IPADDR")  # the first one, where sbatch runs srun
    local_rank = given.number("SLURM_LOCALID")
    return _Counted(rank_name, rank, size_name, size, local_rank, root, DEFAULT_PORT)


def _first_node(nodes: str) -> str:
    """The first of Slurm's list of machines: `a[07-09,11],b` begins with a07."""
    match = re.match(r"([\w.-]+)(?:\[(\w+)[\w,-]*\]([\w.-]*))?(?:,|$)", nodes, re.ASCII)
    if match is None:
        raise LaunchError(f"SLURM_STEP_NODELIST is {nodes!r}; needs names like node[01-03],other")
    return "".join(part or "" for part in match.groups())


def _rank_of(given: _Given, rank_name: str, size_name: str) -> tuple[int, int]:
    given.need(size_name, rank_name)
    size = given.number(size_name, 1) or 1
    rank = given.number(rank_name, 0)
    if rank is None or rank >= size:
        raise LaunchError(f"{rank_name} is {rank}, but {size_name} is {size}; needs a smaller rank")
    return rank, size


def _contradiction(found: Mapping[str, object]) -> LaunchError:
    said = " and ".join(f"{name} is {value!r}" for name, value in found.items())
    return LaunchError(f"{said}, which contradict each other")


def _need(field: str, value: T | None) -> T:
    if value is None:
        names = _NAMES[field]
        raise LaunchError(f"{names[0]} is not set (nor {' or '.join(names[1:])}); AF_ROLE needs it")
    return value
