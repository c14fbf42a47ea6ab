"""The engine benchmark's graphs on actorflow's engine, two workers.

usage: engine_actorflow.py GRAPH=COUNT...
"""

import platform
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import actorflow as af
import graphs
from protocol import Clock, serve


def noop() -> None:
    pass


def case(engine: af.Engine, graph: graphs.Graph) -> Callable[[Clock], int]:
    def run(clock: Clock) -> int:
        owners = [af.engine.Resource(f"r{i}") for i in range(graph.resources)]
        calls = [
            (
                tuple(owners[i] for i in operation.reads),
                tuple(owners[i] for i in operation.writes),
                tuple(owners[i] for i in operation.updates),
            )
            for operation in graph.operations
        ]
        push = engine.push
        with clock:
            for reads, writes, updates in calls:
                push(noop, reads=reads, writes=writes, updates=updates)
            engine.wait_all()
        return len(calls)

    return run


def main() -> None:
    with af.Engine(workers=2) as engine:
        wanted = [graphs.from_argument(argument) for argument in sys.argv[1:]]
        cases = {graph.name: case(engine, graph) for graph in wanted}
        serve(cases, f"actorflow {version('actorflow')} on CPython {platform.python_version()}")


if __name__ == "__main__":
    main()
