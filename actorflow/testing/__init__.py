"""What tests of networks and operators need."""

from actorflow.testing.gradients import check_gradient

__all__ = ["check_gradient"]
