"""Symbols. `actorflow.sym` is what users import."""

from actorflow.symbol.infer import shape_hint, type_hint
from actorflow.symbol.naming import AttrScope, NameManager, Prefix
from actorflow.symbol.symbol import Group, Symbol, Variable

__all__ = [
    "AttrScope",
    "Group",
    "NameManager",
    "Prefix",
    "Symbol",
    "Variable",
    "shape_hint",
    "type_hint",
]
