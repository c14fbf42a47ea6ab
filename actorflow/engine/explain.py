"""Why something is not ready: the chain of operations and holders it waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actorflow.engine.operation import (
    DONE,
    ENDED,
    READY,
    RUNNING,
    SENT,
    WAITING,
    Operation,
    describe_site,
)

if TYPE_CHECKING:
    from actorflow.engine.resource import Accessible, Link

__all__ = ["explain", "find_deadlock", "waits_for"]

_MAX_LINES: Final = 40


def _link_awaited(operation: Operation) -> Link | None:
    """The link in whose queue the operation stands."""
    if operation.state != WAITING or operation.pending or operation.uses is None:
        return None
    index = operation.next_link - 1
    return operation.uses[index][0] if index >= 0 else None


def waits_for(operation: Operation, blocked: dict[Operation, Operation]) -> list[Operation]:
    """The operations whose end this one waits for."""
    if operation.state == WAITING:
        link = _link_awaited(operation)
        if link is not None:
            return list(link._holders)
        return [p for p in operation.predecessors or () if p.state != DONE]
    target = blocked.get(operation)
    return [] if target is None or target.state == DONE else [target]


def find_deadlock(
    target: Operation, inside: Operation, blocked: dict[Operation, Operation]
) -> str | None:
    """Say why `inside` can never end if it waits for `target`; None if it can.

    Works back from `inside`: what needs it is stuck, and what needs anything stuck is stuck; only
    who queues at a link is not before all that hold the link are.
    """
    needs: dict[Operation, list[Operation]] = {}
    needed_by: dict[Operation, list[Operation]] = {}
    stack = [target]
    while stack:
        operation = stack.pop()
        if operation in needs:
            continue
        needs[operation] = [] if operation is inside else waits_for(operation, blocked)
        for other in needs[operation]:
            needed_by.setdefault(other, []).append(operation)
            stack.append(other)
    because: dict[Operation, Operation | None] = {inside: None}
    stack = [inside] if inside in needs else []
    while stack:
        stuck = stack.pop()
        for operation in needed_by.get(stuck, ()):
            if operation in because:
                continue
            if _link_awaited(operation) is None or all(o in because for o in needs[operation]):
                because[operation] = stuck
                stack.append(operation)
    if target not in because:
        return None
    lines = [f"operation {inside.name!r} waits inside itself for what can only come after it:"]
    step: Operation | None = target
    lines.append(f"  {_title(inside)}\n    waits inside for {_title(target)}")
    while step is not None and step is not inside:
        following = because[step]
        if following is not None:
            lines.append(f"    which waits for {_shared(step, following)}{_title(following)}")
        step = following
    return "\n".join(lines)


def _title(operation: Operation) -> str:
    return f"{operation.name!r}{describe_site(operation.site)}"


def _touched(operation: Operation) -> dict[int, str]:
    return {
        id(accessible.resource): accessible.name
        for accessible in (*operation.reads, *operation.writes)
    }


def _shared(waiting: Operation, holder: Operation) -> str:
    """Name the resource over which one operation waits for another."""
    link = _link_awaited(waiting)
    if link is not None:
        return f"{link!r}, held by "
    held = _touched(holder)
    names = [name for key, name in _touched(waiting).items() if key in held]
    return f"{', '.join(names)}, held by " if names else ""


def explain(engine: object, target: Operation | Accessible) -> str:
    """Describe why a target is not ready. In a turn."""
    blocked: dict[Operation, Operation] = engine._blocked  # type: ignore[attr-defined]
    if isinstance(target, Operation):
        roots, name = [target], repr(target.name)
        failure = target.failure
    else:
        accesses = target._accesses()
        roots = list(dict.fromkeys(a._writer for a in accesses if a._writer is not None))
        readers = sum(len(a._readers or ()) for a in accesses)
        name, failure = target.name, target._failure
        if not roots and readers:
            return f"{name} is ready; {readers} operations read it"
    roots = [root for root in roots if root.state != DONE]
    if not roots:
        if failure is not None:
            return f"{name} is done and holds an error: {failure.exception!r}"
        return f"{name} is ready: nothing is in flight for it"
    lines = [f"{name} is not ready: it waits for"]
    seen: set[Operation] = set()
    stack = [(root, 1) for root in reversed(roots)]
    while stack:
        operation, depth = stack.pop()
        if len(lines) >= _MAX_LINES:
            lines.append("  ... and more")
            break
        indent = "  " * min(depth, 12)
        if operation in seen:
            lines.append(f"{indent}{operation.name!r} (see above)")
            continue
        seen.add(operation)
        lines.append(f"{indent}{_title(operation)}: {_state(operation, blocked)}")
        stack += [(other, depth + 1) for other in reversed(waits_for(operation, blocked))]
    return "\n".join(lines)


def _state(operation: Operation, blocked: dict[Operation, Operation]) -> str:
    """What an operation is doing, in words."""
    state = operation.state
    if state == WAITING:
        link = _link_awaited(operation)
        if link is not None:
            return f"waits for {link!r} ({link._free} of {link.capacity} free), held by"
        needs = waits_for(operation, blocked)
        names = dict.fromkeys(
            name
            for other in needs
            if (name := _shared(operation, other).removesuffix(", held by "))
        )
        return f"waits for {', '.join(names) or 'operations'}, held by"
    if state == RUNNING and operation in blocked:
        return "runs, but waits inside itself for"
    device = operation.device
    where = device.name
    return {
        SENT: "is being sent",
        READY: f"is ready and waits for a worker of {where}",
        RUNNING: f"is running on {where}",
        ENDED: "has just ended",
    }[state]
