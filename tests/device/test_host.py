"""The pools of the contexts in host memory."""

import subprocess
import sys

import numpy as np
import pytest

from actorflow import settings
from actorflow.device import HostMemory, cpu, cpu_pinned, gpu
from actorflow.errors import ContextError

MB = 1 << 20


def test_host_memory_has_a_pool_for_each_context():
    memory = HostMemory(max_cached_nbytes=MB)
    first = memory.storage(cpu(0))
    assert memory.storage(cpu(0)) is first
    assert len({id(memory.storage(context)) for context in (cpu(0), cpu(1), cpu_pinned(0))}) == 3
    first.allocate(MB, np.uint8)
    assert memory.statistics()[cpu(0)].cached_nbytes == MB
    assert memory.trim() == MB
    with pytest.raises(ContextError, match="no CUDA backend"):
        memory.storage(gpu(0))
    with pytest.raises(TypeError, match=r"^storage: ctx needs to be a Context"):
        memory.storage("cpu(0)")


def test_what_an_array_can_have_at_the_most():
    most = settings.attainable_nbytes()
    assert MB <= most <= sys.maxsize
    assert HostMemory().attainable_nbytes() == most
    assert HostMemory(capacity_nbytes=3 * MB).attainable_nbytes() == 3 * MB
    assert HostMemory(capacity_nbytes=sys.maxsize).attainable_nbytes() == most


LIMITED = """
import resource
from actorflow import settings
for which in resource.RLIMIT_AS, resource.RLIMIT_DATA:
    before = resource.getrlimit(which)
    resource.setrlimit(which, (1 << 33, before[1]))
    print(settings.attainable_nbytes() <= 1 << 33)
    resource.setrlimit(which, before)
"""


def test_the_limits_of_the_process_count():
    pytest.importorskip("resource")
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", LIMITED], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr) == ("True\nTrue\n", "")
