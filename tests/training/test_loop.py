"""Runs: what drives them, what stops them, and what they say of themselves."""

import asyncio
import logging

import pytest
import trio

import actorflow as af
from actorflow import io, nd, sym
from actorflow.engine import Instrument
from actorflow.errors import AnomalyError, TrainingError
from actorflow.training.loop import AHEAD
from actorflow.training.report import Sent, Times
from tests.training._networks import digits, mlp, params_of, same, started

LOOPS = {"trio": trio.run, "asyncio": lambda function: asyncio.run(function())}


@pytest.fixture(params=list(LOOPS))
def run(request):
    return LOOPS[request.param]


class Boom(Exception):  # noqa: N818 -- a user's
    """What goes wrong here."""


class Failing(io.DataIter):
    """Batches of which one fails."""

    def __init__(self, at):
        super().__init__(8)
        self.inner, self.at, self.count = digits(), at, 0

    @property
    def provide_data(self):
        return self.inner.provide_data

    @property
    def provide_label(self):
        return self.inner.provide_label

    def reset(self):
        self.inner.reset()

    def next(self):
        self.count += 1
        if self.count == self.at + 1:
            raise Boom("the disk is gone")
        return next(self.inner)


def after(epochs):
    module = started()
    module.fit(digits(), num_epoch=epochs)
    return params_of(module)


# -- In tasks --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["naive", "threaded"])
@pytest.mark.parametrize("every", ["epoch", "batch"])
def test_a_task_trains_as_a_script_does(run, kind, every):
    async def main():
        async with af.Engine(2, engine_type=kind):
            module = started()
            seen = [
                (each.what, each.epoch, each.nbatch)
                async for each in module.fit_async(
                    digits(), num_epoch=2, every=every, eval_data=digits()
                )
            ]
            assert module.report.validation[0][0] == "accuracy"
            found = {name: await value for name, value in module.get_params()[0].items()}
            score = await module.score_async(digits(), "acc")
            chances = await (await module.predict_async(digits(batch_size=16)))
            assert chances.shape == (40, 3)
            assert 0 <= score[0][1] <= 1
        return seen, found

    seen, found = run(main)
    batches = [("batch", epoch, n) for epoch in range(2) for n in range(5)]
    epochs = [("epoch", 0, 5), ("epoch", 1, 5)]
    if every == "epoch":
        assert seen == epochs
    else:
        assert seen == [*batches[:5], epochs[0], *batches[5:], epochs[1]]
    same(found, after(2))


def test_a_cancelled_run_can_go_on():
    async def main():
        async with af.Engine(2):
            module = started()
            steps = module.fit_async(digits(), num_epoch=2, every="batch")
            seen = []
            with trio.CancelScope() as scope:
                async for report in steps:
                    seen.append(report.nbatch)
                    if len(seen) == 3:
                        scope.cancel()
            assert scope.cancelled_caught
            seen += [report.nbatch async for report in steps]
            assert seen == [0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5]
            return {name: await value for name, value in module.get_params()[0].items()}

    same(trio.run(main), after(2))


def test_a_run_that_is_left_leaves_a_module_that_works(run):
    async def main():
        async with af.Engine(2):
            module = started()
            steps = module.fit_async(digits(), num_epoch=9, every="batch")
            async for _ in steps:
                break
            await steps.aclose()
            assert [report async for report in steps] == []
            await module.score_async(digits(), "acc")
            async for _ in module.fit_async(digits(), num_epoch=1):
                pass
            assert module.report.nbatch == 5

    run(main)


def test_other_tasks_go_on_meanwhile(run):
    async def main():
        async with af.Engine(1):
            module = started()
            steps = module.fit_async(digits(), num_epoch=2, every="batch")
            async for _ in steps:
                assert float((await (nd.ones((2,)) * 2))[0]) == 2

    run(main)


def test_callbacks_in_a_task_need_not_wait(run, tmp_path):
    seen = []

    def at_epoch(epoch, symbol, args, aux):
        assert symbol is not None
        assert aux == {}
        seen.append((epoch, float(args["fc2_bias"].asnumpy().sum())))

    def at_batch(param):
        seen.append((param.epoch, param.nbatch, param.eval_metric.get()[0]))

    async def main():
        async with af.Engine(2):
            module = started()
            options = {
                "batch_end_callback": [at_batch, af.callback.Speedometer(8, 2)],
                "epoch_end_callback": [at_epoch, af.callback.do_checkpoint(tmp_path / "net")],
                "monitor": af.monitor.Monitor(2),
            }
            async for _ in module.fit_async(digits(), num_epoch=1, **options):
                pass

    run(main)
    assert [each[:2] for each in seen[:5]] == [(0, n) for n in range(5)]
    assert seen[5][0] == 0
    assert (tmp_path / "net-0001.params").exists()


