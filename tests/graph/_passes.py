"""The rules of passes, each applied by itself."""

from actorflow.graph import topological
from actorflow.graph.fold import dropping_neutral, folding
from actorflow.graph.node import rebuild
from actorflow.graph.rewrite import dropping_identities, sharing


def share_common(heads, shapes, types):
    return rebuild(heads, sharing(), shapes, types)


def drop_identities(heads, shapes, types):
    return rebuild(heads, dropping_identities(shapes, types), shapes, types)


def drop_neutral(heads, shapes, types):
    return rebuild(heads, dropping_neutral(shapes, types), shapes, types)


def fold_constants(heads, shapes, types):
    return rebuild(heads, folding(topological(heads), shapes, types), shapes, types)
