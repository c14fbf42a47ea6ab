"""Symbols bound to arrays: a chain of 1,000 small operators, and a network that learns.

The network has the layers 784-128-64-10 and learns from batches of 100 by gradient descent with
momentum. Beside MXNet 1.9.1 and PyTorch, in the settings in which they are fastest, one thread
each; and beside the same network with its updates inside the graph.
"""

from contextlib import ExitStack
from functools import partial

from harness import Child, Entry, alternate, name_of, ours, side
from report import Options, Report, main

CHAIN = 1_000  # operators
STEPS = 100  # of training, in one sample
MXNET_ENGINES = {"mxnet naive": "NaiveEngine", "mxnet": "ThreadedEnginePerDevice"}
# For each part the ways of each side: the fastest of all that were tried, see docs/benchmarks.md.
CHAINS = {"forward": "forward", "backward": "forward and backward", "bind": "bind and run once"}
TORCH_CHAINS = {"forward": ("eager", "jit"), "backward": ("eager", "jit"), "bind": ()}
UPDATES = {"learn": "one update", "learn each": "an update each"}
OURS_ONLY = {"learn arithmetic": "arithmetic", "learn inside": "inside the graph"}
# Without momentum: `weight -= rate * gradient`, the loop of the article.
PLAIN = {"learn plain": "plain arithmetic", "learn plain inside": "plain, inside the graph"}
TORCH_UPDATES = {"learn fused": "autograd, fused", "learn foreach": "autograd, foreach"}
BY_HAND = {"learn by hand": "by hand, without autograd"}
LIMITS = {"forward": 1.1, "backward": 2, "bind": 60}  # us per operator
BUSY = 0.9


def measure(options: Options) -> Report:
    """Measure figure 3: symbols and executors."""
    report = Report("symbolic")
    steps = options.count(STEPS)
    with ExitStack() as stack:
        mine = {
            name_of(version): stack.enter_context(ours(version, "symbolic_actorflow", CHAIN, steps))
            for version in options.pythons
        }
        mxnet = {
            label: stack.enter_context(
                side(
                    "mxnet",
                    "symbolic_mxnet",
                    CHAIN,
                    steps,
                    MXNET_ENGINE_TYPE=engine,
                    OMP_NUM_THREADS="1",
                )
            )
            for label, engine in MXNET_ENGINES.items()
        }
        torch = stack.enter_context(side("torch", "symbolic_torch", CHAIN, steps))
        for case, title in CHAINS.items():
            _chain(report, options, case, title, mine | mxnet, torch)
        _learn(report, options, mine, mxnet, torch)
        children = (*mine.values(), *mxnet.values(), torch)
        report.notes += [child.about for child in children if child.about]
    return report


def _chain(
    report: Report,
    options: Options,
    case: str,
    title: str,
    bound: dict[str, Child],
    torch: Child,
) -> None:
    """Measure the chain of operators; everything is per operator."""
    entries = [
        Entry(f"{title}: {label}", partial(child.ask, case), BUSY) for label, child in bound.items()
    ]
    entries += [
        Entry(f"{title}: torch {how}", partial(torch.ask, f"{case} {how}"), BUSY)
        for how in TORCH_CHAINS[case]
    ]
    report.results += alternate(entries, options.repeats(20))
    own = report.find(f"{title}: {name_of(options.python)}")
    report.judge_median(f"{title}, per operator", own, LIMITS[case])
    for peer in ("mxnet", "torch"):
        labels = [entry.label for entry in entries if f": {peer}" in entry.label]
        if labels:
            report.judge_share(f"{title}, of {peer}'s best time", own, report.best(labels), None)


def _learn(
    report: Report,
    options: Options,
    mine: dict[str, Child],
    mxnet: dict[str, Child],
    torch: Child,
) -> None:
    """Measure a step of training."""
    entries = [
        Entry(f"step: {label}, {how}", partial(child.ask, case), BUSY)
        for label, child in mine.items()
        for case, how in (UPDATES | OURS_ONLY | PLAIN).items()
    ]
    entries += [
        Entry(f"step: {label}, {how}", partial(child.ask, case), BUSY)
        for label, child in mxnet.items()
        for case, how in UPDATES.items()
    ]
    entries += [
        Entry(f"step: torch, {how}", partial(torch.ask, case), BUSY)
        for case, how in (TORCH_UPDATES | BY_HAND).items()
    ]
    report.results += alternate(entries, options.repeats(20))
    own = f"step: {name_of(options.python)}, "
    best = report.best([own + how for how in UPDATES.values()])
    peers = {
        "mxnet's best": [f"step: {label}, {how}" for label in mxnet for how in UPDATES.values()],
        "torch's best": [f"step: torch, {how}" for how in TORCH_UPDATES.values()],
    }
    for peer, labels in peers.items():
        report.judge_share(f"step, of {peer} time", best, report.best(labels), 1)
    for how in BY_HAND.values():
        report.judge_share(
            f"step, of torch's {how}", best, report.find(f"step: torch, {how}"), None
        )
    inside = report.find(own + "inside the graph")
    for how in (*UPDATES.values(), "arithmetic"):
        limit = None if how == "arithmetic" else 1.1
        found = report.find(own + how)
        report.judge_share(f"step with {how}, of that inside the graph", found, inside, limit)
    plain, inside = (report.find(own + how) for how in PLAIN.values())
    report.judge_share("step with plain arithmetic, of that inside the graph", plain, inside, 1.1)


if __name__ == "__main__":
    main(measure)
