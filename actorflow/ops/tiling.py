"""How a convolution is cut into matrix products of a bounded size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from actorflow.ops.types import prod

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actorflow.ops.types import Shape

__all__ = ["Plan", "plan_of", "reverse"]

# Elements of the unrolled matrix at a time, and of a merged one, measured on a core with 1 MB of
# cache of its own: one that is too small for fast products costs more than one that is too large.
_BLOCK: Final = 1 << 20
_MERGED: Final = 1 << 21
_DEEP: Final = 48  # rows from which on a product by lines is fast
_SMALL: Final = 256  # positions below which a product per image is slow
_TINY: Final = 32  # and so slow that copying the output always costs less
_MORE: Final = 1.2  # times as many products as needed that cost less than adding up columns
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


def plan_of(
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
    small = images > 1 and (positions < _TINY or (positions < _SMALL and filters >= _MANY))
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
    if not merged:
        # The gradient of the weights has a product of their size for each image.
        block = max(1, min(block, _MERGED // (filters * depth)))
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


def reverse(plan: Plan) -> Plan | None:
    """The convolution, with `unroll.flipped` weights, of the output's gradient: it is the data's.

    So no overlapping columns have to be added up. None where it would compute or copy more than
    `unroll.spread` does: with a step, where the data is much larger than the output, or has few
    channels.
    """
    pad = tuple(
        apart * (points - 1) - around
        for points, apart, around in zip(plan.kernel, plan.dilate, plan.pad, strict=True)
    )
    more = prod(plan.size) > _MORE * prod(plan.out)
    few = 2 * plan.channels < plan.filters
    if max(plan.stride) > 1 or min(pad) < 0 or more or few or plan.pointwise:
        return None
    above = (plan.images, plan.groups * plan.filters, *plan.out)
    channels = plan.groups * plan.channels
    window = (plan.kernel, plan.stride, plan.dilate, pad)
    return plan_of(above, channels, plan.groups, plan.size, *window)
