"""Engines to test on."""

import pytest

from actorflow.engine import Engine
from tests.engine._helpers import close


@pytest.fixture(params=[1, 2, 8], ids="{} workers".format)
def engine(request):
    """Make a threaded engine; failures that a test leaves behind are its own business."""
    engine = Engine(workers=request.param)
    yield engine
    close(engine)


@pytest.fixture(params=["threaded", "naive"])
def any_engine(request):
    """Make an engine of each type."""
    engine = Engine(workers=2, engine_type=request.param)
    yield engine
    close(engine)
