"""What a watch keeps of the attention that it meets: calls of the running modules, views of them, what it missed."""

import math
from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

from saccade.lens.attention.args import AttentionArgs, heads_as_targets, kernel_inputs, why_not_kept, with_one_target
from saccade.lens.attention.heads import (
    CHANNELS,
    attends_over_channels,
    folded_heads,
    heads_last,
    result_with_heads,
    with_heads,
)
from saccade.lens.attention.kernels import KernelCall
from saccade.lens.attention.processes import PART, processes_of
from saccade.lens.dataflow.call_origin import CallOrigin, find_origin, kind_of_step
from saccade.lens.dataflow.lineage import CallNode, Lineage, Lineages
from saccade.lens.modules.declared import heads_of, tokens_order
from saccade.lens.modules.frame import Frame
from saccade.lens.modules.stack import OUTSIDE, PYTORCH, ModuleStack, in_backward
from saccade.lens.notes import joined
from saccade.lens.recognising.resolve import SCORES
from saccade.lens.trace.call import Call
from saccade.lens.trace.gradients import DROPPED, Gradient
from saccade.lens.trace.trace import Trace
from saccade.lens.watching.sibling_calls import SiblingCalls, StridedView
from saccade.lens.watching.stream import ViewStream

NO_GRAPH = (
    "it is part of no graph: nothing before it requires gradients, or it ran within a layer of torch.nn, which is seen "
    "below autograd"
)


