"""Files elsewhere than on the disk: what is read and written there, and what is said if not."""

import os
import pickle
import sys

import pytest

from actorflow.errors import FormatError, MissingExtraError
from actorflow.recordio import (
    MXIndexedRecordIO,
    MXRecordIO,
    part_range,
    read_all,
    read_list,
    write_list,
)
from actorflow.recordio.storage import open_sink
from tests.recordio._server import served

RECORDS = [b"first", b"second", b"third"]


@pytest.fixture
def paths(tmp_path):
    """An index and a record file with three records, 0 to 2."""
    idx, rec = tmp_path / "x.idx", tmp_path / "x.rec"
    with MXIndexedRecordIO(idx, rec, "w") as writer:
        for key, record in enumerate(RECORDS):
            writer.write_idx(key, record)
    return idx, rec


@pytest.fixture
def many(tmp_path):
    """The contents of an index and a record file of a hundred records, which are numbers."""
    idx, rec = tmp_path / "m.idx", tmp_path / "m.rec"
    with MXIndexedRecordIO(idx, rec, "w") as writer:
        for key in range(100):
            writer.write_idx(key, b"%d" % key * 1000)
    return {"m.idx": idx.read_bytes(), "m.rec": rec.read_bytes()}


@pytest.fixture
def memory():
    """A URL of a folder in memory."""
    import fsspec

    yield "memory://recordio"
    fsspec.filesystem("memory").store.clear()


def test_any_url_of_fsspec(memory):
    large = bytes(range(256)) * 1024
    records = [*RECORDS, large, b"\x0a\x23\xd7\xce" * 3 + large]
    with MXIndexedRecordIO(f"{memory}/x.idx", f"{memory}/x.rec", "w") as writer:
        for key, record in enumerate(records):
            writer.write_idx(key, record)
        writer.sync()
    with MXIndexedRecordIO(f"{memory}/x.idx", f"{memory}/x.rec", "r") as reader:
        assert [reader.read_idx(key) for key in (4, 0, 3)] == [records[4], records[0], records[3]]
        reader.reset()
        assert list(reader) == records
        assert list(pickle.loads(pickle.dumps(reader))) == records  # noqa: S301
    found = []
    for index in range(3):
        begin, end = part_range(f"{memory}/x.rec", index, 3)
        found += MXRecordIO(f"{memory}/x.rec", "r", begin=begin, end=end)
    assert found == records


def test_urls_say_what_is_wrong(memory):
    import fsspec

    with pytest.raises(FileNotFoundError):
        MXRecordIO(f"{memory}/none.rec", "r")
    with fsspec.open(f"{memory}/bad.rec", "wb") as stream:
        stream.write(b"no records here")
    with pytest.raises(FormatError, match=r"memory://recordio/bad\.rec, offset 0: no record"):
        MXRecordIO(f"{memory}/bad.rec", "r").read()
    with pytest.raises(OSError, match="cannot be appended to"):
        open_sink(f"{memory}/bad.rec", 4)
    with pytest.raises(IsADirectoryError):
        MXRecordIO(memory, "r")


