"""What the tests of faults share: limits of time, gates, and scripts in processes of their own."""

import os
import subprocess
import sys
import textwrap
import threading
import traceback
from contextlib import contextmanager, suppress
from pathlib import Path

from actorflow import Engine
from actorflow.engine import Instrument, Link, Resource

ROOT = Path(__file__).parents[2]
LIMIT = 10.0  # seconds: what takes longer hangs
KINDS = ("threaded", "naive")


class HangError(AssertionError):
    """Something that had to end did not."""


def within(fn, *args, seconds=LIMIT, **options):
    """Call `fn` in a thread; give its outcome, or fail with its stack if it does not end."""
    outcome = []

    def call():
        try:
            outcome.append((fn(*args, **options), None))
        except BaseException as error:  # noqa: BLE001 -- raised to the test below
            outcome.append((None, error))

    thread = threading.Thread(target=call, daemon=True, name="test")
    thread.start()
    thread.join(seconds)
    if not outcome:
        frame = sys._current_frames().get(thread.ident)
        stack = "".join(traceback.format_stack(frame)[-6:])
        message = f"{fn} did not end in {seconds} seconds; it stands at\n{stack}"
        raise HangError(message)
    result, error = outcome[0]
    if error is not None:
        raise error
    return result


def in_threads(*fns):
    """Call all at once, each in a thread of its own; give their results in order."""
    barrier = threading.Barrier(len(fns))
    results = [None] * len(fns)
    errors = []

    def call(index, fn):
        barrier.wait(LIMIT)
        try:
            results[index] = fn()
        except BaseException as error:  # noqa: BLE001 -- raised to the test below
            errors.append(error)

    threads = [
        threading.Thread(target=call, args=pair, daemon=True, name="test")
        for pair in enumerate(fns)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
        if thread.is_alive():
            frame = sys._current_frames().get(thread.ident)
            raise HangError("".join(traceback.format_stack(frame)[-6:]))
    if errors:
        raise errors[0]
    return results


class Gate:
    """A function for an operation that tells when it runs, and runs until it is opened."""

    def __init__(self, result=None):
        self.result = result
        self.entered = threading.Event()
        self.opened = threading.Event()

    def __call__(self):
        self.entered.set()
        if not self.opened.wait(LIMIT):
            raise HangError("nobody opened the gate")
        return self.result

    def wait_entered(self):
        if not self.entered.wait(LIMIT):
            raise HangError("the operation did not start")

    def open(self):
        self.opened.set()


class TurnHolder(Instrument):
    """Holds up the turn, in whose middle `granted` is called, for operations named "holder".

    No instrument should do that; it shows what happens while another thread has the turn.
    """

    def __init__(self):
        self.gate = Gate()

    def granted(self, operation):
        if operation.name == "holder":
            self.gate()

    def hold(self, engine):
        """Begin a turn in another thread; it lasts until the gate opens."""
        thread = threading.Thread(
            target=engine.push, args=(lambda: None,), kwargs={"name": "holder"}, daemon=True
        )
        thread.start()
        self.gate.wait_entered()
        return thread


class Stage:
    """An engine with one worker, a gate, and a target that has come to a certain point."""

    def __init__(self, engine, point):
        self.engine = engine
        self.calls = []
        self.resource = Resource("r")
        self.gate = Gate("gate")
        self.link = Link(1, "bus")
        self.before = None
        if point == "data":
            self.before = engine.push(self.gate, writes=(self.resource,))
            self.gate.wait_entered()
        elif point == "link":
            self.before = engine.push(self.gate, uses=(self.link,), device="io")
            self.gate.wait_entered()
        elif point == "ready":
            self.before = engine.push(self.gate)
            self.gate.wait_entered()
        uses = (self.link,) if point == "link" else ()
        fn = self.gate if point == "running" else self.run
        self.target = engine.push(fn, updates=(self.resource,), uses=uses, name="target")
        if point == "running":
            self.gate.wait_entered()
        elif point == "done":
            within(self.target.wait)
        # Who wants what it writes.
        self.reader = engine.push(lambda: self.calls.append("reader"), reads=(self.resource,))

    def run(self):
        self.calls.append("target")
        return "ran"


@contextmanager
def open_engine(workers=2, **options):
    """An engine that is closed afterwards, whatever has become of it."""
    engine = Engine(workers, engine_type="threaded", **options)
    try:
        yield engine
    finally:
        with suppress(Exception, BaseExceptionGroup):
            within(engine.close, timeout=2.0, cancel=True, seconds=5.0)


def engine_threads():
    """The threads that engines have made and that live."""
    return {thread for thread in threading.enumerate() if thread.name.startswith("actorflow")}


def fail(message="broken"):
    raise ValueError(message)


def noted(error):
    """The notes of an exception as one text."""
    return "\n".join(getattr(error, "__notes__", ()))


def flatten(group):
    """The exceptions in a group of groups."""
    if not isinstance(group, BaseExceptionGroup):
        return [group]
    return [inner for error in group.exceptions for inner in flatten(error)]


def script_env(**env):
    """The environment of a script that may import this project."""
    base = {key: value for key, value in os.environ.items() if not key.startswith("AF_")}
    return {**base, "PYTHONPATH": str(ROOT), "AF_CPU_WORKERS": "2", **env}


def run_script(source, *, code=0, seconds=60, **env):
    """Run Python source in a process; check how it ends and give what it printed."""
    return _run(["-c", textwrap.dedent(source)], code, seconds, env)


def run_file(path, *, code=0, seconds=60, **env):
    """Run a file in a process; check how it ends and give what it printed."""
    return _run([str(path)], code, seconds, env)


def _run(arguments, code, seconds, env):
    process = subprocess.run(  # noqa: S603 -- this project's own code
        [sys.executable, "-X", "faulthandler", *arguments],
        env=script_env(**env),
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    report = f"code {process.returncode}\n{process.stdout}\n{process.stderr}"
    if code is not None:
        assert process.returncode == code, report
    return process
