"""Readers and writers as objects: their methods, life cycle, processes and storage."""

import os
import pickle
import signal
import subprocess
import sys

import pytest

import actorflow as af
from actorflow.errors import FormatError
from actorflow.recordio import (
    IRHeader,
    MXIndexedRecordIO,
    MXRecordIO,
    pack,
    part_range,
    read_jpeg,
    read_list,
    unpack,
)

RECORDS = [b"first", b"second", b"third"]


@pytest.fixture
def paths(tmp_path):
    """An index and a record file with three records, 0 to 2."""
    idx, rec = tmp_path / "x.idx", tmp_path / "x.rec"
    with MXIndexedRecordIO(idx, rec, "w") as writer:
        for key, record in enumerate(RECORDS):
            writer.write_idx(key, record)
    return idx, rec


def test_it_is_there_without_an_import():
    assert af.recordio.MXRecordIO is MXRecordIO


def test_importing_the_package_does_not_import_it():
    program = "import sys, actorflow; sys.exit('actorflow.recordio' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)  # noqa: S603


def test_one_behind_the_other_and_from_the_beginning(paths):
    reader = MXRecordIO(paths[1], "r")
    assert reader.read() == b"first"
    assert list(reader) == [b"second", b"third"]
    assert reader.read() is None
    reader.reset()
    assert reader.tell() == 0
    assert reader.read() == b"first"
    assert reader.tell() == 16


def test_positions_of_a_writer(tmp_path):
    writer = MXIndexedRecordIO(tmp_path / "x.idx", tmp_path / "x.rec", "w")
    told = [writer.tell()]
    for key in range(3):
        writer.write_idx(key, b"12345678")
        told.append(writer.tell())
    assert told == [0, 16, 32, 48]
    writer.reset()
    assert (writer.tell(), writer.keys, writer.idx) == (0, [], {})
    assert (tmp_path / "x.idx").read_bytes() == b""


def test_seek_and_go_on(paths):
    reader = MXIndexedRecordIO(*paths, "r")
    reader.seek(1)
    assert (reader.read(), reader.read()) == (b"second", b"third")
    assert reader.read_idx(0) == b"first"
    assert reader.read() == b"second"


def test_keys_of_another_type(tmp_path):
    with MXIndexedRecordIO(tmp_path / "x.idx", tmp_path / "x.rec", "w", str) as writer:
        writer.write_idx("b\u00fc", b"1")
        for wrong in ("", "a\tb", "a\n", " a", "a\u2028b"):
            with pytest.raises(ValueError, match="needs one line without tabs"):
                writer.write_idx(wrong, b"2")
        assert writer.tell() == 12
    reader = MXIndexedRecordIO(tmp_path / "x.idx", tmp_path / "x.rec", "r", key_type=str)
    assert reader.keys == ["b\u00fc"]
    assert reader.read_idx("b\u00fc") == b"1"
    with pytest.raises(ValueError, match="invalid literal"):
        MXIndexedRecordIO(tmp_path / "y.idx", tmp_path / "y.rec", "w").write_idx("one", b"")


def test_any_bytes(tmp_path):
    with MXRecordIO(tmp_path / "x.rec", "w") as writer:
        writer.write(bytearray(b"ab"))
        writer.write(memoryview(b"abcd")[1:3])
        with pytest.raises(TypeError, match=r"MXRecordIO\.write: buf is a str; needs bytes"):
            writer.write("text")
    assert list(MXRecordIO(tmp_path / "x.rec", "r")) == [b"ab", b"bc"]


def test_a_record_that_is_too_long(tmp_path, monkeypatch):
    monkeypatch.setattr("actorflow.recordio.files.MAX_LENGTH", 10)
    with MXRecordIO(tmp_path / "x.rec", "w") as writer:
        with pytest.raises(ValueError, match="a record of 11 bytes; needs at most 10"):
            writer.write(b"x" * 11)
        assert writer.tell() == 0


def test_a_view_stays_as_it_is(tmp_path):
    with MXRecordIO(tmp_path / "x.rec", "w") as writer:
        for number in range(3000):
            writer.write(bytes([number % 256]) * 1000)
    reader = MXRecordIO(tmp_path / "x.rec", "r")
    views = []
    while (view := reader.read_view()) is not None:
        views.append(view)
    reader.close()
    assert all(view.readonly for view in views)
    assert all(view == bytes([number % 256]) * 1000 for number, view in enumerate(views))


# -- What is refused -------------------------------------------------------------------------------


