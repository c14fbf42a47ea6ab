"""`actorflow serve`: a server of a distributed store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:  # noqa: ANN401 -- argparse has no public type for it
    """Add the subcommand to those of argparse."""
    parser = commands.add_parser(
        "serve",
        help="be the KVStore server that the environment names",
        description="Be the server that AF_ROLE and its like name, until all workers have gone.",
    )
    parser.set_defaults(run=run)


def run(_: argparse.Namespace) -> int:
    """Do what the command line says; return the exit status."""
    from actorflow.kvstore import serve  # noqa: PLC0415 -- an extra

    serve()
    return 0
