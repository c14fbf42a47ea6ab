"""The engine benchmark's graphs on Dask's threaded scheduler, two workers.

usage: engine_dask.py --chunksize=N GRAPH=COUNT...

Dask's values are never overwritten, so its graph holds only the true dependencies: a read waits
for the last write. The graph is built before the clock starts, of `Task` objects, which the
scheduler need not convert.
"""

import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import dask
import dask.threaded
from dask._task_spec import Task, TaskRef

import graphs
from protocol import Clock, serve


def noop(*_: object) -> None:
    pass


def tasks_of(graph: graphs.Graph) -> tuple[dict[str, Task], list[str]]:
    """Return the graph for `dask.threaded.get`, and the keys that nothing else reads."""
    last: dict[int, str] = {}
    tasks: dict[str, Task] = {}
    unread: dict[str, None] = {}
    for index, operation in enumerate(graph.operations):
        key = f"op-{index}"
        needs = [last[i] for i in (*operation.reads, *operation.updates) if i in last]
        tasks[key] = Task(key, noop, *map(TaskRef, needs))
        for need in needs:
            unread.pop(need, None)
        for i in (*operation.writes, *operation.updates):
            last[i] = key
        unread[key] = None
    return tasks, list(unread)


def case(graph: graphs.Graph, chunksize: int) -> Callable[[Clock], int]:
    def run(clock: Clock) -> int:
        tasks, keys = tasks_of(graph)
        with clock:
            dask.threaded.get(tasks, keys, num_workers=2, chunksize=chunksize)
        return len(tasks)

    return run


def main() -> None:
    chunksize = int(sys.argv[1].removeprefix("--chunksize="))
    wanted = [graphs.from_argument(argument) for argument in sys.argv[2:]]
    cases = {graph.name: case(graph, chunksize) for graph in wanted}
    serve(cases, f"Dask {dask.__version__}, threaded, chunksize={chunksize}")


if __name__ == "__main__":
    main()
