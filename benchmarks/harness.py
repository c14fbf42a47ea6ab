"""Measure several sides in turn, and judge the figures against targets.

A sample is asked of each side in turn (A, B, A, B, ...), so that whatever else the machine does
meets all alike. Each side is a process of its own (`Child`), in its own environment, that waits
for its next request on standard input. A sample in which the process got less of the processor
than its work needs (CPU seconds over wall seconds below `least_busy`) is dropped and taken again:
somebody else had the core.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

HERE = Path(__file__).parent
PEERS = HERE / ".peers"
SIDES = HERE / "sides"
MIB = 2**20  # bytes


class SideError(Exception):
    """A side is missing, or did not answer as the protocol says."""


@dataclass(frozen=True)
class Sample:
    wall: float  # seconds
    cpu: float  # seconds
    operations: int
    extra: Mapping[str, float] = field(default_factory=dict)

    @property
    def per_operation(self) -> float:
        """Wall seconds per operation."""
        return self.wall / self.operations

    @property
    def busy(self) -> float:
        """Cores kept busy: CPU seconds over wall seconds."""
        return self.cpu / self.wall


class Child:
    """One side's process: started at its first use, stopped at the end of its `with` block."""

    def __init__(self, command: Sequence[object], **environment: str) -> None:
        self.about = ""  # what it says it is, once it runs
        self._command = [str(part) for part in command]
        self._environment = environment
        self._process: subprocess.Popen[str] | None = None
        self._complaints = tempfile.TemporaryFile("w+")  # noqa: SIM115 -- closed by __exit__
        self._problem = ""  # why it cannot be asked any more

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None:
            try:
                self._process.communicate(timeout=10)  # the end of its input tells it to leave
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.communicate()
        self._complaints.close()

    def ask(self, case: str) -> Sample:
        """Have the side take one sample of `case`.

        Raises:
          SideError: it is not there, or failed; the message says why.
        """
        if self._problem:
            raise SideError(self._problem)
        if self._process is None:
            self.about = self._start()["about"]
        record = self._talk(json.dumps({"case": case}))
        return Sample(record["wall"], record["cpu"], record["operations"], record["extra"])

    def _start(self) -> dict[str, Any]:
        if not Path(self._command[0]).exists():
            self._problem = "not installed: run setup_peers.py"
            raise SideError(self._problem)
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            text=True,
            env={**os.environ, **self._environment},
        )
        return self._talk()

    def _talk(self, request: str = "") -> dict[str, Any]:
        """Send `request`, if there is one, and read the answer."""
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise SideError("the side was not started")
        answer = ""
        with suppress(BrokenPipeError):
            if request:
                process.stdin.write(request + "\n")
                process.stdin.flush()
            answer = process.stdout.readline()
        if not answer:
            self._complaints.seek(0)
            last = self._complaints.read().strip().splitlines()[-1:]
            self._problem = " ".join(["the side ended:", *last])
            raise SideError(self._problem)
        record: dict[str, Any] = json.loads(answer)
        if "error" in record:
            raise SideError(record["error"].strip())
        return record


@dataclass
class Entry:
    """One thing to be measured: where its samples come from, and which of them are believed."""

    label: str
    take: Callable[[], Sample]
    least_busy: float = 0.0  # cores; a sample that kept fewer busy is dropped


@dataclass
class Result:
    label: str
    samples: list[Sample] = field(default_factory=list)
    dropped: int = 0
    problem: str = ""  # why there are no samples, or why they are doubtful

    @property
    def median(self) -> float:
        """Median wall seconds per operation."""
        return statistics.median(sample.per_operation for sample in self.samples)

    @property
    def minimum(self) -> float:
        """Least wall seconds per operation."""
        return min(sample.per_operation for sample in self.samples)

    @property
    def busy(self) -> float:
        """Median number of cores kept busy."""
        return statistics.median(sample.busy for sample in self.samples)

    def extra(self, name: str) -> float:
        """Median of a further figure that the side reported."""
        return statistics.median(sample.extra[name] for sample in self.samples)


def alternate(entries: Sequence[Entry], repeats: int) -> list[Result]:
    """Take `repeats` samples of each entry in turn, after one of each that is thrown away.

    An entry whose samples are dropped gets up to `repeats` more tries. If all are dropped, they are
    kept after all and the result says so. An entry that fails is left out of the later rounds.
    """
    results = [Result(entry.label) for entry in entries]
    suspect: list[list[Sample]] = [[] for _ in entries]
    for turn in range(1 + 2 * repeats):
        for entry, result, doubtful in zip(entries, results, suspect, strict=True):
            if result.problem or len(result.samples) == repeats:
                continue
            try:
                sample = entry.take()
            except SideError as error:
                result.problem = str(error)
                continue
            if turn == 0:
                continue
            if sample.busy < entry.least_busy:
                doubtful.append(sample)
                result.dropped += 1
            else:
                result.samples.append(sample)
    for result, doubtful in zip(results, suspect, strict=True):
        if not result.samples and doubtful:
            result.samples = doubtful
            result.problem = "no undisturbed sample"
    return results


def python_of(environment: str) -> Path:
    """The interpreter of the environment that setup_peers.py made."""
    return PEERS / environment / "bin" / "python"


def name_of(version: str) -> str:
    """What our side is called in a report."""
    return "actorflow" if version == "this" else f"actorflow {version}"


def ours(version: str, program: str, *arguments: object, **variables: str) -> Child:
    """A side of ours, on `this` Python or on a `version` that setup_peers.py was asked for."""
    python = Path(sys.executable) if version == "this" else python_of(f"actorflow-{version}")
    return Child([python, SIDES / f"{program}.py", *map(str, arguments)], **variables)


def side(environment: str, program: str, *arguments: object, **variables: str) -> Child:
    """A side written in Python, not yet started."""
    command = [python_of(environment), SIDES / f"{program}.py", *map(str, arguments)]
    return Child(command, **variables)
