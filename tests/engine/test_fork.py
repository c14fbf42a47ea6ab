"""A forked process: a clear error or a fresh engine, never a hang. Each case is a process."""

import os

import pytest

from tests.engine.helpers_faults import run_file, run_script

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork"),
]

PRELUDE = """
import faulthandler, os, signal, sys, threading, traceback, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn of fork and threads
faulthandler.register(signal.SIGALRM, chain=True)  # a child that hangs shows where, and ends
import actorflow as af
from actorflow.engine import Instrument, Resource, Region, Link, current_engine, default_engine
from actorflow.errors import EngineError, ForkedEngineError

def in_child(check):
    "Fork, run the check in the child under a watchdog, and give its exit code."
    pid = os.fork()
    if pid == 0:
        signal.alarm(20)
        code = 1
        try:
            check()
            code = 0
        except BaseException:
            traceback.print_exc()
        sys.stderr.flush()
        os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code:
        os._exit(99)

def raises_forked(fn):
    try:
        fn()
    except ForkedEngineError as error:
        assert "fork" in str(error), error
        return
    raise AssertionError(f"{fn} raised nothing")

class Gate:
    def __init__(self):
        self.entered, self.opened = threading.Event(), threading.Event()
    def __call__(self):
        self.entered.set()
        assert self.opened.wait(30)
"""


def run(source, **options):
    return run_script(PRELUDE + source, **options)


def test_the_default_engine_is_fresh_in_the_child():
    run("""
resource = Resource("r")
parent = current_engine()
assert parent.push(lambda: 1, writes=(resource,)).wait() == 1

def check():
    engine = current_engine()
    assert engine is not parent and not engine.closed
    assert engine.push(lambda: 2).wait() == 2
    assert engine.push(lambda: 3, updates=(resource,)).wait() == 3  # it was idle
    engine.wait(resource)
    engine.close()

in_child(check)
assert parent.push(lambda: 4, updates=(resource,)).wait() == 4
""")


def test_the_default_engine_with_work_in_flight():
    run("""
parent, gate, held, free = current_engine(), Gate(), Resource("held"), Resource("free")
parent.push(gate, writes=(held,))
gate.entered.wait()

def check():
    engine = current_engine()
    assert engine is not parent
    assert engine.push(lambda: 2, updates=(free,)).wait() == 2
    for role in ("reads", "writes", "updates"):
        raises_forked(lambda: engine.push(lambda: 3, **{role: (held,)}))
    raises_forked(lambda: engine.push(lambda: 3, reads=(Region(held, 0, 1),)))
    raises_forked(lambda: engine.wait(held))
    raises_forked(lambda: engine.read(lambda: 3, (held,)))
    assert engine.push(lambda: 5, updates=(free,)).wait() == 5
    engine.close()

in_child(check)
gate.opened.set()
parent.wait(held)
""")


USES = """
    raises_forked(lambda: engine.push(lambda: 1))
    raises_forked(lambda: engine.push(lambda: 1, reads=(resource,)))
    raises_forked(lambda: engine.push_async(lambda completion: completion.succeed()))
    raises_forked(lambda: engine.wait_all())
    raises_forked(lambda: engine.__enter__())
"""


def test_an_explicit_engine_that_is_idle_raises():
    run(
        """
resource = Resource("r")
with af.Engine(2) as engine:
    done = engine.push(lambda: 1, writes=(resource,))
    assert done.wait() == 1
    def check():
"""
        + USES.replace("\n    ", "\n        ")
        + """
        assert done.wait() == 1  # what is known is known
        assert current_engine() is not engine
        assert current_engine().push(lambda: 2, updates=(resource,)).wait() == 2
        with af.Engine(1) as fresh:
            assert fresh.push(lambda: 3).wait() == 3
        engine.close()  # there is nothing to close
    in_child(check)
    assert engine.push(lambda: 4).wait() == 4
"""
    )


def test_an_explicit_engine_with_work_in_flight_raises():
    run(
        """
resource, gate = Resource("r"), Gate()
engine = af.Engine(1)
running = engine.push(gate, writes=(resource,))
gate.entered.wait()
waiting = engine.push(lambda: 1, updates=(resource,))
ready = engine.push(lambda: 2)

def check():
"""
        + USES
        + """
    for operation in (running, waiting, ready):
        raises_forked(operation.wait)
        raises_forked(lambda: engine.wait(operation, timeout=5))
    raises_forked(lambda: engine.wait(resource))
    raises_forked(lambda: engine.read(lambda: 1, (resource,)))
    engine.close()

in_child(check)
gate.opened.set()
assert ready.wait() == 2
engine.close()
"""
    )