def test_file_urls_are_paths(paths, monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec", None)
    assert list(MXRecordIO(f"file://{paths[1]}", "r")) == RECORDS


def test_lists_at_urls(memory):
    write_list(f"{memory}/x.lst", [(3, (1.5, 2.0), "a b.jpg")])
    assert read_all(f"{memory}/x.lst") == b"3\t1.500000\t2.000000\ta b.jpg\n"
    assert read_list(f"{memory}/x.lst") == [(3, (1.5, 2.0), "a b.jpg")]


@pytest.mark.parametrize("remote", [False, True])
def test_appending_to_a_url(paths, memory, remote):
    idx, rec = paths
    urls = [f"{memory}/x.idx", f"{memory}/x.rec"] if remote else [f"file://{idx}", f"file://{rec}"]
    if remote:
        for url, path in zip(urls, paths, strict=True):
            sink = open_sink(url)
            sink.write(path.read_bytes())
            sink.close()
        for make in (lambda: MXRecordIO(urls[1], "a"), lambda: MXIndexedRecordIO(*urls, "a")):
            with pytest.raises(OSError, match="cannot be appended to; only a local file can"):
                make()
        expected = RECORDS
    else:
        with MXIndexedRecordIO(*urls, "a") as writer:
            writer.write_idx(3, b"fourth")
        with MXRecordIO(urls[1], "a") as writer:
            assert writer.tell() == rec.stat().st_size
        expected = [*RECORDS, b"fourth"]
    with MXIndexedRecordIO(*urls, "r") as reader:
        assert [reader.read_idx(key) for key in reader.keys] == expected


# -- Over HTTP -------------------------------------------------------------------------------------


def test_over_http(many):
    with served(many) as (url, server):
        with MXIndexedRecordIO(f"{url}/m.idx", f"{url}/m.rec", "r") as reader:
            assert reader.read_idx(70) == b"70" * 1000
            asked = [wanted for _, wanted in server.asked if wanted]
            assert asked[-1].startswith(f"bytes={reader.idx[70]}-")
            reader.reset()
            assert list(reader) == [b"%d" % key * 1000 for key in range(100)]
        found = []
        for index in range(3):
            begin, end = part_range(f"{url}/m.rec", index, 3)
            found += MXRecordIO(f"{url}/m.rec", "r", begin=begin, end=end)
        assert len(found) == 100


def test_a_server_that_gives_no_parts(many):
    with served(many, ranges=False) as (url, _):
        # All of a file is no part.
        assert len(list(MXRecordIO(f"{url}/m.rec", "r"))) == 100
        with MXIndexedRecordIO(f"{url}/m.idx", f"{url}/m.rec", "r") as reader:
            with pytest.raises(OSError, match="the server gives no parts of files") as caught:
                reader.read_idx(70)
            assert "'simplecache::' before the URL copies the file first" in str(caught.value)
            assert caught.value.filename == f"{url}/m.rec"
        with MXIndexedRecordIO(f"{url}/m.idx", f"simplecache::{url}/m.rec", "r") as reader:
            assert reader.read_idx(70) == b"70" * 1000


def test_what_http_servers_say(many):
    unsaid = "does not say how long the file is"
    with served(many, length=False) as (url, _), pytest.raises(OSError, match=unsaid):
        MXRecordIO(f"{url}/m.rec", "r")
    with served(many) as (url, server):
        with pytest.raises(FileNotFoundError, match=r"none\.rec"):
            MXRecordIO(f"{url}/none.rec", "r")
        with pytest.raises(OSError, match="403") as caught:
            MXRecordIO(f"{url}/forbidden", "r")
        assert caught.value.filename == f"{url}/forbidden"
        reader = MXRecordIO(f"{url}/m.rec", "r")
        server.files.clear()
        with pytest.raises(FileNotFoundError):
            reader.read()
        port = url.rsplit(":", 1)[1]
    with pytest.raises(OSError, match=port):
        MXRecordIO(f"{url}/m.rec", "r")
    with pytest.raises(OSError, match="http"):
        MXRecordIO(f"{url}/m.rec", "w")


def test_a_forked_child_asks_by_itself(many):
    with served(many) as (url, _), MXRecordIO(f"{url}/m.rec", "r") as reader:
        assert reader.read() == b"0" * 1000
        receiver, sender = os.pipe()
        child = os.fork()
        if not child:
            os.write(sender, bytes(reader._source.read(8, 2)))
            os._exit(0)
        assert os.read(receiver, 2) == b"00"
        assert os.waitpid(child, 0)[1] == 0
        os.close(receiver)
        os.close(sender)
        assert len(list(reader)) == 99


# -- What is missing -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "extra"),
    [
        ("s3://b/x.rec", "s3"),
        ("simplecache::s3://b/x.rec", "s3"),
        ("hdfs://host/x.rec", "hdfs"),
        ("https://host/x.rec", "http"),
        ("gs://b/x.rec", "remote"),
    ],
)
def test_without_fsspec(monkeypatch, url, extra):
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    complaint = rf"{url} is a URL, which needs fsspec: pip install 'actorflow\[{extra}\]'"
    for flag in "rw":
        with pytest.raises(MissingExtraError, match=complaint):
            MXRecordIO(url, flag)


@pytest.mark.parametrize(
    ("url", "module", "complaint"),
    [
        ("s3://b/x.rec", "s3fs", r"s3://b/x.rec needs s3fs: pip install 'actorflow\[s3\]'"),
        ("hdfs://h/x.rec", "pyarrow", r"needs pyarrow, .* Java: pip install 'actorflow\[hdfs\]'"),
        ("gs://b/x.rec", "gcsfs", "gs://b/x.rec: fsspec says: Please install gcsfs"),
    ],
)
def test_without_what_fsspec_needs(monkeypatch, url, module, complaint):
    monkeypatch.setitem(sys.modules, module, None)
    for flag in "rw":
        with pytest.raises(MissingExtraError, match=complaint):
            MXRecordIO(url, flag)


def test_a_protocol_that_there_is_not():
    with pytest.raises(ValueError, match="smoke"):
        MXRecordIO("smoke://signals/x.rec", "r")
