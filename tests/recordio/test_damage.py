"""Damaged, cut off and hostile files: an error that says where, or on to the next good record."""

import os
import struct
import tracemalloc

import pytest
from hypothesis import given, settings, strategies as st

from actorflow.errors import FormatError
from actorflow.recordio import IRHeader, Lost, MXIndexedRecordIO, MXRecordIO, pack, unpack

MAGIC = struct.pack("<I", 0xCED7230A)
RECORDS = [b"first", MAGIC + b"second" + b"." * 20, b"third" * 30, b"", b"fifth"]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "x.rec"


def write(path, records=RECORDS):
    """Write the file; where each record begins, and the size."""
    offsets = []
    with MXRecordIO(path, "w") as writer:
        for record in records:
            offsets.append(writer.tell())
            writer.write(record)
        return [*offsets, writer.tell()]


def patch(path, offset, data):
    with path.open("r+b") as stream:
        stream.seek(offset)
        stream.write(data)


def recovered(path):
    with MXRecordIO(path, "r", recover=True) as reader:
        return list(reader), reader.lost


@pytest.mark.parametrize(
    ("junk", "complaint"),
    [
        (
            b"\x89PNG and so on",
            r"offset 0: no record begins here: 0x474e5089 instead of 0xced7230a",
        ),
        (MAGIC[:2], r"offset 0: the file ends after 2 of the 8 bytes of a record's header"),
        (MAGIC, r"offset 0: the file ends after 4 of the 8 bytes of a record's header"),
        (MAGIC + b"\5\0\0\0abcd", r"offset 0: a record of 5 bytes; the file ends after 4 of them"),
        (
            MAGIC + b"\xff\xff\xff\x1f",
            r"a record of 536870911 bytes; the file ends after 0 of them",
        ),
        (MAGIC + b"\0\0\0\xa0", r"offset 0: a part of the unknown kind 5; needs 0 to 3"),
        (MAGIC + b"\0\0\0\x60", r"offset 0: a record's later part; needs the beginning"),
        (MAGIC + b"\0\0\0\x20", r"offset 8: the file ends after 0 of the 8 bytes"),
        (
            MAGIC + b"\0\0\0\x20" + MAGIC + b"\0\0\0\0",
            r"offset 8: another record begins inside the one at offset 0",
        ),
        (
            MAGIC + b"\x04\0\0\x20" + MAGIC + MAGIC + b"\0\0\0\x60",
            r"offset 0: a part has another one inside: its length is damaged",
        ),
    ],
)
def test_what_is_wrong_and_where(path, junk, complaint):
    path.write_bytes(junk)
    with MXRecordIO(path, "r") as reader:
        for _ in range(2):  # the same again: it does not go on behind the damage
            with pytest.raises(FormatError, match=complaint) as caught:
                reader.read()
            assert str(caught.value).startswith(f"MXRecordIO.read: {path}, offset ")
    assert recovered(path)[0] in ([], [b""])


def test_good_records_come_before_the_error(path):
    offsets = write(path)
    patch(path, offsets[2], b"\0")
    reader = MXRecordIO(path, "r")
    assert [reader.read(), reader.read()] == RECORDS[:2]
    with pytest.raises(FormatError, match=f"offset {offsets[2]}: no record begins"):
        reader.read()


def test_a_hostile_length_takes_no_memory(path):
    path.write_bytes(MAGIC + b"\xff\xff\xff\x1f" + b"x" * 100)
    tracemalloc.start()
    try:
        with MXRecordIO(path, "r") as reader, pytest.raises(FormatError):
            reader.read()
        assert recovered(path) == ([], Lost(1, 108))
        assert tracemalloc.get_traced_memory()[1] < 4 * 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("index", range(len(RECORDS)))
def test_a_damaged_magic_number_costs_at_most_the_record_before_too(path, index):
    offsets = write(path)
    patch(path, offsets[index], b"\xff")
    records, lost = recovered(path)
    # That the record before ends where it says, nobody confirms.
    assert records == RECORDS[: max(index - 1, 0)] + RECORDS[index + 1 :]
    assert lost == Lost(1, offsets[index + 1] - offsets[max(index - 1, 0)])


def test_a_length_that_swallows_records(path):
    offsets = write(path)
    patch(path, offsets[2] + 4, struct.pack("<I", offsets[4] - offsets[2] - 8))
    records, lost = recovered(path)
    assert records == [*RECORDS[:2], *RECORDS[3:]]
    assert lost == Lost(1, offsets[3] - offsets[2])


