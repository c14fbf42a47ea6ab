"""Chains of 2 ms NumPy operations, serially and on actorflow's engine; a sleep beside them.

usage: overlap_actorflow.py COUNT       operations in a chain
"""

import sys
import time
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

import actorflow as af
from protocol import Case, Clock, serve

SECONDS = 2e-3  # of one operation
BLOCK = 16_384  # elements: 128 KiB, so that two cores do not fight for memory


def step(values: np.ndarray) -> None:
    """One operation: a sine of every element, in one NumPy call that lets other threads run."""
    np.sin(values, out=values)


def fitting_array() -> np.ndarray:
    """An array for which `step` takes about `SECONDS`."""
    values = np.ones(BLOCK)
    times = []
    for _ in range(20):
        start = time.perf_counter()
        step(values)
        times.append(time.perf_counter() - start)
    return np.ones(int(BLOCK * SECONDS / min(times)))


def serial(chains: int, count: int) -> Case:
    """All the chains, one operation after the other, in this thread."""
    arrays = [fitting_array() for _ in range(chains)]

    def run(clock: Clock) -> int:
        with clock:
            for _ in range(count):
                for values in arrays:
                    step(values)
        return 1

    return run


def overlapped(engine: af.Engine, count: int, *, chains: int, sleep: float = 0) -> Case:
    """The chains on the engine, and beside them an operation that sleeps on the I/O device."""
    arrays = [fitting_array() for _ in range(chains)]

    def run(clock: Clock) -> int:
        owners = [af.engine.Resource(f"chain {i}") for i in range(chains)]
        with clock:
            if sleep:
                engine.push(lambda: time.sleep(sleep), device="io", name="sleep")
            for _ in range(count):
                for owner, values in zip(owners, arrays, strict=True):
                    engine.push(lambda values=values: step(values), updates=(owner,), name="step")
            engine.wait_all()
        return 1

    return run


def main(count: int) -> None:
    """Serve the five cases."""
    sleep = count * SECONDS
    with af.Engine(workers=2) as engine:
        cases = {
            "serial": serial(2, count),
            "two chains": overlapped(engine, count, chains=2),
            "compute": serial(1, count),
            "sleep": overlapped(engine, 0, chains=0, sleep=sleep),
            "both": overlapped(engine, count, chains=1, sleep=sleep),
        }
        serve(cases, f"actorflow {version('actorflow')}, NumPy {np.__version__}")


if __name__ == "__main__":
    main(int(sys.argv[1]))
