"""Runs of real processes on this machine, by `actorflow launch`."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYTHON = sys.executable

pytestmark = pytest.mark.slow

SLEEP = "import signal, sys; print('up', flush=True); signal.pause()"


def words(*options: str, worker: str, server: str = SLEEP, grace: str = "20") -> list[str]:
    """The command line for workers and servers that are Python programs."""
    serve = f"{PYTHON} -c " + '"$PROGRAM"'.replace("$PROGRAM", server.replace('"', '\\"'))
    command = [PYTHON, "-m", "actorflow", "launch", "--grace", grace, "--server-command", serve]
    return [*command, *options, "--", PYTHON, "-c", worker]


def environ() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AF_")}
    return {**kept, "PYTHONPATH": str(ROOT)}


def launched(*options: str, **programs: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603
        words(*options, **programs),
        env=environ(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def start(command: list[str], **more: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, env=environ(), stdout=subprocess.PIPE, **more)  # noqa: S603


def wait_closed(descriptor: int) -> None:
    """Return when nobody holds the other end of a pipe any more."""
    while select.select([descriptor], [], [], 60)[0]:
        if not os.read(descriptor, 4096):
            return
    pytest.fail("somebody is still running after a minute")


def test_every_process_knows_its_place_and_its_lines_say_who():
    say = "import os; e = os.environ; print(*(e['AF_' + n] for n in ('ROLE', 'RANK', 'LOCAL_RANK',"
    say += " 'NUM_WORKERS', 'NUM_SERVERS', 'ROOT_URI', 'ROOT_PORT')))"
    done = launched("-n", "3", "-s", "2", "--root-port", "1234", worker=say, server=say)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(done.stdout.splitlines()) == [
        *(f"[server {rank}] server {rank} {rank} 3 2 127.0.0.1 1234" for rank in range(2)),
        *(f"[worker {rank}] worker {rank} {rank} 3 2 127.0.0.1 1234" for rank in range(3)),
    ]


def test_servers_are_ended_when_all_workers_have_exited():
    done = launched("-n", "2", "-s", "2", worker="pass")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_failed_rank_ends_the_run_and_its_traceback_comes_last():
    fail = "import os, signal\nif os.environ['AF_RANK'] == '1': raise ValueError('wrong')\n"
    done = launched("-n", "3", worker=fail + "signal.pause()")
    assert done.returncode == 1
    report = done.stderr[done.stderr.index("actorflow launch: ") :].splitlines()
    assert report[0] == "actorflow launch: worker 1 failed with exit status 1"
    assert report[1] == "Traceback (most recent call last):"
    assert report[-1] == "ValueError: wrong"


@pytest.mark.parametrize(
    ("worker", "status", "meaning"),
    [
        ("raise SystemExit(7)", 7, "7"),
        ("import os; os.abort()", 134, "134 (SIGABRT)"),
        ("import os; os.kill(os.getpid(), 9)", 137, "137 (SIGKILL)"),
    ],
)
def test_the_status_is_that_of_the_rank(worker, status, meaning):
    done = launched("-n", "1", worker=worker)
    assert done.returncode == status
    assert done.stderr.splitlines()[-1].endswith(f"worker 0 failed with exit status {meaning}")


def test_a_failed_server_ends_the_run():
    done = launched("-n", "1", worker=SLEEP, server="raise SystemExit(3)")
    assert done.returncode == 3
    assert "server 0 failed with exit status 3" in done.stderr


def test_a_program_that_is_not_there():
    command = [PYTHON, "-m", "actorflow", "launch", "-n", "1", "--server-command", "true"]
    done = subprocess.run(  # noqa: S603
        [*command, "--", "no-such-program"], env=environ(), capture_output=True, check=False
    )
    assert done.returncode == 127
    assert b"cannot run no-such-program: No such file or directory" in done.stderr


def test_no_line_is_lost_or_mixed_with_another():
    write = "import os, sys\nfor i in range(20000): print(os.environ['AF_RANK'], i, 'z' * (i % 90))"
    write += "\nprint(os.environ['AF_RANK'], 'x' * 3_000_000)\nsys.stdout.write('the end')"
    done = launched("-n", "3", worker=write)
    assert done.returncode == 0
    for rank in range(3):
        begin = f"[worker {rank}] "
        lines = [
            line.removeprefix(begin) for line in done.stdout.splitlines() if line.startswith(begin)
        ]
        expected = [f"{rank} {i} " + "z" * (i % 90) for i in range(20000)]
        assert lines[:20000] == expected
        assert "".join(lines[20000:]) == f"{rank} " + "x" * 3_000_000 + "the end"
    assert len(re.findall(r"^\[(?:worker [012]|server 0)\] ", done.stdout, re.MULTILINE)) == len(
        done.stdout.splitlines()
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_all(number):
    with start(words("-n", "2", worker=SLEEP)) as process:
        assert sum(process.stdout.readline().endswith(b"up\n") for _ in range(3)) == 3
        process.send_signal(number)
        assert process.wait(60) == 128 + number


def holding(tmp_path: Path, worker: str) -> tuple[list[str], int]:
    """A run whose processes all hold one end of a named pipe, and the other end."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reading = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    hold = f"import os; fd = os.open({str(fifo)!r}, os.O_WRONLY); os.set_inheritable(fd, True)\n"
    program = tmp_path / "program.py"
    program.write_text(hold + worker)
    command = [PYTHON, "-m", "actorflow", "launch", "-n", "2", "--grace", "0.2"]
    command += ["--server-command", f"{PYTHON} {program}", "--", PYTHON, str(program)]
    return command, reading


