"""Keys: which address needs them, their files, and that nobody comes in without one."""

import subprocess

import pytest
import trio
import zmq

from actorflow.cli import main as command
from actorflow.comm import (
    Authenticator,
    ClientKeys,
    ServerKeys,
    Socket,
    check_address,
    is_loopback,
    open_context,
    public_of,
    read_public,
    read_secret,
    write_keys,
)
from actorflow.comm.authenticator import answer
from actorflow.errors import FormatError, InsecureAddressError
from tests.comm._helpers import start


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("tcp://127.0.0.1:5000", True),
        ("tcp://127.8.9.1:*", True),
        ("tcp://[::1]:5000", True),
        ("tcp://127.0.0.1:0;127.0.0.1:5000", True),
        ("ipc:///tmp/x", True),
        ("inproc://x", True),
        ("tcp://127.0.0.1:0;192.0.2.1:5000", False),
        ("tcp://192.0.2.1:0;127.0.0.1:5000", False),
        ("tcp://*:5000", False),
        ("tcp://0.0.0.0:5000", False),
        ("tcp://[::]:5000", False),
        ("tcp://[::ffff:127.0.0.1]:5000", False),
        ("tcp://localhost:5000", False),
        ("tcp://127.0.0.1.example.org:5000", False),
        ("tcp://lo:5000", False),
        ("tcp://10.0.0.1:5000", False),
        ("udp://127.0.0.1:5000", False),
        ("ws://127.0.0.1:5000", False),
        ("127.0.0.1:5000", False),
        ("", False),
    ],
)
def test_loopback_needs_no_keys(address, expected):
    assert is_loopback(address) is expected
    check_address(address, None, insecure=True)
    check_address(address, ServerKeys(b"", frozenset()), insecure=False)
    if expected:
        check_address(address, None, insecure=False)
    else:
        with pytest.raises(InsecureAddressError, match=r"keygen.*insecure=True"):
            check_address(address, None, insecure=False)


def test_files_of_keys(tmp_path):
    public, secret = write_keys(tmp_path / "one")
    assert (public.name, secret.name) == ("one.public", "one.secret")
    assert public.stat().st_mode & 0o777 == secret.stat().st_mode & 0o777 == 0o600
    assert read_public(public) == [public_of(read_secret(secret))]
    assert read_secret(secret).decode() not in repr(ClientKeys(read_secret(secret), b""))


def test_keys_are_never_overwritten(tmp_path):
    public, secret = write_keys(tmp_path / "one")
    before = public.read_text(), secret.read_text()
    with pytest.raises(FileExistsError):
        write_keys(tmp_path / "one")
    assert (public.read_text(), secret.read_text()) == before
    public.unlink()
    with pytest.raises(FileExistsError):
        write_keys(tmp_path / "one")
    assert not public.exists()
    assert secret.read_text() == before[1]


def test_many_public_keys_in_a_file(tmp_path):
    texts = [write_keys(tmp_path / name)[0].read_text() for name in ("a", "b")]
    (tmp_path / "all").write_text("# workers\n\n" + "".join(texts))
    assert len(set(read_public(tmp_path / "all"))) == 2


def test_a_file_that_is_none(tmp_path):
    public, secret = write_keys(tmp_path / "one")
    with pytest.raises(FormatError, match="line 1: needs `actorflow-public-key"):
        read_public(secret)
    with pytest.raises(FormatError) as error:
        read_public(secret)
    assert read_secret(secret).decode() not in str(error.value)
    with pytest.raises(FormatError, match="actorflow-secret-key"):
        read_secret(public)
    secret.chmod(0o640)
    with pytest.raises(PermissionError, match="open to others"):
        read_secret(secret)
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(FormatError, match="has no key"):
        read_public(tmp_path / "empty")
    (tmp_path / "long").write_bytes(b"#" * (2**20 + 1))
    with pytest.raises(FormatError, match="longer than"):
        read_public(tmp_path / "long")


