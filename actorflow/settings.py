"""Settings from the environment, read when they are needed, never at import.

| variable                | values             | meaning |
|-------------------------|--------------------|---------|
| AF_ENGINE_TYPE          | threaded, naive    | which engine `Engine()` makes |
| AF_CPU_WORKERS          | a number           | workers of each cpu context |
| AF_ENGINE_TRACE         | off, line, stack   | how much of the place of a push is noted |
| AF_ENGINE_VERIFY        | 0, 1               | verification mode |
| AF_FUSE                 | 1, 0               | whether executors fuse operators |
| AF_MAX_OPS              | a number           | operations in flight before a push waits |
| AF_MAX_NBYTES           | a number of bytes  | bytes in flight before a push waits |
| AF_BACKWARD_DO_MIRROR   | 0, 1               | whether gradients compute cheap values again |
| AF_BACKWARD_MIRROR_STEP | a number           | of those every one of this number is kept |
| AF_KVSTORE_TIMEOUT      | seconds            | silence after which a process of a run is dead |
| AF_KVSTORE_PATIENCE     | seconds            | how long a process waits for the others |
| AF_SEGMENT_US           | microseconds, or 0 | work that is worth a message in executors |
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

__all__ = [
    "attainable_nbytes",
    "cores",
    "memory_nbytes",
    "read_choice",
    "read_flag",
    "read_number",
]


def cores() -> int:
    """How many processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def read_choice(name: str, choices: tuple[str, ...]) -> str:
    """Read a variable that takes one of several words; the first is the default.

    Raises:
      ValueError: it has another value.
    """
    value = os.environ.get(name, choices[0]).lower()
    if value not in choices:
        message = f"{name} must be one of {', '.join(choices)}, got {value!r}"
        raise ValueError(message)
    return value


def read_number(name: str, default: int, least: int = 1) -> int:
    """Read a variable that takes a number of at least 1, or of at least `least`.

    Raises:
      ValueError: it has another value.
    """
    value = os.environ.get(name)
    if value is None:
        return default
    if not value.isdecimal() or int(value) < least:
        message = f"{name} must be a whole number of at least {least}, got {value!r}"
        raise ValueError(message)
    return int(value)


def read_flag(name: str) -> bool:
    """Read a variable that is 0 (the default) or 1."""
    return read_choice(name, ("0", "1")) == "1"


def memory_nbytes() -> int:
    """Physical memory of this machine, in bytes; 4 GiB where it cannot be told."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 4 << 30


def attainable_nbytes() -> int:
    """The most bytes that this process can ever hold: what none of its limits allows to pass.

    These are the size of addresses, the process's own limit if it has one (`ulimit -v`, `-d`), and,
    where the system tells how much that is, memory and swap together.
    """
    limits = [sys.maxsize]
    try:
        import resource  # noqa: PLC0415 -- not everywhere

        for which in (resource.RLIMIT_AS, resource.RLIMIT_DATA):
            soft, _ = resource.getrlimit(which)
            if soft != resource.RLIM_INFINITY:
                limits.append(soft)
    except (ImportError, AttributeError, OSError):
        limits = limits[:1]
    try:
        told = Path("/proc/meminfo").read_text(encoding="ascii")
    except (OSError, ValueError):
        return min(limits)
    sizes = re.findall(r"^(?:MemTotal|SwapTotal): *(\d+) kB$", told, re.MULTILINE)
    if len(sizes) == 2:  # noqa: PLR2004 -- memory and swap
        limits.append(sum(map(int, sizes)) * 1024)
    return min(limits)
