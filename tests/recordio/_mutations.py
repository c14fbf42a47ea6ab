"""Files that were damaged in one way or several, and how much memory reading them may take."""

import tracemalloc
from contextlib import contextmanager

from hypothesis import strategies as st

HUGE = [b"\xff\xff\xff\x1f", b"\xff\xff\xff\xff", b"\x00\x00\x00\x80", b"\x7f\xff\xff\xff"]
MAGIC = b"\x0a\x23\xd7\xce"


@st.composite
def mutated(draw, contents):
    """The bytes of `contents`: flipped, cut off, spliced, with lengths that are huge."""
    data = bytearray(contents)
    for _ in range(draw(st.integers(1, 5))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        kind = draw(st.sampled_from(["flip", "cut", "take out", "repeat", "put in"]))
        if kind == "flip" and data:
            data[at] ^= draw(st.integers(1, 255))
        elif kind == "cut":
            del data[at:]
        elif kind == "take out":
            del data[at : at + draw(st.integers(1, 40))]
        elif kind == "repeat":
            begin = draw(st.integers(0, at))
            data[at:at] = data[begin : begin + draw(st.integers(1, 60))]
        else:
            new = draw(st.one_of(st.sampled_from([*HUGE, MAGIC, b"\t", b"\n", b"-", b"9" * 30])))
            data[at : at + draw(st.sampled_from([0, len(new)]))] = new
    return bytes(data)


@contextmanager
def at_most(nbytes):
    """Fail if the block takes more memory of Python's than that at a time."""
    tracemalloc.start()
    try:
        yield
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak <= nbytes, f"{peak} bytes, at most {nbytes}"
