"""The engines on which the tests of optimizers run."""

import pytest

from actorflow.engine import Engine


@pytest.fixture(params=["naive", "threaded"])
def engine(request):
    """An engine of each type in turn, the current one during the test."""
    with Engine(engine_type=request.param) as made:
        yield made
