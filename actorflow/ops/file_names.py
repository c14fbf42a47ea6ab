"""What symbol files call the operators: plain tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from actorflow.ops import (
    activation,
    adaptive,
    basic,
    batch_norm,
    broadcast,
    convolution,
    deconvolution,
    dense,
    dropout,
    embedding,
    index,
    leaky,
    loss,
    lrn,
    pooling,
    reduce,
    regression,
    reshape,
    scalar,
    shape,
    slicing,
    softmax,
    update,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actorflow.ops.operator import Operator

__all__ = ["BINARY", "CLASSES", "MIRRORED", "SCALAR", "UNARY", "Row"]

Names = tuple[str, ...]


@attrs.frozen
class Row:
    """An operator with parameters and its names in files.

    Attributes:
      kind: its class.
      names: its names; the first one is written.
      fixed: parameters that only files have, each with the texts that ask for what it does anyway.
    """

    kind: type[Operator]
    names: Names
    fixed: Mapping[str, Names] = {}


def _row(kind: type[Operator], *names: str, **fixed: Names) -> Row:
    return Row(kind, names, fixed)


_NO: Final = ("0", "False")
_NONE: Final = ("None",)

CLASSES: Final[tuple[Row, ...]] = (
    # Layers
    _row(activation.Activation, "Activation"),
    _row(batch_norm.BatchNorm, "BatchNorm", "BatchNorm_v1", "CuDNNBatchNorm"),
    _row(convolution.Convolution, "Convolution", "Convolution_v1"),
    _row(deconvolution.Deconvolution, "Deconvolution"),
    _row(dropout.Dropout, "Dropout"),
    _row(embedding.Embedding, "Embedding"),
    _row(dense.FullyConnected, "FullyConnected"),
    _row(leaky.LeakyReLU, "LeakyReLU"),
    _row(lrn.LRN, "LRN"),
    _row(pooling.Pooling, "Pooling", "Pooling_v1"),
    # Losses
    _row(regression.LinearRegressionOutput, "LinearRegressionOutput"),
    _row(regression.LogisticRegressionOutput, "LogisticRegressionOutput"),
    _row(regression.MAERegressionOutput, "MAERegressionOutput"),
    _row(loss.MakeLoss, "MakeLoss", "make_loss"),
    _row(softmax.LogSoftmax, "log_softmax"),
    _row(softmax.Softmax, "softmax"),
    _row(softmax.SoftmaxActivation, "SoftmaxActivation"),
    _row(loss.SoftmaxOutput, "SoftmaxOutput", "Softmax"),
    # Shapes
    _row(basic.BlockGrad, "BlockGrad", "stop_gradient"),
    _row(scalar.Cast, "Cast", "cast"),
    _row(slicing.Concat, "Concat", "concat"),
    _row(reshape.ExpandDims, "expand_dims"),
    _row(reshape.Flatten, "Flatten", "flatten"),
    _row(shape.Flip, "reverse", "flip"),
    _row(basic.Identity, "_copy", "identity"),
    _row(basic.Copy, "_copy"),
    _row(reshape.Reshape, "Reshape", "reshape"),
    _row(
        reshape.ReshapeLike,
        "reshape_like",
        lhs_begin=_NONE,
        lhs_end=_NONE,
        rhs_begin=_NONE,
        rhs_end=_NONE,
    ),
    _row(slicing.Slice, "slice", "crop"),
    _row(slicing.SliceAxis, "slice_axis"),
    _row(slicing.SliceChannel, "SliceChannel", "split"),
    _row(shape.SwapAxis, "SwapAxis", "swapaxes"),
    _row(shape.Transpose, "transpose"),
    # Reductions
    _row(reduce.ArgMax, "argmax"),
    _row(reduce.ArgMaxChannel, "argmax_channel"),
    _row(reduce.ArgMin, "argmin"),
    _row(reduce.Max, "max", "max_axis"),
    _row(reduce.Mean, "mean"),
    _row(reduce.Min, "min", "min_axis"),
    _row(reduce.Norm, "norm", out_dtype=_NONE),
    _row(reduce.Prod, "prod"),
    _row(reduce.Sum, "sum", "sum_axis"),
    # Everything else
    _row(broadcast.BroadcastAxis, "broadcast_axis", "broadcast_axes"),
    _row(broadcast.BroadcastLike, "broadcast_like"),
    _row(broadcast.BroadcastTo, "broadcast_to"),
    _row(
        index.ChooseElement0Index,
        "choose_element_0index",
        "pick",
        axis=("-1", "1"),
        keepdims=_NO,
        mode=("clip",),
    ),
    _row(scalar.Clip, "clip"),
    _row(dense.Dot, "dot", forward_stype=("None", "default")),
    _row(basic.ElementWiseSum, "add_n", "ElementWiseSum"),
    _row(index.FillElement0Index, "fill_element_0index"),
    _row(basic.OnesLike, "ones_like"),
    _row(index.Take, "take", axis=("0",), mode=("clip", "raise")),
    _row(basic.ZerosLike, "zeros_like"),
    # Update rules
    _row(update.AdamUpdate, "adam_update"),
    _row(adaptive.FtrlUpdate, "ftrl_update"),
    _row(update.NAGMomUpdate, "nag_mom_update"),
    _row(adaptive.RMSPropAlexUpdate, "rmspropalex_update"),
    _row(adaptive.RMSPropUpdate, "rmsprop_update"),
    _row(update.SGDMomUpdate, "sgd_mom_update"),
    _row(update.SGDUpdate, "sgd_update"),
)
"""The operators that are classes. Where a name stands twice, the first row is read."""

BINARY: Final[dict[str, Names]] = {
    "add": (
        *("broadcast_add", "broadcast_plus", "elemwise_add"),
        *("_plus", "_Plus", "_add", "_grad_add"),
    ),
    "subtract": (
        *("broadcast_sub", "broadcast_minus", "elemwise_sub"),
        *("_minus", "_Minus", "_sub"),
    ),
    "multiply": ("broadcast_mul", "elemwise_mul", "_mul", "_Mul"),
    "divide": ("broadcast_div", "elemwise_div", "_div", "_Div"),
    "modulo": ("broadcast_mod", "_mod", "_Mod"),
    "power": ("broadcast_power", "_power", "_Power"),
    "maximum": ("broadcast_maximum", "_maximum", "_Maximum"),
    "minimum": ("broadcast_minimum", "_minimum", "_Minimum"),
    "hypot": ("broadcast_hypot", "_hypot", "_Hypot"),
    "arctan2": ("_npi_arctan2",),
    "equal": ("broadcast_equal", "_equal", "_Equal"),
    "not_equal": ("broadcast_not_equal", "_not_equal", "_Not_Equal"),
    "greater": ("broadcast_greater", "_greater", "_Greater"),
    "greater_equal": ("broadcast_greater_equal", "_greater_equal", "_Greater_Equal"),
    "lesser": ("broadcast_lesser", "_lesser", "_Lesser"),
    "lesser_equal": ("broadcast_lesser_equal", "_lesser_equal", "_Lesser_Equal"),
    "logical_and": ("broadcast_logical_and", "_logical_and", "_Logical_And"),
    "logical_or": ("broadcast_logical_or", "_logical_or", "_Logical_Or"),
    "logical_xor": ("broadcast_logical_xor", "_logical_xor", "_Logical_Xor"),
}
"""The operators of `ELEMENTWISE` on two arrays; all of them broadcast, so that is what is written.

