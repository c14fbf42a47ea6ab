"""Well-known networks as symbols: `af.networks.lenet(num_classes=10)`."""

from actorflow.training.networks import NETWORKS, lenet, mlp, resnet

__all__ = ["NETWORKS", "lenet", "mlp", "resnet"]
