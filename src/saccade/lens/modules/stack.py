"""Which module is running: forward hooks keep a stack, so that every attention call knows its name and kind."""

import sys
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn

from saccade.lens.dataflow.layout_steps import LayoutSteps, may_cut_windows
from saccade.lens.dataflow.operation import Operation
from saccade.lens.dataflow.origins import LatentQueryOrigins, Origins, address, learned_tokens
from saccade.lens.dataflow.parts import Parts, slices
from saccade.lens.modules.components import component_of, named_modules
from saccade.lens.modules.declared import like_attention
from saccade.lens.modules.frame import Frame
from saccade.lens.modules.hooks import hook
from saccade.lens.modules.skipped import AttendingRuns, why_missed
from saccade.lens.shared_setting import SharedSetting

ELSEWHERE = (
    "it ran in another thread (DataParallel does that), where calls cannot be seen; run the model in the thread that "
    "watches it"
)
PARTS = {"hidden_states": "image", "encoder_hidden_states": "text"}  # what diffusers calls them
SCRIPTED = "code compiled by torch.jit shows no attention calls; watch the model it was made from"
PYTORCH = (nn.MultiheadAttention, nn.TransformerEncoderLayer, nn.TransformerEncoder)  # run otherwise when hooked
SEPARATE = (
    "torch.nn.MultiheadAttention computed its weights as separate operations (need_weights=True, or dropout while "
    "training), not a fused call"
)
OUTSIDE = (
    "attention was called while no module of the model was running; call the model itself (not its .forward), or {} "
    "the model that made the call"
)
NOTHING = "it ran, but no attention was seen in it (a kernel of its own, scripted code, or attention of another kind)"


def matches(name: str, pattern: str) -> bool:
    """Whether a module's name is the pattern, or one that it stands for as in the shell."""
    if name == pattern or fnmatchcase(name, pattern):
        return True
    module, _, part = name.partition("#")  # one of several calls that the module makes side by side
    return bool(part) and matches(module, pattern)


_uncompiled = SharedSetting(lambda: torch.compiler.set_stance("force_eager"))


