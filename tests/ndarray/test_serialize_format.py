"""The `.params` format on NumPy's arrays: no engine, no NDArray."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, strategies as st
from hypothesis.extra import numpy as hnp

from actorflow.errors import DTypeError, FormatError
from actorflow.ndarray.params_format import dumps, loads, read

DATA = Path(__file__).parent.parent / "data"
DTYPES = ["float32", "float64", "float16", "uint8", "int32", "int8", "int64", "bool"]
V1, V2, V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
PLACE = struct.pack("<ii", 1, 0)


def a_file(*arrays, names=()):
    """The contents of a file from the bytes of its arrays and names."""
    head = struct.pack("<QQQ", 0x112, 0, len(arrays)) + b"".join(arrays)
    tail = b"".join(struct.pack("<Q", len(name)) + name for name in names)
    return head + struct.pack("<Q", len(names)) + tail


def an_array(shape, elements=b"", flag=0, version=None, axes=None, stored=0):
    axes = len(shape) if axes is None else axes
    if version is None:
        header = struct.pack(f"<I{len(shape)}I", axes, *shape)
    elif version == V1:
        header = struct.pack(f"<II{len(shape)}q", version, axes, *shape)
    else:
        header = struct.pack(f"<IiI{len(shape)}q", version, stored, axes, *shape)
    return header + PLACE + struct.pack("<i", flag) + elements


TWO = np.array([1, 2], "<f4").tobytes()
GOOD = a_file(
    an_array((2,), TWO),
    an_array((1, 2), TWO, version=V2),
    names=[b"weight", "gr\u00f6\u00dfe".encode()],
)


def same(ours, theirs):
    assert ours.dtype == theirs.dtype
    assert ours.shape == theirs.shape
    np.testing.assert_array_equal(ours, theirs)


@given(
    st.lists(
        hnp.arrays(
            st.sampled_from(DTYPES),
            hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5),
        ),
        max_size=4,
    ),
    st.data(),
)
def test_what_is_dumped_is_loaded(arrays, data):
    count = data.draw(st.sampled_from([0, len(arrays)]))
    names = data.draw(st.lists(st.text(max_size=8), min_size=count, max_size=count, unique=True))
    loaded, loaded_names = loads(dumps(arrays, names))
    assert loaded_names == names
    assert len(loaded) == len(arrays)
    for got, array in zip(loaded, arrays, strict=True):
        same(got, array)
        assert got.flags.writeable


@pytest.mark.parametrize(
    "array",
    [
        np.arange(24, dtype="i4").reshape(4, 6)[::2, ::-3],
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(5, dtype=">f4"),
        np.broadcast_to(np.float16(2), (3, 2)),
        np.arange(3, dtype="u1")[1:],
    ],
)
def test_strides_and_byte_order_do_not_matter(array):
    (got,), _ = loads(dumps([array]))
    np.testing.assert_array_equal(got, array)
    assert got.flags.c_contiguous


def test_the_oldest_header_is_written():
    assert dumps([np.array([1, 2], "f4")]) == a_file(an_array((2,), TWO))
    assert dumps([np.zeros((0, 3), "i8")], ["a"]) == a_file(an_array((0, 3), flag=6), names=[b"a"])


def test_an_array_without_axes_makes_the_whole_file_v3():
    scalar = np.array(2, "f4")
    assert dumps([np.array([1, 2], "f4"), scalar]) == a_file(
        an_array((2,), TWO, version=V3), an_array((), scalar.tobytes(), version=V3)
    )


def test_long_axes_take_v2():
    long = np.broadcast_to(np.uint8(0), (1 << 32, 0))
    assert dumps([long]) == a_file(an_array((1 << 32, 0), flag=3, version=V2))
    (got,), _ = loads(dumps([long]))
    assert got.shape == (1 << 32, 0)


@pytest.mark.parametrize("version", [None, V1, V2, V3])
def test_all_headers_are_read(version):
    for flag, dtype in enumerate(DTYPES):
        array = np.array([[0, 1, 1]], dtype)
        data = a_file(an_array((1, 3), array.tobytes(), flag, version))
        (got,), _ = loads(data)
        same(got, array)


@pytest.mark.parametrize("dtype", ["u2", "c8", "M8[s]", "U1", "O"])
def test_other_dtypes_are_refused(dtype):
    with pytest.raises(DTypeError, match=r"needs one of float32, .*, bool"):
        dumps([np.empty(1, dtype)])


def test_names_must_fit():
    with pytest.raises(ValueError, match="1 names for 2 arrays"):
        dumps([np.zeros(1), np.zeros(1)], ["a"])


# -- Files of MXNet's own ------------------------------------------------------------------------


@pytest.mark.parametrize(("version", "dtypes"), [("0.10.0", DTYPES[:5]), ("1.9.1", DTYPES)])
def test_files_of_mxnet(version, dtypes):
    def golden(name):
        path = DATA / f"mxnet-{version}-{name}.params"
        return loads(path.read_bytes(), str(path))

    arrays, names = golden("list")
    assert names == []
    assert [array.dtype for array in arrays] == dtypes
    for array in arrays:
        assert array.tolist() == [[0, 1, 0], [1, 0, 1]]
    arrays, names = golden("dict")
    content = dict(zip(names, arrays, strict=True))
    assert sorted(content) == ["arg:w", "aux:\u00fc"]
    same(content["arg:w"], np.array([[1.5, -2]], "f4"))
    same(content["aux:\u00fc"], np.ones((1, 2, 1, 1), "f4"))
    same(golden("single")[0][0], np.array([3.25], "f4"))
    assert golden("empty") == ([], [])


def test_a_file_of_mxnets_numpy_mode():
    data = (DATA / "mxnet-1.9.1-numpy.params").read_bytes()
    arrays, _ = loads(data)
    expected = [np.array(2.5, "f4"), np.zeros((0, 3), "f4"), np.ones(2, "f4")]
    for got, array in zip(arrays, expected, strict=True):
        same(got, array)
    assert dumps(expected) == data


@pytest.mark.parametrize("name", ["list", "single", "empty"])
def test_the_files_of_mxnet_0_10_are_written_byte_for_byte(name):
    data = (DATA / f"mxnet-0.10.0-{name}.params").read_bytes()
    assert dumps(*loads(data)) == data


# -- Damaged and hostile files --------------------------------------------------------------------

HUGE = 1 << 60
DAMAGED = {
    "empty": (b"", "x, byte 0: a file's magic number needs 8 bytes, but the file has 0 more"),
    "other format": (
        b"\x89PNG\r\n\x1a\n" * 9,
        "not a file of arrays: it begins with 0xa1a0a0d474e5089",
    ),
    "too many arrays": (
        struct.pack("<QQQ", 0x112, 0, HUGE),
        f"x, byte 16: {HUGE} arrays cannot lie in the 0 bytes that follow",
    ),
    "too many names": (
        struct.pack("<QQQQ", 0x112, 0, 0, HUGE),
        f"byte 24: {HUGE} names cannot lie in the 0 bytes that follow",
    ),
    "other number of names": (
        a_file(an_array((2,), TWO), names=[b"a", b"b"]),
        "byte 52: 2 names for 1 arrays; needs 0 or 1",
    ),
    "long name": (
        a_file(an_array((2,), TWO))[:-8] + struct.pack("<QQ", 1, HUGE),
        f"byte 60: {HUGE} bytes of name 0 cannot lie",
    ),
    "name twice": (
        a_file(an_array((2,), TWO), an_array((2,), TWO), names=[b"a", b"a"]),
        "two arrays are called 'a'",
    ),
    "no UTF-8": (a_file(an_array((2,), TWO), names=[b"\xff"]), "byte 68: name 0 is not UTF-8"),
    "large array": (
        a_file(an_array((1 << 31, 1 << 31), TWO)),
        f"of shape (2147483648, 2147483648) and float32 needs {1 << 64} bytes, but the file has",
    ),
    "unaddressable": (
        a_file(an_array((0, 1 << 62), version=V1)),
        "which nothing can address",
    ),
    "negative size": (
        a_file(an_array((-1, -2), TWO, version=V2)),
        "byte 24: array 0 has shape (-1, -2); needs sizes of at least 0",
    ),
    "many axes": (a_file(an_array((), axes=65)), "array 0 has 65 axes"),
    "later version": (a_file(an_array((), axes=0xF993FACB)), "header unknown here (0xf993facb)"),
    "unknown number of axes": (
        a_file(an_array((), version=V3, axes=0xFFFFFFFF)),
        "array 0 has 4294967295 axes",
    ),
    "no shape": (a_file(an_array((), b"1234")), "array 0 has no shape"),
    "no shape in V2": (a_file(an_array((), b"1234", version=V2)), "array 0 has no shape"),
    "sparse": (
        a_file(an_array((2,), TWO, version=V2, stored=1)),
        "byte 28: array 0 has storage type 1 (sparse); needs 0 (dense)",
    ),
    "type": (
        a_file(an_array((2,), TWO, flag=12)),
        "byte 40: array 0 has type flag 12; needs one of 0 float32, 1 float64, 2 float16, 3 uint8",
    ),
    "negative type": (a_file(an_array((2,), TWO, flag=-1)), "type flag -1"),
    "no bools": (
        a_file(an_array((2,), b"\1\2", flag=7)),
        "bool, but holds bytes other than 0 and 1",
    ),
    "more at the end": (GOOD + b"x", f"byte {len(GOOD)}: 1 more bytes after the last name"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damage_is_named_with_its_place(name):
    data, message = DAMAGED[name]
    with pytest.raises(FormatError) as caught:
        loads(data, "x")
    assert message in str(caught.value)
    assert str(caught.value).startswith("x, byte ")


@pytest.mark.parametrize("nbytes", range(len(GOOD)))
def test_truncated_files(nbytes):
    with pytest.raises(FormatError):
        loads(GOOD[:nbytes])


def read_within_bounds(data):
    """Read hostile bytes; check that nothing larger than they are is allocated."""

    def allocate(shape, dtype):
        array = np.empty(shape, dtype)
        assert array.nbytes <= len(data)
        return array

    try:
        arrays, names = read(io.BytesIO(data), len(data), "data", allocate)
    except FormatError:
        return
    again, names_again = loads(dumps(arrays, names))
    assert names_again == names
    assert [array.tobytes() for array in again] == [array.tobytes() for array in arrays]


@given(st.binary(max_size=200))
@example(GOOD)
def test_any_bytes(data):
    read_within_bounds(data)
    read_within_bounds(struct.pack("<QQQ", 0x112, 0, 1) + data)
    read_within_bounds(struct.pack("<QQQI", 0x112, 0, 1, V3) + data)


@given(
    st.lists(
        st.tuples(st.integers(0, len(GOOD) - 1), st.sampled_from([0, 1, 2, 127, 128, 255])),
        min_size=1,
        max_size=4,
    )
)
def test_a_good_file_with_some_bytes_changed(changes):
    data = bytearray(GOOD)
    for where, byte in changes:
        data[where] = byte
    read_within_bounds(bytes(data))


@pytest.mark.parametrize("nbytes", [30, 50, 70])
def test_a_file_that_becomes_shorter_while_it_is_read(nbytes):
    with pytest.raises(FormatError, match="became shorter"):
        read(io.BytesIO(GOOD[:nbytes]), len(GOOD), "x")
