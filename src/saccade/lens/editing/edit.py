"""Edit a model's attention while it runs: rewrite q, k, v and mask of the calls of some modules, and nothing else."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
import torch.utils.checkpoint
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from saccade.errors import SaccadeError, some_of
from saccade.lens.components import uncompiled
from saccade.lens.editing.edits import Edit, Site, as_edits
from saccade.lens.editing.multihead import multi_head_attention
from saccade.lens.editing.remake import lead, remake
from saccade.lens.forwards import stand_in
from saccade.lens.modes import without
from saccade.lens.names import SCRIPTED, Names, in_backward, matches
from saccade.lens.passing import passing
from saccade.lens.recognise import spellings
from saccade.lens.recognise.eager import Recogniser, not_followed
from saccade.lens.recognise.settling import Settled
from saccade.lens.shapes import ASKED, Asked, as_asked, not_plain, other_attention
from saccade.lens.whence import Whence

SDPA = F.scaled_dot_product_attention


class Edits:
    """What an edit block did. applied: module name -> how many of its calls were edited. missed: name of each module
    that matches a pattern but attends in a way that cannot be edited -> why."""

    def __init__(self) -> None:
        self.applied: dict[str, int] = {}
        self.missed: dict[str, str] = {}

    def __repr__(self) -> str:
        lines = [f"Edits of {sum(self.applied.values())} attention calls in {len(self.applied)} modules"]
        lines += [f"  {name}: {count}" for name, count in self.applied.items()]
        return "\n".join([*lines, *(f"missed: {name}: {why}" for name, why in self.missed.items())])


@contextmanager
def edit(model: nn.Module, edits: Mapping[str, Edit | Sequence[Edit]]) -> Iterator[Edits]:
    """Change what a model attends to while it runs inside the block.

    edits: pattern of module names (as for `trace[...]`) -> an edit, or several in order. Patterns that match one
    name apply in their order. Names are those of `watch`; the block yields what was edited.

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
    before dropout. Attention of separate operations, scripted code and kernels of other libraries cannot be edited:
    modules that match a pattern are named in `missed`.

    Raises SaccadeError for what is no module or no edit; in the forward pass for an edit that does not fit the call,
    and under activation checkpointing, which would compute the unedited call in the backward pass; at the end of the
    block if the model ran and a pattern edited nothing because it matched no attention call.
    """
    if not isinstance(model, nn.Module):
        more = ": give its .model" if isinstance(getattr(model, "model", None), nn.Module) else ""
        raise SaccadeError(f"edit was given a {type(model).__name__}; expected a torch.nn.Module{more}")
    if isinstance(model, torch.jit.ScriptModule):
        raise SaccadeError("edit was given a scripted module, which shows no calls; expected the one it was made from")
    if not isinstance(edits, Mapping) or not edits:
        raise SaccadeError(f'edit was given {edits!r}; expected {{pattern: edits}}, such as {{"*": drop_heads(2)}}')
    editor = Editor(model, {pattern: as_edits(each, f"edits of {pattern!r}") for pattern, each in edits.items()})
    with ExitStack() as undo:
        editor.names.follow(editor.wrap, undo)
        undo.enter_context(editor)
        try:
            yield editor.done
        finally:
            editor.miss_unseen()
        editor.check_patterns()


class Editor(TorchFunctionMode):
    """The function mode of one edit block."""

    def __init__(self, model: nn.Module, edits: dict[str, list[Edit]]) -> None:
        super().__init__()
        self.edits, self.done, self.names = edits, Edits(), Names({"": model})
        self._eager = Recogniser(spellings.FUNCTIONS, self._separate, self._miss, lambda *_: Whence("self"))
        self._calls: dict[str, int] = {}  # attention calls met so far, by module name
        self._calls_in_run: dict[tuple[str, int], int] = {}
        self._outside = False  # attention was called while no module of the model ran
        self._memory: dict[Any, Any] = {}

    def miss_unseen(self) -> None:
        """At the end of the block: name what matches a pattern and attended unseen."""
        scripted = dict.fromkeys(map(self.names.full, self.names.scripted), SCRIPTED) if self.names.runs else {}
        for name, why in (scripted | self.names.unseen()).items():
            if self._matching(name):
                self.done.missed.setdefault(name, why)

    def check_patterns(self) -> None:
        """At the end of the block: raise SaccadeError for a pattern that matched no attention call."""
        if not (self.names.runs or self._outside or self.done.missed):
            return
        for pattern in self.edits:
            if any(matches(name, pattern) for name in self._calls):
                continue
            for name, why in self.done.missed.items():
                if matches(name, pattern):
                    raise SaccadeError(f"edits of {pattern!r} changed nothing: {name!r} cannot be edited: {why}")
            there = OUTSIDE if self._outside else "the model made none that can be edited"
            there = f"there are {some_of(self._calls)}" if self._calls else there
            raise SaccadeError(f"edits of {pattern!r} changed nothing: no attention call has such a name; {there}")

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func in ASKED:
            return self._attention(func, args, kwargs)
        if func is F.multi_head_attention_forward:
            return self._multi_head(args, kwargs)
        if other_attention(func):
            self._miss(f"{getattr(func, '__name__', func)} shows no q, k and v that an edit could rewrite")
            return func(*args, **kwargs)
        out = func(*args, **kwargs)
        try:
            self._eager.follow(func, args, kwargs, out)
        except Exception as error:  # as in a watch: it must not stop the model
            self._miss(not_followed(func, error))
        return out

    def _separate(self, settled: Settled, v: Tensor | None) -> None:
        self._miss(
            f"softmax of scores {settled.shape} and product with values as separate operations, not a fused call"
        )

    def _attention(self, func: Callable, args: tuple, kwargs: dict) -> Tensor:
        asked = ASKED[func](*args, **kwargs)
        if in_backward() or not self.names.stack:
            self._outside = self._outside or not in_backward()
            return func(*args, **kwargs)
        if why := not_plain(asked):
            self._miss(why)
            return func(*args, **kwargs)
        site = self._site()
        edits = self._matching(site.name)
        new = plain = Asked(*as_asked(asked), asked.scale, asked.causal, dropout=asked.dropout) if edits else asked
        for each in edits:
            new = each.rewrite(new, site)
        if new is plain:
            return func(*args, **kwargs)
        if _checkpointed():
            raise SaccadeError(f"edit of {site.name!r}: {CHECKPOINTED}")
        self.done.applied[site.name] = self.done.applied.get(site.name, 0) + 1
        with passing(asked) as call:
            call.last = new = replace(new, borrowed=new.borrowed or call.last.borrowed)
            out = remake(func, new)
        return out.reshape(*lead(asked, plain), *out.shape[-2:])

    def _multi_head(self, args: tuple, kwargs: dict) -> tuple[Tensor, Tensor | None]:
        """multi_head_attention_forward, whose inner call no mode sees: run so that it is edited."""
        if in_backward() or not self.names.stack:
            self._outside = self._outside or not in_backward()
            return F.multi_head_attention_forward(*args, **kwargs)
        if not self._matching(self.names.stack[-1].name):
            self._site()
            return F.multi_head_attention_forward(*args, **kwargs)

        def attend(*call: Any, **options: Any) -> tuple[Tensor, Asked]:
            with passing(ASKED[SDPA](*call, **options)) as made:
                return self._attention(SDPA, call, options), made.last

        return multi_head_attention(attend, args, kwargs)

    def wrap(self, module: nn.Module, name: str, undo: ExitStack) -> None:
        """Follow an attention module of torch.nn, which runs otherwise when it is hooked or sees a function mode: if
        no pattern matches anything in it, it runs without this mode, as unedited."""
        parts = {uncompiled(f"{name}.{part}".strip(".")): each for part, each in module.named_modules()}
        matched = any(self._matching(self.names.full(each)) for each in parts)

        def edited(forward: Callable, *args: Any, **kwargs: Any) -> Any:
            if self.names.enter(module, name, args, kwargs) is None:
                return forward(*args, **kwargs)
            try:
                if matched:
                    return forward(*args, **kwargs)
                for each, part in parts.items():
                    if isinstance(part, nn.MultiheadAttention):
                        self._calls.setdefault(self.names.full(each), 0)
                with without(lambda mode: mode is self):
                    return forward(*args, **kwargs)
            finally:
                self.names.leave(module)

        stand_in(module, edited, undo)

    def _site(self) -> Site:
        """Count the call that is being made, by the module that is running."""
        self.names.meet()
        name, run = self.names.stack[-1].name, self.names.stack[-1].run
        nth, nth_in_run = self._calls.get(name, 0), self._calls_in_run.get((name, run), 0)
        self._calls[name], self._calls_in_run[name, run] = nth + 1, nth_in_run + 1
        return Site(name, run, nth, nth_in_run, self._memory)

    def _matching(self, name: str) -> list[Edit]:
        """The edits of all patterns that match a name, in order."""
        return [each for pattern, edits in self.edits.items() if matches(name, pattern) for each in edits]

    def _miss(self, why: str) -> None:
        """The module that is running attends in a way that cannot be edited."""
        if self.names.stack and not in_backward():
            self.names.meet()
            if self._matching(name := self.names.stack[-1].name):
                self.done.missed.setdefault(name, why)


OUTSIDE = (
    "attention was called while no module of the model was running; call the model itself (not its .forward), or edit "
    "the model that made the call"
)
CHECKPOINTED = (
    "it runs under activation checkpointing, which would compute the unedited call anew in the backward pass; switch "
    "checkpointing off"
)


def _checkpointed() -> bool:
    """Whether the forward pass runs inside torch.utils.checkpoint."""
    frame = sys._getframe()
    while frame is not None:
        if frame.f_code.co_filename == torch.utils.checkpoint.__file__:
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False
