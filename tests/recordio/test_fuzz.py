"""Damaged files of each kind: what reads them ends, takes little memory, and raises our errors."""

import struct
from contextlib import suppress

import pytest
from hypothesis import given, settings, strategies as st

from actorflow.errors import FormatError
from actorflow.recordio import (
    IRHeader,
    MXIndexedRecordIO,
    MXRecordIO,
    pack,
    part_range,
    read_list,
    unpack,
    write_list,
)
from tests.recordio._mutations import HUGE, MAGIC, at_most, mutated

RECORDS = [b"zero", MAGIC * 3 + b"one", b"", b"three" * 30, pack((0, [1.0, 2.0], 3, 4), b"four")]
ROOM = 2**20  # bytes: blocks of half a megabyte, and what Python takes


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The contents of a record file, its index and a list."""
    folder = tmp_path_factory.mktemp("whole")
    with MXIndexedRecordIO(folder / "x.idx", folder / "x.rec", "w") as writer:
        for key, record in enumerate(RECORDS):
            writer.write_idx(key, record)
    write_list(folder / "x.lst", [(0, (1.5, -2.0), "a/b.jpg"), (7, (0.0,), "c d.png")])
    return {path.suffix: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Where the damaged files go."""
    return tmp_path_factory.mktemp("fuzz")


@pytest.mark.slow
@settings(deadline=None, max_examples=400)
@given(data=st.data())
def test_record_files(files, place, data):
    path = place / "x.rec"
    junk = data.draw(mutated(files[".rec"]))
    path.write_bytes(junk)
    with at_most(ROOM):
        for recover in (False, True):
            with MXRecordIO(path, "r", recover=recover) as reader:
                found = []
                with suppress(*[] if recover else [FormatError]):
                    found.extend(reader)
                assert sum(map(len, found)) <= len(junk)
        parts = data.draw(st.integers(1, 4))
        for index in range(parts):
            begin, end = part_range(path, index, parts)
            assert 0 <= begin <= end <= len(junk)
            with MXRecordIO(path, "r", begin=begin, end=end, recover=True) as reader:
                list(reader)


@pytest.mark.slow
@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_appending_to_damaged_files(files, place, data):
    rec, idx = place / "y.rec", place / "y.idx"
    which = data.draw(st.sampled_from([".rec", ".idx", "both"]))
    for path, kind in ((rec, ".rec"), (idx, ".idx")):
        whole = files[kind]
        path.write_bytes(data.draw(mutated(whole)) if which in {kind, "both"} else whole)
    before = rec.read_bytes(), idx.read_bytes()
    with at_most(ROOM):
        try:
            with MXIndexedRecordIO(idx, rec, "a") as writer:
                keys = list(writer.keys)
                writer.write_idx(99, b"new")
        except FormatError:
            assert (rec.read_bytes(), idx.read_bytes()) == before
            return
    with MXIndexedRecordIO(idx, rec, "r") as reader:
        assert reader.keys == [*keys, 99]
        assert reader.read_idx(99) == b"new"


@pytest.mark.slow
@settings(deadline=None, max_examples=400)
@given(data=st.data())
def test_indexes(files, place, data):
    rec, idx = place / "z.rec", place / "z.idx"
    rec.write_bytes(files[".rec"])
    junk = data.draw(mutated(files[".idx"]))
    idx.write_bytes(junk)
    with at_most(ROOM):
        for recover in (False, True):
            try:
                reader = MXIndexedRecordIO(idx, rec, "r", recover=recover)
            except FormatError:
                assert not recover
                continue
            with reader:
                assert len(reader.keys) <= len(junk)
                for key in reader.keys:
                    with suppress(FormatError):
                        assert len(reader.read_idx(key)) <= len(files[".rec"])


@pytest.mark.slow
@settings(deadline=None, max_examples=400)
@given(data=st.data())
def test_lists(files, place, data):
    path = place / "x.lst"
    path.write_bytes(data.draw(mutated(files[".lst"])))
    with at_most(ROOM):
        try:
            entries = read_list(path)
        except FormatError as error:
            assert "x.lst, line " in str(error)  # noqa: PT017 -- one of two outcomes
            return
    for entry in entries:
        assert isinstance(entry.number, int)
        assert entry.labels
        assert entry.path


@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_headers(data):
    whole = pack(IRHeader(0, [1.0, 2.0, 3.0], 5, 6), b"data")
    junk = data.draw(mutated(whole))
    for flag in (b"", struct.pack("<I", 2**31), *HUGE):
        record = flag + junk[len(flag) :]
        with at_most(2**16):
            try:
                header, rest = unpack(record)
            except FormatError:
                continue
        assert header.flag * 4 + len(rest) + 24 == len(record)


@pytest.mark.parametrize("digits", [5000, 200_000])
def test_numbers_of_very_many_digits(place, files, digits):
    """Python refuses to read such numbers, or takes long: the square of their length."""
    rec, idx, lst = place / "n.rec", place / "n.idx", place / "n.lst"
    rec.write_bytes(files[".rec"])
    for line in (b"1\t" + b"9" * digits, b"9" * digits + b"\tx"):
        idx.write_bytes(line + b"\n")
        with pytest.raises(FormatError, match="line 1"):
            MXIndexedRecordIO(idx, rec, "r")
    lst.write_bytes(b"9" * digits + b"\t1\ta.jpg\n")
    with pytest.raises(FormatError, match="line 1"):
        read_list(lst)
