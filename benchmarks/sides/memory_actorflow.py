"""How much memory actorflow takes.

usage: memory_actorflow.py COUNT BUDGET         BUDGET: bytes that may be in flight
"""

import gc
import os
import resource
import sys
import tracemalloc
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

import actorflow as af
from protocol import Case, Clock, serve

MIB = 2**20


def resident() -> int:
    """Bytes of this process in memory now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def peak() -> int:
    """The most bytes of this process in memory so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def budget(count: int, nbytes: int) -> Case:
    """Push operations that each hold 1 MiB of their own until they are done.

    They take longer than making them does, so that without a bound they would pile up.
    """

    def consume(block: np.ndarray) -> None:
        for _ in range(4):
            block.sum(dtype=np.uint8)

    def run(clock: Clock) -> int:
        with af.Engine(workers=2, max_nbytes=nbytes) as engine:
            owner = af.engine.Resource("sum")
            engine.push(partial(consume, np.ones(MIB, np.uint8)), updates=(owner,), nbytes=MIB)
            engine.wait_all()
            before = peak()
            with clock:
                for _ in range(count):
                    block = np.ones(MIB, np.uint8)
                    engine.push(partial(consume, block), updates=(owner,), nbytes=MIB)
                engine.wait_all()
        clock.extra["peak"] = peak() - before
        return count

    return run


def arrays(count: int, nbytes: int) -> Case:
    """Make arrays of 1 MiB, each dropped at once."""

    def run(clock: Clock) -> int:
        with af.Engine(workers=2, max_nbytes=nbytes):
            one = af.nd.ones((MIB // 4,))
            one.wait_to_read()
            before = peak()
            with clock:
                for _ in range(count):
                    one + 1
                af.nd.waitall()
        clock.extra["peak"] = peak() - before
        return count

    return run


def dropped(count: int) -> Case:
    """Make small arrays and drop them; the second time nothing may be left behind."""

    def make() -> None:
        one = af.nd.ones((16,))
        for _ in range(count):
            one + 1
        af.nd.waitall()

    def run(clock: Clock) -> int:
        make()
        gc.collect()
        before = resident()
        with clock:
            make()
        gc.collect()
        clock.extra["growth"] = resident() - before
        return count

    return run


def idle(count: int) -> Case:
    """Make arrays, wait until they are idle, and keep them."""

    def each(make: Callable[[], object]) -> float:
        kept = [make()]  # the first one pays for what is made once
        af.nd.waitall()
        gc.collect()
        tracemalloc.start()
        kept += [make() for _ in range(min(count, 10_000))]
        af.nd.waitall()
        gc.collect()
        taken, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return taken / (len(kept) - 1) - 8  # its place in the list is not the array's

    def run(clock: Clock) -> int:
        with clock:
            kept = [af.nd.ones((16,)) for _ in range(count)]
            af.nd.waitall()
        del kept
        clock.extra["resource"] = each(lambda: af.engine.Resource("r"))
        clock.extra["array"] = each(lambda: af.nd.ones((16,)))
        clock.extra["numpy"] = each(lambda: np.ones(16, np.float32))
        return count

    return run


def main(count: int, nbytes: int) -> None:
    """Serve the four cases."""
    cases = {
        "budget": budget(count, nbytes),
        "arrays": arrays(count, nbytes),
        "dropped": dropped(count),
        "idle": idle(count),
    }
    serve(cases, f"actorflow {version('actorflow')}")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
