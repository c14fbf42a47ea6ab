"""Metrics against plain NumPy, on every engine; what is refused, and what is never waited for."""

import asyncio
import itertools
import threading

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import f1_score

import actorflow as af
from actorflow import metric, nd
from actorflow.engine import Engine
from actorflow.errors import ParameterError, ShapeError, WouldBlockError
from tests.training._oracles import (
    EXTRA,
    OF_CLASSES,
    OF_NUMBERS,
    class_batches,
    combined,
    cross_entropy,
    f1,
    number_batches,
)


def value(made, batches):
    """The number of a metric after some batches."""
    for label, pred in batches:
        made.update([nd.array(label, dtype=label.dtype)], [nd.array(pred, dtype=pred.dtype)])
    return made.get()[1]


@pytest.mark.parametrize("name", OF_CLASSES)
def test_of_classes(engine, name):
    batches = class_batches(1)
    expected = combined(OF_CLASSES[name], batches)
    assert value(metric.create(name, **EXTRA.get(name, {})), batches) == pytest.approx(expected)


@pytest.mark.parametrize("name", OF_NUMBERS)
def test_of_numbers(engine, name):
    batches = number_batches(2)
    assert value(metric.create(name), batches) == pytest.approx(combined(OF_NUMBERS[name], batches))


@pytest.mark.parametrize("name", OF_NUMBERS)
def test_a_row_of_numbers_is_a_column(engine, name):
    label, pred = np.arange(4, dtype="f4"), np.ones((4, 1), "f4")
    expected = OF_NUMBERS[name](label[:, None], pred)[0]
    assert value(metric.create(name), [(label, pred)]) == pytest.approx(expected)


def test_f1_of_batches_and_of_all(engine):
    batches = class_batches(3, classes=2)
    assert value(metric.F1(), batches) == pytest.approx(combined(f1, batches))
    labels = np.concatenate([label for label, _ in batches])
    found = np.concatenate([pred.argmax(1) for _, pred in batches])
    micro = value(metric.F1(average="micro"), batches)
    assert micro == pytest.approx(f1_score(labels, found))


def test_perplexity(engine):
    batches = class_batches(4)
    expected = np.exp(combined(cross_entropy, batches))
    assert value(metric.Perplexity(), batches) == pytest.approx(expected)


def test_perplexity_ignores_padding_and_takes_any_axis(engine):
    (label, pred), *_ = class_batches(5, size=6)
    kept = label != 2
    expected = np.exp(combined(cross_entropy, [(label[kept], pred[kept])]))
    across = pred.reshape(2, 3, 5).transpose(0, 2, 1)
    made = metric.Perplexity(ignore_label=2, axis=1)
    assert value(made, [(label.reshape(2, 3), across)]) == pytest.approx(expected)


def test_perplexity_of_padding_alone(engine):
    assert np.isnan(value(metric.Perplexity(0), [(np.zeros(2, "f4"), np.ones((2, 2), "f4"))]))


def test_accuracy_of_classes_and_along_another_axis(engine):
    label = np.array([[0, 1], [1, 1]], "f4")
    assert value(metric.Accuracy(), [(label, np.ones((2, 2), "f4"))]) == 0.75
    pred = np.zeros((2, 2, 3), "f4")
    pred[:, :, 1] = 1
    assert value(metric.Accuracy(axis=2), [(label, pred)]) == 0.75


def test_a_label_that_is_no_class_is_wrong(engine):
    batch = np.array([-1, 7, 0], "f4"), np.eye(3, dtype="f4")
    assert value(metric.Accuracy(), [batch]) == 0
    assert value(metric.TopKAccuracy(3), [batch]) == pytest.approx(1 / 3)


def test_a_score_that_is_no_number_is_no_hit(engine):
    pred = np.array([[np.nan, 0.2, 0.8], [np.nan, np.nan, np.nan]], "f4")
    assert value(metric.TopKAccuracy(1), [(np.array([2, 1], "f4"), pred)]) == 0
    assert value(metric.TopKAccuracy(2), [(np.array([2, 1], "f4"), pred)]) == 0.5


