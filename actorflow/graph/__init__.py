"""Graphs of operators and what is done to them. They know no array and no engine."""

from actorflow.graph.gradient import gradient
from actorflow.graph.infer import infer_shapes, infer_types
from actorflow.graph.memory import MemoryPlan, Place, plan_memory
from actorflow.graph.mirror import Mirror
from actorflow.graph.node import Entry, Node, rebuild, stages_of, topological, users, variables
from actorflow.graph.optimise import optimise

__all__ = [
    "Entry",
    "MemoryPlan",
    "Mirror",
    "Node",
    "Place",
    "gradient",
    "infer_shapes",
    "infer_types",
    "optimise",
    "plan_memory",
    "rebuild",
    "stages_of",
    "topological",
    "users",
    "variables",
]
