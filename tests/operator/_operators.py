"""Operators for the tests."""

from typing import ClassVar

import numpy as np

import actorflow as af
from actorflow import nd
from actorflow.operator import CustomOp, CustomOpProp, NDArrayOp, NumpyOp, register


class Scale(CustomOp):
    """`data * weight * scale`, in arrays, with imperative operations and waits inside."""

    def __init__(self, scale):
        super().__init__()
        self.scale = scale
        self.calls = []

    def forward(self, is_train, req, in_data, out_data, aux):
        self.calls.append(("forward", is_train, tuple(req)))
        product = in_data[0] * in_data[1]
        assert product.asnumpy().shape == out_data[0].shape
        self.assign(out_data[0], req[0], product * self.scale)
        if is_train:
            aux[0][:] += 1

    def backward(self, req, out_grad, in_data, out_data, in_grad, aux):
        self.calls.append(("backward", tuple(req), float(aux[0].asscalar())))
        for one, other in ((0, 1), (1, 0)):
            self.assign(in_grad[one], req[one], out_grad[0] * in_data[other] * self.scale)


@register("test_scale")
class ScaleProp(CustomOpProp):
    made: ClassVar[list[Scale]] = []  # all operators, in order

    def __init__(self, scale="1"):
        super().__init__(need_top_grad=True)
        self.scale = float(scale)

    def list_arguments(self):
        return ["data", "weight"]

    def list_auxiliary_states(self):
        return ["count"]

    def infer_shape(self, in_shape):
        return [in_shape[0], in_shape[0]], [in_shape[0]], [(1,)]

    def create_operator(self, ctx, in_shapes, in_dtypes):
        made = Scale(self.scale)
        made.given = (ctx, in_shapes, in_dtypes)
        ScaleProp.made.append(made)
        return made


class Softmax(CustomOp):
    """The softmax of rows and its cross entropy's gradient, as MXNet's example has it."""

    def forward(self, is_train, req, in_data, out_data, aux):
        x = in_data[0].asnumpy()
        y = np.exp(x - x.max(axis=1, keepdims=True))
        self.assign(out_data[0], req[0], nd.array(y / y.sum(axis=1, keepdims=True), dtype=x.dtype))

    def backward(self, req, out_grad, in_data, out_data, in_grad, aux):
        labels = in_data[1].asnumpy().astype(int)
        y = out_data[0].asnumpy()
        y[np.arange(len(labels)), labels] -= 1
        self.assign(in_grad[0], req[0], nd.array(y, dtype=y.dtype))


@register("test_softmax")
class SoftmaxProp(CustomOpProp):
    def __init__(self):
        super().__init__(need_top_grad=False)

    def list_arguments(self):
        return ["data", "label"]

    def infer_shape(self, in_shape):
        return [in_shape[0], (in_shape[0][0],)], [in_shape[0]], []

    def create_operator(self, ctx, in_shapes, in_dtypes):
        return Softmax()


def op_of(forward=None, backward=None, name="test_anything", **methods):
    """Register an operator of these functions, without `self`; give its name."""

    class Op(CustomOp):
        pass

    if forward is not None:
        Op.forward = lambda self, is_train, req, in_data, out_data, aux: forward(
            in_data, out_data, aux
        )
    if backward is not None:
        Op.backward = lambda self, req, out_grad, in_data, out_data, in_grad, aux: backward(
            out_grad, in_data, out_data, in_grad
        )

    class Prop(CustomOpProp):
        def create_operator(self, ctx, in_shapes, in_dtypes):
            return Op()

    for method, function in methods.items():
        setattr(Prop, method, staticmethod(function))
    register(name)(Prop)
    return name


class NumpyDouble(NumpyOp):
    def forward(self, in_data, out_data):
        out_data[0][:] = in_data[0] * 2

    def backward(self, out_grad, in_data, out_data, in_grad):
        in_grad[0][:] = out_grad[0] * 2


class ArrayDouble(NDArrayOp):
    def forward(self, in_data, out_data):
        out_data[0][:] = in_data[0] * 2

    def backward(self, out_grad, in_data, out_data, in_grad):
        in_grad[0][:] = out_grad[0] * 2


def bound(symbol, engine_values, grad_req="write"):
    """Bind float64 arrays."""
    args = {name: nd.array(value, dtype="float64") for name, value in engine_values.items()}
    grads = {name: nd.zeros(each.shape, dtype="float64") for name, each in args.items()}
    states = [nd.zeros((1,), dtype="float64") for _ in symbol.list_auxiliary_states()]
    return symbol.bind(af.cpu(), args, grads, grad_req, states)
