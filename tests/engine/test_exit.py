"""The end of the interpreter, in any state, and Ctrl-C. Each case is a process of its own."""

import signal
import subprocess
import sys
import textwrap

import pytest

from tests.engine.helpers_faults import run_script, script_env

pytestmark = pytest.mark.slow

PRELUDE = """
import atexit, os, sys, threading
import actorflow as af
from actorflow.engine import Resource, current_engine, default_engine
engine = current_engine()
resource = Resource("r")
"""


def run(source, **options):
    return run_script(PRELUDE + textwrap.dedent(source), **options)


def test_pending_work_is_done_before_the_process_ends():
    process = run("""
        opened = threading.Event()
        engine.push(opened.wait, writes=(resource,))
        for number in range(5):
            engine.push(lambda number=number: print(number, flush=True), updates=(resource,))
        engine.push(opened.set, device="io")
    """)
    assert process.stdout.split() == list("01234")
    assert process.stderr == ""


def test_work_that_fails_is_told_at_exit():
    process = run(
        """
        def broken():
            raise ValueError("nobody awaited this")
        engine.push(broken, name="my operator")
        """,
        code=None,
    )
    assert "nobody awaited this" in process.stderr
    assert "my operator" in process.stderr


def test_nothing_is_printed_where_nothing_is_wrong():
    process = run("""
        async def later():
            return await engine.push(lambda: 1)
        engine.push_async(later)
        engine.push(lambda: None, device="io")
    """)
    assert (process.stdout, process.stderr) == ("", "")


def test_an_exception_ends_the_script_with_work_in_flight():
    process = run(
        """
        opened = threading.Event()
        engine.push(opened.wait, writes=(resource,))
        engine.push(lambda: print("done"), updates=(resource,))
        engine.push(opened.set, device="io")
        raise RuntimeError("the script broke")
        """,
        code=1,
    )
    assert "the script broke" in process.stderr


def test_sys_exit_in_the_script_with_work_in_flight():
    process = run(
        """
        for number in range(100):
            engine.push(lambda: None, updates=(resource,))
        engine.push(lambda: print("done"), updates=(resource,))
        sys.exit(7)
        """,
        code=7,
    )
    assert process.stdout == "done\n"


@pytest.mark.parametrize("kind", ["threaded", "naive"])
def test_sys_exit_inside_an_operation_is_a_failure(kind):
    """A worker is not the script: the exit is raised where its operation is awaited."""
    process = run(
        """
        operation = engine.push(lambda: sys.exit(5), writes=(resource,), name="leaver")
        reader = engine.push(lambda: print("never"), reads=(resource,))
        other = engine.push(lambda: "other")
        assert other.wait() == "other"
        for wait in (operation.wait, reader.wait, lambda: engine.wait(resource)):
            try:
                wait()
            except SystemExit as error:
                assert error.code == 5
                assert "leaver" in error.__notes__[0]
            else:
                raise AssertionError("no SystemExit")
        print("goes on")
        """,
        AF_ENGINE_TYPE=kind,
    )
    assert process.stdout == "goes on\n"


def test_sys_exit_inside_an_operation_that_is_awaited_ends_the_script():
    run("engine.push(lambda: sys.exit(5)).wait()", code=5)


def test_sys_exit_inside_an_operation_that_nobody_awaits():
    process = run("engine.push(lambda: sys.exit(5), name='leaver')", code=None)
    assert "SystemExit" in process.stderr
    assert "leaver" in process.stderr


def test_daemon_threads_that_push_to_the_very_end():
    run("""
        started = threading.Barrier(3)
        def push_on():
            started.wait()
            while True:
                current_engine().push(lambda: None, updates=(resource,))
        for _ in range(2):
            threading.Thread(target=push_on, daemon=True).start()
        started.wait()
        engine.push(lambda: None).wait()
    """)


def test_a_thread_that_is_no_daemon_pushes_after_the_script_ended():
    process = run("""
        def late():
            threading.main_thread().join()
            print(current_engine().push(lambda: "late").wait())
        threading.Thread(target=late).start()
    """)
    assert process.stdout == "late\n"


def test_use_in_an_exit_handler_after_the_engine_closed():
    process = run_script("""
        import atexit
        atexit.register(lambda: print(af.engine.current_engine().push(lambda: "last").wait()))
        import actorflow as af
        print(af.engine.current_engine().push(lambda: "first").wait())
    """)
    assert process.stdout.split("\n")[:1] == ["first"]


def test_an_explicit_engine_that_nobody_closes():
    run("""
        other = af.Engine(2)
        never = threading.Event()
        other.push(never.wait)
        other.push(lambda: None, updates=(resource,))
        async def forever():
            import trio
            await trio.sleep_forever()
        other.push_async(forever)
    """)


def test_objects_that_push_in_their_finalizers_at_exit():
    run("""
        class Last:
            def __del__(self):
                try:
                    current_engine().push(lambda: None, updates=(resource,))
                except Exception:
                    pass
        keep = Last()
        cycle = Last()
        cycle.itself = cycle
    """)


def test_blas_threads_are_given_back():
    run("""
        import numpy, threadpoolctl
        def limits():
            return [pool["num_threads"] for pool in threadpoolctl.threadpool_info()]
        assert set(limits()) <= {1}
        engine.close()
        before = limits()
        with af.Engine(2, blas_threads=1) as other:
            assert set(limits()) <= {1}
            other.push(lambda: None, device="io").wait()
        assert limits() == before
    """)


# -- Ctrl-C ----------------------------------------------------------------------------------------


