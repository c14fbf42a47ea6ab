"""What batches and iterators of users are."""

import copy
import subprocess
import sys

import numpy as np
import pytest

import actorflow as af
from actorflow import io, nd
from tests.io._sources import contents


def test_descriptions_are_pairs():
    desc = io.DataDesc("data", [2, 3], "int32", "TN")
    name, shape = desc
    assert (name, shape, desc.dtype, desc.layout) == ("data", (2, 3), np.int32, "TN")
    assert repr(desc) == "DataDesc[data,(2, 3),int32,TN]"
    again = copy.deepcopy(desc)  # as pickle does
    assert (again, again.dtype, again.layout) == (desc, desc.dtype, "TN")
    assert [io.DataDesc.get_batch_axis(layout) for layout in (None, "TN", "C")] == [0, 1, -1]
    made = io.DataDesc.get_list([("a", (1,)), ("b", (2,))], [("a", "int8"), ("b", "float64")])
    assert [each.dtype for each in made] == [np.int8, np.float64]
    assert io.DataDesc.get_list([("a", (1,))], None)[0].dtype == np.float32


def test_batches():
    batch = io.DataBatch([nd.ones((2, 3))], pad=1)
    assert (batch.label, batch.pad, batch.index, batch.bucket_key) == (None, 1, None, None)
    assert repr(batch) == "<DataBatch data [(2, 3)] label [] pad 1>"
    with pytest.raises(TypeError, match="data has to be a list of arrays, got NDArray"):
        io.DataBatch(nd.ones((2,)))


class Old(io.DataIter):
    """As programs for MXNet write iterators."""

    def __init__(self):
        super().__init__(1)
        self.at = -1

    @property
    def provide_data(self):
        return [("data", (1,))]

    @property
    def provide_label(self):
        return []

    def reset(self):
        self.at = -1

    def iter_next(self):
        self.at += 1
        return self.at < 3

    def getdata(self):
        return [nd.array([self.at])]


def test_an_iterator_of_a_user(engine):
    iterator = Old()
    assert [batch[0] for batch in contents(iterator)] == [[[0]], [[1]], [[2]]]
    iterator.reset()
    batch = iterator.next()
    assert (batch.label, batch.pad, batch.index) == (None, 0, None)
    wrapped = io.PrefetchingIter([io.ResizeIter(Old(), 2)])
    assert [batch[0] for batch in contents(wrapped)] == [[[0]], [[1]]]


def test_what_is_missing_is_named():
    class Empty(io.DataIter):
        pass

    with pytest.raises(NotImplementedError, match="Empty does not define next, or iter_next"):
        Empty().next()
    with pytest.raises(NotImplementedError, match="Empty does not define provide_data"):
        _ = Empty().provide_data
    with pytest.raises(af.errors.ActorflowError, match="there is no batch yet"):
        io.NDArrayIter(np.ones(3)).getdata()


def test_it_is_imported_when_it_is_used():
    program = (
        "import sys, actorflow as af; assert 'actorflow.io' not in sys.modules; "
        "af.io.NDArrayIter; assert 'io' in af.__all__"
    )
    subprocess.run([sys.executable, "-c", program], check=True)  # noqa: S603 -- this program
