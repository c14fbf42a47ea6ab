"""The networks that come with the package."""

import numpy as np
import pytest

import actorflow as af
from actorflow import io, networks
from actorflow.errors import ParameterError


@pytest.mark.parametrize("name", sorted(networks.NETWORKS))
def test_each_gives_a_chance_for_each_class(name):
    net = networks.NETWORKS[name](7)
    _, outputs, _ = net.infer_shape(data=(2, 1, 28, 28))
    assert outputs == [(2, 7)]
    assert net.list_outputs() == ["softmax_output"]
    names = [*net.list_arguments(), *net.list_auxiliary_states()]
    assert len(names) == len(set(names))


def test_lenet_has_the_sizes_of_mxnets_example():
    net = networks.lenet()
    shapes = dict(zip(net.list_arguments(), net.infer_shape(data=(1, 1, 28, 28))[0], strict=True))
    assert shapes["conv1_weight"] == (20, 1, 5, 5)
    assert shapes["conv2_weight"] == (50, 20, 5, 5)
    assert shapes["fc1_weight"] == (500, 800)
    assert shapes["fc2_weight"] == (10, 500)


def test_a_residual_network_has_the_layers_it_is_called_after():
    net = networks.resnet(num_layers=20)
    weights = [name for name in net.list_arguments() if name.endswith("weight")]
    kept = [name for name in weights if "shortcut" not in name]
    assert len(kept) == 20
    _, (stages,), _ = net.get_internals()["stage3_block3_relu_output"].infer_shape(
        data=(1, 3, 32, 32)
    )
    assert stages == (1, 64, 8, 8)


def test_mlp_takes_its_hidden_layers():
    net = networks.mlp(3, hidden=(5,))
    shapes, _, _ = net.infer_shape(data=(2, 4))
    assert dict(zip(net.list_arguments(), shapes, strict=True))["fc1_weight"] == (5, 4)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: networks.lenet(0), "lenet: needs integers of at least 1, got 0"),
        (lambda: networks.mlp(hidden=(3, 0)), "mlp: needs integers of at least 1, got 0"),
        (lambda: networks.resnet(num_layers=18), "resnet: num_layers is 6 n [+] 2.* got 18"),
        (lambda: networks.resnet(num_layers=2), "resnet: num_layers is 6 n [+] 2.* got 2"),
    ],
)
def test_mistakes(make, message):
    with pytest.raises(ParameterError, match=message):
        make()


@pytest.mark.slow
def test_a_residual_network_learns():
    draw = np.random.default_rng(3)
    images = draw.normal(size=(32, 1, 8, 8)).astype("float32")
    classes = (images[:, 0, :4].mean((1, 2)) > images[:, 0, 4:].mean((1, 2))).astype("float32")
    af.random.seed(1)
    module = af.mod.Module(networks.resnet(2, num_layers=8, filters=4))
    data = io.NDArrayIter(images, classes, 16, shuffle=True)
    module.fit(
        data,
        num_epoch=30,
        initializer=af.init.Xavier(factor_type="in", magnitude=2.34),
        optimizer_params={"learning_rate": 0.1, "momentum": 0.9},
    )
    assert dict(module.report.metric)["accuracy"] > 0.9
