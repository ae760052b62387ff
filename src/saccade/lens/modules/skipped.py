"""In which runs each module attended, and in which it was there and did not: cached and skipped layers."""

from collections.abc import Iterator
from itertools import chain

SKIPPED = (
    "it made no attention call in {} of {}, where it or the block around it was skipped or answered from a cache; maps "
    "of these runs lack this layer"
)


class AttendingRuns:
    """A record of the modules of a model, by name.

    names: of the modules that attend themselves. root: name of the model.
    """

    def __init__(self, root: str) -> None:
        self.names: set[str] = set()
        self._root = root
        self._in: dict[str, set[int]] = {}  # name -> runs in which the module, or a part of it, attended
        self._idle: dict[str, set[int]] = {}  # name -> runs in which it ran once without that

    def attended(self, name: str, run: int) -> None:
        """A module, or a part of it, attends."""
        self._in.setdefault(name, set()).add(run)

    def idle(self, name: str, run: int) -> None:
        """A module ends without that."""
        self._idle.setdefault(name, set()).add(run)

    def skipped(self) -> dict[str, set[int]]:
        """Modules that attended in some runs, and made no call in others although they or a module around them ran,
        or although others of the list of layers that they belong to attended: name -> those other runs."""
        attended: dict[str, set[int]] = {}  # a list of layers, or one of its layers -> runs in which it attended
        for name in self.names:
            for each in chain.from_iterable(_lists(name)):
                attended.setdefault(each, set()).update(self._in[name])
        found = {}
        for name in filter(self.names.__contains__, self._in):  # in the order in which they attended first
            silent = [self._idle.get(each, set()) - self._in.get(each, set()) for each in self._around(name)]
            alone = [attended[layers] - attended[layer] for layers, layer in _lists(name)]
            if runs := set[int]().union(*silent, *alone) - self._in[name]:
                found[name] = runs
        return found

    def _around(self, name: str) -> Iterator[str]:
        """The names of a module and of those around it."""
        while name:
            yield name
            name = name.rpartition(".")[0]
        yield self._root


def why_missed(runs: set[int], count: int) -> str:
    """Why a module is missed in some runs of so many."""
    which = f"run{'s' * (len(runs) > 1)} {', '.join(map(str, sorted(runs)[:8]))}{', ...' * (len(runs) > 8)}"
    return SKIPPED.format(which, count)


def _lists(name: str) -> Iterator[tuple[str, str]]:
    """The lists of layers that a module is in: the name of the list, and of the layer."""
    parts = name.split(".")
    for i, part in enumerate(parts):
        if part.isdigit():
            yield ".".join(parts[:i]), ".".join(parts[: i + 1])
