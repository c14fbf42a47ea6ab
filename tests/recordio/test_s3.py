"""Files in S3, as moto's server gives it: run where moto and s3fs are installed."""

import pytest

from actorflow import io
from actorflow.recordio import MXIndexedRecordIO, MXRecordIO, read_list, write_list

server = pytest.importorskip("moto.server")
pytest.importorskip("s3fs")


@pytest.fixture(scope="module")
def bucket():
    """A URL of a bucket, which fsspec finds by its configuration."""
    from fsspec.config import conf

    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "none")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        started = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        started.start()
        host, port = started.get_host_and_port()
        patch.setitem(conf, "s3", {"endpoint_url": f"http://{host}:{port}"})
        import s3fs

        s3fs.S3FileSystem().mkdir("bucket")
        yield "s3://bucket"
        started.stop()


@pytest.mark.slow
def test_records_lists_and_batches(bucket):
    records = [b"%d" % each * 1000 for each in range(1000)]
    with MXIndexedRecordIO(f"{bucket}/x.idx", f"{bucket}/x.rec", "w") as writer:
        for key, record in enumerate(records):
            writer.write_idx(key, record)
    with MXIndexedRecordIO(f"{bucket}/x.idx", f"{bucket}/x.rec", "r") as reader:
        assert reader.read_idx(700) == records[700]
        reader.reset()
        assert list(reader) == records
    with pytest.raises(OSError, match="cannot be appended to"):
        MXRecordIO(f"{bucket}/x.rec", "a")
    write_list(f"{bucket}/x.lst", [(1, (2.0,), "a.jpg")])
    assert read_list(f"{bucket}/x.lst") == [(1, (2.0,), "a.jpg")]
    import fsspec

    with fsspec.open(f"{bucket}/a.csv", "wb") as stream:
        stream.write(b"1,2\n3,4\n")
    with io.CSVIter(f"{bucket}/a.csv", (2,), batch_size=2) as iterator:
        assert next(iterator).data[0].asnumpy().tolist() == [[1, 2], [3, 4]]


@pytest.mark.slow
def test_what_is_not_there(bucket):
    with pytest.raises(FileNotFoundError):
        MXRecordIO(f"{bucket}/none.rec", "r")
    with pytest.raises(OSError, match="bucket"):
        MXRecordIO("s3://no-such-bucket/x.rec", "r")
    with pytest.raises(OSError, match="bucket"), MXRecordIO("s3://no-such-bucket/x.rec", "w") as it:
        it.write(b"record")