@settings(max_examples=50, deadline=None)
@given(
    scores=arrays("f4", (6, 4), elements=st.sampled_from([0.0, 0.25, 0.5, 1.0])),
    labels=arrays("i4", 6, elements=st.integers(0, 3)),
    top_k=st.integers(1, 4),
)
def test_top_k_with_ties_is_as_in_scikit_learn(scores, labels, top_k):
    from sklearn.metrics import top_k_accuracy_score

    made = metric.TopKAccuracy(top_k)
    sums, count = made.measure([labels], [scores])
    if top_k < 4:
        expected = top_k_accuracy_score(labels, scores, k=top_k, labels=range(4), normalize=False)
        assert (sums, count) == (expected, 6)
    else:
        assert sums == count == 6


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), cuts=st.lists(st.integers(0, 24), max_size=3))
def test_how_samples_are_cut_into_batches_does_not_matter(seed, cuts):
    (label, pred), *_ = class_batches(seed, count=1, size=24)
    edges = [0, *sorted(cuts), 24]
    for made in map(metric.create, ("acc", "ce", "loss", "perplexity")):
        whole = made.finish(*made.measure([label], [pred]))
        parts = [
            made.measure([label[a:b]], [pred[a:b]]) for a, b in itertools.pairwise(edges) if a < b
        ]
        sums, counts = zip(*parts, strict=True)
        assert made.finish(sum(sums), sum(counts)) == pytest.approx(whole, rel=1e-5)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("label_dtype", ["float32", "int32", "uint8", "int64"])
def test_data_types(engine, dtype, label_dtype):
    batches = [(a.astype(label_dtype), b.astype(dtype)) for a, b in class_batches(6)]
    for name, oracle in OF_CLASSES.items():
        made = metric.create(name, **EXTRA.get(name, {}))
        assert value(made, batches) == pytest.approx(combined(oracle, batches), rel=1e-3)


def test_several_outputs_count_together(engine):
    (one, two), three = class_batches(7, count=2), class_batches(7, count=2)[1]
    made = metric.Accuracy()
    made.update([nd.array(one[0]), nd.array(two[0])], [nd.array(one[1]), nd.array(two[1])])
    assert made.get()[1] == combined(OF_CLASSES["acc"], [one, three])


# -- Names, state and lists ------------------------------------------------------------------------


def test_without_batches(engine):
    name, number = metric.create("acc").get()
    assert name == "accuracy"
    assert np.isnan(number)


def test_reset_and_reset_local(engine):
    made = metric.Loss()
    for number in (1.0, 2.0):
        made.update([], nd.full(2, number))
        assert made.get() == ("loss", number)
        made.reset_local()
    assert made.get_global() == ("loss", 1.5)
    assert made.get_global_name_value() == [("loss", 1.5)]
    assert np.isnan(made.get()[1])
    made.update([], nd.full(2, 4.0))
    assert made.get() == ("loss", 4.0)
    made.reset()
    assert np.isnan(made.get_global()[1])


def test_of_a_function(engine):
    def off_by(label, pred):
        return np.abs(label - pred).max()

    for made in (metric.np(off_by), metric.create(off_by), metric.CustomMetric(off_by)):
        made.update([nd.array([1, 2])], [nd.array([1, 5])])
        made.update([nd.array([1, 2])], [nd.array([2, 2])])
        assert made.get() == ("off_by", 2.0)
    assert metric.create(lambda label, pred: 0).name == "custom(<lambda>)"
    assert metric.np(off_by, name="far").name == "far"
    weighted = metric.np(lambda label, pred: (pred.sum(), 4))
    weighted.update([nd.zeros(2)], [nd.ones(2)])
    assert weighted.get()[1] == 0.5


def test_a_function_may_keep_what_it_gets(engine):
    kept = []
    made = metric.np(lambda label, pred: kept.append((label, pred)) or 0)
    label, pred = nd.zeros(2), nd.ones(2)
    made.update([label], [pred])
    pred[:] = 7
    pred.wait_to_read()
    made.get()
    np.testing.assert_array_equal(kept[0][1], [1, 1])


