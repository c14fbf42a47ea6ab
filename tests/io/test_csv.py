"""Text files: what they may look like, and what is said of those that are wrong."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import actorflow as af
from actorflow import io
from actorflow.errors import FormatError, MissingExtraError
from tests.io._sources import contents


def write(tmp_path, content, name="a.csv"):
    path = tmp_path / name
    path.write_bytes(content)
    return path


def rows(iterator):
    return [row for batch in contents(iterator) for row in batch[0][0]]


def test_blank_lines_marks_and_endings(engine, tmp_path):
    path = write(tmp_path, b"\xef\xbb\xbf1, 2\r\n\r\n\n 3,4e0\n-inf,nan\n5,6")
    with io.CSVIter(str(path), (2,), batch_size=4) as iterator:
        (batch,) = list(iterator)
        np.testing.assert_array_equal(
            batch.data[0].asnumpy(), np.float32([[1, 2], [3, 4], [-np.inf, np.nan], [5, 6]])
        )
        assert batch.index.tolist() == [0, 1, 2, 3]


def test_shapes_and_types(engine, tmp_path):
    path = write(tmp_path, f"{2**53 + 1},2,3,4\n".encode())
    with io.CSVIter(path, (2, 2), path, (4,), dtype="int64", prefetch_buffer=0) as iterator:
        assert iterator.provide_data == [("data", (1, 2, 2))]
        assert iterator.provide_label == [("softmax_label", (1, 4))]
        batch = next(iterator)
        assert batch.data[0].asnumpy().tolist() == [[[2**53 + 1, 2], [3, 4]]]
        assert batch.label[0].asnumpy().tolist() == [[2**53 + 1, 2, 3, 4]]
        assert batch.label[0].dtype == np.int64


@settings(max_examples=30, deadline=None)
@given(count=st.integers(1, 40), size=st.integers(1, 50), block=st.integers(1, 64))
def test_lines_across_blocks(tmp_path_factory, count, size, block):
    path = write(
        tmp_path_factory.mktemp("csv"), "".join(f"{i},{i * i}\n" for i in range(count)).encode()
    )
    with (
        af.Engine(engine_type="naive"),
        io.CSVIter(path, (2,), batch_size=size, round_batch=False) as iterator,
    ):
        iterator._sources[0].block_nbytes = block
        for _ in range(2):
            told = contents(iterator)
            seen = [index for batch in told for index in batch[3][: size - batch[2]]]
            assert seen == list(range(count))
            for data, _, _, index, _ in told:
                assert data == [[[i, i * i] for i in index]]
            iterator.reset()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"1,2\n1,2,3\n", r"a\.csv, line 2: has 3 numbers, needs 2"),
        (b"1,2\n\n1\n", r"a\.csv, line 3: has 1 numbers, needs 2"),
        (b"1,2\n3,x4\n", r"a\.csv, line 2, column 2: 'x4' is no float32"),
        (b"1,\n", r"line 1, column 2: '' is no float32"),
        (b"\xff\xfe,1\n", r"line 1, column 1: .* is no float32"),
        (b"", r"a\.csv has no rows"),
        (b"\n\n", r"a\.csv has no rows"),
        (b"1,2\n" + b"9" * 2_000_000, r"line 2: does not end within \d+ bytes"),
    ],
)
def test_wrong_files(engine, tmp_path, content, message):
    path = write(tmp_path, content)
    with io.CSVIter(path, (2,), batch_size=1) as iterator:
        iterator._sources[0].block_nbytes = 1 << 16
        with pytest.raises(FormatError, match=message):
            contents(iterator)
        iterator.reset()
        with pytest.raises(FormatError, match=message):
            contents(iterator)


@pytest.mark.parametrize("labels", [b"1\n2\n", b"1\n2\n3\n4\n"])
@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_labels_that_do_not_fit(engine, tmp_path, labels, size):
    path = write(tmp_path, b"1\n2\n3\n")
    iterator = io.CSVIter(path, (1,), write(tmp_path, labels, "b.csv"), batch_size=size)
    with pytest.raises(FormatError, match=r"has more rows than .* which ends after [23]: "):
        contents(iterator)


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.csv"):
        io.CSVIter(tmp_path / "none.csv", (1,))
    path = write(tmp_path, b"1\n")
    with pytest.raises(IsADirectoryError):
        io.CSVIter(path, (1,), tmp_path)
    with pytest.raises(ValueError, match="data_shape must be an integer of at least 1, got 0"):
        io.CSVIter(path, (0,))


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"data_csv": None}, "CSVIter: data_csv must be a path or a URL, got None"),
        ({"label_csv": 3}, "label_csv must be a path or a URL, got 3"),
        ({"data_shape": 2}, "data_shape must be a tuple of integers, got 2"),
        ({"data_shape": "2"}, "data_shape must be a tuple of integers, got '2'"),
        ({"dtype": "foo"}, "dtype 'foo' is no data type"),
        ({"dtype": "complex64"}, "dtype is complex64; needs integers or floating point numbers"),
        ({"dtype": "U4"}, "dtype is <U4; needs"),
    ],
)
def test_arguments_that_are_refused(tmp_path, arguments, complaint):
    path = write(tmp_path, b"1,2\n")
    with pytest.raises(TypeError, match=complaint):
        io.CSVIter(**{"data_csv": path, "data_shape": (2,), **arguments})


def test_a_file_that_is_cut_off_while_it_is_read(engine, tmp_path):
    path = write(tmp_path, b"10,20\n" * 1000)
    with io.CSVIter(path, (2,), batch_size=10, prefetch_buffer=0) as iterator:
        iterator._sources[0].block_nbytes = 100
        next(iterator)
        with path.open("r+b") as stream:
            stream.truncate(604)  # within a line, of which "10,2" is left
        with pytest.raises(FormatError, match=r"a\.csv ends after 604 bytes; needs the 6000"):
            contents(iterator)


def test_a_file_that_is_deleted_while_it_is_read(engine, tmp_path):
    path = write(tmp_path, b"1,2\n3,4\n")
    with io.CSVIter(path, (2,)) as iterator:
        path.unlink()
        assert rows(iterator) == [[1, 2], [3, 4]]


def test_two_iterators_of_one_file(engine, tmp_path):
    path = write(tmp_path, b"1,2\n3,4\n5,6\n")
    with io.CSVIter(path, (2,)) as one, io.CSVIter(path, (2,)) as other:
        for left, right in zip(one, other, strict=True):
            assert left.data[0].asnumpy().tolist() == right.data[0].asnumpy().tolist()


def test_remote_files(engine):
    fsspec = pytest.importorskip("fsspec")
    with fsspec.open("memory://rows.csv", "wb") as file:
        file.write(b"1,2\n3,4\n5,6\n")
    with io.CSVIter("memory://rows.csv", (2,), batch_size=2) as iterator:
        assert rows(iterator) == [[1, 2], [3, 4], [5, 6], [1, 2]]


def test_a_remote_file_without_fsspec(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "fsspec.core", None)
    with pytest.raises(MissingExtraError, match=r"needs fsspec: pip install 'actorflow\[remote\]'"):
        io.CSVIter("memory://rows.csv", (2,))


def test_a_file_that_changes_is_no_longer_that_of_a_state(engine, tmp_path):
    path = write(tmp_path, b"1,2\n3,4\n")
    state = io.CSVIter(path, (2,)).state_dict()
    write(tmp_path, b"1,2\n3,5\n")
    with pytest.raises(FormatError, match="of other data: data_csv was"):
        io.CSVIter(path, (2,)).load_state_dict(state)
