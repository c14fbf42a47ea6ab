"""Many runs over a bad network: nothing acknowledged is lost or applied twice."""

import numpy as np
import pytest

from actorflow.kvstore.consistency import Acknowledge, Apply, Consistency, Push
from actorflow.kvstore.core import Deed, ServerCore
from actorflow.testing import check_history
from tests.kvstore._simulation import Simulation, replayed

MODELS = ["sequential", "bounded:0", "bounded:2", "eventual"]


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("first", range(0, 40, 8))
def test_promises_are_kept(model, first):
    for seed in range(first, first + 8):
        simulation = Simulation(model, seed)
        history = simulation.run()
        assert simulation.members.finished, seed
        check_history(history, model)
        verify_log(simulation)


def verify_log(simulation):
    """Each acknowledged push is applied once; the live server's bits are those of its log."""
    applied = []
    core, values = replayed(simulation.server.log, simulation.model, applied)
    once = [(key, push.worker, push.seq) for key, apply in applied for push in apply.pushes]
    assert len(once) == len(set(once))
    wanted = {(n["key"], n["worker"], n["seq"]) for n in simulation.pushes if n["end"] is not None}
    assert wanted <= set(once)
    made = {(n["key"], n["worker"], n["seq"]) for n in simulation.pushes}
    assert set(once) <= made
    for key, value in values.items():
        live = simulation.server.values[key]
        assert value.number == live.number
        assert value.floats.tobytes() == live.floats.tobytes()
        assert core.keys[key].version == simulation.server.core.keys[key].version


@pytest.mark.parametrize("seed", range(5))
def test_sequential_sums_have_the_bits_of_one_process(seed):
    simulation = Simulation("sequential", seed, faults=False)
    simulation.run()
    for key in simulation.keys:
        pushes = {(n["seq"], n["worker"]): n["value"] for n in simulation.pushes if n["key"] == key}
        total = np.zeros(3, np.float32)
        for round_ in sorted({seq for seq, _ in pushes}):
            values = [pushes[at].floats for at in sorted(pushes) if at[0] == round_]
            merged = values[0].copy()
            for value in values[1:]:
                merged += value
            total += merged
        assert simulation.server.values[key].floats.tobytes() == total.tobytes()


@pytest.mark.slow
def test_the_network_is_bad_and_faults_happen():
    """Else the tests above would show little."""
    runs = [Simulation("eventual", seed) for seed in range(10)]
    for run in runs:
        run.run()
    assert sum(run.refused for run in runs) > 5
    assert any(worker.incarnation > 1 for run in runs for worker in run.processes)
    assert any(note["end"] is None for run in runs for note in run.pushes)


class Twice(ServerCore):
    """Applies a push as often as it comes."""

    def push(self, key, worker, seq, value):
        found = super().push(key, worker, seq, value)
        if isinstance(getattr(found[0], "action", None), Acknowledge):
            found.append(Deed(key, Apply(0, (Push(worker, seq, value),))))
        return found


class Hasty(ServerCore):
    """Answers at once."""

    def pull(self, key, worker, seen, ticket, now, *, at_least=0):
        del seen
        return super().pull(key, worker, -99, ticket, now, at_least=at_least)


@pytest.mark.parametrize(
    ("kind", "model", "complaint"),
    [
        (Twice, "eventual", "has the value"),
        (Hasty, "sequential", "lacks its worker's own push"),
        (Hasty, "eventual", "lacks its worker's own push"),
    ],
)
def test_a_wrong_server_is_found_out(kind, model, complaint):
    simulation = Simulation(model, 1, faults=False)
    core = kind(Consistency.parse(model))
    for event in simulation.server.log:
        core.replay(event)
    simulation.server.core = core
    with pytest.raises(AssertionError, match=complaint):
        check_history(simulation.run(), model)
