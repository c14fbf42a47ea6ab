"""FeedForward against Module, on arrays and iterators, from and to files."""

import asyncio

import numpy as np
import pytest
import trio

import actorflow as af
from actorflow import io, nd, sym
from actorflow.errors import ActorflowError, ParameterError, ShapeError, TrainingError
from tests.training._networks import digits, examples, mlp, near, same, values
from tests.training.test_mxnet import PEER, run as run_mxnet

RATE = {"learning_rate": 0.2, "momentum": 0.9}


def model(symbol=None, num_epoch=2, **options):
    return af.model.FeedForward(
        mlp() if symbol is None else symbol, **options | RATE, num_epoch=num_epoch
    )


def bits(params):
    return {name: value.asnumpy() for name, value in params.items()}


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_it_gives_the_bits_of_a_module(engine, count, optimizer):
    contexts = [af.cpu(each) for each in range(count)]
    rates = {"learning_rate": 0.01, "wd": 0.001}
    xavier = af.init.Xavier(factor_type="in", magnitude=2.34)
    af.random.seed(3)
    ours = af.model.FeedForward(
        mlp(), contexts, num_epoch=3, optimizer=optimizer, initializer=xavier, **rates
    )
    ours.fit(digits(), eval_data=digits(16))
    af.random.seed(3)
    module = af.mod.Module(mlp(), context=contexts)
    module.fit(
        digits(),
        digits(16),
        optimizer=optimizer,
        optimizer_params=rates,
        initializer=xavier,
        num_epoch=3,
    )
    same(bits(ours.arg_params), bits(module.get_params()[0]))
    assert ours.aux_params == {}
    assert ours.report.metric == module.report.metric
    assert ours.report.validation == module.report.validation
    assert ours.score(digits(16)) == module.report.validation[0][1]
    near({"": ours.predict(digits())}, {"": module.predict(digits()).asnumpy()})


@pytest.mark.parametrize("make", [np.asarray, nd.array, lambda each: {"data": each}])
@pytest.mark.parametrize("column", [False, True])
def test_arrays_are_taken_as_an_iterator_over_them(engine, make, column):
    data, label = examples()
    start = values(mlp(), data=(8, 5))
    ours = model(arg_params=start, numpy_batch_size=16)
    ours.fit(make(data), label[:, None] if column else label, eval_data=(make(data), label))
    wanted = model(arg_params=start)
    rows = io.NDArrayIter(data, label, 16, shuffle=True, last_batch_handle="roll_over")
    wanted.fit(rows, eval_data=digits(16))
    same(bits(ours.arg_params), bits(wanted.arg_params))
    assert ours.report.nbatch == 2 + 3  # 8 of 40 rows are left for the second epoch
    assert ours.report.validation == wanted.report.validation
    chances = ours.predict(make(data))
    assert type(chances) is np.ndarray
    assert chances.shape == (40, 3)
    np.testing.assert_array_equal(chances, wanted.predict(digits(16)))
    assert ours.score((make(data), label)) == float((chances.argmax(1) == label).mean())


def test_fewer_rows_than_a_batch():
    data, label = examples(5)
    ours = model()
    ours.fit(data, list(label))
    assert ours.report.examples == 10
    assert ours.predict(data[:1]).shape == (1, 3)


def test_prediction_gives_data_and_labels_back():
    data, label = examples()
    ours = model(arg_params=values(mlp(), data=(8, 5)), aux_params={})
    chances, rows, labels = ours.predict(digits(16), return_data=True)
    np.testing.assert_array_equal(rows, data)
    np.testing.assert_array_equal(labels, label)
    np.testing.assert_array_equal(chances, ours.predict(data))
    assert ours.predict(data, return_data=True)[2] == []
    assert ours.predict(digits(16), num_batch=1).shape == (16, 3)
    iterator = digits(16)
    next(iterator)
    assert ours.predict(iterator, reset=False).shape == (24, 3)


def test_several_inputs_outputs_and_metrics():
    left, right = sym.Variable("left"), sym.Variable("right")
    both = sym.FullyConnected(left + right, num_hidden=3, name="fc")
    net = sym.Group([sym.SoftmaxOutput(both, name="a"), sym.BlockGrad(both, name="b")])
    data, label = examples()
    ours = model(net)
    metric = af.metric.CustomMetric(lambda label, pred: float(len(label)), allow_extra_outputs=True)
    ours.fit({"left": data, "right": data}, {"a_label": label}, eval_metric=metric)
    found = ours.predict({"left": data, "right": data})
    assert [each.shape for each in found] == [(40, 3), (40, 3)]
    single = model()
    single.fit(data, label)
    accuracy, entropy = single.score((data, label), ["acc", "ce"])
    assert accuracy == single.score((data, label))
    assert entropy == pytest.approx(single.score((data, label), "ce"))


