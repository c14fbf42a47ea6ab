"""Operators written in Python: early MXNet's `mx.operator`.

A `CustomOpProp` says what an operator takes and gives, a `CustomOp` computes it, and `register`
gives it the name under which `sym.Custom` and `nd.Custom` find it.
"""

from actorflow.operator.base import CustomOp
from actorflow.operator.custom import CustomOpProp, register
from actorflow.operator.python_op import NDArrayOp, NumpyOp, PythonOp

__all__ = ["CustomOp", "CustomOpProp", "NDArrayOp", "NumpyOp", "PythonOp", "register"]
