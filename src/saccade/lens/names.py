"""Which module is running: forward hooks keep a stack, so that every attention call knows its name."""

import threading
from contextlib import ExitStack
from dataclasses import dataclass

from torch import nn

ELSEWHERE = (
    "it ran in another thread (DataParallel does that), where calls cannot be seen; run the model in the thread that "
    "watches it"
)
NOTHING = "it ran, but no attention was seen in it (a kernel of its own, scripted code, or attention of another kind)"


@dataclass(eq=False)
class Frame:
    """One running module. seen: attention was met in it. within: a module named like attention ran inside it."""

    name: str
    module: nn.Module
    run: int
    seen: bool = False
    within: bool = False


class Names:
    """The stack of running modules of one model, in the thread that watches.

    A module that appears under several names has the first of `named_modules()`. A forward that starts while no
    module of the model is running begins a new run (forward pass).
    """

    def __init__(self, model: nn.Module) -> None:
        self.stack: list[Frame] = []
        self.thread = threading.get_ident()
        self._runs = 0
        self._root = type(model).__name__
        self._elsewhere: dict[str, str] = {}
        self._silent: dict[str, str] = {}
        self._met: set[str] = set()  # modules in which attention was met, seen or missed

    def attach(self, module: nn.Module, name: str, undo: ExitStack) -> None:
        """Follow one module until `undo` is closed."""

        def enter(module: nn.Module, args: tuple) -> None:
            self.enter(module, name)

        def leave(module: nn.Module, args: tuple, output: object) -> None:
            self.leave(module)

        undo.callback(module.register_forward_pre_hook(enter, prepend=True).remove)
        # always_call: also when the forward raises, so that the stack stays right after a caught exception
        undo.callback(module.register_forward_hook(leave, always_call=True).remove)

    def enter(self, module: nn.Module, name: str) -> None:
        """A module begins its forward."""
        name = name or self._root
        if threading.get_ident() != self.thread:
            if _like_attention(module):
                self._elsewhere[name] = ELSEWHERE
            return
        if not self.stack:
            self._runs += 1
        self.stack.append(Frame(name, module, self._runs - 1))

    def leave(self, module: nn.Module) -> None:
        """A module ends its forward, also by an exception."""
        if threading.get_ident() != self.thread or all(frame.module is not module for frame in self.stack):
            return
        while True:
            frame = self.stack.pop()
            if _like_attention(frame.module):
                if not (frame.seen or frame.within):
                    self._silent[frame.name] = NOTHING
                for outer in self.stack:
                    outer.within = True
            if frame.module is module:
                return

    def met(self) -> None:
        """Attention was met in the module that is running, and so in all around it."""
        for frame in self.stack:
            frame.seen = True
        self._met.add(self.stack[-1].name)

    def unseen(self) -> dict[str, str]:
        """Modules named like attention that ran without any being met, in them or directly in a module around
        them (of which they are a part, such as a position bias), and those that ran in other threads."""
        silent = {
            name: why
            for name, why in self._silent.items()
            if not any(name == met or name.startswith(f"{met}.") for met in self._met)
        }
        return silent | self._elsewhere


def _like_attention(module: nn.Module) -> bool:
    name = type(module).__name__.lower()
    return "attention" in name or "attn" in name
