"""Module against loops of executors that are written by hand."""

import numpy as np
import pytest

import actorflow as af
from actorflow import io, nd, sym
from actorflow.errors import ActorflowError, ParameterError, ShapeError
from tests.training._networks import (
    digits,
    examples,
    mlp,
    near,
    params_of,
    same,
    started,
    values,
)

KINDS = ["naive", "threaded"]


def by_hand(batch_size=8, epochs=2):
    """The parameters after some epochs of momentum."""
    net = mlp()
    reqs = {name: "write" for name in net.list_arguments() if name[:2] == "fc"}
    executor = net.simple_bind(data=(batch_size, 5), grad_req=reqs)
    for name, value in values(net, data=(batch_size, 5)).items():
        executor.arg_dict[name][:] = value
    names = list(reqs)
    speeds = [nd.zeros(executor.arg_dict[name].shape) for name in names]
    iterator = digits(batch_size)
    for _ in range(epochs):
        for batch in iterator:
            executor.forward(True, data=batch.data[0], softmax_label=batch.label[0])
            executor.backward()
            for name, speed in zip(names, speeds, strict=True):
                weight = executor.arg_dict[name]
                nd.sgd_mom_update(
                    weight,
                    executor.grad_dict[name],
                    speed,
                    lr=0.1,
                    momentum=0.9,
                    rescale_grad=1 / batch_size,
                    out=weight,
                )
        iterator.reset()
    return {name: executor.arg_dict[name].asnumpy() for name in names}


def trained(batch_size=8, epochs=2, **options):
    module = started(batch_size=batch_size, **options)
    module.fit(digits(batch_size), num_epoch=epochs)
    return module


@pytest.mark.parametrize("kind", KINDS)
def test_fit_gives_the_bits_of_a_loop_by_hand(kind):
    with af.Engine(2, engine_type=kind):
        same(params_of(trained()), by_hand())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("loads", [None, [3, 1]])
def test_several_contexts_are_as_one(kind, loads):
    contexts = [af.cpu(0), af.cpu(1)]
    with af.Engine(2, engine_type=kind):
        ours = trained(context=contexts, work_load_list=loads)
        near(params_of(ours), by_hand())
        (output,) = ours.get_outputs()
        assert output.shape == (8, 3)
        assert [len(part) for part in ours.get_outputs(merge_multi_context=False)[0]] == (
            [4, 4] if loads is None else [6, 2]
        )


@pytest.mark.parametrize("kind", KINDS)
def test_the_engine_does_not_change_a_bit(kind):
    with af.Engine(1, engine_type="naive"):
        expected = params_of(trained(context=[af.cpu(0), af.cpu(1)]))
    with af.Engine(2, engine_type=kind):
        same(params_of(trained(context=[af.cpu(0), af.cpu(1)])), expected)


def test_prediction_and_score_leave_out_what_fills_up():
    module = started(batch_size=16)
    module.fit(digits(16), num_epoch=3)
    iterator = digits(16)  # 40 rows: the last batch has 8 more
    chances = module.predict(iterator).asnumpy()
    assert chances.shape == (40, 3)
    data, label = examples()
    executor = mlp().simple_bind(data=(40, 5), grad_req="null")
    executor.copy_params_from(module.get_params()[0])
    np.testing.assert_allclose(executor.forward(data=data)[0].asnumpy(), chances, rtol=1e-5)
    wanted = float((chances.argmax(1) == label).mean())
    assert module.score(iterator, "acc") == [("accuracy", pytest.approx(wanted))]
    assert module.score(iterator, "acc", num_batch=1)[0][1] == pytest.approx(
        float((chances[:16].argmax(1) == label[:16]).mean())
    )
    rows = [outputs[0].shape[0] for outputs, _, _ in module.iter_predict(iterator)]
    assert rows == [16, 16, 8]
    assert len(module.predict(iterator, merge_batches=False)) == 3
    assert len(module.predict(iterator, always_output_list=True)) == 1


