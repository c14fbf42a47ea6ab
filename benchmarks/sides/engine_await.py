"""One push and `await` of its result under trio, and the same with `trio.to_thread.run_sync`.

usage: engine_await.py COUNT
"""

import sys
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import trio

import actorflow as af
from protocol import Case, Clock, serve


def noop() -> None:
    pass


def push_case(count: int) -> Case:
    async def run(clock: Clock) -> None:
        resource = af.engine.Resource("r")
        async with af.Engine(workers=2) as engine:
            await engine.push(noop, updates=(resource,))
            with clock:
                for _ in range(count):
                    await engine.push(noop, updates=(resource,))

    def case(clock: Clock) -> int:
        trio.run(run, clock)
        return count

    return case


def to_thread_case(count: int) -> Case:
    async def run(clock: Clock) -> None:
        await trio.to_thread.run_sync(noop)
        with clock:
            for _ in range(count):
                await trio.to_thread.run_sync(noop)

    def case(clock: Clock) -> int:
        trio.run(run, clock)
        return count

    return case


def main(count: int) -> None:
    cases = {"push": push_case(count), "to_thread": to_thread_case(count)}
    serve(cases, f"actorflow {version('actorflow')}, trio {trio.__version__}")


if __name__ == "__main__":
    main(int(sys.argv[1]))
