"""Gradients of operators against differences, in float64."""

import numpy as np

from actorflow.ops import eager


def weighted(outputs, weights):
    return sum((o * w).sum() for o, w in zip(outputs, weights, strict=True))


def check_gradient(operator, *arrays, states=(), seed=0, wrt=None, eps=1e-6, tol=1e-6, skip=()):
    """Compare an operator's gradient at `arrays`, float64 where they vary, with differences.

    Args:
      states: the auxiliary states; a copy is used for each run.
      wrt: the names of the inputs to vary; None for all that are float64.
      skip: names of inputs whose gradient has to be None.
    """
    draw = np.random.Generator(np.random.Philox(seed))

    def run(inputs):
        rng = np.random.Generator(np.random.Philox(seed + 1))
        copies = [state.copy() for state in states]
        return eager.apply(operator, *inputs, *copies, rng=rng)

    outputs = run(arrays)
    visible = len(outputs) - operator.hidden
    weights = [draw.normal(size=o.shape) for o in outputs[:visible]]
    grads = eager.gradient(operator, arrays, outputs, weights)
    for index, (name, array) in enumerate(zip(operator.inputs, arrays, strict=True)):
        if name in skip:
            assert grads[index] is None, name
            continue
        if array.dtype != np.float64 or (wrt is not None and name not in wrt):
            continue
        numeric = np.empty_like(array)
        for place in np.ndindex(array.shape):
            sides = []
            for step in (eps, -eps):
                moved = array.copy()
                moved[place] += step
                inputs = [*arrays[:index], moved, *arrays[index + 1 :]]
                sides.append(weighted(run(inputs)[:visible], weights))
            numeric[place] = (sides[0] - sides[1]) / (2 * eps)
        scale = max(1.0, float(np.abs(numeric).max(initial=0)))
        np.testing.assert_allclose(grads[index], numeric, atol=tol * scale * 100, err_msg=name)
