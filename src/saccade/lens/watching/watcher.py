"""The function mode of a watch: receives every torch function that the thread calls, and records attention."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack, nullcontext
from functools import lru_cache, partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saccade.errors import GraphError, SaccadeError, shorten_list
from saccade.lens.attention.args import ATTENTION_FUNCTIONS, TRANSFORMED, AttentionArgs, inside_vmap, is_named_attention
from saccade.lens.attention.call_context import CallContext, call_context, current_call
from saccade.lens.attention.kernels import KernelCall, KernelRecorder
from saccade.lens.dataflow.call_origin import CallOrigin
from saccade.lens.dataflow.operation import Operation, name_of
from saccade.lens.editing.separate import edited_product
from saccade.lens.modes import Mode, active_blocks, hidden, hidden_no_grad, modes_removed
from saccade.lens.modules.declared import tokens_order
from saccade.lens.modules.patch_forward import patch_forward
from saccade.lens.modules.stack import SCRIPTED, SEPARATE, ModuleStack
from saccade.lens.recognising import flex, fused
from saccade.lens.recognising.backward import capture_gradient, follow_inner, head_rows_of
from saccade.lens.recognising.eager import Recogniser, may_begin_attention, not_followed
from saccade.lens.recognising.outputs import Outputs
from saccade.lens.recognising.products import Product
from saccade.lens.recognising.unfused_call import UnfusedCall, unfused_call
from saccade.lens.trace.call import Call
from saccade.lens.trace.gradients import Gradient
from saccade.lens.trace.trace import Trace
from saccade.lens.watching.stream import ViewStream
from saccade.lens.watching.trace_recorder import TraceRecorder

BACKWARD = {Tensor.backward, torch.autograd.grad, torch.autograd.backward}
# Results of functions that look at a tensor's metadata.
METADATA_TYPES = {torch.Size, torch.dtype, torch.device, bool, int, float, str}


class Watcher(Mode):
    """The function mode of one watch: receives every torch function that the thread calls."""

    def __init__(
        self, components: Mapping[str, nn.Module], trace: Trace, values: bool, gradients: bool, stream: ViewStream,
        graph: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.trace, self.values, self.gradients, self._graph = trace, values, gradients, graph
        # How to wait for the gradients of calls whose output only the module around them shows, given what it returned:
        self._follow_after: list[Callable[[Any], None]] = []
        self.modules = ModuleStack(components, lambda: self.active)
        self._recording = TraceRecorder(self.modules, trace, values, gradients, stream, graph)
        self._miss, self._lineages = self._recording.miss, self._recording.lineages
        self._lineages.set_constants(each for module in components.values() for each in module.buffers())
        look = hidden if graph else hidden_no_grad
        self._eager = Recogniser(self._miss, self._recording.origin, frames=self.modules.frames, context=look)
        self._recording.merged = self._eager.merged
        self._outputs, self._in_torch_layer = Outputs(), False  # a kernel recorder is on, around a module of torch.nn

    def attach(self, undo: ExitStack) -> None:
        """Follow the modules until `undo` is closed."""
        self.modules.attach(self._wrap, undo)
        outermost: list[str] = []
        for name in self.modules.scripted:
            if not any(name.startswith(f"{other}.") or not other for other in outermost):
                outermost.append(name)
                self.trace.missed[self.modules.display_name(name)] = SCRIPTED

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if id(self) not in active_blocks.get():  # `active`, without a call for every function
            return func(*args, **kwargs)
        if _is_special(func):
            if func in ATTENTION_FUNCTIONS:
                return self._attention(func, args, kwargs)
            if func is edited_product:
                return self._separate(*args)
            if func not in BACKWARD:
                return self._other(func, args, kwargs)
            self._check_graph(args[0] if args else kwargs.get("outputs"))
        out = func(*args, **kwargs)
        if type(out) not in METADATA_TYPES:
            self._follow(Operation(func, args, kwargs, out))
        return out

    def _follow(self, op: Operation) -> None:
        """Look at one operation that was just done."""
        made: list[tuple[Product, UnfusedCall]] = []
        try:
            self._lineages.follow(op)
            if self.modules.follows:
                self.modules.follow(op)
            if self._eager.follows or may_begin_attention(op):
                made = self._made(self._eager, op)
            if self._outputs.follows:
                self._outputs.follow(op)
        except Exception as error:  # whatever tensors a model has, watching it must not stop it
            self._miss(not_followed(op.func, error))
        if made:
            self._recording.latest = None
            self._outputs.add(op.out, self._add_made(made, op.out))
            if self._recording.latest is not None:
                self._lineages.attention(op.out, op.out, self._recording.latest)

    def _check_graph(self, loss: Any) -> None:
        """Raise GraphError for a backward pass from numbers without a graph, if maps were read without one."""
        given = [loss] if isinstance(loss, Tensor) else [t for t in loss or () if isinstance(t, Tensor)]
        if not given or not len(self.trace) or any(t.requires_grad for t in given):
            return
        why = "What a trace tells is part of none unless it is asked for: saccade.watch(model, differentiable=True)"
        if self._graph:
            lacking = [f"{call.name} ({call.note})" for call in self.trace if not call.q.requires_grad]
            why = f"So are the calls of {shorten_list(lacking)}"
        raise GraphError(f"a backward pass began at numbers that are part of no graph. {why}")

    def _made(self, recogniser: Recogniser, op: Operation) -> list[tuple[Product, UnfusedCall]]:
        """The calls that an operation makes of separate operations, but for weights recorded before."""
        products = recogniser.follow(op)
        return [(each, unfused_call(each, op.out, self.values)) for each in products if not each.resolved.used]

    def _add_made(self, made: list[tuple[Product, UnfusedCall]], out: Any, below: bool = False) -> list[Call]:
        added = []
        for product, call in made:
            product.resolved.used = True
            arguments = call.arguments
            q, k, mask, scale = arguments.q, arguments.k, arguments.mask, arguments.scale
            new = self._recording.add(q, k, call.v, mask, scale, call.origin, call.note, None, arguments.causal)
            added += [new] if new is not None else []
            if new is not None and self.gradients:
                new.gradient = capture_gradient(product, out, new.v)
                if below:
                    self._follow_after.append(partial(follow_inner, new.gradient, product, new.v))
        return added

    def _attention(self, func: Callable, args: tuple, kwargs: dict) -> Any:
        kernels: list[KernelCall] = []
        with KernelRecorder(kernels.append), call_context(ATTENTION_FUNCTIONS[func](*args, **kwargs)) as call:
            out = func(*args, **kwargs)
        gradient = self._recorded(call, kernels, out)
        if gradient is not None:
            gradient.follow(out)
        own = self.modules.frames[-1].learned if self.modules.frames else None
        for origins in (*self.modules.following, *([own] if own else [])):
            origins.attention(call.original.q, out)
        return out

    def _recorded(
        self, call: CallContext, kernels: list[KernelCall], out: Any, origin: CallOrigin | None = None
    ) -> Gradient | None:
        """Record a call that is done and follow its output. Returns what `TraceRecorder.record` does."""
        before = len(self.trace)
        kernel, merged = kernels[0] if len(kernels) == 1 else None, self._eager.merged(call.original.q)
        self._recording.latest = None
        try:
            gradient = self._recording.record(call.edited, kernel, call.original, origin, merged)
            self._lineages.attention(call.original.q, out, self._recording.latest)
        except SaccadeError:
            raise
        except Exception as error:  # whatever tensors a model has, watching it must not stop it
            self._miss(not_followed(F.scaled_dot_product_attention, error))
            return None
        self._outputs.add(out, [self.trace[-1]] if len(self.trace) > before else [])
        return gradient

    def _other(self, func: Callable, args: tuple, kwargs: dict) -> Any:
        """Any other function with attention in its name: keep what is under it, or say that it was missed."""
        before = self._recording.count
        if flex.is_flex(func):  # it refuses dispatch modes
            out = func(*args, **kwargs)
            self._flex(args, kwargs, out)
            return out
        heads, self._recording.latest = None, None
        if func is F.multi_head_attention_forward:
            given = dict(zip(("query", "key", "value", "embed_dim_to_check", "num_heads"), args, strict=False)) | kwargs
            heads, self._recording.given = given["num_heads"], (given["query"], given["key"])
        below = KernelRecorder(self._kernel, self._below(lambda: heads))
        try:
            with nullcontext() if isinstance(func, torch._ops.HigherOrderOperator) or inside_vmap() else below:
                out = func(*args, **kwargs)
            if len(self._follow_after) == 1:
                self._follow_after[0](out)
            if self._recording.given is not None:
                self._lineages.returned(out, self._recording.latest, "nb")
        finally:
            self._follow_after.clear()
            self._recording.given = None
        if self._recording.count == before:
            unknown = f"{name_of(func)} computed it in a way that shows neither q and k nor their log-sum-exp"
            self._miss(TRANSFORMED if inside_vmap() else unknown)
        return out

    def _flex(self, args: tuple, kwargs: dict, out: Any) -> None:
        with hidden_no_grad():
            found = flex.equivalent_call(args, kwargs, out)
        if isinstance(found, str):
            self._miss(found)
        else:
            (q, k), tensors = flex.query_and_key(args, kwargs), found[0]
            self._recording.add(*tensors, self._recording.origin(q, k, q.shape[-2] == k.shape[-2]), note=found[1])

    def _below(self, heads: Callable[[], int | None]) -> Callable[[Any, tuple, dict, Any], None]:
        """What looks at the operations within a function or module of torch.nn that are no attention kernels."""
        recogniser = Recogniser(self._miss, self._recording.origin, heads)

        def look(func: Any, args: tuple, kwargs: dict, out: Any) -> None:
            made: list[tuple[Product, UnfusedCall]] = []
            try:
                if func in fused.WHOLE:
                    self._fused(func, args, kwargs, out)
                else:
                    made = self._made(recogniser, Operation(func, args, kwargs, out))
            except Exception as error:
                self._miss(not_followed(func, error))
            self._add_made(made, out, below=True)

        return look

    def _fused(self, func: Any, args: tuple, kwargs: dict, out: Any) -> None:
        """A whole layer of torch.nn in one operation."""
        with hidden_no_grad():
            found = fused.projected(func, args, kwargs, out)
        if isinstance(found, str):
            self._miss(found)
        else:
            kind = "self" if found.self_attention else "cross"
            origin = CallOrigin(kind, lineage=self._recording.lineage(found.q))
            self._recording.add(found.q, found.k, found.v, found.allowed, None, origin)

    def _wrap(self, module: nn.Module, name: str, undo: ExitStack) -> None:
        """Follow an attention module of torch.nn, which runs otherwise when it is hooked or sees a function mode.

        So its forward runs exactly as unwatched, under a kernel recorder only.
        """

        def watched(forward: Callable, *args: Any, **kwargs: Any) -> Any:
            frame = self.modules.enter(module, name, args, kwargs)
            if frame is None:
                return forward(*args, **kwargs)
            out = self._recording.latest = None
            try:
                with ExitStack() as scope:
                    if not self._in_torch_layer:
                        self._in_torch_layer = True
                        scope.callback(setattr, self, "_in_torch_layer", False)
                        scope.enter_context(modes_removed(lambda mode: isinstance(mode, Watcher)))
                        if not inside_vmap():  # else it would see pictures one by one, or as heads
                            scope.enter_context(KernelRecorder(self._kernel, self._below(self._heads)))
                    out = forward(*args, **kwargs)
                self._lineages.returned(out, self._recording.latest, tokens_order(module))
                if not frame.attended and inside_vmap() and not isinstance(module, nn.TransformerEncoder):
                    self._miss(TRANSFORMED)
                elif not frame.attended and isinstance(module, nn.MultiheadAttention):
                    given = next((tuple(t.shape) for t in frame.inputs if not t.numel()), None)
                    self._miss(SEPARATE if given is None else f"it was given no tokens, {given}: there is no map")
                if len(self._follow_after) == 1:
                    self._follow_after[0](out)
                return out
            finally:
                self._follow_after.clear()
                self.modules.leave(module, out)

        patch_forward(module, watched, undo)

    def _kernel(self, kernel: KernelCall) -> None:
        if call := current_call():  # an edit made it
            gradient = self._recording.record(call.edited, kernel, call.original)
        else:
            gradient = self._recording.record(AttentionArgs.of_kernel(kernel), kernel)
        if gradient is not None:
            self._follow_after.append(gradient.follow_inner)

    def _heads(self) -> int | None:
        """How many heads the running module of torch.nn merges with the batch."""
        module = self.modules.frames[-1].module if self.modules.frames else None
        return module.num_heads if isinstance(module, nn.MultiheadAttention) else None

    def _separate(self, arguments: AttentionArgs, product: Product, like: Tensor) -> Tensor:
        """Attention of separate operations, of which an edit above made a call."""
        kernels: list[KernelCall] = []
        with KernelRecorder(kernels.append), call_context(arguments) as call:
            out = edited_product(arguments, product, like)
        known = self._eager.weights(product.weights)
        resolved = None if known is None else known.softmax
        if resolved is None or not resolved.used:
            gradient = self._recorded(call, kernels, out, None if resolved is None else resolved.origin)
            if gradient is not None:
                gradient.follow(out, head_rows_of(product))
        if resolved is not None:
            resolved.used = True
        try:
            self.modules.follow(Operation(product.func, product.args, product.kwargs, out))
        except Exception as error:
            self._miss(not_followed(product.func, error))
        return out


@lru_cache(maxsize=4096)
def _is_special(func: Callable) -> bool:
    """Whether a function is more than one operation among others: attention, or a backward pass."""
    return func in ATTENTION_FUNCTIONS or func is edited_product or func in BACKWARD or is_named_attention(func)
