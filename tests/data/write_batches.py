"""Write the golden batches of this folder: run once by hand, with the MXNet to be recorded.

`python write_batches.py mxnet-1.9.1` writes `mxnet-1.9.1-batches.json` beside this file: for each
iterator and each epoch the batches, as lists of data, labels and pad.
"""

import json
import struct
import sys
import tempfile
from pathlib import Path

import mxnet as mx
import numpy as np

HERE = Path(__file__).parent
FIVE = np.arange(5)
SENTENCES = ["a b a", "b c", "d a b c", "c b a d e f g"]


def epochs(iterator, count=3):
    told = []
    for _ in range(count):
        told.append(
            [
                [
                    [array.asnumpy().tolist() for array in batch.data],
                    [array.asnumpy().tolist() for array in batch.label],
                    batch.pad,
                ]
                for batch in iterator
            ]
        )
        iterator.reset()
    return told


def main(prefix):
    told = {}
    for last in ("pad", "discard", "roll_over"):
        for size in (2, 3, 5):
            iterator = mx.io.NDArrayIter(FIVE, FIVE * 10, size, last_batch_handle=last)
            told[f"NDArrayIter {last} {size}"] = epochs(iterator)
    told["NDArrayIter pad 12"] = epochs(mx.io.NDArrayIter(FIVE, FIVE * 10, 12))
    with tempfile.TemporaryDirectory() as folder:
        data, labels = Path(folder, "data.csv"), Path(folder, "labels.csv")
        data.write_text("".join(f"{i},{i + 0.5}\n" for i in range(5)))
        labels.write_text("".join(f"{i * 10}\n" for i in range(5)))
        for size in (2, 3, 5):
            told[f"CSVIter {size}"] = epochs(
                mx.io.CSVIter(
                    data_csv=str(data), data_shape=(2,), label_csv=str(labels), batch_size=size
                )
            )
        images, digits = Path(folder, "images"), Path(folder, "digits")
        images.write_bytes(struct.pack(">4I", 0x803, 7, 2, 2) + bytes(range(28)))
        digits.write_bytes(struct.pack(">2I", 0x801, 7) + bytes(range(7)))
        for flat in (False, True):
            told[f"MNISTIter {int(flat)}"] = epochs(
                mx.io.MNISTIter(
                    image=str(images),
                    label=str(digits),
                    batch_size=2,
                    shuffle=False,
                    flat=flat,
                    silent=True,
                )
            )
    words = [sentence.split() for sentence in SENTENCES]
    told["encode_sentences"] = mx.rnn.encode_sentences(words, start_label=1, invalid_label=0)
    (HERE / f"{prefix}-batches.json").write_text(json.dumps(told) + "\n")


main(sys.argv[1])
