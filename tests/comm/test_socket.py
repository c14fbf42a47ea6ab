"""The socket: nothing is lost, nothing stalls, whatever is full, cancelled or gone."""

import gc
import random

import numpy as np
import pytest
import trio
import trio.testing
import zmq

from actorflow.comm import Socket, SocketOptions, open_context
from actorflow.errors import (
    CommunicationError,
    InsecureAddressError,
    SocketClosedError,
    UnreachableError,
)
from tests.comm._helpers import TIGHT, pair, start


async def hello(router, dealer):
    """Let the two know each other; return the dealer's name at the router."""
    await dealer.send([b"hello"])
    return (await router.receive()).peer


@pytest.mark.parametrize("transport", ["inproc", "tcp"])
def test_frames_arrive_as_they_were(transport):
    async def main():
        async with pair(transport) as (router, dealer):
            large = np.arange(100_000)
            await dealer.send([b"head", large.data.cast("B"), b""])
            got = await router.receive()
            assert [bytes(frame) for frame in got.frames] == [b"head", large.tobytes(), b""]
            assert got.nbytes == 4 + large.nbytes
            await router.send([b"back"], to=got.peer)
            assert (await dealer.receive()).frames == [b"back"]

    trio.run(main)


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["inproc", "tcp"])
def test_both_ways_at_a_high_water_mark_of_one(transport):
    count = 3000

    async def send(socket, **to):
        for number in range(count):
            await socket.send([b"%d" % number, bytes(number % 7 * 300)], **to)

    async def receive(socket, got):
        while len(got) < count:
            got.append(int((await socket.receive()).frames[0]))

    async def main():
        async with pair(transport, left={"options": TIGHT}, right={"options": TIGHT}) as both:
            router, dealer = both
            peer = await hello(router, dealer)
            at_router, at_dealer = [], []
            async with trio.open_nursery() as nursery:
                nursery.start_soon(send, dealer)
                nursery.start_soon(lambda: send(router, to=peer))
                nursery.start_soon(receive, router, at_router)
                nursery.start_soon(receive, dealer, at_dealer)
            assert at_router == at_dealer == list(range(count))

    trio.run(main)


@pytest.mark.slow
def test_many_peers_some_of_them_slow():
    """That one full peer takes more is news that an attempt for another may swallow."""
    peers, count = 4, 200

    async def client(context, address, number, got):
        socket = Socket(context, "dealer", options=TIGHT)
        socket.connect(address)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(socket.run)
            await socket.send([b"hello"])
            for _ in range(count):
                for _ in range(number):  # a turn more for each
                    await trio.lowlevel.checkpoint()
                got.append(int((await socket.receive()).frames[0]))
            await socket.aclose()

    async def serve(router, peer):
        for number in range(count):
            await router.send([b"%d" % number, bytes(50_000)], to=peer)

    async def main():
        got = [[] for _ in range(peers)]
        with trio.fail_after(60):
            async with open_context() as context, trio.open_nursery() as nursery:
                router = Socket(context, "router", options=TIGHT)
                address = router.bind("tcp://127.0.0.1:*")
                nursery.start_soon(router.run)
                async with trio.open_nursery() as inner:
                    for number in range(peers):
                        inner.start_soon(client, context, address, number, got[number])
                        inner.start_soon(serve, router, (await router.receive()).peer)
                await router.aclose()
        assert got == [list(range(count))] * peers

    trio.run(main)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_cancelling_anywhere_loses_and_doubles_nothing(seed):  # noqa: C901 -- one story
    count = 400

    async def main():
        draw = random.Random(seed)
        sent, got = [], []

        async def cancelled_at_some_point(work):
            """Whether the work was done before it was cancelled."""
            with trio.CancelScope() as scope, trio.move_on_after(1) as too_long:
                async with trio.open_nursery() as nursery:

                    async def cancel():
                        for _ in range(draw.randrange(6)):
                            await trio.lowlevel.checkpoint()
                        scope.cancel()

                    nursery.start_soon(cancel)
                    await work()
                    nursery.cancel_scope.cancel()
            assert not too_long.cancelled_caught

        async def sender(dealer, name):
            for number in range(count):

                async def work(message=(name, number)):
                    await dealer.send([b"%d %d" % message])
                    sent.append(message)

                await cancelled_at_some_point(work)

        async def receiver(router):
            async def work():
                frames = (await router.receive()).frames
                got.append(tuple(map(int, frames[0].split())))

            while True:
                await cancelled_at_some_point(work)
                await trio.lowlevel.checkpoint()

        async with pair("tcp", left={"options": TIGHT}, right={"options": TIGHT}) as both:
            router, dealer = both
            async with trio.open_nursery() as nursery:
                nursery.start_soon(receiver, router)
                async with trio.open_nursery() as senders:
                    for name in range(3):
                        senders.start_soon(sender, dealer, name)
                while len(got) < len(sent):
                    await trio.lowlevel.checkpoint()
                nursery.cancel_scope.cancel()
        assert sorted(got) == sorted(sent)
        assert len(sent) > count / 10

    trio.run(main)


