"""The engine alone, on operations that do nothing, with two workers.

Four graphs (graphs.py), timed from the first push until all is done, beside Dask's threaded
scheduler and StarPU's C runtime; then one push and `await` of its result under trio beside
`trio.to_thread.run_sync`.
"""

import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import graphs
from harness import PEERS, Child, Entry, alternate, name_of, ours, side
from report import Options, Report, main

OPERATIONS = {"random": 10_000, "chain": 10_000, "independent": 10_000, "stencil": 4_000}
STARPU_SCHEDULERS = ("eager", "lws")
DASK_CHUNKS = {"dask": 1, "dask, batched": 16}  # 1 is what Dask does by itself
AWAITED = 300


def measure(options: Options) -> Report:
    """Measure figure 1: the engine alone."""
    report = Report("engine")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        sides = _sides(options, folder)
        for child in sides.values():
            stack.enter_context(child)
        for name in graphs.NAMES:
            entries = [
                Entry(f"{name}: {label}", partial(child.ask, name), least_busy=_least_busy(label))
                for label, child in sides.items()
            ]
            report.results += alternate(entries, options.repeats(20))
        report.notes += [child.about for child in sides.values() if child.about]
    _judge(report, options)
    _await(report, options)
    return report


def _least_busy(label: str) -> float:
    """StarPU's two workers look for work all the time; Python runs one thread at a time."""
    return 1.4 if label.startswith("starpu") else 0.85


def _sides(options: Options, folder: Path) -> dict[str, Child]:
    files = []
    for name, usual in OPERATIONS.items():
        path = folder / f"{name}.graph"
        graphs.save(graphs.make(name, usual), path)
        files.append(f"{name}={path}")
    counts = [f"{name}={usual}" for name, usual in OPERATIONS.items()]
    sides = {
        name_of(version): ours(version, "engine_actorflow", *counts) for version in options.pythons
    }
    for label, chunk in DASK_CHUNKS.items():
        sides[label] = side("dask", "engine_dask", f"--chunksize={chunk}", *counts)
    for scheduler in STARPU_SCHEDULERS:
        command = [PEERS / "starpu_engine", scheduler, *files]
        sides[f"starpu {scheduler}"] = Child(command, STARPU_SILENT="1", STARPU_HOME=str(PEERS))
    return sides


def _judge(report: Report, options: Options) -> None:
    for name in graphs.NAMES:
        mine = report.find(f"{name}: {name_of(options.python)}")
        report.judge_median(f"{name}, per operation", mine, 4.0)
        report.judge_gain(f"{name}, faster than Dask", mine, report.find(f"{name}: dask"), 12.0)
        batched = report.find(f"{name}: dask, batched")
        report.judge_gain(f"{name}, faster than Dask in batches", mine, batched, None)
        starpu = report.best([f"{name}: starpu {scheduler}" for scheduler in STARPU_SCHEDULERS])
        report.judge_share(f"{name}, of StarPU's time", mine, starpu, 1.5)


def _await(report: Report, options: Options) -> None:
    with ours(options.python, "engine_await", options.count(AWAITED)) as child:
        entries = [
            Entry("push and await under trio", partial(child.ask, "push")),
            Entry("trio.to_thread.run_sync", partial(child.ask, "to_thread")),
        ]
        pushed, threaded = alternate(entries, options.repeats(40))
    report.results += [pushed, threaded]
    mine, peer = report.find(pushed.label), report.find(threaded.label)
    report.judge_share("push and await, of to_thread.run_sync", mine, peer, 0.5)


if __name__ == "__main__":
    main(measure)