@pytest.mark.parametrize("contexts", [[af.cpu()], [af.cpu(0), af.cpu(1)]])
def test_checkpoints_in_a_task(run, tmp_path, contexts):
    prefix = str(tmp_path / "net")

    async def main():
        async with af.Engine(2):
            module = started(context=contexts)
            saver = af.callback.module_checkpoint(module, prefix, save_optimizer_states=True)
            async for _ in module.fit_async(digits(), num_epoch=1, epoch_end_callback=saver):
                pass

    run(main)
    again = af.mod.Module.load(prefix, 1, load_optimizer_states=True, context=contexts)
    options = {"optimizer_params": {"learning_rate": 0.1, "momentum": 0.9}}
    again.fit(digits(), begin_epoch=1, num_epoch=2, **options)
    module = started(context=contexts)
    module.fit(digits(), num_epoch=2)
    same(params_of(again), params_of(module))


class Started(Instrument):
    """The names of operations in the order in which they start."""

    def __init__(self):
        self.names = []

    def started(self, operation):
        self.names.append(operation.name)


def test_updates_begin_while_the_rest_of_the_backward_pass_is_to_come(monkeypatch):
    monkeypatch.setenv("AF_SEGMENT_US", "0")
    watch = Started()
    with af.Engine(workers=0, policy="priority", instruments=[watch]) as engine:
        module = started(context=[af.cpu(0), af.cpu(1)])
        module.forward_backward(io.DataBatch([nd.ones((8, 5))], [nd.zeros((8,))]))
        module.update()
        while engine.step():
            pass
    backward = [n for n, name in enumerate(watch.names) if name.startswith("backward")]
    pushes = [n for n, name in enumerate(watch.names) if name == "kvstore_push"]
    assert min(pushes) < max(backward)


# -- Failures --------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrap", [lambda each: each, io.PrefetchingIter], ids=["plain", "ahead"])
def test_a_failing_iterator_stops_the_run(wrap):
    with af.Engine(2), pytest.raises(TrainingError, match=r"epoch 1, batch 2 from .*Boom") as found:
        started().fit(wrap(Failing(8)), num_epoch=3)
    assert isinstance(found.value.__cause__, Boom)
    assert (found.value.epoch, found.value.nbatch) == (1, 2)


def test_a_failing_iterator_stops_a_task(run):
    async def main():
        async with af.Engine(2):
            steps = started().fit_async(Failing(2), num_epoch=3, every="batch")
            seen = [(await anext(steps)).nbatch for _ in range(2)]
            with pytest.raises(TrainingError, match="epoch 0, batch 2 from Failing: Boom"):
                await anext(steps)
            assert seen == [0, 1]

    run(main)


@af.operator.register("refuse_third")
class RefuseProp(af.operator.CustomOpProp):
    """An operator that fails at its third batch."""

    def create_operator(self, _ctx, _shapes, _dtypes):
        return Refuse()


class Refuse(af.operator.CustomOp):
    count = 0

    def forward(self, is_train, req, in_data, out_data, aux):
        Refuse.count += 1
        if Refuse.count == 3:
            raise Boom("no more")
        self.assign(out_data[0], req[0], in_data[0])

    def backward(self, req, out_grad, in_data, out_data, in_grad, aux):
        self.assign(in_grad[0], req[0], out_grad[0])


@pytest.mark.parametrize("kind", ["naive", "threaded"])
def test_a_failing_operator_stops_the_run(kind):
    net = sym.FullyConnected(sym.Variable("data"), num_hidden=3, name="fc")
    net = sym.SoftmaxOutput(sym.Custom(net, op_type="refuse_third"), name="softmax")
    Refuse.count = 0
    with (
        af.Engine(2, engine_type=kind),
        pytest.raises(TrainingError, match=r"epoch 0, batch 2: Boom: no more; .*forward") as found,
    ):
        af.mod.Module(net).fit(digits(), num_epoch=2)
    assert isinstance(found.value.__cause__, Boom)
    assert found.value.nbatch == 2


