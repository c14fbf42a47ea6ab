"""A chain of operations that do nothing, pushed from `main` and from 20 calls below it.

usage: errors_actorflow.py COUNT; the level is set by AF_ENGINE_TRACE
"""

import os
import sys
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import actorflow as af
from protocol import Case, Clock, serve


def noop() -> None:
    """Do nothing."""


def case(engine: af.Engine, count: int, depth: int) -> Case:
    """Push `count` operations from `depth` calls down."""

    def work(depth: int, clock: Clock) -> None:
        if depth:
            work(depth - 1, clock)
            return
        resource = af.engine.Resource("r")
        with clock:
            for _ in range(count):
                engine.push(noop, updates=(resource,))
            engine.wait_all()

    def run(clock: Clock) -> int:
        work(depth, clock)
        return count

    return run


def main(count: int) -> None:
    """Serve the two cases."""
    with af.Engine(workers=2) as engine:
        cases = {"shallow": case(engine, count, 0), "deep": case(engine, count, 20)}
        serve(cases, f"actorflow {version('actorflow')}, {os.environ.get('AF_ENGINE_TRACE')}")


if __name__ == "__main__":
    main(int(sys.argv[1]))
