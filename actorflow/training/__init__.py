"""What makes a run of an executor: initial values, metrics, callbacks, modules, checkpoints."""
