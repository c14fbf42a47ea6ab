"""Steps of optimizers: weights changed by their gradients, in one pass over the memory.

Each reads `grad` and changes `weight`, or another array given as `out`, and its states in place.
`grad` is multiplied by `rescale_grad` first, and then clipped. The same step asked for again, on
the same arrays, is sent sooner, whatever `lr` is.

Each raises in the call: `ParameterError` if a parameter is not valid, `TypeError` if something is
no array, `ShapeError`, `DTypeError` and `ContextError` if the arrays do not fit, and `ValueError`
if what is written is not writable or is memory of something else.
"""

# Written by docs/make_symbols.py from what the operators say of their parameters:
# change it there, and run `make symbols`.

from __future__ import annotations

from typing import TYPE_CHECKING

from actorflow import ops
from actorflow.ndarray.update import update

if TYPE_CHECKING:
    from actorflow.ndarray.array import NDArray

__all__ = [
    "adadelta_update",
    "adagrad_update",
    "adam_update",
    "dcasgd_update",
    "ftrl_update",
    "nag_mom_update",
    "rmsprop_update",
    "rmspropalex_update",
    "sgd_mom_update",
    "sgd_update",
    "sgld_update",
]


def adadelta_update(
    weight: NDArray,
    grad: NDArray,
    acc_g: NDArray,
    acc_delta: NDArray,
    lr: float = 1,
    rho: float = 0.9,
    epsilon: float = 1e-05,
    wd: float = 0,
    rescale_grad: float = 1,
    clip_gradient: float = -1,
    out: NDArray | None = None,
) -> NDArray:
    """A step of AdaDelta (Zeiler 2012, arXiv 1212.5701), which needs no learning rate.

    `acc_g = rho * acc_g + (1 - rho) * grad * grad`, then `delta = grad * sqrt((acc_delta + epsilon)
    / (acc_g + epsilon))` and `acc_delta = rho * acc_delta + (1 - rho) * delta * delta`; the output
    is `weight - lr * (delta + wd * weight)`, where the paper has no `lr`.

    Args:
      weight: of a floating type.
      grad: of its shape and data type.
      acc_g, acc_delta: the states, updated; alike.
      wd: the weight decay; a number.
      rescale_grad: what grad is multiplied by; a number.
      clip_gradient: clip grad to [-this, this]; 0 or less: do not; a number.
      rho: how slowly the means forget; a number of at least 0 and at most 1.
      epsilon: what is added under the roots; a number.
      lr: what the step is multiplied by; a number.
      out: where the result goes, usually weight itself; None for a new one.
    """
    return update(
        ops.AdaDeltaUpdate,
        (weight, grad, acc_g, acc_delta),
        out,
        lr=lr,
        rho=rho,
        epsilon=epsilon,
        wd=wd,
        rescale_grad=rescale_grad,
        clip_gradient=clip_gradient,
    )


def adagrad_update(
    weight: NDArray,
    grad: NDArray,
    history: NDArray,
    lr: float,
    epsilon: float = 1e-07,
    wd: float = 0,
    rescale_grad: float = 1,
    clip_gradient: float = -1,
    out: NDArray | None = None,
) -> NDArray:
    """A step of AdaGrad (Duchi, Hazan and Singer 2011, JMLR 12).

    `history = history + grad * grad`, and the output is
    `weight - lr * (grad / sqrt(history + epsilon) + wd * weight)`.

    Args:
      weight: of a floating type.
      grad: of its shape and data type.
      history: the state, which is updated; alike.
      lr: the learning rate; a number.
      wd: the weight decay; a number.
      rescale_grad: what grad is multiplied by; a number.
      clip_gradient: clip grad to [-this, this]; 0 or less: do not; a number.
      epsilon: what is added under the root; a number.
      out: where the result goes, usually weight itself; None for a new one.
    """
    return update(
        ops.AdaGradUpdate,
        (weight, grad, history),
        out,
        lr=lr,
        epsilon=epsilon,
        wd=wd,
        rescale_grad=rescale_grad,
        clip_gradient=clip_gradient,
    )


