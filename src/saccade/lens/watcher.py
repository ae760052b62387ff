"""The function mode of a watch: receives every torch function that the thread calls, and records attention."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from saccade.lens.call import Call
from saccade.lens.forwards import stand_in
from saccade.lens.gradients import Gradient
from saccade.lens.kernels import KernelRecorder, Seen
from saccade.lens.modes import quietly, without
from saccade.lens.names import SCRIPTED, Names, in_backward
from saccade.lens.origins import tensors
from saccade.lens.passing import passing, under_way
from saccade.lens.recognise import flex, fused, spellings
from saccade.lens.recognise.eager import Recogniser, not_followed
from saccade.lens.recognise.outputs import Outputs
from saccade.lens.recognise.settling import Settled
from saccade.lens.shapes import (
    ASKED,
    TRANSFORMED,
    Asked,
    as_seen,
    mapped,
    not_plain,
    other_attention,
    packed,
    unpacked,
)  # fmt: skip
from saccade.lens.stream import Stream
from saccade.lens.trace import Trace
from saccade.lens.whence import Whence
from saccade.lens.windows import transposed


class Watcher(TorchFunctionMode):
    """The function mode of one watch: receives every torch function that the thread calls."""

    def __init__(
        self, components: Mapping[str, nn.Module], trace: Trace, values: bool, gradients: bool, stream: Stream
    ) -> None:
        super().__init__()
        self.trace, self.values, self.gradients, self.stream = trace, values, gradients, stream
        self._within: list[Gradient] = []  # of calls whose output only the module around them shows
        self.names = Names(components)
        self._eager = Recogniser(spellings.FUNCTIONS, self._found, self._miss, self._whence, values)
        self._given: tuple[Tensor, Tensor] | None = None  # query and key of the function of torch.nn that is running
        self._within_pytorch = False  # a kernel recorder is on, around a module of torch.nn
        self._met = 0  # attention calls
        self._outputs = Outputs()
        self._pending: list[tuple[Settled, Tensor | None]] = []

    def attach(self, undo: ExitStack) -> None:
        """Follow the modules until `undo` is closed."""
        self.names.follow(self._wrap, undo)
        outermost: list[str] = []
        for name in self.names.scripted:
            if not any(name.startswith(f"{other}.") or not other for other in outermost):
                outermost.append(name)
                self.trace.missed[self.names.full(name)] = SCRIPTED

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func in ASKED:
            return self._attention(func, args, kwargs)
        if other_attention(func):
            return self._other(func, args, kwargs)
        out = func(*args, **kwargs)
        if type(out) in TOLD:
            return out
        try:
            self._follow(func, args, kwargs, out)
            self._eager.follow(func, args, kwargs, out)
            self._outputs.follow(func, args, kwargs, out)
        except Exception as error:  # whatever tensors a model has, watching it must not stop it
            self._miss(not_followed(func, error))
        self._outputs.add(out, self._add_found())
        return out

    def _attention(self, func: Callable, args: tuple, kwargs: dict) -> Any:
        kernels: list[Seen] = []
        with KernelRecorder(kernels.append), passing(ASKED[func](*args, **kwargs)) as call:
            out = func(*args, **kwargs)
        before = len(self.trace)
        gradient = self._record(call.last, kernels[0] if len(kernels) == 1 else None, call.first)
        self._outputs.add(out, self.trace[before:])
        if gradient is not None:
            gradient.follow(out)
        own = self.names.stack[-1].own if self.names.stack else None
        for origins in (*self.names.following, *([own] if own else [])):
            origins.attention(call.first.q, out)
        return out

    def _follow(self, func: Callable, args: tuple, kwargs: dict, out: Any) -> None:
        own = self.names.stack[-1].own if self.names.stack else None
        if not (self.names.following or self.names.windowed or own):
            return
        given = list(tensors(args, kwargs))
        if own is not None:
            own.follow(func, given, args, kwargs, out)
        for origins in self.names.following:
            origins.follow(func, given, args, kwargs, out)
        if self.names.windowed:
            self.names.steps.follow(func, given, args, kwargs, out)

    def _other(self, func: Callable, args: tuple, kwargs: dict) -> Any:
        """Any other function with attention in its name: keep what is under it, or say that it was missed."""
        before = self._met
        if flex.is_flex(func):  # it refuses dispatch modes
            out = func(*args, **kwargs)
            self._flex(args, kwargs, out)
            return out
        heads = None
        if func is F.multi_head_attention_forward:
            given = dict(zip(("query", "key", "value", "embed_dim_to_check", "num_heads"), args, strict=False)) | kwargs
            heads, self._given = given["num_heads"], (given["query"], given["key"])
        below = KernelRecorder(self._kernel, self._below(lambda: heads))
        try:
            with nullcontext() if isinstance(func, torch._ops.HigherOrderOperator) or mapped() else below:
                out = func(*args, **kwargs)
            if len(self._within) == 1:
                self._within[0].follow_within(out)
        finally:
            self._within.clear()
            self._given = None
        if self._met == before:
            name = getattr(func, "__name__", str(func))
            unknown = f"{name} computed it in a way that shows neither q and k nor their log-sum-exp"
            self._miss(TRANSFORMED if mapped() else unknown)
        return out

    def _flex(self, args: tuple, kwargs: dict, out: Any) -> None:
        with quietly():
            found = flex.found(args, kwargs, out)
        if isinstance(found, str):
            self._miss(found)
        else:
            (q, k), tensors = flex.of(args, kwargs), found[0]
            self._add(*tensors, self._whence(q, k, q.shape[-2] == k.shape[-2]), note=found[1])

    def _below(self, heads: Callable[[], int | None]) -> Callable[[Any, tuple, dict, Any], None]:
        """What looks at the operations within a function or module of torch.nn that are no attention kernels."""
        recogniser = Recogniser(spellings.KERNELS, self._found, self._miss, self._whence, self.values, heads)

        def look(func: Any, args: tuple, kwargs: dict, out: Any) -> None:
            try:
                if func in fused.WHOLE:
                    self._fused(func, args, kwargs, out)
                else:
                    recogniser.follow(func, args, kwargs, out)
            except Exception as error:
                self._miss(not_followed(func, error))
            self._add_found()

        return look

    def _fused(self, func: Any, args: tuple, kwargs: dict, out: Any) -> None:
        """A whole layer of torch.nn in one operation."""
        with quietly():
            found = fused.projected(func, args, kwargs, out)
        if isinstance(found, str):
            self._miss(found)
        else:
            whence = Whence("self" if found.self_attention else "cross")
            self._add(found.q, found.k, found.v, found.allowed, None, whence)

    def _wrap(self, module: nn.Module, name: str, undo: ExitStack) -> None:
        """Follow an attention module of torch.nn, which runs otherwise when it is hooked or sees a function mode.

        So its forward runs exactly as unwatched, under a kernel recorder only.
        """

        def watched(forward: Callable, *args: Any, **kwargs: Any) -> Any:
            frame = self.names.enter(module, name, args, kwargs)
            if frame is None:
                return forward(*args, **kwargs)
            out = None
            try:
                with ExitStack() as scope:
                    if not self._within_pytorch:
                        self._within_pytorch = True
                        scope.callback(setattr, self, "_within_pytorch", False)
                        scope.enter_context(without(lambda mode: isinstance(mode, Watcher)))
                        if not mapped():  # else it would see pictures one by one, or as heads
                            scope.enter_context(KernelRecorder(self._kernel, self._below(self._heads)))
                    out = forward(*args, **kwargs)
                if not frame.met and mapped() and not isinstance(module, nn.TransformerEncoder):
                    self._miss(TRANSFORMED)
                elif not frame.met and isinstance(module, nn.MultiheadAttention):
                    given = next((tuple(t.shape) for t in frame.inputs if not t.numel()), None)
                    self._miss(SEPARATE if given is None else f"it was given no tokens, {given}: there is no map")
                if len(self._within) == 1:
                    self._within[0].follow_within(out)
                return out
            finally:
                self._within.clear()
                self.names.leave(module, out)

        stand_in(module, watched, undo)

    def _kernel(self, seen: Seen) -> None:
        if call := under_way():  # an edit made it
            gradient = self._record(call.last, seen, call.first)
        else:
            gradient = self._record(Asked.of(seen), seen)
        if gradient is not None:
            self._within.append(gradient)

    def _miss(self, why: str) -> None:
        """The module that is running attends in a way that cannot be seen."""
        if self.names.stack and not in_backward():
            self.names.meet()
            self.trace.missed.setdefault(self.names.stack[-1].name, why)

    def _heads(self) -> int | None:
        """How many heads the running module of torch.nn merges with the batch."""
        module = self.names.stack[-1].module if self.names.stack else None
        return module.num_heads if isinstance(module, nn.MultiheadAttention) else None

    def _whence(self, q: Tensor, k: Tensor, alike: bool, axis: int | None = -2) -> Whence:
        """Where tensors that are multiplied with one another come from. alike: they have the same length. axis: along
        which the sources lie in k; None if that is none of the last two."""
        steps = self.names.steps
        laid = (None, None) if axis is None else (steps[q], steps[k] if axis == -2 else transposed(steps[k]))
        kind = self._kind_of(q, k, alike)
        parts = self.names.parts(q, k, axis) if kind == "self" and axis is not None else None
        return Whence(kind, parts, laid)

    def _kind_of(self, q: Tensor, k: Tensor, alike: bool) -> str:
        if not alike or not self.names.stack:
            return "cross"
        if self._given is not None:
            return self.names.kind_of_given(*self._given)
        if isinstance(self.names.stack[-1].module, nn.MultiheadAttention):
            return self.names.kind_of_inputs()
        return self.names.kind_of_sources(q, k)

    def _found(self, settled: Settled, v: Tensor | None) -> None:
        """Attention as separate operations, to be added when the operation has been looked at."""
        self._pending.append((settled, v))

    def _add_found(self) -> list[Call]:
        added = []
        while self._pending:
            found, v = self._pending.pop(0)
            call = self._add(found.q, found.k, v, found.mask, found.scale, found.whence, note=found.note)
            added += [call] if call is not None else []
            if call is not None and self.gradients:
                call.gradient = Gradient(call.shape[:3], dropped=False)  # nobody brings it
        return added

    def _record(self, asked: Asked, seen: Seen | None, given: Asked | None = None) -> Gradient | None:
        """Add what was asked for and, where a fused kernel took it, what that saw. Returns what waits for the gradient
        of its output, if that was asked for.

        given: what the model asked for, if an edit may have rewritten it; the kind of the call goes by that.
        """
        if why := not_plain(asked):
            self._miss(why)
        elif self._counts():
            q, k = (given or asked).q, (given or asked).k
            whence = Whence("cross") if asked.borrowed else self._whence(q, k, q.shape[-2] == k.shape[-2])
            lse = None if seen is None else seen.lse
            targets, keys, values, mask = as_seen(asked, seen)
            frame = self.names.stack[-1]
            if packed(frame.module, frame.inputs, q, k) and not self.gradients:
                targets, lse, mask = unpacked(targets, lse, mask)
                whence = Whence("self" if keys.shape[2] == 1 else "cross")
            call = self._add(targets, keys, values, mask, asked.scale, whence, lse=lse, causal=asked.causal)
            if call is not None and self.gradients:
                call.gradient = Gradient(call.shape[:3], asked.dropout > 0)
                return call.gradient
        return None

    def _add(
        self, q: Tensor, k: Tensor, v: Tensor | None, mask: Tensor | None, scale: float | None, whence: Whence,
        note: str = "", lse: Tensor | None = None, causal: bool = False,
    ) -> Call | None:  # fmt: skip
        """Add a call of the running module to the trace. Returns it if it is kept."""
        if not self._counts():
            return None
        self.names.meet()
        self._met += 1
        frame = self.names.stack[-1]
        # A fused layer is named as it is where it runs unfused.
        name = f"{frame.name}.self_attn" if isinstance(frame.module, nn.TransformerEncoderLayer) else frame.name
        if not self.stream.wants(name):
            return None
        kind = "joint" if whence.parts else whence.kind
        kept = v if self.values else None
        call = Call(
            name, kind, q, k, kept, lse, mask, scale, causal, frame.run, note, frame.component, whence.parts
        )  # fmt: skip
        call.lay(whence.steps)
        if self.stream.views is not None:
            self.stream.view(call)
            return None
        self.trace.append(call)
        return call

    def _counts(self) -> bool:
        """Whether attention that is met now is the model's own, and met for the first time."""
        if not self.names.stack and not in_backward():
            self.trace.missed.setdefault("(outside)", OUTSIDE)
        return bool(self.names.stack) and not in_backward()


TOLD = {torch.Size, torch.dtype, torch.device, bool, int, float, str}  # what functions tell of a tensor
SEPARATE = (
    "torch.nn.MultiheadAttention computed its weights as separate operations (need_weights=True, or dropout while "
    "training), not a fused call"
)
OUTSIDE = (
    "attention was called while no module of the watched model was running; call the model itself (not its .forward), "
    "or watch the model that made the call"
)
