"""Edit a model's attention while it runs: rewrite q, k, v and mask of the calls of some modules, and nothing else."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from saccade.errors import SaccadeError
from saccade.lens.editing.base import Edit, as_edits
from saccade.lens.editing.done import Edits
from saccade.lens.editing.editor import Editor
from saccade.lens.modules.components import components_of


@contextmanager
def edit(model: Any, edits: Mapping[str, Edit | Sequence[Edit]]) -> Iterator[Edits]:
    """Change what a model attends to while it runs inside the block.

    model: a module or a pipeline, as for `watch`. edits: pattern of module names (as for `trace[...]`) -> an edit, or
    several in order. Patterns that match one name apply in their order. Names are those of `watch`; the block yields
    what was edited.

        >>> import torch
        >>> from saccade.lens import cut, drop_heads, edit, watch
        >>> model = torch.nn.MultiheadAttention(8, num_heads=2)
        >>> x = torch.randn(5, 1, 8)
        >>> with edit(model, {"*": [drop_heads(1), cut(sources=[0])]}) as edits, watch(model) as trace:
        ...     output = model(x, x, x)[0]
        >>> edits.applied
        {'MultiheadAttention': 1}
        >>> trace[0].columns([0]).sum().item()
        0.0

    Each edit rewrites q, k, v, mask or scale, and then the call that the model made runs, `saccade.attend` or
    `F.scaled_dot_product_attention`: no map is made that the model did not make. A call that no edit changes runs
    untouched, bit for bit. With autocast edits see q, k, v in its dtype. Inputs of three axes run as one head.

    Edits may be nested; those of the inner block come first. A watch shows the edited attention, whichever block is
    inside the other. Runs and calls are counted from the start of the block. Only the thread that entered the block
    is edited. What `torch.compile` made runs uncompiled. After the block, also after an exception, the model is as
    before.

    torch.nn.MultiheadAttention and the encoders made of it run without their fast path where a pattern matches, and
    always through the fused call, whose last bits differ; the weights they return are those of the edited call
    before dropout. Scripted code, FlexAttention, kernels of other libraries and what runs in other threads cannot be
    edited: modules that match a pattern are named in `missed`.

    Attention written as separate operations is known when its weights are about to be multiplied with values. What was
    followed to there is compared with the model's own product, and then `F.scaled_dot_product_attention` computes the
    edited call in its place, in the finest dtype that the model used in it. Where the weights were changed after the
    softmax (dropout while training, gates, talking heads) or the product does more, the call runs unedited and is named
    in `missed`. Weights that the model returns are those of the edited calls, or None where an edit attends to more
    sources than the model does; but what it makes of them, a mean or a choice of tokens, is made of its own.

    Raises SaccadeError for what is no module or no edit; in the forward pass for an edit that does not fit the call,
    and under activation checkpointing, which would compute the unedited call in the backward pass; at the end of the
    block if the model ran and a pattern edited nothing because it matched no attention call that can be edited.
    """
    components = components_of(model, "edit")
    if isinstance(model, torch.jit.ScriptModule):
        raise SaccadeError("edit was given a scripted module, which shows no calls; expected the one it was made from")
    if not isinstance(edits, Mapping) or not edits:
        raise SaccadeError(
            f'edit was given {_called(edits)}; expected {{pattern: edits}}, such as {{"*": drop_heads(2)}}'
        )
    editor = Editor(components, {pattern: as_edits(each, f"edits of {pattern!r}") for pattern, each in edits.items()})
    with ExitStack() as undo:
        editor.attach(components, undo)
        undo.enter_context(editor)
        try:
            yield editor.done
        finally:
            editor.miss_unseen()
        editor.check_patterns()
        editor.miss_unapplied()


def _called(given: object) -> str:
    """An edit by the name of the function that made it; anything else as it is."""
    if isinstance(given, list) and given:
        return f"[{', '.join(map(_called, given))}]"
    if not isinstance(given, Edit):
        return repr(given)
    kind = type(given).__name__
    if kind.startswith("_"):
        kind = getattr(given, "called", re.sub(r"\B([A-Z])", r"_\1", kind[1:]).lower())
    return f"{kind}(...)"
