"""What a thread that waits runs itself."""

from threading import get_ident

import pytest

from actorflow.engine import Engine, Resource


@pytest.mark.parametrize("how", ["everything", "the last operation", "the resource", "a read"])
def test_a_waiting_thread_runs_one_operation_of_many(how):
    resource, ran = Resource("r"), []
    with Engine(workers=1) as engine:
        engine.push(lambda: None)  # starts the worker
        for _ in range(50):
            last = engine.push(lambda: ran.append(get_ident()), updates=(resource,))
        if how == "everything":
            engine.wait_all()
        elif how == "the last operation":
            last.wait()
        elif how == "the resource":
            engine.wait(resource)
        else:
            engine.read(lambda: None, (resource,))
        assert len(ran) == 50
        assert ran.count(get_ident()) <= 1


def test_without_workers_it_runs_all():
    resource, ran = Resource("r"), []
    with Engine(workers=0) as engine:
        for _ in range(5):
            engine.push(lambda: ran.append(get_ident()), updates=(resource,))
        engine.wait(resource)
        assert ran == [get_ident()] * 5
