"""The workloads of the engine benchmark, the same for every side.

A graph is a list of operations in program order; each names resources by index: what it reads,
what it writes (the old content is not needed) and what it updates (the old content is needed).
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

NAMES = ("random", "chain", "independent", "stencil")


@dataclass(frozen=True)
class Operation:
    reads: tuple[int, ...] = ()
    writes: tuple[int, ...] = ()
    updates: tuple[int, ...] = ()


@dataclass(frozen=True)
class Graph:
    name: str
    resources: int
    operations: tuple[Operation, ...]


def make(name: str, count: int) -> Graph:
    """Make the graph `name` of about `count` operations; equal arguments give equal graphs."""
    makers = {
        "random": random_graph,
        "chain": chain,
        "independent": independent,
        "stencil": stencil,
    }
    return makers[name](count)


def random_graph(count: int, resources: int = 64, seed: int = 2015) -> Graph:
    """Each operation reads two resources and writes a third, chosen by seed."""
    rng = random.Random(seed)
    operations = []
    for _ in range(count):
        first, second, third = rng.sample(range(resources), 3)
        operations.append(Operation(reads=(first, second), writes=(third,)))
    return Graph("random", resources, tuple(operations))


def chain(count: int) -> Graph:
    """Each operation updates the one resource."""
    return Graph("chain", 1, (Operation(updates=(0,)),) * count)


def independent(count: int) -> Graph:
    """Each operation writes a resource of its own."""
    return Graph("independent", count, tuple(Operation(writes=(i,)) for i in range(count)))


def stencil(count: int, width: int = 4) -> Graph:
    """`width` cells, double buffered; a cell's next value needs its own and its neighbours'."""
    operations = []
    for step in range(count // width):
        old, new = (step % 2) * width, ((step + 1) % 2) * width
        for cell in range(width):
            near = range(max(cell - 1, 0), min(cell + 2, width))
            operations.append(Operation(reads=tuple(old + i for i in near), writes=(new + cell,)))
    return Graph("stencil", 2 * width, tuple(operations))


def from_argument(argument: str) -> Graph:
    """Make the graph that `argument` asks for, as in `chain=10000`."""
    name, count = argument.split("=")
    return make(name, int(count))


def save(graph: Graph, path: Path) -> None:
    """Write `graph` for the C side: its sizes, then one line of `<mode><resource>` an operation."""

    def words(operation: Operation) -> Iterable[str]:
        yield from (f"r{i}" for i in operation.reads)
        yield from (f"w{i}" for i in operation.writes)
        yield from (f"u{i}" for i in operation.updates)

    lines = [f"{graph.resources} {len(graph.operations)}"]
    lines += [" ".join(words(operation)) for operation in graph.operations]
    path.write_text("\n".join(lines) + "\n")
