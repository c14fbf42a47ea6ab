"""Stores of one process in actorflow.

usage: kvstore_local_actorflow.py
"""

import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import actorflow as af
from actorflow import nd
from kvstore_local import CASES, DEVICES, KINDS
from protocol import Clock, serve

ROUNDS = 20


class Store:
    """A store with keys, and what is pushed and pulled."""

    def __init__(self, kind: str, count: int, elements: int) -> None:
        self.store = af.kv.create(kind)
        self.keys = list(range(count))
        self.store.init(self.keys, [nd.zeros((elements,)) for _ in self.keys])
        self.grads, self.weights = (
            [[nd.ones((elements,), af.cpu(device)) for device in range(DEVICES)] for _ in self.keys]
            for _ in range(2)
        )
        self.each()  # the first push allocates

    def each(self) -> None:
        """A round with two calls for each key."""
        for key in self.keys:
            self.store.push(key, self.grads[key], priority=-key)
        for key in self.keys:
            self.store.pull(key, self.weights[key], priority=-key)
        self.wait()

    def list(self) -> None:
        """A round of two calls."""
        self.store.push(self.keys, self.grads)
        self.store.pull(self.keys, self.weights)
        self.wait()

    def wait(self) -> None:
        for weights in self.weights:
            for weight in weights:
                weight.wait_to_read()


def measure(kind: str, case: str, calls: str, clock: Clock) -> int:
    count, elements, _ = CASES[case]
    store = Store(kind, count, elements)
    run = store.each if calls == "each" else store.list
    with clock:
        for _ in range(ROUNDS):
            run()
    return ROUNDS


def main() -> None:
    cases = {
        f"{kind} {case} {calls}": partial(measure, kind, case, calls)
        for kind in KINDS
        for case in CASES
        for calls in ("each", "list")
    }
    serve(cases, "actorflow")


if __name__ == "__main__":
    main()
