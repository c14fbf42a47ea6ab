"""Operators: what they take, what they give and how they compute it. They know no engine."""

from actorflow.ops.activation import Activation
from actorflow.ops.adaptive import (
    AdaDeltaUpdate,
    AdaGradUpdate,
    FtrlUpdate,
    RMSPropAlexUpdate,
    RMSPropUpdate,
)
from actorflow.ops.basic import (
    After,
    BlockGrad,
    Copy,
    CrossDeviceCopy,
    ElementWiseSum,
    Identity,
    OnesLike,
    ZerosLike,
)
from actorflow.ops.batch_norm import BatchNorm
from actorflow.ops.blocks import working_type
from actorflow.ops.broadcast import (
    BroadcastAxis,
    BroadcastLike,
    BroadcastTo,
    SumLike,
    broadcast_shapes,
)
from actorflow.ops.constant import Constant, Full
from actorflow.ops.convolution import Convolution
from actorflow.ops.custom import Custom, Definition, Instance, custom, register
from actorflow.ops.deconvolution import Deconvolution
from actorflow.ops.dense import Dot, FullyConnected
from actorflow.ops.dropout import Dropout
from actorflow.ops.elementwise import ELEMENTWISE
from actorflow.ops.embedding import Embedding
from actorflow.ops.files import from_file, to_file
from actorflow.ops.fused import Activated, Fused, Step
from actorflow.ops.index import (
    Assign,
    ChooseElement0Index,
    FillElement0Index,
    GetItem,
    OneHotEncode,
    SetItem,
    Take,
    check_value,
    indexed_shape,
)
from actorflow.ops.leaky import LeakyReLU
from actorflow.ops.loss import MakeLoss, SoftmaxOutput
from actorflow.ops.lrn import LRN
from actorflow.ops.operator import Call, Operator, call_each, shared
from actorflow.ops.pooling import Pooling
from actorflow.ops.random import Normal, Orthogonal, RandInt, Shuffle, Uniform
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
)
from actorflow.ops.regression import (
    LinearRegressionOutput,
    LogisticRegressionOutput,
    MAERegressionOutput,
)
from actorflow.ops.reshape import (
    ExpandDims,
    Flatten,
    Reshape,
    ReshapeLike,
    coded_shape,
    expanded_shape,
    flattened_shape,
)
from actorflow.ops.scalar import Arange, Cast, Clip, Fill, WithScalar, scalar_type, widened
from actorflow.ops.shape import Flip, SwapAxis, Transpose, reshaped
from actorflow.ops.slicing import Concat, Slice, SliceAxis, SliceChannel
from actorflow.ops.softmax import LogSoftmax, Softmax, SoftmaxActivation
from actorflow.ops.types import (
    DTYPES,
    DTypeLike,
    Memory,
    Scalar,
    Shape,
    as_dtype,
    as_shape,
    carve,
    is_floating,
    normalize_axis,
    prod,
    room,
)
from actorflow.ops.ufunc import Elementwise
from actorflow.ops.update import (
    AdamUpdate,
    DCASGDUpdate,
    NAGMomUpdate,
    SGDMomUpdate,
    SGDUpdate,
    SGLDUpdate,
    WeightUpdate,
)
from actorflow.ops.wording import described, meant

__all__ = [
    "DTYPES",
    "ELEMENTWISE",
    "LRN",
    "Activated",
    "Activation",
    "AdaDeltaUpdate",
    "AdaGradUpdate",
    "AdamUpdate",
    "After",
    "Arange",
    "ArgMax",
    "ArgMaxChannel",
    "ArgMin",
    "Assign",
    "Axis",
    "BatchNorm",
    "BlockGrad",
    "BroadcastAxis",
    "BroadcastLike",
    "BroadcastTo",
    "Call",
    "Cast",
    "ChooseElement0Index",
    "Clip",
    "Concat",
    "Constant",
    "Convolution",
    "Copy",
    "CrossDeviceCopy",
    "Custom",
    "DCASGDUpdate",
    "DTypeLike",
    "Deconvolution",
    "Definition",
    "Dot",
    "Dropout",
    "ElementWiseSum",
    "Elementwise",
    "Embedding",
    "ExpandDims",
    "Fill",
    "FillElement0Index",
    "Flatten",
    "Flip",
    "FtrlUpdate",
    "Full",
    "FullyConnected",
    "Fused",
    "GetItem",
    "Identity",
    "Instance",
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
    "NAGMomUpdate",
    "Norm",
    "Normal",
    "OneHotEncode",
    "OnesLike",
    "Operator",
    "Orthogonal",
    "Pooling",
    "Prod",
    "RMSPropAlexUpdate",
    "RMSPropUpdate",
    "RandInt",
    "Reduction",
    "Reshape",
    "ReshapeLike",
    "SGDMomUpdate",
    "SGDUpdate",
    "SGLDUpdate",
    "Scalar",
    "SetItem",
    "Shape",
    "Shuffle",
    "Slice",
    "SliceAxis",
    "SliceChannel",
    "Softmax",
    "SoftmaxActivation",
    "SoftmaxOutput",
    "Step",
    "Sum",
    "SumLike",
    "SwapAxis",
    "Take",
    "Transpose",
    "Uniform",
    "WeightUpdate",
    "WithScalar",
    "ZerosLike",
    "as_dtype",
    "as_shape",
    "broadcast_shapes",
    "call_each",
    "carve",
    "check_value",
    "coded_shape",
    "custom",
    "described",
    "expanded_shape",
    "flattened_shape",
    "from_file",
    "indexed_shape",
    "is_floating",
    "meant",
    "normalize_axis",
    "prod",
    "register",
    "reshaped",
    "room",
    "scalar_type",
    "shared",
    "to_file",
    "widened",
    "working_type",
]
