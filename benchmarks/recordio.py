"""Record files: reading them beside MXNet 1.9.1, and packing images beside one Pillow process.

The images are cut from the two photographs that scikit-learn ships: of 256 x 256 pixels and about
29 KB, and of 640 x 427 with other cut-outs pasted in, so that no two are alike.
"""

import random
import struct
import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from harness import Entry, alternate, name_of, ours, side
from report import Options, Report, main

IMAGES = 2_000
RECORDS = 6_000
RECORD_NBYTES = 29_000
READS = {"sequential": "one behind the other", "random": "by key, in any order"}
PACKS = {
    "shrink": "640 x 427 to 256",
    "keep": "256 x 256 that stay so",
    "again": "256 x 256 encoded again",
}

# Cores that are ours in an undisturbed sample; who copies waits for the disk.
BUSY = {"shrink": 1.5, "keep": 0.0, "again": 1.5}


def write_records(folder: Path) -> None:
    """A file of records, of bytes that do not matter, and its index."""
    generator = random.Random(0)
    offset, lines = 0, []
    with (folder / "x.rec").open("wb") as stream:
        for key in range(RECORDS):
            lines.append(f"{key}\t{offset}\n")
            stream.write(struct.pack("<II", 0xCED7230A, RECORD_NBYTES))
            offset += 8 + stream.write(generator.randbytes(RECORD_NBYTES))
    (folder / "x.idx").write_text("".join(lines))


def write_images(folder: Path, count: int) -> None:
    """Folders `small` and `large` of JPEG images."""
    import cv2
    import numpy as np
    from sklearn.datasets import load_sample_images

    generator = random.Random(0)
    photos = [photo[:, :, ::-1] for photo in load_sample_images().images]
    for name in ("small", "large"):
        (folder / name).mkdir()
    for number in range(count):
        photo = photos[number % 2]
        top, left = generator.randrange(171), generator.randrange(384)
        small = np.ascontiguousarray(photo[top : top + 256, left : left + 256])
        large = photos[1 - number % 2].copy()
        large[100:356, 200:456] = small
        for folder_name, pixels, quality in (("small", small, 94), ("large", large, 90)):
            path = folder / folder_name / f"{number:05}.jpg"
            cv2.imwrite(str(path), pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])


def measure(options: Options) -> Report:
    """Measure record files and the packer."""
    report = Report("recordio")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        write_records(folder)
        write_images(folder, options.count(IMAGES))
        mine = stack.enter_context(ours(options.python, "recordio_actorflow", folder))
        mxnet = stack.enter_context(side("mxnet", "recordio_mxnet", folder))
        pillow = stack.enter_context(side("pillow", "recordio_pillow", folder))
        name = name_of(options.python)
        for kind, title in READS.items():
            entries = [
                Entry(f"{title}: {name}", partial(mine.ask, kind), 0.9),
                Entry(f"{title}: mxnet", partial(mxnet.ask, kind), 0.9),
            ]
            report.results += alternate(entries, options.repeats(20))
            own, peer = (report.find(entry.label) for entry in entries)
            report.judge_gain(f"{title}, of MXNet's rate", own, peer, 0.7)
        for kind, title in PACKS.items():
            entries = [
                Entry(f"{title}: {name}", partial(mine.ask, f"pack {kind}"), BUSY[kind]),
                Entry(f"{title}: {name}, one thread", partial(mine.ask, f"pack {kind} 1")),
                Entry(f"{title}: pillow", partial(pillow.ask, kind), 0.9),
            ]
            report.results += alternate(entries, options.repeats(8))
            own, _, peer = (report.find(entry.label) for entry in entries)
            report.judge_gain(f"{title}, times Pillow's rate", own, peer, 3.0)
        report.notes += [child.about for child in (mine, mxnet, pillow) if child.about]
    return report


if __name__ == "__main__":
    main(measure)
