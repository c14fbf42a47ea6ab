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
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import as_strided

from actorflow.ops.types import prod

if TYPE_CHECKING:
    from collections.abc import Callable

    from actorflow.ops.tiling import Plan
    from actorflow.ops.types import Memory, Shape

__all__ = ["convolve", "correlate", "flipped", "spread"]


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


def flipped(plan: Plan, weight: Memory, flat: Memory) -> Memory:
    """The weights of `tiling.reverse`: the kernels turned round, filters and channels exchanged."""
    ours = _shaped(flat, plan.groups, plan.channels, plan.filters, *plan.kernel)
    theirs = weight.reshape(plan.groups, plan.filters, plan.channels, *plan.kernel)
    turned = theirs[(slice(None),) * 3 + (slice(None, None, -1),) * len(plan.kernel)]
    np.copyto(ours, turned.swapaxes(1, 2))
    return ours.reshape(-1, plan.filters, *plan.kernel)


def convolve(
    plan: Plan,
    data: Memory,
    weight: Memory,
    bias: Memory | None,
    output: Memory,
    work: tuple[Memory, ...],
    after: Callable[[Memory], None] | None = None,
) -> None:
    """The convolution of `data` with `weight`, plus `bias`, in `output`.

    `after` is called with each part of the output that is complete, while it is in the cache.
    """
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
        if after is not None:
            after(target[first:end])


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
    if plan.taps > 1:
        # Transposed, since the product with the larger matrix on the left is up to a fifth faster.
        total = _shaped(tapped, plan.taps, plan.groups, plan.depth, plan.filters).swapaxes(2, 3)
    else:
        total = weight_grad.reshape(1, *shape)
    total.fill(0)
    data = _sides(plan, data, plan.channels, plan.size)
    line = prod(plan.out[1:])
    grads = _sides(plan, grad, plan.filters, (plan.out[0] * line,))
    padded.fill(0)
    for first, end in plan.blocks():
        part = data[first:end]
        _pad(plan, part, padded)
        for lines in plan.parts():
            matrix = _gather(plan, part, padded, flat, lines)
            above = grads[first:end, :, :, lines[0] * line : lines[1] * line]
            if plan.merged:
                ours = _shaped(tapped, *shape)
                np.matmul(_above(plan, above, product), matrix.swapaxes(1, 2), ours)
                np.add(total[0], ours, total[0])
            else:
                _add_products(plan, above, matrix, total, product)
    if plan.taps > 1:
        theirs = weight_grad.reshape(plan.groups, plan.filters, plan.channels, *plan.kernel)
        split = total.reshape(plan.taps, *shape[:2], plan.channels, *plan.unrolled)
        np.copyto(theirs, np.moveaxis(split, 0, 3))


def _add_products(
    plan: Plan, above: Memory, matrix: Memory, total: Memory, product: Memory
) -> None:
    """Add to `total`, for each tap, the products of images' gradients and their lines."""
    turned = plan.taps > 1
    shape = (len(above), plan.groups, plan.filters, plan.depth)
    ours = _shaped(product, *shape)
    if turned:
        ours = _shaped(product, *shape[:2], plan.depth, plan.filters)
        above, total = above.swapaxes(2, 3), total.swapaxes(2, 3)
    else:
        matrix = matrix.swapaxes(2, 3)
    for tap in range(plan.taps):
        if turned:
            start = tap * plan.dilate[0] * prod(plan.out[1:])
            np.matmul(matrix[..., start : start + above.shape[2]], above, ours)
        else:
            np.matmul(above, matrix, ours)
        for each in ours:
            np.add(total[tap], each, total[tap])
