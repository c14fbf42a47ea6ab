"""Runs that are broken off and gone on with: the same bits, and what is refused."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import trio

import actorflow as af
from actorflow import io, sym
from actorflow.errors import ActorflowError, FormatError, ParameterError, TrainingError
from actorflow.training import plain, state_files
from tests.io._images import write
from tests.training._killed import network, rows
from tests.training._networks import digits, mlp, params_of, same
from tests.training.test_modules import MOMENTUM, corpus

ROOT = Path(__file__).parents[2]


class Stop(Exception):  # noqa: N818 -- a user's
    """Ends a run."""


def stop_at(epoch, nbatch):
    def stop(param):
        if (param.epoch, param.nbatch) == (epoch, nbatch):
            raise Stop

    return stop


def broken(fit, prefix, *place, **options):
    """Train until a batch, then go on with another module from the checkpoint."""
    with pytest.raises(Stop):
        fit(checkpoint=prefix, batch_end_callback=stop_at(*place), **options)
    return fit(checkpoint=prefix, resume=True, **options)


def fit(data=None, symbol=None, **options):
    af.random.seed(4)
    module = af.mod.Module(network(normalised=True) if symbol is None else symbol)
    options = {"num_epoch": 3, "optimizer_params": MOMENTUM, **options}
    module.fit(rows() if data is None else data, **options)
    return module


def manifest(tmp_path):
    return state_files.find(tmp_path / "net") / state_files.MANIFEST


# -- Killed ----------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(("engine_type", "seed"), [("naive", "1"), ("threaded", "2")])
@pytest.mark.parametrize("kind", ["ahead", "contexts", "epochs", "images"])
def test_a_killed_run_goes_on_with_the_same_bits(engine_type, kind, seed, tmp_path):
    (tmp_path / "images").mkdir()
    paths = {"IMAGES": str(write(tmp_path / "images", count=9)), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "tests.training._killed", kind, seed, tmp_path],
        env=os.environ | paths | {"AF_ENGINE_TYPE": engine_type},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    *events, told = done.stdout.splitlines()
    assert told == f"killed {len(events)} times, and the same bits"
    assert events
    assert len(list((tmp_path / "run-resume").iterdir())) == state_files.KEPT


# -- Every place and every module ------------------------------------------------------------------


@pytest.mark.parametrize("every", [1, 2, None])
@pytest.mark.parametrize("place", [(0, 0), (0, 4), (1, 0), (1, 5), (2, 5)])
def test_every_place(engine, tmp_path, every, place):
    whole = fit()
    again = broken(fit, tmp_path / "net", *place, checkpoint_every=every)
    same(params_of(again), params_of(whole))
    assert again.report.metric == whole.report.metric


def test_sums_of_several_metrics(engine, tmp_path):
    class Rows(af.metric.EvalMetric):
        def measure(self, labels, preds):
            return np.float32(preds[0].max()), 1

    def options():
        return {"eval_metric": ["acc", "ce", Rows("rows")], "eval_data": rows()}

    with pytest.raises(Stop):
        fit(checkpoint=tmp_path / "net", checkpoint_every=1, batch_end_callback=stop_at(1, 3))
    with pytest.raises(FormatError, match=r"of another metric: it was .*accuracy.*, and is .*rows"):
        fit(resume=tmp_path / "net", **options())
    again = broken(
        lambda **more: fit(**options(), **more), tmp_path / "b", 1, 3, checkpoint_every=1
    )
    assert again.report.metric == fit(**options()).report.metric


def sentences(length):
    """A network that reads sentences of one length, all of whose nodes have names."""
    words = sym.Embedding(sym.Variable("data"), input_dim=7, output_dim=4, name="embed")
    hidden = sym.Reshape(words, shape=(-1, 4), name="rows")
    scores = sym.FullyConnected(hidden, num_hidden=7, name="out")
    label = sym.Reshape(sym.Variable("softmax_label"), shape=(-1,), name="next")
    return sym.SoftmaxOutput(scores, label, name=f"softmax{length}")


@pytest.mark.parametrize("kind", ["buckets", "chain"])
def test_modules_of_modules(engine, tmp_path, kind):
    def train(**options):
        af.random.seed(2)
        if kind == "buckets":
            data = corpus()
            module = af.mod.BucketingModule(sentences, data.default_bucket_key)
            options["eval_metric"] = af.metric.Perplexity(None)
        else:
            data = digits()
            first = sym.FullyConnected(sym.Variable("data"), num_hidden=4, name="first")
            module = af.mod.SequentialModule()
            module.add(af.mod.Module(first)).add(
                af.mod.Module(mlp()), take_labels=True, auto_wiring=True
            )
        module.fit(data, num_epoch=2, optimizer_params=MOMENTUM, **options)
        return module

    again = broken(train, tmp_path / "net", 1, 1, checkpoint_every=1)
    same(params_of(again), params_of(train()))


def test_a_loss_in_python_has_no_state():
    assert af.mod.PythonLossModule().stateful("a test") == []


def test_modules_that_cannot():
    class Other(af.mod.PythonModule):
        def __init__(self):
            super().__init__(["data"], ["label"], ["out"])

        def forward(self, data_batch, is_train=None):
            pass

        def get_outputs(self, merge_multi_context=True):
            return []

        def _compute_output_shapes(self):
            return []

    with pytest.raises(ActorflowError, match="a test: Other does not say what its state is"):
        Other().stateful("a test")
    adding = af.mod.Module(mlp())
    adding.bind(digits().provide_data, digits().provide_label, grad_req="add")
    with pytest.raises(ActorflowError, match="with grad_req='add' the gradients are a state"):
        adding.fit(digits(), num_epoch=1, checkpoint="net")


# -- In tasks --------------------------------------------------------------------------------------


@pytest.mark.parametrize("settled", [0, 1, 5, 9])
def test_a_cancelled_task_leaves_a_checkpoint(tmp_path, settled):
    whole = params_of(fit(digits()))
    prefix = tmp_path / "net"

    async def main(resume):
        af.random.seed(4)
        async with af.Engine(2):
            module = af.mod.Module(network(normalised=True))
            steps = module.fit_async(
                io.PrefetchingIter(digits()),
                every="batch",
                num_epoch=3,
                optimizer_params=MOMENTUM,
                checkpoint=prefix,
                resume=resume,
            )
            count = 0
            with trio.CancelScope() as scope:
                async for _ in steps:
                    count += 1
                    if not resume and count > settled:
                        scope.cancel()
            if not resume:
                folder = await module.save_state_async()
                assert folder == state_files.find(prefix)
            return {name: await value for name, value in module.get_params()[0].items()}

    trio.run(main, None)
    same(trio.run(main, True), whole)


def test_save_state(engine, tmp_path):
    module = af.mod.Module(mlp())
    with pytest.raises(ActorflowError, match="save_state: there was no fit"):
        module.save_state()
    with pytest.raises(Stop):
        module.fit(
            digits(), num_epoch=2, checkpoint=tmp_path / "a", batch_end_callback=stop_at(0, 2)
        )
    folder = module.save_state(tmp_path / "b")
    assert folder == (tmp_path / "b-resume" / "00000001").resolve()
    numbers, files = state_files.read(folder)
    assert (numbers["epoch"], numbers["nbatch"]) == (0, 3)
    assert sorted(files) == ["model-0000.params", "model-0000.states", "model-symbol.json"]
    symbol, args, _ = af.model.load_checkpoint(folder / "model", 0)  # as MXNet has them
    assert symbol.tojson() == mlp().tojson()
    same({name: value.asnumpy() for name, value in args.items()}, params_of(module))


def test_a_run_that_failed_has_no_place(tmp_path):
    class Odd(af.metric.EvalMetric):
        def update(self, labels, preds):
            raise Stop

    module = af.mod.Module(mlp())
    with pytest.raises(TrainingError, match="epoch 0, batch 0"):
        module.fit(digits(), num_epoch=1, eval_metric=Odd("odd"), checkpoint=tmp_path / "net")
    with pytest.raises(ActorflowError, match="no checkpoint can be written of a run that failed"):
        module.save_state()
    assert list(tmp_path.iterdir()) == []


def test_files_that_cannot_be_written_stop_the_run(tmp_path):
    (tmp_path / "net-resume").write_text("in the way")
    with pytest.raises(TrainingError, match="epoch 0, batch 0: FileExistsError"):
        fit(checkpoint=tmp_path / "net", num_epoch=1)


# -- What is refused -------------------------------------------------------------------------------


@pytest.fixture
def written(tmp_path):
    """A run that was broken off in the middle of an epoch; gives what goes on with it."""
    with pytest.raises(Stop):
        fit(checkpoint=tmp_path / "net", checkpoint_every=1, batch_end_callback=stop_at(1, 3))
    return lambda: fit(resume=tmp_path / "net")


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"symbol": network(normalised=False)}, "another symbol: symbols were"),
        ({"data": digits(batch_size=4)}, r"other inputs: inputs were .*\[8, 5\].* \[4, 5\]"),
        ({"optimizer": "adam"}, "the states are of 'sgd', not 'adam'"),
        ({"data": digits()}, "state is of other data: count was 44, and is 40"),
        ({"eval_metric": "ce"}, "another metric: it was .*accuracy.* is .*cross-entropy"),
    ],
)
@pytest.mark.usefixtures("written")
def test_another_program(tmp_path, other, message):
    af.random.seed(7)
    before = af.random.get_state()
    module = af.mod.Module(other.pop("symbol", network(normalised=True)))
    data = other.pop("data", None) or rows()
    position = data.state_dict()
    options = {"optimizer_params": MOMENTUM, **other}
    if "optimizer" in other:
        del options["optimizer_params"]
    with pytest.raises(FormatError, match=message):
        module.fit(data, num_epoch=3, resume=tmp_path / "net", **options)
    assert not module.binded
    assert data.state_dict() == position
    assert af.random.get_state() == before


@pytest.mark.usefixtures("written")
def test_other_contexts(tmp_path):
    module = af.mod.Module(network(normalised=True), context=[af.cpu(0), af.cpu(1)])
    with pytest.raises(FormatError, match=r"other contexts: placing were .*cpu\(0\)"):
        module.fit(rows(), num_epoch=3, resume=tmp_path / "net")


def test_arguments(tmp_path):
    with pytest.raises(ParameterError, match="checkpoint_every=2 needs checkpoint"):
        fit(checkpoint_every=2)
    with pytest.raises(ParameterError, match="resume=True needs checkpoint"):
        fit(resume=True)
    with pytest.raises(ParameterError, match="a number of batches or None, got 0"):
        fit(checkpoint="net", checkpoint_every=0)
    with pytest.raises(TypeError, match="checkpoint needs a prefix"):
        fit(checkpoint=3)
    with pytest.raises(TypeError, match="resume needs a prefix, True or None"):
        fit(resume=1.5)
    with pytest.raises(FileNotFoundError, match="there is no checkpoint in"):
        fit(resume=tmp_path / "none")


def test_iterators_that_cannot_say(tmp_path):
    class Silent(io.DataIter):
        def __init__(self):
            super().__init__(8)
            self.inner = digits()
            self.provide = self.inner.provide_data, self.inner.provide_label

        provide_data = property(lambda self: self.provide[0])
        provide_label = property(lambda self: self.provide[1])

        def reset(self):
            self.inner.reset()

        def next(self):
            return next(self.inner)

    def train(**options):
        return fit(Silent(), **options)

    same(params_of(broken(train, tmp_path / "a", 1, 2)), params_of(train()))
    with pytest.raises(
        ActorflowError, match=r"before batch 3 of epoch 1, .* Silent needs state_di"
    ):
        broken(train, tmp_path / "b", 1, 2, checkpoint_every=1)


# -- Damage ----------------------------------------------------------------------------------------


def test_every_cut_and_many_changes_of_a_manifest(written, tmp_path):
    path = manifest(tmp_path)
    whole = path.read_bytes()
    draw = np.random.default_rng(0)
    cuts = [whole[:length] for length in (0, 1, *draw.integers(2, len(whole) - 1, 40))]
    changed = []
    for place in draw.integers(0, len(whole) - 1, 40):
        text = bytearray(whole)
        text[place] ^= 1 << int(draw.integers(8))
        changed.append(bytes(text))
    for text in (*cuts, *changed, whole + b"more", b"[]\n{}\n", b'{"format": NaN}\n'):
        path.write_bytes(text)
        with pytest.raises(FormatError):
            written()
    path.write_bytes(whole)
    written()


@pytest.mark.parametrize("name", ["model-0001.params", "model-0001.states", "model-symbol.json"])
def test_damaged_files(written, tmp_path, name):
    path = manifest(tmp_path).parent / name
    whole = path.read_bytes()
    for text, message in (
        (whole[:-1], f"{len(whole) - 1} bytes, but the manifest has {len(whole)}"),
        (whole[:-1] + b"?", "SHA-256"),
    ):
        path.write_bytes(text)
        with pytest.raises(FormatError, match=message):
            written()
    path.unlink()
    with pytest.raises(FormatError, match="is not there"):
        written()
    # The checkpoint before is whole.
    folder = manifest(tmp_path).parent
    before = folder.with_name(f"{int(folder.name) - 1:08d}")
    same(params_of(fit(resume=before)), params_of(fit()))


@pytest.mark.usefixtures("written")
def test_wrong_numbers_in_a_whole_manifest(tmp_path):
    folder = manifest(tmp_path).parent
    numbers, files = state_files.read(folder)
    wrong = [
        ("epoch", -1),
        ("nbatch", True),
        ("random", None),
        ("random", {"version": 1, "seed": -1, "draws": []}),
        ("iterator", "here"),
        ("program", []),
        ("metric", {"names": numbers["metric"]["names"], "sums": [[1, 2, 3]]}),
        ("metric", {"names": numbers["metric"]["names"], "sums": [[{"float": "x"}, 1, 1, 1]]}),
    ]
    for name, value in wrong:
        chunks = {each: [data] for each, data in files.items()}
        made = state_files.write(tmp_path / "made", numbers | {name: value}, chunks)
        with pytest.raises(FormatError):
            fit(resume=made)
    made = state_files.write(tmp_path / "made", numbers, {})
    with pytest.raises(FormatError, match=r"does not name model-0001\.params"):
        fit(resume=made)
    text = json.dumps({"format": "actorflow run", "version": 2})
    (made / state_files.MANIFEST).write_text(text + "\n")
    with pytest.raises(FormatError, match="the version is 2; this release reads 1"):
        fit(resume=made)


@pytest.mark.parametrize(
    "value", [3, 0.1, float("nan"), np.float32(0.1), np.arange(6.0).reshape(2, 3), [1, 0.5], True]
)
def test_plain_numbers(value):
    found = plain.unpacked("here", json.loads(json.dumps(plain.packed(value), allow_nan=False)))
    np.testing.assert_array_equal(found, value)
    assert np.asarray(found).dtype == np.asarray(value).dtype


@pytest.mark.parametrize(
    "given",
    [
        "x",
        None,
        {"float": "1.z"},
        {"float": 3},
        {"dtype": "O", "shape": [], "data": ""},
        {"dtype": "<f4", "shape": [-1], "data": ""},
        {"dtype": "<f4", "shape": [2], "data": "AAAA"},
        {"dtype": "<f4", "shape": 2, "data": "AAAA"},
        [[[[[[1]]]]]],
    ],
)
def test_what_is_no_number(given):
    with pytest.raises(FormatError, match="here: "):
        plain.unpacked("here", given)
