"""The same steps by the MXNet 1.9.1 of AF_MXNET_PYTHON, if it is set."""

import json
import os
import subprocess

import numpy as np
import pytest

import actorflow as af
from actorflow import nd

PEER = os.environ.get("AF_MXNET_PYTHON")
pytestmark = [
    pytest.mark.skipif(not PEER, reason="AF_MXNET_PYTHON names no Python that has MXNet"),
    pytest.mark.slow,
]

NAMES = {0: "a_weight", 1: "a_bias", 2: "b_gamma"}
SHAPES = [(3, 4), (5,), (7,)]
STEPS = 20
SHARED = {"wd": 0.1, "rescale_grad": 0.5, "clip_gradient": 0.4}
SCHEDULES = {
    "FactorScheduler": {"step": 4, "factor": 0.7, "stop_factor_lr": 0.01, "base_lr": 0.1},
    "MultiFactorScheduler": {"step": [3, 9], "factor": 0.5, "base_lr": 0.1, "warmup_steps": 2},
    "PolyScheduler": {"max_update": 15, "base_lr": 0.1, "pwr": 3, "final_lr": 0.01},
    "CosineScheduler": {
        "max_update": 15,
        "base_lr": 0.1,
        "warmup_steps": 5,
        "warmup_begin_lr": 0.02,
        "warmup_mode": "constant",
    },
}
CASES = {
    "sgd": ("sgd", {"learning_rate": 0.1}),
    "momentum": ("sgd", {"learning_rate": 0.1, "momentum": 0.9}),
    # With a decay, MXNet's momentum takes that of the new weight if the update is in place.
    "nag": ("nag", {"learning_rate": 0.1, "momentum": 0.9, "wd": 0}),
    # MXNet's fails with momentum: it asks a whole array whether it is true.
    "dcasgd": ("dcasgd", {"learning_rate": 0.1, "lamda": 0.5}),
    "adam": ("adam", {"beta1": 0.8}),
    "adagrad": ("adagrad", {"eps": 1e-6}),
    "rmsprop": ("rmsprop", {"gamma1": 0.8, "epsilon": 1e-4, "centered": False}),
    "rmsprop-clip": ("rmsprop", {"centered": False, "clip_weights": 0.5, "learning_rate": 0.05}),
    "centered": ("rmsprop", {"gamma1": 0.95, "gamma2": 0.9, "epsilon": 1e-4, "centered": True}),
    "adadelta": ("adadelta", {"rho": 0.8}),
    "ftrl": ("ftrl", {"lamda1": 0.1, "learning_rate": 0.2, "beta": 0.5}),
    **{name: ("sgd", {"momentum": 0.5, "schedule": name}) for name in SCHEDULES},
    "adam-schedule": ("adam", {"learning_rate": None, "schedule": "PolyScheduler"}),
}

PROGRAM = """
import json, sys, warnings
warnings.filterwarnings("ignore")
import mxnet as mx, numpy as np
cases, schedules, target = json.loads(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3]
given = np.load(target + "/given.npz")
found = {}
for case, (name, arguments, shared, names, steps) in cases.items():
    schedule = arguments.pop("schedule", None)
    if schedule:
        arguments["lr_scheduler"] = getattr(mx.lr_scheduler, schedule)(**schedules[schedule])
    names = {int(index): each for index, each in names.items()}
    made = mx.optimizer.create(name, param_idx2name=names, **{**shared, **arguments})
    made.set_lr_mult({"a_bias": 2.0})
    updater = mx.optimizer.get_updater(made)
    weights = [mx.nd.array(given["w%d" % index], dtype="float32") for index in names]
    for step in range(steps):
        for index, weight in enumerate(weights):
            updater(index, mx.nd.array(given["g%d-%d" % (index, step)], dtype="float32"), weight)
    for index, weight in enumerate(weights):
        found["%s-%d" % (case, index)] = weight.asnumpy()
np.savez(target + "/found.npz", **found)
"""


@pytest.fixture(scope="module")
def peer(tmp_path_factory):
    """What both begin with, and what MXNet made of it."""
    folder, generator = tmp_path_factory.mktemp("peer"), np.random.default_rng(0)
    given = {f"w{i}": generator.normal(size=shape) for i, shape in enumerate(SHAPES)}
    for step in range(STEPS):
        for i, shape in enumerate(SHAPES):
            given[f"g{i}-{step}"] = generator.normal(size=shape)
    given = {name: each.astype("float32") for name, each in given.items()}
    np.savez(folder / "given.npz", **given)
    cases = {case: (*each, SHARED, NAMES, STEPS) for case, each in CASES.items()}
    done = subprocess.run(  # noqa: S603
        [PEER, "-c", PROGRAM, json.dumps(cases), json.dumps(SCHEDULES), folder],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with np.load(folder / "found.npz") as found:
        return given, dict(found)


@pytest.mark.parametrize("case", CASES)
def test_the_same_weights(case, peer):
    given, found = peer
    name, arguments = CASES[case]
    arguments = dict(arguments)
    schedule = arguments.pop("schedule", None)
    if schedule:
        made = getattr(af.lr_scheduler, schedule)
        arguments["lr_scheduler"] = made(**SCHEDULES[schedule])
    if name == "rmsprop":
        arguments.setdefault("learning_rate", 0.001)
        arguments.setdefault("gamma1", 0.9)
        arguments.setdefault("epsilon", 1e-8)
    made = af.optimizer.create(name, param_idx2name=NAMES, **{**SHARED, **arguments})
    made.set_lr_mult({"a_bias": 2.0})
    updater = af.optimizer.get_updater(made)
    weights = [nd.array(given[f"w{index}"]) for index in NAMES]
    for step in range(STEPS):
        grads = [nd.array(given[f"g{index}-{step}"]) for index in NAMES]
        updater.update_all([*NAMES], grads, weights)
    for index, weight in enumerate(weights):
        np.testing.assert_allclose(
            weight.asnumpy(), found[f"{case}-{index}"], rtol=2e-5, atol=2e-6, err_msg=NAMES[index]
        )
