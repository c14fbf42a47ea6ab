"""`actorflow keygen`: keys by which machines know each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:  # noqa: ANN401 -- argparse has no public type for it
    """Add the subcommand to those of argparse."""
    parser = commands.add_parser(
        "keygen",
        help="make a pair of keys for talking to other machines",
        description="Make a pair of keys: PREFIX.public for the others, PREFIX.secret to keep.",
    )
    parser.set_defaults(run=run)
    parser.add_argument("prefix", help="where the files go; they must not exist")


def run(parsed: argparse.Namespace) -> int:
    """Do what the command line says; return the exit status."""
    from actorflow.comm import write_keys  # noqa: PLC0415 -- an extra

    public, secret = write_keys(parsed.prefix)
    print(f"{public}: give it to the machines that this one talks to")
    print(f"{secret}: keep it here; only you can read it")
    return 0
