"""Runs started over ssh and by mpirun, and the words that other launchers get."""

import getpass
import os
import shutil
import subprocess
import sys
from pathlib import Path

import attrs
import pytest

from actorflow.errors import LaunchError
from actorflow.kvstore import launch

ROOT = Path(__file__).parents[2]
PYTHON = sys.executable
SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
RUN = launch.Run(
    command=("python", "train.py"),
    num_workers=3,
    num_servers=2,
    environ={"HOME": "/home", "AF_RANK": "7"},
    server_command=("serve", "a b"),
)

SAY = """\
import os, sys
print(*(os.environ["AF_" + n] for n in ("ROLE", "RANK", "NUM_WORKERS", "ROOT_URI")), sys.argv[1:])
"""


@pytest.fixture
def say(tmp_path):
    """A program that prints its place and its arguments."""
    program = tmp_path / "say it.py"
    program.write_text(SAY)
    return str(program)


@pytest.fixture
def sshd(tmp_path):
    """Words for ssh by which it comes to an sshd of this test, with keys of its own."""
    if SSHD is None or shutil.which("ssh") is None:
        pytest.skip("no sshd here (on Debian: apt-get install openssh-server)")
    folder = tmp_path / "ssh"
    folder.mkdir(mode=0o700)
    for name in ("host", "user"):
        subprocess.run(  # noqa: S603
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name],  # noqa: S607
            check=True,
        )
    if os.geteuid() == 0:  # then it wants a folder that the package's service would make
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    port = launch.free_port()
    config = {
        "ListenAddress": "127.0.0.1",
        "Port": port,
        "HostKey": folder / "host",
        "AuthorizedKeysFile": folder / "user.pub",
        "PidFile": "none",
        "StrictModes": "no",
        "UsePAM": "no",
        "PasswordAuthentication": "no",
        "PermitRootLogin": "yes",
    }
    (folder / "config").write_text("".join(f"{name} {value}\n" for name, value in config.items()))
    known = (folder / "host.pub").read_text()
    (folder / "known").write_text(f"[127.0.0.1]:{port} {known}")
    with subprocess.Popen(  # noqa: S603
        [SSHD, "-D", "-e", "-f", folder / "config"], stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            for line in process.stderr:
                if "Server listening" in line:
                    break
            else:
                pytest.fail("sshd did not start")
            options = [f"UserKnownHostsFile={folder}/known", "IdentitiesOnly=yes"]
            words = ["ssh", "-F", "none", "-p", str(port), "-i", str(folder / "user")]
            yield " ".join(words + [f"-o {option}" for option in options])
        finally:
            process.terminate()
            process.stderr.close()


def launched(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603
        [PYTHON, "-m", "actorflow", "launch", *words],
        env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def hostfile(tmp_path: Path, text: str) -> str:
    path = tmp_path / "hosts"
    path.write_text(text)
    return str(path)


@pytest.mark.slow
def test_ssh_starts_all_with_their_words_as_they_are(tmp_path, sshd, say):
    hosts = hostfile(tmp_path, f"{getpass.getuser()}@127.0.0.1 slots=2\n")
    odd = ["a b", "$HOME", "it's", '"', "*", "x\ny", "ü"]
    words = ["-n", "2", "--launcher", "ssh", "--hostfile", hosts, "--program", sshd]
    words += ["--export", "PYTHONPATH", "--server-command", f"{PYTHON} '{say}'"]
    done = launched(*words, "--", PYTHON, say, *odd)
    assert (done.returncode, done.stderr) == (0, "")
    *server, first, second = sorted(done.stdout.splitlines())
    # A server is ended when the workers are done, which may be before it says anything.
    assert server in ([], ["[server 0] server 0 2 127.0.0.1 []"])
    assert [first, second] == [
        f"[worker 0] worker 0 2 127.0.0.1 {odd!r}",
        f"[worker 1] worker 1 2 127.0.0.1 {odd!r}",
    ]


@pytest.mark.slow
def test_over_ssh_a_failed_rank_ends_those_that_wait(tmp_path, sshd):
    hosts = hostfile(tmp_path, "127.0.0.1 slots=2\n")
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reading = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    hold = f"import os, signal; fd = os.open({str(fifo)!r}, os.O_WRONLY)\n"
    fail = "if os.environ['AF_RANK'] == '1': raise ValueError('wrong')\nsignal.pause()"
    words = ["-n", "2", "--launcher", "ssh", "--hostfile", hosts, "--program", sshd]
    words += ["--export", "PYTHONPATH", "--server-command", "sleep 1000", "--grace", "20"]
    done = launched(*words, "--", PYTHON, "-c", hold + fail)
    assert done.returncode == 1
    assert "worker 1 failed with exit status 1" in done.stderr
    assert done.stderr.endswith("\nValueError: wrong\n")
    os.set_blocking(reading, True)
    assert os.read(reading, 1) == b""  # nobody has the other end any more
    os.close(reading)


@pytest.mark.slow
def test_over_ssh_nothing_is_left_running_when_the_launcher_is_killed(tmp_path, sshd):
    hosts = hostfile(tmp_path, "127.0.0.1 slots=2\n")
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reading = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    hold = f"import os, signal; fd = os.open({str(fifo)!r}, os.O_WRONLY); print('up', flush=True)\n"
    words = ["-n", "2", "--launcher", "ssh", "--hostfile", hosts, "--program", sshd]
    words += ["--export", "PYTHONPATH", "--server-command", "sleep 1000", "--grace", "20"]
    words += ["--", PYTHON, "-c", hold + "signal.pause()"]
    with subprocess.Popen(  # noqa: S603
        [PYTHON, "-m", "actorflow", "launch", *words],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
    ) as process:
        assert [process.stdout.readline()[-4:] for _ in range(2)] == [b" up\n"] * 2
        process.kill()
        os.set_blocking(reading, True)
        assert os.read(reading, 1) == b""  # which waits until nobody has the other end any more
    os.close(reading)


@pytest.mark.slow
@pytest.mark.skipif(
    shutil.which("mpirun") is None, reason="no mpirun (on Debian: apt-get install openmpi-bin)"
)
@pytest.mark.parametrize("status", [0, 7])
def test_mpirun_starts_all(say, status):
    words = ["-n", "2", "-s", "1", "--launcher", "mpi", "--program", "mpirun --oversubscribe"]
    words += ["--server-command", f"{PYTHON} '{say}'", "--"]
    words += (
        [PYTHON, say, "a b", "$x"] if status == 0 else [PYTHON, "-c", f"raise SystemExit({status})"]
    )
    root = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    done = launched(*words, **root)
    assert done.returncode == status
    if status == 0:
        assert sorted(line.rstrip("\r") for line in done.stdout.splitlines()) == [
            "[server 0] server 0 2 127.0.0.1 []",
            "[worker 0] worker 0 2 127.0.0.1 ['a b', '$x']",
            "[worker 1] worker 1 2 127.0.0.1 ['a b', '$x']",
        ]


def test_launch_rank_is_one_process(say):
    """As mpirun starts it, which needs no mpirun."""
    variables = {"AF_NUM_SERVERS": "1", "OMPI_COMM_WORLD_RANK": "2", "OMPI_COMM_WORLD_SIZE": "4"}
    variables["OMPI_COMM_WORLD_LOCAL_SIZE"] = "4"
    done = subprocess.run(  # noqa: S603
        [PYTHON, "-m", "actorflow", "launch-rank", "--", PYTHON, say],
        env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("[worker 1] worker 1 3 127.0.0.1 []\n", "")


def test_workers_fill_the_slots_and_servers_take_turns():
    hosts = [launch.Host("me@a", 2), launch.Host("b", 1), launch.Host("c", 1)]
    processes = launch.ssh(RUN, hosts, folder="/my home", python="py")
    assert [(process.name, process.argv[4]) for process in processes] == [
        ("server 0", "me@a"),
        ("server 1", "b"),
        ("worker 0", "me@a"),
        ("worker 1", "me@a"),
        ("worker 2", "b"),
    ]
    assert processes[0].argv[:4] == ("ssh", "-o", "BatchMode=yes", "-T")
    there = processes[1].argv[5]
    assert there.startswith("cd '/my home' && exec env PYTHONUNBUFFERED=1 AF_ROLE=server AF_RANK=1")
    assert "AF_ROOT_URI=a AF_ROOT_PORT=9091 AF_LOCAL_RANK=0" in there
    assert there.endswith("py -m actorflow.kvstore.guard 5.0 serve 'a b'")
    assert "AF_LOCAL_RANK=1" in processes[3].argv[5]


def test_ssh_refuses_what_cannot_be():
    hosts = [launch.Host("a", 2)]
    with pytest.raises(LaunchError, match="has 2 slots; 3 workers need as many"):
        launch.ssh(RUN, hosts, folder="/")
    with pytest.raises(LaunchError, match="NO_SUCH is to be exported, but not set"):
        launch.ssh(attrs.evolve(RUN, num_workers=2), hosts, folder="/", exported=["NO_SUCH"])


def test_host_files(tmp_path):
    path = hostfile(tmp_path, "# all\na slots=4 # big\n\n  me@10.0.0.1  \nb slots = 2\n")
    expected = [launch.Host("a", 4), launch.Host("me@10.0.0.1", 1), launch.Host("b", 2)]
    assert launch.read_hosts(path) == expected
    assert expected[1].address == "10.0.0.1"


@pytest.mark.parametrize("line", ["a slots=0", "a b", "-oProxyCommand=x", "a slots=x", "-v", "# x"])
def test_host_files_that_are_wrong(tmp_path, line):
    with pytest.raises(LaunchError, match=r"needs (a line|lines) like `name slots=4`"):
        launch.read_hosts(hostfile(tmp_path, line + "\n"))


def test_the_words_for_other_launchers(tmp_path):
    rank = [PYTHON, "-m", "actorflow", "launch-rank", "--grace", "5.0"]
    rank += ["--server-command", "serve 'a b'", "--", "python", "train.py"]
    words, environ = launch.slurm(attrs.evolve(RUN, root_port=99))
    assert words == ["srun", "--ntasks=5", "--kill-on-bad-exit=1", *rank]
    assert environ == {"HOME": "/home", "AF_NUM_SERVERS": "2", "AF_ROOT_PORT": "99"}
    words, environ = launch.torchrun(attrs.evolve(RUN, root_port=99))
    assert words == ["torchrun", "--standalone", "--nproc-per-node=5", "--no-python", *rank]
    assert (environ["AF_ROOT_URI"], environ["AF_ROOT_PORT"]) == ("127.0.0.1", "99")
    hosts = hostfile(tmp_path, "a slots=5\n")
    words, environ = launch.mpi(RUN, hostfile=hosts)
    exported = ["-x", "AF_NUM_SERVERS", "-x", "AF_ROOT_PORT", "-x", "AF_ROOT_URI"]
    assert words == ["mpirun", "-n", "5", "--hostfile", hosts, *exported, *rank]
    assert (environ["AF_ROOT_URI"], environ["AF_ROOT_PORT"]) == ("a", "9091")


def test_there_are_no_schedulers():
    place = next(RUN.places("a", 1))
    with pytest.raises(LaunchError, match="AF_ROLE is 'scheduler'"):
        launch.rank(RUN, attrs.evolve(place, role="scheduler"))
