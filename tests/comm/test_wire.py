"""Frames: what goes in comes out, and nothing else gets in."""

import struct

import msgspec
import numpy as np
import pytest
from hypothesis import example, given, settings, strategies as st

from actorflow.comm import DTYPES, Limits, decode, encode
from actorflow.comm.messages import (
    Ack,
    Compression,
    Consistency,
    Error,
    Hello,
    Message,
    Push,
    SetOptimizer,
    Shared,
    Slice,
    StatusReply,
    Value,
)
from actorflow.comm.wire import INLINE_NBYTES
from actorflow.errors import DTypeError, FormatError

PUSH = Push(
    7,
    ["weight", 3],
    [1, 2],
    priority=-4,
    slices=[Slice(0, 4, 8), None],
    compression=[None, Compression("2bit", 9, 0.5)],
    shared=[None, Shared(1, 2, "ab", 64, 0, "float32", [2, 3])],
)
MESSAGES = [
    PUSH,
    Ack(0),
    Error(2**63 - 1, "ShapeError", "an Ä", "key"),
    Hello(1, "run", "worker", None, Consistency("bounded", 3), capabilities=["shared"]),
    SetOptimizer(1, {"name": "sgd", "lr": 0.1, "mult": {"a": [1, None, True]}}),
    StatusReply(1, {}),
    Value(1, ["a"], [{0: 3, 1: 4}], [1]),
]

sides = st.integers(0, 5)
shapes = st.lists(sides, max_size=4).map(tuple) | st.integers(0, 9000).map(lambda n: (n,))


def filled(shape, dtype, seed=0):
    generator = np.random.default_rng(seed)
    nbytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return np.frombuffer(generator.bytes(nbytes), dtype).reshape(shape)


def sent(frames):
    """The frames as a socket hands them over."""
    return [bytes(frames[0]), *(memoryview(bytes(frame)) for frame in frames[1:])]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_each_message_comes_back(message):
    assert decode(encode(message)) == (message, [])


@given(st.lists(st.tuples(shapes, st.sampled_from(sorted(DTYPES))), max_size=5))
def test_arrays_come_back_to_the_bit(described):
    arrays = [filled(shape, dtype, seed) for seed, (shape, dtype) in enumerate(described)]
    message, found = decode(sent(encode(PUSH, arrays)))
    assert message == PUSH
    assert [(a.dtype, a.shape, a.tobytes()) for a in found] == [
        (a.dtype, a.shape, a.tobytes()) for a in arrays
    ]
    assert not any(array.flags.writeable for array in found)


def test_large_arrays_are_not_copied():
    large = np.zeros(INLINE_NBYTES, np.float32)
    frames = encode(Ack(1), [large])
    assert np.shares_memory(np.asarray(frames[1]), large)
    _, (found,) = decode(frames)
    assert np.shares_memory(found, large)


def test_small_arrays_travel_in_the_header():
    assert len(encode(Ack(1), [np.ones(4, np.float32)] * 100)) == 1


def test_other_layouts_are_made_to_fit():
    arrays = [np.arange(6000.0).reshape(60, 100).T, np.arange(5, dtype=">i4")]
    _, found = decode(sent(encode(Ack(1), arrays)))
    assert all((a == b).all() for a, b in zip(arrays, found, strict=True))


@pytest.mark.parametrize("dtype", ["object", "bool", "complex64", "S3", "datetime64[s]"])
def test_other_data_types_do_not_travel(dtype):
    with pytest.raises(DTypeError, match="needs one of float16"):
        encode(Ack(1), [np.zeros(2, dtype)])


def with_header(message, arrays, *frames):
    """Frames whose header says what it is told."""
    body = msgspec.msgpack.encode((message, arrays))
    return [struct.pack("<2sHI8x", b"AF", 1, len(body)) + body, *frames]


BIG = bytes(40000)