@pytest.mark.parametrize("loop", ["trio", "asyncio"])
def test_awaiting_what_belongs_to_the_parent_raises(loop):
    run(f"""
import {loop}
resource, gate = Resource("r"), Gate()
engine = af.Engine(1)
running = engine.push(gate, writes=(resource,))
gate.entered.wait()

def check():
    async def main():
        for use in (
            lambda: engine.wait_async(running),
            lambda: engine.wait_async(resource),
            lambda: engine.wait_all_async(),
            lambda: engine.read_async(lambda: 1, (resource,)),
            lambda: current_engine().wait_async(resource),
        ):
            try:
                await use()
            except ForkedEngineError:
                continue
            raise AssertionError("nothing raised")
        async with af.Engine(1) as fresh:
            assert await fresh.push(lambda: 3) == 3
    {"trio.run(main)" if loop == "trio" else "asyncio.run(main())"}

in_child(check)
gate.opened.set()
engine.close()
""")


def test_a_fork_while_another_thread_has_the_turn():
    """The child gets a copy of a lock that nobody will ever release."""
    run("""
class Holder(Instrument):
    def __init__(self):
        self.gate = Gate()
    def granted(self, operation):
        if operation.name == "holder":
            self.gate()

holder, resource = Holder(), Resource("r")
engine = af.Engine(1, instruments=[holder])
done = engine.push(lambda: 1, writes=(resource,))
assert done.wait() == 1
engine.wait(resource)
thread = threading.Thread(target=engine.push, args=(lambda: 1,), kwargs={"name": "holder"})
thread.start()
holder.gate.entered.wait()
sent = engine.push(lambda: 1)

def check():
    raises_forked(lambda: engine.push(lambda: 1))
    raises_forked(lambda: engine.wait_all())
    raises_forked(sent.wait)
    for use in (
        lambda: engine.wait(resource),
        lambda: engine.read(lambda: 1, (resource,)),
        lambda: engine.explain(resource),
        lambda: engine.cancel_all(),
        lambda: sent.cancel(),
        lambda: engine.close(cancel=True),
    ):
        try:
            use()
        except ForkedEngineError:
            pass
    assert done.wait() == 1
    assert current_engine().push(lambda: 2, updates=(resource,)).wait() == 2

in_child(check)
holder.gate.opened.set()
thread.join()
engine.close()
""")


def test_a_fork_inside_an_operation():
    run("""
engine = current_engine()

def fork():
    def check():
        fresh = current_engine()
        assert fresh is not engine
        assert fresh.push(lambda: 2).wait() == 2
        raises_forked(lambda: engine.push(lambda: 1))
    in_child(check)
    return "forked"

assert engine.push(fork, device="io").wait() == "forked"
""")


def test_a_child_ends_as_a_process_does():
    """It does not wait at exit for workers that it does not have."""
    process = run("""
gate = Gate()
engine = current_engine()
engine.push(gate)
gate.entered.wait()
sys.stdout.flush()
pid = os.fork()
if pid == 0:
    print("child", current_engine().push(lambda: 2).wait())
    sys.exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
gate.opened.set()
engine.wait_all()
print("parent")
""")
    assert sorted(process.stdout.split()) == ["2", "child", "parent"]


def test_a_child_of_a_child():
    run("""
assert current_engine().push(lambda: 1).wait() == 1
def child():
    assert current_engine().push(lambda: 2).wait() == 2
    in_child(lambda: current_engine().push(lambda: 3).wait())
    current_engine().close()
in_child(child)
""")


def test_subprocesses_while_work_is_in_flight():
    run("""
import subprocess
gates = [Gate() for _ in range(2)]
for gate in gates:
    current_engine().push(gate)
gates[0].entered.wait()
assert subprocess.run([sys.executable, "-c", "print(5)"], capture_output=True).stdout == b"5\\n"
for gate in gates:
    gate.opened.set()
""")


WORKER = """
import multiprocessing
from actorflow.engine import Resource, current_engine

def work(number):
    resource = Resource("r")
    engine = current_engine()
    engine.push(lambda: None, writes=(resource,))
    return engine.push(lambda: number * number, updates=(resource,)).wait()

if __name__ == "__main__":
    assert work(3) == 9
    with multiprocessing.get_context({method!r}).Pool(2) as pool:
        print(pool.map(work, range(4)))
        pool.close()
        pool.join()
"""


@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
def test_pools_of_processes(method, tmp_path):
    path = tmp_path / "script.py"
    path.write_text(WORKER.format(method=method), encoding="utf-8")
    assert run_file(path).stdout.strip() == "[0, 1, 4, 9]"
