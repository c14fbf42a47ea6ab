"""The initializers."""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from actorflow.errors import ParameterError, ShapeError
from actorflow.ndarray import NDArray, draw_into, load
from actorflow.ops import (
    Normal as NormalDraw,
    Orthogonal as OrthogonalDraw,
    Uniform as UniformDraw,
    described,
    prod,
)
from actorflow.training.initial import InitDesc, Initializer, alias, create, register

if TYPE_CHECKING:
    import os

__all__ = [
    "Bilinear",
    "Constant",
    "InitDesc",
    "Initializer",
    "LSTMBias",
    "Load",
    "MSRAPrelu",
    "Mixed",
    "Normal",
    "One",
    "Orthogonal",
    "Uniform",
    "Xavier",
    "Zero",
    "alias",
    "create",
    "register",
]

_log: Final = logging.getLogger(__name__)


class Load(Initializer):
    """Values that were saved.

    Args:
      param: arrays by name, or a file of them; `arg:` and `aux:` before a name do not count.
      default_init: for parameters that are not among them; None if there are none.
      verbose: log for each parameter where it comes from.

    Raises:
      FormatError, OSError: the file cannot be read.
      TypeError: `param` is something else, or the file's arrays have no names.
    """

    def __init__(
        self,
        param: str | os.PathLike[str] | Mapping[str, NDArray],
        default_init: Initializer | None = None,
        verbose: bool = False,  # noqa: FBT001, FBT002
    ) -> None:
        super().__init__()
        given = param if isinstance(param, Mapping) else load(param)
        if not isinstance(given, Mapping):
            raise TypeError(f"Load: needs arrays by name, but those of {param} have none")
        self.param = {name.removeprefix("arg:").removeprefix("aux:"): given[name] for name in given}
        self.default_init = default_init
        self.verbose = verbose

    def __call__(self, desc: str, arr: NDArray) -> None:
        """Fill an array; see `Initializer`.

        Raises:
          ParameterError: it is not among those saved, and there is no default.
          ShapeError: what was saved has another shape.
        """
        saved = self.param.get(desc)
        if saved is None:
            if self.default_init is None:
                raise ParameterError(
                    f"Load: {desc!r} is not among the {len(self.param)} saved arrays, and there is "
                    "no default_init"
                )
            self.default_init(desc, arr)
        else:
            if saved.shape != arr.shape:
                raise ShapeError(
                    f"Load: {desc!r} has shape {arr.shape}, but was saved with {saved.shape}"
                )
            arr[:] = saved
        if self.verbose:
            _log.info("%s: %s", desc, "initialized by default" if saved is None else "loaded")

    def dumps(self) -> str:
        """Refuse.

        Raises:
          TypeError: always.
        """
        raise TypeError("Load: arrays cannot be written as a text")


class Mixed(Initializer):
    """The initializer of the first pattern that a name begins with.

    Args:
      patterns: regular expressions.
      initializers: one for each.

    Raises:
      ParameterError: there are not equally many.
    """

    def __init__(self, patterns: Sequence[str], initializers: Sequence[Initializer | str]) -> None:
        super().__init__()
        if isinstance(patterns, str) or len(patterns) != len(initializers):
            raise ParameterError(
                f"Mixed: needs an initializer for each pattern, got {described(initializers)} for "
                f"{patterns!r}"
            )
        made = map(create, initializers)
        self.map = [
            (re.compile(pattern), each) for pattern, each in zip(patterns, made, strict=True)
        ]

    def __call__(self, desc: str, arr: NDArray) -> None:
        """Fill an array; see `Initializer`.

        Raises:
          ParameterError: no pattern matches the name.
        """
        for pattern, initializer in self.map:
            if pattern.match(desc):
                initializer(desc, arr)
                return
        raise ParameterError(
            f"Mixed: no pattern matches {desc!r}: there are "
            f"{', '.join(repr(pattern.pattern) for pattern, _ in self.map)}; put '.*' behind them"
        )

    def dumps(self) -> str:
        """Refuse.

        Raises:
          TypeError: always.
        """
        raise TypeError("Mixed: initializers by pattern cannot be written as a text")


