"""How the examples show what was learned: progress, scores side by side, and some of the images."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from digits_data import Array, Digits, Score
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

Report = Callable[[float, float], None]  # called with loss and accuracy after each epoch

INK = 0.4  # pixels above it are drawn


@contextmanager
def progress(console: Console, epochs: int) -> Iterator[Report]:
    """Show a bar while epochs pass, and a line for each."""
    columns = "{task.description}", BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("training", total=epochs)

        def report(loss: float, accuracy: float) -> None:
            text = f"loss {loss:.4f}, held-out accuracy {accuracy:.3f}"
            bar.update(task, advance=1, description=text)
            bar.console.print(f"epoch {int(bar.tasks[task].completed):2}: {text}")

        yield report


class Step:
    """A callback that moves a bar after each batch, and needs no number of it."""

    def __init__(self, move: Callable[[], None]) -> None:
        self._move = move

    def __call__(self, _param: object) -> None:
        """Move the bar."""
        self._move()

    async def call_async(self, _param: object) -> None:
        """The same in a task. What has this is not kept waiting for the metric."""
        self._move()


@contextmanager
def batch_progress(console: Console, epochs: int, batches: int) -> Iterator[tuple[Step, Report]]:
    """Show a bar while batches pass, and a line for each epoch."""
    columns = "{task.description}", BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("training", total=epochs * batches)

        def report(loss: float, accuracy: float) -> None:
            text = f"loss {loss:.4f}, held-out accuracy {accuracy:.3f}"
            bar.update(task, description=text)
            done = int(bar.tasks[task].completed) // batches
            bar.console.print(f"epoch {done:2}: {text}")

        yield Step(lambda: bar.advance(task)), report


def show_scores(console: Console, title: str, scores: dict[str, Score], held_out: int) -> None:
    """Print how well the classifiers do, side by side."""
    share = max(score.accuracy for score in scores.values())
    error = (share * (1 - share) / held_out) ** 0.5
    table = Table(
        "",
        title=title,
        caption=f"{held_out} images held out, one standard error is {error:.3f}",
    )
    for name in scores:
        table.add_column(name, justify="right")
    table.add_row("held-out accuracy", *(f"{score.accuracy:.3f}" for score in scores.values()))
    table.add_row("loss", *(f"{score.loss:.4f}" for score in scores.values()))
    table.add_row("seconds", *(f"{score.seconds:.2f}" for score in scores.values()))
    console.print(table)


def show_images(console: Console, digits: Digits, chances: Array, count: int = 3) -> None:
    """Draw held-out images: some that were taken for another digit, and some that were not.

    Args:
      console: where.
      digits: the images.
      chances: (held out, 10), of each digit.
      count: how many of both kinds.
    """
    found, labels = chances.argmax(axis=1), digits.held_out_labels
    for title, chosen in (
        ("taken for another digit", np.flatnonzero(found != labels)),
        ("recognised", np.flatnonzero(found == labels)),
    ):
        text = f"\n{title}: {len(chosen)} of {len(labels)}"
        table = Table(title=text, box=None, padding=(0, 1, 0, 0), pad_edge=False)
        drawings = []
        for index in chosen[:count]:
            digit, chance = found[index], chances[index, found[index]]
            table.add_column(f"a {labels[index]}, taken for {digit} ({chance:.2f})")
            drawings.append(drawing(digits.held_out_images[index]))
        if drawings:
            table.add_row(*drawings)
            console.print(table)


def drawing(image: Array) -> Text:
    """An image of 28 x 28 pixels in 14 lines of text: a character is two pixels high.

    The first and the last column, which are paper, are left out: three images take 80 characters.
    """
    ink = image.reshape(14, 2, 28)[:, :, 1:-1] > INK
    marks = np.array([" ", "▄", "▀", "█"])[2 * ink[:, 0] + ink[:, 1]]
    return Text("\n".join("".join(line) for line in marks), no_wrap=True)