def adam_update(
    weight: NDArray,
    grad: NDArray,
    mean: NDArray,
    var: NDArray,
    lr: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-08,
    wd: float = 0,
    rescale_grad: float = 1,
    clip_gradient: float = -1,
    out: NDArray | None = None,
) -> NDArray:
    """A step of Adam (Kingma and Ba 2015, arXiv 1412.6980), whose bias is corrected in `lr`.

    With `g = grad + wd * weight`, which is what is clipped here, `mean = beta1 * mean +
    (1 - beta1) * g` and `var = beta2 * var + (1 - beta2) * g * g`; the output is
    `weight - lr * mean / (sqrt(var) + epsilon)`. For the paper's Algorithm 1, up to how epsilon
    counts, `lr` at step t, from 1, is the rate times `sqrt(1 - beta2**t) / (1 - beta1**t)`.

    Args:
      weight: of a floating type.
      grad: of its shape and data type.
      mean, var: the states, updated; alike.
      lr: the learning rate; a number.
      wd: the weight decay; a number.
      rescale_grad: what grad is multiplied by; a number.
      clip_gradient: clip grad to [-this, this]; 0 or less: do not; a number.
      beta1: how slowly the mean forgets; a number of at least 0 and at most 1.
      beta2: how slowly the mean of squares forgets; a number of at least 0 and at most 1.
      epsilon: what is added to the root, against division by 0; a number.
      out: where the result goes, usually weight itself; None for a new one.
    """
    return update(
        ops.AdamUpdate,
        (weight, grad, mean, var),
        out,
        lr=lr,
        beta1=beta1,
        beta2=beta2,
        epsilon=epsilon,
        wd=wd,
        rescale_grad=rescale_grad,
        clip_gradient=clip_gradient,
    )


def dcasgd_update(
    weight: NDArray,
    grad: NDArray,
    mom: NDArray,
    previous_weight: NDArray,
    lr: float,
    momentum: float = 0,
    lamda: float = 0.04,
    wd: float = 0,
    rescale_grad: float = 1,
    clip_gradient: float = -1,
    out: NDArray | None = None,
) -> NDArray:
    """A step of gradient descent that makes up for a delay (Zheng et al. 2016, arXiv 1609.08326).

    `mom = momentum * mom - lr * (grad + wd * weight + lamda * grad**2 * (weight -
    previous_weight))`; then `previous_weight` is `weight`, and the output `weight + mom`.

    Args:
      weight: of a floating type.
      grad: of its shape and data type.
      mom, previous_weight: the states, updated; alike.
      lr: the learning rate; a number.
      wd: the weight decay; a number.
      rescale_grad: what grad is multiplied by; a number.
      clip_gradient: clip grad to [-this, this]; 0 or less: do not; a number.
      momentum: how much of the last step is taken again; a number.
      lamda: how much of the delay is made up for; a number.
      out: where the result goes, usually weight itself; None for a new one.
    """
    return update(
        ops.DCASGDUpdate,
        (weight, grad, mom, previous_weight),
        out,
        lr=lr,
        momentum=momentum,
        lamda=lamda,
        wd=wd,
        rescale_grad=rescale_grad,
        clip_gradient=clip_gradient,
    )


def ftrl_update(
    weight: NDArray,
    grad: NDArray,
    z: NDArray,
    n: NDArray,
    lr: float,
    lamda1: float = 0.01,
    beta: float = 1,
    wd: float = 0,
    rescale_grad: float = 1,
    clip_gradient: float = -1,
    out: NDArray | None = None,
) -> NDArray:
    """A step of FTRL-Proximal (McMahan et al. 2013, "Ad Click Prediction").

    `z = z + grad - (sqrt(n + grad * grad) - sqrt(n)) * weight / lr` and `n = n + grad * grad`; the
    output is 0 where `abs(z) <= lamda1`, and `(sign(z) * lamda1 - z) / ((beta + sqrt(n)) / lr +
    wd)` elsewhere. `lr` is more than 0.

    Args:
      weight: of a floating type.
      grad: of its shape and data type.
      z, n: the states, updated; alike.
      lr: the learning rate; a number.
      wd: the weight decay; a number.
      rescale_grad: what grad is multiplied by; a number.
      clip_gradient: clip grad to [-this, this]; 0 or less: do not; a number.
      lamda1: how far `z` has to be from 0; a number.
      beta: what the learning rates of elements begin with; a number.
      out: where the result goes, usually weight itself; None for a new one.
    """
    return update(
        ops.FtrlUpdate,
        (weight, grad, z, n),
        out,
        lr=lr,
        lamda1=lamda1,
        beta=beta,
        wd=wd,
        rescale_grad=rescale_grad,
        clip_gradient=clip_gradient,
    )


