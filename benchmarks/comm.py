"""Messages between two processes: bare pyzmq, our socket on trio, and shared memory.

`python benchmarks/comm.py` prints, for each, the best median round trip of 4 bytes, and of large
arrays that are answered by 1 byte, in turns, so that all sides see the same machine. The receiver
of shared memory adds up what it gets, so that the memory is read.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import trio
import zmq

from actorflow.comm import SharedBlock, Socket, attach, decode, encode, open_context
from actorflow.comm.messages import Init

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 5
SIDES = ("bare", "on_message", "receive")
SMALL = 4
LARGE = (4_000_000, 64_000_000)


def payload(nbytes: int) -> list[bytes | memoryview]:
    if nbytes == SMALL:
        return [b"abcd"]
    return [b"head", np.ones(nbytes, np.uint8).data]


def bare_server(address: str) -> None:
    socket = zmq.Context().socket(zmq.ROUTER)
    socket.bind(address)
    while True:
        peer, *_ = socket.recv_multipart(copy=False)
        socket.send_multipart([peer, b"x"])


def bare_client(address: str, nbytes: int, count: int) -> list[float]:
    times = []
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.connect(address)
        frames = payload(nbytes)
        for _ in range(count):
            start = time.perf_counter()
            socket.send_multipart(frames, copy=nbytes == SMALL)
            socket.recv()
            times.append(time.perf_counter() - start)
    return times


async def server(address: str, side: str) -> None:
    def on_message(peer: bytes, _frames: object) -> bool:
        socket.send_nowait([b"x"], to=peer)
        return True

    async with open_context() as context, trio.open_nursery() as nursery:
        taking = on_message if side == "on_message" else None
        socket = Socket(context, "router", on_message=taking, on_lost=lambda *_: None)
        socket.bind(address)
        nursery.start_soon(socket.run)
        while True:
            got = await socket.receive()
            await socket.send([b"x"], to=got.peer)


async def client(address: str, side: str, nbytes: int, count: int) -> list[float]:
    times: list[float] = []
    frames = payload(nbytes)
    done = trio.Event()
    start = 0.0

    def on_message(_peer: bytes, _frames: object) -> bool:
        nonlocal start
        times.append(time.perf_counter() - start)
        if len(times) == count:
            done.set()
        else:
            start = time.perf_counter()
            socket.send_nowait(frames)
        return True

    async with open_context() as context, trio.open_nursery() as nursery:
        socket = Socket(context, "dealer", on_message=on_message if side == "on_message" else None)
        socket.connect(address)
        nursery.start_soon(socket.run)
        if side == "on_message":
            start = time.perf_counter()
            socket.send_nowait(frames)
            await done.wait()
        else:
            for _ in range(count):
                start = time.perf_counter()
                await socket.send(frames)
                await socket.receive()
                times.append(time.perf_counter() - start)
        await socket.aclose()
    return times


def shared_server() -> None:
    total, block = None, None
    while line := sys.stdin.readline():
        message, _ = decode([bytes.fromhex(line)])
        notice = message.shared[0]
        block = block or attach(notice, max_nbytes=2**30)
        array = block.array(notice)
        total = np.zeros_like(array) if total is None else total
        total += array
        print(flush=True)


def shared_client(child: subprocess.Popen[str], nbytes: int, count: int) -> list[float]:
    source = np.ones(nbytes // 4, np.float32)
    block = SharedBlock(nbytes)
    array = block.array("float32", source.shape)
    message = Init(1, ["weight"], shared=[block.notice("float32", source.shape)])
    times = []
    for _ in range(count):
        start = time.perf_counter()
        array[:] = source
        child.stdin.write(bytes(encode(message)[0]).hex() + "\n")
        child.stdin.flush()
        child.stdout.readline()
        times.append(time.perf_counter() - start)
    block.close()
    return times[1:]


def with_child(words: list[str], work: Callable[[subprocess.Popen[str]], list[float]]) -> float:
    """The median that `work` measures while another process runs, in seconds."""
    pipe = subprocess.PIPE
    command = [sys.executable, __file__, *words]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as child:
        try:
            return float(np.median(work(child)))
        finally:
            child.kill()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for transport, address in (
            ("tcp", "tcp://127.0.0.1:47811"),
            ("ipc", f"ipc://{Path(folder) / 'socket'}"),
        ):
            for nbytes in (SMALL, *LARGE):
                count = 2000 if nbytes == SMALL else 20
                found: dict[str, list[float]] = {side: [] for side in SIDES}
                for _ in range(ROUNDS):
                    for side in SIDES:

                        def work(_child: object, side: str = side) -> list[float]:
                            if side == "bare":
                                return bare_client(address, nbytes, count)  # noqa: B023
                            return trio.run(client, address, side, nbytes, count)  # noqa: B023

                        found[side].append(with_child([address, side], work))
                for side, seconds in found.items():
                    show(transport, side, nbytes, min(seconds))
    for nbytes in LARGE:
        seconds = [
            with_child(["shared"], lambda child: shared_client(child, nbytes, 20))  # noqa: B023
            for _ in range(ROUNDS)
        ]
        show("shared", "notice", nbytes, min(seconds))


def show(transport: str, side: str, nbytes: int, seconds: float) -> None:
    rate = "" if nbytes == SMALL else f"{nbytes / seconds / 1e9:8.2f} GB/s"
    print(f"{transport:8}{side:12}{nbytes:10} bytes {seconds * 1e6:10.0f} us {rate}", flush=True)


if __name__ == "__main__":
    if sys.argv[1:] == ["shared"]:
        shared_server()
    elif sys.argv[2:] == ["bare"]:
        bare_server(sys.argv[1])
    elif sys.argv[1:]:
        trio.run(server, *sys.argv[1:])
    else:
        main()
