"""The engines on which iterators run, and files to read."""

import gzip
import struct

import pytest

from actorflow.engine import Engine


@pytest.fixture(params=["naive", "0", "1", "2", "3", "verifying"])
def engine(request):
    """An engine of each kind in turn, the current one during the test."""
    if request.param == "naive":
        made = Engine(engine_type="naive")
    elif request.param == "verifying":
        made = Engine(workers=2, engine_type="threaded", verify=True)
    else:
        made = Engine(workers=int(request.param), engine_type="threaded")
    with made:
        yield made


@pytest.fixture
def csv(tmp_path):
    """A file of five rows, and one of their labels."""
    data, labels = tmp_path / "data.csv", tmp_path / "labels.csv"
    data.write_text("".join(f"{i},{i + 0.5}\n" for i in range(5)))
    labels.write_text("".join(f"{i * 10}\n" for i in range(5)))
    return data, labels


@pytest.fixture(params=[False, True], ids=["plain", "gzip"])
def mnist(tmp_path, request):
    """Seven images of four pixels and their labels."""
    images, labels = tmp_path / "images", tmp_path / "labels"
    pack = gzip.compress if request.param else bytes
    images.write_bytes(pack(struct.pack(">4I", 0x803, 7, 2, 2) + bytes(range(28))))
    labels.write_bytes(pack(struct.pack(">2I", 0x801, 7) + bytes(range(7))))
    return images, labels
