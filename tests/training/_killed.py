"""A run that is killed again and again: `python -m tests.training._killed KIND SEED FOLDER`.

Children train, each going on where the one before was killed, until one comes to its end; then one
trains without a break. Each child is killed at an event that chance decides: the end of a batch, or
a step of the work on files. Prints how many were killed, at what, and whether the bits are equal.
"""

import json
import os
import pathlib
import random
import shutil
import signal
import sys

import numpy as np

import actorflow as af
from actorflow import io, sym
from tests.training._networks import examples

EPOCHS = 3


def network(*, normalised, classes=3):
    net = sym.FullyConnected(sym.Variable("data"), num_hidden=8, name="fc1")
    if normalised:
        net = sym.BatchNorm(net, name="bn")
    net = sym.Dropout(sym.Activation(net, act_type="tanh", name="act"), p=0.3, name="drop")
    net = sym.FullyConnected(net, num_hidden=classes, name="fc2")
    return sym.SoftmaxOutput(net, name="softmax")


def rows(**options):
    data, label = examples(44)
    return io.NDArrayIter(data, label, 8, shuffle=True, seed=5, **options)


def ahead():
    """Momentum, a schedule, data read ahead."""
    optimizer = {
        "learning_rate": 0.1,
        "momentum": 0.9,
        "lr_scheduler": af.lr_scheduler.FactorScheduler(4, 0.7),
    }
    options = {"optimizer_params": optimizer, "checkpoint_every": 2, "eval_data": rows()}
    return af.mod.Module(network(normalised=False)), io.PrefetchingIter(rows()), options


def contexts():
    """Two contexts, whose moving means differ, a store, Adam, epochs of another length."""
    options = {"optimizer": "adam", "checkpoint_every": 3, "epoch_size": 7}
    module = af.mod.Module(network(normalised=True), context=[af.cpu(0), af.cpu(1)])
    return module, rows(last_batch_handle="roll_over"), options


def epochs():
    """A checkpoint after each epoch."""
    return af.mod.Module(network(normalised=True)), rows(), {"optimizer": "rmsprop"}


def images():
    """Images that are cut and mirrored by chance."""
    path = os.environ["IMAGES"]
    options = {"rand_crop": True, "rand_mirror": True, "shuffle": True, "seed": 3, "pad": 2}
    data = io.ImageRecordIter(path, (3, 24, 24), 2, **options)
    return af.mod.Module(network(normalised=True, classes=100)), data, {"checkpoint_every": 1}


KINDS = {each.__name__: each for each in (ahead, contexts, epochs, images)}


def train(kind, **more):
    """Train to the end; the bits of all parameters, and what the metric said."""
    module, data, options = KINDS[kind]()
    if not more:
        options.pop("checkpoint_every", None)
    af.random.seed(9)
    with af.Engine(2):
        module.fit(data, num_epoch=EPOCHS, initializer=af.init.Xavier(), **options, **more)
        params = [part for found in module.get_params() for part in found.items()]
        values = {name: value.asnumpy() for name, value in params}
        assert all(np.isfinite(each).all() for each in values.values())
        bits = {name: value.tobytes().hex() for name, value in values.items()}
        return bits | {"metric": module.report.metric, "validation": module.report.validation}


class Fate:
    """Counts events, and kills the process at one of them."""

    def __init__(self, last):
        self.left = last

    def event(self, name):
        self.left -= 1
        if self.left == 0:
            sys.stdout.write(f"{name}\n")
            sys.stdout.flush()
            os.kill(os.getpid(), signal.SIGKILL)

    def watching(self, name, function):
        def watched(*args, **kwargs):
            self.event(f"before {name}")
            result = function(*args, **kwargs)
            self.event(f"after {name}")
            return result

        return watched

    def watch(self):
        os.fsync = self.watching("fsync", os.fsync)
        pathlib.Path.rename = self.watching("rename", pathlib.Path.rename)
        pathlib.Path.mkdir = self.watching("mkdir", pathlib.Path.mkdir)
        shutil.rmtree = self.watching("rmtree", shutil.rmtree)

    def __call__(self, param):
        self.event("batch")


def child(work):
    """Run something in a process of its own; its exit code."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException:  # noqa: BLE001 -- nothing may leave this process
            sys.excepthook(*sys.exc_info())
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def main(kind, seed, folder):
    draw = random.Random(f"{kind} {seed}")
    chances = {"ahead": 150, "contexts": 150, "epochs": 60, "images": 150}

    def go_on():
        fate = Fate(draw.randint(5, chances[kind]))
        fate.watch()
        prefix = f"{folder}/run"
        found = train(kind, checkpoint=prefix, resume=True, batch_end_callback=fate)
        pathlib.Path(f"{folder}/killed").write_text(json.dumps(found))

    def whole():
        pathlib.Path(f"{folder}/whole").write_text(json.dumps(train(kind)))

    killed = 0
    while True:
        code = child(go_on)
        draw.random()  # so that the next child has another fate
        if code == 0:
            break
        assert code == -signal.SIGKILL, code
        killed += 1
    assert child(whole) == 0
    ours, theirs = (pathlib.Path(folder, name).read_text() for name in ("killed", "whole"))
    assert ours == theirs, (ours, theirs)
    sys.stdout.write(f"killed {killed} times, and the same bits\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