def test_nan_stops_the_run_and_names_the_operator():
    net = sym.SoftmaxOutput(sym.log(sym.Variable("data"), name="bad"), name="softmax")
    module = af.mod.Module(net)
    module.bind([("data", (8, 5))], [("softmax_label", (8,))], inputs_need_grad=True)
    with pytest.raises(TrainingError, match=r"epoch 0, batch 0: AnomalyError: .*'bad'") as found:
        module.fit(digits(), num_epoch=1, nan="raise")
    assert isinstance(found.value.__cause__, AnomalyError)


def test_what_a_callback_raises_comes_as_it_is():
    def stop(param):
        if param.nbatch == 1:
            raise Boom("enough")

    with pytest.raises(Boom, match="enough"):
        started().fit(digits(), num_epoch=1, batch_end_callback=stop)


def test_an_iterator_without_batches_is_an_error():
    class Empty(Failing):
        def next(self):
            raise StopIteration

    with pytest.raises(TrainingError, match="Empty gives no batch"):
        started().fit(Empty(99), num_epoch=1)


def test_an_iterator_that_was_read_begins_again():
    iterator = digits()
    assert len(list(iterator)) == 5
    module = started()
    module.fit(iterator, num_epoch=1)
    assert module.report.nbatch == 5


def test_epochs_of_another_length():
    module = started()
    module.fit(digits(), num_epoch=2, epoch_size=7)
    assert module.report.nbatch == 14


# -- What it does not do ---------------------------------------------------------------------------


class Watch(Instrument):
    """Counts how many forward passes were sent and not finished, at most."""

    def __init__(self):
        self.now = self.most = 0

    def pushed(self, operation):
        if operation.name.startswith("forward"):
            self.now += 1
            self.most = max(self.most, self.now)

    def finished(self, operation):
        if operation.name.startswith("forward"):
            self.now -= 1


def test_it_does_not_run_ahead():
    watch = Watch()
    with af.Engine(workers=0, instruments=[watch]):
        started().fit(digits(count=160), num_epoch=1)
    assert 1 <= watch.most <= AHEAD + 1


def test_the_step_waits_for_nothing():
    with af.Engine(workers=0) as engine:
        module = started()
        batch = io.DataBatch([nd.ones((8, 5))], [nd.zeros((8,))])
        for _ in range(3):
            module.forward_backward(batch)
            module.update()
            module.update_metric(af.metric.create("acc"), batch.label)
        assert engine.statistics().in_flight > 6


# -- Reports ---------------------------------------------------------------------------------------


def test_the_report_of_a_run(caplog):
    module = started()
    with caplog.at_level(logging.INFO, "actorflow"):
        module.fit(digits(), num_epoch=2, eval_data=digits(), eval_metric=["acc", "ce"])
    report = module.report
    assert (report.what, report.epoch, report.nbatch, report.examples) == ("run", 1, 10, 80)
    assert [name for name, _ in report.metric] == ["accuracy", "cross-entropy"]
    assert [name for name, _ in report.validation] == ["accuracy", "cross-entropy"]
    shares = (report.data, report.communication, report.engine, report.computing)
    assert min(shares) >= 0
    assert sum(shares) == pytest.approx(1)
    assert "starved by data" in caplog.text
    assert "Epoch[1] Train-accuracy=" in caplog.text


class Ended:
    """An operation that has ended."""

    def __init__(self, when):
        self.result = when


def test_where_the_time_goes():
    times = Times(idle_since=0.0)
    # Asked at 0, there at 3, sent at 4, computed at 7, updated at 9.
    times.end(Sent(0, 0.0, 3.0, 4.0, Ended(7.0), Ended(9.0)))
    assert (times.data, times.engine, times.communication) == (3.0, 1.0, 2.0)
    # Sent while the first was on its way: nobody waited, although the loop waited for data.
    times.end(Sent(1, 5.0, 7.5, 8.0, None, Ended(12.0)))
    assert (times.data, times.engine, times.communication) == (3.0, 1.0, 2.0)
    # Asked for while the engine was busy, and not there when it was done.
    times.end(Sent(2, 11.0, 13.0, 13.0, None, Ended(16.0)))
    assert (times.data, times.seconds) == (4.0, 16.0)
    report = times.report("epoch", 0, 3, (), ())
    assert report.data == 0.25
    assert report.computing == pytest.approx(1 - 7 / 16)


def test_the_stores_give_the_same_bits():
    found = []
    for store in ("local", "device"):
        af.random.seed(3)
        module = af.mod.Module(mlp(), context=[af.cpu(0), af.cpu(1)])
        module.fit(digits(), num_epoch=1, kvstore=store)
        found.append(params_of(module))
    same(*found)
