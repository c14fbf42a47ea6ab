"""Run the benchmarks and compare with the targets: `python benchmarks/run.py [names] [--quick]`."""

import importlib

import report

NAMES = (
    "engine",
    "imperative",
    "symbolic",
    "overlap",
    "memory",
    "import_time",
    "errors",
    "recordio",
    "kvstore_local",
    "images",
    "training",
    "csv_files",
)


def main() -> int:
    parser = report.arguments()
    parser.add_argument("names", nargs="*", metavar="name", help=f"some of {', '.join(NAMES)}")
    parsed = parser.parse_args()
    unknown = set(parsed.names) - set(NAMES)
    if unknown:
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    names = parsed.names or NAMES
    return report.run([importlib.import_module(name).measure for name in names], parsed)


if __name__ == "__main__":
    raise SystemExit(main())
