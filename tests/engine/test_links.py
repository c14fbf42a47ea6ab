"""Links: resources of which so much may be in use at a time."""

import threading

import pytest

from actorflow.engine import Engine, Link, Resource
from actorflow.errors import EngineError, OperationCancelled
from tests.engine._helpers import Boom, LifoPolicy, SeededPolicy, boom, close, finishes, stepping


class Meter:
    """How much of something is in use, and how much was at most."""

    def __init__(self):
        self.lock = threading.Lock()
        self.now = self.most = self.runs = 0

    def use(self, amount, inside=lambda: None):
        with self.lock:
            self.now += amount
            self.runs += 1
            self.most = max(self.most, self.now)
        inside()
        with self.lock:
            self.now -= amount


class Suspended:
    """Asynchronous operations on an engine without threads: each is started, then ended by hand."""

    def __init__(self, engine):
        self.engine = engine
        self.begun = {}

    def push(self, name, **options):
        return self.engine.push_async(
            lambda completion: self.begun.update({name: completion}), name=name, **options
        )

    def start_all(self):
        while self.engine.step() is not None:
            pass
        return list(self.begun)

    def end(self, name):
        self.begun.pop(name).succeed()
        return self.start_all()


@pytest.fixture
def suspended():
    with stepping() as engine:
        yield Suspended(engine)


def test_no_more_than_the_capacity_is_in_use(engine):
    link, meter = Link(3), Meter()
    for number in range(200):
        amount = number % 3 + 1
        engine.push(lambda amount=amount: meter.use(amount), uses={link: amount})
    engine.wait_all()
    assert meter.runs == 200
    assert 1 <= meter.most <= 3
    assert link._free == 3
    assert not link._holders


def test_up_to_the_capacity_overlaps():
    barrier = threading.Barrier(3, timeout=10)
    link, meter = Link(3), Meter()
    with Engine(workers=8) as engine:
        for _ in range(9):
            engine.push(lambda: meter.use(1, barrier.wait), uses=[link])
    assert meter.most == 3


def test_who_comes_first_is_served_first(suspended):
    link = Link(2)
    for name, amount in (("a", 1), ("b", 1), ("c", 2), ("d", 1), ("e", 1)):
        suspended.push(name, uses={link: amount})
    assert suspended.start_all() == ["a", "b"]
    assert suspended.end("a") == ["b"]  # c needs both, and d does not overtake it
    assert suspended.end("b") == ["c"]
    assert suspended.end("c") == ["d", "e"]
    assert suspended.end("d") == ["e"]
    assert suspended.end("e") == []


def test_a_link_is_taken_only_once_all_else_is_granted(suspended):
    link, resource = Link(1), Resource()
    suspended.push("writer", writes=[resource])
    suspended.push("reader", reads=[resource], uses=[link])
    suspended.push("other", uses=[link])
    assert suspended.start_all() == ["writer", "other"]
    assert suspended.end("writer") == ["other"]
    assert suspended.end("other") == ["reader"]
    suspended.end("reader")


def test_a_link_is_held_until_an_asynchronous_operation_is_completed(suspended):
    link = Link(1)
    suspended.push("a", uses=[link])
    suspended.push("b", uses=[link])
    assert suspended.start_all() == ["a"]
    assert link._free == 0
    assert suspended.end("a") == ["b"]
    suspended.end("b")
    assert link._free == 1


def test_using_a_link_twice_takes_twice_as_much(suspended):
    link = Link(2)
    suspended.push("a", uses=[link, link])
    suspended.push("b", uses=[link])
    assert suspended.start_all() == ["a"]
    assert suspended.end("a") == ["b"]
    suspended.end("b")


@pytest.mark.parametrize("seed", range(10))
def test_links_in_opposite_orders_do_not_deadlock(seed):
    links = [Link(2, "disk"), Link(1, "bus"), Link(3, "net")]
    meters = {link: Meter() for link in links}

    def use_all(amounts):
        if not amounts:
            return
        (link, amount), *rest = amounts
        meters[link].use(amount, lambda: use_all(rest))

    def run():
        with Engine(workers=8, policy=lambda: SeededPolicy(seed)) as engine:
            for number in range(300):
                amounts = {link: 1 + number % link.capacity for link in links}
                order = sorted(links, key=lambda link: hash((number, link.name)))
                uses = {link: amounts[link] for link in order[: 1 + number % 3]}
                engine.push(lambda uses=uses: use_all(list(uses.items())), uses=uses)

    finishes(run)
    for link, meter in meters.items():
        assert meter.most <= link.capacity
        assert link._free == link.capacity


def test_two_links_in_opposite_orders_end_in_every_schedule():
    def run(seed):
        one, other = Link(1), Link(1)
        with stepping(lambda: SeededPolicy(seed)) as engine:
            suspended = Suspended(engine)
            for name in "abcd":
                suspended.push(name, uses=[one, other] if name in "ac" else [other, one])
            ended = []
            while begun := suspended.start_all():
                assert len(begun) == 1
                ended.append(begun[0])
                suspended.end(begun[0])
        return ended

    for seed in range(20):
        assert sorted(run(seed)) == list("abcd")


