"""The child's end of a benchmark: answer each request for a sample with one line of JSON.

A side is a program that calls `serve` with its cases. The parent (`harness.py`) starts it in the
side's own environment, so this module needs nothing but the standard library.

    parent                              child
                                        {"ready": true, "about": "dask 2026.8.0"}
    {"case": "chain"}
                                        {"wall": 0.6, "cpu": 0.6, "operations": 1000, "extra": {}}
    (end of input: the child leaves)
"""

import gc
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any


class Clock:
    """Measures the part of a case that stands inside `with clock:`; several parts add up."""

    def __init__(self) -> None:
        self.wall = 0.0  # seconds
        self.cpu = 0.0  # seconds, of all threads of this process
        self.extra: dict[str, float] = {}  # further figures of this sample

    def __enter__(self) -> None:
        self.cpu -= time.process_time()
        self.wall -= time.perf_counter()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.wall += time.perf_counter()
        self.cpu += time.process_time()


Case = Callable[[Clock], int]  # runs one sample, returns how many operations it timed


def serve(cases: Mapping[str, Case], about: str) -> None:
    """Answer requests from standard input until it ends.

    What the cases print goes to standard error: standard output belongs to the protocol.

    Args:
      cases: the samples this side can take, by name.
      about: name and version of what is measured, for the report.
    """
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def answer(record: dict[str, Any]) -> None:
        answers.write(json.dumps(record) + "\n")

    answer({"ready": True, "about": about})
    for line in sys.stdin:
        clock = Clock()
        gc.collect()
        try:
            operations = cases[json.loads(line)["case"]](clock)
        except Exception:  # noqa: BLE001 (the parent reports it)
            answer({"error": traceback.format_exc()})
            continue
        answer(
            {
                "wall": clock.wall,
                "cpu": clock.cpu,
                "operations": operations,
                "extra": clock.extra,
            }
        )
