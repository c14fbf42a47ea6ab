"""Records lie in a file as MXNet puts them there, and come back as they were."""

import struct
from contextlib import suppress

import pytest
from hypothesis import given, settings, strategies as st

from actorflow.errors import FormatError
from actorflow.recordio import MXIndexedRecordIO, MXRecordIO, part_range

MAGIC = struct.pack("<I", 0xCED7230A)


def write(path, payloads):
    with MXRecordIO(path, "w") as writer:
        for payload in payloads:
            writer.write(payload)
    return path.read_bytes()


def read(path, **options):
    with MXRecordIO(path, "r", **options) as reader:
        return list(reader)


@st.composite
def payloads(draw):
    """Bytes in which the magic number is frequent, at every alignment."""
    pieces = st.one_of(
        st.binary(max_size=9),
        st.just(MAGIC),
        st.sampled_from([MAGIC[:1], MAGIC[:2], MAGIC[:3], MAGIC[1:], MAGIC * 3]),
    )
    return b"".join(draw(st.lists(pieces, max_size=8)))


@settings(deadline=None)
@given(records=st.lists(payloads(), max_size=8))
def test_what_was_written_is_read(tmp_path_factory, records):
    path = tmp_path_factory.mktemp("round") / "x.rec"
    write(path, records)
    assert read(path) == records
    assert read(path, recover=True) == records
    with MXRecordIO(path, "r") as reader:
        views = []
        while (view := reader.read_view()) is not None:
            views.append(view)
    assert [bytes(view) for view in views] == records


@settings(deadline=None)
@given(records=st.lists(payloads(), max_size=8))
def test_the_magic_number_stands_only_where_a_part_begins(tmp_path_factory, records):
    data = write(tmp_path_factory.mktemp("magic") / "x.rec", records)
    assert len(data) % 4 == 0
    offset, parts = 0, 0
    while offset < len(data):
        magic, word = struct.unpack_from("<II", data, offset)
        assert magic == 0xCED7230A
        length = word & (2**29 - 1)
        offset += 8 + (length + 3) // 4 * 4
        parts += 1
    words = struct.unpack(f"<{len(data) // 4}I", data)
    assert words.count(0xCED7230A) == parts


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b"", "0a23d7ce00000000"),
        (b"abc", "0a23d7ce03000000" + "61626300"),
        (b"abcd", "0a23d7ce04000000" + "61626364"),
        # the number alone: an empty beginning, an empty end
        (MAGIC, "0a23d7ce00000020" + "0a23d7ce00000060"),
        (b"abcd" + MAGIC + b"e", "0a23d7ce0400002061626364" + "0a23d7ce0100006065000000"),
        (MAGIC * 2, "0a23d7ce00000020" + "0a23d7ce00000040" + "0a23d7ce00000060"),
        # not at an offset that 4 divides: no cut
        (b"a" + MAGIC, "0a23d7ce05000000" + "610a23d7ce000000"),
        # the padding does not count
        (MAGIC[:3], "0a23d7ce03000000" + "0a23d700"),
    ],
)
def test_the_bytes(tmp_path, payload, expected):
    assert write(tmp_path / "x.rec", [payload]).hex() == expected


def test_a_record_larger_than_a_block(tmp_path):
    large = bytes(range(256)) * 8192
    records = [b"before", large, large[:-1] + MAGIC[:1], MAGIC + large + MAGIC * 2, b"after"]
    write(tmp_path / "x.rec", records)
    assert read(tmp_path / "x.rec") == records


def test_many_small_parts(tmp_path):
    records = [MAGIC * 200_000, b"after"]
    write(tmp_path / "x.rec", records)
    assert read(tmp_path / "x.rec") == records


@settings(deadline=None)
@given(records=st.lists(payloads(), max_size=12), num_parts=st.integers(1, 9))
def test_each_record_lies_in_one_part(tmp_path_factory, records, num_parts):
    path = tmp_path_factory.mktemp("parts") / "x.rec"
    write(path, records)
    found = []
    for index in range(num_parts):
        begin, end = part_range(path, index, num_parts)
        found += read(path, begin=begin, end=end)
    assert found == records


def test_parts_are_about_as_large_as_each_other(tmp_path):
    write(tmp_path / "x.rec", [b"x" * 100] * 100)
    ranges = [part_range(tmp_path / "x.rec", index, 4) for index in range(4)]
    assert [end - begin for begin, end in ranges] == [2700] * 4


@pytest.mark.parametrize(("index", "parts"), [(0, 0), (2, 2), (-1, 2)])
def test_a_part_that_there_is_not(tmp_path, index, parts):
    with pytest.raises(ValueError, match="needs num_parts >= 1 and a part_index from 0"):
        part_range(tmp_path / "x.rec", index, parts)


@settings(deadline=None)
@given(records=st.dictionaries(st.integers(0, 2**63), payloads(), max_size=8), data=st.data())
def test_any_order_by_key(tmp_path_factory, records, data):
    folder = tmp_path_factory.mktemp("index")
    with MXIndexedRecordIO(folder / "x.idx", folder / "x.rec", "w") as writer:
        for key, payload in records.items():
            writer.write_idx(key, payload)
    with MXIndexedRecordIO(folder / "x.idx", folder / "x.rec", "r") as reader:
        assert reader.keys == list(records)
        for key in data.draw(st.permutations(list(records))):
            assert reader.read_idx(key) == records[key]
        assert list(MXRecordIO(folder / "x.rec", "r")) == list(records.values())


@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_whatever_the_bytes_the_reader_ends_and_takes_no_more_than_them(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("fuzz") / "x.rec"
    words = st.one_of(
        st.just(MAGIC),
        st.binary(min_size=4, max_size=4),
        st.builds(
            lambda kind, length: struct.pack("<I", kind << 29 | length),
            st.integers(0, 7),
            st.one_of(st.integers(0, 24), st.integers(0, 2**29 - 1)),
        ),
    )
    junk = b"".join(data.draw(st.lists(words, max_size=20))) + data.draw(st.binary(max_size=3))
    path.write_bytes(junk)
    for recover in (False, True):
        with MXRecordIO(path, "r", recover=recover) as reader:
            total = 0
            with suppress(*[] if recover else [FormatError]):
                for record in reader:
                    total += len(record)
            assert total <= len(junk)
            if recover:
                assert reader.tell() == len(junk)
                assert reader.lost.nbytes <= len(junk)
