"""The exceptions that actorflow raises.

::

    ActorflowError
    +-- EngineError             a bug of ours or of a policy broke the engine
    +-- EngineClosedError       the engine was closed
    +-- ForkedEngineError       the engine belongs to the parent of this process
    +-- WouldBlockError         a blocking call inside a running event loop
    |   +-- BackPressureError   a push past the engine's budget inside a running event loop
    +-- DeadlockError           a wait that could never end
    +-- OperationCancelled      the operation was cancelled before it started
    +-- VerificationError       an operation did not keep to what it declared
    +-- AnomalyError (FloatingPointError)   an operator gave NaN or an infinity
    +-- ShapeError (ValueError)
    +-- DTypeError (TypeError)
    +-- ParameterError (ValueError)
    +-- GradientError
    +-- ContextError (ValueError)
    +-- OutOfMemoryError (MemoryError)
    +-- MembershipError         somebody asks who does not take part in the run, or not any more
    +-- LaunchError (ValueError)    a run cannot be started, or this process is not part of it
    +-- SequenceError           a push came before one that its worker sent earlier
    +-- FormatError (ValueError)    a file or message that is not what it should be
    +-- TrainingError           a batch of a run failed
    +-- MissingExtraError (ImportError)
    +-- CommunicationError (ConnectionError)
        +-- UnreachableError        nobody is there, or somebody is no more
        +-- SocketClosedError       the socket was closed, by this process
        +-- InsecureAddressError    an address other machines can reach, without keys
"""

__all__ = [
    "ActorflowError",
    "AnomalyError",
    "BackPressureError",
    "CommunicationError",
    "ContextError",
    "DTypeError",
    "DeadlockError",
    "EngineClosedError",
    "EngineError",
    "ForkedEngineError",
    "FormatError",
    "GradientError",
    "InsecureAddressError",
    "LaunchError",
    "MembershipError",
    "MissingExtraError",
    "OperationCancelled",
    "OutOfMemoryError",
    "ParameterError",
    "SequenceError",
    "ShapeError",
    "SocketClosedError",
    "TrainingError",
    "UnreachableError",
    "VerificationError",
    "WouldBlockError",
]


class ActorflowError(Exception):
    """The root of all exceptions of this package."""


class EngineError(ActorflowError):
    """The engine cannot go on: a bug of ours, or of a policy or instrument given to it."""


class EngineClosedError(ActorflowError):
    """Something was asked of an engine that has been closed."""


class ForkedEngineError(ActorflowError):
    """The engine was started in the parent process; its workers do not exist in this one."""


class WouldBlockError(ActorflowError):
    """A blocking call on unfinished work was made inside a running event loop."""


class BackPressureError(WouldBlockError):
    """A push past the engine's budget was made inside a running event loop."""


class DeadlockError(ActorflowError):
    """A wait could never end: what it waits for needs something that the waiter holds."""


class OperationCancelled(ActorflowError):
    """The operation was cancelled before it started, so what it would have written is missing."""


class VerificationError(ActorflowError):
    """An operation did not keep to the resources that it declared."""


class AnomalyError(ActorflowError, FloatingPointError):
    """An operator gave NaN or an infinity where an executor was told to look for that."""


class ShapeError(ActorflowError, ValueError):
    """Shapes that do not fit each other."""


class DTypeError(ActorflowError, TypeError):
    """A data type that is not known or does not fit."""


class ParameterError(ActorflowError, ValueError):
    """A parameter of an operator is unknown, missing or not valid."""


class GradientError(ActorflowError):
    """A gradient was asked for that an operator does not have."""


class ContextError(ActorflowError, ValueError):
    """A context that is not known or not available."""


class OutOfMemoryError(ActorflowError, MemoryError):
    """Live memory and the request together are more than the capacity."""


class MembershipError(ActorflowError):
    """Somebody asks who does not take part in the run, or not any more."""


class LaunchError(ActorflowError, ValueError):
    """A run cannot be started as asked for, or this process does not know its place in it."""


class SequenceError(ActorflowError):
    """A message came before one that its sender sent earlier; `expected` is to be sent first."""

    def __init__(self, message: str, expected: int) -> None:
        super().__init__(message)
        self.expected = expected


class FormatError(ActorflowError, ValueError):
    """A file or message that is truncated, corrupt or of another format."""


class TrainingError(ActorflowError):
    """A batch of a run failed; the exception that it comes from says how.

    Attributes:
      epoch: the number of the epoch.
      nbatch: the number of the batch in it.
    """

    def __init__(self, message: str, epoch: int, nbatch: int) -> None:
        super().__init__(message)
        self.epoch = epoch
        self.nbatch = nbatch

    def __reduce__(self) -> tuple[type["TrainingError"], tuple[str, int, int]]:
        return type(self), (str(self), self.epoch, self.nbatch)


class MissingExtraError(ActorflowError, ImportError):
    """An optional dependency is not installed; the message names the extra that brings it."""


class CommunicationError(ActorflowError, ConnectionError):
    """Processes could not talk to each other."""


class UnreachableError(CommunicationError):
    """The other side is not connected, or is no more."""


class SocketClosedError(CommunicationError):
    """Something was asked of a socket that this process has closed."""


class InsecureAddressError(CommunicationError):
    """An address that other machines can reach was to be used without keys."""
