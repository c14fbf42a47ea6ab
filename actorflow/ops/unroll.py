"""Convolution as matrix products: the three kernels, forward and both gradients.

Each position of the kernel sees the (padded) input as a strided view. Copied one below the other,
these views are a matrix, and the convolution is the weights times that matrix (K. Chellapilla,
S. Puri, P. Simard: High Performance Convolutional Neural Networks for Document Processing, 2006).
The matrix is made for a few images or lines at a time, so that it stays in the cache, and in one
of three ways:

- by *lines*: only the kernel's axes but the first are unrolled. The first one shifts that matrix by
  whole lines, so that its products are of parts of the same memory; they are added up.
- *merged*: fully unrolled, the positions of several images side by side, where an image alone has
  too few positions for a fast product. Outputs are copied to their places.
- *batched*: fully unrolled, a product per image straight into the output. A kernel of one point
  needs no copy of the input at all.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

import attrs
import numpy as np
from numpy.lib.stride_tricks import as_strided

from actorflow.ops.types import prod

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actorflow.ops.types import Memory, Shape

__all__ = ["Plan", "convolve", "correlate", "plan", "spread"]

# Elements of the unrolled matrix at a time, and of a merged one, measured on a core with 1 MB of
# cache of its own: one that is too small for fast products costs more than one that is too large.
_BLOCK: Final = 1 << 20
_MERGED: Final = 1 << 21
_DEEP: Final = 48  # rows from which on a product by lines is fast
_SMALL: Final = 256  # positions below which a product per image is slow
_MANY: Final = 192  # filters from which on unrolling costs little beside the product


@attrs.frozen
class Plan:
    """How a convolution is cut into products; sizes are per group where groups are."""

    images: int
    groups: int
    filters: int
    channels: int
    size: Shape
    out: Shape
    kernel: Shape
    stride: Shape
    dilate: Shape
    pad: Shape
    by_lines: bool
    merged: bool
    pointwise: bool
    block: int  # images at a time
    lines: int  # of the first axis of the output at a time

    @property
    def taps(self) -> int:
        """How many products are added up."""
        return self.kernel[0] if self.by_lines else 1

    @property
    def unrolled(self) -> Shape:
        """The axes of the kernel that are rows of the matrix."""
        return self.kernel[1:] if self.by_lines else self.kernel

    @property
    def depth(self) -> int:
        """The rows of the matrix, of one group."""
        return self.channels * prod(self.unrolled)

    @property
    def padded(self) -> Shape:
        """The size with the padding."""
        return tuple(size + 2 * pad for size, pad in zip(self.size, self.pad, strict=True))

    def lines_in(self, lines: int) -> int:
        """How many lines the matrix has for that many of the output."""
        return lines + (self.taps - 1) * self.dilate[0]

    def work(self, kind: str) -> tuple[Shape, ...]:
        """The scratch space of a kernel: the padded input, the matrix, a product, the weights."""
        line = prod(self.out[1:])
        positions = self.block * self.lines * line
        matrix = self.block * self.groups * self.depth * self.lines_in(self.lines) * line
        weights = self.groups * self.filters * self.depth
        product = {
            "convolve": self.groups * self.filters * positions,
            "spread": self.groups * max(self.depth, self.filters) * positions,
            "correlate": max(
                self.groups * self.filters * positions if self.merged else 0,
                weights * (1 if self.merged else self.block),
            ),
        }[kind]
        direct = self.pointwise and not self.merged
        idle = kind != "correlate" and self.taps == 1 and not self.merged
        sizes = (
            self.block * self.groups * self.channels * prod(self.padded) if any(self.pad) else 1,
            1 if direct else matrix,
            1 if idle else product,
            weights * self.taps if self.taps > 1 else weights if kind == "correlate" else 1,
        )
        return tuple((size,) for size in sizes)

    def blocks(self) -> Iterator[tuple[int, int]]:
        """The images of each block: the first, and the end."""
        for first in range(0, self.images, self.block):
            yield first, min(first + self.block, self.images)

    def parts(self) -> Iterator[tuple[int, int]]:
        """The lines of the output of each part: the first, and the end."""
        for first in range(0, self.out[0], self.lines):
            yield first, min(first + self.lines, self.out[0])


def plan(
    data: Shape,
    filters: int,
    groups: int,
    out: Shape,
    kernel: Shape,
    stride: Shape,
    dilate: Shape,
    pad: Shape,
) -> Plan:
    """Choose how to compute a convolution of `data`, `(n, channels, ...)`."""
    images, channels, size = data[0], data[1] // groups, data[2:]
    filters //= groups
    positions = prod(out)
    pointwise = prod(kernel) == 1 and max(stride) == 1 and not any(pad)
    small = images > 1 and positions < _SMALL and filters >= _MANY
    by_lines = (
        kernel[0] > 1 and stride[0] == 1 and channels * prod(kernel[1:]) >= _DEEP and not small
    )
    merged = small and not by_lines
    taps = kernel[0] if by_lines else 1
    depth = groups * channels * prod(kernel) // taps
    line = prod(out[1:])
    most = max(1, (_MERGED if merged else _BLOCK) // max(1, max(depth, filters * groups) * line))
    halo = (taps - 1) * dilate[0]
    lines = min(out[0], max(1, most - halo, 4 * halo))
    lines = -(-out[0] // -(-out[0] // lines))  # as many parts, of one size
    block = max(1, min(images, most // (out[0] + halo))) if lines == out[0] else 1
    if pointwise and not merged:
        # Nothing is unrolled, so nothing has to fit anywhere.
        lines, block = out[0], max(1, min(images, block))
    return Plan(
        images,
        groups,
        filters,
        channels,
        size,
        out,
        kernel,
        stride,
        dilate,
        pad,
        by_lines,
        merged,
        pointwise,
        block,
        lines,
    )


def _shaped(flat: Memory, *shape: int) -> Memory:
    return flat[: prod(shape)].reshape(shape)


def _inside(plan: Plan, padded: Memory) -> Memory:
    """The part of a padded input that is not padding."""
    places = tuple(slice(pad, pad + size) for pad, size in zip(plan.pad, plan.size, strict=True))
    inside: Memory = padded[(slice(None),) * 3 + places]
    return inside


def _windows(plan: Plan, padded: Memory, first: int, lines: int) -> Memory:
    """Views of a padded input: `(images, groups, channels, *unrolled, lines, *out[1:])`."""
    steps = padded.strides[3:]
    skip = len(steps) - len(plan.unrolled)
    corner = padded[(slice(None),) * 3 + (slice(first * plan.stride[0], None),)]
    return as_strided(
        corner,
        (*padded.shape[:3], *plan.unrolled, plan.lines_in(lines), *plan.out[1:]),
        (
            *padded.strides[:3],
            *(step * by for step, by in zip(steps[skip:], plan.dilate[skip:], strict=True)),
            *(step * by for step, by in zip(steps, plan.stride, strict=True)),
        ),
    )


def _columns(plan: Plan, flat: Memory, count: int, lines: int) -> tuple[Memory, Memory]:
    """Memory of the matrix: shaped as the windows, and as `([count,] groups, depth, positions)`."""
    window = (plan.lines_in(lines), *plan.out[1:])
    if plan.merged:
        memory = _shaped(flat, plan.groups, plan.channels, *plan.unrolled, count, *window)
        place = 2 + len(plan.unrolled)
        return np.moveaxis(memory, place, 0), memory.reshape(plan.groups, plan.depth, -1)
    memory = _shaped(flat, count, plan.groups, plan.channels, *plan.unrolled, *window)
    return memory, memory.reshape(count, plan.groups, plan.depth, -1)


def _by_tap(plan: Plan, weight: Memory, flat: Memory) -> Memory:
    """The weights as `(taps, groups, filters, depth)`, copied if there are several taps."""
    if plan.taps == 1:
        return weight.reshape(1, plan.groups, plan.filters, plan.depth)
    ours = _shaped(flat, plan.taps, plan.groups, plan.filters, plan.channels, *plan.unrolled)
    theirs = weight.reshape(plan.groups, plan.filters, plan.channels, *plan.kernel)
    np.copyto(ours, np.moveaxis(theirs, 3, 0))
    return ours.reshape(plan.taps, plan.groups, plan.filters, plan.depth)


def _gather(
    plan: Plan, part: Memory, padded: Memory, flat: Memory, lines: tuple[int, int]
) -> Memory:
    """The matrix of some lines of a block of images, `part`."""
    if plan.pointwise and not plan.merged:
        return part.reshape(*part.shape[:2], plan.depth, -1)
    first, end = lines
    source = _shaped(padded, *part.shape[:3], *plan.padded) if any(plan.pad) else part
    windows, matrix = _columns(plan, flat, len(part), end - first)
    np.copyto(windows, _windows(plan, source, first, end - first))
    return matrix


def _pad(plan: Plan, part: Memory, padded: Memory) -> None:
    if any(plan.pad):
        _inside(plan, _shaped(padded, *part.shape[:3], *plan.padded))[...] = part


def _sides(plan: Plan, array: Memory, channels: int, size: Shape) -> Memory:
    return array.reshape(plan.images, plan.groups, channels, *size)


def convolve(
    plan: Plan,
    data: Memory,
    weight: Memory,
    bias: Memory | None,
    output: Memory,
    work: tuple[Memory, ...],
) -> None:
    """The convolution of `data` with `weight`, plus `bias`, in `output`."""
    padded, flat, product, tapped = work
    weights = _by_tap(plan, weight, tapped)
    data = _sides(plan, data, plan.channels, plan.size)
    line = prod(plan.out[1:])
    target = _sides(plan, output, plan.filters, (plan.out[0] * line,))
    shift = None if bias is None else bias.reshape(plan.groups, plan.filters, 1)
    padded.fill(0)
    for first, end in plan.blocks():
        part = data[first:end]
        _pad(plan, part, padded)
        for lines in plan.parts():
            matrix = _gather(plan, part, padded, flat, lines)
            place = target[first:end, :, :, lines[0] * line : lines[1] * line]
            if plan.merged:
                count, groups, filters, width = place.shape
                ours = _shaped(product, groups, filters, count, width)
                np.matmul(weights[0], matrix, ours.reshape(groups, filters, -1))
                np.add(np.moveaxis(ours, 2, 0), 0 if shift is None else shift, place)
                continue
            ours = _shaped(product, *place.shape) if plan.taps > 1 else place
            for tap in range(plan.taps):
                start = tap * plan.dilate[0] * line
                columns = matrix[..., start : start + place.shape[-1]]
                np.matmul(weights[tap], columns, ours if tap else place)
                if tap:
                    np.add(place, ours, place)
            if shift is not None:
                np.add(place, shift, place)


def _above(plan: Plan, grads: Memory, product: Memory) -> Memory:
    """The gradients of a block of images as the products take them."""
    if not plan.merged:
        return grads
    count, groups, filters, width = grads.shape
    ours = _shaped(product, groups, filters, count, width)
    np.copyto(np.moveaxis(ours, 2, 0), grads)
    return ours.reshape(groups, filters, -1)


def spread(
    plan: Plan, grad: Memory, weight: Memory, data_grad: Memory, work: tuple[Memory, ...]
) -> None:
    """The transposed convolution: the gradient of the data from that of the output, `grad`."""
    padded, flat, product, tapped = work
    weights = _by_tap(plan, weight, tapped).swapaxes(2, 3)
    target = _sides(plan, data_grad, plan.channels, plan.size)
    line = prod(plan.out[1:])
    grads = _sides(plan, grad, plan.filters, (plan.out[0] * line,))
    for first, end in plan.blocks():
        part = target[first:end]
        if plan.pointwise and not plan.merged:
            np.matmul(weights[0], grads[first:end], part.reshape(*part.shape[:3], -1))
            continue
        whole = _shaped(padded, *part.shape[:3], *plan.padded) if any(plan.pad) else part
        whole.fill(0)
        for lines in plan.parts():
            above = grads[first:end, :, :, lines[0] * line : lines[1] * line]
            count = lines[1] - lines[0]
            columns, matrix = _columns(plan, flat, end - first, count)
            _unfold(plan, _above(plan, above, product), weights, matrix, product)
            windows = _windows(plan, whole, lines[0], count)
            for offset in itertools.product(*map(range, plan.unrolled)):
                place = windows[(slice(None),) * 3 + offset]
                np.add(place, columns[(slice(None),) * 3 + offset], place)
        if any(plan.pad):
            np.copyto(part, _inside(plan, whole))


def _unfold(plan: Plan, above: Memory, weights: Memory, matrix: Memory, product: Memory) -> None:
    """The gradient of the matrix: the sum of the taps' products, each at its lines."""
    width = above.shape[-1]
    np.matmul(weights[0], above, matrix[..., :width])
    if plan.taps == 1:
        return
    matrix[..., width:] = 0
    ours = _shaped(product, *matrix.shape[:-1], width)
    line = prod(plan.out[1:])
    for tap in range(1, plan.taps):
        start = tap * plan.dilate[0] * line
        place = matrix[..., start : start + width]
        np.matmul(weights[tap], above, ours)
        np.add(place, ours, place)


