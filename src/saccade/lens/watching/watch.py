"""Watch a model: see every attention call it makes, without changing the model or what it computes."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import nn

from saccade.errors import SaccadeError
from saccade.lens.modules.components import components_of
from saccade.lens.trace.trace import Trace
from saccade.lens.watching.stream import Views, ViewStream
from saccade.lens.watching.watcher import Watcher


@contextmanager
def watch(
    model: Any,
    values: bool = False,
    gradients: bool = False,
    only: str | Sequence[str] | None = None,
    views: Views | None = None,
    differentiable: bool = False,
) -> Iterator[Trace]:
    """See what a model attends to while it runs inside the block.

        with saccade.watch(model) as trace:
            model(x)
        trace["*.layer.3.*"].rollout()

    Every call of `F.scaled_dot_product_attention` or `saccade.attend` that a module of the model makes becomes a
    `Call` of the trace: q, k and the log-sum-exp of its scores, never a map. So does attention written as separate
    operations (a product, a softmax, a product with values), within torch.nn's layers, fused or not, and through
    uncompiled FlexAttention: followed, and compared with some rows of the model's own weights; what is no plain
    product of q and k is kept by its scores, and `Call.note` says so. The output is bit for bit that of the unwatched
    model: the same kernels run, in training and evaluation, with autocast, masks and dropout.

    values: keep v as well. gradients: keep v, and what a backward pass says of each call, for `Trace.relevance`. only:
    keep calls whose name matches a pattern, or one of several. views: keep no calls, but what functions of a call
    return, by name: `{"received": Call.received}`, which gives `trace.seen["received"][module]`, a list of one result
    a call; `saccade.lens.Mean(function)` keeps their running mean alone.

    differentiable: keep calls in the graph that the model builds, so that a loss of maps (`Call.rows`, `Call.columns`,
    `Trace.words`, `Trace.rollout`) has gradients in latents and weights, as attention guidance and distillation of maps
    need it; what such a loss reads is kept in memory, n x m numbers for a whole map. Otherwise maps are part of no
    graph.

    Names come from `model.named_modules()`; a module that runs several times gives several calls. Attention that
    cannot be seen is named in `trace.missed`: scores that cannot be followed, kernels of other libraries, linear and
    deformable attention; where nothing shows a softmax of q·k, only in modules that are called attention. Not seen:
    calls made while none of the model's modules is running, which "(outside)" in `missed` stands for, and calls in
    threads other than the one that entered the block (the replicas of DataParallel), whose modules are named in
    `missed`. Recomputation in a backward pass (activation checkpointing) is not recorded a second time. Watches may be
    nested.
    What `torch.compile` made runs uncompiled inside the block, because a compiled graph shows no calls: its output is
    that of the model before compilation.

    model: a module, or a pipeline of diffusers (its `.components`) or transformers (its `.model`), whose modules
    are then all watched. Their names begin with that of the component ("unet.mid_block...", "model.encoder..."),
    and each component counts its own runs: every forward pass of a denoiser is one, so its run is the sampling
    step where a step makes one forward pass. That is so with classifier-free guidance in one batch (Stable
    Diffusion 1 to 3: the first half of b is without the prompt). Where guidance makes a second pass (true_cfg_scale
    of Flux, Wan, Qwen-Image), and where the sampler is of second order (Heun), a step makes two: run // 2 is then
    the step. Of models that generate text, run 0 reads the prompt and each later run makes one more token.

    After the block the model is as before: it holds no hook and no reference to the trace.

    Raises SaccadeError for anything but a module or a pipeline of some, and for views together with gradients or
    differentiable: a view is computed before any backward pass.
    """
    components = components_of(model, "watch")
    if (gradients or differentiable) and views is not None:
        raise SaccadeError("views are computed as calls pass, before any backward pass: ask for gradients or for views")
    trace, stream = Trace(hint=_hint(model)), ViewStream(only, views)
    trace.stream = stream
    watcher = Watcher(components, trace, values or gradients, gradients, stream, differentiable)
    with ExitStack() as undo:
        watcher.attach(undo)
        undo.enter_context(watcher)
        try:
            yield trace
        finally:
            trace.skipped.update(watcher.modules.skipped())
            trace.missed.update(watcher.modules.unrecorded(trace.skipped))
            stream.ran = watcher.modules.runs > 0


def _hint(model: nn.Module) -> str:
    if hasattr(model, "set_attn_implementation"):
        return 'Call model.set_attn_implementation("sdpa") before watching.'
    return (
        "Attention is seen through F.scaled_dot_product_attention, saccade.attend, torch.nn's layers, FlexAttention, "
        f"and softmax(q @ k.mT) @ v: use one of them in {type(model).__name__}."
    )
