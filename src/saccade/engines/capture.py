"""A network as the graph that torch.export captures."""

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from saccade.engines.signature import Axis, Signature
from saccade.errors import SaccadeError, in_one_line

_ATTENTION = torch.ops.aten.scaled_dot_product_attention.default


def capture(module: nn.Module, signature: Signature, example: Sequence[Tensor]) -> ExportedProgram:
    """The graph of a module that takes the inputs of the signature and returns a tuple of outputs, in evaluation mode.

    example: inputs that are followed, of two or more along every axis that is not fixed. Raises SaccadeError where the
    code of the module depends on an axis that the signature leaves open.
    """
    dims = {axis.name: _dim(axis) for axis in signature.axes.values() if not axis.fixed}
    shapes = {
        each.name: {i: dims[axis.name] for i, axis in enumerate(each.axes) if not axis.fixed}
        for each in signature.inputs
    }
    try:
        with torch.no_grad():
            program = torch.export.export(module.eval(), tuple(example), dynamic_shapes=shapes)
    except (torch._dynamo.exc.UserError, RuntimeError, ValueError) as error:
        raise SaccadeError(f"torch.export cannot capture the network: {in_one_line(error)}") from error
    if not _has_masks(program):
        return program
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of PyTorch's own copies of the program
        return program.run_decompositions({_ATTENTION: _attention})


def _dim(axis: Axis) -> Any:
    dim = Dim(axis.name, min=axis.low // axis.step, max=axis.high // axis.step)
    return dim if axis.step == 1 else axis.step * dim


def _has_masks(program: ExportedProgram) -> bool:
    return any(
        node.target is _ATTENTION and (len(node.args) > 3 or "attn_mask" in node.kwargs) for node in program.graph.nodes
    )


def _attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None = None,
    dropout: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """The operator as its parts, so that a query that may attend to nothing gets zeros, as in PyTorch: of the operator
    itself engines make the mean of all values, or NaN."""
    if mask is None:
        return NotImplemented
    if enable_gqa:
        k, v = (t.repeat_interleave(q.shape[1] // t.shape[1], dim=1) for t in (k, v))
    scores = q @ k.transpose(-1, -2) * (q.shape[-1] ** -0.5 if scale is None else scale)
    allowed = mask if mask.dtype == torch.bool else mask > -torch.inf
    scores = scores.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else scores + mask
    weights = torch.softmax(scores, dim=-1)
    return weights.masked_fill(~allowed.any(dim=-1, keepdim=True), 0.0) @ v