def test_who_fails_gives_back_and_who_is_skipped_takes_nothing():
    link, source = Link(1), Resource()
    with stepping() as engine:
        broken = engine.push(boom, writes=[source], uses=[link])
        skipped = engine.push(lambda: 1, reads=[source], uses=[link])
        fine = engine.push(lambda: 2, uses=[link])
        for operation in (broken, skipped):
            with pytest.raises(Boom):
                operation.wait()
        assert fine.wait() == 2
        assert link._free == 1


def test_cancelling_in_the_queue_of_a_link_lets_the_next_one_go(suspended):
    link = Link(1)
    suspended.push("a", uses=[link])
    queued = suspended.push("b", uses=[link])
    suspended.push("c", uses=[link])
    assert suspended.start_all() == ["a"]
    assert queued.cancel()
    assert queued.done  # at once, although the link is still taken
    assert suspended.end("a") == ["c"]
    suspended.end("c")
    assert link.idle


def test_cancelling_the_first_in_the_queue_of_a_link_serves_those_behind_it(suspended):
    link, resource = Link(2), Resource()
    suspended.push("a", uses=[link])
    large = suspended.push("large", uses={link: 2}, writes=[resource])
    for name in "bc":
        suspended.push(name, uses=[link])
    reader = suspended.push("reader", reads=[resource])
    assert suspended.start_all() == ["a"]
    assert large.cancel()
    assert suspended.start_all() == ["a", "b"]
    with pytest.raises(OperationCancelled):
        reader.wait()
    assert suspended.end("a") == ["b", "c"]
    suspended.end("b")
    suspended.end("c")
    assert link._free == 2


def test_who_is_cancelled_at_one_link_gives_back_another(suspended):
    first, second = sorted([Link(1), Link(1)], key=id)  # the order in which they are taken
    suspended.push("a", uses=[second])
    both = suspended.push("both", uses=[first, second])
    suspended.push("b", uses=[first])
    assert suspended.start_all() == ["a"]
    assert not first._free  # taken by who queues at the other one
    assert both.cancel()
    assert suspended.start_all() == ["a", "b"]
    suspended.end("a")
    suspended.end("b")
    assert first.idle
    assert second.idle


def test_who_is_cancelled_before_it_gets_to_a_link_waits_for_the_rest(suspended):
    link, resource = Link(1), Resource()
    suspended.push("a", uses=[link])
    suspended.push("writer", writes=[resource])
    later = suspended.push("later", updates=[resource], uses=[link])
    assert suspended.start_all() == ["a", "writer"]
    assert later.cancel()
    assert not later.done
    suspended.end("writer")
    assert later.done
    suspended.end("a")


def test_a_link_may_also_be_read_and_written(suspended):
    link = Link(1)
    suspended.push("a", updates=[link])
    suspended.push("b", uses=[link])
    suspended.push("c", updates=[link])
    assert suspended.start_all() == ["a", "b"]
    assert suspended.end("a") == ["b", "c"]
    suspended.end("b")
    suspended.end("c")


@pytest.mark.parametrize("capacity", [0, -1, 1.5, "2", True])
def test_a_capacity_is_a_number_of_at_least_one(capacity):
    with pytest.raises(ValueError, match="Link 'bus': capacity must be an integer of at least 1"):
        Link(capacity, "bus")


def test_asking_for_too_much_is_refused(any_engine):
    link = Link(2, "bus")
    for uses in ({link: 3}, [link] * 3, {link: 0}, {link: -1}):
        with pytest.raises(
            ValueError, match=r"of <Link 'bus'> was asked for, but its capacity is 2"
        ):
            any_engine.push(print, uses=uses)
    with pytest.raises(TypeError, match="uses must hold links, got <Resource"):
        any_engine.push(print, uses=[Resource()])


@pytest.mark.parametrize("amount", [1.5, True, "1", None])
def test_an_amount_is_an_integer(any_engine, amount):
    with pytest.raises(TypeError, match="the amount of <Link 'bus'> must be an integer, got"):
        any_engine.push(lambda: None, uses={Link(2, "bus"): amount})


def test_a_link_in_use_belongs_to_its_engine():
    link = Link(1, "bus")
    with stepping() as first, Engine(workers=1) as second:
        suspended = Suspended(first)
        suspended.push("a", uses=[link])
        suspended.start_all()
        try:
            assert not link.idle
            with pytest.raises(EngineError, match="'bus'> is in use by another engine"):
                second.push(lambda: None, uses=[link])
        finally:
            suspended.end("a")


def test_who_waits_inside_an_operation_runs_the_holder_of_a_link():
    def run():
        link = Link(1)
        engine = stepping(LifoPolicy)
        engine.push(lambda: 1, uses=[link])
        second = engine.push(lambda: 2, uses=[link])
        return engine.push(second.wait).wait(), close(engine)

    assert finishes(run) == (2, [])