`floor_divide` has no name: no MXNet has it.
"""

_SAME: Final = (
    *("negative", "abs", "sign", "round", "rint", "ceil", "floor", "square", "sqrt", "rsqrt"),
    *("cbrt", "reciprocal", "exp", "expm1", "log", "log2", "log10", "log1p", "sin", "cos", "tan"),
    *("arcsin", "arccos", "arctan", "sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh"),
    *("degrees", "radians", "sigmoid", "relu", "logical_not"),
)

UNARY: Final[dict[str, Names]] = {name: (name,) for name in _SAME} | {"trunc": ("trunc", "fix")}
"""The operators of `ELEMENTWISE` on one array; `softrelu` is an `Activation` in files."""

SCALAR: Final[dict[tuple[str, bool], Names]] = {
    ("add", False): ("_plus_scalar", "_PlusScalar"),
    ("subtract", False): ("_minus_scalar", "_MinusScalar"),
    ("subtract", True): ("_rminus_scalar", "_RMinusScalar"),
    ("multiply", False): ("_mul_scalar", "_MulScalar"),
    ("divide", False): ("_div_scalar", "_DivScalar"),
    ("divide", True): ("_rdiv_scalar", "_RDivScalar"),
    ("modulo", False): ("_mod_scalar", "_ModScalar"),
    ("modulo", True): ("_rmod_scalar", "_RModScalar"),
    ("power", False): ("_power_scalar", "_PowerScalar"),
    ("power", True): ("_rpower_scalar", "_RPowerScalar"),
    ("maximum", False): ("_maximum_scalar", "_MaximumScalar"),
    ("minimum", False): ("_minimum_scalar", "_MinimumScalar"),
    ("hypot", False): ("_hypot_scalar", "_HypotScalar"),
    ("arctan2", False): ("_npi_arctan2_scalar",),
    ("arctan2", True): ("_npi_rarctan2_scalar",),
    ("equal", False): ("_equal_scalar", "_EqualScalar"),
    ("not_equal", False): ("_not_equal_scalar", "_NotEqualScalar"),
    ("greater", False): ("_greater_scalar", "_GreaterScalar"),
    ("greater_equal", False): ("_greater_equal_scalar", "_GreaterEqualScalar"),
    ("lesser", False): ("_lesser_scalar", "_LesserScalar"),
    ("lesser_equal", False): ("_lesser_equal_scalar", "_LesserEqualScalar"),
    ("logical_and", False): ("_logical_and_scalar", "_LogicalAndScalar"),
    ("logical_or", False): ("_logical_or_scalar", "_LogicalOrScalar"),
    ("logical_xor", False): ("_logical_xor_scalar", "_LogicalXorScalar"),
}
"""An operator on two arrays with a number in place of one; True where that is the left one."""

MIRRORED: Final[dict[str, str]] = {
    **{name: name for name in ("add", "multiply", "maximum", "minimum", "hypot", "equal")},
    **{name: name for name in ("not_equal", "logical_and", "logical_or", "logical_xor")},
    "greater": "lesser",
    "greater_equal": "lesser_equal",
    "lesser": "greater",
    "lesser_equal": "greater_equal",
}
"""What an operator is with its operands exchanged."""
