"""What a watched model attended to: its attention calls in order, and what only all of them together tell."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from os import PathLike
from typing import Any, overload

from jaxtyping import Float, Int
from torch import Tensor

from saccade.displays import to_html
from saccade.errors import SaccadeError, printable, shorten_list
from saccade.lens.attention.heads import without_heads
from saccade.lens.explaining import flow, relevance, rollout, words
from saccade.lens.explaining.rollout import AttentionSummary, Start, starting_row
from saccade.lens.indices import index_of
from saccade.lens.modules.stack import matches
from saccade.lens.trace import storage
from saccade.lens.trace.call import Call
from saccade.lens.watching.sibling_calls import check_layers, check_no_siblings
from saccade.lens.watching.stream import ViewStream


class Trace(Sequence[Call]):
    """Attention calls in the order they were made.

    `trace[3]` is a call, `trace[2:5]` and `trace["*.layer.3.*"]` (a pattern of module names, as in the shell) are
    smaller traces. missed: name of each module that attended in a way that could not be seen, and why. skipped: name of
    each module that attended in some runs, and the runs in which it or a module around it ran without attending (steps
    answered from a cache, skipped layers).
    """

    def __init__(self, calls: Sequence[Call] = (), missed: dict[str, str] | None = None, hint: str = "") -> None:
        self._calls = list(calls)
        self.missed = dict(missed or {})
        self.skipped: dict[str, set[int]] = {}
        self._hint = hint
        self._why = ""  # why it is empty, if it is a part of another trace
        self.stream: ViewStream | None = None  # what the watch that fills the trace keeps

    @property
    def seen(self) -> dict[str, dict[str, Any]]:
        """What `watch(model, views=...)` computed: name of the view -> name of the module -> a list of one result a
        call, in order, or the mean of a `Mean`. Raises SaccadeError if there is nothing."""
        if self.stream is None or self.stream.views is None:
            raise SaccadeError("the trace holds no views: ask for some, as in saccade.watch(model, views={...})")
        if not any(self.stream.seen.values()):
            raise SaccadeError(self._nothing())
        return self.stream.seen

    def __len__(self) -> int:
        return len(self._calls)

    def append(self, call: Call) -> None:
        """Add a call at the end."""
        self._calls.append(call)

    def replace(self, calls: Sequence[Call], others: Sequence[Call]) -> None:
        """Put others in the place of some calls."""
        at = next(i for i, call in enumerate(self._calls) if call is calls[0])
        gone = {id(call) for call in calls}
        self._calls = [*self._calls[:at], *others, *(c for c in self._calls[at:] if id(c) not in gone)]

    def __iter__(self) -> Iterator[Call]:
        return iter(self._calls)

    @overload
    def __getitem__(self, key: int) -> Call: ...
    @overload
    def __getitem__(self, key: slice | str) -> "Trace": ...

    def __getitem__(self, key: int | slice | str) -> "Call | Trace":
        """A call by index; a smaller trace by slice or by module-name pattern (empty if none matches).

        Raises SaccadeError if the trace is empty, and IndexError for an index out of range.
        """
        if isinstance(key, slice):
            of = f"none of the {len(self)} calls is in {_written(key)}"
            return self._part(self._calls[key], self.missed, of)
        if not self._calls:
            raise SaccadeError(self._nothing())
        if isinstance(key, str):
            found = [call for call in self._calls if matches(call.name, key)]
            missed = {name: why for name, why in self.missed.items() if matches(name, key)}
            skipped = {name: runs for name, runs in self.skipped.items() if matches(name, key)}
            of = f"of what attended no name matches {key!r}; there are {shorten_list(c.name for c in self._calls)}"
            part = self._part(found, missed, "" if missed else of)
            part.skipped = skipped
            return part
        if not -len(self) <= key < len(self):
            raise IndexError(f"trace[{key}]: it holds {len(self)} calls")
        return self._calls[key]

    def runs(self, which: int | Iterable[int]) -> "Trace":
        """The calls of one forward pass, or of several such as `range(10)`, counted from 0 in each component: of a
        denoiser, the sampling steps. Empty if there are none.

        Raises SaccadeError for what are no whole numbers from 0 on."""
        given = [which] if isinstance(which, int) else which
        wanted = {index_of(run) for run in given} if isinstance(given, Iterable) else {None}
        if any(run is None or run < 0 for run in wanted):
            raise SaccadeError(f"runs({which!r}): expected the number of a run, or several, counted from 0")
        found = [call for call in self._calls if call.run in wanted]
        last = max((call.run for call in self._calls), default=-1)
        return self._part(found, self.missed, f"no call is of run {which}; the last is {last}")

    def rollout(self, token: Start = 0) -> Float[Tensor, "b m"]:
        """How much each input token flows into `token` of the last layer, through all self-attention calls.

        Attention rollout (Abnar & Zuidema 2020, section 3): the layers' A = ½·mean over heads + ½·identity, rows
        summing to 1, multiplied. Computed as a chain of vector products rᵀA from the last layer to the first, in
        tiles. Joint attention counts as self-attention over all of its parts. token: index of a target token, a (b,)
        tensor of them, one for each picture, or weights over the tokens, (n,) or (b, n), 0 or more, which are scaled to
        sum to 1 (mean-pooled models: `torch.ones(n)`). Returns (b, m), summing to 1 over m.

        Raises SaccadeError unless the self-attention calls are of one forward pass, one (b, n) and the same parts.
        """
        layers = self._layers("rollout")
        return rollout.rollout(layers, starting_row("rollout", token, layers[0]))

    def summary(self, grid: tuple[int, int], token: Start = 0, prefix: int | None = None) -> AttentionSummary:
        """Rollout, entropy and distance of the self-attention calls in one walk over each map, which takes less than
        half the time of one after the other. Arguments and errors as for `rollout` and `Call.distance`."""
        layers = self._layers("rollout")
        return rollout.summary(layers, starting_row("rollout", token, layers[0]), grid, prefix)

    def relevance(self, token: Start = 0) -> Float[Tensor, "b m"]:
        """How much each input token gave to what a backward pass started from, by way of `token` of the last layer.

            with saccade.watch(model, gradients=True) as trace:
                model(x).logits[0, 281].backward()
            trace.relevance()

        Gradient-weighted relevance (Chefer, Gur & Wolf 2021, "Generic attention-model explainability", section 3): for
        self-attention, R ← R + Ā R over the layers with Ā = mean over heads of (dL/dA ⊙ A)⁺ (eq. 5 and 6), with A the
        attention weights themselves. Where there are cross-attention calls, those of an encoder and a decoder: eq. 7
        to 10, and the result is over the encoder's tokens (an encoder without attention, a convolution, has none to
        add). token: of the last call, as for `rollout`. Rows do not sum to 1; 0 or more, and of self-attention at least
        1 at the token itself. Computed in tiles, as a chain of products with vectors. In a batch, a picture on which
        the number does not depend has the row of the token alone.

        Raises SaccadeError unless the calls are of one forward pass and one backward pass reached all of them; if
        dropout was on; and if the model does more with weights that it computes itself than to multiply values with
        them (gates, a loss of the map), which is then part of their gradient.
        """
        if all(call.kind == "self" for call in self._calls):
            layers = self._layers("relevance")
            return relevance.relevance(layers, [], starting_row("relevance", token, layers[0]))
        encoder, decoder = relevance.parts(self._calls)
        self._check_whole("relevance", self._calls)
        check_no_siblings("relevance", self._calls)
        return relevance.relevance(encoder, decoder, starting_row("relevance", token, decoder[0]))

    def words(
        self,
        tokens: Mapping[str, Sequence[int]],
        grid: words.Grid | None = None,
        heads: Sequence[int] | None = None,
        part: str | None = None,
    ) -> dict[str, Float[Tensor, "b y x"]]:
        """Where the picture looks at each word: (b, rows, columns) weights, 0 or more.

        Cross-attention heat maps (DAAM; Tang et al. 2022, "What the DAAM", section 3): the mean over all
        cross-attention calls of the trace (layers and sampling steps; choose some with a pattern or a slice), heads,
        and tokens of a word, coarser layers brought to the finest grid by bicubic interpolation; clamped at 0.

        tokens: word -> its source tokens. grid: (rows, columns) of the finest targets, row-major without a prefix;
        coarser layers have it halved, rounding up. "square": every layer's grid is a square. It does not follow from
        the calls, so without it there is an error. heads: only these. part: where the sources are several sequences put
        together, the one of `Call.source_parts` that the tokens are counted in.

        Raises SaccadeError for calls of different batches, for sources put together without a `part`, and for targets
        that are no picture: a part of the tokens, or several merged into one.
        """
        if not self._calls:
            raise SaccadeError(self._nothing())
        return words.words(self._calls, tokens, grid, heads, part)

    def flow(self, token: int | Int[Tensor, "b"] = 0) -> Float[Tensor, "b n"]:
        """How much could flow at most from `token` of the last layer to each input token, through all self-attention
        calls, if every edge carries no more than it attends.

        Attention flow (Abnar & Zuidema 2020, section 3): the maximum flow in the graph of the layers' A = ½·mean over
        heads + ½·identity, to one input token at a time; 0 to 1. token: an index, or one for each picture. Capacities
        are rounded to steps of 2⁻³⁰, so a flow is exact to within 2⁻³¹ times the edges of its smallest cut. For small
        models: up to layers · n² = 2¹⁸ edges, which takes about a minute; beyond, and wherever `rollout` does, it
        raises SaccadeError.
        """
        layers = self._layers("flow")
        (b, _, n, _), place = layers[0].shape, index_of(token)
        several = list(token) if isinstance(token, (list, tuple, Tensor)) and getattr(token, "ndim", 1) == 1 else []
        places = [index_of(each) for each in several] if place is None else [place] * b
        if len(places) != b or not all(each is not None and -n <= each < n for each in places):
            raise SaccadeError(f"flow from token {token!r}: expected the index of one of {n} tokens, or {b} of them")
        return flow.flow(layers, [each % n for each in places if each is not None])

    def save(self, path: str | PathLike[str]) -> None:
        """Write q, k, lse, masks (and v and gradients if kept) of every call to a safetensors file."""
        storage.save(path, self._calls, self.missed, self.skipped)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> "Trace":
        """Read a trace that `save` wrote. Raises DataError if there is no such file, CheckpointError if it is
        damaged or not a trace."""
        calls, missed, skipped = storage.load(path)
        trace = cls(calls, missed)
        trace.skipped = skipped
        return trace

    def __repr__(self) -> str:
        lines = [f"Trace of {len(self)} attention call{'s' * (len(self) != 1)}"]
        if self._calls:
            names = [printable(call.name) for call in self._calls]
            width = max(4, *map(len, names))
            lines.append(f"{'':>4}  {'name':<{width}}  kind   {'b':>4} {'h':>4} {'n':>6} {'m':>6}")
            for i, (name, call) in enumerate(zip(names, self._calls, strict=True)):
                b, h, n, m = call.shape
                lines.append(f"{i:>4}  {name:<{width}}  {call.kind:<5}  {b:>4} {h:>4} {n:>6} {m:>6}")
        lines += [f"missed: {printable(name)}: {printable(why)}" for name, why in self.missed.items()]
        if not self._calls:
            why = self._why_empty() if self.missed else self._nothing()
            lines += [why or self._hint] if why or self._hint else []
        return "\n".join(lines)

    def _repr_html_(self) -> str | None:
        return to_html(self)

    def _layers(self, what: str) -> list[Call]:
        """The self-attention calls, if a chain of all of them makes sense."""
        if not self._calls:
            raise SaccadeError(self._nothing())
        layers = [call for call in self._calls if call.kind != "cross"]
        advice = 'Choose the calls of one encoder first, such as trace["vision_model.*"].'
        if not layers:
            raise SaccadeError(f"{what} needs self-attention; all {len(self)} calls are cross-attention")
        components = dict.fromkeys(call.component for call in layers)
        if len(components) > 1:
            raise SaccadeError(
                f"{what} needs one model; the trace holds {', '.join(components)}. Choose the calls of one first, "
                f'such as trace["{next(iter(components))}.*"].'
            )
        if len({call.run for call in layers}) > 1:
            raise SaccadeError(
                f"{what} needs one forward pass; the trace holds {len({call.run for call in layers})}. "
                "Watch one pass at a time, or choose one such as trace.runs(0)."
            )
        self._check_whole(what, layers)
        check_no_siblings(what, layers)
        if other := next((call for call in layers if call.kind == "channels" or without_heads(call.note)), None):
            raise SaccadeError(f"{what} needs attention between tokens, by heads; of {other!r} {other.note}")
        if cached := next((call for call in layers if call.shape[2] != call.shape[3]), None):
            raise SaccadeError(
                f"{what} needs the whole sequence in one pass; {cached!r} has other sources than targets (a cache of "
                "keys). Watch one forward pass of the prompt with what was written."
            )
        sizes = Counter((call.shape[0], call.shape[2]) for call in layers)
        if len(sizes) > 1:
            found = ", ".join(f"{times} of {n} tokens (batch {b})" for (b, n), times in sizes.items())
            raise SaccadeError(f"{what} needs self-attention calls of one size; found {found}. {advice}")
        orders = {str(call.parts) for call in layers}
        if len(orders) > 1:
            raise SaccadeError(f"{what} needs one sequence of tokens; found {', '.join(sorted(orders))}. {advice}")
        check_layers(what, layers)
        return layers

    def _check_whole(self, what: str, calls: Sequence[Call]) -> None:
        """Raise SaccadeError if layers did not attend in the run of these calls."""
        (run,) = {call.run for call in calls}
        lacking = [name for name, runs in self.skipped.items() if run in runs]
        if lacking:
            raise SaccadeError(
                f"{what} needs all layers; in run {run} there is no call of {shorten_list(lacking)}, which attended in "
                "others: they were skipped or answered from a cache. Choose another run, or watch without the cache."
            )

    def _part(self, calls: Sequence[Call], missed: dict[str, str], why: str) -> "Trace":
        """Some of the calls. why: there are none, if so; "" where that is for what was missed."""
        part = Trace(calls, missed, self._hint)
        part.skipped = dict(self.skipped)
        part._why = self._why_empty() if not self._calls else f"The trace is empty: {why}." if why else ""
        return part

    def _why_empty(self) -> str:
        """Why it holds no calls, where that follows from the arguments of the watch."""
        return self._why or (self.stream.why_empty(self.missed) if self.stream is not None else "")

    def _nothing(self) -> str:
        if why := self._why_empty():
            return why
        if not self.missed:
            return f"The trace is empty: no attention call was made while it was watched. {self._hint}".strip()
        (name, why), *others = self.missed.items()
        more = f" (and {len(others)} more)" if others else ""
        return f"The trace is empty: what attended could not be seen. {name}{more}: {why}. {self._hint}".strip()


def _written(key: slice) -> str:
    """A slice as it is written."""
    start, stop, step = ("" if part is None else str(part) for part in (key.start, key.stop, key.step))
    return f"[{start}:{stop}{':' if step else ''}{step}]"
