"""A network as the graph that torch.export captures."""

from typing import Any

import torch
from torch import nn
from torch.export import Dim, ExportedProgram

from saccade.engines.signature import INPUT, Axis, Signature
from saccade.errors import SaccadeError, in_one_line

_ATTENTION = torch.ops.aten.scaled_dot_product_attention.default
_MASK = 3  # its place among the arguments


def capture(module: nn.Module, signature: Signature, size: tuple[int, int]) -> ExportedProgram:
    """The graph of a module with one input and a tuple of outputs, in evaluation mode.

    size: (height, width) of the example that is followed. Raises SaccadeError where the code of the module depends on
    an axis that the signature leaves open, and for attention under a boolean mask.
    """
    channels = signature.axes[1].low
    example = torch.zeros(2, channels, *size)
    dims: dict[int, Any] = {i: _dim(axis) for i, axis in enumerate(signature.axes) if not axis.fixed}
    try:
        with torch.no_grad():
            program = torch.export.export(module.eval(), (example,), dynamic_shapes={INPUT: dims})
    except (torch._dynamo.exc.UserError, RuntimeError, ValueError) as error:
        raise SaccadeError(f"torch.export cannot capture the network: {in_one_line(error)}") from error
    _check_masks(program)
    return program


def _dim(axis: Axis) -> Any:
    dim = Dim(axis.name, min=axis.low // axis.step, max=axis.high // axis.step)
    return dim if axis.step == 1 else axis.step * dim


def _check_masks(program: ExportedProgram) -> None:
    """A query that may attend to nothing gets zeros from PyTorch, but from an engine the mean of all values or NaN. A
    boolean mask can leave such a query; without a mask there is none, and a bias of finite numbers leaves none."""
    for node in program.graph.nodes:
        if node.op == "call_function" and node.target is _ATTENTION:
            mask = node.args[_MASK] if len(node.args) > _MASK else node.kwargs.get("attn_mask")
            if mask is not None and mask.meta["val"].dtype == torch.bool:
                raise SaccadeError(
                    f"{node.name} attends under a boolean mask: engines answer otherwise than PyTorch where it allows "
                    "nothing, so such a network is not exported"
                )
