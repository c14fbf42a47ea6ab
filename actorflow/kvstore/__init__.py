"""Stores of arrays by key that devices and processes share: early MXNet's `mx.kvstore`."""

from actorflow.kvstore.store import KVStore, create

__all__ = ["KVStore", "create", "serve"]


def serve() -> None:
    """Be the server that the environment names until all workers have gone.

    Raises:
      LaunchError: this process is no server of a run.
      CommunicationError: its address is taken, or server 0 is no more.
      InsecureAddressError: others can reach its address.
      MissingExtraError: pyzmq or msgspec is not installed.
    """
    from actorflow.kvstore import server  # noqa: PLC0415 -- needs an extra

    server.serve()
