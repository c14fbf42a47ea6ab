"""Runs of LeNet on handwritten digits by a plain loop in PyTorch.

usage: training_torch.py FOLDER THREADS
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import torch
from torch import nn

from protocol import Clock, serve

BATCH = 64  # images per step
RATE, MOMENTUM = 0.05, 0.9
EPOCHS = 5  # of a whole run


def lenet() -> nn.Module:
    net = nn.Sequential(
        nn.Conv2d(1, 20, 5),
        nn.Tanh(),
        nn.MaxPool2d(2),
        nn.Conv2d(20, 50, 5),
        nn.Tanh(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(800, 500),
        nn.Tanh(),
        nn.Linear(500, 10),
    )
    for layer in net:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
    return net


class Runs:
    """The data, and the networks that learn from it."""

    def __init__(self, folder: Path) -> None:
        self.images, self.labels, self.held_out, self.wanted = (
            torch.from_numpy(np.load(folder / f"{name}.npy"))
            for name in ("images", "labels", "held_out_images", "held_out_labels")
        )
        self.labels, self.wanted = self.labels.long(), self.wanted.long()
        self.steps = len(self.images) // BATCH
        self.seed = 0
        self.made = {fused: self.new(fused=fused) for fused in (False, True)}

    def new(self, *, fused: bool) -> tuple[nn.Module, torch.optim.Optimizer]:
        net = lenet()
        how = {"fused": True} if fused else {"foreach": True}
        return net, torch.optim.SGD(net.parameters(), lr=RATE, momentum=MOMENTUM, **how)

    def train(self, net: nn.Module, optimizer: torch.optim.Optimizer, *, shuffle: bool) -> None:
        """An epoch; the accuracy is summed up as the metric of the others is."""
        loss = nn.CrossEntropyLoss()
        order = torch.randperm(len(self.images)) if shuffle else None
        right = torch.zeros((), dtype=torch.long)
        for step in range(self.steps):
            part = slice(step * BATCH, (step + 1) * BATCH)
            rows = part if order is None else order[part]
            images, labels = self.images[rows], self.labels[rows]
            scores = net(images)
            optimizer.zero_grad()
            loss(scores, labels).backward()
            optimizer.step()
            with torch.no_grad():
                right += (scores.argmax(1) == labels).sum()
        right.item()

    def fit(self, *, fused: bool, clock: Clock) -> int:
        with clock:
            self.train(*self.made[fused], shuffle=False)
        return self.steps

    def learn(self, clock: Clock) -> int:
        """A whole run from weights of its own; how well it does is a further figure."""
        torch.manual_seed(self.seed)
        self.seed += 1
        net, optimizer = self.new(fused=True)
        with clock:
            for _ in range(EPOCHS):
                self.train(net, optimizer, shuffle=True)
        with torch.no_grad():
            right = (net(self.held_out).argmax(1) == self.wanted).float().mean()
        clock.extra["accuracy"] = float(right)
        return EPOCHS * self.steps


if __name__ == "__main__":
    torch.set_num_threads(int(sys.argv[2]))
    runs = Runs(Path(sys.argv[1]))
    cases = {
        "fit foreach": lambda clock: runs.fit(fused=False, clock=clock),
        "fit fused": lambda clock: runs.fit(fused=True, clock=clock),
        "learn": runs.learn,
    }
    serve(cases, f"torch {torch.__version__}, {sys.argv[2]} threads")
