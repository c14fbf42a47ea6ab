"""Verification mode: operators that lie about their memory are caught by name."""

import attrs
import numpy as np
import pytest

from actorflow import nd
from actorflow.engine import Engine
from actorflow.errors import VerificationError
from actorflow.ndarray.invoke import invoke
from actorflow.ops import Operator


@pytest.fixture
def verifying():
    with Engine(workers=2, verify=True) as engine:
        yield engine


@attrs.frozen
class Lying(Operator):
    """An operator that does something else than it says."""

    name = "lying"
    inputs = ("data",)

    def output_shape(self, *shapes):
        return shapes[0]

    def output_type(self, *dtypes):
        return dtypes[0]


class WritesNothing(Lying):
    def forward(self, data, output):
        pass


class WritesItsInput(Lying):
    def forward(self, data, output):
        data += 1
        output[...] = data


class WritesHalf(Lying):
    def forward(self, data, output):
        output[: len(output) // 2] = data[: len(output) // 2]


@pytest.mark.parametrize("dtype", ["float32", "float16", "int32", "uint8", "bool", "int64"])
def test_an_output_that_was_not_written_is_found(verifying, dtype):
    x = nd.ones((4,), dtype=dtype)
    with pytest.raises(VerificationError, match=r"lying: .* shape \(4,\) .*wrote nothing there"):
        invoke(WritesNothing(), (x,)).asnumpy()


def test_what_was_not_written_of_an_output_is_nan(verifying):
    x = nd.ones((4,))
    assert np.isnan(invoke(WritesHalf(), (x,)).asnumpy()).tolist() == [False, False, True, True]


def test_an_input_cannot_be_written(verifying):
    x = nd.ones((4,))
    with pytest.raises(ValueError, match="read-only"):
        invoke(WritesItsInput(), (x,)).asnumpy()
    assert x.asnumpy().tolist() == [1, 1, 1, 1]


def test_outside_verification_nothing_is_checked():
    with Engine(workers=2):
        invoke(WritesNothing(), (nd.ones((4,)),)).wait_to_read()


def test_integers_may_be_what_the_poison_is(verifying):
    for dtype in ("uint8", "int8", "int32", "int64"):
        poisoned = np.frombuffer(b"\xa5" * 8, dtype)
        x = nd.array(poisoned, dtype=dtype)
        assert x.copy().asnumpy().tolist() == poisoned.tolist()
        assert (
            nd.add(x, 0, out=nd.empty(x.shape, dtype=dtype)).asnumpy().tolist()
            == x.asnumpy().tolist()
        )


def test_touching_an_undeclared_array_is_refused(verifying):
    declared, other, result = nd.ones((4,)), nd.ones((4,)), nd.empty((4,))

    def touches():
        result._data()[:] = declared._data() + other._data()

    operation = verifying.push(
        touches, reads=(declared.resource,), writes=(result.resource,), name="touches"
    )
    with pytest.raises(VerificationError, match=r"operation 'touches' touched an array of shape"):
        operation.wait()
    operation = verifying.push(
        touches, reads=(declared.resource, other.resource), writes=(result.resource,)
    )
    operation.wait()
    assert result.asnumpy().tolist() == [2] * 4


def test_a_declared_part_does_not_open_the_rest(verifying):
    x = nd.ones((4, 2))
    inside = verifying.push(lambda: x[1]._data().sum(), reads=(x[1:3].resource,), name="inside")
    assert inside.wait() == 2
    beyond = verifying.push(lambda: x[0]._data().sum(), reads=(x[1:3].resource,), name="beyond")
    with pytest.raises(VerificationError, match="operation 'beyond'"):
        beyond.wait()


def test_a_users_function_that_fills_nothing_is_found(verifying):
    x = nd.ones((4,))
    y = nd.apply(lambda a, out: None, x, ((4,), "float32"), fills=True, name="mine")
    with pytest.raises(VerificationError, match=r"^mine: "):
        y.asnumpy()
    nd.apply(lambda a, out: None, x, x, fills=True).wait_to_read()  # it is an input too
    assert x.asnumpy().tolist() == [1] * 4
