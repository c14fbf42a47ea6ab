"""Functions that another process can import."""

import os
import time

import numpy as np


def double(x):
    return x * 2


def split(x):
    return x[0], x[1:]


def fill(x, out):
    out[:] = x + 1


def fill_and_return(x, out):
    out[:] = x
    return out


def fail(_x):
    raise ZeroDivisionError("in the process")


def process_id():
    return np.array([os.getpid()])


def change_input(x):
    x[0] = 5
    return x


def spin(seconds):
    """Hold Python's lock for that many seconds of processor time; tell from when to when."""
    start = time.monotonic()
    end = time.process_time() + float(seconds[0])
    while time.process_time() < end:
        pass
    return np.array([start, time.monotonic()])


def die(_x):
    os._exit(3)