def correlate(
    plan: Plan, data: Memory, grad: Memory, weight_grad: Memory, work: tuple[Memory, ...]
) -> None:
    """The gradient of the weights, `weight_grad`, from the data and that of the output."""
    padded, flat, product, tapped = work
    shape = (plan.groups, plan.filters, plan.depth)
    total = _shaped(tapped, plan.taps, *shape) if plan.taps > 1 else weight_grad.reshape(1, *shape)
    total.fill(0)
    data = _sides(plan, data, plan.channels, plan.size)
    line = prod(plan.out[1:])
    grads = _sides(plan, grad, plan.filters, (plan.out[0] * line,))
    padded.fill(0)
    for first, end in plan.blocks():
        part = data[first:end]
        _pad(plan, part, padded)
        for lines in plan.parts():
            matrix = _gather(plan, part, padded, flat, lines).swapaxes(-1, -2)
            above = grads[first:end, :, :, lines[0] * line : lines[1] * line]
            if plan.merged:
                ours = _shaped(tapped, *shape)
                np.matmul(_above(plan, above, product), matrix, ours)
                np.add(total[0], ours, total[0])
                continue
            for tap in range(plan.taps):
                start = tap * plan.dilate[0] * line
                columns = matrix[..., start : start + above.shape[-1], :]
                ours = np.matmul(above, columns, _shaped(product, end - first, *shape))
                for each in ours:
                    np.add(total[tap], each, total[tap])
    if plan.taps > 1:
        theirs = weight_grad.reshape(plan.groups, plan.filters, plan.channels, *plan.kernel)
        np.copyto(
            theirs,
            np.moveaxis(total.reshape(plan.taps, *shape[:2], plan.channels, *plan.unrolled), 0, 3),
        )
