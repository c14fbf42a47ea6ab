"""The journal: torn tails, damage, snapshots, and processes that are killed."""

import errno
import json
import os
import random
import signal
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from actorflow.errors import DTypeError, EngineError, FormatError
from actorflow.kvstore import durability
from actorflow.kvstore.consistency import Consistency
from actorflow.kvstore.core import Event, ServerCore
from actorflow.kvstore.durability import (
    Journal,
    event_of,
    record_of,
    restore,
    snapshot_of,
)
from actorflow.kvstore.members import Worker
from actorflow.kvstore.records import Record, Torn, encode, file_header, read_records

ARRAYS = [
    np.arange(6, dtype=np.float32).reshape(2, 3),
    np.array(3.5),
    np.zeros((0, 4), np.int64),
    np.array([True, False]),
    np.arange(4, dtype=">i4")[::2],
    np.float16([1, np.inf]),
    None,
]


def same(found, wanted):
    assert found.plain == wanted.plain
    assert (found.array is None) == (wanted.array is None)
    if wanted.array is not None:
        assert found.array.shape == wanted.array.shape
        assert found.array.dtype == wanted.array.dtype.newbyteorder("<")
        assert np.array_equal(found.array, wanted.array)


def file_of(records, number=0):
    pieces = [piece for record in records for piece in encode(record)]
    return b"".join([file_header(number), *map(bytes, pieces)])


RECORDS = [Record({"n": n, "key": "ä"}, array) for n, array in enumerate(ARRAYS)]


def test_what_was_appended_comes_back(tmp_path):
    with Journal(tmp_path / "new" / "folder") as journal:
        assert journal.recovered.records == ()
        journal.append(*RECORDS[:3])
        for record in RECORDS[3:]:
            journal.append(record)
    with Journal(tmp_path / "new" / "folder", fsync=True) as journal:
        assert journal.recovered.torn is None
        assert journal.recovered.snapshot == ()
        for found, wanted in zip(journal.recovered.records, RECORDS, strict=True):
            same(found, wanted)


def test_cut_off_at_every_byte_the_whole_records_are_left(tmp_path):
    data = file_of(RECORDS)
    ends = [len(file_of(RECORDS[:n])) for n in range(len(RECORDS) + 1)]
    (tmp_path / "lock").touch()
    for size in range(len(data) + 1):
        (tmp_path / "log-0000000000000000").write_bytes(data[:size])
        whole = sum(end <= size for end in ends[1:])
        with Journal(tmp_path) as journal:
            assert len(journal.recovered.records) == whole
            assert (journal.recovered.torn is None) == (size in {0, *ends})
            journal.append(Record({"after": size}))
        with Journal(tmp_path) as journal:
            assert journal.recovered.torn is None
            assert [r.plain for r in journal.recovered.records[whole:]] == [{"after": size}]


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_changed_byte_never_passes(data):
    records = [Record({"n": n}, np.arange(n * 3)) for n in range(1, 5)]
    good = file_of(records)
    place = data.draw(st.integers(0, len(good) - 1))
    flip = data.draw(st.integers(1, 255))
    bad = bytearray(good)
    bad[place] ^= flip
    try:
        found = list(read_records(memoryview(bytes(bad)), 0, "x"))
    except FormatError:
        return
    # Nothing raised: then the damage was taken for a record that was cut off.
    assert isinstance(found[-1], Torn)
    for record, wanted in zip(found[:-1], records, strict=False):
        same(record, wanted)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_garbage_is_a_format_error_or_torn(garbage):
    data = memoryview(file_header(3) + garbage)
    try:
        for found in read_records(data, 3, "x"):
            assert isinstance(found, Torn)
    except FormatError:
        assert len(garbage) > 12


