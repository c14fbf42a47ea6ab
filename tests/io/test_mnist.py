"""idx files: parts, orders, and headers that lie."""

import gzip
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import actorflow as af
from actorflow import io
from actorflow.errors import FormatError
from tests.io._sources import contents

IMAGES = struct.pack(">4I", 0x803, 7, 2, 2) + bytes(range(28))
LABELS = struct.pack(">2I", 0x801, 7) + bytes(range(7))


def make(tmp_path, images=IMAGES, labels=LABELS, **options):
    (tmp_path / "images").write_bytes(images)
    (tmp_path / "labels").write_bytes(labels)
    return io.MNISTIter(tmp_path / "images", tmp_path / "labels", **{"batch_size": 1, **options})


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("parts", [1, 2, 3, 7])
def test_parts_cover_the_rows_once(engine, mnist, parts, shuffle):
    seen = []
    for part in range(parts):
        options = {"shuffle": shuffle, "num_parts": parts, "part_index": part}
        with io.MNISTIter(*mnist, batch_size=1, **options) as iterator:
            for batch in iterator:
                row = int(batch.index[0])
                assert batch.label[0].asnumpy().tolist() == [row]
                pixels = np.arange(4 * row, 4 * row + 4, dtype=np.float32) / 256
                assert (batch.data[0].asnumpy().reshape(-1) == pixels).all()
                seen.append(row)
    assert sorted(seen) == list(range(7))


def test_each_epoch_has_its_order(engine, mnist):
    with io.MNISTIter(*mnist, batch_size=7, seed=1) as iterator:
        (first,) = contents(iterator)
        iterator.reset()
        (second,) = contents(iterator)
    assert first[3] != second[3]
    assert sorted(first[3]) == sorted(second[3]) == list(range(7))


def test_wrong_arguments(tmp_path):
    with pytest.raises(ValueError, match="part_index is 2; num_parts 2 needs it below that"):
        make(tmp_path, num_parts=2, part_index=2)
    with pytest.raises(ValueError, match="part 0 of 8 has none of the 7 images"):
        make(tmp_path, num_parts=8)
    with pytest.raises(ValueError, match="batch_size is 8, but there are only 7 rows"):
        make(tmp_path, batch_size=8)
    with pytest.raises(FileNotFoundError):
        io.MNISTIter(tmp_path / "none", tmp_path / "none")


def header(*numbers):
    return struct.pack(f">{len(numbers)}I", *numbers)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (LABELS, r"images, offset 0: the magic number is 0x00000801, needs 0x00000803"),
        (b"", r"offset 0: the file ends in its header of 16 bytes"),
        (IMAGES[:9], r"offset 9: the file ends in its header of 16 bytes"),
        (IMAGES[:-1], r"offset 4: 7x2x2 elements need 44 bytes; the file has 43"),
        (IMAGES + b"1", r"offset 4: 7x2x2 elements need 44 bytes; the file has 45"),
        (header(0x803, *[2**32 - 1] * 3), r"offset 4: 4294967295x4294967295x4294967295 elements"),
        (gzip.compress(header(0x803, *[2**32 - 1] * 3)), r"unpacked: .* cannot be packed in"),
        (gzip.compress(IMAGES)[:12], r"offset 0 unpacked: the packed data is damaged"),
        (IMAGES[:4] + header(6, 2, 2) + IMAGES[16:40], "has 6 images, but .*labels 7 labels"),
    ],
)
def test_wrong_headers(tmp_path, images, message):
    tracemalloc.start()
    with pytest.raises(FormatError, match=message):
        make(tmp_path, images)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 << 20


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (gzip.compress(IMAGES[:-1]), "offset 16 unpacked: has 27 bytes behind its header"),
        (gzip.compress(IMAGES + b"1"), "has more than 28 bytes behind its header, needs 28"),
        (gzip.compress(IMAGES)[:-2], "the packed data is damaged"),
        (gzip.compress(IMAGES)[:-8] + b"12345678", "damaged: CRC check failed"),
    ],
)
def test_wrong_contents_are_raised_with_the_batch(engine, tmp_path, images, message):
    with make(tmp_path, images) as iterator:
        for _ in range(2):
            with pytest.raises(FormatError, match=message):
                next(iterator)
            iterator.reset()


@settings(max_examples=80, deadline=None)
@given(
    at=st.integers(0, 44),
    replaced=st.binary(max_size=8),
    cut=st.integers(0, 44),
    packed=st.booleans(),
)
def test_damaged_files_are_errors_or_read(tmp_path_factory, at, replaced, cut, packed):
    content = gzip.compress(IMAGES, mtime=0) if packed else IMAGES
    content = (content[:at] + replaced + content[at + len(replaced) :])[: len(content) - cut]
    with af.Engine(engine_type="naive"):
        try:
            iterator = make(tmp_path_factory.mktemp("idx"), content)
            assert all(batch.data[0].shape[0] == 1 for batch in iterator)
        except FormatError:
            return


def test_a_remote_file(engine):
    fsspec = pytest.importorskip("fsspec")
    for name, content in (("images", IMAGES), ("labels", gzip.compress(LABELS))):
        with fsspec.open(f"memory://{name}", "wb") as file:
            file.write(content)
    with io.MNISTIter("memory://images", "memory://labels", 7, shuffle=False) as iterator:
        assert contents(iterator)[0][1] == [list(range(7))]
