"""The pools of the contexts in host memory."""

import numpy as np
import pytest

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
