"""Write the golden record files of this folder: run once by hand, with the MXNet to be recorded.

`python write_records.py mxnet-1.9.1` writes `mxnet-1.9.1-records.rec`, `.idx` and `.json` beside
this file. The JSON has what the records hold, and where MXNet's reader finds them.
"""

import json
import sys
from pathlib import Path

import mxnet as mx
import numpy as np

HERE = Path(__file__).parent
MAGIC = bytes.fromhex("0a23d7ce")
PAYLOADS = [
    b"",
    b"a",
    b"four",
    MAGIC,
    MAGIC * 3,
    b"x" + MAGIC,
    b"four" + MAGIC + b"six...",
    b"four" + MAGIC + MAGIC + b"\0\0\0\0" + MAGIC[:3],
    bytes(range(256)) * 3,
]
HEADERS = [
    (0, 4.0, 2574, 0),
    (7, -0.5, 2**64 - 1, 2**63),
    (0, [1.0, 2.5, -3.0], 7, 1),
    (0, np.arange(2), 8, 0),
    (0, [], 9, 0),
]


def main(prefix):
    stem = str(HERE / f"{prefix}-records")
    records = PAYLOADS + [mx.recordio.pack(header, b"data") for header in HEADERS]
    writer = mx.recordio.MXIndexedRecordIO(stem + ".idx", stem + ".rec", "w")
    for key, record in enumerate(records):
        writer.write_idx(key * 10, record)
    writer.close()
    headers = [
        [header.flag, np.asarray(header.label).tolist(), header.id, header.id2]
        for header, _ in (mx.recordio.unpack(record) for record in records[len(PAYLOADS) :])
    ]
    told = {"records": [record.hex() for record in records], "headers": headers}
    Path(stem + ".json").write_text(json.dumps(told, indent=1) + "\n")


main(sys.argv[1])
