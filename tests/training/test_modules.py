"""Modules made of modules: buckets, chains, and steps written in Python."""

import numpy as np
import pytest

import actorflow as af
from actorflow import io, nd, sym
from actorflow.errors import ActorflowError, ParameterError, ShapeError
from tests.training._networks import digits, examples, mlp, near, params_of, same, values

MOMENTUM = {"learning_rate": 0.1, "momentum": 0.9}


# -- Buckets ---------------------------------------------------------------------------------------


def sentences(length):
    """A network that reads sentences of one length, and says the next word of each."""
    words = sym.Embedding(sym.Variable("data"), input_dim=7, output_dim=4, name="embed")
    hidden = sym.Reshape(words, shape=(-1, 4))
    scores = sym.FullyConnected(hidden, num_hidden=7, name="out")
    label = sym.Reshape(sym.Variable("softmax_label"), shape=(-1,))
    return sym.SoftmaxOutput(scores, label, name=f"softmax{length}")


def corpus(batch_size=2):
    draw = np.random.default_rng(0)
    text = [list(draw.integers(1, 7, size=n)) for n in (3, 3, 5, 5, 5, 5, 3, 3)]
    return io.BucketSentenceIter(text, batch_size, buckets=[3, 5], invalid_label=0)


def test_buckets_share_parameters_and_memory():
    iterator = corpus()
    module = af.mod.BucketingModule(sentences, iterator.default_bucket_key)
    module.fit(
        iterator, num_epoch=2, eval_metric=af.metric.Perplexity(None), optimizer_params=MOMENTUM
    )
    assert module.report.nbatch == 8
    assert sorted(module._buckets) == [3, 5]
    small, large = (module._buckets[key]._group.executors[0] for key in (3, 5))
    for name in ("embed_weight", "out_weight", "out_bias"):
        assert small.arg_dict[name] is large.arg_dict[name]
        assert small.grad_dict[name] is large.grad_dict[name]
    assert small._pool is large._pool
    assert small.arg_dict["data"]._block is large.arg_dict["data"]._block
    assert module.predict(iterator, merge_batches=False)[0][0].shape[1] == 7


def test_buckets_give_the_bits_of_modules_by_hand():
    iterator = corpus()
    module = af.mod.BucketingModule(sentences, iterator.default_bucket_key)
    module.bind(iterator.provide_data, iterator.provide_label)
    given = values(sentences(5), data=(2, 5), softmax_label=(2, 5))
    module.init_params(arg_params=given)
    module.init_optimizer(optimizer_params=MOMENTUM)
    weights = {name: value.copy() for name, value in given.items()}
    speeds = {name: nd.zeros(value.shape) for name, value in given.items()}
    for batch in iterator:
        module.forward_backward(batch)
        module.update()
        length = batch.data[0].shape[1]
        net = sentences(length)
        shapes = {"data": (2, length), "softmax_label": (2, length)}
        executor = net.simple_bind(grad_req=dict.fromkeys(given, "write"), **shapes)
        executor.copy_params_from(weights)
        executor.forward(True, data=batch.data[0], softmax_label=batch.label[0])
        executor.backward()
        for name, weight in weights.items():
            nd.sgd_mom_update(
                weight,
                executor.grad_dict[name],
                speeds[name],
                lr=0.1,
                momentum=0.9,
                rescale_grad=1 / 2,
                out=weight,
            )
    same(params_of(module), {name: weight.asnumpy() for name, weight in weights.items()})


def test_a_generator_may_name_data_and_labels():
    module = af.mod.BucketingModule(lambda _key: (mlp("y"), ["data"], ["y"]), 0)
    assert (module.data_names, module.label_names) == (["data"], ["y"])
    with pytest.raises(TypeError, match="has to give a Symbol"):
        af.mod.BucketingModule(lambda key: key, 3)
    module.bind([("data", (4, 5))], [("y", (4,))])
    module.init_params()
    with pytest.raises(ParameterError, match="no bucket_key"):
        module.forward(io.DataBatch([nd.ones((4, 5))], [nd.ones((4,))]))


def test_a_bucket_with_another_parameter_is_refused():
    def generate(key):
        net = sym.FullyConnected(sym.Variable("data"), num_hidden=3, name=f"fc{key}")
        return sym.SoftmaxOutput(net, name="softmax")

    module = af.mod.BucketingModule(generate, 1)
    module.bind([("data", (4, 5))], [("softmax_label", (4,))])
    with pytest.raises(ValueError, match="parameter 'fc2_weight' is not in the module"):
        module.switch_bucket(2, [("data", (4, 5))], [("softmax_label", (4,))])
    sizes = af.mod.BucketingModule(lambda key: mlp() if key == 1 else wide(), 1)
    sizes.bind([("data", (4, 5))], [("softmax_label", (4,))])
    with pytest.raises(ShapeError, match=r"fc1_weight would have shape \(9, 5\)"):
        sizes.switch_bucket(2, [("data", (4, 5))], [("softmax_label", (4,))])


