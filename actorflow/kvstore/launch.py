"""What to start for a run, and how: here, over ssh, or by a cluster's own launcher.

This file decides; `supervisor.py` runs what is decided. A run has servers, of which server 0 is
where all meet, and workers. Every process reads its place by `environment.read`.
"""

from __future__ import annotations

import re
import shlex
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs

from actorflow.errors import LaunchError
from actorflow.kvstore import guard
from actorflow.kvstore.environment import DEFAULT_PORT, Place, Role, without, write
from actorflow.kvstore.supervisor import GRACE, Process

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = [
    "SERVE",
    "Host",
    "Run",
    "free_port",
    "local",
    "mpi",
    "rank",
    "read_hosts",
    "slurm",
    "ssh",
    "torchrun",
]

SERVE: Final = (sys.executable, "-m", "actorflow", "serve")  # what servers run

_LOOPBACK: Final = "127.0.0.1"
_LINE: Final = re.compile(r"(?P<host>[^\s#=]+)(?:\s+slots\s*=\s*(?P<slots>\d+))?\s*(?:#.*)?")


@attrs.frozen
class Host:
    """A machine of a host file: what ssh calls it, and how many workers it takes."""

    name: str
    slots: int

    @property
    def address(self) -> str:
        """The name without a user's."""
        return self.name.rpartition("@")[2]


@attrs.frozen(kw_only=True)
class Run:
    """What to start.

    Attributes:
      command: what workers run.
      num_workers: how many of them, 1 at least.
      num_servers: how many servers, 1 at least.
      server_command: what servers run.
      root_port: the TCP port of server 0; None for the launcher's choice.
      root_uri: the host name or address of server 0; None for the launcher's choice.
      grace: seconds between SIGTERM and SIGKILL for those that are ended.
      environ: the variables that all get.
    """

    command: tuple[str, ...]
    num_workers: int
    num_servers: int = 1
    server_command: tuple[str, ...] = SERVE
    root_port: int | None = None
    root_uri: str | None = None
    grace: float = GRACE
    environ: Mapping[str, str]

    def __attrs_post_init__(self) -> None:
        for name in ("num_workers", "num_servers"):
            if getattr(self, name) < 1:
                raise LaunchError(f"launch: {name} is {getattr(self, name)}; needs 1 at least")
        if not self.command or not self.server_command:
            raise LaunchError("launch: nothing to run; say what workers run behind `--`")

    @property
    def size(self) -> int:
        """How many processes it has."""
        return self.num_workers + self.num_servers

    def places(self, uri: str, port: int) -> Iterator[Place]:
        """The place of every process, servers first; none has a local rank yet."""
        counts: tuple[tuple[Role, int], ...]
        counts = (("server", self.num_servers), ("worker", self.num_workers))
        for role, count in counts:
            for number in range(count):
                yield Place(
                    role=role,
                    rank=number,
                    num_workers=self.num_workers,
                    num_servers=self.num_servers,
                    root_uri=uri,
                    root_port=port,
                )


def local(run: Run) -> list[Process]:
    """Everything on this machine.

    Raises:
      OSError: there is no free port.
    """
    places = run.places(run.root_uri or _LOOPBACK, run.root_port or free_port())
    return [here(run, attrs.evolve(place, local_rank=place.rank)) for place in places]


def rank(run: Run, place: Place) -> list[Process]:
    """The one process that a cluster's launcher wants here, which has said its place.

    Raises:
      LaunchError: it is to be MXNet's scheduler.
    """
    if place.role == "scheduler":
        raise LaunchError("AF_ROLE is 'scheduler'; there are none, server 0 does what they did")
    return [attrs.evolve(here(run, place), essential=True)]


def here(run: Run, place: Place) -> Process:
    """One process on this machine."""
    command = run.server_command if place.role == "server" else run.command
    # As a file and without site-packages it is there in a tenth of the time that a module takes.
    words = (sys.executable, "-I", "-S", guard.__file__, str(run.grace), *command)
    environ = {"PYTHONUNBUFFERED": "1", **without(run.environ), **write(place)}
    return Process(place.name, place.role == "worker", words, environ)


