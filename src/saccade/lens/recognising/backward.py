"""Gradients of attention in separate operations: dL/dO where values were mixed, and dL/dA itself to compare it with."""

from collections.abc import Callable
from typing import Any

from jaxtyping import Float
from torch import Tensor

from saccade.lens.attention.call_context import find_edited_call
from saccade.lens.modes import hidden_no_grad
from saccade.lens.recognising.products import UNLAID, Product
from saccade.lens.recognising.resolve import ScoreLayout
from saccade.lens.trace.gradients import DROPPED, Gradient, nearest_node

OTHERWISE = "the model does more with its weights than one product with its values, and that is part of their gradient"
AFTER_SOFTMAX = 4  # operations between the softmax of torch.nn and its product with values


def capture_gradient(product: Product, out: Tensor, v: Float[Tensor, "b g m c"] | None) -> Gradient:
    """The gradient of the result of a product, when a backward pass brings it.

    The weights of separate operations are a tensor of the graph, and whatever else the model does with them is part of
    their gradient. So dO Vᵀ is compared with the gradient that reaches the softmax (but of an edited call nothing does:
    other weights were used). v: the values of the call.
    """
    layout, rows = product.resolved.layout, head_rows_of(product)
    gradient = Gradient((layout.b, layout.h, layout.n))
    if product.known.dropped:
        gradient.refuse(DROPPED)
    elif v is None or rows(out) is None:
        gradient.refuse(product.other_work or UNLAID)
    elif out.requires_grad:
        gradient.follow(out, rows)
        if product.resolved.node is not None and find_edited_call(out) is None:
            product.resolved.node.register_prehook(_comparing(gradient, layout, v))
    return gradient


def follow_inner(gradient: Gradient, product: Product, v: Float[Tensor, "b g m c"] | None, out: Any) -> None:
    """The same for a product below autograd, of which only what the module or function of torch.nn around it returned
    is in the graph: the batched product nearest before that, and the softmax before its weights."""
    node = nearest_node(out, "BmmBackward")
    before = None if node is None else node.next_functions[0][0]
    soft = None if before is None else nearest_node(before, "SoftmaxBackward", deepest=AFTER_SOFTMAX)
    if node is None or soft is None or v is None or gradient.refused:
        return
    gradient.follow_node(node, head_rows_of(product))
    soft.register_prehook(_comparing(gradient, product.resolved.layout, v))


def head_rows_of(product: Product) -> Callable[[Tensor], Tensor | None]:
    """What makes (b h n c) of the product's result, or of its gradient; None where that is not possible. It holds no
    tensor, as it is held by the graph."""
    form = product.form

    def rows(given: Tensor) -> Tensor | None:
        with hidden_no_grad():
            return None if form is None else form.rows(given)

    return rows


def _comparing(gradient: Gradient, layout: ScoreLayout, v: Tensor) -> Callable[[tuple[Tensor | None, ...]], None]:
    def compare(given: tuple[Tensor | None, ...]) -> None:
        with hidden_no_grad():
            if given[0] is not None and not gradient.agrees(layout.folded(layout.permuted(given[0])), v):
                gradient.refuse(OTHERWISE)

    return compare
