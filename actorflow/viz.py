"""Pictures and tables of networks: early MXNet's `mx.viz`."""

from actorflow.symbol.drawing import plot_network
from actorflow.symbol.summary import print_summary

__all__ = ["plot_network", "print_summary"]