def test_a_label_may_reach_the_loss_through_an_argument_of_its_name():
    net = sym.MakeLoss(
        sym.square(sym.Variable("data") * sym.Variable("w", shape=(1, 5)) - sym.Variable("target"))
    )
    data, _ = examples()
    rows = io.NDArrayIter(data, {"target": 2 * data}, 8)
    ours = af.model.FeedForward(
        net, num_epoch=30, learning_rate=0.5, arg_params={"w": nd.zeros((1, 5))}
    )
    ours.fit(rows, eval_metric=af.metric.Loss())
    np.testing.assert_allclose(ours.arg_params["w"].asnumpy(), 2, rtol=1e-3)


def test_parameters_can_be_looked_at_and_changed():
    data, _ = examples()
    ours = model()
    assert ours.arg_params is None
    assert ours.aux_params is None
    ours.fit(digits())
    assert ours.arg_params is ours.arg_params
    ours.arg_params["fc2_weight"][:] = 0
    ours.arg_params["fc2_bias"][:] = 0
    np.testing.assert_allclose(ours.predict(data), 1 / 3, rtol=1e-6)
    ours.arg_params = values(mlp(), data=(8, 5))
    assert not np.allclose(ours.predict(data), 1 / 3)
    ours.arg_params = {**ours.arg_params, "fc3_bias": nd.zeros((3,))}
    with pytest.raises(ParameterError, match=r"'fc3_bias', which is no parameter; did you mean fc"):
        ours.predict(data)
    ours.allow_extra_params = True
    assert ours.predict(data).shape == (40, 3)


def test_fit_goes_on_with_the_parameters_that_are_there():
    seen = []
    start = values(mlp(), data=(8, 5))
    ours = model(arg_params=start, begin_epoch=1, num_epoch=3)
    ours.fit(digits(), epoch_end_callback=lambda epoch, *_: seen.append(epoch))
    assert seen == [1, 2]
    again = model(arg_params=ours.arg_params, num_epoch=1)
    again.fit(digits())
    ours.begin_epoch, ours.num_epoch = 0, 1
    ours.fit(digits())
    same(bits(ours.arg_params), bits(again.arg_params))
    part = {name: value for name, value in start.items() if name != "fc2_bias"}
    near(
        bits(model(arg_params=part, num_epoch=0, initializer=af.init.Zero()).arg_params), bits(part)
    )
    filled = af.model.FeedForward(mlp(), num_epoch=1, arg_params=part, learning_rate=0)
    filled.fit(digits())
    same(bits(filled.arg_params), bits({**start, "fc2_bias": nd.zeros((3,))}))


def test_an_epoch_may_have_another_size():
    ours = model(epoch_size=3)
    counts = []
    ours.fit(digits(), batch_end_callback=lambda param: counts.append((param.epoch, param.nbatch)))
    assert counts == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]


def test_rescale_grad_is_by_the_batch_or_as_said():
    start = values(mlp(), data=(8, 5))
    found = []
    for more in ({}, {"rescale_grad": 1 / 8}, {"rescale_grad": 1.0}):
        ours = model(arg_params=start, **more)
        ours.fit(digits())
        found.append(bits(ours.arg_params))
    same(found[0], found[1])
    assert not np.allclose(found[0]["fc1_weight"], found[2]["fc1_weight"])


def test_an_optimizer_may_be_an_object():
    start = values(mlp(), data=(8, 5))
    ours = af.model.FeedForward(
        mlp(), num_epoch=2, optimizer=af.optimizer.SGD(rescale_grad=1 / 8, **RATE), arg_params=start
    )
    ours.fit(digits())
    named = model(arg_params=start)
    named.fit(digits())
    same(bits(ours.arg_params), bits(named.arg_params))


def test_create_is_both_calls():
    data, label = examples()
    af.random.seed(1)
    ours = af.model.FeedForward.create(
        mlp(), data, label, num_epoch=2, eval_data=[data, label], numpy_batch_size=8, **RATE
    )
    af.random.seed(1)
    other = model(numpy_batch_size=8)
    other.fit(data, label, (data, label))
    same(bits(ours.arg_params), bits(other.arg_params))
    assert ours.report.validation == other.report.validation


