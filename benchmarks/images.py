"""Batches from JPEG records beside MXNet 1.9.1, and training a small network from them.

The images are those of `recordio.py`: 256 x 256 pixels, about 29 KB, of which 224 x 224 are used.
Each sample is an epoch of 2,000, in training three. Training is compared with what nobody could
beat: the longest of its reading alone, its computing alone, and the processor time of both over two
cores.
"""

import random
import struct
import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from harness import Entry, Result, Sample, alternate, name_of, ours, side
from report import Options, Report, main

IMAGES = 2_000
QUALITY = 94
CORES = 2
VARIANTS = {"plain": "images", "augmented": "images, augmented"}


def write_images(folder: Path, count: int) -> None:
    """A record file of JPEG images."""
    import cv2
    import numpy as np
    from sklearn.datasets import load_sample_images

    generator = random.Random(0)
    photos = [photo[:, :, ::-1] for photo in load_sample_images().images]
    with (folder / "x.rec").open("wb") as stream:
        for number in range(count):
            top, left = generator.randrange(171), generator.randrange(384)
            part = np.ascontiguousarray(photos[number % 2][top : top + 256, left : left + 256])
            _, encoded = cv2.imencode(".jpg", part, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
            record = struct.pack("<IfQQ", 0, number % 2, number, 0) + encoded.tobytes()
            stream.write(struct.pack("<II", 0xCED7230A, len(record)) + record)
            stream.write(bytes(-len(record) % 4))


def bound(read: Result, compute: Result) -> Result:
    """For each pair of samples, the least time in which two cores could do both."""
    pairs = zip(read.samples, compute.samples, strict=False)
    least = [
        Sample(max(a.wall, b.wall, (a.cpu + b.cpu) / CORES), a.cpu + b.cpu, b.operations)
        for a, b in pairs
    ]
    return Result("least time of both on two cores", least)


def measure(options: Options) -> Report:
    """Measure images from record files."""
    report = Report("images")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        write_images(folder, options.count(IMAGES))
        mine = stack.enter_context(ours(options.python, "images_actorflow", folder))
        best = stack.enter_context(side("mxnet", "images_mxnet", folder, "best"))
        usual = stack.enter_context(side("mxnet", "images_mxnet", folder, "default"))
        name = name_of(options.python)
        alone = Entry("OpenCV's decoding alone, one thread", partial(mine.ask, "decode"), 0.9)
        for kind, title in VARIANTS.items():
            entries = [
                Entry(f"{title}: {name}, 2 workers", partial(mine.ask, kind), 1.7),
                Entry(f"{title}: mxnet, its best setting", partial(best.ask, kind), 1.7),
                Entry(f"{title}: mxnet, by default", partial(usual.ask, kind), 0.9),
                alone,
            ]
            report.results += alternate(entries, options.repeats(8))
            own, fast, slow = (report.find(entry.label) for entry in entries[:3])
            report.judge_gain(f"{title}, of MXNet's best rate", own, fast, 1.3)
            report.judge_gain(f"{title}, of MXNet's rate by default", own, slow, 2.5)
        entries = [
            Entry("reading alone", partial(mine.ask, "read"), 1.7),
            Entry("computing alone", partial(mine.ask, "compute")),
            Entry("training", partial(mine.ask, "train"), 1.7),
        ]
        report.results += alternate(entries, options.repeats(8))
        read, compute, train = (report.find(entry.label) for entry in entries)
        if read and compute:
            least = bound(read, compute)
            report.results.append(least)
            report.judge_share("training, of the least time of both", train, least, 1.05)
        report.notes += [child.about for child in (mine, best, usual) if child.about]
    return report


if __name__ == "__main__":
    main(measure)
