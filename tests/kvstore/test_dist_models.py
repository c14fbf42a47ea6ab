"""The consistency models with real processes, checked by what the workers have recorded."""

import pytest

from actorflow.kvstore.history import History
from actorflow.testing import check_history
from tests.kvstore._processes import Run

RECORDED = """
from actorflow.kvstore.history import History
kv.history = History()
kv.set_optimizer(af.optimizer.create("test"))
kv.init({"a": af.nd.zeros((1,)), 7: af.nd.zeros((1,))})
out = af.nd.zeros((1,))
for step in range(10 + MORE * kv.rank):
    for key in ("a", 7):
        kv.push(key, af.nd.array([2.0 ** kv.rank]))
        kv.pull(key, out=out)
out.asnumpy()
kv.barrier()
last = af.nd.zeros((1,))
kv.pull("a", out=last)
print(int(last.asnumpy()[0]))
kv.history.save(f"{FOLDER}/{kv.rank}")
"""


@pytest.mark.parametrize(
    ("name", "more"), [("dist_sync", 0), ("dist_sync", 3), ("dist_async", 3), ("dist_ssp:2", 0)]
)
def test_a_run_keeps_what_its_model_promises(name, more, tmp_path):
    script = f"FOLDER, MORE = {str(tmp_path)!r}, {more}\n" + RECORDED
    with Run(script, name, servers=2) as run:
        outputs = run.outputs()
    # Uneven shards finish, and after the barrier everybody has all pushes.
    assert [int(each) for each in outputs] == [10 + 2 * (10 + more)] * 2
    text = "".join((tmp_path / str(rank)).read_text() for rank in range(2))
    history = History.loads(text)
    assert len(history.events) > 80
    if not more or name == "dist_async":
        # Who is at the barrier is not waited for, which only the server's part of a history tells.
        check_history(history, name)


def test_without_an_optimizer_eventual_pushes_are_refused():
    script = """
    kv.init("a", af.nd.zeros((2,)))
    kv.push("a", af.nd.ones((2,)))
    out = af.nd.zeros((2,))
    kv.pull("a", out=out)
    try:
        out.asnumpy()
    except af.errors.ParameterError as error:
        print("needs an optimizer" in str(error))
    """
    with Run(script, "distributed_async", workers=1) as run:
        assert run.outputs() == ["True\n"]


def test_another_model_is_refused():
    other = """
import actorflow as af
try:
    af.kv.create("dist_async")
except af.errors.LaunchError as error:
    print(error)
"""
    stays = "import sys; print('in', flush=True); sys.stdin.readline()"
    with Run(stays, "dist_sync", workers=1) as run:
        assert run.processes["worker", 0].stdout.readline() == "in\n"
        run.start("worker", 1, other)
        assert "all need the same" in run.output("worker", 1)


def test_what_cannot_go_to_servers_is_refused():
    script = """
    for call in (
        lambda: kv.set_updater(lambda key, recv, stored: None),
        lambda: kv.save_optimizer_states("states"),
        lambda: kv.load_optimizer_states("states"),
    ):
        try:
            call()
        except af.errors.ParameterError as error:
            print("servers" in str(error))
    """
    with Run(script, "dist_sync", workers=1) as run:
        assert run.outputs() == ["True\nTrue\nTrue\n"]
