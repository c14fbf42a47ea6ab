"""The engines on which users' operators run."""

import pytest

from actorflow.engine import Engine

OPTIONS = {
    "naive": {"engine_type": "naive"},
    "one-worker": {"workers": 1},
    "three-workers": {"workers": 3},
    "verifying": {"workers": 2, "verify": True},
}


@pytest.fixture(params=OPTIONS)
def engine(request):
    """An engine of each type in turn, the current one during the test."""
    with Engine(**OPTIONS[request.param]) as made:
        yield made
