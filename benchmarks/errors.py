"""What it costs to note the user's line at every push, for each level of AF_ENGINE_TRACE."""

from contextlib import ExitStack
from functools import partial

from harness import Entry, alternate, ours
from report import Options, Report, main

LEVELS = ("off", "line", "stack")
DEPTHS = {"push in main": "shallow", "push 20 calls deep": "deep"}


def measure(options: Options) -> Report:
    """Measure the price of good error messages."""
    report = Report("errors")
    with ExitStack() as stack:
        sides = {
            level: stack.enter_context(
                ours(options.python, "errors_actorflow", 10_000, AF_ENGINE_TRACE=level)
            )
            for level in LEVELS
        }
        for title, case in DEPTHS.items():
            entries = [
                Entry(f"{title}: {level}", partial(child.ask, case), least_busy=0.9)
                for level, child in sides.items()
            ]
            report.results += alternate(entries, options.repeats(20))
    for title in DEPTHS:
        off = report.find(f"{title}: off")
        for level in LEVELS[1:]:
            report.judge_share(
                f"{title}: {level}, of off", report.find(f"{title}: {level}"), off, None
            )
    return report


if __name__ == "__main__":
    main(measure)
