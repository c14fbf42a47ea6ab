"""A policy of one's own, as the documentation shows it."""


class CriticalPathPolicy:
    """Run first what the longest chain of others waits for, by the cost of each name.

    Args:
      costs: how long operations take, by name; 1 for names that are not there.
    """

    def __init__(self, costs):
        self.costs = costs
        self.ready = []

    def push(self, operation):
        self.ready.append(operation)

    def pop(self, worker):
        if not self.ready:
            return None
        known = {}
        best = max(self.ready, key=lambda operation: self.length(operation, known))
        self.ready.remove(best)
        return best

    def length(self, operation, known):
        """The cost of an operation and of the longest chain that waits for it so far."""
        if operation not in known:
            behind = [self.length(other, known) for other in operation.successors]
            known[operation] = self.costs.get(operation.name, 1) + max(behind, default=0)
        return known[operation]

    def __len__(self):
        return len(self.ready)
