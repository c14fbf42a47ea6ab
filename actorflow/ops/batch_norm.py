"""Normalization over a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import attrs
import numpy as np

from actorflow.errors import DTypeError, GradientError
from actorflow.ops import half
from actorflow.ops.operator import Operator
from actorflow.ops.parameters import flag, integer, number
from actorflow.ops.reduce import normalize_axis
from actorflow.ops.types import is_floating, prod

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from actorflow.ops.operator import Apply, Handles
    from actorflow.ops.types import Memory, Shape

__all__ = ["BatchNorm", "BatchNormGradient"]

_BLOCK: Final = 1 << 18  # elements at a time: so many of each array fit in a cache


@attrs.frozen
class BatchNorm(Operator):
    """Each channel with mean 0 and deviation 1 over the batch, times `gamma`, plus `beta`.

        output = gamma (data - mean) / sqrt(var + eps) + beta

    (S. Ioffe, C. Szegedy: Batch Normalization, 2015). `data` is `(n, channels, ...)`, or has its
    channels at another `axis`; `gamma`, `beta`, the states and the hidden outputs are
    `(channels,)`. In training `mean` and `var` (the biased one) are those of the batch, and the
    states follow them: `moving = momentum moving + (1 - momentum) batch`. At inference, and with
    `use_global_stats`, they are the states. The hidden outputs are the mean and the inverse
    deviation, `1 / sqrt(var + eps)`.

    float16 data has parameters and states of float32, and is computed in it. Sums are of blocks,
    each around its own mean, and are put together in float64 (T. Chan, G. Golub, R. LeVeque:
    Updating Formulae and a Pairwise Algorithm for Computing Sample Variances, 1979).
    """

    eps: float = number(1e-3, least=0, doc="what is added to the variance")
    momentum: float = number(0.9, doc="how much of a moving average a batch leaves")
    fix_gamma: bool = flag(True, doc="take gamma for 1, and give it no gradient but 0")
    use_global_stats: bool = flag(False, doc="use the moving averages in training too")
    output_mean_var: bool = flag(False, doc="show the mean and the inverse deviation as outputs")
    axis: int = integer(1, doc="the axis of the channels")
    cudnn_off: bool = flag(False, doc="taken for MXNet's sake, and not used")

    name = "BatchNorm"
    inputs = ("data", "gamma", "beta")
    auxiliary = ("moving_mean", "moving_var")
    outputs = ("output", "mean", "var")
    inplace = (("data", "output"),)

    @property
    def hidden(self) -> int:  # type: ignore[override]
        return 0 if self.output_mean_var else 2

    def infer_shape(
        self, *shapes: Shape | None
    ) -> tuple[tuple[Shape | None, ...], tuple[Shape | None, ...]]:
        data = shapes[0]
        if data is None:
            return shapes, (None,) * 3
        channels = (data[normalize_axis(self.name, self.axis, len(data))],)
        for name, got in zip((*self.inputs, *self.auxiliary)[1:], shapes[1:], strict=True):
            if got not in (None, channels):
                self.refuse(name, got or (), f"data {data} with axis={self.axis} needs {channels}")
        return (data, *[channels] * 4), (data, channels, channels)

    def infer_type(
        self, *dtypes: np.dtype[Any] | None
    ) -> tuple[tuple[np.dtype[Any] | None, ...], tuple[np.dtype[Any] | None, ...]]:
        data = dtypes[0]
        if data is None:
            return dtypes, (None,) * 3
        if not is_floating(data):
            raise DTypeError(f"{self.name}: data is {data.name}, but needs a floating type")
        needs = half.computed_in(data)
        for name, got in zip((*self.inputs, *self.auxiliary)[1:], dtypes[1:], strict=True):
            if got not in (None, needs):
                raise DTypeError(f"{self.name}: {name} is {got}, but {data.name} needs {needs}")
        return (data, *[needs] * 4), (data, needs, needs)

    def scratch(
        self, shapes: Sequence[Shape], dtypes: Sequence[np.dtype[Any]]
    ) -> tuple[tuple[Shape, np.dtype[Any]], ...]:
        shape = _flat(shapes[0], self.axis)
        return (((prod(_at_once(shape)) * shape[2],), half.computed_in(dtypes[0])),)

    def forward(
        self,
        data: Memory,
        gamma: Memory,
        beta: Memory,
        moving_mean: Memory,
        moving_var: Memory,
        output: Memory,
        mean: Memory,
        inverse: Memory,
        work: Memory,
    ) -> None:
        shape = _flat(data.shape, self.axis)
        data, output = data.reshape(shape), output.reshape(shape)
        if self.use_global_stats:
            np.copyto(mean, moving_mean)
            var: Memory = moving_var.astype(np.float64)
        else:
            center, var = _moments(data, work)
            mean[...] = center
            for moving, now in ((moving_mean, center), (moving_var, var)):
                moving[...] = self.momentum * moving + (1 - self.momentum) * now
        inverse[...] = 1 / np.sqrt(var + self.eps)
        self.normalize((data, gamma, beta, mean, inverse), output, work)

    def normalize(self, given: tuple[Memory, ...], output: Memory, work: Memory) -> None:
        """Fill the output, `(rows, channels, width)`, with what follows from mean and deviation."""
        data, gamma, beta, mean, inverse = given
        scale = inverse if self.fix_gamma else inverse * gamma
        center, scale, shift = mean[:, None], scale[:, None], beta[:, None]
        for cut in _cuts(data.shape):
            result, channels = output[cut], cut[1]
            each = result if result.dtype == work.dtype else _shaped(work, result.shape)
            np.subtract(data[cut], center[channels], out=each)
            np.multiply(each, scale[channels], out=each)
            np.add(each, shift[channels], out=result, casting="same_kind")

    def gradient(
        self, apply: Apply, inputs: Handles, outputs: Handles, out_grads: Handles
    ) -> Handles:
        if any(each is not None for each in out_grads[1:]):
            raise GradientError(
                f"{self.name}: its outputs mean and var give no gradient; use them behind BlockGrad"
            )
        return apply(BatchNormGradient(self), *inputs[:2], *outputs[1:], out_grads[0])

    def again(self) -> Operator | None:
        return None if self.output_mean_var else BatchNormAgain(self)

    def at_inference(self) -> Operator:
        return attrs.evolve(self, use_global_stats=True)


@attrs.frozen
class BatchNormAgain(Operator):
    """The output of a `BatchNorm` from the mean and the inverse deviation that it found."""

    layer: BatchNorm

    inputs = ("data", "gamma", "beta", "mean", "inverse")
    inplace = (("data", "output"),)

    @property
    def name(self) -> str:  # type: ignore[override]
        return f"{self.layer.name}_again"

    def output_shape(self, *shapes: Shape) -> Shape:
        return shapes[0]

    def output_type(self, *dtypes: np.dtype[Any]) -> np.dtype[Any]:
        return dtypes[0]

    def scratch(
        self, shapes: Sequence[Shape], dtypes: Sequence[np.dtype[Any]]
    ) -> tuple[tuple[Shape, np.dtype[Any]], ...]:
        return self.layer.scratch(shapes, dtypes)

    def forward(self, data: Memory, *rest: Memory) -> None:
        *given, output, work = rest
        shape = _flat(data.shape, self.layer.axis)
        self.layer.normalize((data.reshape(shape), *given), output.reshape(shape), work)


@attrs.frozen
class BatchNormGradient(Operator):
    """The gradients of a `BatchNorm`.

    With `x = (data - mean) inverse` and sums over the m elements of a channel they are

        beta_grad = sum(grad)
        gamma_grad = sum(grad x)
        data_grad = gamma inverse (grad - beta_grad / m - x gamma_grad / m)

    and without the last two terms where mean and deviation do not come from the data.
    """

    layer: BatchNorm

    inputs = ("data", "gamma", "mean", "inverse", "grad")
    outputs = ("data_grad", "gamma_grad", "beta_grad")
    inplace = (("grad", "data_grad"), ("data", "data_grad"))
    partial = True

    @property
    def name(self) -> str:  # type: ignore[override]
        return f"{self.layer.name}_gradient"

    def infer_shape(
        self, *shapes: Shape | None
    ) -> tuple[tuple[Shape | None, ...], tuple[Shape | None, ...]]:
        return shapes, (shapes[0], shapes[1], shapes[1])

    def infer_type(
        self, *dtypes: np.dtype[Any] | None
    ) -> tuple[tuple[np.dtype[Any] | None, ...], tuple[np.dtype[Any] | None, ...]]:
        return dtypes, (dtypes[0], dtypes[1], dtypes[1])

    def scratch(
        self, shapes: Sequence[Shape], dtypes: Sequence[np.dtype[Any]]
    ) -> tuple[tuple[Shape, np.dtype[Any]], ...]:
        shape = _flat(shapes[0], self.layer.axis)
        return (((prod(_at_once(shape)) * shape[2],), half.computed_in(dtypes[0])),) * 2

    def forward(
        self,
        data: Memory,
        gamma: Memory,
        mean: Memory,
        inverse: Memory,
        grad: Memory,
        data_grad: Memory | None,
        gamma_grad: Memory | None,
        beta_grad: Memory | None,
        *work: Memory,
    ) -> None:
        shape = _flat(data.shape, self.layer.axis)
        data, grad, center = data.reshape(shape), grad.reshape(shape), mean[:, None]
        by_batch = data_grad is not None and not self.layer.use_global_stats
        along, total = np.zeros(mean.shape), np.zeros(mean.shape)
        if by_batch or gamma_grad is not None or beta_grad is not None:
            for cut in _cuts(shape):
                each, above, channels = (
                    _shaped(work[0], data[cut].shape),
                    half.wide(grad[cut]),
                    cut[1],
                )
                np.subtract(data[cut], center[channels], out=each)
                along[channels] += np.einsum("rcw,rcw->c", above, each)
                total[channels] += np.add.reduce(above, (0, 2))
        if beta_grad is not None:
            beta_grad[...] = total
        if gamma_grad is not None:
            gamma_grad[...] = 0 if self.layer.fix_gamma else along * inverse
        if data_grad is None:
            return
        scale = inverse if self.layer.fix_gamma else inverse * gamma
        count = max(1, shape[0] * shape[2])
        slope = (-scale * inverse * inverse * along / count).astype(mean.dtype)[:, None]
        shift = (-scale * total / count).astype(mean.dtype)[:, None]
        target = data_grad.reshape(shape)
        for cut in _cuts(shape):
            here, above = (_shaped(each, data[cut].shape) for each in work)
            result, channels = target[cut], cut[1]
            np.multiply(grad[cut], scale[channels, None], out=above)
            if by_batch:
                np.subtract(data[cut], center[channels], out=here)
                np.multiply(here, slope[channels], out=here)
                np.add(above, here, out=above)
                np.add(above, shift[channels], out=result, casting="same_kind")
            else:
                np.copyto(result, above, casting="same_kind")


Cut = tuple[slice, slice]  # of the rows and of the channels


def _flat(data: Shape, axis: int) -> Shape:
    """The shape of data as `(rows, channels, width)`."""
    axis = normalize_axis("BatchNorm", axis, len(data))
    return prod(data[:axis]), data[axis], prod(data[axis + 1 :])


def _at_once(shape: Shape) -> tuple[int, int]:
    """How many rows and channels of `(rows, channels, width)` make a block."""
    most = max(1, _BLOCK // max(1, shape[2]))
    channels = max(1, min(shape[1], most))
    return max(1, min(shape[0], most // channels)), channels


def _cuts(shape: Shape) -> Iterator[Cut]:
    """The blocks, all rows of some channels behind each other."""
    rows, channels = _at_once(shape)
    for low in range(0, shape[1], channels):
        for first in range(0, shape[0], rows):
            yield slice(first, first + rows), slice(low, low + channels)


def _shaped(flat: Memory, shape: Shape) -> Memory:
    return flat[: prod(shape)].reshape(shape)


def _moments(data: Memory, work: Memory) -> tuple[Memory, Memory]:
    """The mean and the biased variance of each channel of `(rows, channels, width)`."""
    mean, spread = np.zeros(data.shape[1]), np.zeros(data.shape[1])
    for cut in _cuts(data.shape):
        block = half.wide(data[cut])
        seen, count = cut[0].start * block.shape[2], block.shape[0] * block.shape[2]
        if not count:
            continue
        around = np.add.reduce(block, (0, 2)) / count
        each = _shaped(work, block.shape)
        np.subtract(block, around[:, None], out=each)
        channels = cut[1]
        apart = around - mean[channels]
        spread[channels] += np.einsum("rcw,rcw->c", each, each)
        spread[channels] += apart**2 * (count * seen / (seen + count))
        mean[channels] += apart * (count / (seen + count))
    return mean, spread / max(1, data.shape[0] * data.shape[2])
