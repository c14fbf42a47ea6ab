"""What a metric is: a tally that operations add to, and that is read when somebody asks.

`update` pushes an operation and returns; labels and predictions may still be computed. Only `get`
waits. A tally is a resource of its own, so the operations of one metric follow each other, and what
made one fail is raised by `get`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from actorflow.engine import current_engine
from actorflow.errors import ParameterError, ShapeError, WouldBlockError
from actorflow.ndarray import NDArray
from actorflow.ops import described, meant
from actorflow.training.registry import Registry
from actorflow.training.tally import Part, Tally, push

if TYPE_CHECKING:
    from collections.abc import Callable

    from actorflow.engine import Engine
    from actorflow.ops import Memory
    from actorflow.training.tally import Sums

__all__ = ["Arrays", "EvalMetric", "alias", "check_label_shapes", "known", "register"]

Arrays = NDArray | Sequence[NDArray]


class EvalMetric:
    """A number that says how good predictions are, over many batches.

    A metric of one's own overrides `measure`, which then runs in a worker; or, as in MXNet,
    `update`, which adds to `sum_metric` and `num_inst` and waits for what it reads.

    Args:
      name: what it is called in logs.
      num: how many numbers it has, if it is not one; these are `<name>_0` and so on then, and
        `sum_metric` and `num_inst` are lists.
      output_names: the outputs that `update_dict` takes; by default all.
      label_names: the labels that `update_dict` takes; by default all.
    """

    quick = False
    """Whether `measure` takes microseconds for small arrays, so that any thread may call it."""

    def __init__(
        self,
        name: str,
        num: int | None = None,
        output_names: Sequence[str] | None = None,
        label_names: Sequence[str] | None = None,
    ) -> None:
        if num is not None and (not isinstance(num, int) or num < 1):
            raise ParameterError(f"{name}: num is a count of at least 1 or None, got {num!r}")
        self.name = str(name)
        self.num = num
        self.output_names = output_names
        self.label_names = label_names
        self._tally = self._fresh()
        self.reset()

    # -- For metrics of one's own -----------------------------------------------------------------

    def measure(self, labels: list[Memory], preds: list[Memory]) -> tuple[Any, Any]:
        """What a batch adds to the sum and to the count; called in a worker.

        Args:
          labels: NumPy arrays, which are another operation's afterwards: keep none, change none.
          preds: the same.

        Returns:
          A number, or a NumPy array of any shape, that is added to `sum_metric`, and one for
          `num_inst`; with `num` lists of so many.
        """
        raise NotImplementedError(
            f"{type(self).__name__}: a metric of one's own needs measure() or update()"
        )

    def finish(self, total: Any, count: Any) -> float:  # noqa: ANN401
        """The metric's number, from the sum and the count of all batches; NaN without batches."""
        return float(total / count) if count else float("nan")

    def check(self, label: NDArray, pred: NDArray) -> None:
        """Raise if `measure` cannot take these; called by `update`, for each pair.

        Raises:
          ShapeError: the shapes do not fit each other.
        """

    # -- Batches ----------------------------------------------------------------------------------

    def update(self, labels: Arrays, preds: Arrays) -> None:
        """Take one more batch into account, without waiting for it.

        Args:
          labels: the labels, one array or several.
          preds: the predictions, as many.

        Raises:
          ShapeError: there are not as many, or their shapes do not fit.
          TypeError: something is no NDArray.
        """
        push([self.part(labels, preds)], f"metric {self.name}", quick=self.quick)

    def part(self, labels: Arrays, preds: Arrays) -> Part:
        """What `update` is to do, checked."""
        labels, preds = self.paired(labels, preds)
        for label, pred in zip(labels, preds, strict=False):
            self.check(label, pred)
        return Part(self, self._tally, labels, preds)

    def paired(self, labels: Arrays, preds: Arrays) -> tuple[list[NDArray], list[NDArray]]:
        """Labels and predictions as lists.

        Raises:
          ShapeError: they are not equally many.
          TypeError: something is no NDArray.
        """
        labels, preds = self.listed(labels, "label"), self.listed(preds, "prediction")
        if len(labels) != len(preds):
            message = f"{self.name}: {len(labels)} labels for {len(preds)} predictions"
            raise ShapeError(message)
        return labels, preds

    def listed(self, arrays: object, what: str) -> list[NDArray]:
        """One array or several, as a list.

        Raises:
          TypeError: something is no NDArray.
        """
        if isinstance(arrays, NDArray):
            return [arrays]
        if not isinstance(arrays, Sequence) or isinstance(arrays, str):
            message = f"{self.name}: needs each {what} as an NDArray, got {described(arrays)}"
            raise TypeError(message)
        for each in arrays:
            if not isinstance(each, NDArray):
                message = f"{self.name}: needs each {what} as an NDArray, got {described(each)}"
                raise TypeError(message)
        return list(arrays)

    def update_dict(self, label: Mapping[str, NDArray], pred: Mapping[str, NDArray]) -> None:
        """Do like `update` with those of the arrays that `label_names` and `output_names` name.

        Raises:
          ParameterError: one of the names is not there.
          ShapeError, TypeError: as with `update`.
        """
        self.update(*self.chosen(label, pred))

    def chosen(
        self, label: Mapping[str, NDArray], pred: Mapping[str, NDArray]
    ) -> tuple[list[NDArray], list[NDArray]]:
        """The arrays that `label_names` and `output_names` name."""
        return (
            _named(self.name, "label", label, self.label_names),
            _named(self.name, "output", pred, self.output_names),
        )

    def reset(self) -> None:
        """Begin again. Batches before do not count any more, nor does what made one fail."""
        self._tally = self._fresh()

    def reset_local(self) -> None:
        """Begin again for `get`; `get_global` goes on from the last `reset`."""
        tally = self._tally
        current_engine().push(
            partial(tally.begin, self.num),
            updates=[tally],
            name=f"metric {self.name}: reset_local",
            quick=True,
        )

    def tallies(self) -> list[Tally]:
        """Where its sums are, until the next `reset`; a checkpoint keeps what is in them."""
        return [self._tally]

    def restore(self, sums: Sequence[Sums]) -> None:
        """Take sums over, as many as there are `tallies`, instead of those that it has."""
        self._tally = self._fresh()
        self._tally.put(sums[0])

    def _fresh(self) -> Tally:
        return Tally(f"metric {self.name}", self.num)

    # -- Numbers ----------------------------------------------------------------------------------

    def get(self) -> tuple[Any, Any]:
        """Wait for all batches so far; return the name and the number.

        Returns:
          A name and a number, NaN if there were no batches; lists of both where `num` is given.

        Raises:
          WouldBlockError: batches are not done, inside a running event loop: `await get_async()`.
          Exception: what made a batch fail.
        """
        return self._named(self._read(_local))

    async def get_async(self) -> tuple[Any, Any]:
        """Do like `get` in a trio or asyncio task."""
        if type(self).get is not EvalMetric.get:
            await self.wait_async()
            return self.get()
        tally = self._tally
        read = partial(_local, tally)
        return self._named(await _engine_of(tally).read_async(read, (tally,), tally.name))

    def get_global(self) -> tuple[Any, Any]:
        """Do like `get` for all batches since `reset`, whatever `reset_local` did."""
        return self._named(self._read(Tally.everything))

    def get_name_value(self) -> list[tuple[str, float]]:
        """Pairs of a name and a number; raises what `get` raises."""
        return _pairs(*self.get())

    async def get_name_value_async(self) -> list[tuple[str, float]]:
        """Do like `get_name_value` in a trio or asyncio task."""
        return _pairs(*await self.get_async())

    def get_global_name_value(self) -> list[tuple[str, float]]:
        """Pairs of a name and a number; raises what `get_global` raises."""
        return _pairs(*self.get_global())

    async def wait_async(self) -> None:
        """Wait in a trio or asyncio task until all batches so far are done.

        Raises:
          Exception: what made a batch fail.
        """
        tally = self._tally
        await _engine_of(tally).wait_async(tally)

    @property
    def sum_metric(self) -> Any:  # noqa: ANN401
        """The sum so far; to read it waits, as `get` does."""
        return self._read(lambda tally: tally.total)

    @sum_metric.setter
    def sum_metric(self, value: Any) -> None:  # noqa: ANN401
        self._set("total", value)

    @property
    def num_inst(self) -> Any:  # noqa: ANN401
        """The count so far; to read it waits, as `get` does."""
        return self._read(lambda tally: tally.count)

    @num_inst.setter
    def num_inst(self, value: Any) -> None:  # noqa: ANN401
        self._set("count", value)

    def _set(self, field: str, value: Any) -> None:  # noqa: ANN401
        tally = self._tally
        current_engine().push(
            partial(setattr, tally, field, value),
            updates=[tally],
            name=f"metric {self.name}",
            quick=True,
        )

    def _read(self, fn: Callable[[Tally], Any]) -> Any:  # noqa: ANN401
        tally = self._tally
        try:
            return _engine_of(tally).read(partial(fn, tally), (tally,), tally.name)
        except WouldBlockError as error:
            error.add_note(
                f"{self.name}: in an event loop, write `await metric.get_async()`, "
                "or `await metric.wait_async()` before"
            )
            raise

    def _named(self, read: tuple[Any, Any]) -> tuple[Any, Any]:
        total, count = read
        if self.num is None:
            return self.name, self.finish(total, count)
        names = [f"{self.name}_{i}" for i in range(self.num)]
        return names, [self.finish(*each) for each in zip(total, count, strict=True)]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"