def test_the_command(tmp_path, capsys):
    assert command(["keygen", str(tmp_path / "server")]) == 0
    assert read_public(tmp_path / "server.public")
    assert "keep it here" in capsys.readouterr().out
    assert command(["keygen", str(tmp_path / "server")]) == 2
    assert "File exists" in capsys.readouterr().err


KEY = b"k" * 32
REQUEST = [b"", b"1.0", b"7", b"actorflow", b"10.0.0.1", b"", b"CURVE", KEY]


def changed(place, frame):
    return [*REQUEST[:place], frame, *REQUEST[place + 1 :]]


def test_answers():
    assert answer(REQUEST, frozenset({KEY})) == (
        [b"", b"1.0", b"7", b"200", b"OK", b"", b""],
        True,
    )
    for wrong in (
        changed(1, b"2.0"),
        changed(3, b"other"),
        changed(6, b"NULL"),
        changed(7, b"x" * 32),
        REQUEST[:-1],
        [*REQUEST, b""],
        [],
    ):
        reply, is_in = answer(wrong, frozenset({KEY}))
        assert (reply[3], is_in) == (b"400", False)


@pytest.mark.slow
def test_only_who_has_an_allowed_key_comes_in():
    server, good, bad = (zmq.curve_keypair() for _ in range(3))
    seen = []

    def on_message(_peer, frames):
        seen.append(frames)
        return False

    async def main():
        with trio.fail_after(30):
            async with open_context() as context, trio.open_nursery() as nursery:
                door = Authenticator(context, [good[0]])
                router = Socket(
                    context,
                    "router",
                    keys=ServerKeys(server[1], frozenset([good[0]])),
                    on_message=on_message,
                )
                address = router.bind("tcp://127.0.0.1:*")
                nursery.start_soon(door.run)
                nursery.start_soon(router.run)
                sockets = []
                for keys, text in (
                    (None, b"no key"),
                    (ClientKeys(bad[1], server[0]), b"a key that is not allowed"),
                    (ClientKeys(good[1], bad[0]), b"another server"),
                    (ClientKeys(good[1], server[0]), b"good"),
                ):
                    socket = Socket(context, "dealer", keys=keys)
                    socket.connect(address)
                    nursery.start_soon(socket.run)
                    await socket.send([text])
                    sockets.append(socket)
                got = await router.receive()
                assert got.frames == [b"good"]
                while not door.refused:
                    await trio.lowlevel.checkpoint()
                await router.send([b"welcome"], to=got.peer)
                assert (await sockets[-1].receive()).frames == [b"welcome"]
                for socket in [*sockets, router]:
                    await socket.aclose()
                await door.aclose()
        assert seen == [[b"good"]]

    trio.run(main)


@pytest.mark.slow
def test_without_an_authenticator_nobody_comes_in():
    server, client = zmq.curve_keypair(), zmq.curve_keypair()

    async def main():
        with trio.fail_after(30):
            async with open_context() as context, trio.open_nursery() as nursery:
                router = Socket(context, "router", keys=ServerKeys(server[1], frozenset()))
                dealer = Socket(context, "dealer", keys=ClientKeys(client[1], server[0]))
                monitor = dealer._zmq.get_monitor_socket(zmq.EVENT_DISCONNECTED)
                dealer.connect(router.bind("tcp://127.0.0.1:*"))
                nursery.start_soon(router.run)
                nursery.start_soon(dealer.run)
                await dealer.send([b"x"])
                # It was connected, and then was not, and nothing had come.
                assert await trio.to_thread.run_sync(monitor.poll, 20_000)
                monitor.close()
                with pytest.raises(trio.TooSlowError), trio.fail_after(0):
                    await router.receive()
                await dealer.aclose()
                await router.aclose()

    trio.run(main)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["msgspec", "zmq"])
def test_without_the_extra_it_says_what_is_missing(name):
    program = f"""
        import sys
        sys.modules[{name!r}] = None
        from actorflow.cli import main
        sys.exit(main(["keygen", "never"]))
    """
    with start(program, stderr=subprocess.PIPE) as child:
        assert "pip install 'actorflow[dist]'" in child.stderr.read()
    assert child.returncode == 2
