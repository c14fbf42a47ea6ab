"""Batches of images from a record file, and training from them, in actorflow.

usage: images_actorflow.py FOLDER
"""

import sys
from collections import deque
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import cv2
import numpy as np

import actorflow as af
from protocol import Clock, serve

BATCH = 128
SHAPE = (3, 224, 224)
WORKERS = 2
RATE = 1e-3
EPOCHS = 3  # of training in a sample
ON_THEIR_WAY = 2  # batches
VARIANTS = {
    "plain": {},
    "augmented": {
        "rand_crop": True,
        "rand_mirror": True,
        "shuffle": True,
        "mean_r": 123,
        "mean_g": 117,
        "mean_b": 104,
        "scale": 1 / 58,
    },
}


def read(iterator: af.io.ImageRecordIter, clock: Clock) -> int:
    """Wait for one epoch's images, and use them for nothing."""
    count = 0
    with clock:
        iterator.reset()
        for batch in iterator:
            count += BATCH - batch.pad
    return count


class Trainer:
    """A small convolutional network with plain gradient descent."""

    def __init__(self) -> None:
        net = af.sym.Variable("data")
        net = af.sym.Pooling(net, kernel=(4, 4), stride=(4, 4), pool_type="avg", name="pool1")
        net = af.sym.Convolution(net, num_filter=16, kernel=(3, 3), stride=(2, 2), name="conv1")
        net = af.sym.Activation(net, act_type="relu", name="relu1")
        net = af.sym.Pooling(net, kernel=(2, 2), stride=(2, 2), pool_type="max", name="pool2")
        net = af.sym.FullyConnected(net, num_hidden=2, name="scores")
        net = af.sym.SoftmaxOutput(net, normalization="batch", name="softmax")
        inputs = ("data", "softmax_label")
        self.names = [name for name in net.list_arguments() if name not in inputs]
        wanted = dict.fromkeys(self.names, "write")
        self.executor = net.simple_bind(grad_req=wanted, data=(BATCH, *SHAPE))
        for name in self.names:
            af.random.uniform(-0.05, 0.05, out=self.executor.arg_dict[name])

    def step(self, data: af.nd.NDArray, label: af.nd.NDArray) -> None:
        self.executor.forward(is_train=True, data=data, softmax_label=label)
        self.executor.backward()
        for name in self.names:
            self.executor.arg_dict[name] -= RATE * self.executor.grad_dict[name]

    def mark(self) -> af.engine.Operation:
        """Done once all steps up to now are."""
        weights = [self.executor.arg_dict[name].resource for name in self.names]
        return af.current_engine().push(int, reads=weights, name="step")

    def wait(self) -> None:
        self.mark().wait()


def compute(trainer: Trainer, steps: int, clock: Clock) -> int:
    """As many steps as the epochs of `train` have, with a batch that is there."""
    data = af.nd.zeros((BATCH, *SHAPE))
    label = af.nd.zeros((BATCH,))
    af.nd.waitall()
    with clock:
        for _ in range(EPOCHS * steps):
            trainer.step(data, label)
        trainer.wait()
    return EPOCHS * steps * BATCH


def train(iterator: af.io.ImageRecordIter, trainer: Trainer, clock: Clock) -> int:
    """Epochs of both: the same batches, the same steps.

    As in `Module.fit`, few batches are on their way: they take 77 MB each, and memory that was
    used before is faster than new.
    """
    count = 0
    sent: deque[af.engine.Operation] = deque()
    with clock:
        for _ in range(EPOCHS):
            iterator.reset()
            for batch in iterator:
                trainer.step(batch.data[0], batch.label[0])
                count += BATCH
                sent.append(trainer.mark())
                if len(sent) > ON_THEIR_WAY:
                    sent.popleft().wait()
        trainer.wait()
    return count


def batches(iterator: af.io.ImageRecordIter, clock: Clock) -> int:
    """The same epochs without a network."""
    count = 0
    with clock:
        for _ in range(EPOCHS):
            iterator.reset()
            count += sum(BATCH for _ in iterator)
    return count


def decode(payloads: list[bytes], clock: Clock) -> int:
    """Decoding alone, in one thread, without anything around it."""
    with clock:
        for payload in payloads:
            cv2.imdecode(np.frombuffer(payload, np.uint8), cv2.IMREAD_COLOR_RGB)
    return len(payloads)


def main(folder: Path) -> None:
    path = folder / "x.rec"
    payloads = [
        bytes(af.recordio.unpack(record)[1]) for record in af.recordio.MXRecordIO(path, "r")
    ]
    with af.Engine(workers=WORKERS):
        cases = {"decode": partial(decode, payloads)}
        for name, options in VARIANTS.items():
            iterator = af.io.ImageRecordIter(path, SHAPE, BATCH, **options)
            cases[name] = partial(read, iterator)
        # Every epoch has as many batches, so that both sides of the comparison do the same.
        whole = af.io.ImageRecordIter(path, SHAPE, BATCH, round_batch=False, scale=1 / 255)
        steps = -(-len(payloads) // BATCH)
        trainer = Trainer()
        cases["compute"] = partial(compute, trainer, steps)
        cases["train"] = partial(train, whole, trainer)
        cases["read"] = partial(batches, whole)
        serve(cases, f"actorflow, OpenCV {cv2.__version__}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