def test_extra_outputs(engine):
    made = metric.CustomMetric(lambda label, pred: pred.sum(), "sum", allow_extra_outputs=True)
    made.update([nd.zeros(2)], [nd.ones(2), nd.ones(3)])
    assert made.get() == ("sum", 2.0)
    with pytest.raises(ShapeError, match="sum: 1 labels for 2 predictions"):
        metric.CustomMetric(lambda label, pred: 0, "sum").update([nd.zeros(2)], [nd.ones(2)] * 2)


def test_composite(engine):
    made = metric.create(["acc", metric.MSE("other"), lambda label, pred: 1.0])
    assert isinstance(made, metric.CompositeEvalMetric)
    made.update([nd.array([[0, 1]])], [nd.array([[0, 3]])])
    assert made.get() == (["accuracy", "other", "custom(<lambda>)"], [0.5, 2.0, 1.0])
    assert made.get_name_value()[0] == ("accuracy", 0.5)
    made.reset_local()
    assert np.isnan(made.get()[1]).all()
    assert made.get_global()[1] == [0.5, 2.0, 1.0]
    made.reset()
    made.add("rmse")
    assert made.get_metric(3).name == "rmse"
    with pytest.raises(IndexError, match="composite: metric 4 of 4"):
        made.get_metric(4)


def test_composite_is_one_message():
    with Engine(workers=0, engine_type="threaded") as engine:
        made = metric.create(["acc", "ce", "loss"])
        made.update([nd.array([0])], [nd.array([[1.0, 0.0]])])
        told = 0
        while engine.step() is not None:
            told += 1
        assert told <= 1 + 2  # two arrays, unless they were filled when they were made
        assert made.get()[1] == [1.0, pytest.approx(0, abs=1e-6), 0.5]


def test_composite_by_names(engine):
    made = metric.CompositeEvalMetric(
        [metric.Loss("one", output_names=["a"]), metric.Loss("both")], output_names=["b", "a"]
    )
    outputs = {"a": nd.ones(1), "b": nd.full(1, 3), "c": nd.full(1, 9)}
    made.update_dict({}, outputs)
    assert made.get() == (["one", "both"], [1.0, 2.0])


def test_update_dict(engine):
    made = metric.Accuracy(output_names=["scores"], label_names=["label"])
    made.update_dict({"other": nd.zeros(9), "label": nd.array([1])}, {"scores": nd.array([[0, 1]])})
    assert made.get()[1] == 1
    with pytest.raises(ParameterError, match=r"no output is called 'scores'; did you mean score\?"):
        made.update_dict({"label": nd.array([1])}, {"score": nd.zeros((1, 2))})


def test_a_metric_of_ones_own_as_in_mxnet(engine):
    class Best(metric.EvalMetric):
        def __init__(self):
            super().__init__("best", num=2)

        def update(self, labels, preds):
            for i, pred in enumerate(preds):
                self.sum_metric[i] += float(pred.asnumpy().max())
                self.num_inst[i] += 1

    class Mine(metric.EvalMetric):
        def update(self, labels, preds):
            self.sum_metric += float(preds[0].asnumpy().sum())
            self.num_inst += preds[0].size

    best, mine = Best(), Mine("mine")
    made = metric.create([best, mine, "loss"])
    for _ in range(2):
        made.update([], [nd.array([1, 5]), nd.array([2, 8])])
    assert best.get() == (["best_0", "best_1"], [5, 8])
    assert made.get() == (["best_0", "best_1", "mine", "loss"], [5, 8, 3, 4])
    made.reset()
    assert mine.sum_metric == mine.num_inst == 0
    with pytest.raises(NotImplementedError, match=r"needs measure\(\) or update\(\)"):
        value(metric.EvalMetric("none"), class_batches(1))


