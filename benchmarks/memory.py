"""Memory: the budget of bytes in flight, arrays made and dropped, and what an idle array costs."""

from harness import MIB, Result, Sample, SideError, ours
from report import Options, Report, Target, main

BUDGET = 64  # MiB in flight
SLACK = 16  # MiB of growth allowed beside the budget, for the allocator
COUNT = 100_000


def measure(options: Options) -> Report:
    """Measure figure 4: memory."""
    report = Report("memory", unit="us")
    count = options.count(COUNT)
    asked = {
        "budget": f"push {count:,} operations of 1 MiB",
        "arrays": f"make and drop {count:,} arrays of 1 MiB",
        "dropped": f"make and drop {count:,} arrays of 16",
        "idle": f"make {count:,} arrays of 16 and keep them",
    }
    samples = {case: _ask(report, options, case, label, count) for case, label in asked.items()}
    growth = f"peak growth, {BUDGET} MiB allowed in flight"
    _judge(report, f"operations: {growth}", samples["budget"], "peak", "MiB", BUDGET + SLACK)
    _judge(report, f"arrays: {growth}", samples["arrays"], "peak", "MiB", BUDGET + SLACK)
    _judge(report, "dropped arrays: growth", samples["dropped"], "growth", "MiB", 1)
    _judge(report, "one idle resource", samples["idle"], "resource", "bytes", None)
    _judge(report, "one idle array of 64 bytes, all told", samples["idle"], "array", "bytes", None)
    _judge(report, "the same array in plain NumPy", samples["idle"], "numpy", "bytes", None)
    return report


def _ask(report: Report, options: Options, case: str, label: str, count: int) -> Sample | None:
    """One sample in a process of its own: a peak can be taken only once."""
    result = Result(label)
    report.results.append(result)
    with ours(options.python, "memory_actorflow", count, BUDGET * MIB) as child:
        try:
            result.samples.append(child.ask(case))
        except SideError as error:
            result.problem = str(error)
            return None
    return result.samples[0]


def _judge(
    report: Report, name: str, sample: Sample | None, extra: str, unit: str, limit: float | None
) -> None:
    measured = sample.extra[extra] / (MIB if unit == "MiB" else 1) if sample else None
    report.targets.append(Target(name, measured, unit, limit=limit))


if __name__ == "__main__":
    main(measure)
