"""Numbers parsed together are those that Python reads one by one, to the last bit."""

import numpy as np
import pytest
from hypothesis import example, given, settings, strategies as st

from actorflow.errors import FormatError
from actorflow.io.decimals import parse_plain
from actorflow.io.text import Lines, Place

F4, F8, I8, U1 = (np.dtype(name) for name in ("float32", "float64", "int64", "uint8"))


def plain(text, width=1, dtype=F8):
    return parse_plain(text, width, dtype)


FIELDS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.floats(-1e6, 1e6).map("{:.6f}".format),
    st.floats(-1e6, 1e6).map("{:.18e}".format),
    st.integers(-(10**32), 10**32).map(str),
    st.decimals(allow_nan=False, allow_infinity=False, places=25, min_value=-99, max_value=99).map(
        "{:f}".format
    ),
    st.sampled_from(["-0", "0", "-0.0", ".5", "5.", "-.5", "-5.", "007", "9007199254740993"]),
    st.sampled_from(["0.1", "1e400", "-1e400", "1e-400", "0." + "0" * 23 + "7", "12345678.9"]),
)


@pytest.mark.slow
@settings(deadline=None, max_examples=300)
@given(rows=st.lists(st.tuples(FIELDS, FIELDS, FIELDS), min_size=1, max_size=6))
@example(rows=[("0.1", "0.2", "0.3"), ("1", "2", "-0")])
def test_the_same_as_one_by_one(rows):
    text = "".join(",".join(row) + "\n" for row in rows).encode()
    expected = np.array([[float(field) for field in row] for row in rows])
    found = plain(text, 3)
    assert found is not None
    assert found.tobytes() == expected.tobytes()  # with the sign of 0
    with np.errstate(over="ignore"):
        assert plain(text, 3, F4).tobytes() == expected.astype(F4).tobytes()


@pytest.mark.slow
@settings(deadline=None, max_examples=500)
@given(text=st.text(alphabet="0123456789.-+eE,\n ", max_size=24), width=st.integers(1, 3))
@example(text="1.2.3\n", width=1)
@example(text=".-5\n", width=1)
@example(text="1-5\n", width=1)
@example(text="--5\n", width=1)
@example(text=".\n", width=1)
@example(text="-\n", width=1)
@example(text="1,\n,2\n", width=2)
@example(text="1\n2,3,4\n", width=2)
@example(text="1+2\n", width=1)
def test_what_is_taken_is_what_it_says(text, width):
    found = plain(text.encode(), width)
    if found is None:
        return
    lines = text.removesuffix("\n").split("\n")
    assert text.endswith("\n")
    expected = [[float(field) for field in line.split(",")] for line in lines]
    np.testing.assert_array_equal(found, np.array(expected))


@pytest.mark.parametrize(
    ("text", "dtype", "expected"),
    [
        (b"1,-2\n", I8, [[1, -2]]),
        (b"999999999999999999,-999999999999999999\n", I8, [[10**18 - 1, 1 - 10**18]]),
        (b"0,255\n", U1, [[0, 255]]),
        (b"0,256\n", U1, None),
        (b"0,-1\n", U1, None),
        (b"1.0,2\n", I8, None),
        (b"1e2,2\n", I8, None),
        (b"9999999999999999999,0\n", I8, None),
        (b"1,2\n", np.dtype("float16"), None),
        (b"1,2\n", np.dtype("bool"), None),
        (b"1, 2\n", F4, None),
        (b"inf,2\n", F4, None),
        (b"1,2", F4, None),
        (b"", F4, None),
    ],
)
def test_types_and_what_is_left_to_others(text, dtype, expected):
    found = plain(text, 2, dtype)
    assert (None if found is None else found.tolist()) == expected
    if found is not None:
        assert found.dtype == dtype


class Memory:
    """A source of bytes."""

    name = "a.csv"

    def __init__(self, data, block_nbytes):
        self.data, self.block_nbytes = data, block_nbytes

    def size(self):
        return len(self.data)

    def read(self, offset, nbytes):
        return self.data[offset : offset + nbytes]


LINES = st.sampled_from(
    [b"1,2", b"3.5,-4", b" 5, 6 ", b"", b"  ", b"7,8\r", b"1e1,nan", b"\r", b"9,0.1"]
)


@pytest.mark.slow
@settings(deadline=None, max_examples=300)
@given(
    lines=st.lists(LINES, max_size=12),
    block=st.integers(1, 40),
    sizes=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    end=st.sampled_from([b"", b"\n", b"\n\n"]),
)
def test_any_lines_in_any_steps(lines, block, sizes, end):
    source = Lines("CSVIter", Memory(b"\n".join(lines) + end, block), 2)
    expected = [[float(field) for field in line.split(b",")] for line in lines if line.strip()]
    place, found, step = Place(), [], 0
    while source.has_more(place):
        size = sizes[step % len(sizes)]
        values, place = source.take(place, size, F8)
        assert len(values) == min(size, len(expected) - len(found))
        found += values.tolist()
        step += 1
    np.testing.assert_array_equal(np.array(found), np.array(expected))
    values, behind = source.take(place, 3, F8)
    assert values.shape == (0, 2)
    assert not source.has_more(behind)


@pytest.mark.slow
@settings(deadline=None, max_examples=200)
@given(data=st.data())
def test_the_line_of_what_is_wrong(data):
    count = data.draw(st.integers(1, 30))
    lines = [b"%d,%d.5" % (each, each) for each in range(count)]
    bad = data.draw(st.integers(0, count - 1))
    wrong, told = data.draw(
        st.sampled_from(
            [
                (b"1,2,3", "has 3 numbers, needs 2"),
                (b"1", "has 1 numbers, needs 2"),
                (b"1,x", "column 2: 'x' is no float64"),
                (b"1.2.3,1", "column 1: '1.2.3' is no float64"),
                (b"1,", "column 2: '' is no float64"),
            ]
        )
    )
    lines[bad] = wrong
    source = Lines("CSVIter", Memory(b"\n".join(lines), data.draw(st.integers(1, 99))), 2)
    place = Place()
    size = data.draw(st.integers(1, 10))
    for _ in range(bad // size):
        _, place = source.take(place, size, F8)
    with pytest.raises(FormatError, match=rf"CSVIter: a.csv, line {bad + 1}[,:] .*{told}|{told}"):
        source.take(place, size, F8)