@pytest.mark.parametrize(
    ("header", "body", "complaint"),
    [
        (b"[]", b"", "the header is no object"),
        (b"{", b"", "offset 16"),
        (b'{"dtype":"O","shape":[1]}', b"12345678", "the data type 'O'"),
        (b'{"dtype":"|O8","shape":[1]}', b"12345678", "the data type"),
        (b'{"dtype":"<f4","shape":[-1]}', b"1234", "the shape"),
        (b'{"dtype":"<f4","shape":[9999999999]}', b"1234", "4 bytes for <f4 of the shape"),
        (b'{"dtype":"<f4"}', b"1234", "shape"),
    ],
)
def test_a_record_with_a_right_checksum_may_still_be_wrong(header, body, complaint):
    from actorflow.kvstore import records

    body = records._U32.pack(len(header)) + header + body
    head = records._RECORD.pack(len(body), records._checksum(len(body), [body]))
    with pytest.raises(FormatError, match=complaint):
        list(read_records(memoryview(file_header(0) + head + body), 0, "x"))


def test_damage_before_the_end_is_an_error(tmp_path):
    data = bytearray(file_of(RECORDS))
    data[60] ^= 1
    (tmp_path / "log-0000000000000000").write_bytes(data)
    with pytest.raises(FormatError, match=r"log-0{16}: the record at offset 16 is damaged, and"):
        Journal(tmp_path)
    with pytest.raises(FormatError, match="is damaged"):
        Journal(tmp_path)


def test_zeros_at_the_end_are_a_torn_tail(tmp_path):
    """What a machine's failure leaves where the size was written before the content."""
    (tmp_path / "log-0000000000000000").write_bytes(file_of(RECORDS[:2]) + bytes(100))
    with Journal(tmp_path) as journal:
        assert len(journal.recovered.records) == 2
        assert journal.recovered.torn is not None


def test_a_folder_is_for_one_journal(tmp_path):
    with (
        Journal(tmp_path),
        pytest.raises(BlockingIOError, match="another process has this journal"),
    ):
        Journal(tmp_path)


def test_objects_are_refused_and_nothing_is_written(tmp_path):
    with Journal(tmp_path) as journal:
        before = journal.nbytes
        with pytest.raises(DTypeError, match="needs numbers"):
            journal.append(Record({}), Record({}, np.array([None])))
        assert journal.nbytes == before
    with pytest.raises(EngineError, match="closed"):
        journal.append(Record({}))


def test_a_full_disk_leaves_no_half_record(tmp_path, monkeypatch):
    with Journal(tmp_path) as journal:
        journal.append(Record({"n": 1}))
        real = os.writev

        def full(file, views):
            real(file, [views[0][:5]])
            raise OSError(errno.ENOSPC, "full")

        monkeypatch.setattr(durability.os, "writev", full)
        with pytest.raises(OSError, match="full"):
            journal.append(Record({"n": 2}))
        monkeypatch.setattr(durability.os, "writev", lambda file, v: real(file, [v[0][:3]]))
        journal.append(Record({"n": 3}, np.arange(5)))  # three bytes at a time
    with Journal(tmp_path) as journal:
        assert [record.plain["n"] for record in journal.recovered.records] == [1, 3]


def test_a_snapshot_replaces_what_was_before(tmp_path):
    with Journal(tmp_path) as journal:
        journal.append(Record({"old": 1}))
        journal.snapshot([Record({"key": "w"}, np.ones(3))])
        journal.append(Record({"new": 1}))
    assert sorted(p.name[:9] for p in tmp_path.iterdir()) == ["lock", "log-00000", "snapshot-"]
    with Journal(tmp_path) as journal:
        same(journal.recovered.snapshot[0], Record({"key": "w"}, np.ones(3)))
        assert [record.plain for record in journal.recovered.records] == [{"new": 1}]
        journal.snapshot([])
        assert not journal.is_snapshot_due
    with Journal(tmp_path) as journal:
        assert journal.recovered.snapshot == journal.recovered.records == ()


