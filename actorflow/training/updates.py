"""How gradients change parameters: by an updater, or in a store where several contexts meet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from actorflow.engine import current_engine
from actorflow.errors import ActorflowError
from actorflow.kvstore import create as create_store
from actorflow.ndarray import replace_file
from actorflow.ops import described
from actorflow.optimizer import Optimizer, create, get_updater

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from actorflow.optimizer import Updater
    from actorflow.symbol import Symbol
    from actorflow.training.group import ExecutorGroup

__all__ = ["Updates"]


class Updates:
    """An optimizer, and where it runs.

    With one context it runs there, and changes all parameters in one message. With several, or with
    other machines, it runs in a store: each gradient is pushed when it is there, the last layer's
    first, and the first layer's parameters, which the next batch needs first, go first.

    Attributes:
      optimizer: the update rule.
      store: where gradients meet; None if it runs here.
    """

    def __init__(
        self,
        who: str,
        kvstore: Any,  # noqa: ANN401 -- a name, a store or None
        optimizer: str | Optimizer,
        optimizer_params: Mapping[str, Any] | Sequence[tuple[str, Any]],
        group: ExecutorGroup,
        symbol: Symbol,
    ) -> None:
        """Make the store and the optimizer, and put the parameters into the store.

        Raises:
          TypeError: something is not what it has to be.
          ValueError: several contexts have no store, or a name is not known.
        """
        contexts = len(group.executors)
        self.store = _store(who, kvstore, contexts)
        if isinstance(optimizer, Optimizer):
            self.optimizer = optimizer
        elif isinstance(optimizer, str):
            workers = (
                1
                if self.store is None or self.store.type != "dist_sync"
                else (self.store.num_workers)
            )
            given = {
                "rescale_grad": 1 / (group.batch_size * workers),
                "sym": symbol,
                **dict(optimizer_params),
            }
            self.optimizer = create(optimizer, **given)
        else:
            message = f"{who}: optimizer needs a name or an Optimizer, got {described(optimizer)}"
            raise TypeError(message)
        self._updater = None
        if self.store is None:
            self._updater = get_updater(self.optimizer)
            return
        self.store.set_optimizer(self.optimizer)
        for name, arrays, grads in zip(
            group.param_names, group.param_arrays, group.grad_arrays, strict=True
        ):
            if grads is not None:
                self.store.init(name, arrays[0])

    def send(self, group: ExecutorGroup) -> None:
        """Send the messages that change the parameters of a group by its gradients."""
        if self._updater is not None:
            names, grads, weights = [], [], []
            for name, arrays, found in zip(
                group.param_names, group.param_arrays, group.grad_arrays, strict=True
            ):
                if found is not None:
                    names.append(name)
                    grads.append(found[0])
                    weights.append(arrays[0])
            self._updater.update_all(names, grads, weights)
            return
        assert self.store is not None  # noqa: S101 -- one of the two is there
        for place, (name, arrays, found) in enumerate(
            zip(group.param_names, group.param_arrays, group.grad_arrays, strict=True)
        ):
            if found is not None:
                self.store.push(name, found, priority=-place)
                self.store.pull(name, arrays, priority=-place)

    def require_free(self, who: str) -> None:
        """Raise if parameters cannot get other values, since a store has them, too.

        Raises:
          ActorflowError: a store has them.
        """
        if self.store is not None:
            message = (
                f"{who}: the optimizer runs in a kvstore, which has the parameters, too, and would "
                "put them back: give them values before init_optimizer"
            )
            raise ActorflowError(message)

    def updater(self, who: str) -> Updater:
        """What keeps the states.

        Raises:
          ActorflowError: it is not in this process.
        """
        found: Updater | None = self._updater if self.store is None else self.store.updater
        if found is None:
            message = (
                f"{who}: the optimizer runs in the store {self.store.type!r}, outside of this "
                "process, so no checkpoint here can hold its states"
            )
            raise ActorflowError(message)
        return found

    def save(self, fname: str | os.PathLike[str]) -> None:
        """Write the states of the optimizer to a file, whole or not at all. Waits for them."""
        if self._updater is None:
            assert self.store is not None  # noqa: S101 -- one of the two is there
            self.store.save_optimizer_states(fname)
            return
        replace_file(Path(fname).resolve(), [self._updater.get_states()])

    async def save_async(self, fname: str | os.PathLike[str], group: ExecutorGroup) -> None:
        """Do like `save` in a trio or asyncio task; a worker writes."""
        path, engine = _resolved(fname), current_engine()
        if self._updater is not None:
            pieces = [await self._updater.get_states_async()]
            await engine.push(lambda: replace_file(path, pieces), device="io", name="save")
            return
        assert self.store is not None  # noqa: S101 -- one of the two is there
        for arrays in group.param_arrays:
            # What changes the states changes the parameters, so then there is nothing to wait for.
            await engine.wait_async(arrays[0].resource)
        self.store.save_optimizer_states(path)

    def load(self, fname: str | os.PathLike[str]) -> None:
        """Read what `save` wrote."""
        if self._updater is None:
            assert self.store is not None  # noqa: S101 -- one of the two is there
            self.store.load_optimizer_states(fname)
        else:
            self._updater.set_states(Path(fname).read_bytes())


def _resolved(fname: str | os.PathLike[str]) -> Path:
    """The whole path: the folder may be another one when it is written."""
    return Path(fname).resolve()


def _store(who: str, kvstore: Any, contexts: int) -> Any:  # noqa: ANN401
    """The store that is needed, if any is."""
    if kvstore is None and contexts > 1:
        message = f"{who}: {contexts} contexts need a kvstore, where their gradients meet; got None"
        raise ValueError(message)
    if kvstore is None or (isinstance(kvstore, str) and contexts == 1 and "dist" not in kvstore):
        return None
    return create_store(kvstore) if isinstance(kvstore, str) else kvstore