STUBBORN = """\
import signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"], close_fds=False)
print("up", flush=True)
while True:
    signal.pause()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_running(tmp_path, number):
    """Not even who ignores SIGTERM, nor its children, nor if the launcher itself is killed."""
    command, reading = holding(tmp_path, STUBBORN)
    with start(command) as process:
        for _ in range(3):
            assert process.stdout.readline().endswith(b"up\n")
        process.send_signal(number)
        wait_closed(reading)
        assert process.wait(60) == (143 if number == signal.SIGTERM else -signal.SIGKILL)
    os.close(reading)


def test_what_a_worker_leaves_behind_is_ended(tmp_path):
    left = STUBBORN[: STUBBORN.index("print")]
    left += "import os\nif os.environ['AF_ROLE'] == 'server': signal.pause()\n"
    command, reading = holding(tmp_path, left)
    with start(command) as process:
        assert process.wait(60) == 0
        wait_closed(reading)
    os.close(reading)


@pytest.mark.parametrize("length", [1, 1000])
def test_a_reader_that_goes_away_ends_the_run(length):
    forever = f"while True: print('x' * {length})"
    with start(words("-n", "2", worker=forever), stderr=subprocess.PIPE) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(60) == 2
        assert b"actorflow launch: [Errno 32] Broken pipe" in process.stderr.read()


def test_names_are_coloured_on_terminals_only():
    outer, inner = pty.openpty()
    process = subprocess.Popen(  # noqa: S603
        words("-n", "1", worker="print('hi')", server="import signal; signal.pause()"),
        env=environ(),
        stdout=inner,
    )
    assert process.wait(60) == 0
    assert os.read(outer, 1000) == b"\x1b[33m[worker 0] \x1b[0mhi\r\n"
    os.close(inner)
    os.close(outer)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-n", "0"], "num_workers is 0; needs 1 at least"),
        (["-n", "1", "-s", "0"], "num_servers is 0; needs 1 at least"),
        (["-n", "1", "--launcher", "ssh"], "--launcher ssh needs --hostfile"),
        (["-n", "1", "--hostfile", "x"], "--hostfile is for ssh and mpi, not for local"),
        (["-n", "1", "--launcher", "slurm", "--program", "no-srun"], "no program no-srun here"),
    ],
)
def test_what_makes_no_sense_is_refused(options, message):
    done = launched(*options, worker="pass")
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
