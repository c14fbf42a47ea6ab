"""Packing images with Pillow, in one process and one thread.

usage: recordio_pillow.py FOLDER
"""

import io
import struct
import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import PIL
from PIL import Image

from protocol import Clock, serve

MAGIC = 0xCED7230A
SHORTER = 256  # pixels


def record(path: Path, key: int, *, shrink: bool) -> bytes:
    """A record as it lies in a file; what the images hold has no magic number to cut at."""
    with Image.open(path) as opened:
        image = opened.convert("RGB")
    if shrink:
        side = min(image.size)
        size = (image.width * SHORTER // side, image.height * SHORTER // side)
        # The same method as ours: the nearest four pixels. Pillow's own choice takes longer.
        image = image.resize(size, Image.Resampling.BILINEAR)
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=95)
    payload = struct.pack("<IfQQ", 0, 0.0, key, 0) + stream.getvalue()
    return struct.pack("<II", MAGIC, len(payload)) + payload + bytes(-len(payload) % 4)


def pack(folder: Path, source: str, clock: Clock) -> int:
    paths = sorted((folder / source).iterdir())
    with (
        clock,
        (folder / "pillow.rec").open("wb") as records,
        (folder / "pillow.idx").open("w") as index,
    ):
        for key, path in enumerate(paths):
            index.write(f"{key}\t{records.tell()}\n")
            records.write(record(path, key, shrink=source == "large"))
    return len(paths)


def main(folder: Path) -> None:
    again = partial(pack, folder, "small")  # Pillow has no other way
    cases = {"shrink": partial(pack, folder, "large"), "keep": again, "again": again}
    serve(cases, f"Pillow {PIL.__version__}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