def test_a_metric_of_ones_own_in_a_worker(engine):
    @metric.register
    class Spread(metric.EvalMetric):
        def measure(self, labels, preds):
            return [preds[0].max(), preds[0].min()], [1, 1]

    made = metric.create("spread", "spread", num=2)
    for numbers in ([1, 5], [2, 7]):
        made.update([nd.zeros(2)], [nd.array(numbers)])
    assert made.get() == (["spread_0", "spread_1"], [6.0, 1.5])


def test_create_by_name():
    names = {
        "acc": metric.Accuracy,
        "ce": metric.CrossEntropy,
        "F1": metric.F1,
        "top_k_accuracy": metric.TopKAccuracy,
        "torch": metric.Torch,
        "caffe": metric.Caffe,
    }
    for name, kind in names.items():
        assert type(metric.create(name)) is kind
    assert metric.create("top_k_accuracy", top_k=5).name == "top_k_accuracy_5"
    assert type(metric.create(metric.MAE)) is metric.MAE
    made = metric.MSE()
    assert metric.create(made) is made
    with pytest.raises(ParameterError, match=r"none called 'acuracy'; did you mean accuracy"):
        metric.create("acuracy")
    with pytest.raises(ParameterError, match="unexpected keyword argument 'top'"):
        metric.create("top_k_acc", top=2)
    with pytest.raises(TypeError, match="needs a metric, a name, a function or a list, got 3"):
        metric.create(3)


# -- What is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "label", "pred"),
    [
        ("acc", (4,), (3, 2)),
        ("acc", (4,), (2,)),
        ("ce", (4,), (3, 2)),
        ("ce", (4,), (4, 2, 1)),
        ("f1", (4,), (4,)),
        ("top_k_acc", (4,), (4,)),
        ("perplexity", (4,), (4, 2, 2)),
        ("mse", (4,), (4, 2)),
        ("mae", (4, 2), (2, 4)),
        ("rmse", (1, 4), (4,)),
    ],
)
def test_shapes_are_compared_in_the_call(engine, name, label, pred):
    made = metric.create(["loss", name])
    with pytest.raises(ShapeError, match="the labels have shape"):
        made.update([nd.zeros(label)], [nd.zeros(pred)])
    assert np.isnan(made.get()[1]).all()  # nothing has changed


def test_what_is_refused(engine):
    made = metric.Accuracy()
    with pytest.raises(ShapeError, match="accuracy: 2 labels for 1 predictions"):
        made.update([nd.zeros(1)] * 2, [nd.zeros((1, 2))])
    with pytest.raises(TypeError, match="each prediction as an NDArray, got an ndarray of shape"):
        made.update([nd.zeros(1)], [np.zeros((1, 2))])
    with pytest.raises(TypeError, match="each label as an NDArray, got None"):
        made.update(None, [nd.zeros((1, 2))])
    with pytest.raises(ShapeError, match=r"accuracy: .*needs an axis 3 of scores"):
        metric.Accuracy(axis=3).update(nd.zeros(1), nd.zeros((1, 2)))
    with pytest.raises(ParameterError, match="top_k is at least 1, got 0"):
        metric.TopKAccuracy(0)
    with pytest.raises(ParameterError, match="average is 'macro' or 'micro', got 'mean'"):
        metric.F1(average="mean")
    with pytest.raises(TypeError, match="feval has to be a function"):
        metric.CustomMetric("f")
    with pytest.raises(ParameterError, match="num is a count of at least 1"):
        metric.EvalMetric("x", num=0)


def test_check_label_shapes():
    one = nd.zeros(3)
    assert metric.check_label_shapes(one, one, wrap=True) == ([one], [one])
    with pytest.raises(ShapeError, match="lengths of labels and predictions differ: 1 and 2"):
        metric.check_label_shapes([1], [1, 2])
    with pytest.raises(ShapeError, match=r"shapes .* differ: \(3,\) and \(2,\)"):
        metric.check_label_shapes(one, nd.zeros(2), shape=True)