# -- Tasks -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("loop", ["trio", "asyncio"])
def test_in_a_task(loop, tmp_path):
    data, label = examples()
    start = values(mlp(), data=(8, 5))

    async def main():
        async with af.Engine(2):
            ours = model(arg_params=start)
            epochs = [each.epoch async for each in ours.fit_async(digits(), eval_data=digits())]
            assert epochs == [0, 1]
            assert ours.report.what == "run"
            chances = await ours.predict_async(data)
            assert await ours.score_async((data, label)) == (chances.argmax(1) == label).mean()
            assert len(await ours.predict_async(digits(), return_data=True)) == 3
            await ours.save_async(tmp_path / "net")
            return {name: await value for name, value in ours.arg_params.items()}

    found = trio.run(main) if loop == "trio" else asyncio.run(main())
    wanted = model(arg_params=start)
    wanted.fit(digits())
    same(found, bits(wanted.arg_params))
    same(bits(af.model.FeedForward.load(tmp_path / "net", 2).arg_params), found)


def test_a_run_that_is_given_up_leaves_what_it_has_learnt():
    start = values(mlp(), data=(8, 5))

    async def main(close):
        async with af.Engine(2):
            ours = model(arg_params=start, num_epoch=9)
            ours.fit_async(*examples())  # never begun, so that it changes nothing
            assert ours.arg_params is ours.arg_params
            steps = ours.fit_async(*examples(), every="epoch", eval_data=examples())
            assert (await anext(steps)).epoch == 0
            assert ours.arg_params is not ours.arg_params  # copies: the run is not over
            if close:
                await steps.aclose()
            assert ours.report is None
            return ours, steps

    once = model(arg_params=start, num_epoch=1)
    once.fit(*examples())
    for close in (True, False):
        ours, steps = trio.run(main, close)
        same(bits(ours.arg_params), bits(once.arg_params))
        if close:
            assert ours.arg_params is ours.arg_params
        del steps
        same(bits(ours.arg_params), bits(once.arg_params))


# -- Files -----------------------------------------------------------------------------------------


def test_files(tmp_path):
    ours = model()
    ours.fit(digits(), epoch_end_callback=af.callback.do_checkpoint(tmp_path / "kept"))
    ours.save(tmp_path / "net")
    ours.save(tmp_path / "net", 7)
    names = ("net-0002", "net-0007", "kept-0002")
    assert len({(tmp_path / f"{name}.params").read_bytes() for name in names}) == 1
    found = af.model.FeedForward.load(tmp_path / "kept", 1, af.cpu(), num_epoch=2, **RATE)
    assert found.begin_epoch == 1
    loaded = af.model.FeedForward.load(tmp_path / "net", 2)
    np.testing.assert_array_equal(loaded.predict(digits()), ours.predict(digits()))
    with pytest.raises(ParameterError, match="needs epoch, since there is no num_epoch"):
        loaded.save(tmp_path / "net")


MXNET_PROGRAM = """
import json, sys, warnings
warnings.filterwarnings("ignore")
import mxnet as mx, numpy as np
folder = sys.argv[1]
data = np.load(folder + "/data.npy")
label = np.load(folder + "/label.npy")
net, arg, aux = mx.model.load_checkpoint(folder + "/ours", 2)
start = mx.nd.load(folder + "/start")
found = []
for params in (arg, start):
    module = mx.mod.Module(net)
    rows = mx.io.NDArrayIter(data, label, 8)
    module.bind(rows.provide_data, rows.provide_label)
    module.init_params(arg_params=params, aux_params={})
    if params is start:
        module.fit(rows, num_epoch=3, optimizer_params={"learning_rate": 0.2, "momentum": 0.9})
    rows.reset()
    found.append(module.predict(rows).asnumpy().tolist())
module.save_checkpoint(folder + "/theirs", 3)
print(json.dumps(found))
"""


@pytest.mark.skipif(not PEER, reason="AF_MXNET_PYTHON names no Python that has MXNet")
@pytest.mark.slow
def test_files_and_numbers_are_those_of_mxnet(tmp_path):
    data, label = examples()
    np.save(tmp_path / "data.npy", data)
    np.save(tmp_path / "label.npy", label)
    start = values(mlp(), data=(8, 5))
    nd.save(tmp_path / "start", start)
    ours = model(arg_params=start)
    ours.fit(digits())
    ours.save(tmp_path / "ours")
    predicted, trained = run_mxnet(MXNET_PROGRAM, tmp_path)
    np.testing.assert_allclose(ours.predict(data), predicted, rtol=1e-5, atol=1e-6)
    theirs = af.model.FeedForward.load(tmp_path / "theirs", 3)
    np.testing.assert_allclose(theirs.predict(data), trained, rtol=1e-5, atol=1e-6)
    longer = model(arg_params=start, num_epoch=3)
    longer.fit(digits())
    near(bits(longer.arg_params), bits(theirs.arg_params), rtol=1e-4, atol=1e-5)


