"""A run of real processes on this machine, bounded in time."""

import os
import signal
import socket
import subprocess
import sys
import textwrap

LIMIT = 60  # seconds that a run may take


def free_port():
    """A port that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Run:
    """Servers and workers; leaving the block ends all of them.

    Args:
      script: what each worker runs; `kv` is made, of the kind that `name` says.
    """

    def __init__(self, script, name, *, workers=2, servers=1, timeout=2):
        before = f"import numpy as np, actorflow as af, os, sys\nkv = af.kv.create({name!r})\n"
        self.script = before + textwrap.dedent(script)
        common = {
            "AF_NUM_WORKERS": str(workers),
            "AF_NUM_SERVERS": str(servers),
            "AF_ROOT_URI": "127.0.0.1",
            "AF_ROOT_PORT": str(free_port()),
            "AF_KVSTORE_TIMEOUT": str(timeout),
        }
        self.environ = {**os.environ, **common}
        self.counts = {"server": servers, "worker": workers}
        self.processes = {}

    def start(self, role, rank, script=None):
        """Start one process."""
        command = [sys.executable, "-m", "actorflow", "serve"]
        if role == "worker":
            command = [sys.executable, "-c", script or self.script]
        most = {"server": "AF_NUM_SERVERS", "worker": "AF_NUM_WORKERS"}[role]
        environ = {**self.environ, most: str(max(rank + 1, self.counts[role]))}
        environ |= {"AF_ROLE": role, "AF_RANK": str(rank)}
        process = subprocess.Popen(  # noqa: S603 -- our own words
            command,
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.processes[role, rank] = process
        return process

    def __enter__(self):
        for role, count in self.counts.items():
            for rank in range(count):
                self.start(role, rank)
        return self

    def __exit__(self, *_):
        for process in self.processes.values():
            process.kill()
            process.communicate()

    def kill(self, role, rank, how=signal.SIGKILL):
        """End a process by a signal."""
        self.processes[role, rank].send_signal(how)

    def output(self, role, rank, *, status=0):
        """What a process has printed, at its end."""
        process = self.processes[role, rank]
        try:
            out, err = process.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise AssertionError(f"{role} {rank} hangs: {out}\n{err}") from None
        assert process.returncode == status, f"{role} {rank}: {process.returncode}\n{out}\n{err}"
        return out

    def outputs(self):
        """What the workers have printed; the servers end by themselves."""
        found = [self.output("worker", rank) for rank in range(self.counts["worker"])]
        for rank in range(self.counts["server"]):
            self.output("server", rank)
        return found
