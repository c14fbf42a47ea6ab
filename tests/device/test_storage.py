"""The pool of host memory: loans end by themselves, books add up, nothing is hoarded."""

import gc
import itertools
import random
import subprocess
import sys
import threading
import weakref

import numpy as np
import pytest
from hypothesis import given, strategies as st

from actorflow.device import Storage, size_class
from actorflow.errors import OutOfMemoryError

MB = 1 << 20


@pytest.fixture
def storage():
    pool = Storage()
    yield pool
    pool.check()


def address(array):
    return array.__array_interface__["data"][0]


@given(st.integers(1, 1 << 45))
def test_size_classes_add_a_sixteenth_at_most(nbytes):
    size = size_class(nbytes)
    assert nbytes <= size <= nbytes * 17 / 16
    assert size_class(size) == size


def test_powers_of_two_are_size_classes():
    assert all(size_class(1 << k) == 1 << k for k in range(40))


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "u1", "i4", "i1", "i8", "?"])
@pytest.mark.parametrize("shape", [40_000, (200, 201), (30, 40, 50), [7, 11, 13, 17]])
def test_arrays_are_as_asked_for(storage, shape, dtype):
    array = storage.allocate(shape, dtype)
    assert array.shape == np.empty(shape).shape
    assert array.dtype == dtype
    assert array.flags.c_contiguous
    assert array.flags.writeable
    assert address(array) % 64 == 0
    array.fill(1)


def test_memory_is_lent_again_when_the_array_is_gone(storage):
    array = storage.allocate((512, 512), np.float32)
    first = address(array)
    statistics = storage.statistics()
    assert (statistics.live_nbytes, statistics.cached_nbytes, statistics.misses) == (MB, 0, 1)
    del array
    statistics = storage.statistics()
    assert (statistics.live_nbytes, statistics.cached_nbytes) == (0, MB)
    assert address(storage.allocate(MB, np.uint8)) == first
    assert storage.statistics().hits == 1


@pytest.mark.parametrize(
    "see",
    [
        lambda array: array[3:],
        lambda array: array.T[5:, ::2],
        lambda array: array.reshape(-1)[100:].view(np.uint16),
        lambda array: array.base,
        lambda array: memoryview(array)[1:],
        np.from_dlpack,
        lambda array: np.lib.stride_tricks.as_strided(array, (2,), (4,)),
        lambda array: array.view(type("Sub", (np.ndarray,), {}))[1:],
        lambda array: np.frombuffer(array, np.uint8),
        iter,
        lambda array: [row for row in array][-1],  # noqa: C416
    ],
)
def test_memory_that_somebody_can_see_is_never_lent_again(storage, see):
    array = storage.allocate((512, 512), np.float32)
    array.fill(1)
    first = address(array)
    seen = see(array)
    del array
    gc.collect()
    other = storage.allocate((512, 512), np.float32)
    assert address(other) != first
    assert storage.statistics().live_nbytes == 2 * MB
    del seen
    assert storage.statistics().live_nbytes == MB
    assert address(storage.allocate((512, 512), np.float32)) == first