def test_the_wrong_flag(paths):
    with pytest.raises(ValueError, match="MXRecordIO: flag='x'; needs 'r', 'w' or 'a'"):
        MXRecordIO(paths[1], "x")
    with pytest.raises(ValueError, match="recover, begin and end are for reading; flag is 'w'"):
        MXRecordIO(paths[1], "w", recover=True)
    assert list(MXRecordIO(paths[1], "r")) == RECORDS


def test_what_is_no_path(paths):
    for make in (
        lambda: MXRecordIO(None, "r"),
        lambda: MXIndexedRecordIO(None, paths[1], "r"),
        lambda: MXIndexedRecordIO(paths[0], None, "w"),
    ):
        with pytest.raises(TypeError, match="NoneType"):
            make()


def test_the_wrong_direction(paths):
    reader = MXRecordIO(paths[1], "r")
    with pytest.raises(ValueError, match=r"write: .*x.rec is not open for writing: flag is 'r'"):
        reader.write(b"")
    writer = MXRecordIO(paths[1], "a")
    with pytest.raises(ValueError, match=r"read: .*x.rec is not open for reading: flag is 'a'"):
        writer.read()


def test_closed(paths):
    reader = MXIndexedRecordIO(*paths, "r")
    reader.close()
    reader.close()
    for call in (reader.read, reader.tell, lambda: reader.read_idx(0), lambda: reader.seek(0)):
        with pytest.raises(ValueError, match=r"is closed; open\(\) or reset\(\) opens it"):
            call()
    reader.open()
    assert reader.read_idx(2) == b"third"


def test_what_is_not_there(tmp_path, paths):
    with pytest.raises(FileNotFoundError):
        MXRecordIO(tmp_path / "none.rec", "r")
    with pytest.raises(FileNotFoundError):
        MXIndexedRecordIO(tmp_path / "none.idx", paths[1], "r")
    with pytest.raises(IsADirectoryError):
        MXRecordIO(tmp_path, "r")
    with pytest.raises(FileNotFoundError):
        MXRecordIO(tmp_path / "none" / "x.rec", "w")


def test_a_disk_that_is_full_leaves_whole_records(tmp_path, monkeypatch):
    writer = MXRecordIO(tmp_path / "x.rec", "w")
    writer.write(b"before")
    pwrite, calls = os.pwrite, []

    def failing(descriptor, data, offset):
        calls.append(offset)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        return pwrite(descriptor, data[:10], offset)

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", failing)
        with pytest.raises(OSError, match="No space left"):
            writer.write(b"a longer record")
    assert (tmp_path / "x.rec").stat().st_size == writer.tell() == 16
    writer.write(b"after")
    assert list(MXRecordIO(tmp_path / "x.rec", "r")) == [b"before", b"after"]


# -- Processes -------------------------------------------------------------------------------------


def test_a_pickled_reader_begins_at_the_beginning(paths):
    reader = MXIndexedRecordIO(*paths, "r")
    reader.read()
    copy = pickle.loads(pickle.dumps(reader))  # noqa: S301 -- made here
    assert copy.read() == b"first"
    assert copy.read_idx(2) == b"third"
    assert reader.read() == b"second"  # the first one goes on
    reader.close()
    closed = pickle.loads(pickle.dumps(reader))  # noqa: S301
    assert not closed.is_open
    closed.open()
    assert closed.keys == [0, 1, 2]


def test_options_are_pickled_too(paths):
    begin, end = part_range(paths[1], 1, 2)
    reader = MXRecordIO(paths[1], "r", recover=True, begin=begin, end=end)
    expected = list(reader)
    assert expected != RECORDS
    assert list(pickle.loads(pickle.dumps(reader))) == expected  # noqa: S301


def test_an_open_writer_is_not_pickled(tmp_path):
    writer = MXRecordIO(tmp_path / "x.rec", "w")
    writer.write(b"kept")
    with pytest.raises(TypeError, match="is open for writing; needs to be closed to be pickled"):
        pickle.dumps(writer)
    writer.close()
    assert not pickle.loads(pickle.dumps(writer)).is_open  # noqa: S301
    assert list(MXRecordIO(tmp_path / "x.rec", "r")) == [b"kept"]


FORKS = """
import os, sys
from actorflow.recordio import MXRecordIO

reader = MXRecordIO(sys.argv[1], "r")
writer = MXRecordIO(sys.argv[2], "w")
reader.read()
child = os.fork()
rest = list(reader)
assert rest == [b"second", b"third"], rest
if child == 0:
    try:
        writer.write(b"child")
    except RuntimeError as error:
        assert "only one may write it" in str(error)
        writer.close()
        os._exit(0)
    os._exit(1)
assert os.waitpid(child, 0)[1] == 0
writer.write(b"parent")
writer.close()
assert list(MXRecordIO(sys.argv[2], "r")) == [b"parent"]
"""


