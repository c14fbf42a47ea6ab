"""Stores of one process: pushed from two cpu contexts and pulled to both, beside MXNet 1.9.1.

A round pushes every key and pulls every key, with the layer's number as priority, and waits for all
that is pulled. The rate in the notes is counted as MXNet's nightly measure does: the bytes of all
arrays that are pushed and pulled, on both devices, over the time of a round.
"""

from contextlib import ExitStack
from functools import partial

from harness import Entry, alternate, name_of, ours, side
from report import Options, Report, main

DEVICES = 2
CASES = {
    "one": (1, 2**20, "1 key of 4 MB"),
    "large": (16, 2**20, "16 keys of 4 MB"),
    "small": (100, 256, "100 keys of 1 kB"),
}  # keys, elements of float32 of each
KINDS = ("local", "device")


def measure(options: Options) -> Report:
    """Measure the stores of one process."""
    report = Report("kvstore_local", unit="ms")
    name = name_of(options.python)
    with ExitStack() as stack:
        mine = stack.enter_context(ours(options.python, "kvstore_local_actorflow"))
        mxnet = stack.enter_context(side("mxnet", "kvstore_local_mxnet"))
        for case, (count, elements, title) in CASES.items():
            entries = [
                Entry(f"{title}, {kind}: {label}", partial(child.ask, f"{kind} {case} {calls}"))
                for kind in KINDS
                for label, child, calls in (
                    (name, mine, "each"),
                    (f"{name}, one call", mine, "list"),
                    ("mxnet", mxnet, "each"),
                    ("mxnet, one call", mxnet, "list"),
                )
                if count > 1 or calls == "each"
            ]
            results = alternate(entries, options.repeats(20))
            report.results += results
            moved = 2 * DEVICES * count * elements * 4  # bytes
            for result in results:
                if result.samples and count * elements > 2**19:
                    rate = moved / result.median / 1e9
                    report.notes.append(f"{result.label}: {rate:.1f} GB/s")
            own = report.find(f"{title}, local: {name}")
            peer = report.best([f"{title}, local: mxnet{calls}" for calls in ("", ", one call")])
            limit = None if case == "small" else 1.0
            report.judge_share(f"{title}, of MXNet's time", own, peer, limit)
        own = report.find(f"{title}, local: {name}, one call")
        report.judge_share(f"{title} in one call, of MXNet's time", own, peer, 1.0)
        report.notes += [child.about for child in (mine, mxnet) if child.about]
    return report


if __name__ == "__main__":
    main(measure)