def nag_mom_update(
    weight: NDArray,
    grad: NDArray,
    mom: NDArray,
    lr: float,
    momentum: float = 0,
    wd: float = 0,
    rescale_grad: float = 1,
    clip_gradient: float = -1,
    out: NDArray | None = None,
) -> NDArray:
    """A step with Nesterov's momentum (Nesterov 1983; Sutskever et al. 2013).

    With `step = lr * (grad + wd * weight)`, `mom = momentum * mom - step`, and the output is
    `weight + momentum * mom - step`: where the next momentum will have led already.

    Args:
      weight: of a floating type.
      grad: of its shape and data type.
      mom: the state, which is updated; alike.
      lr: the learning rate; a number.
      wd: the weight decay; a number.
      rescale_grad: what grad is multiplied by; a number.
      clip_gradient: clip grad to [-this, this]; 0 or less: do not; a number.
      momentum: how much of the last step is taken again; a number.
      out: where the result goes, usually weight itself; None for a new one.
    """
    return update(
        ops.NAGMomUpdate,
        (weight, grad, mom),
        out,
        lr=lr,
        momentum=momentum,
        wd=wd,
        rescale_grad=rescale_grad,
        clip_gradient=clip_gradient,
    )


def rmsprop_update(
    weight: NDArray,
    grad: NDArray,
    n: NDArray,
    lr: float,
    gamma1: float = 0.95,
    epsilon: float = 1e-08,
    wd: float = 0,
    rescale_grad: float = 1,
    clip_gradient: float = -1,
    clip_weights: float = -1,
    out: NDArray | None = None,
) -> NDArray:
    """A step of RMSProp (Tieleman and Hinton 2012, lecture 6.5 of their course).

    With `g = grad + wd * weight`, which is what is clipped here, `n = gamma1 * n + (1 - gamma1) *
    g * g`, and the output is `weight - lr * g / sqrt(n + epsilon)`.

    Args:
      weight: of a floating type.
      grad: of its shape and data type.
      n: the state, which is updated; alike.
      lr: the learning rate; a number.
      wd: the weight decay; a number.
      rescale_grad: what grad is multiplied by; a number.
      clip_gradient: clip grad to [-this, this]; 0 or less: do not; a number.
      gamma1: how slowly the means forget; a number of at least 0 and at most 1.
      epsilon: what is added under the root; a number.
      clip_weights: clip weights to [-this, this]; 0 or less: do not; a number.
      out: where the result goes, usually weight itself; None for a new one.
    """
    return update(
        ops.RMSPropUpdate,
        (weight, grad, n),
        out,
        lr=lr,
        gamma1=gamma1,
        epsilon=epsilon,
        wd=wd,
        rescale_grad=rescale_grad,
        clip_gradient=clip_gradient,
        clip_weights=clip_weights,
    )


