"""What the parts of a KVStore say to each other: typed messages, without their arrays.

A message names its keys in an order, and its arrays stand in the same order. Each carries `seq`, a
number of the sender's that an answer repeats, so that who asked finds what was asked, and a message
that was sent twice is applied once.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec

__all__ = [
    "PROTOCOL",
    "Ack",
    "Align",
    "Barrier",
    "BarrierDone",
    "Based",
    "Begin",
    "Compression",
    "Consistency",
    "Error",
    "Heartbeat",
    "Hello",
    "Init",
    "Join",
    "Key",
    "Leave",
    "Message",
    "Pause",
    "Plain",
    "Pull",
    "Push",
    "Refused",
    "Resume",
    "SetOptimizer",
    "Shared",
    "Slice",
    "Status",
    "StatusReply",
    "Value",
    "Welcome",
]

PROTOCOL: Final = 1
"""The version of these messages. Whoever speaks another one is refused."""

_TEXT: Final = 65536
_UNSIGNED: Final = 2**63 - 1

Text: TypeAlias = Annotated[str, msgspec.Meta(max_length=_TEXT)]
Name: TypeAlias = Annotated[str, msgspec.Meta(max_length=256)]
Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=_UNSIGNED)]
Integer: TypeAlias = Annotated[int, msgspec.Meta(ge=-_UNSIGNED, le=_UNSIGNED)]
Key: TypeAlias = Integer | Name
Vector: TypeAlias = dict[Count, Count]
"""The version of a value: for each worker's rank, how many of its pushes are in it."""

Plain: TypeAlias = dict[Name, Any]
"""Names with None, booleans, numbers, strings, and lists and dictionaries of these."""


