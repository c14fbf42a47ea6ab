"""For each function that applies an operator, parameters and shapes that fit them."""

from hypothesis import strategies as st

SIZES = st.integers(1, 4)


@st.composite
def cases(draw, name):
    """Parameters, the shapes of all inputs and states by name, and which of them are indices."""
    n, c, h, w = (draw(SIZES) for _ in range(4))
    given = FUNCTIONS[name](draw, n, c, h, w)
    parameters, shapes, *indices = given
    return parameters, shapes, dict(indices)


def _convolution(draw, n, c, h, w, *, transposed=False):
    groups = draw(st.sampled_from([1, 2]))
    filters, channels = groups * draw(SIZES), groups * c
    kernel = draw(st.sampled_from([(2,), (1, 2), (2, 2)]))
    no_bias = draw(st.booleans())
    parameters = {
        "kernel": kernel,
        "num_filter": filters,
        "num_group": groups,
        "no_bias": no_bias,
        "stride": (draw(st.sampled_from([1, 2])),) * len(kernel),
        "pad": (0 if transposed else 1,) * len(kernel),
    }
    ends = (channels, filters // groups) if transposed else (filters, channels // groups)
    shapes = {"data": (n, channels, h, w)[: 2 + len(kernel)], "weight": (*ends, *kernel)}
    return parameters, shapes if no_bias else {**shapes, "bias": (filters,)}


def _dense(draw, n, c, h, w):
    no_bias, flatten = draw(st.booleans()), draw(st.booleans())
    shapes = {"data": (n, h, w), "weight": (c, h * w if flatten else w)}
    parameters = {"num_hidden": c, "no_bias": no_bias, "flatten": flatten}
    return parameters, shapes if no_bias else {**shapes, "bias": (c,)}


def _leaky(draw, n, c, h, w):
    kind = draw(st.sampled_from(["leaky", "elu", "prelu", "rrelu"]))
    shapes = {"data": (n, c, h)}
    return {"act_type": kind}, {**shapes, "gamma": (c,)} if kind == "prelu" else shapes


def _batch_norm(draw, n, c, h, w):
    parameters = {
        name: draw(st.booleans()) for name in ("fix_gamma", "use_global_stats", "output_mean_var")
    }
    names = ("gamma", "beta", "moving_mean", "moving_var")
    return parameters, {"data": (n, c, h), **dict.fromkeys(names, (c,))}


def _reduction(draw, n, c, h, w):
    axis = draw(st.sampled_from([None, 0, -1, (0, 2)]))
    flags = {name: draw(st.booleans()) for name in ("keepdims", "exclude")}
    return {"axis": axis, **flags}, {"data": (n, c, h)}


def _norm(draw, n, c, h, w):
    return {"ord": draw(st.sampled_from([1, 2])), "axis": 1}, {"data": (n, c, h)}


def _dot(draw, n, c, h, w):
    left, right = draw(st.booleans()), draw(st.booleans())
    shapes = {"lhs": (c, n) if left else (n, c), "rhs": (h, c) if right else (c, h)}
    return {"transpose_a": left, "transpose_b": right}, shapes


def _softmax_output(draw, n, c, h, w):
    multi = draw(st.booleans())
    label = (n, h) if multi else (n,)
    shapes = {"data": (n, c, h) if multi else (n, c), "label": label}
    return {"multi_output": multi}, shapes, ("label", c)


def _labelled(draw, n, c, h, w):
    return {}, {"data": (n, c), "label": (n, c)}


def _plain(draw, n, c, h, w):
    return {}, {"data": (n, c, h)}


def _like(draw, n, c, h, w):
    return {}, {"lhs": (n, c), "rhs": (n, c)}


def _any_number(draw, n, c, h, w):
    return {}, {f"arg{index}": (n, c) for index in range(w)}


def _concat(draw, n, c, h, w):
    return {"dim": 1}, {f"arg{index}": (n, c + index, h) for index in range(w)}


def _with(**parameters):
    """Parameters that fit data of three axes; those that are functions get its shape."""

    def given(draw, n, c, h, w):
        shape = (n, c, h)
        found = {k: v(shape) if callable(v) else v for k, v in parameters.items()}
        return found, {"data": shape}

    return given


def _chosen(parameter, *values):
    def given(draw, n, c, h, w):
        return {parameter: draw(st.sampled_from(values))}, {"data": (n, c, h, w)}

    return given


FUNCTIONS = {
    "Activation": _chosen("act_type", "relu", "sigmoid", "tanh", "softrelu", "softsign"),
    "Convolution": _convolution,
    "Deconvolution": lambda *drawn: _convolution(*drawn, transposed=True),
    "Dropout": _chosen("mode", "training", "always"),
    "Embedding": lambda draw, n, c, h, w: (
        {"input_dim": c, "output_dim": h},
        {"data": (n, w), "weight": (c, h)},
        ("data", c),
    ),
    "FullyConnected": _dense,
    "LeakyReLU": _leaky,
    "Pooling": lambda draw, n, c, h, w: (
        {"kernel": (1, 1), "pool_type": draw(st.sampled_from(["max", "avg", "sum"]))},
        {"data": (n, c, h, w)},
    ),
    "BatchNorm": _batch_norm,
    "LRN": lambda draw, n, c, h, w: ({"nsize": 3}, {"data": (n, c, h, w)}),
    "log_softmax": _chosen("axis", 0, 1, -1),
    "softmax": _chosen("axis", 0, 1, -1),
    "SoftmaxActivation": _chosen("mode", "instance", "channel"),
    "BlockGrad": _plain,
    "LinearRegressionOutput": _labelled,
    "LogisticRegressionOutput": _labelled,
    "MAERegressionOutput": _labelled,
    "MakeLoss": _plain,
    "SoftmaxOutput": _softmax_output,
    "broadcast_axis": lambda draw, n, c, h, w: ({"axis": 1, "size": w}, {"data": (n, 1, h)}),
    "broadcast_like": lambda draw, n, c, h, w: ({}, {"lhs": (n, 1), "rhs": (n, c)}),
    "broadcast_to": lambda draw, n, c, h, w: ({"shape": (0, c)}, {"data": (n, 1)}),
    "Cast": _chosen("dtype", "int32", "float64", "float16", "bool"),
    "Concat": _concat,
    "expand_dims": _chosen("axis", 0, 2, -1),
    "Flatten": _plain,
    "flip": _chosen("axis", 0, 1, (0, 2)),
    "Reshape": _chosen("shape", (-1,), (0, -1), (-3, -2), (-2, 1)),
    "reshape_like": lambda draw, n, c, h, w: ({}, {"lhs": (n, c, h), "rhs": (h, n * c)}),
    "slice": _with(begin=(0, 0), end=lambda shape: (1, shape[1])),
    "slice_axis": _with(axis=2, begin=0, end=None),
    "SliceChannel": lambda draw, n, c, h, w: (
        {"num_outputs": w, "squeeze_axis": c == 1},
        {"data": (n, c * w, h)},
    ),
    "SwapAxis": _with(dim1=0, dim2=2),
    "transpose": _with(axes=(2, 0, 1)),
    "argmax": _chosen("axis", None, 0, -1),
    "argmax_channel": lambda draw, n, c, h, w: ({}, {"data": (n, c)}),
    "argmin": _chosen("axis", None, 0, -1),
    "choose_element_0index": lambda draw, n, c, h, w: (
        {},
        {"lhs": (n, c), "rhs": (n,)},
        ("rhs", c),
    ),
    "dot": _dot,
    "fill_element_0index": lambda draw, n, c, h, w: (
        {},
        {"lhs": (n, c), "mhs": (n,), "rhs": (n,)},
        ("rhs", c),
    ),
    "max": _reduction,
    "mean": _reduction,
    "min": _reduction,
    "norm": _norm,
    "prod": _reduction,
    "sum": _reduction,
    "take": lambda draw, n, c, h, w: ({}, {"data": (c, h), "indices": (n,)}, ("indices", c)),
    "clip": _with(a_min=-0.5, a_max=0.5),
    "ElementWiseSum": _any_number,
    "identity": _plain,
    "ones_like": _plain,
    "zeros_like": _plain,
}
