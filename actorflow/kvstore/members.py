"""Who takes part in a run: joining, leaving, dying, and barriers.

Like everything that decides here it has no clock and no socket: `Members` is told what came in and
what time it is, and gives what has changed. Whoever has the sockets tells the servers who joined
and left, and the workers which barrier is over.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import attrs

from actorflow.errors import MembershipError, ParameterError, SequenceError

__all__ = ["Change", "Joined", "Left", "Members", "Released", "Worker"]


class Worker(NamedTuple):
    """One life of a worker: its rank, and how often somebody had that rank before, from 1."""

    rank: int
    incarnation: int = 1

    def __str__(self) -> str:
        again = f" (incarnation {self.incarnation})" if self.incarnation != 1 else ""
        return f"worker {self.rank}{again}"


@attrs.frozen
class Joined:
    """A worker takes part from now on. `barrier` is the last barrier that it need not enter."""

    worker: Worker
    barrier: int


@attrs.frozen
class Left:
    """A worker takes part no more.

    `reason` is "left" (it said so), "dead" (nothing was heard of it for the timeout), "replaced" (a
    new process has its rank) or "absent" (it was expected and never came).
    """

    worker: Worker
    reason: Literal["left", "dead", "replaced", "absent"]


@attrs.frozen
class Released:
    """A barrier is over: tell those in it.

    Attributes:
      number: which barrier, counted from 1.
      workers: who waits in it, by rank, with those who came too late to have to.
      lost: who has died since the barrier before; whoever waited may want to know.
    """

    number: int
    workers: tuple[Worker, ...]
    lost: tuple[Worker, ...]


Change = Joined | Left | Released


@attrs.define
class _Member:
    heard: float  # when something was last heard of it, seconds
    entered: int  # the last barrier that it is in, or need not enter
    token: str | None  # what its process calls itself; None until an expected one has come


class Members:
    """The workers of a run.

    A dead worker is noticed by the first `tick` later than `timeout` after its last message. It is
    subtracted as if it had left: a barrier that waited only for it is over for the others, who are
    told in `Released.lost`. So uneven shards finish, and any rank may go first.

    Time in which `tick` was not called is held against nobody: a coordinator that was stopped for a
    minute must not take all workers for dead.

    What always holds: `barrier` never falls; it is the least `entered` of the members; at most one
    incarnation of a rank is a member, and incarnations of a rank only grow.

    Args:
      expected: ranks 0 to expected - 1 are waited for at barriers from the start on.
      now: seconds.
      timeout: seconds without a message after which a worker is dead.
      patience: seconds after which an expected worker that never came is given up.

    Raises:
      ParameterError: a number is not positive, or `expected` is negative.
    """

    def __init__(
        self, expected: int, now: float, *, timeout: float = 5.0, patience: float = 60.0
    ) -> None:
        if expected < 0 or timeout <= 0 or patience <= 0:
            raise ParameterError(
                f"Members: expected={expected}, timeout={timeout}, patience={patience}; needs 0 or "
                "more workers and positive times"
            )
        self.timeout = timeout
        self.barrier = 0
        self._patience = patience
        self._members = {Worker(rank): _Member(now, 0, None) for rank in range(expected)}
        self._incarnations = dict.fromkeys(range(expected), 1)
        self._lost: list[Worker] = []
        self._ticked = now

    @property
    def present(self) -> tuple[Worker, ...]:
        """Who has come and not gone, by rank."""
        return tuple(sorted(w for w, member in self._members.items() if member.token is not None))

    @property
    def awaited(self) -> tuple[Worker, ...]:
        """Who is expected and has not come yet, by rank."""
        return tuple(sorted(w for w, member in self._members.items() if member.token is None))

    @property
    def finished(self) -> bool:
        """Whether everybody has come and gone, so that servers may stop: any rank may be last."""
        return bool(self._incarnations) and not self._members

    def join(self, token: str, now: float, rank: int | None = None) -> list[Change]:
        """A process wants to take part.

        If its rank is that of a living worker, that one is replaced: a supervisor restarts a
        process before its predecessor's silence is noticed. A repeated message changes nothing.

        Args:
          token: what the process calls itself, which no other one does.
          now: seconds.
          rank: the rank that it was given; None for the least one that is free.

        Returns:
          The changes; the `Joined` among them tells who it is.

        Raises:
          ParameterError: the rank is negative.
          MembershipError: it has taken part before, with another rank.
        """
        if rank is not None and rank < 0:
            raise ParameterError(f"join: rank {rank}; needs 0 or more, or None")
        for worker, member in self._members.items():
            if member.token == token:
                if rank not in {None, worker.rank}:
                    raise MembershipError(
                        f"join: {token} is {worker}, and now asks for rank {rank}"
                    )
                member.heard = now
                return [Joined(worker, member.entered)]
        if rank is None:
            rank = self._free_rank()
        holder = next((worker for worker in self._members if worker.rank == rank), None)
        if holder is not None and self._members[holder].token is None:
            self._members[holder] = _Member(now, 0, token)
            return [Joined(holder, 0)]
        changes: list[Change] = []
        if holder is not None:
            self._drop(holder, lost=True)
            changes.append(Left(holder, "replaced"))
        worker = Worker(rank, self._incarnations.get(rank, 0) + 1)
        self._incarnations[rank] = worker.incarnation
        # A barrier that somebody is in already must not wait for one who came later.
        entered = max((member.entered for member in self._members.values()), default=self.barrier)
        entered = max(entered, self.barrier)
        self._members[worker] = _Member(now, entered, token)
        return [*changes, Joined(worker, entered), *self._release()]

    def heartbeat(self, worker: Worker, now: float) -> None:
        """Something was heard of a worker; any message will do.

        Raises:
          MembershipError: it does not take part (any more): it has to join again.
        """
        self._member(worker, "heartbeat").heard = now

    def leave(self, worker: Worker) -> list[Change]:
        """A worker has finished. Nothing happens if it does not take part."""
        if worker not in self._members:
            return []
        self._drop(worker, lost=False)
        return [Left(worker, "left"), *self._release()]

    def enter(self, worker: Worker, number: int, now: float) -> list[Change]:
        """A worker has come to its barrier.

        Args:
          worker: who.
          number: 1 more than the last barrier that it was in, or than `Joined.barrier`.
          now: seconds.

        Returns:
          The barriers that are over with it; again that barrier, for it alone, if the message
          was repeated.

        Raises:
          MembershipError: the worker does not take part.
          SequenceError: it has not been in the barrier before this one.
        """
        member = self._member(worker, "barrier")
        member.heard = now
        if number > member.entered + 1:
            raise SequenceError(
                f"barrier: {worker} is at number {number}, but needs number {member.entered + 1} "
                "first",
                member.entered + 1,
            )
        if number <= self.barrier:
            return [Released(number, (worker,), ())]
        member.entered = max(member.entered, number)
        return self._release()

    def tick(self, now: float) -> list[Change]:
        """Time has passed; to be called a few times in each `timeout`."""
        unheard = now - self._ticked - self.timeout
        self._ticked = max(self._ticked, now)
        if unheard > 0:
            for member in self._members.values():
                member.heard = min(now, member.heard + unheard)
        changes: list[Change] = []
        for worker, member in sorted(self._members.items()):
            limit = self.timeout if member.token is not None else self._patience
            if now - member.heard > limit:
                self._drop(worker, lost=True)
                changes.append(Left(worker, "dead" if member.token is not None else "absent"))
        return changes + self._release() if changes else []

    def waited_for(self) -> tuple[Worker, ...]:
        """Whom the next barrier waits for, by rank; nobody unless somebody is in it."""
        if all(member.entered == self.barrier for member in self._members.values()):
            return ()
        return tuple(sorted(w for w, m in self._members.items() if m.entered == self.barrier))

    def _member(self, worker: Worker, who: str) -> _Member:
        member = self._members.get(worker)
        if member is None or member.token is None:
            raise MembershipError(
                f"{who}: {worker} does not take part, or not any more; needs to join (again)"
            )
        return member

    def _drop(self, worker: Worker, *, lost: bool) -> None:
        del self._members[worker]
        if lost:
            self._lost.append(worker)

    def _free_rank(self) -> int:
        """The least rank of nobody who is present; one that is expected first."""
        if self.awaited:
            return self.awaited[0].rank
        taken = {worker.rank for worker in self._members}
        return next(rank for rank in range(len(taken) + 1) if rank not in taken)

    def _release(self) -> list[Change]:
        """The barriers that everybody is in now."""
        changes: list[Change] = []
        entered = [member.entered for member in self._members.values()]
        while entered and min(entered) > self.barrier:
            self.barrier += 1
            inside = tuple(sorted(w for w, m in self._members.items() if m.entered >= self.barrier))
            changes.append(Released(self.barrier, inside, tuple(self._lost)))
            self._lost.clear()
        return changes
