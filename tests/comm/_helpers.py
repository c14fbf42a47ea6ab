"""Two sockets that talk, and a process that talks to one."""

import subprocess
import sys
import textwrap
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from actorflow.comm import Socket, SocketOptions, open_context

ROOT = Path(__file__).parents[2]
TIGHT = SocketOptions(
    high_water_mark=1,
    send_messages=1,
    send_nbytes=2**16,
    receive_messages=1,
    receive_nbytes=2**16,
    linger=0.2,
)


@asynccontextmanager
async def pair(transport="inproc", *, left=None, right=None, address=None):
    """A router that is bound and a dealer that is connected to it, both with owners.

    `left` and `right` are the keyword arguments of either.
    """
    address = address or {"inproc": "inproc://pair", "tcp": "tcp://127.0.0.1:*"}[transport]
    async with open_context() as context:
        router = Socket(context, "router", **(left or {}))
        dealer = Socket(context, "dealer", **(right or {}))
        try:
            dealer.connect(router.bind(address))
            with trio.fail_after(60):  # only if a test hangs
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(router.run)
                    nursery.start_soon(dealer.run)
                    yield router, dealer
                    await dealer.aclose()
                    await router.aclose()
        finally:
            with trio.CancelScope(shield=True):
                await dealer.aclose()
                await router.aclose()


def start(program, *words, stderr=None):
    """Another process that runs a program and writes lines."""
    return subprocess.Popen(  # noqa: S603 -- a program of the tests
        [sys.executable, "-c", textwrap.dedent(program), *map(str, words)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        cwd=ROOT,
        text=True,
    )
