"""Operators: what they take, what they give and how they compute it. They know no engine."""

from actorflow.ops.activation import Activation
from actorflow.ops.dense import Dot, FullyConnected
from actorflow.ops.dropout import Dropout
from actorflow.ops.elementwise import ELEMENTWISE, Elementwise, broadcast_shapes
from actorflow.ops.index import (
    Assign,
    ChooseElement0Index,
    FillElement0Index,
    GetItem,
    OneHotEncode,
    SetItem,
    Take,
    indexed_shape,
)
from actorflow.ops.leaky import LeakyReLU
from actorflow.ops.loss import MakeLoss, SoftmaxOutput
from actorflow.ops.operator import Operator
from actorflow.ops.random import Normal, RandInt, Shuffle, Uniform
from actorflow.ops.reduce import (
    ArgMax,
    ArgMaxChannel,
    ArgMin,
    Axis,
    Max,
    Mean,
    Min,
    Norm,
    Prod,
    Reduction,
    Sum,
    normalize_axis,
)
from actorflow.ops.regression import (
    LinearRegressionOutput,
    LogisticRegressionOutput,
    MAERegressionOutput,
)
from actorflow.ops.scalar import Arange, Cast, Clip, Fill, WithScalar, scalar_type, widened
from actorflow.ops.shape import (
    BroadcastTo,
    Concat,
    Copy,
    Transpose,
    expanded_shape,
    flattened_shape,
    reshaped,
)
from actorflow.ops.softmax import LogSoftmax, Softmax, SoftmaxActivation
from actorflow.ops.types import (
    DTYPES,
    DTypeLike,
    Memory,
    Scalar,
    Shape,
    as_dtype,
    as_shape,
    is_floating,
    prod,
)
from actorflow.ops.update import AdamUpdate, SGDMomUpdate, SGDUpdate

__all__ = [
    "DTYPES",
    "ELEMENTWISE",
    "Activation",
    "AdamUpdate",
    "Arange",
    "ArgMax",
    "ArgMaxChannel",
    "ArgMin",
    "Assign",
    "Axis",
    "BroadcastTo",
    "Cast",
    "ChooseElement0Index",
    "Clip",
    "Concat",
    "Copy",
    "DTypeLike",
    "Dot",
    "Dropout",
    "Elementwise",
    "Fill",
    "FillElement0Index",
    "FullyConnected",
    "GetItem",
    "LeakyReLU",
    "LinearRegressionOutput",
    "LogSoftmax",
    "LogisticRegressionOutput",
    "MAERegressionOutput",
    "MakeLoss",
    "Max",
    "Mean",
    "Memory",
    "Min",
    "Norm",
    "Normal",
    "OneHotEncode",
    "Operator",
    "Prod",
    "RandInt",
    "Reduction",
    "SGDMomUpdate",
    "SGDUpdate",
    "Scalar",
    "SetItem",
    "Shape",
    "Shuffle",
    "Softmax",
    "SoftmaxActivation",
    "SoftmaxOutput",
    "Sum",
    "Take",
    "Transpose",
    "Uniform",
    "WithScalar",
    "as_dtype",
    "as_shape",
    "broadcast_shapes",
    "expanded_shape",
    "flattened_shape",
    "indexed_shape",
    "is_floating",
    "normalize_axis",
    "prod",
    "reshaped",
    "scalar_type",
    "widened",
]
