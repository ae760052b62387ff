"""Which calls a watch keeps, and what it keeps of them: for captures too large to keep whole."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from saccade.errors import SaccadeError, shorten_list
from saccade.lens.modes import Mode, modes_removed
from saccade.lens.modules.stack import matches
from saccade.lens.trace.call import Call

Views = Mapping[str, "Callable[[Call], Any] | Mean"]


@dataclass(frozen=True)
class Mean:
    """A view of which only the running mean over the calls of each module is kept: over sampling steps, for one.

    view: makes a tensor of a call, of one shape for all calls of a module. The mean is in fp32 at least.
    """

    view: Callable[[Call], Tensor]


class ViewStream:
    """Chooses calls by name, and computes views of them as they pass.

    only: a pattern of module names, or several; None for all. views: name -> function of a call, or `Mean` of one;
    None to keep the calls themselves.
    """

    def __init__(self, only: str | Sequence[str] | None = None, views: Views | None = None) -> None:
        self._only = [only] if isinstance(only, str) else None if only is None else list(only)
        if self._only is not None and not (self._only and all(isinstance(each, str) for each in self._only)):
            raise SaccadeError(f"only={only!r}: expected a pattern of module names, such as '*.layer.3.*', or several")
        if views is not None and not (isinstance(views, Mapping) and views):
            raise SaccadeError(
                f"views={views!r}: expected names and functions of a call, such as "
                "{'received': saccade.lens.Call.received}"
            )
        self.views = None if views is None else dict(views)
        self.seen: dict[str, dict[str, Any]] = {name: {} for name in self.views or ()}
        self._times: dict[tuple[str, str], int] = {}
        self.ran = True  # whether anything of the model ran, known when the block has ended
        self._passed: dict[str, None] = {}  # names that were not wanted, in order

    def wants(self, name: str) -> bool:
        """Whether calls of this name are kept or viewed."""
        wanted = self._named(name)
        if not wanted:
            self._passed[name] = None
        return wanted

    def _named(self, name: str) -> bool:
        return self._only is None or any(matches(name, pattern) for pattern in self._only)

    def view(self, call: Call) -> None:
        """Compute the views of a call, unseen by watches: what a view computes is not the model's."""
        for name, view in (self.views or {}).items():
            with torch.no_grad(), modes_removed(lambda mode: isinstance(mode, Mode)):
                if isinstance(view, Mean):
                    self._add(name, call.name, view.view(call))
                else:
                    self.seen[name].setdefault(call.name, []).append(tree_map(_alone, view(call)))

    def _add(self, name: str, module: str, value: Any) -> None:
        means = self.seen[name]
        if not isinstance(value, Tensor):
            raise SaccadeError(f"view {name!r} of {module!r} is a {type(value).__name__}; a mean needs a tensor")
        value = value.to(torch.promote_types(value.dtype, torch.float32))
        if module not in means:
            means[module] = torch.zeros_like(value)
        if means[module].shape != value.shape:
            raise SaccadeError(
                f"view {name!r} of {module!r} was {tuple(means[module].shape)} and is now {tuple(value.shape)}: there "
                "is no mean of both; give the function itself, which keeps a list"
            )
        times = self._times[name, module] = self._times.get((name, module), 0) + 1
        means[module] = means[module] + (value - means[module]) / times

    def why_empty(self, missed: Collection[str]) -> str:
        """Why the trace holds no calls, where that follows from the arguments of the watch. missed: modules that attend
        in a way that is not recorded."""
        if self.views is not None and any(self.seen.values()):
            return "The trace holds no calls: views were computed as they passed, see trace.seen."
        if self._passed and not any(map(self._named, missed)):
            there = shorten_list(self._passed)
            return f"The trace is empty: of what attended no name matches only={self._only}; there are {there}."
        if not self.ran and not missed:
            return "The trace is empty: the model did not run inside the block."
        return ""


def _alone(value: Any) -> Any:
    """A tensor that holds no more memory than it shows: a slice of a map would keep all of the map."""
    if isinstance(value, Tensor) and value.untyped_storage().nbytes() > value.numel() * value.element_size():
        return value.clone()
    return value
