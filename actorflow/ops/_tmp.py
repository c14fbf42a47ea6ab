import attrs, numpy as np
from actorflow.ops.operator import Operator
@attrs.frozen
class ElementWiseSum(Operator):
    num_args: int
    name="ElementWiseSum"
    inplace=(("arg0","output"),)
    @property
    def inputs(self): return tuple(f"arg{i}" for i in range(self.num_args))
    def infer_shape(self,*s):
        k=next((x for x in s if x is not None),None)
        return (k,)*len(s),(k,)
    def infer_type(self,*d): return self.one_type(d)
    def forward(self,*a):
        *xs,o=a
        np.add(xs[0],xs[1],o)
        for x in xs[2:]: np.add(o,x,o)
    def gradient(self,apply,i,o,g): return g*len(i)
@attrs.frozen
class _Like(Operator):
    inputs=("data",)
    def output_shape(self,*s): return s[0]
    def output_type(self,*d): return d[0]
    def gradient(self,apply,i,o,g): return (None,)
class ZerosLike(_Like):
    name="zeros_like"
    def forward(self,d,o): o[...]=0
class OnesLike(_Like):
    name="ones_like"
    def forward(self,d,o): o[...]=1
