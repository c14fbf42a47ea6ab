"""What labels and predictions say of a network: each metric's sum and count of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from actorflow.errors import ParameterError, ShapeError
from actorflow.ops import prod
from actorflow.training.evaluation import EvalMetric, alias, register
from actorflow.training.tally import Part

if TYPE_CHECKING:
    from actorflow.ndarray import NDArray
    from actorflow.ops import Memory
    from actorflow.training.evaluation import Arrays

__all__ = [
    "F1",
    "MAE",
    "MSE",
    "RMSE",
    "Accuracy",
    "Caffe",
    "CrossEntropy",
    "Loss",
    "Perplexity",
    "TopKAccuracy",
    "Torch",
]

Names = Sequence[str] | None


def _sizes_differ(who: str, label: NDArray, pred: NDArray, needs: str) -> ShapeError:
    message = f"{who}: the labels have shape {label.shape} and the predictions {pred.shape}; "
    return ShapeError(message + needs)


def _check_classes(who: str, label: NDArray, pred: NDArray) -> None:
    """Raise unless the predictions are a row of scores for each label."""
    if pred.ndim != 2 or pred.shape[0] != label.size:  # noqa: PLR2004
        needs = "needs a row of scores for each label"
        raise _sizes_differ(who, label, pred, needs)


def _picked(who: str, label: Memory, pred: Memory) -> Memory:
    """From each row of predictions the one that the label names.

    Raises:
      IndexError: a label names none.
    """
    classes = pred.shape[1]
    if label.size and not (label.min() >= 0 and label.max() < classes):
        wrong = label[(label < 0) | (label >= classes)][0]
        raise IndexError(f"{who}: label {wrong} is none of the {classes} classes from 0 on")
    found: Memory = pred[np.arange(label.size), label]
    return found


class _PairByPair(EvalMetric):
    """A metric whose sum and count are those of its pairs."""

    quick = True

    def measure(self, labels: list[Memory], preds: list[Memory]) -> tuple[Any, Any]:
        totals, counts = zip(*map(self._pair, labels, preds), strict=True)
        return sum(totals), sum(counts)

    def _pair(self, label: Memory, pred: Memory) -> tuple[float, int]:
        """What one label and one prediction add."""
        raise NotImplementedError


@register
@alias("acc")
class Accuracy(_PairByPair):
    """The share of labels that are where the scores are greatest.

    Args:
      axis: of the predictions, along which the classes lie. Predictions of the labels' own shape
        are classes already.
      name, output_names, label_names: as with `EvalMetric`.
    """

    def __init__(
        self,
        axis: int = 1,
        name: str = "accuracy",
        output_names: Names = None,
        label_names: Names = None,
    ) -> None:
        super().__init__(name, output_names=output_names, label_names=label_names)
        self.axis = axis

    def check(self, label: NDArray, pred: NDArray) -> None:
        if label.shape == pred.shape:
            return
        if not -pred.ndim <= self.axis < pred.ndim:
            needs = f"needs an axis {self.axis} of scores"
            raise _sizes_differ(self.name, label, pred, needs)
        shape = list(pred.shape)
        classes = shape.pop(self.axis)
        if prod(tuple(shape)) != label.size or classes == 0:
            needs = f"needs scores along axis {self.axis} for each label"
            raise _sizes_differ(self.name, label, pred, needs)

    def _pair(self, label: Memory, pred: Memory) -> tuple[float, int]:
        found = pred if pred.shape == label.shape else pred.argmax(self.axis)
        same = found.ravel().astype(np.int64) == label.ravel().astype(np.int64)
        return float(np.count_nonzero(same)), same.size


@register
@alias("top_k_accuracy", "top_k_acc")
class TopKAccuracy(_PairByPair):
    """The share of labels that are among the `top_k` greatest scores of their rows.

    Of equal scores the later class counts as the greater one. A score that is NaN is greater than
    all others, and its own class is never found.

    Args:
      top_k: how many.
      name: what it is called, with `_<top_k>` behind it.
      output_names, label_names: as with `EvalMetric`.

    Raises:
      ParameterError: `top_k` is less than 1.
    """

    def __init__(
        self,
        top_k: int = 1,
        name: str = "top_k_accuracy",
        output_names: Names = None,
        label_names: Names = None,
    ) -> None:
        if not isinstance(top_k, int) or top_k < 1:
            raise ParameterError(f"{name}: top_k is at least 1, got {top_k!r}")
        super().__init__(f"{name}_{top_k}", output_names=output_names, label_names=label_names)
        self.top_k = top_k

    def check(self, label: NDArray, pred: NDArray) -> None:
        _check_classes(self.name, label, pred)

    def _pair(self, label: Memory, pred: Memory) -> tuple[float, int]:
        classes = pred.shape[1]
        wanted = label.ravel().astype(np.int64)[:, None]
        known = (wanted >= 0) & (wanted < classes)
        score = np.take_along_axis(pred, np.where(known, wanted, 0), 1)
        later = np.arange(classes) > wanted
        before = ~(pred <= score) | ((pred == score) & later)
        hit = known[:, 0] & (np.count_nonzero(before, 1) < self.top_k)
        return float(np.count_nonzero(hit)), hit.size


@register
class F1(EvalMetric):
    """The harmonic mean of precision and recall of class 1 among two classes.

    Args:
      name, output_names, label_names: as with `EvalMetric`.
      average: `"macro"` for the mean of the batches' numbers, `"micro"` for the number of all
        batches together.

    Raises:
      ParameterError: another average.
    """

    quick = True

    def __init__(
        self,
        name: str = "f1",
        output_names: Names = None,
        label_names: Names = None,
        average: str = "macro",
    ) -> None:
        if average not in {"macro", "micro"}:
            raise ParameterError(f"{name}: average is 'macro' or 'micro', got {average!r}")
        super().__init__(name, output_names=output_names, label_names=label_names)
        self.average = average

    def check(self, label: NDArray, pred: NDArray) -> None:
        _check_classes(self.name, label, pred)

    def measure(self, labels: list[Memory], preds: list[Memory]) -> tuple[Any, Any]:
        stats = sum(map(self._counts, labels, preds))
        if self.average == "macro":
            return _f1(stats), 1
        return stats, sum(each.size for each in labels)

    def finish(self, total: Any, count: Any) -> float:  # noqa: ANN401
        if self.average == "macro" or not count:
            return super().finish(total, count)
        return _f1(total)

    def _counts(self, label: Memory, pred: Memory) -> Any:  # noqa: ANN401
        """True positives, false positives and false negatives."""
        classes = label.ravel().astype(np.int64)
        if np.unique(classes).size > 2:  # noqa: PLR2004
            raise ValueError(f"{self.name}: the labels are of more than two classes")
        wanted, found = classes == 1, pred.argmax(1) == 1
        return np.array(
            [
                np.count_nonzero(found & wanted),
                np.count_nonzero(found & ~wanted),
                np.count_nonzero(wanted & ~found),
            ]
        )


def _f1(stats: Any) -> float:  # noqa: ANN401
    hits, wrong, missed = stats
    return float(2 * hits / (2 * hits + wrong + missed)) if hits else 0.0


@register
class Perplexity(_PairByPair):
    """The exponential of the mean of `-log(probability of the label)`; at least 1e-10 is taken.

    Args:
      ignore_label: labels that do not count, such as those of padding; None if all do.
      axis: of the predictions, along which the classes lie.
      name, output_names, label_names: as with `EvalMetric`.
    """

    def __init__(
        self,
        ignore_label: int | None = None,
        axis: int = -1,
        name: str = "perplexity",
        output_names: Names = None,
        label_names: Names = None,
    ) -> None:
        super().__init__(name, output_names=output_names, label_names=label_names)
        self.ignore_label = ignore_label
        self.axis = axis

    def check(self, label: NDArray, pred: NDArray) -> None:
        fits = -pred.ndim <= self.axis < pred.ndim
        if not fits or label.size * pred.shape[self.axis] != pred.size:
            needs = f"needs probabilities along axis {self.axis} for each label"
            raise _sizes_differ(self.name, label, pred, needs)

    def _pair(self, label: Memory, pred: Memory) -> tuple[float, int]:
        rows = np.moveaxis(pred, self.axis, -1).reshape(label.size, -1)
        wanted = label.ravel().astype(np.int64)
        if self.ignore_label is not None:
            kept = wanted != self.ignore_label
            rows, wanted = rows[kept], wanted[kept]
        found = np.maximum(_picked(self.name, wanted, rows), 1e-10)
        return -float(np.log(found).sum(dtype=np.float64)), wanted.size

    def finish(self, total: Any, count: Any) -> float:  # noqa: ANN401
        return float(np.exp(super().finish(total, count)))


class _OfDifference(_PairByPair):
    """A mean over the elements of a batch; the metric is the mean over the batches."""

    def check(self, label: NDArray, pred: NDArray) -> None:
        if _as_columns(label.shape) != _as_columns(pred.shape):
            raise _sizes_differ(self.name, label, pred, "they have to be equal")

    def _pair(self, label: Memory, pred: Memory) -> tuple[float, int]:
        difference = np.subtract(label.reshape(pred.shape), pred, dtype=np.float64)
        return self._mean(difference), 1

    def _mean(self, difference: Any) -> float:  # noqa: ANN401
        raise NotImplementedError


def _as_columns(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (*shape, 1) if len(shape) == 1 else shape


@register
class MAE(_OfDifference):
    """The mean absolute difference, over the elements of a batch and then over the batches."""

    def __init__(
        self, name: str = "mae", output_names: Names = None, label_names: Names = None
    ) -> None:
        super().__init__(name, output_names=output_names, label_names=label_names)

    def _mean(self, difference: Any) -> float:  # noqa: ANN401
        return float(np.abs(difference).mean())


@register
class MSE(_OfDifference):
    """The mean squared difference, over the elements of a batch and then over the batches."""

    def __init__(
        self, name: str = "mse", output_names: Names = None, label_names: Names = None
    ) -> None:
        super().__init__(name, output_names=output_names, label_names=label_names)

    def _mean(self, difference: Any) -> float:  # noqa: ANN401
        return float(np.square(difference).mean())


@register
class RMSE(_OfDifference):
    """The root of the mean squared difference of a batch, and the mean of that over the batches."""

    def __init__(
        self, name: str = "rmse", output_names: Names = None, label_names: Names = None
    ) -> None:
        super().__init__(name, output_names=output_names, label_names=label_names)

    def _mean(self, difference: Any) -> float:  # noqa: ANN401
        return float(np.sqrt(np.square(difference).mean()))


@register
@alias("ce", "cross-entropy")
class CrossEntropy(_PairByPair):
    """The mean of `-log(p + eps)` for the probabilities of the labels.

    Args:
      eps: keeps the logarithm finite.
      name, output_names, label_names: as with `EvalMetric`.
    """

    def __init__(
        self,
        eps: float = 1e-12,
        name: str = "cross-entropy",
        output_names: Names = None,
        label_names: Names = None,
    ) -> None:
        super().__init__(name, output_names=output_names, label_names=label_names)
        self.eps = eps

    def check(self, label: NDArray, pred: NDArray) -> None:
        _check_classes(self.name, label, pred)

    def _pair(self, label: Memory, pred: Memory) -> tuple[float, int]:
        wanted = label.ravel().astype(np.int64)
        found = _picked(self.name, wanted, pred).astype(np.float64)
        return -float(np.log(found + self.eps).sum()), wanted.size


@register
class Loss(EvalMetric):
    """The mean of what the network gives, which is a loss itself; labels do not matter."""

    quick = True

    def __init__(
        self, name: str = "loss", output_names: Names = None, label_names: Names = None
    ) -> None:
        super().__init__(name, output_names=output_names, label_names=label_names)

    def part(self, labels: object, preds: Arrays) -> Part:  # noqa: ARG002
        """What `update` is to do, checked."""
        return Part(self, self._tally, [], self.listed(preds, "prediction"))

    def measure(self, labels: list[Memory], preds: list[Memory]) -> tuple[Any, Any]:  # noqa: ARG002
        total = sum(float(each.sum(dtype=np.float64)) for each in preds)
        return total, sum(each.size for each in preds)


@register
class Torch(Loss):
    """`Loss` by the name that it has for criteria of Torch."""

    def __init__(
        self, name: str = "torch", output_names: Names = None, label_names: Names = None
    ) -> None:
        super().__init__(name, output_names, label_names)


@register
class Caffe(Loss):
    """`Loss` by the name that it has for layers of Caffe."""

    def __init__(
        self, name: str = "caffe", output_names: Names = None, label_names: Names = None
    ) -> None:
        super().__init__(name, output_names, label_names)