# -- Mistakes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"learning_rat": 1}, ParameterError, "'learning_rat'; did you mean 'learning_rate'"),
        ({"num_epochs": 1}, ParameterError, "itself takes num_epoch"),
        ({"optimizer": "sgdd"}, ParameterError, "did you mean 'sgd'"),
        ({"optimizer": 3}, TypeError, "needs a name or an Optimizer, got 3"),
        ({"optimizer": af.optimizer.SGD(), "wd": 1}, ParameterError, "wd would be for"),
        ({"momentum": "much"}, ParameterError, "momentum needs a finite number"),
        (
            {"numpy_batch_size": 0},
            ParameterError,
            "numpy_batch_size needs an integer of at least 1",
        ),
        ({"epoch_size": 0}, ParameterError, "epoch_size needs an integer of at least 1"),
        ({"begin_epoch": -1}, ParameterError, "begin_epoch needs an integer of at least 0"),
        ({"num_epoch": "2"}, ParameterError, "num_epoch needs an integer"),
        ({"ctx": [3]}, TypeError, "needs to be a Context"),
        ({"arg_params": [1]}, TypeError, "arg_params are arrays by name"),
    ],
)
def test_mistakes_in_the_constructor(options, error, said):
    with pytest.raises(error, match=said):
        af.model.FeedForward(mlp(), **options)


def test_mistakes_in_the_data():
    data, label = examples()
    ours = model(arg_params=values(mlp(), data=(8, 5)))
    for call, error, said in (
        (
            lambda: ours.fit(data),
            ParameterError,
            "FeedForward.fit: X are arrays, so that it needs y",
        ),
        (lambda: ours.fit(data, label[:-1]), ValueError, "data 40, softmax_label 39"),
        (lambda: ours.fit(data[:0], label[:0]), ValueError, "at least one, got data 0"),
        (lambda: ours.fit({}, label), ValueError, "at least one"),
        (
            lambda: ours.fit(digits(), label),
            ParameterError,
            "NDArrayIter, which has its own labels",
        ),
        (lambda: ours.fit([[1]], [1]), TypeError, "an array, a dict of arrays or a DataIter"),
        (lambda: ours.fit({"dta": data}, label), ValueError, "did you mean data"),
        (lambda: ours.fit(data[:, :2], label), ShapeError, r"fc1_weight has shape \(8, 5\)"),
        (lambda: ours.fit(data, label, eval_data=data), TypeError, "eval_data needs a DataIter or"),
        (
            lambda: ours.fit(data, label, eval_data=(data, None)),
            ParameterError,
            "eval_data needs labels",
        ),
        (lambda: ours.fit(data, label, (data, label[1:])), ValueError, "data 40, softmax_label 39"),
        (lambda: ours.fit_async(data), ParameterError, "needs y"),
        (lambda: ours.fit_async(data, label, every="day"), ParameterError, "every is"),
        (lambda: ours.score(data), TypeError, "X needs a DataIter or a pair"),
        (lambda: ours.predict(data[:, :2]), ShapeError, r"needs \(8, 2\)"),
        (lambda: ours.predict([1]), TypeError, "FeedForward.predict: X needs an array"),
        (lambda: model(num_epoch=None).fit(data, label), ParameterError, "num_epoch=...*how many"),
        (lambda: model().predict(data), ActorflowError, "there are no parameters; call fit"),
        (lambda: model().save("net"), ActorflowError, "there are no parameters"),
        (lambda: model(arg_params={}).predict(data), ParameterError, "lacks fc1_weight"),
        (lambda: af.model.FeedForward("net"), TypeError, "symbol needs to be a Symbol"),
    ):
        with pytest.raises(error, match=said):
            call()
    assert ours.report is None
    same(bits(ours.arg_params), bits(values(mlp(), data=(8, 5))))


def test_a_failing_batch_is_named():
    data, label = examples()
    data[20] = np.nan
    ours = model()
    with pytest.raises(TrainingError, match=r"epoch 0, batch 2"):
        ours.fit(io.NDArrayIter(data, label, 8), nan="raise")
    assert set(ours.arg_params) == set(values(mlp(), data=(8, 5)))
