"""Workers, a coordinator and a server over a network that delays, reorders, repeats and loses.

All in one thread and one virtual clock; a seed decides everything.
"""

import heapq
import itertools
import random

import attrs
import numpy as np

from actorflow.errors import MembershipError, SequenceError
from actorflow.kvstore.consistency import Acknowledge, Answer, Apply, Consistency, summed
from actorflow.kvstore.core import Event, ServerCore, Snapshot
from actorflow.kvstore.history import (
    Entered,
    History,
    Initialized,
    Join,
    Leave,
    Pulled,
    Pushed,
)
from actorflow.kvstore.members import Joined, Left, Members, Released

RETRY = 3.0
TICK = 1.0
TIMEOUT = 10.0


@attrs.define
class Value:
    """What is pushed: a whole number for the checker, floats for the order of summation."""

    number: int
    floats: np.ndarray


def added(value, pushes):
    """The update rule of these servers: add the sum of the pushes."""
    number = value.number + sum(push.value.number for push in pushes)
    return Value(number, value.floats + summed([push.value.floats for push in pushes]))


class Server:
    def __init__(self, simulation, model, keys):
        self.simulation, self.model = simulation, model
        self.log = []  # what is durable
        self.alive = True
        self.core, self.values = ServerCore(model), {}
        for key in keys:
            self.do(self.core.init(key, Value(0, np.zeros(3, np.float32))))

    def do(self, decisions):
        for decision in decisions:
            if isinstance(decision, Event):
                self.log.append(decision)
                if decision.kind == "init":
                    self.values[decision.key] = decision.value
            elif isinstance(decision, Snapshot):
                found = {k: (a, self.values[k].number) for k, a in decision.answers.items()}
                self.simulation.to_worker(decision.worker, "answers", decision.ticket, found)
            elif isinstance(decision.action, Apply):
                key = decision.key
                self.values[key] = added(self.values[key], decision.action.pushes)
            elif isinstance(decision.action, Acknowledge):
                action = decision.action
                self.simulation.to_worker(action.worker, "acked", decision.key, action.seq)
            elif isinstance(decision.action, Answer):
                answer, number = decision.action, self.values[decision.key].number
                found = {decision.key: (answer, number)}
                self.simulation.to_worker(answer.worker, "answers", answer.ticket, found)

    def take(self, method, *args):
        """A message of a worker has come."""
        if not self.alive:
            return
        try:
            self.do(getattr(self.core, method)(*args))
            if method == "pause" and args[0] in self.core.members:
                self.simulation.to_worker(args[0], "paused_at", args[1])
        except SequenceError:
            self.simulation.refused += 1  # the worker sends again what is not acknowledged
        except MembershipError:
            self.simulation.refused += 1

    def kill(self):
        self.alive = False
        self.core = self.values = None

    def restart(self):
        self.alive = True
        self.core, self.values = replayed(self.log, self.model)
        self.simulation.tell_server()


def replayed(log, model, applied=None):
    """What a server that reads the log knows."""
    core, values = ServerCore(model), {}
    for event in log:
        if event.kind == "init":
            values[event.key] = event.value
        for decision in core.replay(event):
            action = getattr(decision, "action", None)
            if isinstance(action, Apply):
                values[decision.key] = added(values[decision.key], action.pushes)
                if applied is not None:
                    applied.append((decision.key, action))
    return core, values


