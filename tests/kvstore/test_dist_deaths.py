"""What becomes of a run when one of its processes dies."""

import pytest

from tests.kvstore._processes import Run

FIRST = """
kv.init("a", af.nd.zeros((2,)))
out = af.nd.zeros((2,))
kv.push("a", af.nd.ones((2,)))
kv.pull("a", out=out)
out.asnumpy()
print("one", flush=True)
sys.stdin.readline()
"""


def test_a_dead_worker_is_not_waited_for():
    script = (
        FIRST + 'kv.push("a", af.nd.ones((2,)) * 5)\nkv.pull("a", out=out)\nprint(out.asnumpy())'
    )
    with Run(script, "dist_sync", timeout=3) as run:
        for rank in range(2):
            assert run.processes["worker", rank].stdout.readline() == "one\n"
        run.kill("worker", 1)
        run.processes["worker", 0].stdin.write("\n")
        assert run.output("worker", 0) == "[5. 5.]\n"
        run.output("server", 0)


@pytest.mark.parametrize(("servers", "victim"), [(1, 0), (2, 1)])
def test_a_dead_server_fails_what_needs_it(servers, victim):
    script = (
        FIRST.replace('"a"', "KEY").replace("kv.init", f"KEY = {victim}\nkv.init", 1)
        + """
kv.push(KEY, af.nd.ones((2,)))
kv.pull(KEY, out=out)
try:
    out.asnumpy()
except af.errors.UnreachableError as error:
    print(f"server {SERVER} at" in str(error), f"key {KEY}" in str(error), flush=True)
os._exit(0)
""".replace("SERVER", str(victim))
    )
    with Run(script, "dist_sync", workers=1, servers=servers, timeout=2) as run:
        assert run.processes["worker", 0].stdout.readline() == "one\n"
        run.kill("server", victim)
        run.processes["worker", 0].stdin.write("\n")
        assert run.output("worker", 0) == "True True\n"
