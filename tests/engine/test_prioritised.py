"""Operations that are pushed without a priority have that of the block around."""

import pytest

from actorflow.engine import Engine, Instrument, prioritised
from tests.engine._helpers import Boom, boom, run_all, stepping


def nothing():
    """What operations do here."""


def test_the_innermost_block_counts_and_what_is_said_more():
    with stepping("priority") as engine:
        operations = [engine.push(nothing, name="before")]
        with prioritised(-2):
            operations.append(engine.push(nothing))
            with prioritised(3):
                operations += [engine.push(nothing), engine.push(nothing, priority=1)]
            operations.append(engine.push(nothing))
        operations.append(engine.push(nothing))
        assert [each.priority for each in operations] == [0, -2, 3, 1, -2, 0]
        run_all(engine)


def test_a_block_ends_with_an_exception():
    with stepping() as engine:
        with pytest.raises(Boom), prioritised(5):
            boom()
        assert engine.push(nothing).priority == 0
        run_all(engine)


def test_instruments_of_a_naive_engine_see_it():
    class Noting(Instrument):
        def started(self, operation):
            seen.append(operation.priority)

    seen = []
    with Engine(engine_type="naive", instruments=[Noting()]) as engine, prioritised(4):
        engine.push(nothing)
    assert seen == [4]