def ssh(
    run: Run,
    hosts: Sequence[Host],
    *,
    program: Sequence[str] = ("ssh",),
    python: str = sys.executable,
    folder: str,
    exported: Sequence[str] = (),
) -> list[Process]:
    """Everything on the machines of a host file.

    Workers fill the slots of one machine after the other; servers go to the machines in turn, and
    take no slots.

    Args:
      run: what to start.
      hosts: where.
      program: ssh with options of the user's.
      python: the Python that has actorflow there.
      folder: where to run there.
      exported: which variables of `run.environ` go along; the places of the run always do.

    Raises:
      LaunchError: the machines have too few slots, or a variable to export is not set.
    """
    slots = [host for host in hosts for _ in range(host.slots)]
    if len(slots) < run.num_workers:
        raise LaunchError(
            f"launch: the host file has {len(slots)} slots; {run.num_workers} workers need as many"
        )
    missing = [name for name in exported if name not in run.environ]
    if missing:
        raise LaunchError(f"launch: {missing[0]} is to be exported, but not set")
    shared = {"PYTHONUNBUFFERED": "1", **{name: run.environ[name] for name in exported}}
    root = run.root_uri or hosts[0].address
    processes = []
    counts: dict[tuple[str, str], int] = {}  # of one role on one machine so far
    for place in run.places(root, run.root_port or DEFAULT_PORT):
        number = place.rank or 0
        server = place.role == "server"
        host = hosts[number % len(hosts)] if server else slots[number]
        local_rank = counts.get((host.name, place.role), 0)
        counts[host.name, place.role] = local_rank + 1
        variables = {**shared, **write(attrs.evolve(place, local_rank=local_rank))}
        command = run.server_command if server else run.command
        words = ("exec", "env", *(f"{name}={value}" for name, value in variables.items()))
        words += (python, "-m", guard.__name__, str(run.grace), *command)
        there = f"cd {shlex.quote(folder)} && {shlex.join(words)}"
        argv = (*program, "-o", "BatchMode=yes", "-T", host.name, there)
        processes.append(Process(place.name, not server, argv, without(run.environ)))
    return processes


def read_hosts(path: str | Path) -> list[Host]:
    """Read a host file: a machine a line, as `name`, `user@name` or `name slots=4`.

    Without `slots` it takes one worker. What follows a `#` is for people.

    Raises:
      LaunchError: a line is something else, or there are none.
      OSError: it cannot be read.
    """
    hosts = []
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        match = _LINE.fullmatch(text)
        # ssh would take a name that begins with a dash for an option.
        if match is None or match["host"].startswith("-") or match["slots"] == "0":
            raise LaunchError(f"{path}:{number}: {text!r}; needs a line like `name slots=4`")
        hosts.append(Host(match["host"], int(match["slots"] or 1)))
    if not hosts:
        raise LaunchError(f"{path}: no machines; needs lines like `name slots=4`")
    return hosts


def mpi(
    run: Run, *, program: Sequence[str] = ("mpirun",), hostfile: str | None = None
) -> tuple[list[str], dict[str, str]]:
    """The words and variables of Open MPI's launcher, which starts `actorflow launch-rank`s."""
    port = run.root_port or (DEFAULT_PORT if hostfile else free_port())
    said = {"AF_NUM_SERVERS": str(run.num_servers), "AF_ROOT_PORT": str(port)}
    uri = run.root_uri or (read_hosts(hostfile)[0].address if hostfile else None)
    if uri is not None:
        said["AF_ROOT_URI"] = uri
    words = [*program, "-n", str(run.size)]
    if hostfile:
        words += ["--hostfile", hostfile]
    for name in said:
        words += ["-x", name]
    return [*words, *_rank_words(run)], {**without(run.environ), **said}


def slurm(run: Run, *, program: Sequence[str] = ("srun",)) -> tuple[list[str], dict[str, str]]:
    """The words and variables of Slurm's launcher; a rank that fails ends the others."""
    said = {"AF_NUM_SERVERS": str(run.num_servers)}
    if run.root_port is not None:
        said["AF_ROOT_PORT"] = str(run.root_port)
    if run.root_uri is not None:
        said["AF_ROOT_URI"] = run.root_uri
    words = [*program, f"--ntasks={run.size}", "--kill-on-bad-exit=1", *_rank_words(run)]
    return words, {**without(run.environ), **said}


def torchrun(
    run: Run, *, program: Sequence[str] = ("torchrun",)
) -> tuple[list[str], dict[str, str]]:
    """The words and variables of PyTorch's launcher, on this machine."""
    said = {
        "AF_NUM_SERVERS": str(run.num_servers),
        "AF_ROOT_URI": run.root_uri or _LOOPBACK,
        "AF_ROOT_PORT": str(run.root_port or free_port()),
    }
    words = [*program, "--standalone", f"--nproc-per-node={run.size}", "--no-python"]
    return [*words, *_rank_words(run)], {**without(run.environ), **said}


def free_port(address: str = _LOOPBACK) -> int:
    """A TCP port that nobody has at this moment."""
    with socket.socket() as found:
        found.bind((address, 0))
        port: int = found.getsockname()[1]
    return port


def _rank_words(run: Run) -> list[str]:
    words = [sys.executable, "-m", "actorflow", "launch-rank", "--grace", str(run.grace)]
    return [*words, "--server-command", shlex.join(run.server_command), "--", *run.command]
