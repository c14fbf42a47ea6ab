"""The metrics: each says what a batch adds to its sum and to its count."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy  # noqa: ICN001 -- `np` is one of the metrics

from actorflow.errors import ParameterError, ShapeError
from actorflow.ops import described, prod
from actorflow.training.evaluation import Arrays, EvalMetric, Part, check_label_shapes, push
from actorflow.training.registry import Registry

if TYPE_CHECKING:
    from actorflow.ndarray import NDArray
    from actorflow.ops import Memory

__all__ = [
    "F1",
    "MAE",
    "MSE",
    "RMSE",
    "Accuracy",
    "Caffe",
    "CompositeEvalMetric",
    "CrossEntropy",
    "CustomMetric",
    "EvalMetric",
    "Loss",
    "Perplexity",
    "TopKAccuracy",
    "Torch",
    "alias",
    "check_label_shapes",
    "create",
    "np",
    "register",
]

Names = Sequence[str] | None

_known: Final = Registry(EvalMetric, "metric")
register = _known.register
alias = _known.alias


def create(metric: object, *args: Any, **kwargs: Any) -> EvalMetric:
    """Make a metric.

    Args:
      metric: a metric itself, its class or its name, such as `"acc"`; a function of a label and a
        prediction, see `CustomMetric`; or a list of all these, for a `CompositeEvalMetric`.
      args, kwargs: what to make it with.

    Raises:
      ParameterError: a name that is not known, or arguments that the metric does not take.
      TypeError: something else.
    """
    if isinstance(metric, EvalMetric | str):
        return _known.create(metric, *args, **kwargs)
    if isinstance(metric, type) and issubclass(metric, EvalMetric):
        return metric(*args, **kwargs)
    if isinstance(metric, list | tuple):
        return CompositeEvalMetric([create(each, *args, **kwargs) for each in metric])
    if callable(metric):
        return CustomMetric(metric, *args, **kwargs)
    message = f"metric: needs a metric, a name, a function or a list, got {described(metric)}"
    raise TypeError(message)


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
    found: Memory = pred[numpy.arange(label.size), label]
    return found


class _PairByPair(EvalMetric):
    """A metric whose sum and count are those of its pairs."""

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
        same = found.ravel().astype(numpy.int64) == label.ravel().astype(numpy.int64)
        return float(numpy.count_nonzero(same)), same.size


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
        wanted = label.ravel().astype(numpy.int64)[:, None]
        known = (wanted >= 0) & (wanted < classes)
        score = numpy.take_along_axis(pred, numpy.where(known, wanted, 0), 1)
        later = numpy.arange(classes) > wanted
        before = ~(pred <= score) | ((pred == score) & later)
        hit = known[:, 0] & (numpy.count_nonzero(before, 1) < self.top_k)
        return float(numpy.count_nonzero(hit)), hit.size


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
        classes = label.ravel().astype(numpy.int64)
        if numpy.unique(classes).size > 2:  # noqa: PLR2004
            raise ValueError(f"{self.name}: the labels are of more than two classes")
        wanted, found = classes == 1, pred.argmax(1) == 1
        return numpy.array(
            [
                numpy.count_nonzero(found & wanted),
                numpy.count_nonzero(found & ~wanted),
                numpy.count_nonzero(wanted & ~found),
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
        rows = numpy.moveaxis(pred, self.axis, -1).reshape(label.size, -1)
        wanted = label.ravel().astype(numpy.int64)
        if self.ignore_label is not None:
            kept = wanted != self.ignore_label
            rows, wanted = rows[kept], wanted[kept]
        found = numpy.maximum(_picked(self.name, wanted, rows), 1e-10)
        return -float(numpy.log(found).sum(dtype=numpy.float64)), wanted.size

    def finish(self, total: Any, count: Any) -> float:  # noqa: ANN401
        return float(numpy.exp(super().finish(total, count)))


class _OfDifference(_PairByPair):
    """A mean over the elements of a batch; the metric is the mean over the batches."""

    def check(self, label: NDArray, pred: NDArray) -> None:
        if _as_columns(label.shape) != _as_columns(pred.shape):
            raise _sizes_differ(self.name, label, pred, "they have to be equal")

    def _pair(self, label: Memory, pred: Memory) -> tuple[float, int]:
        difference = numpy.subtract(label.reshape(pred.shape), pred, dtype=numpy.float64)
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
        return float(numpy.abs(difference).mean())


@register
class MSE(_OfDifference):
    """The mean squared difference, over the elements of a batch and then over the batches."""

    def __init__(
        self, name: str = "mse", output_names: Names = None, label_names: Names = None
    ) -> None:
        super().__init__(name, output_names=output_names, label_names=label_names)

    def _mean(self, difference: Any) -> float:  # noqa: ANN401
        return float(numpy.square(difference).mean())


@register
class RMSE(_OfDifference):
    """The root of the mean squared difference of a batch, and the mean of that over the batches."""

    def __init__(
        self, name: str = "rmse", output_names: Names = None, label_names: Names = None
    ) -> None:
        super().__init__(name, output_names=output_names, label_names=label_names)

    def _mean(self, difference: Any) -> float:  # noqa: ANN401
        return float(numpy.sqrt(numpy.square(difference).mean()))


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
        wanted = label.ravel().astype(numpy.int64)
        found = _picked(self.name, wanted, pred).astype(numpy.float64)
        return -float(numpy.log(found + self.eps).sum()), wanted.size


@register
class Loss(EvalMetric):
    """The mean of what the network gives, which is a loss itself; labels do not matter."""

    def __init__(
        self, name: str = "loss", output_names: Names = None, label_names: Names = None
    ) -> None:
        super().__init__(name, output_names=output_names, label_names=label_names)

    def part(self, labels: object, preds: Arrays) -> Part:  # noqa: ARG002
        """What `update` is to do, checked."""
        return Part(self, self._tally, [], self.listed(preds, "prediction"))

    def measure(self, labels: list[Memory], preds: list[Memory]) -> tuple[Any, Any]:  # noqa: ARG002
        total = sum(float(each.sum(dtype=numpy.float64)) for each in preds)
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


class CustomMetric(EvalMetric):
    """A function of NumPy arrays as a metric. It is called in a worker, and may keep the arrays.

    Args:
      feval: called with a label and a prediction, each a NumPy array; gives a number, which counts
        as one, or a sum and a count.
      name: what it is called; by default as the function.
      allow_extra_outputs: there may be more predictions than labels.
      output_names, label_names: as with `EvalMetric`.
    """

    quick = False

    def __init__(
        self,
        feval: Callable[[Any, Any], Any],
        name: str | None = None,
        allow_extra_outputs: bool = False,  # noqa: FBT001, FBT002
        output_names: Names = None,
        label_names: Names = None,
    ) -> None:
        if not callable(feval):
            raise TypeError(f"metric: feval has to be a function, got {described(feval)}")
        if name is None:
            name = getattr(feval, "__name__", type(feval).__name__)
            name = f"custom({name})" if "<" in name else name
        super().__init__(name, output_names=output_names, label_names=label_names)
        self._feval = feval
        self._allow_extra_outputs = allow_extra_outputs

    def paired(self, labels: Arrays, preds: Arrays) -> tuple[list[NDArray], list[NDArray]]:
        """Labels and predictions as lists, without extra ones."""
        if self._allow_extra_outputs:
            found = self.listed(labels, "label"), self.listed(preds, "prediction")
            count = min(map(len, found))
            labels, preds = found[0][:count], found[1][:count]
        return super().paired(labels, preds)

    def measure(self, labels: list[Memory], preds: list[Memory]) -> tuple[Any, Any]:
        total, count = 0.0, 0
        for label, pred in zip(labels, preds, strict=True):
            found = self._feval(label.copy(), pred.copy())
            one, many = found if isinstance(found, tuple) else (found, 1)
            total, count = total + one, count + many
        return total, count


def np(
    numpy_feval: Callable[[Any, Any], Any],
    name: str | None = None,
    allow_extra_outputs: bool = False,  # noqa: FBT001, FBT002
) -> CustomMetric:
    """A metric of a function of NumPy arrays; the same as `CustomMetric`."""
    return CustomMetric(numpy_feval, name, allow_extra_outputs)


@register
@alias("composite")
class CompositeEvalMetric(EvalMetric):
    """Several metrics as one: all are updated by one operation.

    Args:
      metrics: what `create` takes, each.
      name, output_names, label_names: as with `EvalMetric`.

    Attributes:
      metrics: the metrics.
    """

    def __init__(
        self,
        metrics: Sequence[object] | None = None,
        name: str = "composite",
        output_names: Names = None,
        label_names: Names = None,
    ) -> None:
        self.metrics = [create(each) for each in metrics or ()]
        super().__init__(name, output_names=output_names, label_names=label_names)

    def add(self, metric: object) -> None:
        """Add a metric, or what `create` makes one of."""
        self.metrics.append(create(metric))

    def get_metric(self, index: int) -> EvalMetric:
        """One of the metrics.

        Raises:
          IndexError: there is none of that number.
        """
        if not -len(self.metrics) <= index < len(self.metrics):
            raise IndexError(f"{self.name}: metric {index} of {len(self.metrics)}")
        return self.metrics[index]

    def update(self, labels: Arrays, preds: Arrays) -> None:
        """Take one more batch into account, without waiting for it; see `EvalMetric.update`."""
        self._update([(each, labels, preds) for each in self.metrics])

    def update_dict(self, label: Mapping[str, NDArray], pred: Mapping[str, NDArray]) -> None:
        """Do like `update`; each metric picks its arrays from those that this one picks."""
        labels, preds = self.chosen(label, pred)
        label = dict(zip(self.label_names or label, labels, strict=True))
        pred = dict(zip(self.output_names or pred, preds, strict=True))
        self._update([(each, *each.chosen(label, pred)) for each in self.metrics])

    def _update(self, batches: Sequence[tuple[EvalMetric, Arrays, Arrays]]) -> None:
        # Who has an `update` of its own may do anything there, so it is called.
        lazy = [each for each in batches if type(each[0]).update is EvalMetric.update]
        own = [each for each in batches if type(each[0]).update is not EvalMetric.update]
        parts = [metric.part(labels, preds) for metric, labels, preds in lazy]
        if parts:
            push(parts, f"metric {self.name}", quick=all(each.metric.quick for each in parts))
        for metric, labels, preds in own:
            metric.update(labels, preds)

    def reset(self) -> None:
        """Begin again with all metrics."""
        for each in self.metrics:
            each.reset()

    def reset_local(self) -> None:
        """Begin again for `get`; `get_global` goes on."""
        for each in self.metrics:
            each.reset_local()

    def get(self) -> tuple[list[str], list[float]]:
        """Wait for all batches so far; return the names and the numbers.

        Raises:
          WouldBlockError, Exception: as `EvalMetric.get`.
        """
        return _unzipped(each.get_name_value() for each in self.metrics)

    async def get_async(self) -> tuple[list[str], list[float]]:
        """Do like `get` in a trio or asyncio task."""
        return _unzipped([await each.get_name_value_async() for each in self.metrics])

    def get_global(self) -> tuple[list[str], list[float]]:
        """Do like `get` for all batches since `reset`."""
        return _unzipped(each.get_global_name_value() for each in self.metrics)

    async def wait_async(self) -> None:
        """Wait in a trio or asyncio task until all batches so far are done."""
        for each in self.metrics:
            await each.wait_async()


def _unzipped(pairs: Iterable[list[tuple[str, float]]]) -> tuple[list[str], list[float]]:
    flat = [pair for several in pairs for pair in several]
    return [name for name, _ in flat], [value for _, value in flat]