def test_a_higher_priority_overtakes():
    async def main():
        tight = SocketOptions(high_water_mark=1, linger=0.2)
        async with pair(left={"options": TIGHT}, right={"options": tight}) as (router, dealer):
            for number in range(40):
                priority = number % 3 if number > 20 else 0
                dealer.send_nowait([b"%d %d" % (priority, number)], priority=priority)
            waiting = dealer.waiting()
            assert waiting > 20
            order = []
            while len(order) < 40:
                frames = (await router.receive()).frames
                order.append(tuple(map(int, frames[0].split())))
            queued = order[40 - waiting :]
            assert queued == sorted(queued, key=lambda message: (-message[0], message[1]))
            assert sorted(number for _, number in order) == list(range(40))

    trio.run(main)


def test_a_full_socket_says_so_and_goes_on():
    async def main():
        async with pair(left={"options": TIGHT}, right={"options": TIGHT}) as (router, dealer):
            sent, is_full = 0, False
            while not is_full:
                with trio.move_on_after(0.05) as scope:
                    await dealer.send([b"%d" % sent])
                    sent += 1
                is_full = scope.cancelled_caught
            with pytest.raises(trio.WouldBlock):
                dealer.send_nowait([b"never"])
            got = [int((await router.receive()).frames[0]) for _ in range(sent)]
            assert got == list(range(sent))
            await dealer.send([b"again"])
            assert (await router.receive()).frames == [b"again"]

    trio.run(main)


def test_what_on_message_takes_is_not_queued():
    taken = []

    def on_message(peer, frames):
        if frames[0] == b"ping":
            taken.append(peer)
            router.send_nowait([b"pong"], to=peer)
        return frames[0] == b"ping"

    async def main():
        nonlocal router
        async with pair("tcp", left={"on_message": on_message}) as (router, dealer):
            await dealer.send([b"ping"])
            await dealer.send([b"else"])
            assert (await dealer.receive()).frames == [b"pong"]
            got = await router.receive()
            assert (got.frames, taken) == ([b"else"], [got.peer])

    router = None
    trio.run(main)


def test_what_on_message_raises_ends_the_owner():
    def on_message(peer, frames):
        raise KeyError(bytes(frames[0]))

    async def main():
        async with pair(left={"on_message": on_message}) as (_, dealer):
            await dealer.send([b"boom"])
            await trio.sleep_forever()

    with pytest.RaisesGroup(KeyError):
        trio.run(main)


def test_an_unknown_peer_is_an_error():
    async def main():
        async with pair() as (router, _):
            with pytest.raises(UnreachableError, match="no peer 6e6f626f6479"):
                await router.send([b"x"], to=b"nobody")

    trio.run(main)


PEER = """
    import sys, zmq
    socket = zmq.Context().socket(zmq.DEALER)
    socket.setsockopt(zmq.RCVHWM, 1)
    socket.connect(sys.argv[1])
    socket.send(b"hello")
    sys.stdin.read()
"""


@pytest.mark.slow
@pytest.mark.parametrize("told", [True, False])
def test_a_killed_peer_with_messages_in_its_queue(told):
    lost, released = trio.Event(), []

    async def main():
        async with open_context() as context:
            router = Socket(context, "router", on_lost=on_lost if told else None)
            child = start(PEER, router.bind("tcp://127.0.0.1:*"))
            with child, trio.fail_after(10):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(router.run)
                    peer = (await router.receive()).peer
                    sent = 0
                    while router.waiting(peer) < 3:
                        large = np.zeros(2**20, np.uint8)
                        router.send_nowait([large.data], to=peer, released=release(sent))
                        sent += 1
                    nursery.start_soon(stuck, router, peer)
                    child.kill()
                    await lost.wait()
                    with pytest.raises(UnreachableError):
                        await router.send([b"x"], to=peer)
                    await router.aclose()
        with trio.fail_after(30):  # another thread says so
            while len(released) < sent:
                await trio.lowlevel.checkpoint()
        assert sorted(released) == list(range(sent))

    def release(number):
        return lambda: released.append(number)

    async def stuck(router, peer):
        with pytest.raises(UnreachableError):  # noqa: PT012 -- until it is gone
            while True:
                await router.send([bytes(2**20)], to=peer)
        lost.set()

    def on_lost(_peer, count):
        assert count > 0

    if told:
        trio.run(main)
    else:
        with pytest.RaisesGroup(UnreachableError, flatten_subgroups=True):
            trio.run(main)


