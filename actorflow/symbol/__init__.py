"""Symbols. `actorflow.sym` is what users import."""

from actorflow.symbol.files import load as load_symbol
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
    "load_symbol",
    "shape_hint",
    "type_hint",
]
