"""Graphs of operators and what is done to them. They know no array and no engine."""

from actorflow.graph.gradient import gradient
from actorflow.graph.infer import infer_shapes, infer_types
from actorflow.graph.memory import MemoryPlan, Place, plan_memory, plan_scratch
from actorflow.graph.mirror import Mirror
from actorflow.graph.node import Entry, Node, Ordered, rebuild, topological, users, variables
from actorflow.graph.optimise import optimise
from actorflow.graph.placement import insert_copies, spread_groups
from actorflow.graph.segments import Segment, cut_segments

__all__ = [
    "Entry",
    "MemoryPlan",
    "Mirror",
    "Node",
    "Ordered",
    "Place",
    "Segment",
    "cut_segments",
    "gradient",
    "infer_shapes",
    "infer_types",
    "insert_copies",
    "optimise",
    "plan_memory",
    "plan_scratch",
    "rebuild",
    "spread_groups",
    "topological",
    "users",
    "variables",
]
