"""What NumPy says each element-wise operator is."""

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def round_half_away(x):
    return np.sign(x) * np.floor(np.abs(x) + 0.5)


# name -> (reference, a range of inputs on which it is finite)
UNARY = {
    "negative": (np.negative, (-5, 5)),
    "abs": (np.abs, (-5, 5)),
    "sign": (np.sign, (-5, 5)),
    "round": (round_half_away, (-5, 5)),
    "rint": (np.rint, (-5, 5)),
    "ceil": (np.ceil, (-5, 5)),
    "floor": (np.floor, (-5, 5)),
    "trunc": (np.trunc, (-5, 5)),
    "square": (np.square, (-5, 5)),
    "sqrt": (np.sqrt, (0, 5)),
    "rsqrt": (lambda x: 1 / np.sqrt(x), (0.25, 5)),
    "cbrt": (np.cbrt, (-5, 5)),
    "reciprocal": (lambda x: 1 / x, (0.25, 5)),
    "exp": (np.exp, (-5, 5)),
    "expm1": (np.expm1, (-5, 5)),
    "log": (np.log, (0.25, 5)),
    "log2": (np.log2, (0.25, 5)),
    "log10": (np.log10, (0.25, 5)),
    "log1p": (np.log1p, (-0.75, 5)),
    "sin": (np.sin, (-5, 5)),
    "cos": (np.cos, (-5, 5)),
    "tan": (np.tan, (-1, 1)),
    "arcsin": (np.arcsin, (-1, 1)),
    "arccos": (np.arccos, (-1, 1)),
    "arctan": (np.arctan, (-5, 5)),
    "sinh": (np.sinh, (-5, 5)),
    "cosh": (np.cosh, (-5, 5)),
    "tanh": (np.tanh, (-5, 5)),
    "arcsinh": (np.arcsinh, (-5, 5)),
    "arccosh": (np.arccosh, (1, 5)),
    "arctanh": (np.arctanh, (-0.75, 0.75)),
    "degrees": (np.degrees, (-5, 5)),
    "radians": (np.radians, (-90, 90)),
    "sigmoid": (sigmoid, (-5, 5)),
    "relu": (lambda x: np.maximum(x, 0), (-5, 5)),
    "softrelu": (lambda x: np.log(1 + np.exp(x)), (-5, 5)),
    "logical_not": (lambda x: (x == 0).astype(x.dtype), (-2, 2)),
}

BINARY = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.true_divide,
    "floor_divide": np.floor_divide,
    "modulo": np.remainder,
    "power": np.power,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "hypot": np.hypot,
    "arctan2": np.arctan2,
    "equal": np.equal,
    "not_equal": np.not_equal,
    "greater": np.greater,
    "greater_equal": np.greater_equal,
    "lesser": np.less,
    "lesser_equal": np.less_equal,
    "logical_and": np.logical_and,
    "logical_or": np.logical_or,
    "logical_xor": np.logical_xor,
}


def promoted(left, right):
    """What two operands' data types are promoted to: NumPy's rule without its int16."""
    found = np.result_type(left, right)
    return np.dtype("int32") if found == np.int16 else found


COMPARISONS = {
    "equal",
    "not_equal",
    "greater",
    "greater_equal",
    "lesser",
    "lesser_equal",
    "logical_and",
    "logical_or",
    "logical_xor",
}
