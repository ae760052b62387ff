"""Edit attention that is written as separate operations: at the product of its weights with values, it is known.

By then the model has computed its weights, but nothing from them. The queries, keys and what was added to the scores
were followed up to the softmax, so the call can be made with others through the fused kernel, as any call is, and its
result given in place of the product's.
"""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function

from saccade.lens.attention.args import AttentionArgs
from saccade.lens.editing.remake import call_with_arguments
from saccade.lens.modes import hidden, hidden_no_grad
from saccade.lens.recognising.products import UNLAID, UNLAID_VALUES, Product
from saccade.lens.trace.gradients import DROPPED

DIFFERS = "its q, k and v as they were followed do not give its product with values"


def edited_product(arguments: AttentionArgs, product: Product, like: Tensor) -> Tensor:
    """What a product of weights with values would be if the call had these arguments; see `arguments_of`. To function
    modes below it is a function of torch, so that other watches and edits see the call and not the product."""
    if has_torch_function((like,)):
        return handle_torch_function(edited_product, (like,), arguments, product, like)
    out = call_with_arguments(F.scaled_dot_product_attention, arguments)
    with hidden():
        form = product.form
        laid = None if form is None else form.laid_out(out, like)
        assert laid is not None  # arguments_of saw that
        return laid


def arguments_of(product: Product) -> tuple[AttentionArgs, Tensor] | str:
    """The call that a product about to be computed makes an attention, in four axes and one dtype, with its gradients,
    and the model's own result (without any); or why the call is not known well enough to be made again."""
    resolved, form = product.resolved, product.form
    if form is None:
        return product.other_work or UNLAID
    if product.known.dropped:
        return DROPPED
    with hidden_no_grad():
        like = product.func(*product.args, **product.kwargs)
    with hidden():
        sources = product.sources()
    if sources is None:
        return UNLAID_VALUES
    k, v = sources
    with hidden():
        arguments = _of_one_dtype(AttentionArgs(resolved.q, k, v.to(like.dtype), resolved.mask, resolved.scale))
    arguments = replace(arguments, scores=bool(resolved.note))
    with hidden_no_grad():
        rows = form.rows(like)
        if rows is None or (laid := form.laid_out(rows, like)) is None:
            return UNLAID
        if not laid.equal(like) and not laid.nan_to_num().equal(like.nan_to_num()):
            return UNLAID
        return (arguments, like) if _gives(arguments, rows) else DIFFERS


def _of_one_dtype(arguments: AttentionArgs) -> AttentionArgs:
    """The finest of those of q, k, v and a mask that is added, so that nothing is rounded that the model did not."""
    dtype = torch.promote_types(torch.promote_types(arguments.q.dtype, arguments.k.dtype), arguments.v.dtype)
    mask = arguments.mask
    if mask is not None and mask.dtype != torch.bool:
        dtype = torch.promote_types(dtype, mask.dtype)
        mask = mask.to(dtype)
    return replace(arguments, q=arguments.q.to(dtype), k=arguments.k.to(dtype), v=arguments.v.to(dtype), mask=mask)


def _gives(arguments: AttentionArgs, rows: Tensor) -> bool:
    """Whether the call gives the model's result, (b h n c), where that is a number."""
    with torch.autocast(rows.device.type, enabled=False):
        mixed = call_with_arguments(F.scaled_dot_product_attention, arguments)
    real, largest = rows.isfinite(), float(arguments.v.abs().max())
    tolerance = (1e-3 if torch.finfo(rows.dtype).eps < 1e-6 else 0.1) * max(largest, 1e-6)
    return bool(((mixed.double() - rows.double()).abs()[real] <= tolerance).all())
