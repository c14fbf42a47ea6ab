"""Shared memory: what one process writes another reads, and nothing is left of it."""

import fcntl
import gc
import json
import mmap
import os
from pathlib import Path

import msgspec
import numpy as np
import pytest

from actorflow.comm import SharedBlock, attach, machine
from actorflow.comm.messages import Shared
from actorflow.errors import CommunicationError, FormatError
from tests.comm._helpers import start

MOST = 2**20


def blocks_of(pid="self"):
    """The blocks that a process has open."""
    found = []
    for path in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.append(str(path.readlink()))
        except FileNotFoundError:
            found.append("")  # the one that lists them
    return [link for link in found if link.startswith("/memfd:actorflow-")]


def test_both_see_the_same_memory():
    block = SharedBlock(4096)
    ours = block.array("float32", (10, 10), 64)
    notice = block.notice("float32", (10, 10), 64)
    attached = attach(notice, max_nbytes=4096)
    theirs = attached.array(notice)
    ours[:] = 7
    assert (theirs == 7).all()
    assert not theirs.flags.writeable
    writable = attach(notice, max_nbytes=4096, writable=True).array(notice)
    writable[0] = 8
    assert (ours[0] == 8).all()
    block.close()
    block.close()
    assert (theirs[0] == 8).all()  # as long as somebody has it
    with pytest.raises(CommunicationError, match="of process"):
        attach(notice, max_nbytes=4096)
    with pytest.raises(ValueError, match="closed"):
        block.array("float32", (1,))


def test_nothing_is_left_open():
    before = blocks_of()
    block = SharedBlock(4096)
    notice = block.notice("int8", (1,))
    attached = attach(notice, max_nbytes=4096)
    assert set(blocks_of()) > set(before)
    block.close()
    del block, attached
    gc.collect()
    assert blocks_of() == before


@pytest.mark.parametrize(
    "wrong",
    [
        {"nbytes": 4097},
        {"nbytes": 0},
        {"nbytes": 2 * MOST},
        {"token": "../../../etc/passwd"},
        {"token": "0" * 31},
        {"shape": [1025]},
        {"shape": [2**62, 2**62]},
        {"shape": [0]},
        {"offset": 8},
        {"offset": 4096},
        {"dtype": "object"},
    ],
    ids=str,
)
def test_notices_are_checked(wrong):
    block = SharedBlock(4096)
    notice = msgspec.structs.replace(block.notice("float32", (1024,)), **wrong)
    with pytest.raises(FormatError):
        attach(notice, max_nbytes=MOST).array(notice)
    block.close()


def test_a_descriptor_that_is_another_file_is_not_opened(tmp_path):
    block = SharedBlock(4096)
    notice = block.notice("float32", (1,))
    other = SharedBlock(4096)
    with (tmp_path / "file").open("wb") as file:
        for descriptor in (file.fileno(), other._descriptor, 10**6):
            wrong = msgspec.structs.replace(notice, descriptor=descriptor)
            with pytest.raises(CommunicationError):
                attach(wrong, max_nbytes=4096)
    block.close()
    other.close()


def test_a_block_that_could_shrink_is_refused():
    token = "ab" * 16
    descriptor = os.memfd_create(f"actorflow-{token}", os.MFD_ALLOW_SEALING)
    os.ftruncate(descriptor, 4096)
    notice = Shared(os.getpid(), descriptor, token, 4096, 0, "int8", [1])
    with pytest.raises(FormatError, match="seals 0x0"):
        attach(notice, max_nbytes=4096)
    os.close(descriptor)
    block = SharedBlock(4096)
    with pytest.raises(PermissionError):
        os.ftruncate(block._descriptor, 1)
    assert fcntl.fcntl(block._descriptor, fcntl.F_GET_SEALS) & fcntl.F_SEAL_SHRINK
    block.close()


def test_mistakes_of_the_owner():
    block = SharedBlock(4096)
    for arguments in (("float32", (1025,)), ("float32", (1,), 4), ("bool", (1,))):
        with pytest.raises(ValueError, match="shared array"):
            block.array(*arguments)
        with pytest.raises(ValueError, match="shared array"):
            block.notice(*arguments)
    block.close()


OWNER = """
    import json, sys, msgspec
    from actorflow.comm import SharedBlock
    block = SharedBlock(1 << 20)
    block.array("int32", (1000,))[:] = range(1000)
    print(json.dumps(msgspec.to_builtins(block.notice("int32", (1000,)))), flush=True)
    sys.stdin.read()
"""


@pytest.mark.slow
def test_an_owner_that_is_killed_leaves_nothing():
    before = set(Path("/dev/shm").iterdir())  # noqa: S108 -- where others leave theirs
    with start(OWNER) as owner:
        notice = msgspec.convert(json.loads(owner.stdout.readline()), Shared)
        assert notice.pid == owner.pid
        array = attach(notice, max_nbytes=MOST).array(notice)
        owner.kill()
        owner.wait()
    assert np.array_equal(array, np.arange(1000))  # and whoever has it can still read it
    assert set(Path("/dev/shm").iterdir()) == before  # noqa: S108
    with pytest.raises(CommunicationError, match="of process"):
        attach(notice, max_nbytes=MOST)
    assert isinstance(array.base, mmap.mmap)


def test_the_machine_has_a_name():
    with start("from actorflow.comm import machine; print(machine())") as other:
        assert other.stdout.read().strip() == machine()
