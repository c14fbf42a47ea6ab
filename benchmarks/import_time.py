"""The time of `import actorflow` beside `import mxnet`, in fresh processes with warm files."""

import json
import subprocess
import sys
from functools import partial
from pathlib import Path

from harness import Entry, Sample, SideError, alternate, name_of, python_of
from report import Options, Report, main

PROGRAM = """
import time
wall, cpu = time.perf_counter(), time.process_time()
import {module}
print({{"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}})
"""


def measure(options: Options) -> Report:
    """Measure figure 5: the import."""
    report = Report("import_time", unit="s")
    entries = []
    for version in options.pythons:
        python = Path(sys.executable) if version == "this" else python_of(f"actorflow-{version}")
        entries.append(_entry(f"import actorflow: {name_of(version)}", python, "actorflow"))
    here = Path(sys.executable)
    entries += [
        _entry("import mxnet", python_of("mxnet"), "mxnet"),
        _entry("import torch", python_of("torch"), "torch"),
        _entry("import numpy (of actorflow's)", here, "numpy"),
        _entry("import trio (of actorflow's)", here, "trio"),
    ]
    report.results = alternate(entries, options.repeats(20))
    mine = report.find(f"import actorflow: {name_of(options.python)}")
    report.judge_median("import actorflow", mine, 0.35)
    report.judge_share("import actorflow, of mxnet's", mine, report.find("import mxnet"), 1 / 3)
    return report


def _entry(label: str, python: Path, module: str) -> Entry:
    return Entry(label, partial(_sample, python, module), least_busy=0.9)


def _sample(python: Path, module: str) -> Sample:
    if not python.exists():
        raise SideError("not installed: run setup_peers.py")
    done = subprocess.run(
        [python, "-W", "ignore", "-c", PROGRAM.format(module=module)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SideError(done.stderr.strip() or "the import failed")
    record = json.loads(done.stdout.strip().splitlines()[-1].replace("'", '"'))
    return Sample(record["wall"], record["cpu"], 1)


if __name__ == "__main__":
    main(measure)