def test_a_slightly_larger_block_serves_too(storage):
    del_me = storage.allocate(MB + MB // 16, np.uint8)
    first = address(del_me)
    del del_me
    assert address(storage.allocate(MB, np.uint8)) == first
    storage.allocate(MB // 2, np.uint8)
    assert storage.statistics().misses == 2


def test_small_arrays_bypass_the_pool(storage):
    arrays = [storage.allocate(10, np.float32), storage.allocate((0, 5), "f4", 0)]
    assert [array.shape for array in arrays] == [(10,), (0, 5)]
    assert storage.allocate((), np.float64).shape == ()
    assert storage.statistics().misses == 0


def test_an_empty_array_is_small_whatever_the_limit():
    pool = Storage(small_nbytes=0)
    assert pool.allocate((0, 3), np.float32).shape == (0, 3)
    assert pool.allocate(1, np.uint8).shape == (1,)
    pool.check()


def test_the_cache_has_a_cap():
    pool = Storage(max_cached_nbytes=3 * MB)
    arrays = [pool.allocate(MB, np.uint8) for _ in range(5)]
    addresses = [address(array) for array in arrays]
    while arrays:
        del arrays[0]
    assert pool.statistics().cached_nbytes == 3 * MB
    again = [pool.allocate(MB, np.uint8) for _ in range(3)]
    assert [address(array) for array in again] == addresses[:1:-1]  # the oldest two went
    pool.check()


def test_a_cap_of_nothing_caches_nothing():
    pool = Storage(max_cached_nbytes=0)
    pool.allocate(MB, np.uint8)
    assert pool.statistics().cached_nbytes == 0
    pool.check()


def test_trim(storage):
    arrays = [storage.allocate(MB, np.uint8) for _ in range(4)]
    arrays.clear()
    assert storage.trim(keep_nbytes=3 * MB) == MB
    assert storage.trim() == 3 * MB
    assert storage.trim() == 0
    assert storage.statistics().cached_nbytes == 0


def test_a_capacity_counts_what_is_live_and_nothing_else():
    pool = Storage(capacity_nbytes=4 * MB, name="cpu(3)")
    cached = [pool.allocate(MB, np.uint8) for _ in range(4)]
    cached.clear()
    live = pool.allocate(3 * MB, np.uint8)  # takes the place of what is cached
    statistics = pool.statistics()
    assert statistics.live_nbytes + statistics.cached_nbytes <= 4 * MB
    with pytest.raises(OutOfMemoryError) as caught:
        pool.allocate(MB + 1, np.uint8)
    message = str(caught.value)
    for part in ("cpu(3)", f"{MB + 1} bytes", f"{3 * MB} live", f"{MB} more", f"{4 * MB} bytes"):
        assert part in message
    assert isinstance(caught.value, MemoryError)
    last = pool.allocate(MB, np.uint8)
    assert pool.statistics().requested_nbytes == live.nbytes + last.nbytes
    pool.check()


def test_more_than_the_system_has(storage):
    keep = storage.allocate(MB, np.uint8)
    with pytest.raises(OutOfMemoryError, match=f"beside {MB} live .* the system has no more"):
        storage.allocate(1 << 50, np.uint8)
    statistics = storage.statistics()
    assert statistics.live_nbytes == keep.nbytes


@pytest.mark.parametrize(
    ("shape", "dtype", "nbytes"),
    [
        ((-1, -100_000), np.uint8, None),
        (-5, np.uint8, None),
        (100_000, object, None),
        ((100, 1000), np.uint8, 100_001),
        ((100, 1000), np.uint8, 99_999),
    ],
)
def test_nonsense_is_refused_and_leaves_nothing(storage, shape, dtype, nbytes):
    with pytest.raises(ValueError):  # noqa: PT011  (NumPy's own words)
        storage.allocate(shape, dtype, nbytes)
    assert storage.statistics().live_nbytes == 0


@pytest.mark.parametrize("name", ["max_cached_nbytes", "small_nbytes", "capacity_nbytes"])
def test_negative_sizes_are_refused(name):
    with pytest.raises(ValueError, match=f"{name}=-1"):
        Storage(**{name: -1})


def random_shapes(pool, seed, steps=400, *, largest=MB, most_live=20):
    """Allocate and drop at random; return the peak of the bytes that were really asked for."""
    generator = random.Random(seed)
    live, peak = [], 0
    for _ in range(steps):
        if live and (len(live) >= most_live or generator.random() < 0.45):
            live.pop(generator.randrange(len(live)))
        else:
            live.append(pool.allocate(int(largest ** generator.uniform(0.75, 1)), np.uint8))
        peak = max(peak, sum(array.nbytes for array in live))
    return peak


@pytest.mark.parametrize("seed", range(10))
def test_random_shapes_do_not_pile_up(seed):
    pool = Storage(small_nbytes=1)
    peak = random_shapes(pool, seed)
    statistics = pool.statistics()
    assert peak == statistics.peak_requested_nbytes
    assert statistics.high_water_nbytes <= 1.25 * peak
    pool.check()


@given(
    st.lists(st.tuples(st.integers(0, 7), st.integers(4096, 1 << 18)), max_size=60),
    st.sampled_from([None, 1 << 19]),
)
def test_books_add_up_and_the_high_water_is_bounded(steps, capacity):
    pool = Storage(small_nbytes=1, capacity_nbytes=capacity)
    live, peak = {}, 0
    for slot, nbytes in steps:
        live.pop(slot, None)
        asked = sum(array.nbytes for array in live.values())
        try:
            live[slot] = pool.allocate(nbytes, np.uint8)
        except OutOfMemoryError:
            assert capacity is not None
            assert asked + nbytes > capacity
        else:
            assert capacity is None or asked + nbytes <= capacity
            peak = max(peak, asked + nbytes)
        spans = sorted((address(array), array.nbytes) for array in live.values())
        assert all(a + n <= b for (a, n), (b, _) in itertools.pairwise(spans))
        pool.check()
    assert pool.statistics().high_water_nbytes <= 1.25 * peak


def test_a_steady_loop_takes_no_fresh_memory(storage):
    for _ in range(100):
        kept = [storage.allocate(100_000 + 1000 * k, np.uint8) for k in range(5)]
        del kept
    assert storage.statistics().misses == 5


def test_threads():
    pool = Storage(small_nbytes=1)
    start = threading.Barrier(4)
    wrong = []

    def work(number):
        start.wait()
        generator = random.Random(number)
        held = []
        for step in range(500):
            array = pool.allocate(generator.randrange(20_000, 200_000), np.uint8)
            mark = (number * 31 + step) % 251
            array[:16] = mark
            held.append((array, mark))
            if len(held) > 5:
                old, mark = held.pop(generator.randrange(5))
                if (old[:16] != mark).any():
                    wrong.append((number, step))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    old_interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(old_interval)
    assert not wrong
    pool.check()
    statistics = pool.statistics()
    assert statistics.live_nbytes == 0
    assert statistics.high_water_nbytes <= 1.25 * statistics.peak_requested_nbytes


def test_the_end_of_a_loan_never_waits_for_the_lock(storage):
    array = storage.allocate(MB, np.uint8)
    held, go_on = threading.Event(), threading.Event()

    def hold():
        with storage._lock:
            held.set()
            go_on.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    del array  # would hang here
    assert len(storage._mailbox) == 1
    go_on.set()
    thread.join()
    assert storage.statistics().live_nbytes == 0


class AtPoint:
    """Calls a function once, before the given line or call of the pool's code: a finalizer may."""

    def __init__(self, point, function):
        self.left = point
        self.function = function

    def __call__(self, frame, event, _argument):
        if not frame.f_code.co_filename.endswith("storage.py"):
            return None
        if event in {"call", "line"}:
            self.left -= 1
            if self.left == -1:
                self.function()
        return self


@pytest.mark.parametrize("capacity", [None, 64 * MB])
def test_a_finalizer_amid_any_line_of_the_pool(capacity):
    pool = Storage(small_nbytes=1, capacity_nbytes=capacity)
    victims = [pool.allocate(30_000 + number, np.uint8) for number in range(10)]

    def finalizer():
        victims.pop()  # ends a loan
        victims.insert(0, pool.allocate(40_000, np.uint8))  # and wants memory
        pool.trim(keep_nbytes=200_000)
        pool.statistics()

    point, fired = 0, True
    while fired:
        tracer = AtPoint(point, finalizer)
        old = sys.gettrace()
        sys.settrace(tracer)
        try:
            array = pool.allocate(50_000, np.uint8)
            del array
            pool.statistics()
            pool.trim(keep_nbytes=100_000)
        finally:
            sys.settrace(old)
        assert not pool._mailbox
        pool.check()
        fired = tracer.left < 0
        point += 1
    assert point > 80
    victims.clear()
    assert pool.statistics().live_nbytes == 0
    pool.check()


def test_arrays_outlive_the_pool():
    pool = Storage()
    array = pool.allocate((512, 512), np.float32)
    array.fill(7)
    gone = weakref.ref(pool)
    del pool
    gc.collect()
    assert gone() is None
    assert (array == 7).all()


FORK = """
import os, threading, warnings
import numpy as np
from actorflow.device import Storage
warnings.simplefilter("ignore")  # that a thread is alive is the point
pool = Storage(capacity_nbytes=1 << 24)
array = pool.allocate(1 << 20, np.uint8)
held, go_on = threading.Event(), threading.Event()
def hold():
    with pool._lock:
        held.set()
        go_on.wait()
thread = threading.Thread(target=hold)
thread.start()
held.wait()
child = os.fork()
if child == 0:
    del array
    pool.allocate(1 << 20, np.uint8)
    pool.check()
    os._exit(7)
go_on.set()
thread.join()
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_forked_child_can_go_on():
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", FORK], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr) == ("7\n", "")