class ModuleStack:
    """The stack of running modules of one model, in the thread that watches.

    A module that appears under several names has the first of `named_modules()`. Each component counts its own runs
    (forward passes). A new one begins with a forward that starts while no module of the component is running, of a
    module that already ran in the run before: so what a model's `generate` calls before the model itself, such as
    its encoder of images, belongs to the run that it prepares.
    """

    def __init__(self, components: Mapping[str, nn.Module], inside: Callable[[], bool] = lambda: True) -> None:
        """inside: whether what is running belongs to the block, where several share a thread."""
        self._inside = inside
        self.frames: list[Frame] = []
        self.following: list[Origins] = []  # those of the running modules that have several inputs
        self.steps = LayoutSteps()
        self.on_leave: Callable[[Frame], None] = lambda frame: None  # called with each module that ends its forward
        self.on_begin: Callable[[tuple, dict, bool], None] = lambda args, kwargs, anew: None  # with each outermost one
        self.scripted: list[str] = []  # names of modules that show nothing
        self.self_attending: set[str] = set()  # modules that have attended to their own tokens
        self.windowed = 0  # how many of the running modules may cut windows
        self._may_cut: set[nn.Module] = set()
        self._learned: dict[nn.Module, list[tuple[nn.Module, str]]] = {}  # where they keep tokens of their own
        self._thread = threading.get_ident()
        self._components = components
        self._runs: Counter[str] = Counter()
        self._ran: dict[str, set[nn.Module]] = {}  # in the run that counts
        root = components.get("")
        self._root = type(getattr(root, "_orig_mod", root)).__name__
        self._elsewhere: dict[str, bool] = {}  # modules that ran in another thread; whether named like attention
        self._silent: dict[str, str] = {}
        self._attended = AttendingRuns(self._root)  # where there was attention, recorded or missed

    @property
    def in_forward(self) -> bool:
        """Whether the model's forward is running: attention in a backward pass was recorded before."""
        return bool(self.frames) and not in_backward()

    @property
    def runs(self) -> int:
        """How many runs (forward passes) have begun."""
        return sum(self._runs[component] + 1 for component in self._ran)

    def attach(self, wrap: Callable[[nn.Module, str, ExitStack], None], undo: ExitStack) -> None:
        """Follow all modules until `undo` is closed. What torch.compile made runs uncompiled until then.

        wrap: what to do, in place of hooks, with the attention modules of torch.nn and the encoders made of them,
        which would leave their fast path."""
        fused: set[nn.Module] = set()
        roots = set(self._components.values())
        for name, module in named_modules(self._components):
            if isinstance(module, nn.TransformerEncoderLayer):
                fused.update(module.modules())
            if isinstance(module, torch.jit.ScriptModule):  # takes no hooks
                self.scripted.append(name)
            elif isinstance(module, PYTORCH):
                wrap(module, name, undo)
            elif module in roots or not (module in fused or type(module).__module__.startswith("torch.nn.modules.")):
                self._hook(module, name, undo)
        if "torch._dynamo" in sys.modules:  # else nothing can have been compiled
            undo.enter_context(_uncompiled())

    @property
    def follows(self) -> bool:
        """Whether `follow` has anything to note."""
        return bool(self.following or self.windowed or (self.frames and self.frames[-1].learned))

    def follow(self, op: Operation) -> None:
        """Note one operation of the running modules: what its result comes from, and how windows are cut by it."""
        learned = self.frames[-1].learned if self.frames else None
        if learned is not None:
            learned.follow(op)
        for origins in self.following:
            origins.follow(op)
        if self.windowed:
            self.steps.follow(op)

    def _hook(self, module: nn.Module, name: str, undo: ExitStack) -> None:
        """Follow one module by hooks."""
        if may_cut_windows(module):
            self._may_cut.add(module)
        if learned := learned_tokens(module):
            self._learned[module] = learned

        # Not for a copy that was made of the module within the block, with its hooks; but for a replica in a thread.
        def enter(given: nn.Module, args: tuple, kwargs: dict) -> None:
            if given is module or threading.get_ident() != self._thread:
                self.enter(given, name, args, kwargs)

        def leave(given: nn.Module, args: tuple, output: object) -> None:
            if given is module or threading.get_ident() != self._thread:
                self.leave(given, output)

        hook(module, enter, leave, undo)  # `leave` also after an exception, so that the stack stays right

    def enter(self, module: nn.Module, name: str, args: tuple, kwargs: dict) -> Frame | None:
        """A module begins its forward. None if that is not followed: in another thread, or again in a backward
        pass (activation checkpointing)."""
        if in_backward():
            return None
        name = self.display_name(name)
        if threading.get_ident() != self._thread:
            self._elsewhere[name] = like_attention(type(module).__name__, name)
            return None
        if not self._inside():
            return None
        component = component_of(name, self._components)
        ran = self._ran.setdefault(component, set())
        if anew := module in ran and not any(frame.component == component for frame in self.frames):
            self._runs[component] += 1
            ran.clear()
        if not self.frames:
            self.on_begin(args, kwargs, anew)
        ran.add(module)
        frame = Frame(name, module, component, self._runs[component], args, kwargs)
        self.frames.append(frame)
        if frame.origins is not None:
            self.following.append(frame.origins)
        elif frame.inputs and module in self._learned:
            frame.learned = LatentQueryOrigins(
                frame.inputs, [getattr(holder, key) for holder, key in self._learned[module]]
            )
        if module in self._may_cut:
            self.windowed += 1
            self.steps.begin(module, args, kwargs, frame.inputs, self.frames[0].batch)
        return frame

    def display_name(self, name: str) -> str:
        """The name of a module in traces and messages: that of the model itself is its class."""
        return name or self._root

    def leave(self, module: nn.Module, out: object = None) -> None:
        """A module ends its forward, also by an exception. out: what it returns."""
        if in_backward() or threading.get_ident() != self._thread or not self._inside():
            return
        while self.frames and (self.frames[-1].module is module or any(f.module is module for f in self.frames)):
            frame = self.frames.pop()
            self.on_leave(frame)
            if frame.origins is not None:
                self.following.remove(frame.origins)
            self.windowed -= frame.module in self._may_cut
            if not frame.attended:
                self._attended.idle(frame.name, frame.run)
            if like_attention(type(frame.module).__name__, frame.name):
                if not (frame.attended or frame.contains_attention):
                    self._silent[frame.name] = NOTHING
                for outer in self.frames:
                    outer.contains_attention = True
            if frame.module is module:
                if self.frames and self.frames[-1].learned is not None:
                    # PyTorch's attention returns a token for each of its first input.
                    given = frame.inputs[:1] if isinstance(module, nn.MultiheadAttention) else frame.inputs
                    self.frames[-1].learned.returned(given, frame.origins, out)
                return

    def mark_attending(self) -> None:
        """The module that is running attends, and so do all around it."""
        for frame in self.frames:
            if not frame.attended:
                frame.attended = True
                self._attended.attended(frame.name, frame.run)
        self._attended.names.add(self.frames[-1].name)

    def kind_of_sources(self, q: Tensor, k: Tensor) -> str:
        """ "self" if q and k, of the same length, come from the same inputs of the module that made them, else
        "cross". That module is the innermost that was not itself given q or k; if it has one input, there is no
        other source but what it has learned (latent queries)."""
        maker = next((frame for frame in reversed(self.frames) if not frame.given(q, k)), None)
        origins = None if maker is None else maker.origins or maker.learned
        return "self" if origins is None or origins.alike(q, k) else "cross"

    def kind_of_given(self, query: Tensor, key: Tensor) -> str:
        """The same for a query and key that a function of the running module will project."""
        if address(query) == address(key):
            return "self"
        frame = self.frames[-1]
        return "cross" if frame.given(query) and frame.given(key) else self.kind_of_sources(query, key)

    def kind_of_inputs(self) -> str:
        """The same for a module that is given query, key, value before it projects them."""
        query, *key = self.frames[-1].inputs[:2]
        return "cross" if key and address(key[0]) != address(query) else "self"

    def parts(self, q: Tensor, k: Tensor, axis: int = -2) -> dict[str, slice] | None:
        """What was put together along the tokens of q and along this axis of k, by the name of the argument that it
        came from in the module that shows most of it, the innermost of several; None if that is not known, or if two
        arguments were not put together."""
        return self._most(lambda origins: origins.parts(q, k, axis), named=2)

    def sources(self, q: Tensor, k: Tensor, axis: int = -2) -> dict[str, slice] | None:
        """The same of the keys alone, for queries of something else; none where they were put together in an order that
        is not known."""
        found = self._most(lambda origins: origins.sources(q, k, axis), named=1)
        mixed = any(each.sources(q, k, axis) == Parts(axis, ()) for each in self.following)
        return {} if found is None and mixed else found

    def source(self, k: Tensor) -> str:
        """The name of the argument of the running module that the keys alone come from, "" if that is not known."""
        frame = self.frames[-1]
        i = None if frame.origins is None else frame.origins.only(k)
        return "" if i is None else PARTS.get(name := frame.argument(i).removeprefix("norm_"), name)

    def tokens_before(self, q: Tensor) -> int:
        """How many tokens the queries (b h n k) were made of in the running modules: more than n where some were merged
        or left out."""
        longest = q.shape[-2]
        for frame in self.frames:
            i = None if frame.origins is None else frame.origins.only(q)
            if i is not None and frame.inputs[i].ndim == 3 and len(frame.inputs[i]) == len(q):
                longest = max(longest, frame.inputs[i].shape[1])
        return longest

    def _most(self, parts_of: Callable[[Origins], Parts | None], named: int) -> dict[str, slice] | None:
        """The parts with the most names of those that the running modules show; at least so many are of arguments."""
        best: dict[str, slice] | None = None
        for frame in reversed(self.frames):
            parts = None if frame.origins is None else parts_of(frame.origins)
            if frame.origins is None or parts is None or not parts.runs:
                continue
            names = {number: frame.argument(i) for number, i in frame.origins.inputs.items()}
            found = slices(parts, {each: PARTS.get(name.removeprefix("norm_"), name) for each, name in names.items()})
            if found and sum(not name.startswith("other") for name in found) >= named and len(found) > len(best or ()):
                best = found
        return best

    def unrecorded(self, skipped: Mapping[str, set[int]]) -> dict[str, str]:
        """Modules named like attention that ran without attending, where no module directly around them attended
        either (they may be a part of it, such as a position bias), and those that ran in other threads. skipped: see
        `skipped`."""
        silent = {
            name: why
            for name, why in self._silent.items()
            if not any(name == other or name.startswith(f"{other}.") for other in self._attended.names)
        }
        attending = [name for name, alike in self._elsewhere.items() if alike] or list(self._elsewhere)[:1]
        partly = {
            name: why_missed(runs, self._runs[component_of(name, self._components)] + 1)
            for name, runs in skipped.items()
        }
        return partly | silent | dict.fromkeys(attending, ELSEWHERE)

    def skipped(self) -> dict[str, set[int]]:
        """See `AttendingRuns.skipped`."""
        return self._attended.skipped()


def in_backward() -> bool:
    """Whether autograd is running a backward pass in this thread."""
    return torch._C._current_graph_task_id() != -1