@register
@alias("zeros")
class Zero(Initializer):
    """Zeros."""

    def __init__(self) -> None:
        super().__init__()

    def _init_weight(self, _name: str, arr: NDArray) -> None:
        arr[:] = 0


@register
@alias("ones")
class One(Initializer):
    """Ones."""

    def __init__(self) -> None:
        super().__init__()

    def _init_weight(self, _name: str, arr: NDArray) -> None:
        arr[:] = 1


@register
class Constant(Initializer):
    """A value.

    Args:
      value: a number, or an array of the parameter's shape.
    """

    def __init__(self, value: Any) -> None:  # noqa: ANN401 -- what NumPy makes an array of
        super().__init__(value=value)
        self.value = value

    def _init_weight(self, name: str, arr: NDArray) -> None:
        value = self.value if isinstance(self.value, NDArray) else np.asarray(self.value)
        if value.shape not in {(), (1,), arr.shape}:
            raise ShapeError(
                f"Constant: {name!r} has shape {arr.shape}, but the value {value.shape}"
            )
        arr[:] = value if value.shape else value.item()

    def dumps(self) -> str:
        """The value as JSON; waits for it, if it is an array."""
        return json.dumps(["constant", {"value": np.asarray(self.value).tolist()}])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Constant):
            return NotImplemented
        return bool(np.array_equal(np.asarray(self.value), np.asarray(other.value)))

    __hash__ = None


@register
class Uniform(Initializer):
    """Numbers drawn evenly from `[-scale, scale)`.

    Args:
      scale: the bound.
    """

    def __init__(self, scale: float = 0.07) -> None:
        super().__init__(scale=scale)
        self.scale = scale

    def _init_weight(self, _name: str, arr: NDArray) -> None:
        draw_into(UniformDraw(-self.scale, self.scale), arr)


@register
class Normal(Initializer):
    """Numbers drawn from the normal distribution with mean 0.

    Args:
      sigma: the standard deviation.
    """

    def __init__(self, sigma: float = 0.01) -> None:
        super().__init__(sigma=sigma)
        self.sigma = sigma

    def _init_weight(self, _name: str, arr: NDArray) -> None:
        draw_into(NormalDraw(0.0, self.sigma), arr)


@register
class Orthogonal(Initializer):
    """A random matrix with rows, or columns, of one length that are orthogonal to each other.

    The matrix has a row for each index on the first axis. It is made of a random one by its QR
    decomposition. See Saxe, McClelland and Ganguli, "Exact solutions to the nonlinear dynamics of
    learning in deep linear neural networks" (2013).

    Args:
      scale: their length.
      rand_type: what the random matrix is drawn from, `"uniform"` from -1 to 1 or `"normal"`; with
        the latter all orthogonal matrices are equally likely.

    Raises:
      ParameterError: `rand_type` is something else.
    """

    def __init__(self, scale: float = 1.414, rand_type: str = "uniform") -> None:
        _one_of("Orthogonal", "rand_type", rand_type, ("uniform", "normal"))
        super().__init__(scale=scale, rand_type=rand_type)
        self.scale = scale
        self.rand_type = rand_type

    def _init_weight(self, _name: str, arr: NDArray) -> None:
        draw_into(OrthogonalDraw(self.scale, normal=self.rand_type == "normal"), arr)