def test_forks(paths, tmp_path):
    words = [sys.executable, "-W", "error", "-c", FORKS, paths[1], tmp_path / "out.rec"]
    subprocess.run(words, check=True)  # noqa: S603


WRITES = """
import sys
from actorflow.recordio import MXIndexedRecordIO

writer = MXIndexedRecordIO(sys.argv[1], sys.argv[2], "w")
for key in range(10**9):
    writer.write_idx(key, b"%d" % key * 500)
    print(key, flush=True)
"""


@pytest.mark.slow
def test_a_killed_writer_loses_no_record_that_it_had_written(tmp_path):
    idx, rec = tmp_path / "x.idx", tmp_path / "x.rec"
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", WRITES, idx, rec], stdout=subprocess.PIPE
    )
    while process.stdout.readline() != b"200\n":
        pass
    process.send_signal(signal.SIGKILL)
    told = [200, *map(int, process.stdout.read().split(b"\n")[:-1])]
    process.stdout.close()
    assert process.wait() == -signal.SIGKILL
    with MXIndexedRecordIO(idx, rec, "r", recover=True) as reader:
        assert len(reader.keys) - 1 in {told[-1], told[-1] + 1}  # killed before it could tell
        for key in reader.keys:
            assert reader.read_idx(key) == b"%d" % key * 500
    with MXIndexedRecordIO(idx, rec, "a") as writer:
        last = len(writer.keys)
        writer.write_idx(last, b"more")
    with MXIndexedRecordIO(idx, rec, "r") as reader:
        assert len(list(reader)) == len(reader.keys) == last + 1


# -- Headers and lists -----------------------------------------------------------------------------


def test_headers():
    header, data = unpack(pack(IRHeader(5, 2.5, 7, 9), b"data"))
    assert header == (0, 2.5, 7, 9)
    assert data == b"data"
    record = pack((0, [1, 2.5], 7, 0), b"data")
    header, data = unpack(memoryview(record))
    assert isinstance(data, memoryview)
    assert (header.flag, header.label.tolist(), header.label.dtype) == (2, [1.0, 2.5], "f4")
    assert not header.label.flags.writeable


@pytest.mark.parametrize(
    ("header", "error", "complaint"),
    [
        ((0, 1.0, -1, 0), ValueError, r"pack: id is -1; needs 0 to 2\*\*64 - 1"),
        ((0, 1.0, 0, 2**64), ValueError, "pack: id2 is 18446744073709551616; needs"),
        ((0, 1.0, 1.5, 0), TypeError, "pack: id is 1.5; needs an int"),
        ((0, 1e39, 1, 0), ValueError, r"pack: label is 1e\+39, more than a float32 holds"),
    ],
)
def test_headers_that_are_refused(header, error, complaint):
    with pytest.raises(error, match=complaint):
        pack(header, b"")


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (lambda: pack(None, b""), "pack: header is None; needs an IRHeader"),
        (lambda: pack((0, 1.0), b""), "pack: header is .*; needs an IRHeader"),
        (lambda: pack((0, None, 1, 0), b""), "pack: label is None; needs a number"),
        (lambda: pack((0, 1.0, 1, 0), "text"), "pack: s is a str; needs bytes"),
        (lambda: unpack("text" * 10), "unpack: s is a str; needs bytes"),
        (lambda: read_jpeg("text"), "read_jpeg: data is a str; needs bytes"),
        (lambda: MXRecordIO(None, "r"), "MXRecordIO: uri is a NoneType; needs a path or a URL"),
    ],
)
def test_what_is_of_the_wrong_type(call, complaint):
    with pytest.raises(TypeError, match=complaint):
        call()


@pytest.mark.parametrize("wrong", [{"begin": -4}, {"begin": 8, "end": 4}])
def test_a_range_that_there_is_not(paths, wrong):
    with pytest.raises(ValueError, match="needs 0 <= begin <= end"):
        MXRecordIO(paths[1], "r", **wrong)


def test_lists(tmp_path):
    path = tmp_path / "x.lst"
    path.write_bytes(b"3\t1.5\t2\ta b.jpg\r\n\n4\t0\tc\xc3\xbc.png")
    assert read_list(path) == [(3, (1.5, 2.0), "a b.jpg"), (4, (0.0,), "c\u00fc.png")]
    for line in (b"3\ta.jpg", b"x\t1\ta.jpg", b"3\tone\ta.jpg", b"3\t1\t ", b"3\t1\t\xff.jpg"):
        path.write_bytes(b"1\t0\ta.jpg\n" + line)
        with pytest.raises(FormatError, match=r"x\.lst, line 2 is .*; needs a number, labels"):
            read_list(path)
