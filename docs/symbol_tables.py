"""Which functions on symbols and arrays there are, for `make_symbols`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from actorflow import ops

if TYPE_CHECKING:
    from collections.abc import Mapping

    Element = tuple[str, tuple[str, ...]]


@attrs.frozen
class Function:
    """A function that applies an operator.

    Attributes:
      name: its name, which is MXNet's.
      kind: the operator.
      inputs: all inputs and states that the operator may have.
      aliases: its other names.
      left_out: parameters that a caller does not give.
      any_number: whether it takes any number of symbols.
      optional: the inputs that some parameters leave out.
      several: the parameter that makes it have several visible outputs, if there is one.
    """

    name: str
    kind: type[ops.Operator]
    inputs: tuple[str, ...] = ("data",)
    aliases: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    any_number: bool = False
    optional: tuple[str, ...] = ()
    several: str = ""

    @property
    def is_layer(self) -> bool:
        """Whether its parameters are given by name alone, as those of layers always are."""
        return self.name[0].isupper() and self.name not in ("Reshape", "Cast", "SwapAxis")

    @property
    def hint(self) -> str:
        """What made-up names of its symbols begin with."""
        return self.name.lower()


@attrs.frozen
class Module:
    """A file of functions.

    Attributes:
      name: its name.
      doc: what it says of itself.
      functions: functions that apply an operator with parameters.
      unary: element-wise operators on one input: what they say of themselves, and other names.
      binary: those on two inputs.
    """

    name: str
    doc: str
    functions: tuple[Function, ...] = ()
    unary: Mapping[str, Element] = {}
    binary: Mapping[str, Element] = {}


def _some(*functions: Function) -> tuple[Function, ...]:
    return tuple(sorted(functions, key=lambda function: function.name.lower()))


PAIR = ("lhs", "rhs")
LABELLED = ("data", "label")
WEIGHTED = ("data", "weight", "bias")

LAYERS = _some(
    Function("Activation", ops.Activation),
    Function("Convolution", ops.Convolution, WEIGHTED, optional=("bias",)),
    Function("Deconvolution", ops.Deconvolution, WEIGHTED, optional=("bias",)),
    Function("Dropout", ops.Dropout),
    Function("Embedding", ops.Embedding, ("data", "weight")),
    Function("FullyConnected", ops.FullyConnected, WEIGHTED, optional=("bias",)),
    Function("LeakyReLU", ops.LeakyReLU, ("data", "gamma"), optional=("gamma",)),
    Function("Pooling", ops.Pooling),
)
NORMALIZATION = _some(
    Function(
        "BatchNorm",
        ops.BatchNorm,
        ("data", "gamma", "beta", "moving_mean", "moving_var"),
        several="output_mean_var",
    ),
    Function("LRN", ops.LRN),
    Function("log_softmax", ops.LogSoftmax),
    Function("softmax", ops.Softmax),
    Function("SoftmaxActivation", ops.SoftmaxActivation),
)
LOSSES = _some(
    Function("BlockGrad", ops.BlockGrad, aliases=("stop_gradient",)),
    Function("LinearRegressionOutput", ops.LinearRegressionOutput, LABELLED),
    Function("LogisticRegressionOutput", ops.LogisticRegressionOutput, LABELLED),
    Function("MAERegressionOutput", ops.MAERegressionOutput, LABELLED),
    Function("MakeLoss", ops.MakeLoss, aliases=("make_loss",)),
    Function("SoftmaxOutput", ops.SoftmaxOutput, LABELLED, aliases=("Softmax",)),
)
SHAPES = _some(
    Function("broadcast_axis", ops.BroadcastAxis, aliases=("broadcast_axes",)),
    Function("broadcast_like", ops.BroadcastLike, PAIR),
    Function("broadcast_to", ops.BroadcastTo),
    Function("Cast", ops.Cast, aliases=("cast",)),
    Function("Concat", ops.Concat, (), ("concat",), left_out=("num_args", "axis"), any_number=True),
    Function("expand_dims", ops.ExpandDims),
    Function("Flatten", ops.Flatten, aliases=("flatten",)),
    Function("flip", ops.Flip, aliases=("reverse",)),
    Function("Reshape", ops.Reshape, aliases=("reshape",)),
    Function("reshape_like", ops.ReshapeLike, PAIR),
    Function("slice", ops.Slice, aliases=("crop",)),
    Function("slice_axis", ops.SliceAxis),
    Function("SliceChannel", ops.SliceChannel, aliases=("split",), several="num_outputs"),
    Function("SwapAxis", ops.SwapAxis, aliases=("swapaxes",)),
    Function("transpose", ops.Transpose),
)
REDUCTIONS = _some(
    Function("argmax", ops.ArgMax),
    Function("argmax_channel", ops.ArgMaxChannel),
    Function("argmin", ops.ArgMin),
    Function("choose_element_0index", ops.ChooseElement0Index, PAIR),
    Function("dot", ops.Dot, PAIR),
    Function("fill_element_0index", ops.FillElement0Index, ("lhs", "mhs", "rhs")),
    Function("max", ops.Max, aliases=("max_axis",)),
    Function("mean", ops.Mean),
    Function("min", ops.Min, aliases=("min_axis",)),
    Function("norm", ops.Norm),
    Function("prod", ops.Prod),
    Function("sum", ops.Sum, aliases=("sum_axis",)),
    Function("take", ops.Take, ("data", "indices")),
)
ARRAYS = _some(
    Function("clip", ops.Clip),
    Function(
        "ElementWiseSum",
        ops.ElementWiseSum,
        (),
        ("add_n",),
        left_out=("num_args",),
        any_number=True,
    ),
    Function("identity", ops.Identity),
    Function("ones_like", ops.OnesLike),
    Function("zeros_like", ops.ZerosLike),
)

ANGLES: dict[str, Element] = {
    "arccos": ("The inverse of the cosine, in radians.", ()),
    "arccosh": ("The inverse of the hyperbolic cosine.", ()),
    "arcsin": ("The inverse of the sine, in radians.", ()),
    "arcsinh": ("The inverse of the hyperbolic sine.", ()),
    "arctan": ("The inverse of the tangent, in radians.", ()),
    "arctanh": ("The inverse of the hyperbolic tangent.", ()),
    "cos": ("The cosine of angles in radians.", ()),
    "cosh": ("The hyperbolic cosine.", ()),
    "degrees": ("Angles in degrees, from radians.", ()),
    "radians": ("Angles in radians, from degrees.", ()),
    "sin": ("The sine of angles in radians.", ()),
    "sinh": ("The hyperbolic sine.", ()),
    "tan": ("The tangent of angles in radians.", ()),
    "tanh": ("The hyperbolic tangent.", ()),
}
MATHS: dict[str, Element] = {
    "abs": ("The absolute value of each element.", ()),
    "cbrt": ("The cube root of each element.", ()),
    "ceil": ("The smallest integers that are not below.", ()),
    "exp": ("The exponential function, e to the power of each element.", ()),
    "expm1": ("`exp(data) - 1`, exact near 0 too.", ()),
    "floor": ("The largest integers that are not above.", ()),
    "log": ("The natural logarithm.", ()),
    "log1p": ("`log(1 + data)`, exact near 0 too.", ()),
    "log2": ("The logarithm to base 2.", ()),
    "log10": ("The logarithm to base 10.", ()),
    "logical_not": ("1 where an element is 0, else 0, in its own data type.", ()),
    "negative": ("`-data`; for unsigned integers, modulo their range.", ()),
    "reciprocal": ("`1 / data`, in floats.", ()),
    "relu": ("`max(data, 0)`.", ()),
    "rint": ("The nearest integers; halves go to the even one.", ()),
    "round": ("The nearest integers; halves go away from zero, as in MXNet.", ()),
    "rsqrt": ("`1 / sqrt(data)`.", ()),
    "sigmoid": ("`1 / (1 + exp(-data))`.", ()),
    "sign": ("-1, 0 or 1.", ()),
    "softrelu": ("`log(1 + exp(data))`.", ()),
    "sqrt": ("The square root of each element.", ()),
    "square": ("`data * data`.", ()),
    "trunc": ("The integers towards zero.", ("fix",)),
}
UNARY = {**ANGLES, **MATHS}

BINARY: dict[str, Element] = {
    "add": ("`lhs + rhs`.", ("broadcast_add", "broadcast_plus", "elemwise_add")),
    "arctan2": ("The angle of the point `(rhs, lhs)` in radians, from -pi to pi.", ()),
    "divide": ("`lhs / rhs`; of integers, float64.", ("broadcast_div", "elemwise_div")),
    "equal": ("1 where `lhs == rhs`, else 0.", ("broadcast_equal",)),
    "floor_divide": ("`lhs // rhs`, rounded down; symbol files have no name for it.", ()),
    "greater": ("1 where `lhs > rhs`, else 0.", ("broadcast_greater",)),
    "greater_equal": ("1 where `lhs >= rhs`, else 0.", ("broadcast_greater_equal",)),
    "hypot": ("`sqrt(lhs * lhs + rhs * rhs)`.", ("broadcast_hypot",)),
    "lesser": ("1 where `lhs < rhs`, else 0.", ("broadcast_lesser",)),
    "lesser_equal": ("1 where `lhs <= rhs`, else 0.", ("broadcast_lesser_equal",)),
    "logical_and": ("1 where neither is 0, else 0.", ("broadcast_logical_and",)),
    "logical_or": ("0 where both are 0, else 1.", ("broadcast_logical_or",)),
    "logical_xor": ("1 where one of them is 0, else 0.", ("broadcast_logical_xor",)),
    "maximum": ("The greater one of two elements; a NaN wins.", ("broadcast_maximum",)),
    "minimum": ("The lesser one of two elements; a NaN wins.", ("broadcast_minimum",)),
    "modulo": ("`lhs % rhs`, of the sign of `rhs`.", ("broadcast_mod",)),
    "multiply": ("`lhs * rhs`.", ("broadcast_mul", "elemwise_mul")),
    "not_equal": ("1 where `lhs != rhs`, else 0.", ("broadcast_not_equal",)),
    "power": (
        "`lhs ** rhs`; integers have no negative integer powers.",
        ("broadcast_power", "pow"),
    ),
    "subtract": ("`lhs - rhs`.", ("broadcast_minus", "broadcast_sub", "elemwise_sub")),
}

MODULES = (
    Module("layers", "Layers of networks.", LAYERS),
    Module("normalization", "Layers that normalize.", NORMALIZATION),
    Module("losses", "Where gradients begin and end.", LOSSES),
    Module("shapes", "Symbols in other shapes, cut and put together.", SHAPES),
    Module("reductions", "Sums, extremes, products and what picks elements.", REDUCTIONS),
    Module("arrays", "Sums of many, bounds, and arrays like another.", ARRAYS),
    Module("angles", "Trigonometric and hyperbolic functions, element by element.", unary=ANGLES),
    Module("maths", "Other functions element by element.", unary=MATHS),
    Module("pairs", "Functions of two symbols, or a symbol and a number.", binary=BINARY),
)

UPDATES = Module(
    "updates",
    "Rules of optimizers.",
    tuple(
        Function(kind.name, kind, (*kind.inputs, *kind.auxiliary), left_out=("lazy_update",))
        for kind in (
            *(ops.AdaDeltaUpdate, ops.AdaGradUpdate, ops.AdamUpdate, ops.DCASGDUpdate),
            *(ops.FtrlUpdate, ops.NAGMomUpdate, ops.RMSPropUpdate, ops.RMSPropAlexUpdate),
            *(ops.SGDMomUpdate, ops.SGDUpdate, ops.SGLDUpdate),
        )
    ),
)
"""The operators with a function of arrays alone."""
