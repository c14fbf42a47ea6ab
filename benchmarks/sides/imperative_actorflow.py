"""Imperative operations on small arrays in actorflow, on the default engine.

usage: imperative_actorflow.py COUNT
"""

import platform
import sys
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import actorflow as af
from protocol import Case, Clock, serve


def fresh(count: int) -> Case:
    """`c = a + b`, a new array each time."""

    def run(clock: Clock) -> int:
        a, b = af.nd.ones((16,)), af.nd.ones((16,))
        af.nd.waitall()
        with clock:
            for _ in range(count):
                c = a + b
            af.nd.waitall()
        del c
        return count

    return run


def out(count: int) -> Case:
    """The sum into an array that is there."""

    def run(clock: Clock) -> int:
        a, b, c = af.nd.ones((16,)), af.nd.ones((16,)), af.nd.ones((16,))
        add = af.nd.add
        af.nd.waitall()
        with clock:
            for _ in range(count):
                add(a, b, out=c)
            af.nd.waitall()
        return count

    return run


def chain(count: int) -> Case:
    """Each sum needs the one before."""

    def run(clock: Clock) -> int:
        x, b = af.nd.ones((16,)), af.nd.ones((16,))
        af.nd.waitall()
        with clock:
            for _ in range(count):
                x = x + b
            x.wait_to_read()
        return count

    return run


def main(count: int) -> None:
    """Serve the three cases."""
    cases = {"fresh": fresh(count), "out": out(count), "chain": chain(count)}
    serve(cases, f"actorflow {version('actorflow')} on CPython {platform.python_version()}")


if __name__ == "__main__":
    main(int(sys.argv[1]))
