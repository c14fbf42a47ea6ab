"""The command line: which subcommand, and what its errors look like."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Final

from actorflow.cli import im2rec, keygen, launch, serve, train
from actorflow.errors import ActorflowError
from actorflow.ops import meant

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

_FAILED: Final = 2
_INTERRUPTED: Final = 130  # what shells give for Ctrl-C


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand.

    Args:
      argv: the words behind the command's name; None for this process's.

    Returns:
      The exit status: 0, or 1 if something was left out, 2 if it failed, 130 after Ctrl-C.
    """
    parser = argparse.ArgumentParser(prog="actorflow", description="Tools of actorflow.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    im2rec.add_parser(commands)
    keygen.add_parser(commands)
    launch.add_parser(commands)
    serve.add_parser(commands)
    train.add_parser(commands)
    parsed, unknown = parser.parse_known_args(argv)
    if unknown:
        command: argparse.ArgumentParser = commands.choices[parsed.command]
        command.error(_unknown(command, unknown))
    try:
        status: int = parsed.run(parsed)
    except KeyboardInterrupt:
        print(f"actorflow {parsed.command}: interrupted", file=sys.stderr)
        return _INTERRUPTED
    except (ActorflowError, OSError, ValueError) as error:
        # What is wrong with the user's files and words; a bug of ours shows its traceback.
        if getattr(parsed, "debug", False):
            raise
        print(f"actorflow {parsed.command}: {error}", file=sys.stderr)
        return _FAILED
    return status


def _unknown(command: argparse.ArgumentParser, words: Sequence[str]) -> str:
    """What to say of words that a command does not know; the first decides the hint."""
    message = f"unrecognized arguments: {' '.join(words)}"
    option = words[0].partition("=")[0]
    if not option.startswith("--"):
        return message
    hint = meant(option, sorted(command._option_string_actions))
    return f"{message}; {hint}" if hint.startswith("did") else message
