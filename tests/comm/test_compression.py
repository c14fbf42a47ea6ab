"""Compression: nothing is lost but for a while, and payloads are checked."""

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra.numpy import arrays

from actorflow.comm import Compressor, decompress
from actorflow.errors import AnomalyError, DTypeError, FormatError, ParameterError, ShapeError

# Multiples of 1/64 below 16: every sum below is exact, so that the identities hold to the bit.
exact = st.integers(-1000, 1000).map(lambda n: np.float32(n / 64))
gradients = st.integers(0, 40).flatmap(
    lambda size: st.lists(arrays(np.float32, size, elements=exact), min_size=1, max_size=5)
)
floats = arrays(np.float32, st.integers(0, 40), elements=st.floats(-(2.0**99), 2.0**99, width=32))


def sent(compressor, gradient):
    payload = compressor.compress(gradient)
    assert payload.dtype == np.uint8
    threshold = compressor.threshold if compressor.kind == "2bit" else 0.0
    return decompress(compressor.kind, payload, gradient.size, threshold=threshold)


@pytest.mark.parametrize("kind", ["2bit", "topk"])
@given(given_=gradients, number=st.integers(1, 64))
def test_what_was_sent_and_the_residual_are_what_was_given(kind, given_, number):
    compressor = Compressor(kind=kind, threshold=number / 64, ratio=number / 64)
    total = sum(sent(compressor, gradient) for gradient in given_)
    assert np.array_equal(total + compressor.residual, sum(given_))


@given(floats, st.sampled_from([0.5, 1e-3, 7.0]))
def test_two_bits_send_the_threshold_where_it_is_reached(gradient, threshold):
    found = sent(Compressor(kind="2bit", threshold=threshold), gradient)
    threshold = np.float32(threshold)
    expected = np.where(gradient >= threshold, threshold, 0)
    expected = np.where(gradient <= -threshold, -threshold, expected)
    assert np.array_equal(found, expected)


def test_two_bits_are_a_sixteenth():
    assert Compressor(kind="2bit").compress(np.ones(1600, np.float32)).nbytes == 400


@given(floats, st.floats(0.01, 1))
def test_top_sends_the_largest(gradient, ratio):
    compressor = Compressor(kind="topk", ratio=ratio)
    found = sent(compressor, gradient)
    count = max(1, int(ratio * gradient.size)) if gradient.size else 0
    left = np.abs(compressor.residual)
    assert np.count_nonzero(found) <= count
    assert not count or left.max() <= np.sort(np.abs(gradient))[-count]
    assert np.array_equal(found + compressor.residual, gradient)


@given(arrays(np.float32, 7, elements=st.floats(width=32)))
def test_half_rounds_and_keeps_finite_what_is(gradient):
    found = sent(Compressor(kind="float16"), gradient)
    assert np.array_equal(np.isfinite(found), np.isfinite(gradient))
    inside = np.abs(gradient) <= 65504
    assert np.array_equal(found[inside], gradient[inside].astype(np.float16))


def test_mistakes_change_nothing():
    compressor = Compressor(kind="2bit")
    compressor.compress(np.full(4, 0.25, np.float32))
    before = compressor.residual.copy()
    with pytest.raises(ShapeError, match="3 elements after 4"):
        compressor.compress(np.ones(3, np.float32))
    with pytest.raises(DTypeError, match="needs float32"):
        compressor.compress(np.ones(4))
    for bad in (np.nan, np.inf):
        with pytest.raises(AnomalyError):
            compressor.compress(np.array([1, bad, 1, 1], np.float32))
    assert np.array_equal(compressor.residual, before)


@pytest.mark.parametrize(
    "wrong",
    [{"kind": "1bit"}, {"threshold": 0}, {"threshold": np.inf}, {"ratio": 0}, {"ratio": 1.1}],
)
def test_arguments_are_checked(wrong):
    with pytest.raises(ParameterError):
        Compressor(**{"kind": "2bit", **wrong})


def raw(text):
    return np.frombuffer(bytes(text), np.uint8)


TOP = [*(1, 0, 0, 0), *(3, 0, 0, 0), *bytes(8)]


@pytest.mark.parametrize(
    ("kind", "payload", "size"),
    [
        ("float16", raw([1, 2, 3]), 2),
        ("2bit", raw([0]), 5),
        ("2bit", raw([0b11]), 4),
        ("2bit", raw([0b01000000]), 3),
        ("topk", raw(TOP[:-1]), 4),
        ("topk", raw(TOP), 3),
        ("topk", raw(TOP), 1),
        ("topk", raw(TOP[4:8] + TOP[:4] + TOP[8:]), 4),
        ("1bit", raw([]), 0),
        ("float16", np.zeros(1, np.float16), 1),
    ],
)
def test_payloads_are_checked(kind, payload, size):
    with pytest.raises(FormatError):
        decompress(kind, payload, size, threshold=0.5)


@given(st.sampled_from(["float16", "2bit", "topk"]), st.binary(max_size=40), st.integers(0, 50))
def test_any_payload_is_an_error_or_a_gradient(kind, payload, size):
    try:
        found = decompress(kind, raw(payload), size, threshold=0.5)
    except FormatError:
        return
    assert found.shape == (size,)
