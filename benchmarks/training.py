"""Runs of LeNet on real digits beside MXNet 1.9.1's Module and a plain loop of PyTorch.

28 x 28 pixels, batches of 64, gradient descent with momentum, the accuracy of each batch summed up.
A sample is an epoch of 62 steps; everything is per step. The peers run on one thread and on two.
"""

import sys
import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np

from harness import Child, Entry, alternate, name_of, ours, side
from report import Options, Report, main

THREADS = (1, 2)
TORCH = ("foreach", "fused")
WAYS = {  # contexts and workers of each
    "1 context, 2 workers": (1, 2),
    "1 context, 1 worker": (1, 1),
    "2 contexts, 1 worker each": (2, 1),
}
TWO = ("2 contexts, 1 worker each", "1 context, 2 workers")


def write_digits(folder: Path) -> None:
    """The examples' images, as files that every side can read."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
    from digits_data import load_digits

    digits = load_digits()
    for name in ("images", "held_out_images"):
        np.save(folder / f"{name}.npy", getattr(digits, name).reshape(-1, 1, 28, 28))
    for name in ("labels", "held_out_labels"):
        np.save(folder / f"{name}.npy", getattr(digits, name).astype(np.float32))


def measure(options: Options) -> Report:
    """Measure training."""
    report = Report("training")
    name = name_of(options.python)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        write_digits(folder)
        mine = {
            way: stack.enter_context(ours(options.python, "training_actorflow", folder, *how))
            for way, how in WAYS.items()
        }
        mxnet = {
            threads: stack.enter_context(
                side("mxnet", "training_mxnet", folder, OMP_NUM_THREADS=str(threads))
            )
            for threads in THREADS
        }
        torch = {
            threads: stack.enter_context(side("torch", "training_torch", folder, threads))
            for threads in THREADS
        }
        _epochs(report, options, name, mine, mxnet, torch)
        sides = {name: mine[TWO[1]], "mxnet": mxnet[2], "torch": torch[2]}
        _accuracy(report, options, sides)
        children = (*mine.values(), *mxnet.values(), *torch.values())
        report.notes += [child.about for child in children if child.about]
    return report


def _epochs(
    report: Report,
    options: Options,
    name: str,
    mine: dict[str, Child],
    mxnet: dict[int, Child],
    torch: dict[int, Child],
) -> None:
    """Measure epochs of `fit`, and the steps inside without anything around them."""
    own = {way: f"fit: {name}, {way}" for way in mine}
    bare = f"bare steps: {name}, {TWO[1]}"
    entries = [Entry(own[way], partial(child.ask, "fit"), 0.9) for way, child in mine.items()]
    entries.append(Entry(bare, partial(mine[TWO[1]].ask, "bare"), 0.9))
    peers = {
        "MXNet's Module": [
            Entry(f"fit: mxnet, {threads} threads", partial(child.ask, "fit"), 0.9)
            for threads, child in mxnet.items()
        ],
        "torch's loop": [
            Entry(f"fit: torch, {threads} threads, {how}", partial(child.ask, f"fit {how}"), 0.9)
            for threads, child in torch.items()
            for how in TORCH
        ],
    }
    for group in peers.values():
        entries += group
    report.results += alternate(entries, options.repeats(8))
    best = report.best(list(own.values()))
    for peer, group in peers.items():
        fastest = report.best([entry.label for entry in group])
        report.judge_share(f"epoch, of {peer} at its best", best, fastest, 0.85)
    one = report.find(own[TWO[1]])
    report.judge_share("epoch, of its bare steps", one, report.find(bare), 1.05)
    report.judge_share("two contexts, of one with two workers", report.find(own[TWO[0]]), one, 1)


def _accuracy(report: Report, options: Options, sides: dict[str, Child]) -> None:
    """Train with five seeds on each side, and tell how well that does on other digits."""
    if options.quick:
        return
    entries = [
        Entry(f"whole runs: {name}", partial(child.ask, "learn")) for name, child in sides.items()
    ]
    found = alternate(entries, 5)
    report.results += found
    for result in found:
        if result.samples:
            scores = [sample.extra["accuracy"] for sample in result.samples]
            spread = f"{min(scores):.4f} to {max(scores):.4f}"
            report.notes.append(f"{result.label}: accuracy {np.mean(scores):.4f} ({spread})")


if __name__ == "__main__":
    main(measure)
