"""Every optimizer once more: formulas in NumPy, in float64, one weight at a time."""

import numpy as np


def clip(grad, bound):
    return grad if bound is None else np.maximum(np.minimum(grad, bound), -bound)


class Rates:
    """What the formulas share, as `Optimizer` takes it."""

    def __init__(self, lr, wd=0.0, rescale_grad=1.0, clip_gradient=None):
        self.lr, self.wd, self.rescale, self.bound = lr, wd, rescale_grad, clip_gradient

    def grad(self, grad):
        return clip(grad * self.rescale, self.bound)

    def decayed(self, grad, weight):
        return clip(grad * self.rescale + self.wd * weight, self.bound)


def sgd(w, g, s, r, t, momentum=0.0):
    s["mom"] = momentum * s.get("mom", 0) - r.lr * (r.grad(g) + r.wd * w)
    return w + s["mom"]


def nag(w, g, s, r, t, momentum=0.0):
    """As in early MXNet, whose momentum has no rate in it, with one rate throughout."""
    d = r.lr * (r.grad(g) + r.wd * w)
    s["mom"] = momentum * s.get("mom", 0) + d
    return w - (d + momentum * s["mom"])


def dcasgd(w, g, s, r, t, momentum=0.0, lamda=0.04):
    g = r.grad(g)
    before = s.get("before", w)
    s["mom"] = momentum * s.get("mom", 0) - r.lr * (g + r.wd * w + lamda * g * g * (w - before))
    s["before"] = w
    return w + s["mom"]


def adam(w, g, s, r, t, beta1=0.9, beta2=0.999, epsilon=1e-8, decay_factor=1.0):
    g = r.decayed(g, w)
    b = beta1 * decay_factor ** (t - 1)
    s["m"] = b * s.get("m", 0) + (1 - b) * g
    s["v"] = beta2 * s.get("v", 0) + (1 - beta2) * g**2
    rate = r.lr * np.sqrt(1 - beta2**t) / (1 - beta1**t)
    return w - rate * s["m"] / (np.sqrt(s["v"]) + epsilon)


def adagrad(w, g, s, r, t, eps=1e-7):
    g = r.grad(g)
    s["h"] = s.get("h", 0) + g**2
    return w - r.lr * (g / np.sqrt(s["h"] + eps) + r.wd * w)


def rmsprop(w, g, s, r, t, gamma1=0.95, gamma2=0.9, epsilon=1e-4, centered=True, clip_weights=None):
    g = r.decayed(g, w)
    s["n"] = gamma1 * s.get("n", 0) + (1 - gamma1) * g**2
    if not centered:
        return clip(w - r.lr * g / np.sqrt(s["n"] + epsilon), clip_weights)
    s["g"] = gamma1 * s.get("g", 0) + (1 - gamma1) * g
    step = r.lr * g / np.sqrt(s["n"] - s["g"] ** 2 + epsilon)
    s["d"] = gamma2 * s.get("d", 0) - step
    return clip(w + s["d"], clip_weights)


def adadelta(w, g, s, r, t, rho=0.9, epsilon=1e-5):
    g = r.grad(g)
    s["g"] = rho * s.get("g", 0) + (1 - rho) * g**2
    d = np.sqrt(s.get("d", 0) + epsilon) / np.sqrt(s["g"] + epsilon) * g
    s["d"] = rho * s.get("d", 0) + (1 - rho) * d**2
    return w - d - r.wd * w


def ftrl(w, g, s, r, t, lamda1=0.01, beta=1.0):
    g = r.grad(g)
    n = s.get("n", 0)
    s["z"] = s.get("z", 0) + g - (np.sqrt(n + g**2) - np.sqrt(n)) * w / r.lr
    s["n"] = n + g**2
    z = s["z"]
    found = (np.sign(z) * lamda1 - z) / ((beta + np.sqrt(s["n"])) / r.lr + r.wd)
    return np.where(np.abs(z) > lamda1, found, 0.0)


REFERENCES = {
    "sgd": sgd,
    "ccsgd": sgd,
    "nag": nag,
    "dcasgd": dcasgd,
    "adam": adam,
    "adagrad": adagrad,
    "rmsprop": rmsprop,
    "adadelta": adadelta,
    "ftrl": ftrl,
}

CASES = {
    "sgd": ("sgd", {}),
    "sgd-momentum": ("sgd", {"momentum": 0.9}),
    "ccsgd": ("ccsgd", {"momentum": 0.5}),
    "nag": ("nag", {"momentum": 0.9}),
    "nag-plain": ("nag", {}),
    "dcasgd": ("dcasgd", {}),
    "dcasgd-momentum": ("dcasgd", {"momentum": 0.9, "lamda": 0.5}),
    "adam": ("adam", {}),
    "adam-decay": ("adam", {"beta1": 0.8, "beta2": 0.9, "epsilon": 1e-3, "decay_factor": 0.95}),
    "adagrad": ("adagrad", {"eps": 1e-3}),
    "rmsprop": ("rmsprop", {}),
    "rmsprop-clip": ("rmsprop", {"gamma1": 0.8, "gamma2": 0.5, "clip_weights": 1.0}),
    "rmsprop-plain": ("rmsprop", {"centered": False, "gamma1": 0.9, "epsilon": 1e-6}),
    "adadelta": ("adadelta", {"rho": 0.8}),
    "ftrl": ("ftrl", {"lamda1": 0.1, "beta": 0.5}),
}
"""Every rule that draws nothing: the optimizer and its own arguments."""
