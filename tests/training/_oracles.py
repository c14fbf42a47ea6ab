"""What each metric is, in plain NumPy: a sum and a count of one batch."""

import numpy as np
from sklearn.metrics import f1_score, top_k_accuracy_score


def accuracy(label, pred):
    return np.sum(pred.argmax(1) == label.astype(int)), len(label)


def top_2(label, pred):
    hits = top_k_accuracy_score(
        label.astype(int), pred, k=2, labels=np.arange(pred.shape[1]), normalize=False
    )
    return hits, len(label)


def f1(label, pred):
    return f1_score(label.astype(int), pred.argmax(1) == 1, zero_division=0), 1


def cross_entropy(label, pred):
    chosen = np.array([row[int(one)] for one, row in zip(label, pred, strict=True)], "f8")
    return -np.log(chosen + 1e-12).sum(), len(label)


def mae(label, pred):
    return np.mean(np.abs(label.astype("f8") - pred)), 1


def mse(label, pred):
    return np.mean((label.astype("f8") - pred) ** 2), 1


def rmse(label, pred):
    return np.sqrt(np.mean((label.astype("f8") - pred) ** 2)), 1


def loss(_label, pred):
    return pred.astype("f8").sum(), pred.size


OF_CLASSES = {
    "acc": accuracy,
    "ce": cross_entropy,
    "top_k_acc": top_2,
    "loss": loss,
}
OF_NUMBERS = {"mae": mae, "mse": mse, "rmse": rmse}
EXTRA = {"top_k_acc": {"top_k": 2}}


def combined(oracle, batches):
    """The metric of several batches."""
    sums, counts = zip(*(oracle(*batch) for batch in batches), strict=True)
    return sum(sums) / sum(counts)


def class_batches(seed, count=3, size=8, classes=5):
    """Labels, and probabilities of classes."""
    random = np.random.default_rng(seed)
    batches = []
    for _ in range(count):
        pred = random.uniform(0.01, 1, (size, classes)).astype("f4")
        pred /= pred.sum(1, keepdims=True)
        batches.append((random.integers(0, classes, size).astype("f4"), pred))
    return batches


def number_batches(seed, count=3, size=6):
    """Numbers, and guesses at them."""
    random = np.random.default_rng(seed)
    return [tuple(random.normal(size=(2, size, 3)).astype("f4")) for _ in range(count)]