def test_a_batch_of_another_size_shares_the_parameters():
    module = started(batch_size=8)
    data, label = examples(5)
    before = module.get_params()[0]["fc2_bias"].asnumpy()
    small = io.DataBatch([nd.array(data)], [nd.array(label)])
    module.forward(small, is_train=True)
    assert module.get_outputs()[0].shape == (5, 3)
    module.backward()
    module.update()
    assert not np.array_equal(module.get_params()[0]["fc2_bias"].asnumpy(), before)
    assert module.data_shapes[0].shape == (8, 5)
    module.reshape([("data", (5, 5))], [("softmax_label", (5,))])
    module.forward(small, is_train=False)
    assert module.data_shapes[0].shape == (5, 5)
    assert module.output_shapes == [("softmax_output", (5, 3))]


def test_gradients_of_the_data():
    net = mlp()
    module = af.mod.Module(net, context=[af.cpu(0), af.cpu(1)])
    module.bind([("data", (4, 5))], [("softmax_label", (4,))], inputs_need_grad=True)
    given = values(net, data=(4, 5))
    module.init_params(arg_params=given)
    data, label = examples(4)
    module.forward_backward(io.DataBatch([nd.array(data)], [nd.array(label)]))
    executor = net.simple_bind(data=(4, 5))
    executor.copy_params_from(given)
    executor.forward(True, data=data, softmax_label=label)
    executor.backward()
    (ours,) = module.get_input_grads()
    np.testing.assert_allclose(
        ours.asnumpy(), executor.grad_dict["data"].asnumpy(), rtol=1e-5, atol=1e-7
    )


def test_fixed_parameters_stay():
    module = started(fixed_param_names=["fc1_weight"])
    before = params_of(module)
    module.fit(digits(), num_epoch=1)
    after = params_of(module)
    np.testing.assert_array_equal(before["fc1_weight"], after["fc1_weight"])
    assert not np.array_equal(before["fc2_weight"], after["fc2_weight"])


def test_a_label_of_any_name_is_found():
    module = af.mod.Module(mlp("wanted"))
    assert module.label_names == ["wanted"]
    module.fit(digits(), num_epoch=1)  # whose label is called softmax_label
    score = sym.Reshape(sym.Variable("y"), shape=(-1,))
    net = sym.SoftmaxOutput(sym.Variable("x"), score)
    assert af.mod.Module(net, data_names=[sym.Variable("x")]).label_names == ["y"]
    custom = sym.MakeLoss(sym.square(sym.Variable("data") - sym.Variable("my_label")))
    assert af.mod.Module(custom).label_names == ["my_label"]


def test_averages_of_batch_norm_are_saved(tmp_path):
    net = sym.BatchNorm(sym.Variable("data"), name="bn", fix_gamma=False)
    net = sym.SoftmaxOutput(sym.FullyConnected(net, num_hidden=3, name="fc"), name="softmax")
    module = af.mod.Module(net, context=[af.cpu(0), af.cpu(1)])
    module.fit(digits(), num_epoch=1)
    args, aux = module.get_params()
    assert set(aux) == {"bn_moving_mean", "bn_moving_var"}
    assert np.abs(aux["bn_moving_mean"].asnumpy()).max() > 0
    prefix = str(tmp_path / "net")
    module.save_checkpoint(prefix, 1, save_optimizer_states=True)
    again = af.mod.Module.load(prefix, 1, load_optimizer_states=True)
    again.bind([("data", (8, 5))], [("softmax_label", (8,))])
    near(
        {n: v.asnumpy() for n, v in aux.items()},
        {n: v.asnumpy() for n, v in again.get_params()[1].items()},
    )
    ours, theirs = module.predict(digits()).asnumpy(), again.predict(digits()).asnumpy()
    assert ours.shape == theirs.shape
    module.save_params(tmp_path / "only.params")
    again.load_params(tmp_path / "only.params")
    same({n: v.asnumpy() for n, v in args.items()}, params_of(again))


def test_training_goes_on_with_the_saved_states(tmp_path):
    expected = params_of(trained(epochs=2))
    module = started()
    module.fit(digits(), num_epoch=1)
    module.save_checkpoint(str(tmp_path / "net"), 1, save_optimizer_states=True)
    again = af.mod.Module.load(str(tmp_path / "net"), 1, load_optimizer_states=True)
    again.fit(
        digits(),
        begin_epoch=1,
        num_epoch=2,
        optimizer_params={"learning_rate": 0.1, "momentum": 0.9},
    )
    same(params_of(again), expected)