class Process:
    """A worker: in each step it pushes all keys, then pulls them; after some comes a barrier."""

    def __init__(self, simulation, token, rank, steps):
        self.simulation, self.token, self.steps = simulation, token, steps
        self.alive, self.worker, self.barrier = True, None, 0
        self.sent = dict.fromkeys(simulation.keys, 0)
        self.unacked, self.asked, self.entered, self.paused = {}, {}, None, False
        self.program = self.run()
        for change in simulation.members.join(token, simulation.now, rank):
            simulation.changed(change)
            if isinstance(change, Joined):
                self.worker, self.barrier = change.worker, change.barrier
        simulation.processes[self.worker] = self
        simulation.at(RETRY, self.begin)

    def run(self):
        draw, simulation = self.simulation.draw, self.simulation
        for step in range(self.steps):
            for key in self.sent:
                self.push(key)
            if draw.random() < 0.5:
                self.pull(list(self.sent), together=True)
            else:
                for key in self.sent:
                    self.pull([key])
            yield  # until all answers are there
            if step % 4 == 3:
                while self.unacked:
                    yield
                self.barrier += 1
                self.entered, self.paused = simulation.now, False
                self.send_barrier()
                while self.entered is not None:
                    yield
                self.pull(list(self.sent), together=True)
                yield
        while self.unacked:
            yield
        self.alive = False
        for change in simulation.members.leave(self.worker):
            simulation.changed(change)

    def begin(self):
        """Not before the server knows this worker."""
        server = self.simulation.server
        if server.alive and self.worker in server.core.members:
            self.go_on()
            self.retry()
        elif self.alive:
            self.simulation.at(RETRY, self.begin)

    def go_on(self):
        if self.alive and not self.asked:
            next(self.program, None)

    def push(self, key):
        self.sent[key] += 1
        draw, seq = self.simulation.draw, self.sent[key]
        value = Value(draw.getrandbits(80), np.float32([draw.uniform(-9, 9) for _ in range(3)]))
        note = self.simulation.note_push(self.worker, key, seq, value)
        self.unacked[key, seq] = note
        self.simulation.to_server("push", key, self.worker, seq, value)

    def pull(self, keys, *, together=False):
        ticket = next(self.simulation.tickets)
        seen = {key: self.sent[key] for key in keys}
        self.asked[ticket] = (seen, self.simulation.now, together)
        self.send_pull(ticket)

    def send_pull(self, ticket):
        seen, _, together = self.asked[ticket]
        simulation = self.simulation
        if together:
            simulation.to_server("pull_several", seen, self.worker, ticket, simulation.now)
        else:
            ((key, count),) = seen.items()
            simulation.to_server("pull", key, self.worker, count, ticket, simulation.now)

    def send_barrier(self):
        """First the server is told, then the coordinator."""
        if self.paused:
            self.simulation.to_coordinator(self.worker, self.barrier)
        else:
            self.simulation.to_server("pause", self.worker, self.barrier)

    def paused_at(self, number):
        if self.entered is not None and number == self.barrier and not self.paused:
            self.paused = True
            self.send_barrier()

    def retry(self):
        if self.alive:
            for (key, seq), note in self.unacked.items():
                self.simulation.to_server("push", key, self.worker, seq, note["value"])
            for ticket in self.asked:
                self.send_pull(ticket)
            if self.entered is not None:
                self.send_barrier()
            self.simulation.at(RETRY, self.retry)

    def acked(self, key, seq):
        if (key, seq) in self.unacked:
            self.unacked.pop((key, seq))["end"] = self.simulation.now
            self.go_on()

    def answers(self, ticket, answers):
        if ticket not in self.asked:
            return
        seen, start, together = self.asked.pop(ticket)
        for key, (answer, number) in answers.items():
            self.simulation.history.note(
                Pulled(
                    worker=self.worker,
                    key=key,
                    seen=seen[key],
                    version=answer.version,
                    round=answer.round,
                    start=start,
                    end=self.simulation.now,
                    value=number,
                    snapshot=ticket if together else None,
                )
            )
        self.go_on()

    def released(self, number):
        if self.entered is not None and number == self.barrier:
            start, self.entered = self.entered, None
            self.simulation.history.note(
                Entered(worker=self.worker, number=number, start=start, end=self.simulation.now)
            )
            self.go_on()