@pytest.mark.parametrize(
    ("name", "label", "message"),
    [
        ("ce", 2, "cross-entropy: label 2 is none of the 2 classes"),
        ("ce", -1, "label -1 is none of the 2"),
        ("perplexity", 5, "perplexity: label 5 is none"),
    ],
)
def test_a_wrong_label_is_told_by_get(engine, name, label, message):
    made = metric.create(name)
    made.update([nd.array([0, label])], [nd.full((2, 2), 0.5)])
    with pytest.raises(IndexError, match=message):
        made.get()
    made.reset()
    made.update([nd.array([0, 1])], [nd.full((2, 2), 0.5)])
    assert made.get()[1] > 0


def test_f1_of_three_classes(engine):
    made = metric.F1()
    made.update([nd.array([0, 1, 2])], [nd.zeros((3, 2))])
    with pytest.raises(ValueError, match="f1: the labels are of more than two classes"):
        made.get()


def test_an_error_of_a_function_reaches_get(engine):
    def broken(label, pred):
        raise RuntimeError("no idea")

    made = metric.create(broken)
    made.update([nd.zeros(1)], [nd.zeros(1)])
    with pytest.raises(RuntimeError, match="no idea"):
        made.get()


def test_what_failed_before_reaches_get(engine):
    made = metric.Loss()
    made.update([], nd.Embedding(nd.array([9]), nd.zeros((2, 2)), input_dim=2, output_dim=2))
    with pytest.raises(IndexError):
        made.get()


def test_an_error_that_nobody_asked_for_is_reported():
    def broken(label, pred):
        raise RuntimeError("no idea")

    engine = Engine(engine_type="threaded", workers=1)
    made = metric.create(broken)
    engine.push(lambda: made.update([nd.zeros(1)], [nd.zeros(1)])).wait()
    made.reset()
    with pytest.raises(ExceptionGroup) as caught:
        engine.close()
    assert caught.group_contains(RuntimeError, match="no idea")


# -- Nothing waits ---------------------------------------------------------------------------------


def held(pred):
    """Keep an array from being read until the event is set."""
    event = threading.Event()
    af.current_engine().push(event.wait, updates=[pred.resource], name="hold")
    return event


def test_update_does_not_wait():
    with Engine(engine_type="threaded", workers=1):
        made, pred = metric.Accuracy(), nd.array([[0, 1]])
        event = held(pred)
        made.update([nd.array([1])], [pred])
        made.reset_local()
        made.update([nd.array([0])], [pred])
        event.set()
        assert made.get() == ("accuracy", 0)
        assert made.get_global() == ("accuracy", 0.5)


def test_in_an_event_loop():
    async def main():
        async with Engine(engine_type="threaded", workers=1):
            made = metric.create(["acc", metric.Loss()])
            pred = nd.array([[0, 1]])
            event = held(pred)
            made.update([nd.array([1])], [pred])
            with pytest.raises(WouldBlockError) as caught:
                made.get()
            assert "await metric.get_async()" in caught.value.__notes__[-1]
            event.set()
            assert await made.get_async() == (["accuracy", "loss"], [1, 0.5])
            assert await made.get_name_value_async() == [("accuracy", 1), ("loss", 0.5)]
            await made.wait_async()
            assert made.get()[1] == [1, 0.5]

    asyncio.run(main())


def test_a_get_of_ones_own_in_an_event_loop():
    class Doubled(metric.Loss):
        def get(self):
            name, number = super().get()
            return name, 2 * number

    async def main():
        async with Engine(engine_type="threaded", workers=1):
            made = Doubled()
            made.update([], nd.ones(3))
            assert await made.get_async() == ("loss", 2)

    asyncio.run(main())


def test_all_engines_give_the_same():
    names = ["acc", "ce", "loss", "perplexity", metric.TopKAccuracy]
    found = []
    for kind, workers in (("naive", 1), ("threaded", 1), ("threaded", 3)):
        with Engine(engine_type=kind, workers=workers):
            made = metric.create(names)
            for label, pred in class_batches(8, count=20):
                made.update(nd.array(label), nd.softmax(nd.array(pred) * 3))
            found.append(made.get())
    assert found[0] == found[1] == found[2]