@register
class Xavier(Initializer):
    """Random numbers that keep the size of values, or of gradients, the same in all layers.

    With `n` as `factor_type` says, uniform numbers are in `sqrt(magnitude / n) * [-1, 1)`, and
    normal ones have the standard deviation `sqrt(magnitude / n)`. See Glorot and Bengio,
    "Understanding the difficulty of training deep feedforward neural networks" (2010).

    Args:
      rnd_type: `"uniform"` or `"gaussian"`.
      factor_type: `"in"` for the number of inputs of each output, `"out"` for the number of outputs
        of each input, `"avg"` for the mean of both.
      magnitude: of the numbers.

    Raises:
      ParameterError: a type is something else, or the magnitude is not positive.
    """

    def __init__(
        self, rnd_type: str = "uniform", factor_type: str = "avg", magnitude: float = 3
    ) -> None:
        _one_of("Xavier", "rnd_type", rnd_type, ("uniform", "gaussian"))
        _one_of("Xavier", "factor_type", factor_type, ("avg", "in", "out"))
        if not magnitude > 0:
            raise ParameterError(f"Xavier: magnitude is positive, got {magnitude!r}")
        super().__init__(rnd_type=rnd_type, factor_type=factor_type, magnitude=magnitude)
        self.rnd_type = rnd_type
        self.factor_type = factor_type
        self.magnitude = float(magnitude)

    def _init_weight(self, name: str, arr: NDArray) -> None:
        shape = arr.shape
        if len(shape) < 2:  # noqa: PLR2004 -- outputs and inputs
            raise ShapeError(
                f"{type(self).__name__}: {name!r} has shape {shape}, but needs at least two axes, "
                "of outputs and of inputs"
            )
        window = prod(shape[2:])
        inputs, outputs = shape[1] * window, shape[0] * window
        factors = {"in": inputs, "out": outputs, "avg": (inputs + outputs) / 2}
        scale = math.sqrt(self.magnitude / max(factors[self.factor_type], 1))
        if self.rnd_type == "uniform":
            draw_into(UniformDraw(-scale, scale), arr)
        else:
            draw_into(NormalDraw(0.0, scale), arr)


@register
class MSRAPrelu(Xavier):
    """`Xavier` with normal numbers, for layers that `relu` or a leaky one follows.

    See He, Zhang, Ren and Sun, "Delving deep into rectifiers" (2015).

    Args:
      factor_type: as with `Xavier`.
      slope: of the activation below 0.
    """

    def __init__(self, factor_type: str = "avg", slope: float = 0.25) -> None:
        super().__init__("gaussian", factor_type, 2 / (1 + slope**2))
        self._kwargs = {"factor_type": factor_type, "slope": slope}


@register
class Bilinear(Initializer):
    """The filter of a `Deconvolution` that interpolates between pixels linearly."""

    def __init__(self) -> None:
        super().__init__()

    def _init_weight(self, name: str, arr: NDArray) -> None:
        self._init_bilinear(name, arr)


@register
class LSTMBias(Initializer):
    """Zeros, but for the second quarter of an LSTM's bias, that of its forget gate.

    See Jozefowicz, Zaremba and Sutskever, "An empirical exploration of recurrent network
    architectures" (2015). For the bias of one layer: `sym.Variable(name, init=LSTMBias())`, or by
    its name in a `Mixed`; in MXNet a name that ends in "bias" gives zeros there.

    Args:
      forget_bias: the bias of the forget gate.
    """

    def __init__(self, forget_bias: float = 1.0) -> None:
        super().__init__(forget_bias=forget_bias)
        self.forget_bias = forget_bias

    def _init_weight(self, name: str, arr: NDArray) -> None:
        if arr.ndim != 1 or arr.size % 4:
            raise ShapeError(
                f"LSTMBias: {name!r} has shape {arr.shape}, but needs one axis, of four gates"
            )
        quarter = arr.size // 4
        arr[:] = 0
        arr[quarter : 2 * quarter] = self.forget_bias

    def _init_bias(self, name: str, arr: NDArray) -> None:
        self._init_weight(name, arr)


def _one_of(who: str, what: str, got: str, known: tuple[str, ...]) -> None:
    if got not in known:
        raise ParameterError(f"{who}: {what} is one of {', '.join(known)}, got {got!r}")