def test_a_length_that_ends_too_early(path):
    offsets = write(path)
    patch(path, offsets[2] + 4, struct.pack("<I", 40))
    records, lost = recovered(path)
    assert records == [*RECORDS[:2], *RECORDS[3:]]
    assert lost == Lost(1, offsets[3] - offsets[2])


def test_a_part_without_its_end(path):
    offsets = write(path)
    data = path.read_bytes()
    path.write_bytes(data[: offsets[1] + 8] + data[offsets[2] :])  # the first of its two parts
    records, lost = recovered(path)
    assert records == [RECORDS[0], *RECORDS[2:]]
    assert lost == Lost(1, 8)


@settings(deadline=None)
@given(data=st.data())
def test_a_file_cut_off_anywhere_loses_one_record(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("cut") / "x.rec"
    offsets = write(path)
    cut = data.draw(st.integers(0, offsets[-1] - 1))
    os.truncate(path, cut)
    whole = sum(offset <= cut for offset in offsets[1:])
    records, lost = recovered(path)
    assert records == RECORDS[:whole]
    torn = cut - offsets[whole]
    assert lost == (Lost(1, torn) if torn else Lost())
    with MXRecordIO(path, "a") as writer:
        assert writer.tell() == offsets[whole]
        for record in RECORDS[whole:]:
            writer.write(record)
    assert list(MXRecordIO(path, "r")) == RECORDS


@settings(deadline=None, max_examples=200)
@given(data=st.data())
def test_one_damaged_byte_loses_two_records_at_most(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("byte") / "x.rec"
    offsets = write(path)
    place = data.draw(st.integers(0, offsets[-1] - 1))
    patch(path, place, bytes([path.read_bytes()[place] ^ data.draw(st.integers(1, 255))]))
    hit = sum(offset <= place for offset in offsets) - 1
    records, _ = recovered(path)
    others = [record for index, record in enumerate(RECORDS) if index not in {hit - 1, hit}]
    assert [record for record in records if record in others] == others


def test_zeros_that_a_power_cut_left(path):
    offsets = write(path)
    with path.open("ab") as stream:
        stream.write(bytes(1000))
    assert recovered(path) == (RECORDS, Lost(1, 1000))
    with MXRecordIO(path, "a") as writer:
        assert writer.tell() == offsets[-1]


def test_what_is_no_record_file_is_not_appended_to(path):
    path.write_bytes(b"a letter to somebody")
    with pytest.raises(FormatError, match="offset 0: no record begins here"):
        MXRecordIO(path, "a")
    assert path.read_bytes() == b"a letter to somebody"
    offsets = write(path)
    patch(path, offsets[1], b"\0")
    with pytest.raises(FormatError, match=f"offset {offsets[1]}"):
        MXRecordIO(path, "a")
    assert path.stat().st_size == offsets[-1]


def test_a_file_that_shrinks_while_it_is_read(path):
    offsets = write(path, [b"x" * 1000] * 2000)
    reader = MXRecordIO(path, "r")
    assert reader.read() == b"x" * 1000
    os.truncate(path, offsets[1500] + 500)
    with pytest.raises(FormatError, match=f"offset {offsets[1500]}: a record of 1000 bytes"):
        list(reader)


def test_a_file_that_grows_while_it_is_read(path):
    writer, reader = MXRecordIO(path, "w"), MXRecordIO(path, "r")
    assert reader.read() is None
    for text in (b"a", b"b"):
        writer.write(text)
        assert reader.read() == text
        assert reader.read() is None


# -- The index -------------------------------------------------------------------------------------


@pytest.fixture
def indexed(tmp_path):
    """An index and its file; the index's lines."""
    idx, rec = tmp_path / "x.idx", tmp_path / "x.rec"
    with MXIndexedRecordIO(idx, rec, "w") as writer:
        for key, record in enumerate(RECORDS):
            writer.write_idx(key * 10, record)
    return idx, rec, idx.read_bytes().splitlines(keepends=True)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (b"20\n", "line 3 is '20'; needs a key, a tab and an offset"),
        (b"x\t5\n", r"line 3 is 'x\\t5'; needs a key"),
        (b"20\tfive\n", r"line 3 is '20\\tfive'; needs a key"),
        (b"20\t-4\n", "line 3 names offset -4; .*x.rec has 244 bytes"),
        (b"20\t244\n", "line 3 names offset 244; .*x.rec has 244 bytes"),
        (b"20\t" + b"9" * 30 + b"\n", "line 3 names offset 9{30}; "),
        (b"\xff\xfe\t0\n", "line 3 is .*; needs a key"),
    ],
)
def test_a_damaged_line_of_the_index(indexed, line, complaint):
    idx, rec, lines = indexed
    idx.write_bytes(b"".join([*lines[:2], line, *lines[3:]]))
    with pytest.raises(FormatError, match=complaint) as caught:
        MXIndexedRecordIO(idx, rec, "r")
    assert str(caught.value).startswith(f"MXIndexedRecordIO: {idx}, line 3 ")
    with MXIndexedRecordIO(idx, rec, "r", recover=True) as reader:
        assert reader.keys == [0, 10, 30, 40]
        assert reader.lost == Lost(entries=1)


