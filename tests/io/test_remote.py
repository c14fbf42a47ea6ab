"""Iterators over files that a server gives."""

import gzip

import pytest

from actorflow import io
from actorflow.errors import FormatError
from tests.io._sources import contents
from tests.recordio._server import served


def test_text_over_http(engine, csv):
    data, labels = csv
    with served({"a.csv": data.read_bytes(), "b.csv": labels.read_bytes()}) as (url, _):
        with io.CSVIter(data, (2,), labels, batch_size=2) as iterator:
            expected = contents(iterator)
        with io.CSVIter(f"{url}/a.csv", (2,), f"{url}/b.csv", batch_size=2) as iterator:
            assert contents(iterator) == expected


def test_digits_over_http(engine, mnist):
    files = {name: path.read_bytes() for name, path in zip("ab", mnist, strict=True)}
    with served(files) as (url, _):
        with io.MNISTIter(*mnist, batch_size=3) as iterator:
            expected = contents(iterator)
        with io.MNISTIter(f"{url}/a", f"{url}/b", batch_size=3) as iterator:
            assert contents(iterator) == expected


def test_a_server_that_fails_while_it_is_read(csv):
    data = b"".join(b"%d,%d\n" % (each, each) for each in range(1000))
    with (
        served({"a.csv": data}) as (url, server),
        io.CSVIter(f"{url}/a.csv", (2,), batch_size=10, prefetch_buffer=0) as iterator,
    ):
        iterator._sources[0].block_nbytes = 100
        assert next(iterator).index.tolist() == list(range(10))
        state = iterator.state_dict()
        server.files.clear()
        with pytest.raises(FileNotFoundError, match=r"a\.csv"):
            contents(iterator)
        server.files["a.csv"] = data
        iterator.load_state_dict(state)
        rest = [row for batch in contents(iterator) for row in batch[3]]
        assert rest == list(range(10, 1000))


def test_a_server_that_gives_no_parts(csv):
    digits = gzip.compress(csv[0].read_bytes())
    with served({"a": digits}, ranges=False) as (url, _):
        with pytest.raises(OSError, match="the server gives no parts of files"):
            io.MNISTIter(f"{url}/a", f"{url}/a")
        with pytest.raises(FormatError, match="magic number"):
            io.MNISTIter(f"simplecache::{url}/a", f"simplecache::{url}/a")
