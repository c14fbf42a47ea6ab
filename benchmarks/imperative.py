"""Imperative operations on arrays of 16 float32: `c = a + b`, with `out=`, and a dependent chain.

Beside MXNet 1.9.1 in the settings in which it is fastest, and PyTorch for comparison. Every figure
includes the wait for the last result.
"""

from contextlib import ExitStack
from functools import partial

from harness import Entry, alternate, name_of, ours, side
from report import Options, Report, main

OPERATIONS = 5_000
KINDS = {"fresh": "c = a + b", "out": "out=c", "chain": "x = x + b"}
# The fastest of all settings that were tried: see docs/benchmarks.md.
MXNET_ENGINES = {"mxnet naive": "NaiveEngine", "mxnet": "ThreadedEnginePerDevice"}
MXNET_CALLS = {
    "fresh": ("nd +", "nd.elemwise_add"),
    "out": ("nd.elemwise_add", "np.add"),
    "chain": ("nd +", "nd.elemwise_add"),
}


def measure(options: Options) -> Report:
    """Measure figure 2: imperative NDArray."""
    report = Report("imperative")
    count = options.count(OPERATIONS)
    with ExitStack() as stack:
        mine = {
            name_of(version): stack.enter_context(ours(version, "imperative_actorflow", count))
            for version in options.pythons
        }
        mxnet = {
            label: stack.enter_context(
                side(
                    "mxnet",
                    "imperative_mxnet",
                    count,
                    MXNET_ENGINE_TYPE=engine,
                    OMP_NUM_THREADS="1",
                )
            )
            for label, engine in MXNET_ENGINES.items()
        }
        torch = stack.enter_context(side("torch", "imperative_torch", count))
        for kind, title in KINDS.items():
            entries = [
                Entry(f"{title}: {label}", partial(child.ask, kind), least_busy=0.9)
                for label, child in mine.items()
            ]
            entries += [
                Entry(f"{title}: {label}, {call}", partial(child.ask, f"{kind} {call}"), 0.9)
                for label, child in mxnet.items()
                for call in MXNET_CALLS[kind]
            ]
            entries.append(Entry(f"{title}: torch", partial(torch.ask, kind), 0.9))
            results = alternate(entries, options.repeats(20))
            report.results += results
            peer = report.best([r.label for r in results if ": mxnet" in r.label])
            own = report.find(f"{title}: {name_of(options.python)}")
            report.judge_share(f"{title}, of MXNet's best time", own, peer, 0.5)
        children = (*mine.values(), *mxnet.values(), torch)
        report.notes += [child.about for child in children if child.about]
    return report


if __name__ == "__main__":
    main(measure)