@pytest.mark.parametrize(
    ("frames", "complaint"),
    [
        ([], "0 frames"),
        ([b""], "does not begin"),
        ([b"AF"], "does not begin"),
        ([b"GET / HTTP/1.1\r\n\r\n"], "does not begin"),
        ([struct.pack("<2sHI8x", b"AF", 2, 0)], "protocol 2; this side speaks 1"),
        ([struct.pack("<2sHI8x", b"AF", 1, 2**32 - 1)], "a body of 4294967295 bytes"),
        ([struct.pack("<2sHIQ", b"AF", 1, 0, 1)], "a body of 0 bytes"),
        (with_header([6, 1, "more"], []), "at most length 1"),
        (with_header([99, 1], []), "Invalid value 99"),
        (with_header([6, -1], []), ">= 0"),
        (with_header([6, 1], [], b"more"), "a message of 2 frames"),
        (with_header([6, 1], [("float32", [10**4], 40000, False)]), "has no frame"),
        (with_header([6, 1], [("float32", [10**4], 40000, False)], BIG[1:]), "39999 bytes are"),
        (with_header([6, 1], [("float32", [10**4], 39999, False)], BIG[1:]), "are 40000 bytes"),
        (with_header([6, 1], [("float32", [-1, -(10**4)], 40000, False)], BIG), "the shape"),
        (with_header([6, 1], [("float32", [2**62, 2**62], 0, False)], b""), "the shape"),
        (with_header([6, 1], [("float32", [0, 2**62], 0, True)]), "the shape"),
        (with_header([6, 1], [("float32", [2**31], 2**33, False)], b""), "at most 4294967296"),
        (with_header([6, 1], [("float32", [1] * 33, 4, True)]), "33 axes"),
        (with_header([6, 1], [("object", [1], 8, True)]), "data type 'object'"),
        (with_header([6, 1], [("float32", [1], 4, True)]), "0 bytes are there"),
        (with_header([6, 1], [("float32", [1], 4, False)], b"abcd"), "wrong place"),
        (with_header([12, 1, {"a": msgspec.msgpack.Ext(3, b"")}], []), "not plain data"),
        (with_header([12, 1, {"a": {1: 2}}], []), "is no string"),
    ],
)
def test_what_is_no_message_is_refused(frames, complaint):
    with pytest.raises(FormatError, match=complaint):
        decode(frames)


def test_limits():
    frames = sent(encode(PUSH, [np.zeros(5000), np.zeros(5000), np.zeros(2)]))
    assert decode(frames, Limits(frames=3, arrays=3, array_nbytes=40000, ndim=1))
    for limits in (
        Limits(frames=2),
        Limits(arrays=2),
        Limits(array_nbytes=39999),
        Limits(ndim=0),
        Limits(header_nbytes=len(frames[0]) - 1),
    ):
        with pytest.raises(FormatError):
            decode(frames, limits)


@settings(max_examples=500)
@given(st.data())
def test_damage_is_an_error_or_another_message(data):
    arrays = [filled((3, 2), "float32"), filled((3000,), "int32"), filled((), "uint8")]
    frames = [bytearray(frame) for frame in encode(PUSH, arrays)]
    for _ in range(data.draw(st.integers(1, 4))):
        frame = frames[data.draw(st.integers(0, len(frames) - 1))] if frames else bytearray()
        what = data.draw(st.sampled_from(["change", "cut", "add", "drop", "twice"]))
        place = data.draw(st.integers(0, len(frame)))
        if what == "change" and place < len(frame):
            frame[place] = data.draw(st.integers(0, 255))
        elif what == "cut":
            del frame[place:]
        elif what == "add":
            frame[place:place] = data.draw(st.binary(min_size=1, max_size=8))
        elif what == "drop":
            frames = [other for other in frames if other is not frame]
        elif what == "twice":
            frames.append(frame)
    try:
        message, found = decode([bytes(frame) for frame in frames])
    except FormatError:
        return
    assert isinstance(message, Message)
    assert sum(a.nbytes for a in found) <= sum(map(len, frames))


@settings(max_examples=300)
@given(st.binary(max_size=200))
@example(b"\xdd\xff\xff\xff\xff")
@example(b"\x92\x92\x06\x01\xdd\xff\xff\xff\xff")
@example(b"\x91" * 100000)
def test_any_body_is_an_error_or_a_message(body):
    try:
        decode([struct.pack("<2sHI8x", b"AF", 1, len(body)) + body])
    except FormatError:
        return
