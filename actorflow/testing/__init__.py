"""What tests of networks, operators and stores need."""

from typing import TYPE_CHECKING

from actorflow.testing.gradients import check_gradient

if TYPE_CHECKING:
    from actorflow.testing.histories import check_history as check_history

__all__ = ["check_gradient", "check_history"]


def __getattr__(name: str) -> object:
    if name == "check_history":
        # Programs without a store do not load one.
        from actorflow.testing.histories import check_history  # noqa: PLC0415

        return check_history
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