def wide():
    net = sym.FullyConnected(sym.Variable("data"), num_hidden=9, name="fc1")
    net = sym.FullyConnected(net, num_hidden=3, name="fc2")
    return sym.SoftmaxOutput(net, name="softmax")


# -- Chains ----------------------------------------------------------------------------------------


def halves():
    first = sym.FullyConnected(sym.Variable("data"), num_hidden=8, name="fc1")
    first = sym.Activation(first, act_type="tanh", name="act")
    second = sym.FullyConnected(sym.Variable("data"), num_hidden=3, name="fc2")
    return first, second


def ready(module, batch_size=8):
    module.bind([("data", (batch_size, 5))], [("softmax_label", (batch_size,))])
    module.init_params(arg_params=values(mlp(), data=(batch_size, 5)))
    module.init_optimizer(optimizer_params=MOMENTUM)
    return module


def expected(epochs=2):
    module = ready(af.mod.Module(mlp()))
    module.fit(digits(), num_epoch=epochs)
    return module


@pytest.mark.parametrize("kind", ["naive", "threaded"])
def test_a_chain_gives_the_bits_of_one_module(kind):
    first, second = halves()
    with af.Engine(2, engine_type=kind):
        chain = af.mod.SequentialModule()
        chain.add(af.mod.Module(first, label_names=[]))
        last = af.mod.Module(sym.SoftmaxOutput(second, name="softmax"))
        chain.add(last, take_labels=True, auto_wiring=True)
        ready(chain).fit(digits(), num_epoch=2, eval_data=digits(16))
        whole = expected()
        same(params_of(chain), params_of(whole))
        assert chain.label_names == ["softmax_label"]
        assert chain.score(digits(16), "acc") == whole.score(digits(16), "acc")
        assert chain.predict(digits(16)).shape == (40, 3)


def gradient(scores, labels):
    """Of a softmax and its cross-entropy."""
    chances = nd.softmax(scores)
    return chances - nd.onehot_encode(labels, nd.zeros((len(labels), 3)))


@pytest.mark.parametrize("as_numpy", [False, True])
def test_a_loss_in_python(as_numpy):
    first, second = halves()
    chain = af.mod.SequentialModule()
    chain.add(af.mod.Module(first, label_names=[]))
    chain.add(af.mod.Module(second, label_names=[]), auto_wiring=True)
    grad = (lambda s, y: gradient(s, y).asnumpy()) if as_numpy else gradient
    chain.add(af.mod.PythonLossModule(grad_func=grad), take_labels=True, auto_wiring=True)
    ready(chain).fit(digits(), num_epoch=2)
    near(params_of(chain), params_of(expected()), rtol=1e-4, atol=1e-5)


def test_gradients_go_through_a_chain():
    first, second = halves()
    data, label = examples(4)
    batch = io.DataBatch([nd.array(data)], [nd.array(label)])
    chain = af.mod.SequentialModule()
    chain.add(af.mod.Module(first, label_names=[]))
    last = af.mod.Module(sym.SoftmaxOutput(second, name="softmax"))
    chain.add(last, take_labels=True, auto_wiring=True)
    whole = af.mod.Module(mlp())
    for module in (chain, whole):
        module.bind([("data", (4, 5))], [("softmax_label", (4,))], inputs_need_grad=True)
        module.init_params(arg_params=values(mlp(), data=(4, 5)))
        module.forward_backward(batch)
    np.testing.assert_array_equal(
        *[module.get_input_grads()[0].asnumpy() for module in (chain, whole)]
    )


def test_mistakes_with_chains():
    with pytest.raises(ActorflowError, match="no module in it"):
        af.mod.SequentialModule().bind([("data", (4, 5))])
    with pytest.raises(TypeError, match="needs a module"):
        af.mod.SequentialModule().add(mlp())
    first, _ = halves()
    twice = af.mod.SequentialModule().add(af.mod.Module(first, label_names=[]))
    twice.add(af.mod.Module(first, label_names=[]), auto_wiring=True)
    twice.bind([("data", (4, 5))])
    with pytest.raises(ParameterError, match="both have a parameter called 'fc1_weight'"):
        twice.init_params()
    with pytest.raises(ActorflowError, match="bound already"):
        twice.add(af.mod.Module(first))
    loss = af.mod.PythonLossModule(grad_func=gradient)
    loss.bind([("data", (4, 3))])
    with pytest.raises(ActorflowError, match="needs labels"):
        loss.forward(io.DataBatch([nd.ones((4, 3))]))
