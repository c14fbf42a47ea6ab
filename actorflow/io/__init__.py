"""Iterators that feed networks with batches: early MXNet's `mx.io`."""

from actorflow.io.batch import DataBatch, DataDesc
from actorflow.io.csv_iter import CSVIter
from actorflow.io.image_record import ImageRecordIter
from actorflow.io.iterator import DataIter
from actorflow.io.mnist import MNISTIter
from actorflow.io.prefetch import PrefetchingIter
from actorflow.io.resize import ResizeIter
from actorflow.io.rows import NDArrayIter
from actorflow.io.sentences import BucketSentenceIter, encode_sentences

__all__ = [
    "BucketSentenceIter",
    "CSVIter",
    "DataBatch",
    "DataDesc",
    "DataIter",
    "ImageRecordIter",
    "MNISTIter",
    "NDArrayIter",
    "PrefetchingIter",
    "ResizeIter",
    "encode_sentences",
]
