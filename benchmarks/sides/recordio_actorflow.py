"""Record files in actorflow.

usage: recordio_actorflow.py FOLDER
"""

import os
import random
import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from actorflow.cli import main as command
from actorflow.recordio import MXIndexedRecordIO, MXRecordIO
from protocol import Clock, serve

OPTIONS = {"shrink": ["--resize", "256"], "keep": [], "again": ["--reencode"]}
SOURCES = {"shrink": "large", "keep": "small", "again": "small"}


def sequential(folder: Path, clock: Clock) -> int:
    with clock, MXRecordIO(folder / "x.rec", "r") as reader:
        count = 0
        while reader.read() is not None:
            count += 1
    return count


def by_key(folder: Path, clock: Clock) -> int:
    with MXIndexedRecordIO(folder / "x.idx", folder / "x.rec", "r") as reader:
        keys = random.Random(1).sample(reader.keys, len(reader.keys))
        with clock:
            for key in keys:
                reader.read_idx(key)
    return len(keys)


def pack(folder: Path, kind: str, threads: int, clock: Clock) -> int:
    prefix, root = str(folder / kind), str(folder / SOURCES[kind])
    if command(["im2rec", "--list", prefix, root]):
        raise RuntimeError("no list")
    words = ["--num-thread", str(threads), *OPTIONS[kind], prefix, root]
    with clock:
        status = command(["im2rec", *words])
    if status:
        raise RuntimeError("no record file")
    with MXIndexedRecordIO(prefix + ".idx", prefix + ".rec", "r") as reader:
        return len(reader.keys)


def main(folder: Path) -> None:
    cases = {"sequential": partial(sequential, folder), "random": partial(by_key, folder)}
    for kind in OPTIONS:
        cases[f"pack {kind}"] = partial(pack, folder, kind, len(os.sched_getaffinity(0)))
        cases[f"pack {kind} 1"] = partial(pack, folder, kind, 1)
    serve(cases, "actorflow")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
