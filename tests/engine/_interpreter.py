"""What a program means: run it one operation at a time, in the order of the program."""

from actorflow.errors import OperationCancelled
from tests.engine._programs import (
    Cancel,
    Look,
    Push,
    Wait,
    body,
    conflict,
    describe,
    mix,
    mix_error,
)


class Interpreter:
    """Runs an operation when it is pushed, or once those around it that hold it back are done."""

    def __init__(self, program):
        self.program = program
        self.values = {(r, i): mix(r, i) for r, n in enumerate(program.sizes) for i in range(n + 1)}
        self.errors = {}  # cell: what was left there instead of a value
        self.running, self.held, self.cancelled = [], [], {}
        self.results, self.looks = {}, {}
        self.load, self.store = self.values.__getitem__, self.values.__setitem__

    def run(self):
        for statement in self.program.statements:
            if not isinstance(statement.action, Wait):  # everything is done already
                self.act(statement.action)
        cells = {}
        for (resource, index), value in self.values.items():
            size = self.program.sizes[resource]
            place = range(size + 1) if index == size else [index]
            error = next((e for i in place if (e := self.errors.get((resource, i)))), None)
            cells[resource, index] = value if error is None else describe(error)
        results = {
            n: describe(r) if isinstance(r, Exception) else r for n, r in self.results.items()
        }
        return {"results": dict(sorted(results.items())), "cells": cells, "looks": self.looks}

    def act(self, action, inside=None):
        match action:
            case Push(number):
                self.held.append(action)
                self._go_on()
                return number
            case Look(number, access):
                error = self._first_error(access.cells)
                seen = mix_error(0, error) if error else mix(*map(self.load, access.cells))
                self.looks[number] = seen
                return seen
            case Cancel(number):
                fresh = any(p.number == number for p in self.held) and number not in self.cancelled
                if fresh:
                    text = f"operation 'op {number}' was cancelled before it started"
                    self._note(self.cancelled.setdefault(number, OperationCancelled(text)), number)
                return fresh
            case Wait(number):
                result = self.results.get(number, 0)
                if isinstance(result, Exception):
                    raise result
                return result

    def _go_on(self):
        """Run what nothing holds back any more."""
        while True:
            before = list(self.running)
            for push in self.held:
                if not any(conflict(other, push) for other in before):
                    break
                before.append(push)
            else:
                return
            self.held.remove(push)
            self._run(push)

    def _run(self, push):
        error = self.cancelled.get(push.number) or self._first_error(push.read_cells)
        result = error
        if error is None:
            self.running.append(push)
            try:
                result = body(push, self)
            except Exception as raised:  # noqa: BLE001 -- left in the cells
                result = error = self._note(raised, push.number)
            self.running.remove(push)
        self.results[push.number] = result
        for cell in push.written_cells:
            self.errors[cell] = error

    def _first_error(self, cells):
        return next((self.errors[c] for c in cells if self.errors.get(c)), None)

    def _note(self, error, number):
        error.add_note(f"actorflow: operation 'op {number}'")
        return error
