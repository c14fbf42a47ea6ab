"""Files exchanged with MXNet: golden ones, and with the MXNet of AF_MXNET_PYTHON if it is set."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from actorflow.recordio import (
    IRHeader,
    MXIndexedRecordIO,
    MXRecordIO,
    pack,
    pack_img,
    part_range,
    unpack,
)

DATA = Path(__file__).parents[1] / "data"
GOLDEN = sorted(DATA.glob("mxnet-*-records.json"))
PEER = os.environ.get("AF_MXNET_PYTHON")
WITH_PEER = pytest.mark.skipif(not PEER, reason="AF_MXNET_PYTHON names no Python that has MXNet")
MAGIC = bytes.fromhex("0a23d7ce")


@pytest.fixture(params=GOLDEN, ids=lambda path: path.stem)
def golden(request):
    """The stem of the files that one MXNet wrote, and what is in them."""
    told = json.loads(request.param.read_text())
    records = [bytes.fromhex(record) for record in told["records"]]
    return request.param.with_suffix(""), records, told["headers"]


def test_there_are_golden_files():
    assert GOLDEN


def test_what_mxnet_wrote_is_read(golden):
    stem, records, _ = golden
    assert list(MXRecordIO(f"{stem}.rec", "r")) == records
    assert list(MXRecordIO(f"{stem}.rec", "r", recover=True)) == records
    with MXIndexedRecordIO(f"{stem}.idx", f"{stem}.rec", "r") as reader:
        assert reader.keys == [key * 10 for key in range(len(records))]
        assert [reader.read_idx(key) for key in reversed(reader.keys)] == records[::-1]


def test_the_same_bytes_are_written(golden, tmp_path):
    stem, records, _ = golden
    with MXIndexedRecordIO(tmp_path / "x.idx", tmp_path / "x.rec", "w") as writer:
        for key, record in enumerate(records):
            writer.write_idx(key * 10, record)
    assert (tmp_path / "x.rec").read_bytes() == Path(f"{stem}.rec").read_bytes()
    assert (tmp_path / "x.idx").read_bytes() == Path(f"{stem}.idx").read_bytes()


def test_headers_of_mxnet(golden):
    _, records, headers = golden
    for record, expected in zip(records[-len(headers) :], headers, strict=True):
        header, data = unpack(record)
        assert data == b"data"
        assert [header.flag, np.asarray(header.label).tolist(), header.id, header.id2] == expected
        assert pack(header, data) == record


# -- With a real MXNet ----------------------------------------------------------------------------


def ask(program, *words):
    """What a program prints in MXNet's Python."""
    start = "import sys, warnings\nwarnings.filterwarnings('ignore')\nimport mxnet as mx\n"
    done = subprocess.run(  # noqa: S603
        [PEER, "-c", start + program, *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        env={name: text for name, text in os.environ.items() if name != "PYTHONPATH"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


RECORDS = [
    b"",
    MAGIC * 2,
    b"odd",
    b"abcd" + MAGIC + b"tail.",
    *(pack(IRHeader(0, [1.0, 2.0] * n, n, 0), b"\xff" * n) for n in range(1, 40)),
]


@WITH_PEER
@pytest.mark.slow
def test_mxnet_reads_what_is_written_here(tmp_path):
    with MXIndexedRecordIO(tmp_path / "x.idx", tmp_path / "x.rec", "w") as writer:
        for key, record in enumerate(RECORDS):
            writer.write_idx(key, record)
    told = ask(
        "reader = mx.recordio.MXIndexedRecordIO(sys.argv[1], sys.argv[2], 'r')\n"
        "for key in reader.keys: print(reader.read_idx(key).hex())\n"
        "reader.reset()\n"
        "for key in reader.keys: print(reader.read().hex())\n"
        "print(reader.read())\n",
        tmp_path / "x.idx",
        tmp_path / "x.rec",
    )
    hexes = [record.hex() for record in RECORDS]
    assert told.split("\n") == [*hexes, *hexes, "None", ""]


@WITH_PEER
@pytest.mark.slow
def test_parts_are_those_of_mxnet(tmp_path):
    pixels = np.zeros((8, 8, 3), np.uint8)
    count = 57
    with MXRecordIO(tmp_path / "x.rec", "w") as writer:
        for number in range(count):
            pixels[: number % 8] = number
            writer.write(pack_img(IRHeader(0, float(number), number, 0), pixels))
    told = ask(
        "for parts in (1, 2, 3, 5):\n"
        "  for part in range(parts):\n"
        "    images = mx.io.ImageRecordIter(path_imgrec=sys.argv[1], data_shape=(3, 8, 8),\n"
        "      batch_size=1, num_parts=parts, part_index=part, preprocess_threads=1)\n"
        "    print(*[int(batch.label[0].asscalar()) for batch in images])\n",
        tmp_path / "x.rec",
    )
    ours = []
    for parts in (1, 2, 3, 5):
        for part in range(parts):
            begin, end = part_range(tmp_path / "x.rec", part, parts)
            records = MXRecordIO(tmp_path / "x.rec", "r", begin=begin, end=end)
            ours.append(" ".join(str(unpack(record)[0].id) for record in records))
    # MXNet also logs; its lists are the lines that begin with a digit.
    assert [line for line in told.splitlines() if line[:1].isdigit()] == ours