def test_grad_req_add_collects_gradients():
    net = mlp()
    module = af.mod.Module(net)
    module.bind([("data", (4, 5))], [("softmax_label", (4,))], grad_req="add")
    module.init_params(arg_params=values(net, data=(4, 5)))
    data, label = examples(4)
    batch = io.DataBatch([nd.array(data)], [nd.array(label)])
    module.forward_backward(batch)
    once = module._group.grad_arrays[0][0].asnumpy()
    module.forward_backward(batch)
    np.testing.assert_allclose(module._group.grad_arrays[0][0].asnumpy(), 2 * once, rtol=1e-6)


# -- Mistakes --------------------------------------------------------------------------------------


def bound():
    module = af.mod.Module(mlp())
    module.bind([("data", (4, 5))], [("softmax_label", (4,))])
    return module


@pytest.mark.parametrize(
    ("make", "error", "said"),
    [
        (lambda: af.mod.Module(mlp(), data_names=["dta"]), ValueError, "did you mean data?"),
        (lambda: af.mod.Module(mlp(), label_names=["soft_label"]), ValueError, "softmax_label"),
        (lambda: af.mod.Module(mlp(), label_names=["data"]), ValueError, "named twice"),
        (lambda: af.mod.Module("net"), TypeError, "needs to be a Symbol"),
        (lambda: af.mod.Module(mlp(), context=[af.cpu(0)], work_load_list=[1, 2]), ValueError, "2"),
        (lambda: af.mod.Module(mlp(), fixed_param_names=["fc1_w"]), ValueError, "fc1_weight"),
        (lambda: af.mod.Module(mlp()).forward(None), ActorflowError, "call bind"),
        (lambda: bound().forward(None), ActorflowError, "call init_params"),
        (lambda: bound().init_optimizer(), ActorflowError, "call init_params"),
        (lambda: af.mod.Module(mlp()).bind([("dat", (4, 5))]), ValueError, "did you mean data?"),
        (
            lambda: af.mod.Module(mlp()).bind([("data", (4, 5))], [("x", (4,)), ("y", (4,))]),
            ValueError,
            "label_shapes has 'x'",
        ),
        (
            lambda: bound().init_params(arg_params={"fc1_weight": nd.zeros((1, 1))}),
            ShapeError,
            r"needs \(8, 5\)",
        ),
        (lambda: bound().init_params(arg_params={}), ParameterError, "lacks fc1_weight"),
        (
            lambda: bound().set_params({"fc1_wieght": nd.zeros((8, 5))}),
            ParameterError,
            "did you mean fc1_weight",
        ),
        (
            lambda: af.mod.Module(mlp(), context=[af.cpu(0), af.cpu(1)]).bind([("data", (1, 5))]),
            ValueError,
            "cannot be divided",
        ),
        (lambda: started().get_input_grads(), ActorflowError, "inputs_need_grad"),
        (lambda: started().init_optimizer(optimizer=3, force_init=True), TypeError, "optimizer"),
        (
            lambda: started(context=[af.cpu(0), af.cpu(1)]).init_optimizer(
                kvstore=None, force_init=True
            ),
            ValueError,
            "need a kvstore",
        ),
        (
            lambda: started(context=[af.cpu(0), af.cpu(1)]).set_params(values(mlp(), data=(8, 5))),
            ActorflowError,
            "before init_optimizer",
        ),
        (lambda: started().forward(io.DataBatch([])), ValueError, "0 arrays of data"),
        (lambda: started().fit(digits()), ParameterError, "num_epoch"),
        (lambda: started().fit([1], num_epoch=1), TypeError, "DataIter"),
        (lambda: started().fit(digits(), num_epoch=1, nan="no"), ParameterError, "nan"),
        (lambda: started().fit_async(digits(), num_epoch=1, every="day"), ParameterError, "every"),
    ],
)
def test_mistakes_say_what_is_needed(make, error, said):
    with pytest.raises(error, match=said):
        make()
