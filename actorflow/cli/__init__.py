"""The command `actorflow`."""

from actorflow.cli.command import main

__all__ = ["main"]
