"""The function mode of an edit: rewrites the attention calls of the modules that match, and passes on the others."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saccade.errors import SaccadeError
from saccade.lens.attention.args import (
    ATTENTION_FUNCTIONS,
    AttentionArgs,
    as_four_axes,
    is_named_attention,
    why_not_kept,
)
from saccade.lens.attention.call_context import call_context, set_edited_call
from saccade.lens.attention.heads import with_heads
from saccade.lens.attention.processes import PART, processes_of
from saccade.lens.dataflow.call_origin import CallOrigin
from saccade.lens.dataflow.operation import Operation
from saccade.lens.editing.base import Edit, Site
from saccade.lens.editing.done import Edits, check_patterns
from saccade.lens.editing.fast_path import check_alike, may_differ
from saccade.lens.editing.multihead import multi_head_attention
from saccade.lens.editing.refusals import CHECKPOINTED, HEADLESS, checkpointed
from saccade.lens.editing.remake import call_with_arguments, leading_axes
from saccade.lens.editing.returned import EditedSoftmaxes
from saccade.lens.editing.separate import arguments_of, edited_product
from saccade.lens.modes import Mode, hidden, modes_removed
from saccade.lens.modules.components import uncompiled
from saccade.lens.modules.declared import heads_of
from saccade.lens.modules.hooks import Hook
from saccade.lens.modules.patch_forward import patch_forward
from saccade.lens.modules.stack import PYTORCH, SCRIPTED, ModuleStack, in_backward, matches
from saccade.lens.recognising.eager import Recogniser, not_followed
from saccade.lens.recognising.products import Product
from saccade.lens.recognising.resolve import ResolvedSoftmax

SDPA = F.scaled_dot_product_attention


class Editor(Mode):
    """The function mode of one edit block."""

    def __init__(self, components: Mapping[str, nn.Module], edits: dict[str, list[Edit]]) -> None:
        super().__init__()
        self.edits, self.done, self.modules = edits, Edits(), ModuleStack(components, lambda: self.active)
        self._eager = Recogniser(self._miss, lambda *_: CallOrigin("self"), frames=self.modules.frames, context=hidden)
        self._sites: WeakKeyDictionary[ResolvedSoftmax, Site] = WeakKeyDictionary()  # of maps already multiplied
        self._returned = EditedSoftmaxes(self._eager)
        self._calls: dict[str, int] = {}  # attention calls so far, by module name
        self._calls_in_run: dict[tuple[str, int], int] = {}
        self._applied: dict[str, set[int]] = {}  # which of them were edited
        self._by_part = any("#" in pattern for pattern in edits)
        self._parts: set[str] = set()  # names of calls by what their sources are
        self._passive = False  # the model runs unedited, to be compared with
        self._outside = False  # attention was called while no module of the model ran
        self._memory: dict[Any, Any] = {}

    def attach(self, components: Mapping[str, nn.Module], undo: ExitStack) -> None:
        """Follow all modules until `undo` is closed."""
        self.modules.attach(self._wrap, undo)

        def leave(module: nn.Module, args: tuple, output: Any) -> Any:
            return self._returned.replaced(output)

        for root in components.values():
            if not isinstance(root, (*PYTORCH, torch.jit.ScriptModule)):  # what takes no hooks writes nothing itself
                last = Hook(root, leave)
                last.stay(root.register_forward_hook(last), undo)

    def miss_unseen(self) -> None:
        """At the end of the block: name what matches a pattern and attended unseen."""
        scripted = (
            dict.fromkeys(map(self.modules.display_name, self.modules.scripted), SCRIPTED) if self.modules.runs else {}
        )
        for name, why in (scripted | self.modules.unrecorded(self.modules.skipped())).items():
            if self._matching(name):
                self.done.missed.setdefault(name, why)

    def check_patterns(self) -> None:
        """At the end of the block: raise SaccadeError for a pattern that matched no attention call."""
        if self.modules.runs or self._outside or self.done.missed:
            check_patterns(self.edits, self.done, self._calls, self._parts, self._outside)

    def miss_unapplied(self) -> None:
        """At the end of the block: name what a pattern matched and no edit changed, as it is limited to other calls."""
        self.done.miss_unapplied(self.edits, self._calls)

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if self._passive or not self.active:
            return func(*args, **kwargs)
        if func in ATTENTION_FUNCTIONS:
            return self._attention(func, args, kwargs)
        if func is F.multi_head_attention_forward:
            return self._multi_head(args, kwargs)
        if is_named_attention(func):
            self._miss(f"{getattr(func, '__name__', func)} shows no q, k and v that an edit could rewrite")
            return func(*args, **kwargs)
        if func is edited_product:  # of an edit above
            return self._separate(*args)
        op = Operation(func, args, kwargs)
        products = self._products(op)
        out = self._mixed(products) if products else func(*args, **kwargs)
        try:
            op.out = out
            self._eager.note(op, products is not None)
            if self._by_part:
                self.modules.follow(op)
        except Exception as error:  # as in a watch: it must not stop the model
            self._miss(not_followed(func, error))
        return out

    def _products(self, op: Operation) -> list[Product] | None:
        """The products of weights with values that an operation about to be done is, as far as they are known; None if
        it is none."""
        try:
            return self._eager.product(op)
        except Exception as error:
            self._miss(not_followed(op.func, error))
            return None

    def _mixed(self, products: list[Product]) -> Tensor:
        """Attention of separate operations, at its product with values. Of several softmaxes that were put together no
        one can be edited."""
        product = products[-1]
        known = [self._arguments_of(each) for each in products][-1] if self._counts() else None
        if known is not None:
            arguments, like = known
            with torch.autocast(like.device.type, enabled=False):  # they have the dtypes that autocast made
                new = self._rewritten(arguments, self._site_of(product))
                if new is not arguments:
                    with call_context(arguments) as call:
                        call.edited = new
                        out = edited_product(new, product, like)
                        set_edited_call(out, call.edited)
                        self._returned.add(product.resolved, call.edited)
                    return out
        return product.func(*product.args, **product.kwargs)

    def _arguments_of(self, product: Product) -> tuple[AttentionArgs, Tensor] | None:
        """What `arguments_of` gives, if an edit may change it."""
        if not self._matching(self._site_of(product).name):
            return None
        try:
            known = arguments_of(product)
        except Exception as error:
            known = not_followed(product.func, error)
        if isinstance(known, str):
            self._miss(f"it attends in separate operations, and {known}")
            return None
        arguments, like = known
        frame = self.modules.frames[-1]
        heads = product.resolved.layout.has_heads(heads_of(frame.module), product.resolved.q.shape[-1], frame.inputs)
        return arguments if heads else replace(arguments, headless=HEADLESS), like

    def _separate(self, arguments: AttentionArgs, product: Product, like: Tensor) -> Tensor:
        """The same, of an edit above."""
        if self._counts():
            with call_context(arguments) as call:
                call.edited = arguments = self._rewritten(arguments, self._site_of(product))
        return edited_product(arguments, product, like)

    def _attention(self, func: Callable, args: tuple, kwargs: dict) -> Tensor:
        arguments = ATTENTION_FUNCTIONS[func](*args, **kwargs)
        if not self._counts():
            return func(*args, **kwargs)
        if why := why_not_kept(arguments):
            self._miss(why)
            return func(*args, **kwargs)
        part = self._part(arguments.k)
        site = self._site()
        if not self._matching(part or site.name):
            return func(*args, **kwargs)
        laid, axis, unknown = with_heads(arguments, self._eager.merged(arguments.q), self.modules.frames)
        plain = AttentionArgs(
            *as_four_axes(laid), arguments.scale, arguments.causal, dropout=arguments.dropout, headless=unknown
        )
        new = self._rewritten(plain, site, part)
        if new is plain:
            return func(*args, **kwargs)
        with call_context(arguments) as call:
            call.edited = new = replace(new, borrowed=new.borrowed or call.edited.borrowed)
            out = call_with_arguments(func, new)
        if axis == 0:
            out, axis = out.transpose(0, 1), None
        out = out.reshape(*leading_axes(arguments if laid.q.ndim == 4 else laid, out), *out.shape[-2:])
        return out if axis is None else out.movedim(-3, axis)

    def _part(self, k: Tensor) -> str:
        """The name of a call by what its sources are, as a watch gives it where a module makes several side by side; ""
        if that is not known or no pattern asks for it."""
        if not self._by_part:
            return ""
        source = self.modules.source(k)
        part = f"{self.modules.frames[-1].name}#{source}" if source else ""
        self._parts.add(part)
        return part

    def _rewritten(self, arguments: AttentionArgs, site: Site, part: str = "") -> AttentionArgs:
        """The call after all edits that match; `arguments` itself if none changes it. part: see `_part`."""
        if (processes := processes_of(self.modules.frames[-1].module)) > 1:
            arguments.headless = PART.format(arguments.q.shape[1], processes)
        new = arguments
        for each in self._matching(part or site.name):
            new = each.rewrite(new, site)
        if new is not arguments:
            if checkpointed():
                raise SaccadeError(f"edit of {site.name!r}: {CHECKPOINTED}")
            self._applied.setdefault(site.name, set()).add(site.nth)
            self.done.applied[site.name] = len(self._applied[site.name])
        return new

    def _counts(self) -> bool:
        """The same as `ModuleStack.in_forward`; what is not the model's own is noted."""
        self._outside = self._outside or not (in_backward() or self.modules.frames)
        return self.modules.in_forward

    def _multi_head(self, args: tuple, kwargs: dict) -> tuple[Tensor, Tensor | None]:
        """multi_head_attention_forward, whose inner call no mode sees: run so that it is edited."""
        if not self._counts():
            return F.multi_head_attention_forward(*args, **kwargs)
        if not self._matching(self.modules.frames[-1].name):
            self._site()
            return F.multi_head_attention_forward(*args, **kwargs)

        def attend(*call: Any, **options: Any) -> tuple[Tensor, AttentionArgs]:
            with call_context(ATTENTION_FUNCTIONS[SDPA](*call, **options)) as made:
                return self._attention(SDPA, call, options), made.edited

        return multi_head_attention(attend, args, kwargs)

    def _wrap(self, module: nn.Module, name: str, undo: ExitStack) -> None:
        """Follow an attention module of torch.nn, which runs otherwise when it is hooked or sees a function mode: if
        no pattern matches anything in it, it runs without this mode, as unedited."""
        parts = {uncompiled(f"{name}.{part}".strip(".")): each for part, each in module.named_modules()}
        matched = any(self._matching(self.modules.display_name(each)) for each in parts)

        unchecked = matched and may_differ(module)

        def unedited(run: Callable[[], Any]) -> Any:
            with modes_removed(lambda mode: mode is self):
                return run()

        def edited(forward: Callable, *args: Any, **kwargs: Any) -> Any:
            nonlocal unchecked
            run = partial(forward, *args, **kwargs)
            if self._passive or self.modules.enter(module, name, args, kwargs) is None:
                return run()
            try:
                if unchecked:
                    unchecked, self._passive = False, True
                    try:
                        check_alike(self.modules.display_name(name), module, partial(unedited, run), run)
                    finally:
                        self._passive = False
                if matched:
                    return run()
                for each, part in parts.items():
                    if isinstance(part, nn.MultiheadAttention):
                        self._calls.setdefault(self.modules.display_name(each), 0)
                return unedited(run)
            finally:
                self.modules.leave(module)

        patch_forward(module, edited, undo)

    def _site(self) -> Site:
        """Count the call that is being made, by the module that is running."""
        self.modules.mark_attending()
        name, run = self.modules.frames[-1].name, self.modules.frames[-1].run
        nth, nth_in_run = self._calls.get(name, 0), self._calls_in_run.get((name, run), 0)
        self._calls[name], self._calls_in_run[name, run] = nth + 1, nth_in_run + 1
        return Site(name, run, nth, nth_in_run, self._memory)

    def _site_of(self, product: Product) -> Site:
        """The same for a product, which is no other call if its weights were multiplied with values before."""
        if product.resolved not in self._sites:
            self._sites[product.resolved] = self._site()
        return self._sites[product.resolved]

    def _matching(self, name: str) -> list[Edit]:
        """The edits of all patterns that match a name, in order."""
        return [each for pattern, edits in self.edits.items() if matches(name, pattern) for each in edits]

    def _miss(self, why: str) -> None:
        """The module that is running attends in a way that cannot be edited."""
        if self.modules.in_forward:
            self.modules.mark_attending()
            if self._matching(name := self.modules.frames[-1].name):
                self.done.missed.setdefault(name, why)
