"""What a benchmark found: figures, targets and their verdicts, as a table and as JSON."""

import argparse
import json
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness import Result

SCALE = {"us": 1e6, "ms": 1e3, "s": 1.0}


@dataclass(frozen=True)
class Target:
    """A promise about one figure: `measured` is to be at most `limit`, or at least `floor`.

    No `measured`: it could not be measured. Neither limit nor floor: told, not judged.
    `by_minima` is the same figure from the minima instead of the medians, for the reader.
    """

    name: str
    measured: float | None
    unit: str
    limit: float | None = None
    floor: float | None = None
    by_minima: float | None = None

    @property
    def verdict(self) -> str:
        if self.measured is None:
            return "not measured"
        if self.limit is None and self.floor is None:
            return ""
        above = self.limit is not None and self.measured > self.limit
        below = self.floor is not None and self.measured < self.floor
        return "MISSED" if above or below else "pass"

    @property
    def wanted(self) -> str:
        if self.limit is not None:
            return f"<= {self.limit:.3g} {self.unit}"
        return f">= {self.floor:.3g} {self.unit}" if self.floor is not None else ""


@dataclass
class Report:
    """The figures of one benchmark, per operation in `unit`."""

    name: str
    unit: str = "us"
    results: list[Result] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def find(self, label: str) -> Result | None:
        """The result called `label`, or None if it has no samples."""
        for result in self.results:
            if result.label == label and result.samples:
                return result
        return None

    def best(self, labels: Sequence[str]) -> Result | None:
        """Of these results, the one with the least median."""
        found = [result for label in labels if (result := self.find(label))]
        return min(found, key=lambda result: result.median, default=None)

    def judge_median(self, name: str, ours: Result | None, limit: float | None) -> None:
        """Judge our median, in the report's unit, against `limit`."""
        target = Target(name, None, self.unit, limit=limit)
        if ours:
            scale = SCALE[self.unit]
            target = replace(target, measured=ours.median * scale, by_minima=ours.minimum * scale)
        self.targets.append(target)

    def judge_share(
        self, name: str, ours: Result | None, peer: Result | None, limit: float | None
    ) -> None:
        """Judge our median over the peer's: at most `limit`."""
        self.targets.append(_compare(Target(name, None, "x", limit=limit), ours, peer))

    def judge_gain(
        self, name: str, ours: Result | None, peer: Result | None, floor: float | None
    ) -> None:
        """Judge how many times faster than the peer we are: at least `floor`."""
        self.targets.append(_compare(Target(name, None, "x", floor=floor), peer, ours))

    def text(self) -> str:
        """The report as a table."""
        scale = SCALE[self.unit]
        names = [r.label for r in self.results] + [t.name for t in self.targets]
        width = max(map(len, names))
        lines = [f"== {self.name} =="]
        if self.results:
            head = f"{'measured, ' + self.unit:{width}}  {'median':>9}  {'minimum':>9}"
            lines.append(f"{head}  {'cores':>5}  samples")
        lines += [f"{r.label:{width}}  {_figures(r, scale)}" for r in self.results]
        if self.targets:
            lines += ["", f"{'target':{width}}  {'medians':>12}  {'minima':>8}  {'wanted':>12}"]
        for target in self.targets:
            shown = "-" if target.measured is None else f"{target.measured:.3g} {target.unit}"
            minima = "" if target.by_minima is None else f"{target.by_minima:.3g}"
            row = f"{target.name:{width}}  {shown:>12}  {minima:>8}  {target.wanted:>12}"
            row += f"  {target.verdict}"
            lines.append(row.rstrip())
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    def record(self) -> dict[str, Any]:
        """The report as plain values for JSON; all times in seconds per operation."""
        return {
            "name": self.name,
            "results": [
                {
                    "label": result.label,
                    "problem": result.problem,
                    "dropped": result.dropped,
                    "samples": [sample.per_operation for sample in result.samples],
                    "busy": [sample.busy for sample in result.samples],
                    **({"median": result.median} if result.samples else {}),
                }
                for result in self.results
            ],
            "targets": [
                {
                    "name": target.name,
                    "measured": target.measured,
                    "by_minima": target.by_minima,
                    "limit": target.limit,
                    "floor": target.floor,
                    "unit": target.unit,
                    "verdict": target.verdict,
                }
                for target in self.targets
            ],
            "notes": self.notes,
        }


def _compare(target: Target, above: Result | None, below: Result | None) -> Target:
    """Put the ratio of two results into `target`."""
    if not above or not below:
        return target
    return replace(
        target, measured=above.median / below.median, by_minima=above.minimum / below.minimum
    )


def _figures(result: Result, scale: float) -> str:
    if not result.samples:
        return f"{'missing':>9}  {result.problem.splitlines()[-1]}"
    row = f"{result.median * scale:9.3f}  {result.minimum * scale:9.3f}  {result.busy:5.2f}  "
    row += f"{len(result.samples)}"
    if result.dropped:
        row += f", {result.dropped} dropped"
    return row + (f" ({result.problem.splitlines()[-1]})" if result.problem else "")


@dataclass(frozen=True)
class Options:
    """What the command line asks of every benchmark."""

    quick: bool = False
    pythons: tuple[str, ...] = ("this",)

    @property
    def python(self) -> str:
        """The Python whose figures are judged."""
        return self.pythons[0]

    def repeats(self, usual: int) -> int:
        """How many samples to take."""
        return max(3, usual // 4) if self.quick else usual

    def count(self, usual: int) -> int:
        """How many operations one sample has."""
        return usual // 5 if self.quick else usual


Benchmark = Callable[[Options], Report]


def machine() -> dict[str, Any]:
    """Where the figures were taken."""
    models = [
        line.split(":")[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "processor": models[0] if models else platform.processor(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "load": os.getloadavg(),
    }


def arguments() -> argparse.ArgumentParser:
    """The options that every benchmark knows."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="fewer and smaller samples")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there too")
    parser.add_argument(
        "--pythons",
        default="this",
        help="Pythons for our side, as in this,3.12,3.13; the first one is judged",
    )
    return parser


def run(benchmarks: Sequence[Benchmark], parsed: argparse.Namespace) -> int:
    """Run `benchmarks`, print each report; return 1 if a target was missed, else 0."""
    options = Options(quick=parsed.quick, pythons=tuple(parsed.pythons.split(",")))
    here = machine()
    print(f"{here['processor']}, {here['cores']} cores, load {here['load'][0]:.1f}\n")
    reports = []
    for benchmark in benchmarks:
        reports.append(benchmark(options))
        print(reports[-1].text() + "\n", flush=True)
    if parsed.json:
        record = {"machine": here, "reports": [report.record() for report in reports]}
        parsed.json.write_text(json.dumps(record, indent=1) + "\n")
    verdicts = [target.verdict for report in reports for target in report.targets]
    counts = ", ".join(f"{verdicts.count(v)} {v}" for v in ("pass", "MISSED", "not measured"))
    print(counts)
    return 1 if "MISSED" in verdicts else 0


def main(benchmark: Benchmark) -> None:
    """Run one benchmark from the command line."""
    raise SystemExit(run([benchmark], arguments().parse_args()))
