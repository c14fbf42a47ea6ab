"""What a run did, event by event, for the checker and for those who look for what went wrong.

A history is written as JSON lines. All times are of one clock, in any unit, or a count of events;
`start` is before the first message was sent, `end` after the last one came, None if none did.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from actorflow.errors import FormatError
from actorflow.kvstore.members import Worker

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

__all__ = ["Entered", "Happened", "History", "Initialized", "Join", "Leave", "Pulled", "Pushed"]

Key = int | str


@attrs.frozen(kw_only=True)
class Initialized:
    """A key was made. `value` is a whole number, if values are to be checked."""

    key: Key
    value: int | None = None
    start: float = 0
    end: float | None = 0


@attrs.frozen(kw_only=True)
class Join:
    """A worker takes part in a key, or again after a barrier; from the server that has the key.

    Its push number `seq` is of round `base + seq`, for those after the first `pushed`. Workers of
    whom no history tells this have taken part from the beginning.
    """

    worker: Worker
    key: Key
    base: int
    start: float
    end: float | None
    pushed: int = 0


@attrs.frozen(kw_only=True)
class Leave:
    """A worker takes part no more, because it has finished or was taken for dead."""

    worker: Worker
    start: float
    end: float | None


@attrs.frozen(kw_only=True)
class Pushed:
    """A push, however often it was sent.

    Attributes:
      seq: 1 for the worker's first push of the key, then one more each.
      value: a whole number that the push adds, if values are to be checked.
      end: when it was acknowledged, or None.
    """

    worker: Worker
    key: Key
    seq: int
    start: float
    end: float | None
    value: int | None = None


@attrs.frozen(kw_only=True)
class Pulled:
    """A pull that was answered.

    Attributes:
      seen: how many pushes of the key the worker had sent before.
      version: for each worker, how many of its pushes are in the value.
      round: how many rounds were complete.
      value: what came, a whole number, if values are to be checked.
      snapshot: the same for all keys that were asked for together; None for a pull of one key.
    """

    worker: Worker
    key: Key
    seen: int
    version: dict[Worker, int]
    round: int
    start: float
    end: float
    value: int | None = None
    snapshot: int | str | None = None


@attrs.frozen(kw_only=True)
class Entered:
    """A worker came to barrier `number` at `start`, and was let out at `end`."""

    worker: Worker
    number: int
    start: float
    end: float | None


Happened = Initialized | Join | Leave | Pushed | Pulled | Entered

_KINDS: dict[str, type[Happened]] = {
    "init": Initialized,
    "join": Join,
    "leave": Leave,
    "push": Pushed,
    "pull": Pulled,
    "barrier": Entered,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


class History:
    """Events in the order in which they were noted; the times say what came first.

    Args:
      events: to begin with.
    """

    def __init__(self, events: Iterable[Happened] = ()) -> None:
        self.events: list[Happened] = list(events)

    def note(self, event: Happened) -> None:
        """Add an event."""
        self.events.append(event)

    def dumps(self) -> str:
        """The events as JSON lines."""
        return "".join(json.dumps(_plain(event)) + "\n" for event in self.events)

    @classmethod
    def loads(cls, text: str, name: str = "history") -> History:
        """The history that `dumps` gave; those of several processes may follow each other.

        Raises:
          FormatError: a line is no event; the message has its number.
        """
        history = cls()
        for number, line in enumerate(text.splitlines(), start=1):
            if line.strip():
                try:
                    history.note(_event(json.loads(line)))
                except (ValueError, TypeError, KeyError, AttributeError) as error:
                    raise FormatError(f"{name}, line {number}: no event: {error}") from error
        return history

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the events to a file."""
        Path(path).write_text(self.dumps(), encoding="utf-8")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> History:
        """Read a file that `save` wrote.

        Raises:
          FormatError: as `loads`.
        """
        return cls.loads(Path(path).read_text(encoding="utf-8"), str(path))


def describe(event: Happened) -> str:
    """An event in words, for messages."""
    end = "never" if event.end is None else f"{event.end:g}"
    times = f"(from {event.start:g} to {end})"
    if isinstance(event, Initialized):
        return f"init of key {event.key!r} {times}"
    if isinstance(event, Join):
        return f"join of {event.worker} with base {event.base} in key {event.key!r} {times}"
    if isinstance(event, Leave):
        return f"leave of {event.worker} {times}"
    if isinstance(event, Pushed):
        return f"push {event.seq} of key {event.key!r} by {event.worker} {times}"
    if isinstance(event, Entered):
        return f"barrier {event.number} of {event.worker} {times}"
    version = ", ".join(f"{w.rank}.{w.incarnation}: {n}" for w, n in sorted(event.version.items()))
    return (
        f"pull of key {event.key!r} by {event.worker} {times} with round {event.round} and "
        f"version {{{version}}}"
    )


def _plain(event: Happened) -> dict[str, Any]:
    plain = attrs.asdict(event, recurse=False)
    if "version" in plain:
        plain["version"] = [[*worker, count] for worker, count in plain["version"].items()]
    return {"event": _NAMES[type(event)]} | plain


def _event(plain: dict[str, Any]) -> Happened:
    plain = dict(plain)
    kind = _KINDS[plain.pop("event")]
    if "worker" in plain:
        plain["worker"] = Worker(*map(int, plain["worker"]))
    if "version" in plain:
        plain["version"] = {Worker(int(r), int(i)): int(n) for r, i, n in plain["version"]}
    for name in ("start", "end"):
        float(plain[name] if plain.get(name) is not None else 0)
    return kind(**plain)