def rmspropalex_update(
    weight: NDArray,
    grad: NDArray,
    n: NDArray,
    g: NDArray,
    delta: NDArray,
    lr: float,
    gamma1: float = 0.95,
    epsilon: float = 1e-08,
    gamma2: float = 0.9,
    wd: float = 0,
    rescale_grad: float = 1,
    clip_gradient: float = -1,
    clip_weights: float = -1,
    out: NDArray | None = None,
) -> NDArray:
    """A step of RMSProp, centered and with momentum (Graves 2013, arXiv 1308.0850, 38 to 45).

    With `d = grad + wd * weight`, which is what is clipped here, `n = gamma1 * n + (1 - gamma1) *
    d * d` and `g = gamma1 * g + (1 - gamma1) * d`, then `delta = gamma2 * delta - lr * d /
    sqrt(n - g * g + epsilon)`; the output is `weight + delta`. A variance `n - g * g` that rounding
    made negative counts as 0.

    Args:
      weight: of a floating type.
      grad: of its shape and data type.
      n, g, delta: the states, updated; alike.
      lr: the learning rate; a number.
      wd: the weight decay; a number.
      rescale_grad: what grad is multiplied by; a number.
      clip_gradient: clip grad to [-this, this]; 0 or less: do not; a number.
      gamma1: how slowly the means forget; a number of at least 0 and at most 1.
      epsilon: what is added under the root; a number.
      clip_weights: clip weights to [-this, this]; 0 or less: do not; a number.
      gamma2: how much of the last step is taken again; a number.
      out: where the result goes, usually weight itself; None for a new one.
    """
    return update(
        ops.RMSPropAlexUpdate,
        (weight, grad, n, g, delta),
        out,
        lr=lr,
        gamma1=gamma1,
        epsilon=epsilon,
        gamma2=gamma2,
        wd=wd,
        rescale_grad=rescale_grad,
        clip_gradient=clip_gradient,
        clip_weights=clip_weights,
    )


def sgd_mom_update(
    weight: NDArray,
    grad: NDArray,
    mom: NDArray,
    lr: float,
    momentum: float = 0,
    wd: float = 0,
    rescale_grad: float = 1,
    clip_gradient: float = -1,
    out: NDArray | None = None,
) -> NDArray:
    """A step of gradient descent with momentum (Polyak 1964).

    `mom = momentum * mom - lr * (grad + wd * weight)`, and the output is `weight + mom`.

    Args:
      weight: of a floating type.
      grad: of its shape and data type.
      mom: the state, which is updated; alike.
      lr: the learning rate; a number.
      wd: the weight decay; a number.
      rescale_grad: what grad is multiplied by; a number.
      clip_gradient: clip grad to [-this, this]; 0 or less: do not; a number.
      momentum: how much of the last step is taken again; a number.
      out: where the result goes, usually weight itself; None for a new one.
    """
    return update(
        ops.SGDMomUpdate,
        (weight, grad, mom),
        out,
        lr=lr,
        momentum=momentum,
        wd=wd,
        rescale_grad=rescale_grad,
        clip_gradient=clip_gradient,
    )


def sgd_update(
    weight: NDArray,
    grad: NDArray,
    lr: float,
    wd: float = 0,
    rescale_grad: float = 1,
    clip_gradient: float = -1,
    out: NDArray | None = None,
) -> NDArray:
    """A step of gradient descent: `weight - lr * (grad + wd * weight)`.

    Args:
      weight: of a floating type.
      grad: of its shape and data type.
      lr: the learning rate; a number.
      wd: the weight decay; a number.
      rescale_grad: what grad is multiplied by; a number.
      clip_gradient: clip grad to [-this, this]; 0 or less: do not; a number.
      out: where the result goes, usually weight itself; None for a new one.
    """
    return update(
        ops.SGDUpdate,
        (weight, grad),
        out,
        lr=lr,
        wd=wd,
        rescale_grad=rescale_grad,
        clip_gradient=clip_gradient,
    )


def sgld_update(
    weight: NDArray,
    grad: NDArray,
    lr: float,
    wd: float = 0,
    rescale_grad: float = 1,
    clip_gradient: float = -1,
    out: NDArray | None = None,
) -> NDArray:
    """A step of Langevin dynamics by gradients (Welling and Teh 2011), which samples a posterior.

    The output is `weight - lr / 2 * (grad + wd * weight)`, and normal noise of variance `lr`.

    Args:
      weight: of a floating type.
      grad: of its shape and data type.
      lr: the learning rate; a number.
      wd: the weight decay; a number.
      rescale_grad: what grad is multiplied by; a number.
      clip_gradient: clip grad to [-this, this]; 0 or less: do not; a number.
      out: where the result goes, usually weight itself; None for a new one.
    """
    return update(
        ops.SGLDUpdate,
        (weight, grad),
        out,
        lr=lr,
        wd=wd,
        rescale_grad=rescale_grad,
        clip_gradient=clip_gradient,
    )
