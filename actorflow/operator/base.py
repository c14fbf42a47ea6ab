"""What computes users' operators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actorflow.errors import GradientError

if TYPE_CHECKING:
    from actorflow.ndarray import NDArray

__all__ = ["CustomOp"]


class CustomOp:
    """What computes: the base class of operators.

    One object is made for each node of each executor, so what `forward` keeps in it is there in
    `backward`. Both run inside of an operation of the engine. They may push operations, wait for
    them and read arrays with `asnumpy()`. The arrays that they are given are theirs for the
    call alone: keep a copy of what is needed later. Whatever they raise is raised where somebody
    waits for a result, with a note that names the operator and the node.
    """

    def forward(
        self,
        is_train: bool,  # noqa: FBT001 -- MXNet's
        req: list[str],
        in_data: list[NDArray],
        out_data: list[NDArray],
        aux: list[NDArray],
    ) -> None:
        """Compute the outputs.

        Args:
          is_train: whether something is to be learnt.
          req: for each output "write", or "null" if nobody wants it.
          in_data: the inputs, which cannot be written.
          out_data: the outputs, of the shapes and data types that were inferred; each that is
            wanted has to be written, as a whole.
          aux: the auxiliary states; they can be written if `is_train`.
        """
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def backward(
        self,
        req: list[str],
        out_grad: list[NDArray],
        in_data: list[NDArray],
        out_data: list[NDArray],
        in_grad: list[NDArray],
        aux: list[NDArray],
    ) -> None:
        """Compute the gradients of the inputs.

        Args:
          req: for each input "write", or "null" if nobody wants its gradient. Where gradients are
            added up, that is done outside.
          out_grad: the gradients of the outputs.
          in_data, out_data: what `forward` took and gave.
          in_grad: the gradients to write; 0 where nothing is written.
          aux: the auxiliary states as `forward` left them, which cannot be written.

        What `declare_backward_dependency` leaves out cannot be read.
        """
        del req, out_grad, in_data, out_data, in_grad, aux
        raise GradientError(f"{type(self).__name__} has no backward")

    def assign(self, dst: NDArray, req: str, src: Any) -> None:  # noqa: ANN401 -- array or number
        """Put `src`, an array or a number, where `req` says.

        Args:
          dst: where to.
          req: "write" or "inplace" to replace what is there, "add" to add to it, or "null" to
            leave it as it is.
          src: what.

        Raises:
          ValueError: `req` is something else.
        """
        if req in ("write", "inplace"):
            dst[:] = src
        elif req == "add":
            dst[:] = dst + src
        elif req != "null":
            message = f"assign: req is 'write', 'inplace', 'add' or 'null', got {req!r}"
            raise ValueError(message)
