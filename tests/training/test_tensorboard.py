"""Numbers in event files."""

import sys

import pytest

from actorflow import callback, metric, nd
from actorflow.callback import BatchEndParam
from actorflow.errors import MissingExtraError, ParameterError
from tests.training._events import scalars


def test_a_point_for_each_batch_that_is_due(tmp_path):
    pytest.importorskip("tensorboardX")
    loss = metric.Loss()
    write = callback.LogMetricsCallback(tmp_path, prefix="training", frequent=2)
    for batch in range(5):
        loss.reset()
        loss.update([], nd.full(4, float(batch)))
        write(BatchEndParam(0, batch, loss))
    write.close()
    assert scalars(tmp_path) == [("training-loss", 2, 1.0), ("training-loss", 4, 3.0)]


def test_a_call_without_a_metric_writes_nothing(tmp_path):
    pytest.importorskip("tensorboardX")
    write = callback.LogMetricsCallback(tmp_path)
    write(BatchEndParam(0, 0, None))
    write.close()
    assert scalars(tmp_path) == []


def test_in_a_task_it_awaits_the_metric(tmp_path):
    pytest.importorskip("tensorboardX")
    import trio

    loss = metric.Loss()
    write = callback.LogMetricsCallback(tmp_path)

    async def main():
        loss.update([], nd.full(4, 2.0))
        await write.call_async(BatchEndParam(3, 7, loss))

    trio.run(main)
    write.close()
    assert scalars(tmp_path) == [("loss", 1, 2.0)]


def test_frequent_needs_a_count(tmp_path):
    with pytest.raises(ParameterError, match=r"LogMetricsCallback: the period .* got 0"):
        callback.LogMetricsCallback(tmp_path / "none", frequent=0)
    assert not (tmp_path / "none").exists()


def test_without_the_extra_it_says_which(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(MissingExtraError, match=r"LogMetricsCallback.*actorflow\[tensorboard\]"):
        callback.LogMetricsCallback(tmp_path)
