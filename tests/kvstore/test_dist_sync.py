"""`dist_sync` with real processes."""

import numpy as np
import pytest

import actorflow as af
from tests.kvstore._processes import Run

STEPS = """
kv.set_optimizer(af.optimizer.SGD(learning_rate=0.1, momentum=0.9, rescale_grad=0.5))
shapes = {"a": (3, 4), 7: (5,), "big": (SIZE,)}
rng = np.random.default_rng(3)
mine = np.float32(kv.rank == 0)  # the others' values do not count
kv.init({k: af.nd.array(rng.normal(size=s).astype("f") * mine) for k, s in shapes.items()})
outs = {k: af.nd.zeros(s) for k, s in shapes.items()}
for step in range(4):
    mine = np.random.default_rng(100 * step + kv.rank)
    grads = {k: af.nd.array(mine.normal(size=s).astype("f")) for k, s in shapes.items()}
    kv.push(grads)
    kv.pull(outs)
kv.barrier()
print(kv.rank, kv.num_workers, *[outs[k].asnumpy().tobytes().hex()[:64] for k in shapes])
import hashlib
print(hashlib.sha256(b"".join(outs[k].asnumpy().tobytes() for k in shapes)).hexdigest())
"""


def single_process(workers, size):
    """The same by a local store, which adds up devices in the order of the ranks."""
    import hashlib

    kv = af.kv.create("local")
    kv.set_optimizer(af.optimizer.SGD(learning_rate=0.1, momentum=0.9, rescale_grad=0.5))
    shapes = {"a": (3, 4), 7: (5,), "big": (size,)}
    rng = np.random.default_rng(3)
    kv.init({k: af.nd.array(rng.normal(size=s).astype("f")) for k, s in shapes.items()})
    outs = {k: af.nd.zeros(s) for k, s in shapes.items()}
    for step in range(4):
        draws = [np.random.default_rng(100 * step + rank) for rank in range(workers)]
        grads = {
            k: [af.nd.array(draw.normal(size=s).astype("f")) for draw in draws]
            for k, s in shapes.items()
        }
        kv.push(grads)
        kv.pull(outs)
    return hashlib.sha256(b"".join(outs[k].asnumpy().tobytes() for k in shapes)).hexdigest()


@pytest.mark.parametrize(("servers", "workers", "size"), [(1, 2, 40_000), (3, 2, 1_100_000)])
def test_it_equals_a_single_process_bit_for_bit(servers, workers, size):
    with Run(
        STEPS.replace("SIZE", str(size)), "dist_sync", workers=workers, servers=servers
    ) as run:
        outputs = run.outputs()
    expected = single_process(workers, size)
    for rank, output in enumerate(outputs):
        first, digest = output.split("\n")[:2]
        assert first.startswith(f"{rank} {workers} ")
        assert digest == expected
