"""actorflow: MXNet's design of 2015 as actors and messages."""

from actorflow import engine as engine
from actorflow.engine import Engine as Engine