def test_a_snapshot_that_fails_changes_nothing(tmp_path):
    def broken():
        yield Record({"n": 1})
        raise ValueError("no more")

    with Journal(tmp_path) as journal:
        journal.append(Record({"old": 1}))
        with pytest.raises(ValueError, match="no more"):
            journal.snapshot(broken())
        journal.append(Record({"old": 2}))
    with Journal(tmp_path) as journal:
        assert len(journal.recovered.records) == 2
    assert not list(tmp_path.glob("*.partial"))


def test_a_snapshot_without_its_end_and_a_log_without_its_snapshot(tmp_path):
    (tmp_path / "snapshot-0000000000000001").write_bytes(file_of([Record({})], 1))
    with pytest.raises(FormatError, match="does not end"):
        Journal(tmp_path)
    (tmp_path / "snapshot-0000000000000001").rename(tmp_path / "log-0000000000000001")
    with pytest.raises(FormatError, match="without its snapshot"):
        Journal(tmp_path)


EVENTS = [
    Event("init", "w", consistency="bounded:2", value=np.zeros(2)),
    Event("join", worker=Worker(0, 2)),
    Event("align", worker=Worker(0, 2), seq=3),
    Event("push", 7, Worker(1), 4, value=np.ones(2)),
    Event("pause", worker=Worker(1), seq=1),
    Event("resume", seq=1),
    Event("leave", worker=Worker(1)),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.kind)
def test_events_as_records(event):
    assert event_of(record_of(event)) == event


@pytest.mark.parametrize(
    "plain", [{}, {"kind": 1}, {"kind": "push", "worker": [1]}, {"kind": "push", "seq": "1"}]
)
def test_records_that_are_no_events(plain):
    with pytest.raises(FormatError, match="no event"):
        event_of(Record(plain))


def test_a_server_is_restored_in_the_middle_of_a_round(tmp_path):
    core = ServerCore(Consistency("sequential"))
    for worker in (Worker(0), Worker(1)):
        core.join(worker)
    core.init("w", np.zeros(2))
    core.push("w", Worker(1), 1, np.ones(2))
    core.pause(Worker(0), 1)
    with Journal(tmp_path) as journal:
        journal.snapshot(snapshot_of(core, {"w": np.full(2, 5.0)}, {"rule": "sgd"}))
    with Journal(tmp_path) as journal:
        again, values, extra = restore(journal.recovered, ServerCore(Consistency("eventual")))
    assert json.dumps(again.to_plain()[0]) == json.dumps(core.to_plain()[0])
    assert values["w"].tolist() == [5, 5]
    assert extra == {"rule": "sgd"}
    with pytest.raises(FormatError, match="no server's"):
        restore(durability.Recovered((Record({"x": 1}),), (), None), core)


WRITER = """
import sys
import numpy as np
from actorflow.kvstore.durability import Journal
from actorflow.kvstore.records import Record
with Journal(sys.argv[1]) as journal:
    numbers = [r.plain["n"] for r in journal.recovered.snapshot + journal.recovered.records]
    n = max(numbers, default=-1) + 1
    while True:
        journal.append(Record({"n": n}, np.full(200_000, n, np.float32)))
        print(n, flush=True)
        if n % 40 == 39:
            journal.snapshot([Record({"n": n}, np.full(200_000, n, np.float32))])
        n += 1
"""


@pytest.mark.slow
def test_killed_at_random_moments_nothing_acknowledged_is_lost(tmp_path):
    draw = random.Random(5)
    last = -1
    for _ in range(6):
        writer = subprocess.Popen(  # noqa: S603 -- our own program
            [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        for _ in range(draw.randrange(1, 90)):
            last = int(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)
        rest = writer.stdout.read().splitlines()
        last = int(rest[-1]) if rest and rest[-1] else last
        writer.wait()
        writer.stdout.close()
        with Journal(tmp_path) as journal:
            records = journal.recovered.snapshot + journal.recovered.records
            numbers = [record.plain["n"] for record in records]
            assert numbers == list(range(numbers[0], numbers[-1] + 1))
            assert last <= numbers[-1] <= last + 1
            for record in records:
                assert (record.array == record.plain["n"]).all()
