"""The same numbers as MXNet's, with the MXNet of AF_MXNET_PYTHON."""

import json
import os
import subprocess

import numpy as np
import pytest

from actorflow import init, metric, nd, sym
from tests.training._oracles import class_batches, number_batches

PEER = os.environ.get("AF_MXNET_PYTHON")
pytestmark = [
    pytest.mark.skipif(not PEER, reason="AF_MXNET_PYTHON names no Python that has MXNet"),
    pytest.mark.slow,
]

METRICS = {
    "accuracy": (metric.Accuracy, {}, "classes"),
    "top_k_accuracy": (metric.TopKAccuracy, {"top_k": 2}, "classes"),
    "crossentropy": (metric.CrossEntropy, {}, "classes"),
    "perplexity": (metric.Perplexity, {"ignore_label": 1}, "classes"),
    "loss": (metric.Loss, {}, "classes"),
    "f1": (metric.F1, {}, "two"),
    "f1 micro": (metric.F1, {"average": "micro"}, "two"),
    "mae": (metric.MAE, {}, "numbers"),
    "mse": (metric.MSE, {}, "numbers"),
    "rmse": (metric.RMSE, {}, "numbers"),
}
BATCHES = {
    "classes": class_batches(11),
    "two": class_batches(12, classes=2),
    "numbers": number_batches(13),
}
METRIC_PROGRAM = """
import json, sys, warnings
warnings.filterwarnings("ignore")
import mxnet as mx
arrays = mx.nd.load(sys.argv[1])
found = {}
for name, (parameters, kind) in json.loads(sys.argv[2]).items():
    made = mx.metric.create(name.split()[0], **parameters)
    for i in range(3):
        made.update([arrays[f"{kind} label {i}"]], [arrays[f"{kind} pred {i}"]])
        if i == 0:
            first = made.get()
            made.reset_local()
    found[name] = [first, made.get(), made.get_global()]
print(json.dumps(found))
"""


def run(program, *arguments):
    done = subprocess.run(  # noqa: S603
        [PEER, "-c", program, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_metrics(tmp_path):
    arrays = {
        f"{kind} {what} {i}": nd.array(array)
        for kind, batches in BATCHES.items()
        for i, batch in enumerate(batches)
        for what, array in zip(("label", "pred"), batch, strict=True)
    }
    nd.save(tmp_path / "batches", arrays)
    told = {name: (parameters, kind) for name, (_, parameters, kind) in METRICS.items()}
    theirs = run(METRIC_PROGRAM, tmp_path / "batches", json.dumps(told))
    for name, (made, parameters, kind) in METRICS.items():
        ours = made(**parameters)
        found = []
        for i in range(3):
            ours.update([arrays[f"{kind} label {i}"]], [arrays[f"{kind} pred {i}"]])
            if i == 0:
                found.append(ours.get())
                ours.reset_local()
        found += [ours.get(), ours.get_global()]
        for (own_name, own), (their_name, their) in zip(found, theirs[name], strict=True):
            assert own_name == their_name
            assert own == pytest.approx(their, rel=1e-5), name


INITIALIZER_PROGRAM = """
import json, sys, warnings
warnings.filterwarnings("ignore")
import mxnet as mx
texts, names = json.loads(sys.argv[1])
back, values, statistics = {}, {}, {}
for text in texts:
    name, parameters = json.loads(text)
    made = mx.init.create(name, **parameters)
    back[text] = made.dumps()
    array = mx.nd.zeros((64, 32, 3, 3) if name != "lstmbias" else (64,))
    made(mx.init.InitDesc("a", {"__init__": text}), array)
    statistics[text] = [float(array.mean().asscalar()), float(array.asnumpy().std())]
for name, shape in names:
    array = mx.nd.zeros(shape)
    mx.init.Constant(7)(name, array)
    values[name] = array.asnumpy().tolist()
net = mx.sym.load(sys.argv[2])
print(json.dumps([back, statistics, values, net.attr_dict()]))
"""


def test_initializers(tmp_path):
    made = [
        init.Uniform(0.3),
        init.Normal(2),
        init.Orthogonal(),
        init.Xavier("gaussian", "in", 2.34),
        init.Xavier(),
        init.MSRAPrelu("in", 0.1),
        init.Constant(3),
        init.Bilinear(),
        init.LSTMBias(),
        init.One(),
    ]
    names = [
        ("upsampling0_weight", (1, 2, 4, 4)),
        ("stn_loc_bias", (6,)),
        ("stn_loc_weight", (3,)),
        *((f"x_{end}", (2,)) for end in ("bias", "gamma", "beta", "weight", "moving_mean")),
        *((f"x_{end}", (2,)) for end in ("moving_var", "moving_inv_var", "moving_avg", "max")),
    ]
    texts = [each.dumps() for each in made]
    path = tmp_path / "net.json"
    sym.FullyConnected(sym.Variable("data"), sym.Variable("w", init=made[3]), num_hidden=2).save(
        path
    )
    told = json.dumps([texts, names])
    back, statistics, values, attributes = run(INITIALIZER_PROGRAM, told, path)
    assert attributes["w"]["__init__"] == texts[3]
    for text, each in zip(texts, made, strict=True):
        assert init.create(back[text]) == each
        array = nd.zeros((64,) if "lstm" in text else (64, 32, 3, 3))
        each("a_weight", array)
        found = array.asnumpy()
        mean, deviation = statistics[text]
        assert found.mean() == pytest.approx(mean, abs=max(0.03 * deviation, 1e-6))
        assert found.std() == pytest.approx(deviation, rel=0.03)
    for name, shape in names:
        array = nd.zeros(shape)
        init.Constant(7)(name, array)
        np.testing.assert_allclose(array.asnumpy(), values[name], rtol=1e-6)
