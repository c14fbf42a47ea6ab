"""Checkpoints: what is in them, what a process that is killed leaves, and what is refused."""

import asyncio
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from actorflow import callback, model, nd, sym
from actorflow.engine import Engine
from actorflow.errors import FormatError, ParameterError


def network(num_hidden=2):
    hidden = sym.FullyConnected(sym.Variable("data"), num_hidden=num_hidden, name="fc")
    return sym.SoftmaxOutput(sym.BatchNorm(hidden, name="bn"), name="softmax")


def parameters(value=1.0):
    args = {"fc_weight": nd.full((2, 3), value), "fc_bias": nd.full(2, -value)}
    return args, {"bn_moving_mean": nd.full(2, 2 * value)}


def assert_holds(prefix, epoch, value):
    symbol, args, auxiliary = model.load_checkpoint(prefix, epoch)
    assert symbol.list_arguments() == network().list_arguments()
    for found, expected in zip((args, auxiliary), parameters(value), strict=True):
        assert found.keys() == expected.keys()
        for name, array in found.items():
            np.testing.assert_array_equal(array.asnumpy(), expected[name].asnumpy())


def test_saved_and_loaded(engine, tmp_path):
    prefix = tmp_path / "net"
    model.save_checkpoint(prefix, 7, network(), *parameters())
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "net-0007.params",
        "net-symbol.json",
    ]
    assert_holds(str(prefix), 7, 1.0)
    args, auxiliary = model.load_params(prefix, 7)
    assert (list(args), list(auxiliary)) == (["fc_weight", "fc_bias"], ["bn_moving_mean"])
    assert list(nd.load(tmp_path / "net-0007.params"))[-1] == "aux:bn_moving_mean"


def test_without_the_network(engine, tmp_path):
    model.save_checkpoint(tmp_path / "net", 12345, None, *parameters())
    assert [path.name for path in tmp_path.iterdir()] == ["net-12345.params"]


def test_in_an_event_loop(tmp_path):
    async def main():
        async with Engine(engine_type="threaded", workers=1):
            await model.save_checkpoint_async(tmp_path / "net", 1, network(), *parameters(3))
            await callback.do_checkpoint(tmp_path / "net").call_async(1, network(), *parameters(4))

    asyncio.run(main())
    assert_holds(tmp_path / "net", 1, 3)
    assert_holds(tmp_path / "net", 2, 4)


def test_what_is_refused(engine, tmp_path):
    prefix = tmp_path / "net"
    args, auxiliary = parameters()
    with pytest.raises(ParameterError, match="the epoch is an integer from 0 on, got -1"):
        model.save_checkpoint(prefix, -1, network(), args, auxiliary)
    with pytest.raises(TypeError, match="needs a Symbol or None, got str"):
        model.save_checkpoint(prefix, 1, "net", args, auxiliary)
    with pytest.raises(TypeError, match="aux_params are arrays by name"):
        model.save_checkpoint(prefix, 1, network(), args, [nd.zeros(1)])
    with pytest.raises(TypeError, match="fc_bias has to be an NDArray, got a ndarray"):
        model.save_checkpoint(prefix, 1, network(), {"fc_bias": np.zeros(1)}, auxiliary)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(FileNotFoundError):
        model.load_checkpoint(prefix, 1)


@pytest.mark.parametrize(
    "content", [{"fc_weight": nd.zeros(1)}, [nd.zeros(1)], {"x:y": nd.zeros(1)}]
)
def test_another_file_is_named(engine, tmp_path, content):
    nd.save(tmp_path / "net-0001.params", content)
    with pytest.raises(FormatError, match=r"net-0001\.params: the parameters of a checkpoint are"):
        model.load_params(tmp_path / "net", 1)


# -- Killed while writing --------------------------------------------------------------------------

KILLED_PROGRAM = """
import json, os, pathlib, signal, sys
from actorflow import model
from actorflow.ndarray import serialize
from tests.training.test_checkpoint import network, parameters

folder, most = sys.argv[1], int(sys.argv[2])
events = last = 0

def count():
    global events
    events += 1
    if events == last:
        os.kill(os.getpid(), signal.SIGKILL)

def counting(function):
    def counted(*args, **kwargs):
        count()
        result = function(*args, **kwargs)
        count()
        return result
    return counted

def counted_pieces(*args):
    for piece in pieces(*args):
        yield piece
        count()

pieces, serialize.pieces = serialize.pieces, counted_pieces
os.fsync = counting(os.fsync)
pathlib.Path.replace = counting(pathlib.Path.replace)
ends = []
for last in range(1, most):
    child = os.fork()
    if child == 0:
        model.save_checkpoint(f"{folder}/{last}", 1, network(), *parameters(2.0))
        os._exit(0)
    ends.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print(json.dumps(ends))
"""


@pytest.mark.slow
def test_a_process_that_is_killed_leaves_a_whole_checkpoint(tmp_path):
    most = 40
    for last in range(1, most):
        model.save_checkpoint(tmp_path / str(last), 1, network(), *parameters(1.0))
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", KILLED_PROGRAM, tmp_path, str(most)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    ends = json.loads(done.stdout)
    killed = ends.count(-signal.SIGKILL)
    assert ends == [-signal.SIGKILL] * killed + [0] * (len(ends) - killed)
    assert 10 < killed < len(ends)  # at each write, and before and after each fsync and each move
    values = []
    for last in range(1, most):
        prefix = tmp_path / str(last)
        value = float(model.load_params(prefix, 1)[0]["fc_weight"].asnumpy()[0, 0])
        assert_holds(prefix, 1, value)
        values.append(value)
    # The old one until the new one is whole and moved to its place.
    old = values.count(1.0)
    assert values == [1.0] * old + [2.0] * (len(values) - old)
    assert 10 < old < killed


# -- With a real MXNet -----------------------------------------------------------------------------

PEER = os.environ.get("AF_MXNET_PYTHON")
MXNET_PROGRAM = """
import sys, warnings
warnings.filterwarnings("ignore")
import mxnet as mx
symbol, args, auxiliary = mx.model.load_checkpoint(sys.argv[1], 3)
assert symbol.list_arguments() == sys.argv[2].split(","), symbol.list_arguments()
mx.model.save_checkpoint(
    sys.argv[1],
    4,
    symbol,
    {name: array + 1 for name, array in args.items()},
    {name: array + 2 for name, array in auxiliary.items()},
)
"""


@pytest.mark.skipif(not PEER, reason="AF_MXNET_PYTHON names no Python that has MXNet")
@pytest.mark.slow
def test_exchanged_with_mxnet(tmp_path):
    prefix = tmp_path / "net"
    net = network()
    model.save_checkpoint(prefix, 3, net, *parameters())
    done = subprocess.run(  # noqa: S603
        [PEER, "-c", MXNET_PROGRAM, prefix, ",".join(net.list_arguments())],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    symbol, args, auxiliary = model.load_checkpoint(prefix, 4)
    assert symbol.list_arguments() == net.list_arguments()
    np.testing.assert_array_equal(args["fc_weight"].asnumpy(), np.full((2, 3), 2.0))
    np.testing.assert_array_equal(args["fc_bias"].asnumpy(), [0, 0])
    np.testing.assert_array_equal(auxiliary["bn_moving_mean"].asnumpy(), [4, 4])