class _Part(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What lies in the header as a list of its fields; one field too many is refused."""


def _check_plain(value: object, who: str) -> None:
    """Refuse what no file of JSON could hold.

    Raises:
      TypeError: there is something else in it.
    """
    if isinstance(value, dict):
        for name, inner in value.items():
            if not isinstance(name, str):
                raise TypeError(f"{who}: the name {name!r} is no string")
            _check_plain(inner, who)
    elif isinstance(value, list | tuple):
        for inner in value:
            _check_plain(inner, who)
    elif value is not None and not isinstance(value, bool | int | float | str):
        raise TypeError(f"{who}: {type(value).__name__} is not plain data")


class Consistency(_Part, frozen=True):
    """A consistency model: `bound` is how many rounds a worker may be ahead, if bounded."""

    model: Literal["sequential", "bounded", "eventual"]
    bound: Count = 0


class Slice(_Part, frozen=True):
    """A part of a key: elements `start` to `stop` of the flat array; `total` is the whole."""

    start: Count
    stop: Count
    total: Count


class Compression(_Part, frozen=True):
    """How a pushed array was made smaller: the arguments of `decompress`."""

    kind: Literal["float16", "2bit", "topk"]
    size: Count  # elements of the array that was compressed
    threshold: float = 0.0  # of "2bit"


class Shared(_Part, frozen=True):
    """Where an array lies in memory shared by the processes of a machine, instead of in a frame."""

    pid: Count
    descriptor: Count
    token: Name
    nbytes: Count  # of the whole block
    offset: Count
    dtype: Name
    shape: Annotated[list[Count], msgspec.Meta(max_length=32)]


class Hello(_Part, frozen=True, tag=1):
    """The first message of a worker or server: who it is, and what it takes for granted.

    `capabilities` are words for what it can do beyond this protocol, `machine` says which processes
    share its memory, `optimizer` is the hash of the optimizer's description. `token` is what its
    process calls itself, and no other does. `incarnation` is 0 for who wants to be given a place;
    else it and the rank are what a Welcome gave.
    """

    seq: Count
    run: Name
    role: Literal["worker", "server", "scheduler", "observer"]
    rank: Count | None
    consistency: Consistency
    optimizer: Name | None = None
    machine: Name = ""
    address: Name = ""
    capabilities: list[Name] = []
    token: Name = ""
    incarnation: Count = 0


class Welcome(_Part, frozen=True, tag=2):
    """The answer to a Hello: its rank, how many workers there are, and where the servers are.

    `incarnation` is how often somebody had that rank, with it; `barrier` the last barrier that it
    need not enter.
    """

    seq: Count
    rank: Count
    workers: Count
    servers: list[Name] = []
    machine: Name = ""
    capabilities: list[Name] = []
    incarnation: Count = 1
    barrier: Count = 0


class Refused(_Part, frozen=True, tag=3):
    """The answer to a Hello that does not fit."""

    seq: Count
    reason: Text


class Init(_Part, frozen=True, tag=4):
    """First values: one array for each key. Of a key that has a value already it changes nothing.

    `consistency` is the model of these keys; None is the store's. Without arrays it asks to be told
    when the keys are there.
    """

    seq: Count
    keys: list[Key]
    slices: list[Slice | None] = []  # empty: whole arrays
    consistency: Consistency | None = None
    shared: list[Shared | None] = []  # empty: all in frames


class Push(_Part, frozen=True, tag=5):
    """One array to be added for each key. `rounds` are the sender's numbers of pushes, from 1.

    A server applies a round of a key once, however often it comes.
    """

    seq: Count
    keys: list[Key]
    rounds: list[Count]
    priority: Integer = 0
    slices: list[Slice | None] = []
    compression: list[Compression | None] = []
    shared: list[Shared | None] = []


class Ack(_Part, frozen=True, tag=6):
    """What was asked by the message `seq` is done, and will not be lost."""

    seq: Count


class Pull(_Part, frozen=True, tag=7):
    """Asks for the values of keys.

    `versions` are, for each key, the least that must be in the value (empty: nothing is asked);
    `snapshot`: all values are to be of one moment. `shared` are blocks to write the values to.
    """

    seq: Count
    keys: list[Key]
    versions: list[Vector] = []
    snapshot: bool = False
    priority: Integer = 0
    slices: list[Slice | None] = []
    shared: list[Shared | None] = []


class Value(_Part, frozen=True, tag=8):
    """The answer to a Pull: one array for each key, and how old it is.

    `staleness` is how many rounds the slowest worker is behind the one who asked, `rounds` how many
    were complete.
    """

    seq: Count
    keys: list[Key]
    versions: list[Vector]
    staleness: list[Count]
    slices: list[Slice | None] = []
    shared: list[Shared | None] = []
    rounds: list[Count] = []


class Heartbeat(_Part, frozen=True, tag=9):
    """The sender is alive; `seq` counts them."""

    seq: Count
    rank: Count | None = None


class Barrier(_Part, frozen=True, tag=10):
    """The sender has come to the barrier of this number."""

    seq: Count
    number: Count


class BarrierDone(_Part, frozen=True, tag=11):
    """All have come to the barrier of this number."""

    seq: Count
    number: Count


class SetOptimizer(_Part, frozen=True, tag=12):
    """The update rule: what `Optimizer.describe()` gives. It is data, never code."""

    seq: Count
    description: Plain

    def __post_init__(self) -> None:
        _check_plain(self.description, "SetOptimizer")


class Leave(_Part, frozen=True, tag=13):
    """A worker takes part no more, and nobody is to wait for it: the sender, if there is no rank.

    From the coordinator to a server without a rank: everybody has gone.
    """

    seq: Count
    rank: Count | None = None
    incarnation: Count = 1


class Status(_Part, frozen=True, tag=14):
    """Asks how the receiver is doing."""

    seq: Count


class StatusReply(_Part, frozen=True, tag=15):
    """How the sender is doing."""

    seq: Count
    status: Plain

    def __post_init__(self) -> None:
        _check_plain(self.status, "StatusReply")


class Error(_Part, frozen=True, tag=16):
    """What was asked by the message `seq` failed. `kind` is the name of an exception's class."""

    seq: Count
    kind: Name
    message: Text
    key: Key | None = None


class Begin(_Part, frozen=True, tag=17):
    """From the coordinator to a server: the run has so many workers, and this consistency model."""

    seq: Count
    workers: Count
    consistency: Consistency


class Join(_Part, frozen=True, tag=18):
    """From the coordinator to a server: a worker takes part. The answer is a Based."""

    seq: Count
    rank: Count
    incarnation: Count


class Based(_Part, frozen=True, tag=19):
    """With which round a worker begins on this server."""

    seq: Count
    base: Count


class Align(_Part, frozen=True, tag=20):
    """From the coordinator to a server: a worker begins with this round on all servers."""

    seq: Count
    rank: Count
    incarnation: Count
    base: Count


class Pause(_Part, frozen=True, tag=21):
    """The sender is about to enter the barrier of this number, and has no pushes on their way."""

    seq: Count
    number: Count


class Resume(_Part, frozen=True, tag=22):
    """From the coordinator to a server: the barrier of this number is over."""

    seq: Count
    number: Count


Message: TypeAlias = (
    Hello
    | Welcome
    | Refused
    | Init
    | Push
    | Ack
    | Pull
    | Value
    | Heartbeat
    | Barrier
    | BarrierDone
    | SetOptimizer
    | Leave
    | Status
    | StatusReply
    | Error
    | Begin
    | Join
    | Based
    | Align
    | Pause
    | Resume
)
