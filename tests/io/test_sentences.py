"""Sentences in buckets."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import actorflow as af
from actorflow import io
from tests.io._sources import contents


@settings(max_examples=40, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 7), min_size=1, max_size=40),
    size=st.integers(1, 4),
    layout=st.sampled_from(["NT", "TN"]),
)
def test_batches_hold_sentences_of_one_bucket(lengths, size, layout):
    sentences = [list(range(100 * n, 100 * n + length)) for n, length in enumerate(lengths)]
    buckets = [3, 5]
    counts = [sum(n <= 3 for n in lengths), sum(3 < n <= 5 for n in lengths)]
    batches = sum(count // size for count in counts)
    with af.Engine(engine_type="naive"):
        if not batches:
            with pytest.raises(ValueError, match="no bucket has the"):
                io.BucketSentenceIter(sentences, size, buckets)
            return
        iterator = io.BucketSentenceIter(sentences, size, buckets, layout=layout, dtype="int32")
        assert iterator.discarded == sum(n > 5 for n in lengths)
        seen = []
        for batch in iterator:
            words, following = batch.data[0].asnumpy(), batch.label[0].asnumpy()
            assert batch.provide_data == [("data", words.shape)]
            if layout == "TN":
                words, following = words.T, following.T
            assert words.shape == (size, batch.bucket_key)
            assert (following[:, :-1] == words[:, 1:]).all()
            assert (following[:, -1] == -1).all()
            seen += [row[row >= 0].tolist() for row in words]
        assert len(seen) == batches * size
        for sentence in sentences:
            assert seen.count(sentence) <= sentences.count(sentence)
        assert all(sentence in sentences for sentence in seen)


def test_default_buckets_and_orders(engine):
    sentences = [[n] * (1 + n % 3) for n in range(12)] + [[1] * 9]
    iterator = io.BucketSentenceIter(sentences, 2, seed=1)
    assert (iterator.buckets, iterator.default_bucket_key) == ([1, 2, 3], 3)
    assert iterator.provide_data == [("data", (2, 3))]
    first = contents(iterator)
    iterator.reset()
    assert first != contents(iterator)
    again = io.BucketSentenceIter(sentences, 2, seed=1)
    assert contents(again) == first


def test_encoding():
    coded, vocabulary = io.encode_sentences([["a", "b"], ["b", "c"]], start_label=0)
    assert coded == [[0, 1], [1, 2]]
    assert io.encode_sentences([["c"]], vocabulary)[0] == [[2]]
    with pytest.raises(KeyError, match="'d' is not in vocab; needs an unknown_token"):
        io.encode_sentences([["d"]], vocabulary)
    unknown = "?"
    assert io.encode_sentences([["d", "e"]], {"?": 7}, unknown_token=unknown)[0] == [[7, 7]]
    with pytest.raises(ValueError, match="layout must be one of NT, TN, got 'CN'"):
        io.BucketSentenceIter([[1]], 1, layout="CN")
    assert np.array_equal(io.encode_sentences([["a"]], invalid_label=0)[0], [[1]])