def interrupt(source, *, again=False):
    """Run a script, send it a real SIGINT once it has printed "go", and see how it ends.

    With `again`, send another one if that was not enough.
    """
    process = subprocess.Popen(  # noqa: S603 -- this project's own code
        [sys.executable, "-u", "-c", PRELUDE + textwrap.dedent(source)],
        env=script_env(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline() == "go\n"
        process.send_signal(signal.SIGINT)
        if again:
            try:
                return *process.communicate(timeout=3), process.returncode
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGINT)
        return *process.communicate(timeout=30), process.returncode
    finally:
        process.kill()
        process.wait()


WAITS = {
    "operation": "operation.wait()",
    "resource": "engine.wait(resource)",
    "all": "engine.wait_all()",
    "read": "engine.read(lambda: None, (resource,))",
    "room": "engine.push(lambda: None)",
    "with": "with af.Engine(1) as other: other.push(lambda: (print('go'), gate.wait()))",
}


@pytest.mark.parametrize("what", WAITS)
def test_ctrl_c_ends_a_wait(what):
    out, err, code = interrupt(
        f"""
        gate = threading.Event()
        engine = af.Engine(1, max_ops=1)
        operation = engine.push(gate.wait, writes=(resource,), device="io")
        try:
            if {what != "with"}:
                print("go")
            {WAITS[what]}
        except KeyboardInterrupt:
            print("interrupted")
        gate.set()
        assert operation.wait() is True
        # Nothing is left behind of the wait that ended: the resource can be had.
        done = engine.push(lambda: "written", writes=(resource,))
        print(engine.wait(done, timeout=20))
        engine.close(timeout=20)
        if {what == "with"}:
            other.close(timeout=20)
        print("closed")
    """,
        # The first one may end the block before the wait at its end, which then goes on.
        again=what == "with",
    )
    assert code == 0, err
    assert out.split() == (["interrupted", "written", "closed"])


def test_ctrl_c_ends_a_wait_that_it_does_not_wake():
    """Another thread gets the signal: as if it struck just before the main thread fell asleep."""
    process = run(
        """
        import signal
        from actorflow.engine.waiting import ThreadWaiter
        gate = threading.Event()
        operation = engine.push(gate.wait, device="io")
        main = threading.get_ident()
        def strike():
            while sys._current_frames()[main].f_code is not ThreadWaiter.wait.__code__:
                pass
            signal.pthread_kill(threading.get_ident(), signal.SIGINT)
        threading.Thread(target=strike, daemon=True).start()
        try:
            operation.wait()
        except KeyboardInterrupt:
            print("interrupted")
        gate.set()
        """,
        seconds=20,
    )
    assert process.stdout == "interrupted\n"


@pytest.mark.parametrize("loop", ["trio", "asyncio"])
def test_ctrl_c_ends_an_async_block(loop):
    out, err, code = interrupt(f"""
        import {loop}
        gate = threading.Event()
        async def main():
            try:
                async with af.Engine(1) as engine:
                    engine.push(gate.wait, writes=(resource,))
                    engine.push(lambda: print("never"), updates=(resource,))
                    try:
                        print("go")
                        await engine.wait_async(resource)
                    finally:
                        gate.set()
            finally:
                print("left")
        try:
            {loop}.run({"main" if loop == "trio" else "main()"})
        except BaseException as error:
            while isinstance(error, BaseExceptionGroup):
                error = error.exceptions[0]
            print(type(error).__name__)
    """)
    assert code == 0, err
    assert out.split() == ["left", "KeyboardInterrupt"]


LOOPS = {
    "independent": "engine.push(lambda: None)",
    "chain": "engine.push(lambda: None, updates=(resource,))",
    "waits": "engine.push(lambda: None, updates=(resource,)).wait()",
    "reads": "engine.push(lambda: 1, writes=(resource,)); engine.read(lambda: 1, (resource,))",
    "all": "engine.push(lambda: None); engine.wait_all()",
}


@pytest.mark.parametrize("what", LOOPS)
@pytest.mark.parametrize("attempt", range(3))
def test_ctrl_c_ends_a_loop_that_pushes(what, attempt):
    """Wherever it strikes, the process ends, and says that it was interrupted."""
    assert attempt >= 0
    _, err, code = interrupt(f"""
        number = 0
        while True:
            {LOOPS[what]}
            number += 1
            if number == 200:
                print("go")
    """)
    assert code in (1, -signal.SIGINT, 128 + signal.SIGINT), (code, err)
    assert "KeyboardInterrupt" in err


def test_ctrl_c_often_never_leaves_the_engine_hanging():
    """Afterwards it works, or says that it broke."""
    out, err, code = interrupt("""
        import signal
        from actorflow.errors import EngineError
        state = {"stop": False}
        engine = af.Engine(2)
        resources = [Resource(f"r{i}") for i in range(4)]
        hits = 0
        # The engine's handler of SIGINT, asked more often than a user could.
        signal.signal(signal.SIGALRM, signal.getsignal(signal.SIGINT))
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        print("go")

        def attempt():
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.0002 + hits % 7 * 0.00005)
                while True:
                    engine.push(lambda: None, reads=resources[:2], updates=resources[2:])
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)

        def check():
            engine.wait_all(timeout=20)
            engine.push(lambda: None, updates=resources).wait()

        step = attempt
        while hits < 300:
            try:
                step()
                step = attempt
            except KeyboardInterrupt:
                hits += 1
                step = check  # again, if one that was put off comes there
            except EngineError:
                engine = af.Engine(2)
                resources = [Resource(f"r{i}") for i in range(4)]
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        print("done")
    """)
    assert code == 0, err
    assert "done" in out
