"""Edits that take attention from another run: its map (swap, freeze), or its sources (borrow).

A map is kept as q, k, mask and scale, so taking it over is taking those, with the values of the run at hand.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from saccade import ops
from saccade.errors import SaccadeError, shorten_list
from saccade.lens.attention.args import AttentionArgs
from saccade.lens.editing.base import Edit, Site, checked_indices, repeat_kv_heads, whole_mask
from saccade.lens.editing.edits import Heads
from saccade.lens.editing.joint_masks import concatenate_masks, merge_mask_columns
from saccade.lens.editing.limits import Pictures, limited
from saccade.lens.recognising.resolve import SCORES
from saccade.lens.trace.call import Call
from saccade.lens.trace.trace import Trace

LARGEST = 1e4  # difference of two log-sum-exps: beyond it a row of one run has no scores of an ordinary size


def swap(
    trace: Trace,
    tokens: Mapping[int, int] | None = None,
    heads: Heads = None,
    pictures: Pictures | None = None,
    call: int | None = None,
) -> Edit:
    """Attend as another run did: q, k, mask and scale of the recorded call, v of this run.

    Each call takes the map of the recorded call of the same module name, of the same run and of the same order in it:
    a call of the fifth run in the block (the fifth sampling step) that of the fifth run in the trace. A trace of one
    run, whichever it is, gives its calls in their order. This is word swap of prompt-to-prompt (Hertz et al. 2022,
    3.2); `during` gives it a range of steps.

    tokens: {source of this run: source of the recorded run}. Then only those sources take their column from the
    recorded map, the others keep that of this run, and each row is scaled to sum to 1. This is prompt refinement
    (Hertz et al. 2022, 3.2, "adding a new phrase"), in which the rows are not scaled. Done as one call, whose q and
    k hold both runs side by side.

    heads, pictures, call: see `limited`. Gradients do not flow into the recorded run. Raises SaccadeError, in the
    forward pass, if the trace has no such call or its (b h n m) does not fit.
    """
    if not isinstance(trace, Trace):
        raise SaccadeError(f"swap was given a {type(trace).__name__}; expected the Trace of another run")
    if tokens is not None and not (isinstance(tokens, Mapping) and tokens and all(map(_is_pair, tokens.items()))):
        raise SaccadeError(f"swap: tokens {tokens!r}; expected {{source of this run: source of the recorded run}}")
    edit = _Swap(_Recorded.of(trace, "swap"), None if tokens is None else dict(tokens))
    return limited(edit, heads, pictures, call)


def borrow(
    trace: Trace, append: bool = False, heads: Heads = None, pictures: Pictures | None = None, call: int | None = None
) -> Edit:
    """Attend to what another run attended to: k and v of the recorded call, q and scale of this run.

    Carries style and looks from one picture to another (in self-attention, as in MasaCtrl, Cao et al. 2023, 3.2).
    append: attend to both, this run's sources first and the recorded ones after them (as extended attention of
    ConsiStory, Tewel et al. 2024, 3.2, does). Calls are matched as by `swap`; the mask goes with its sources. A
    trace shows such a call as "cross", since its sources are not the targets.

    heads, pictures, call: see `limited`; not with append. The trace must hold values: `watch(model, values=True)`.
    Gradients do not flow into the recorded run.
    """
    if not isinstance(trace, Trace):
        raise SaccadeError(f"borrow was given a {type(trace).__name__}; expected the Trace of another run")
    for recorded in trace:
        if recorded.v is None:
            raise SaccadeError(
                f"borrow: the trace holds no v of {recorded.name!r}; record with watch(model, values=True)"
            )
    return limited(_Borrow(_Recorded.of(trace, "borrow"), append), heads, pictures, call)


def freeze(heads: Heads = None, pictures: Pictures | None = None, call: int | None = None) -> Edit:
    """Keep the map of the first run within the block for all later runs: q, k, mask and scale of the first, v of each.

    Within `during` the first run is the first of its range. Each call takes the map of the same call (module name
    and order) of the first run. heads, pictures, call: see `limited`. Gradients do not flow from later runs into the
    first.
    """
    return limited(_Freeze(), heads, pictures, call)


@dataclass(frozen=True, eq=False)
class _Recorded:
    """The calls of a trace by name, in order. runs: how many runs they are of."""

    edit: str
    calls: dict[str, list[Call]]
    missed: dict[str, str]
    skipped: dict[str, set[int]]
    runs: int

    @classmethod
    def of(cls, trace: Trace, edit: str) -> "_Recorded":
        calls: dict[str, list[Call]] = {}
        for call in trace:
            calls.setdefault(call.name.partition("#")[0], []).append(call)  # an edit counts what is made side by side
        return cls(edit, calls, trace.missed, trace.skipped, len({call.run for call in trace}))

    def at(self, site: Site) -> Call:
        """The call that belongs to the one at hand."""
        calls = self.calls.get(site.name, [])
        where = f"{self.edit} of {site.name!r}"
        if site.name in self.missed and (not calls or site.run in self.skipped.get(site.name, ())):
            raise SaccadeError(f"{where}: the recorded run could not be seen there: {self.missed[site.name]}")
        if not calls:
            raise SaccadeError(
                f"{where}: the trace holds no call of that name; there are {shorten_list(self.calls) or 'none'}"
            )
        nth = site.nth
        if self.runs > 1:
            nth, calls = site.nth_in_run, [call for call in calls if call.run == site.run]
        if nth < len(calls):
            return calls[nth]
        raise SaccadeError(
            f"{where}: call {nth} of that name within {f'run {site.run}' if self.runs > 1 else 'the block'} (from 0), "
            f"but the trace holds {len(calls)}; record as many runs, or limit the edit by during(...)"
        )


@dataclass(frozen=True, eq=False)
class _Swap(Edit):
    recorded: _Recorded
    tokens: dict[int, int] | None

    def rewrite(self, arguments: AttentionArgs, site: Site) -> AttentionArgs:
        call, where = self.recorded.at(site), f"swap of {site.name!r}"
        if self.tokens is None:
            return _with_map(arguments, call, where)
        return swapped_columns(arguments, call, self.tokens, where)


@dataclass(frozen=True, eq=False)
class _Borrow(Edit):
    recorded: _Recorded
    append: bool

    def rewrite(self, arguments: AttentionArgs, site: Site) -> AttentionArgs:
        call, where = self.recorded.at(site), f"borrow of {site.name!r}"
        other = _like(arguments, call)
        (b, h, n, _), width = arguments.q.shape, arguments.v.shape[3]
        if arguments.scores or other.scores:
            which = "this" if arguments.scores else "the recorded"
            raise SaccadeError(f"{where}: {which} call is known by its scores only, not by queries and keys to compare")
        if (b, h) != call.shape[:2] or arguments.q.shape[3] != call.q.shape[3] or other.v.shape[3] != width:
            raise SaccadeError(
                f"{where}: the recorded call has (b h n m) {call.shape} with heads of k {call.q.shape[3]}, "
                f"v {other.v.shape[3]}; expected b={b} h={h}, k {arguments.q.shape[3]}, v {width}"
            )
        mask = whole_mask(other)
        if mask is not None and mask.ndim > 1 and mask.shape[-2] not in (1, n):
            raise SaccadeError(f"{where}: the mask of the recorded call is of {mask.shape[-2]} targets; expected {n}")
        if not self.append:
            new = replace(arguments, k=other.k, v=other.v, mask=mask, causal=False, borrowed=True)
            return new if new.k.shape[1] == new.v.shape[1] else repeat_kv_heads(new)
        own, other = repeat_kv_heads(arguments), repeat_kv_heads(replace(arguments, k=other.k, v=other.v))
        joint = concatenate_masks(whole_mask(arguments), mask, arguments.k.shape[2], other.k.shape[2], arguments.q)
        k, v = torch.cat([own.k, other.k], dim=2), torch.cat([own.v, other.v], dim=2)
        return replace(arguments, k=k, v=v, mask=joint, causal=False, borrowed=True)


@dataclass(frozen=True, eq=False)
class _Freeze(Edit):
    def rewrite(self, arguments: AttentionArgs, site: Site) -> AttentionArgs:
        first = site.memory.setdefault((self, site.name), site.run)
        here = (self, site.name, site.nth_in_run)
        if site.run == first:
            site.memory[here] = _call_of(arguments, site.name)
            return arguments
        where = f"freeze of {site.name!r}"
        if here not in site.memory:
            raise SaccadeError(
                f"{where}: call {site.nth_in_run} of that name within run {site.run} (from 0), of which run {first}, "
                "whose maps are kept, had fewer"
            )
        return _with_map(arguments, site.memory[here], where)


def _with_map(arguments: AttentionArgs, call: Call, where: str) -> AttentionArgs:
    """The map of a recorded call with the values of this one."""
    _same_shape(arguments, call, where)
    other = _like(arguments, call)
    new = replace(other, v=arguments.v)
    return new if new.k.shape[1] == new.v.shape[1] else repeat_kv_heads(new)


def swapped_columns(arguments: AttentionArgs, call: Call, tokens: dict[int, int], where: str) -> AttentionArgs:
    """The map of this run with columns of the recorded one, rows scaled to sum to 1.

    The weight of source j is exp(s_ij − lse_i), of this run or, where j is mapped, of column tokens[j] of the
    recorded one. A softmax is free to shift a row, so one difference of the two lse is enough: it is one more entry
    of q, for which k has 1 where j is mapped and 0 elsewhere. (In two parts, as 16 bits are too few for it.)
    """
    if call.shape[:3] != tuple(arguments.q.shape[:3]):
        raise SaccadeError(
            f"{where}: the recorded call has (b h n) {call.shape[:3]}; expected {(*arguments.q.shape[:3],)}"
        )
    own, other = repeat_kv_heads(arguments), repeat_kv_heads(_like(arguments, call))
    m, theirs = own.k.shape[2], other.k.shape[2]
    mapped = {checked_indices([i], m, "source", where)[0]: checked_indices([j], theirs, "recorded source", where)[0]
              for i, j in tokens.items()}  # fmt: skip
    scale = ops.default_scale(arguments.q) if arguments.scale is None else arguments.scale
    if scale == 0:
        raise SaccadeError(f"{where}: the scale of the scores is 0; expected another for a swap of single tokens")
    lse = _lse(replace(arguments, scale=scale))
    shift = (lse - call.lse.to(lse))[..., None] / scale
    if not bool((shift.abs() < LARGEST).all()):
        raise SaccadeError(
            f"{where}: the runs' scores differ by {float(shift.abs().max()):.3g}, as where all sources of a target are "
            "masked by a huge negative number; expected boolean masks or -inf for a swap of single tokens"
        )
    high = shift.to(arguments.q.dtype)
    low = (shift - high).to(arguments.q.dtype)
    at = torch.tensor([mapped.get(i, 0) for i in range(m)], device=arguments.q.device)
    taken = torch.tensor([i in mapped for i in range(m)], device=arguments.q.device)
    one = taken.to(arguments.q.dtype)[:, None].expand(*own.k.shape[:3], 1)
    q = torch.cat([own.q, other.q * (call.scale / scale), high, low], dim=-1)
    theirs_k = other.k[:, :, at].masked_fill(~taken[:, None], 0.0)
    k = torch.cat([own.k.masked_fill(taken[:, None], 0.0), theirs_k, one, one], dim=-1)
    mask = merge_mask_columns(whole_mask(arguments), whole_mask(other), taken, at, arguments.q)
    return replace(own, q=q, k=k, mask=mask, scale=scale, causal=False, scores=arguments.scores or other.scores)


def _lse(arguments: AttentionArgs) -> Float[Tensor, "b h n"]:
    """Log-sum-exp of the scores; 0 for a target that may attend to nothing. In tiles, unless its gradient is needed,
    which takes n x m memory."""
    if not (torch.is_grad_enabled() and (arguments.q.requires_grad or arguments.k.requires_grad)):
        return _call_of(arguments).lse
    scores = ops.score(arguments.q, arguments.k, arguments.mask, arguments.scale, arguments.causal)
    empty = scores.isneginf().all(dim=-1)
    return scores.masked_fill(empty[..., None], 0.0).logsumexp(dim=-1).masked_fill(empty, 0.0)


def _call_of(arguments: AttentionArgs, name: str = "") -> Call:
    """A call with these arguments, without its values."""
    q, k, mask, note = arguments.q, arguments.k, arguments.mask, SCORES if arguments.scores else ""
    return Call(name, "self", q, k, mask=mask, scale=arguments.scale, causal=arguments.causal, note=note)


def _like(arguments: AttentionArgs, call: Call) -> AttentionArgs:
    """The recorded call on the device and in the dtype of the one at hand."""

    def like(t: Tensor) -> Tensor:
        t = t.to(arguments.v.device, arguments.v.dtype)
        # autograd keeps no tensor that was made in inference mode
        return t.clone() if t.is_inference() and not torch.is_inference_mode_enabled() else t

    if call.lengths:
        raise SaccadeError(f"{call.name!r} holds {len(call.lengths)} windows in one call, which cannot be put in place")
    mask = call.mask
    if mask is not None:
        mask = mask.to(arguments.v.device) if mask.dtype == torch.bool else like(mask)
    v = arguments.v if call.v is None else like(call.v)
    return replace(
        arguments, q=like(call.q), k=like(call.k), v=v, mask=mask, scale=call.scale, causal=call.causal,
        scores=SCORES in call.note,
    )  # fmt: skip


def _same_shape(arguments: AttentionArgs, call: Call, where: str) -> None:
    expected = (*arguments.q.shape[:3], arguments.v.shape[2])
    if call.shape != expected:
        raise SaccadeError(f"{where}: the recorded call has (b h n m) {call.shape}; expected {expected}")


def _is_pair(pair: tuple[object, object]) -> bool:
    return all(isinstance(i, int) and not isinstance(i, bool) for i in pair)
