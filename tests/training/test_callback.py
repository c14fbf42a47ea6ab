"""Callbacks: what they say, when, and in tasks."""

import asyncio
import io
import sys
import threading

import pytest

from actorflow import callback, init, metric, nd, sym
from actorflow.callback import BatchEndParam
from actorflow.engine import Engine
from actorflow.errors import MissingExtraError, ParameterError, WouldBlockError


class Clock:
    """Tells half a second more each time."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        self.now += 0.5
        return self.now


@pytest.fixture
def told(caplog):
    caplog.set_level("INFO")
    return caplog


def loss(*values):
    made = metric.Loss()
    for value in values:
        made.update([], nd.full(1, value))
    return made


def speedometer(**options):
    made = callback.Speedometer(10, 2, **options)
    made.clock = Clock()
    return made


def test_speed(engine, told):
    made = speedometer()
    for epoch in range(2):
        for batch in range(5):
            made(BatchEndParam(epoch, batch, None))
    assert told.messages == [
        "Epoch[0] Batch [2]\tSpeed: 40.00 samples/sec",
        "Epoch[0] Batch [4]\tSpeed: 40.00 samples/sec",
        "Epoch[1] Batch [2]\tSpeed: 40.00 samples/sec",
        "Epoch[1] Batch [4]\tSpeed: 40.00 samples/sec",
    ]


def test_speed_from_the_first_batch_that_was_seen(engine, told):
    made = speedometer()
    for batch in range(1, 5):
        made(BatchEndParam(0, batch, None))
    assert "Batch [2]\tSpeed: 20.00" in told.messages[0]
    assert "Batch [4]\tSpeed: 40.00" in told.messages[1]


@pytest.mark.parametrize("auto_reset", [False, True])
def test_speed_with_a_metric(engine, told, auto_reset):
    made, of = speedometer(auto_reset=auto_reset), loss()
    for batch in range(5):
        of.update([], nd.full(1, batch))
        made(BatchEndParam(0, batch, of))
    assert told.messages == [
        "Epoch[0] Batch [2]\tSpeed: 40.00 samples/sec\tloss=1.000000",
        f"Epoch[0] Batch [4]\tSpeed: 40.00 samples/sec\tloss={3.5 if auto_reset else 2:f}",
    ]
    assert of.get_global() == ("loss", 2)


@pytest.mark.parametrize("auto_reset", [False, True])
def test_log_train_metric(engine, told, auto_reset):
    made, of = callback.log_train_metric(2, auto_reset=auto_reset), loss()
    for batch in range(3):
        of.update([], nd.full(1, batch))
        made(BatchEndParam(1, batch, of))
    made(BatchEndParam(1, 4, None))
    last = 1.5 if auto_reset else 1
    assert told.messages == [
        "Iter[1] Batch[0] Train-loss=0.000000",
        f"Iter[1] Batch[2] Train-loss={last:f}",
    ]


def test_log_validation(engine, told):
    made = callback.LogValidationMetricsCallback()
    made(BatchEndParam(3, 9, metric.create([loss(2), metric.Torch()])))
    made(BatchEndParam(3, 9, None))
    assert told.messages == ["Epoch[3] Validation-loss=2.000000", "Epoch[3] Validation-torch=nan"]


def test_in_tasks(told, tmp_path):
    async def main():
        async with Engine(engine_type="threaded", workers=1) as engine:
            event, made = threading.Event(), nd.ones(1)
            engine.push(event.wait, updates=[made.resource])
            of = metric.Loss()
            of.update([], made)
            param = BatchEndParam(0, 2, of)
            log = callback.log_train_metric(2)
            with pytest.raises(WouldBlockError):
                log(param)
            event.set()
            await log.call_async(param)
            await callback.LogValidationMetricsCallback().call_async(param)

    asyncio.run(main())
    assert told.messages == [
        "Iter[0] Batch[2] Train-loss=1.000000",
        "Epoch[0] Validation-loss=1.000000",
    ]


def test_do_checkpoint(engine, tmp_path):
    made = callback.do_checkpoint(tmp_path / "net", period=2)
    weight = nd.zeros((2, 2))
    init.One()("fc_weight", weight)
    for epoch in range(4):
        made(epoch, sym.Variable("data"), {"fc_weight": weight}, {})
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "net-0002.params",
        "net-0004.params",
        "net-symbol.json",
    ]


class Module:
    """Notes what it is to save."""

    def __init__(self):
        self.saved = []

    def save_checkpoint(self, *arguments):
        self.saved.append(arguments)


class AsyncModule(Module):
    """The same in tasks."""

    async def save_checkpoint_async(self, *arguments):
        self.saved.append(("async", *arguments))


def test_module_checkpoint():
    one, other = Module(), AsyncModule()
    for mod in (one, other):
        made = callback.module_checkpoint(mod, "net", period=2, save_optimizer_states=True)
        for epoch in range(3):
            made(epoch, None, {}, {})
        asyncio.run(made.call_async(1))
        asyncio.run(made.call_async(2))
    assert one.saved == [("net", 2, True)] * 2
    assert other.saved == [("net", 2, True), ("async", "net", 2, True)]


@pytest.mark.parametrize("first", [0, 1])
def test_progress_bar(first):
    file = io.StringIO()
    made = callback.ProgressBar(3, length=20, file=file)
    for epoch, count in ((0, 3), (1, 2), (2, 3)):
        for batch in range(first, first + count):
            made(BatchEndParam(epoch, batch, None))
    said = file.getvalue()
    for text in ("Epoch 0", "3/3", "Epoch 1", "2/3", "Epoch 2"):
        assert text in said
    made.close()


def test_progress_bar_without_rich(monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.console", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'actorflow\[progress\]'"):
        callback.ProgressBar(3)


def test_what_is_refused():
    for make in (
        lambda: callback.do_checkpoint("net", 0),
        lambda: callback.log_train_metric(0),
        lambda: callback.Speedometer(1, 0),
        lambda: callback.module_checkpoint(None, "net", 0),
        lambda: callback.ProgressBar(0),
    ):
        with pytest.raises(ParameterError, match="the period is an integer of at least 1, got 0"):
            make()
