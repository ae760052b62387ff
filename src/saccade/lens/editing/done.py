"""What an edit block did, and patterns that matched nothing."""

from collections.abc import Collection, Mapping

from saccade.errors import SaccadeError, shorten_list
from saccade.lens.editing.refusals import UNAPPLIED
from saccade.lens.modules.stack import OUTSIDE, matches


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

    def miss_unapplied(self, patterns: Collection[str], calls: Mapping[str, int]) -> None:
        """Name what a pattern matched and no edit changed. calls: number of calls by module name."""
        for pattern in patterns:
            found = [name for name in calls if matches(name, pattern)]
            if not any(name in self.applied for name in found):
                for name in found:
                    self.missed.setdefault(name, UNAPPLIED.format(calls[name]))


def check_patterns(
    patterns: Collection[str], done: Edits, calls: Collection[str], parts: Collection[str], outside: bool
) -> None:
    """Raise SaccadeError for a pattern that matched no attention call. calls: names of the modules that made some.
    parts: names of calls by what their sources are. outside: whether attention was called while no module ran."""
    for pattern in patterns:
        found = [name for name in calls if matches(name, pattern)]
        if any(part and matches(part, pattern) for part in parts):
            continue
        if any(name in done.applied or name not in done.missed for name in found):
            continue
        for name, why in done.missed.items():
            if matches(name, pattern):
                raise SaccadeError(f"edits of {pattern!r} changed nothing: {name!r} cannot be edited: {why}")
        there = OUTSIDE.format("edit") if outside else "the model made none that can be edited"
        there = f"there are {shorten_list(calls)}" if calls else there
        raise SaccadeError(f"edits of {pattern!r} changed nothing: no attention call has such a name; {there}")