def test_memory_is_released_after_it_was_read():
    async def main():
        done = trio.Event()
        token = trio.lowlevel.current_trio_token()
        async with pair("tcp") as (router, dealer):
            large = np.full(2**20, 7, np.uint8)
            frames = [b"head", large.data]
            dealer.send_nowait(frames, released=lambda: token.run_sync_soon(done.set))
            del frames
            got = await router.receive()
            gc.collect()
            await done.wait()
            large[:] = 0
            assert set(bytes(got.frames[1])) == {7}

    trio.run(main)


def test_small_frames_are_released_at_once():
    async def main():
        async with pair("inproc") as (_, dealer):
            released = []
            dealer.send_nowait([b"small"], released=lambda: released.append(1))
            assert released == [1]

    trio.run(main)


def test_too_many_frames_are_cut_off():
    async def main():
        few = SocketOptions(max_frames=3)
        async with pair(left={"options": few}) as (router, dealer):
            await dealer.send([b"x"] * 10)
            await dealer.send([b"next"])
            assert len((await router.receive()).frames) == 4  # one more than `decode` would take
            assert (await router.receive()).frames == [b"next"]

    trio.run(main)


def test_too_long_a_frame_never_arrives():
    async def main():
        short = SocketOptions(max_frame_nbytes=1000)
        async with pair("tcp", left={"options": short}) as (router, dealer):
            await dealer.send([bytes(2000)])
            got = None
            while got is None:  # until it has connected again
                await dealer.send([b"next"])
                with trio.move_on_after(0.05):
                    got = await router.receive()
            assert got.frames == [b"next"]

    trio.run(main)


def test_closing():
    async def main():
        async with pair("tcp") as (router, dealer):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(refused, dealer.receive)
                await trio.testing.wait_all_tasks_blocked()
                await dealer.send([b"last"])
                await dealer.aclose()
            assert (await router.receive()).frames == [b"last"]
            await refused(lambda: dealer.send([b"x"]))
            await refused(dealer.receive)
            await dealer.aclose()

    async def refused(call):
        with pytest.raises(SocketClosedError):
            await call()

    trio.run(main)


def test_closing_does_not_wait_for_a_peer_that_takes_nothing(autojump_clock):
    async def main():
        async with pair(left={"options": TIGHT}, right={"options": TIGHT}) as (_, dealer):
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(trio.WouldBlock):  # noqa: PT012 -- until it is full
                while True:
                    dealer.send_nowait([b"x"])
            start = trio.current_time()
            await dealer.aclose()
            assert trio.current_time() - start == pytest.approx(TIGHT.linger)

    trio.run(main, clock=autojump_clock)


@pytest.fixture
def autojump_clock():
    return trio.testing.MockClock(autojump_threshold=0.05)


def test_a_socket_has_one_owner():
    async def main():
        async with pair() as (router, _):
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(CommunicationError, match="owner already"):
                await router.run()

    trio.run(main)


def test_addresses_are_checked_before_they_are_used():
    async def main():
        async with open_context() as context:
            socket = Socket(context, "router")
            with pytest.raises(InsecureAddressError, match="keygen"):
                socket.bind("tcp://0.0.0.0:*")
            with pytest.raises(InsecureAddressError, match="insecure=True"):
                socket.connect("tcp://192.0.2.1:5000")
            with pytest.raises(CommunicationError, match="cannot bind to ipc://"):
                socket.bind("ipc:///no/such/folder/x")
            address = socket.bind("tcp://127.0.0.1:*")
            other = Socket(context, "router", insecure=True)
            with pytest.raises(CommunicationError, match="in use"):
                other.bind(address)
            other.bind("tcp://0.0.0.0:*")
            await socket.aclose()
            await other.aclose()

    trio.run(main)


def test_options_reach_zeromq():
    async def main():
        async with open_context() as context:
            socket = Socket(context, "router", options=TIGHT)
            assert socket._zmq.getsockopt(zmq.SNDHWM) == 1
            assert socket._zmq.getsockopt(zmq.MAXMSGSIZE) == 2**32
            assert socket._zmq.getsockopt(zmq.HANDSHAKE_IVL) == 5000
            await socket.aclose()

    trio.run(main)