class TraceRecorder:
    """Fills a trace, or the views of a stream.

    count: how many attention calls were recorded or left out. given: query and key of the function of torch.nn that is
    running. merged: see `Recogniser.merged`.
    """

    def __init__(
        self, modules: ModuleStack, trace: Trace, values: bool, gradients: bool, stream: ViewStream, graph: bool
    ) -> None:
        """graph: calls stay in the graph that the model builds."""
        self._modules, self._trace, self._values, self._gradients, self._stream = (
            modules,
            trace,
            values,
            gradients,
            stream,
        )
        self._graph = graph
        self.count = 0
        self._processes: dict[nn.Module, int] = {}
        self.merged: Callable[[Tensor], tuple[int, int] | None] = lambda t: None
        modules.on_leave = self._finish
        self.lineages = Lineages()
        self.latest: CallNode | None = None  # of the call that was recorded last
        modules.on_begin = self.lineages.begin
        self.given: tuple[Tensor, Tensor] | None = None

    def miss(self, why: str) -> None:
        """The module that is running attends in a way that cannot be seen."""
        if self._modules.in_forward:
            self._modules.mark_attending()
            self._trace.missed.setdefault(self._modules.frames[-1].name, why)

    def origin(self, q: Tensor, k: Tensor, alike: bool, axis: int | None = -2) -> CallOrigin:
        """Where tensors that are multiplied with one another come from; see `find_origin`."""
        return find_origin(self._modules, self.given, q, k, alike, axis, self.lineage(q))

    def lineage(self, q: Tensor) -> Lineage | None:
        """That of queries; within functions and modules of torch.nn, of what these were given."""
        if self.given is not None:
            return self.lineages.of(self.given[0], "nb")
        frame = self._modules.frames[-1] if self._modules.frames else None
        if frame is None or not isinstance(frame.module, PYTORCH):
            return self.lineages.of(q)
        return self.lineages.of(frame.inputs[0], tokens_order(frame.module)) if frame.inputs else None

    def record(
        self,
        arguments: AttentionArgs,
        kernel: KernelCall | None,
        original: AttentionArgs | None = None,
        origin: CallOrigin | None = None,
        merged: tuple[int, int] | None = None,
    ) -> Gradient | None:
        """Add a call by its arguments and, where a fused kernel computed it, those of the kernel. Returns what waits
        for the gradient of its output, if gradients are kept.

        original: the model's own arguments, where an edit may have rewritten them; they decide the kind of the call.
        origin: where its q and k come from, if that is known already. merged: the two axes that are one
        of q, (batch, heads) as a rule.
        """
        if why := why_not_kept(arguments):
            self.miss(why)
        elif self._counts():
            q, k = (original or arguments).q, (original or arguments).k
            found = origin or self.origin(q, k, q.shape[-2] == k.shape[-2])
            found = CallOrigin("cross") if arguments.borrowed else found
            lse = None if kernel is None else kernel.lse
            frame = self._modules.frames[-1]
            laid, axis, unknown = with_heads(arguments, merged, self._modules.frames)
            if q.ndim > 4 and (order := heads_last(original or arguments, heads_of(frame.module))):
                found = found.folded(order)
            if laid is not arguments:
                arguments, kernel, lse = laid, None, None  # no fused kernel takes three axes or five
            targets, keys, values, mask = kernel_inputs(arguments, None if self._graph else kernel)
            if heads_as_targets(frame.module, frame.inputs, q, k) and not self._gradients:
                targets, lse, mask = with_one_target(targets, lse, mask)
                found = CallOrigin(kind_of_step(self._modules, q, k))
            note = SCORES if arguments.scores else unknown
            call = self.add(targets, keys, values, mask, arguments.scale, found, note, lse, arguments.causal)
            if call is not None and self._gradients:
                axis = axis if original is None else with_heads(original, merged, self._modules.frames)[1]
                b, h, n, _ = call.shape
                rows = None if axis is None else partial(result_with_heads, axis=axis, merged=merged, shape=(b, h))
                call.gradient = Gradient((b, h, n), DROPPED if arguments.dropout else "", rows)
                return call.gradient
        return None

    def add(
        self, q: Tensor, k: Tensor, v: Tensor | None, mask: Tensor | None, scale: float | None, origin: CallOrigin,
        note: str = "", lse: Tensor | None = None, causal: bool = False,
    ) -> Call | None:  # fmt: skip
        """Add a call of the running module to the trace. Returns it if it is kept."""
        if not self._counts():
            return None
        self._modules.mark_attending()
        self.count += 1
        frame = self._modules.frames[-1]
        # A fused layer is named as it is where it runs unfused.
        name = f"{frame.name}.self_attn" if isinstance(frame.module, nn.TransformerEncoderLayer) else frame.name
        if not self._stream.wants(name):
            return None
        if self._graph and not (q.requires_grad or k.requires_grad):
            note = joined(note, NO_GRAPH)
        kind = "joint" if origin.parts else origin.kind
        if kind == "self" and attends_over_channels(q, k, frame.inputs):
            kind, note = "channels", joined(note, CHANNELS)
        if (processes := self._processes_of(frame.module)) > 1:
            note = joined(note, PART.format(q.shape[1], processes))
        kept = v if self._values else None
        call = Call(
            name, kind, q, k, kept, lse, mask, scale, causal, frame.run, note, frame.component, origin.parts,
            self._graph,
        )  # fmt: skip
        q_step, k_step = origin.steps
        call.set_layout(None if q_step is None or k_step is None else [(q_step, k_step)])
        call.node = self.latest = self.lineages.node(origin.lineage, call.shape)
        call.source_parts, call.tokens_before = origin.sources, max(origin.before, call.shape[2])
        given = StridedView.of(q), StridedView.of(k), origin.source
        if frame.siblings is None or not frame.siblings.add_if_sibling(call, *given):
            self._finish(frame)
            merged = None if q._base is None else self.merged(q._base)
            if merged and folded_heads(math.prod(merged), q.shape[3], self._modules.frames) not in (None, merged[1]):
                merged = None  # heads before pictures
            frame.siblings = SiblingCalls([call], [given[0]], [given[1]], [given[2]], merged)
        if self._stream.views is not None:
            return None
        self._trace.append(call)
        return call

    def _processes_of(self, module: nn.Module) -> int:
        """See `processes_of`; all parameters of the module are looked at once."""
        if module not in self._processes:
            self._processes[module] = processes_of(module)
        return self._processes[module]

    def _finish(self, frame: Frame) -> None:
        """Put together what a module has called side by side; it makes another call, or ends."""
        siblings, frame.siblings = frame.siblings, None
        if siblings is None:
            return
        if len(siblings.calls) == 1:  # as a rule
            if self._stream.views is not None:
                self._stream.view(siblings.calls[0])
            return
        calls = list(siblings.calls)
        given = frame.inputs[0] if frame.inputs else None
        found = siblings.merge(() if given is None or given.is_nested else given.shape)
        if self._stream.views is not None:
            for call in found:
                self._stream.view(call)
        elif len(found) < len(calls):
            self._trace.replace(calls, found)

    def _counts(self) -> bool:
        """The same as `ModuleStack.in_forward`; what is not the model's own is noted."""
        if not self._modules.frames and not in_backward():
            self._trace.missed.setdefault("(outside)", OUTSIDE.format("watch"))
        return self._modules.in_forward
