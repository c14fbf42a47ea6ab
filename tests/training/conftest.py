"""The engines on which a run's parts are tested."""

import pytest

from actorflow.engine import Engine


@pytest.fixture(params=["naive", "threaded", "verifying"])
def engine(request):
    """An engine of each type in turn, the current one during the test."""
    if request.param == "naive":
        made = Engine(engine_type="naive")
    else:
        made = Engine(workers=2, engine_type="threaded", verify=request.param == "verifying")
    with made:
        yield made