def _local(tally: Tally) -> tuple[Any, Any]:
    return tally.total, tally.count


def _engine_of(tally: Tally) -> Engine:
    owner = tally.owner
    return current_engine() if owner is None or tally.idle else owner


def _pairs(name: Any, value: Any) -> list[tuple[str, float]]:  # noqa: ANN401
    names = name if isinstance(name, list) else [name]
    values = value if isinstance(value, list) else [value]
    return list(zip(names, values, strict=True))


def _named(
    who: str, what: str, given: Mapping[str, NDArray], names: Sequence[str] | None
) -> list[NDArray]:
    if names is None:
        return list(given.values())
    for name in names:
        if name not in given:
            raise ParameterError(f"{who}: no {what} is called {name!r}; {meant(name, given)}")
    return [given[name] for name in names]


known: Final = Registry(EvalMetric, "metric")
"""The metrics by name."""
register = known.register
alias = known.alias


def check_label_shapes(
    labels: Any,  # noqa: ANN401 -- arrays or lists of them
    preds: Any,  # noqa: ANN401
    wrap: bool = False,  # noqa: FBT001, FBT002
    shape: bool = False,  # noqa: FBT001, FBT002
) -> tuple[Any, Any]:
    """Compare labels with predictions: how many there are, or their shapes.

    Args:
      labels: arrays of labels, or one array.
      preds: predictions in the same way.
      wrap: give one array as a list.
      shape: compare the shapes of two arrays, not the lengths.

    Returns:
      Both.

    Raises:
      ShapeError: they differ.
    """
    if wrap:
        labels = [labels] if isinstance(labels, NDArray) else labels
        preds = [preds] if isinstance(preds, NDArray) else preds
    ours: tuple[int, ...] | int = labels.shape if shape else len(labels)
    theirs: tuple[int, ...] | int = preds.shape if shape else len(preds)
    if ours != theirs:
        what = "shapes" if shape else "lengths"
        raise ShapeError(f"the {what} of labels and predictions differ: {ours} and {theirs}")
    return labels, preds
