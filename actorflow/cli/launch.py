"""`actorflow launch` and `actorflow launch-rank`: the processes of a distributed run."""

from __future__ import annotations

import argparse
import math
import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import attrs
import trio

from actorflow.errors import LaunchError
from actorflow.kvstore import environment, launch
from actorflow.kvstore.supervisor import GRACE, Process, supervise

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["add_parser"]

_EPILOG: Final = """\
Every line that a process writes gets its role and rank in front. If one fails, the others are
ended, and its traceback is the last thing shown; its exit status is that of the command.
"""
_PORT_MAX: Final = 65535
_PROGRAMS: Final = {"ssh": "ssh", "mpi": "mpirun", "slurm": "srun", "torchrun": "torchrun"}


def add_parser(commands: Any) -> None:  # noqa: ANN401 -- argparse has no public type for it
    """Add the subcommands to those of argparse."""
    parser = commands.add_parser(
        "launch",
        help="start the servers and workers of a distributed run",
        description="Start servers and workers, here or by a cluster's own launcher.",
        usage="actorflow launch -n WORKERS [-s SERVERS] [options] -- COMMAND ...",
        epilog=_EPILOG,
    )
    parser.set_defaults(run=run)
    add = parser.add_argument
    add("-n", "--num-workers", type=int, required=True, help="how many workers")
    add("-s", "--num-servers", type=int, default=1, help="how many servers (1)")
    add(
        "--launcher", choices=["local", *_PROGRAMS], default="local", help="who starts them (local)"
    )
    add("--hostfile", "-H", help="for ssh and mpi: lines of `name slots=4`")
    add("--root-uri", help="host name or address of server 0, if the launcher's choice is wrong")
    add("--root-port", type=_port, help="TCP port of server 0 (here a free one, else 9091)")
    add(
        "--program",
        type=shlex.split,
        help="the launcher's program with options, as `mpirun --oversubscribe` or `ssh -p 2222`",
    )
    add("--export", action="append", default=[], metavar="NAME", help="for ssh: variables to take")
    add("--remote-python", default=sys.executable, help="for ssh: the Python with actorflow there")
    _add_common(parser)
    parser = commands.add_parser(
        "launch-rank",
        help="be one process of a run that mpirun, srun or torchrun has started",
        description="Run the command as the worker, or a server, that the environment asks for.",
        usage="actorflow launch-rank [options] -- COMMAND ...",
    )
    parser.set_defaults(run=run_rank)
    _add_common(parser)


def run(parsed: argparse.Namespace) -> int:
    """Start a run; return its exit status."""
    asked = _run(parsed, parsed.num_workers, parsed.num_servers)
    asked = attrs.evolve(asked, root_port=parsed.root_port, root_uri=parsed.root_uri)
    name = parsed.launcher
    if parsed.hostfile and name not in {"ssh", "mpi"}:
        raise LaunchError(f"launch: --hostfile is for ssh and mpi, not for {name}")
    if name == "local":
        return _supervise(launch.local(asked), parsed.grace)
    program = parsed.program or [_PROGRAMS[name]]
    if shutil.which(program[0]) is None:
        raise LaunchError(f"launch: no program {program[0]} here, which --launcher {name} needs")
    if name == "ssh":
        if parsed.hostfile is None:
            raise LaunchError("launch: --launcher ssh needs --hostfile")
        processes = launch.ssh(
            asked,
            launch.read_hosts(parsed.hostfile),
            program=program,
            python=parsed.remote_python,
            folder=str(Path.cwd()),
            exported=parsed.export,
        )
        return _supervise(processes, parsed.grace)
    if name == "mpi":
        words, environ = launch.mpi(asked, program=program, hostfile=parsed.hostfile)
    elif name == "slurm":
        words, environ = launch.slurm(asked, program=program)
    else:
        words, environ = launch.torchrun(asked, program=program)
    sys.stdout.flush()
    return os.execvpe(words[0], words, environ)  # noqa: S606 -- it watches its processes itself


def run_rank(parsed: argparse.Namespace) -> int:
    """Be one process of a run; return its exit status."""
    place = environment.read(os.environ)
    asked = _run(parsed, place.num_workers, place.num_servers)
    # mpirun gives each rank a terminal of its own, which is not the user's.
    return _supervise(launch.rank(asked, place), parsed.grace, colours=False)


def _run(parsed: argparse.Namespace, num_workers: int, num_servers: int) -> launch.Run:
    command = parsed.words[1:] if parsed.words[:1] == ["--"] else parsed.words
    return launch.Run(
        command=tuple(command),
        num_workers=num_workers,
        num_servers=num_servers,
        grace=parsed.grace,
        environ=dict(os.environ),
        server_command=tuple(parsed.server_command or launch.SERVE),
    )


def _supervise(processes: Sequence[Process], grace: float, *, colours: bool = True) -> int:
    async def main() -> int:
        return await supervise(processes, grace=grace, colours=colours)

    try:
        return trio.run(main)
    except* OSError as group:
        first: BaseException = group
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first from None


def _add_common(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--grace", type=_seconds, default=GRACE, help="seconds between SIGTERM and SIGKILL (5)")
    add("--server-command", type=shlex.split, help="what servers run (actorflow serve)")
    add("words", nargs=argparse.REMAINDER, metavar="COMMAND", help="what workers run, behind `--`")


def _port(text: str) -> int:
    value = int(text)
    if not 1 <= value <= _PORT_MAX:
        raise argparse.ArgumentTypeError(f"{value}; needs 1 to {_PORT_MAX}")
    return value


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text}; needs 0 seconds at least")
    return value