class Simulation:
    def __init__(self, model, seed, *, workers=3, steps=12, loss=0.1, faults=True):
        self.draw = random.Random(seed)
        self.model, self.loss, self.keys = Consistency.parse(model), loss, ["a", 7]
        self.now, self.queue, self.order = 0.0, [], itertools.count()
        self.tickets, self.pushes, self.history = itertools.count(), [], History()
        self.refused = 0
        self.processes, self.leaving, self.releases = {}, {}, []
        self.members = Members(workers, 0.0, timeout=TIMEOUT)
        self.server = Server(self, self.model, self.keys)
        for key in self.keys:
            self.history.note(Initialized(key=key, value=0))
        # Expected workers take part from the first round on, whoever comes first.
        for rank in range(workers):
            self.server.do(self.server.core.join(next(iter(_worker(rank)))))
        for rank in range(workers):
            own = steps - self.draw.randrange(4)  # uneven shards
            late = self.draw.uniform(0, 5)
            self.at(late, lambda rank=rank, own=own: Process(self, f"p{rank}", rank, own))
        self.at(TICK, self.tick)
        if faults:
            self.plan_faults(workers, steps)

    def plan_faults(self, workers, steps):
        for _ in range(self.draw.randrange(3)):
            when = self.draw.uniform(1, 60)
            self.at(when, self.kill_server)
        if self.draw.random() < 0.7:
            rank = self.draw.randrange(workers)
            self.at(self.draw.uniform(6, 40), lambda: self.kill_worker(rank, steps))
        if self.draw.random() < 0.5:
            self.at(self.draw.uniform(6, 40), lambda: Process(self, "new", None, steps // 2))

    def at(self, delay, function):
        heapq.heappush(self.queue, (self.now + delay, next(self.order), function))

    def deliver(self, function):
        """Perhaps never, perhaps twice, perhaps after what was sent later."""
        if self.draw.random() < self.loss:
            return
        for _ in range(2 if self.draw.random() < 0.1 else 1):
            self.at(self.draw.expovariate(1.0), function)

    def to_server(self, method, *args):
        self.deliver(lambda: self.server.take(method, *args))

    def to_worker(self, worker, method, *args):
        process = self.processes.get(worker)
        if process is not None:
            self.deliver(lambda: process.alive and getattr(process, method)(*args))

    def to_coordinator(self, worker, number):
        def enter():
            if worker in self.members.present:
                for change in self.members.enter(worker, number, self.now):
                    self.changed(change)

        self.deliver(enter)

    def changed(self, change):
        if isinstance(change, Released):
            self.releases.append(change)
            self.tell_server()
        else:
            if isinstance(change, Left):
                self.leaving[change.worker] = self.now
                if change.worker in self.processes:
                    self.processes[change.worker].alive = False
            self.tell_server()

    def tell_server(self):
        """Make a server that lives know who takes part."""
        if not self.server.alive:
            return
        core = self.server.core
        there = {*self.members.present, *self.members.awaited}
        for worker in sorted(core.members - there):
            self.server.do(core.leave(worker))
            start = self.leaving[worker]
            self.history.note(Leave(worker=worker, start=start, end=self.now))
        for worker in sorted(there - core.members):
            self.server.do(core.join(worker))
            self.note_joins([worker])
        for release in self.releases:
            pausing = list(core._pausing)
            if release.number > core._resumed:
                self.server.do(core.resume(release.number))
                self.note_joins(pausing)
            for worker in release.workers:
                self.to_worker(worker, "released", release.number)
        self.releases.clear()

    def note_joins(self, workers):
        for worker in workers:
            for key, state in self.server.core.keys.items():
                member = state._members[worker]
                times = {"start": self.now, "end": self.now, "pushed": member.received}
                self.history.note(Join(worker=worker, key=key, base=member.base, **times))

    def tick(self):
        for worker, process in self.processes.items():
            if process.alive and worker in self.members.present:
                self.members.heartbeat(worker, self.now)
        for change in self.members.tick(self.now):
            self.changed(change)
        if not self.members.finished:
            self.at(TICK, self.tick)

    def kill_server(self):
        if self.server.alive:
            self.server.kill()
            self.at(self.draw.uniform(0.1, 8), self.server.restart)

    def kill_worker(self, rank, steps):
        victim = next((p for w, p in self.processes.items() if w.rank == rank and p.alive), None)
        if victim is not None:
            victim.alive = False
            if self.draw.random() < 0.6:
                delay = self.draw.uniform(0.1, 2 * TIMEOUT)
                self.at(delay, lambda: Process(self, "again", rank, steps // 2))

    def note_push(self, worker, key, seq, value):
        note = {"worker": worker, "key": key, "seq": seq, "start": self.now}
        note |= {"end": None, "value": value}
        self.pushes.append(note)
        return note

    def run(self):
        """Until nothing is left to happen; the history."""
        for _ in range(200_000):
            if not self.queue:
                break
            self.now, _, function = heapq.heappop(self.queue)
            function()
        else:
            raise AssertionError(f"hangs: {self.server.core.waiting(self.now)}")
        for process in self.processes.values():
            if process.entered is not None:  # it died at a barrier
                times = {"start": process.entered, "end": None}
                self.history.note(Entered(worker=process.worker, number=process.barrier, **times))
        for note in self.pushes:
            self.history.note(Pushed(**{**note, "value": note["value"].number}))
        return self.history


def _worker(rank):
    from actorflow.kvstore.members import Worker

    return [Worker(rank)]
