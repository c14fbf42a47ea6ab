"""What overlaps: two chains of 2 ms NumPy operations on two workers, and a sleep beside work."""

from functools import partial

from harness import Entry, alternate, ours
from report import Options, Report, main


def measure(options: Options) -> Report:
    """Measure figure 3: two chains at once, input and output beside compute."""
    report = Report("overlap", unit="ms")
    with ours(options.python, "overlap_actorflow", options.count(50)) as child:
        entries = [
            Entry("two chains, plain NumPy", partial(child.ask, "serial"), least_busy=0.95),
            Entry("two chains, 2 workers", partial(child.ask, "two chains"), least_busy=1.6),
            Entry("one chain, plain NumPy", partial(child.ask, "compute"), least_busy=0.95),
            Entry("sleep of the same time", partial(child.ask, "sleep")),
            Entry("one chain beside the sleep", partial(child.ask, "both")),
        ]
        report.results = alternate(entries, options.repeats(12))
        if child.about:
            report.notes.append(child.about)
    serial, chains, compute, sleep, both = (report.find(entry.label) for entry in entries)
    report.judge_share("two chains, of the serial time", chains, serial, 0.6)
    longer = max(compute, sleep, key=lambda result: result.median) if compute and sleep else None
    report.judge_share("chain and sleep, of the longer one alone", both, longer, 1.1)
    return report


if __name__ == "__main__":
    main(measure)
