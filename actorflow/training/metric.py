"""Metrics that are made of others or of functions, and `create`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actorflow.ops import described
from actorflow.training.evaluation import EvalMetric, alias, check_label_shapes, known, register
from actorflow.training.measures import (
    F1,
    MAE,
    MSE,
    RMSE,
    Accuracy,
    Caffe,
    CrossEntropy,
    Loss,
    Perplexity,
    TopKAccuracy,
    Torch,
)
from actorflow.training.tally import push

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from actorflow.ndarray import NDArray
    from actorflow.ops import Memory
    from actorflow.training.evaluation import Arrays
    from actorflow.training.measures import Names
    from actorflow.training.tally import Sums, Tally

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
        return known.create(metric, *args, **kwargs)
    if isinstance(metric, type) and issubclass(metric, EvalMetric):
        return metric(*args, **kwargs)
    if isinstance(metric, list | tuple):
        return CompositeEvalMetric([create(each, *args, **kwargs) for each in metric])
    if callable(metric):
        return CustomMetric(metric, *args, **kwargs)
    message = f"metric: needs a metric, a name, a function or a list, got {described(metric)}"
    raise TypeError(message)


class CustomMetric(EvalMetric):
    """A function of NumPy arrays as a metric. It is called in a worker, and may keep the arrays.

    Args:
      feval: called with a label and a prediction, each a NumPy array; gives a number, which counts
        as one, or a sum and a count.
      name: what it is called; by default as the function.
      allow_extra_outputs: there may be more predictions than labels.
      output_names, label_names: as with `EvalMetric`.
    """

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
        self.metrics: list[EvalMetric] = []  # which a new metric begins again: those given do not
        super().__init__(name, output_names=output_names, label_names=label_names)
        self.metrics += map(create, metrics or ())

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

    def tallies(self) -> list[Tally]:
        """Where the sums of all metrics are."""
        return [tally for each in self.metrics for tally in each.tallies()]

    def restore(self, sums: Sequence[Sums]) -> None:
        """Take over the sums of all metrics."""
        for each in self.metrics:
            count = len(each.tallies())
            each.restore(sums[:count])
            sums = sums[count:]

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
