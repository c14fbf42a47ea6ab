"""Text files of numbers: `CSVIter` beside MXNet 1.9.1's, from making it to the last batch."""

import random
import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from harness import Entry, alternate, name_of, ours, side
from report import Options, Report, main

# Name: what it is, lines, numbers of a line, how each is written.
FILES = {
    "digits": ("integers, 784 of a line", 5_000, 784, "{:.0f}"),
    "points": ("six decimals, 10 of a line", 100_000, 10, "{:.6f}"),
    "saved": ("as numpy.savetxt writes them, 10 of a line", 100_000, 10, "{:.18e}"),
}


def write_files(folder: Path) -> None:
    """The files; each line is one of a hundred."""
    generator = random.Random(0)
    for name, (_, lines, width, form) in FILES.items():
        some = [
            ",".join(form.format(generator.random() * 255) for _ in range(width)) + "\n"
            for _ in range(100)
        ]
        with (folder / f"{name}.csv").open("w") as stream:
            stream.writelines(generator.choices(some, k=lines))


def measure(options: Options) -> Report:
    """Measure the reading of text files."""
    report = Report("csv_files")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        write_files(folder)
        mine = stack.enter_context(ours(options.python, "csv_files_actorflow", folder))
        mxnet = stack.enter_context(side("mxnet", "csv_files_mxnet", folder))
        for name, (title, *_) in FILES.items():
            entries = [
                Entry(f"{title}: {name_of(options.python)}", partial(mine.ask, name), 0.9),
                Entry(f"{title}: mxnet", partial(mxnet.ask, name), 0.9),
            ]
            report.results += alternate(entries, options.repeats(10))
        report.notes += [child.about for child in (mine, mxnet) if child.about]
    return report


if __name__ == "__main__":
    main(measure)