def test_an_index_that_names_no_beginning(indexed):
    idx, rec, lines = indexed
    idx.write_bytes(lines[0] + b"10\t18\n20\t20\n")
    with MXIndexedRecordIO(idx, rec, "r") as reader:
        assert reader.read_idx(0) == RECORDS[0]
        with pytest.raises(FormatError, match=r"read_idx\(10\): .*offset 18: .*4 does not divide"):
            reader.read_idx(10)
        with pytest.raises(FormatError, match=r"read_idx\(20\): .*offset 20: no record begins"):
            reader.read_idx(20)
        with pytest.raises(KeyError, match="has no key 7; it has 3 others"):
            reader.read_idx(7)


def test_a_last_line_without_its_end(indexed):
    idx, rec, lines = indexed
    idx.write_bytes(b"".join(lines).rstrip())  # an editor did that
    assert MXIndexedRecordIO(idx, rec, "r").keys == [0, 10, 20, 30, 40]
    idx.write_bytes(b"".join(lines)[:-2])  # a crash did that: "40 tab 22" of 228
    with pytest.raises(FormatError, match="line 5 is cut off: no record begins at 22"):
        MXIndexedRecordIO(idx, rec, "r")
    with MXIndexedRecordIO(idx, rec, "r", recover=True) as reader:
        assert reader.keys == [0, 10, 20, 30]
        assert reader.lost == Lost(entries=1)


@settings(deadline=None)
@given(data=st.data())
def test_appending_after_a_crash_loses_one_record(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("append")
    idx, rec = folder / "x.idx", folder / "x.rec"

    def go_on(flag):
        with MXIndexedRecordIO(idx, rec, flag) as writer:
            have = len(writer.keys)
            for key in range(have, len(RECORDS)):
                writer.write_idx(key, RECORDS[key])
        return have

    assert go_on("w") == 0
    expected, ends = rec.read_bytes(), idx.read_bytes()
    offsets = [int(line.split(b"\t")[1]) for line in ends.splitlines()] + [len(expected)]
    last = data.draw(st.integers(0, len(RECORDS) - 1))  # the record in flight
    lines = b"".join(ends.splitlines(keepends=True)[:last])
    torn = ends.splitlines(keepends=True)[last]
    if data.draw(st.booleans(), "died while the index was written"):
        idx.write_bytes(lines + torn[: data.draw(st.integers(0, len(torn) - 1))])
        os.truncate(rec, offsets[last + 1])
    else:
        idx.write_bytes(lines)
        os.truncate(rec, data.draw(st.integers(offsets[last], offsets[last + 1])))
    assert go_on("a") == last
    assert (rec.read_bytes(), idx.read_bytes()) == (expected, ends)


def test_an_index_of_another_file_does_not_cut_it(indexed):
    idx, rec, lines = indexed
    before = rec.read_bytes()
    idx.write_bytes(lines[0])
    with pytest.raises(FormatError, match=r"has records behind offset 16 that .*x.idx has not"):
        MXIndexedRecordIO(idx, rec, "a")
    idx.unlink()
    with pytest.raises(FileNotFoundError):
        MXIndexedRecordIO(idx, rec, "a")
    assert rec.read_bytes() == before


# -- Headers ---------------------------------------------------------------------------------------


def test_a_header_that_is_cut_off():
    with pytest.raises(FormatError, match="unpack: a record of 23 bytes; needs the 24"):
        unpack(bytes(23))


def test_more_labels_than_there_are_bytes():
    record = pack(IRHeader(0, [1.0, 2.0], 1, 0), b"xyz")
    with pytest.raises(FormatError, match=r"says 4294967295 labels, .*; the record has 35"):
        unpack(b"\xff\xff\xff\xff" + record[4:])
