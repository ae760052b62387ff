"""Attention between the places of a film: where its tokens lie, and what each may attend to."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from PIL import Image
from torch import Tensor

from saccade.errors import SaccadeError
from saccade.lens import Call, Trace
from saccade.studio.page.page import missed_notes

Reach = Literal["film", "time", "space"]
TILE = 64  # target rows at once


@dataclass(frozen=True)
class FilmLayout:
    """Where the tokens of a film lie: the prefix, then the patches of each group of frames, row by row.

    frames: pictures, as the model sees them. times: of the frames, in seconds. groups: indices of the frames that each
    group of tokens covers: one frame, or a tube of several. grid: (rows, columns) of patches. prefix: names of the
    tokens before the patches.
    """

    frames: Sequence[Image.Image]
    times: Sequence[float]
    groups: Sequence[Sequence[int]]
    grid: tuple[int, int]
    prefix: Sequence[str] = ()

    @property
    def patches(self) -> int:
        """Patches of one group."""
        return self.grid[0] * self.grid[1]

    @property
    def tokens(self) -> int:
        """All of them."""
        return len(self.prefix) + len(self.groups) * self.patches

    @property
    def centres(self) -> list[float]:
        """The middle of each group, in frames."""
        return [sum(group) / len(group) for group in self.groups]

    @property
    def targets(self) -> Int[Tensor, "i"]:
        """Patches that attend to others."""
        return torch.arange(len(self.prefix), self.tokens)

    def token(self, group: int, row: int, column: int) -> int:
        """The token of a place."""
        return len(self.prefix) + group * self.patches + row * self.grid[1] + column

    def attention_mask(self, reach: Reach, targets: Int[Tensor, "i"]) -> Bool[Tensor, "i n"]:
        """Whether each target may attend to each token. A token of the prefix takes no part in attention over time;
        over space it attends to itself and to each group in turn, so that all tokens are allowed."""
        first, every = len(self.prefix), torch.arange(self.tokens)
        if reach == "film":
            return torch.ones(len(targets), self.tokens, dtype=torch.bool)
        group, patch = (every - first) // self.patches, (every - first) % self.patches
        inner = (targets >= first)[:, None] & (every >= first)[None]
        if reach == "time":
            return inner & (patch[targets][:, None] == patch[None])
        return ~inner | (group[targets][:, None] == group[None])


@dataclass(frozen=True)
class FilmAttentionCall:
    """One attention call over the tokens of a film.

    name: module path. layer: its layer, from 1. reach: "film", every token attends to every one; "time", each place
    attends to the same place in all groups; "space", each group attends to itself and the prefix, whose tokens do so
    once a group and keep the mean (Bertasius et al. 2021, "divided" attention). q (1 h n k), k (1 g n k).
    """

    name: str
    layer: int
    layout: FilmLayout
    q: Float[Tensor, "1 h n k"]
    k: Float[Tensor, "1 g n k"]
    scale: float
    reach: Reach = "film"
    v: None = None

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(1, h, n, n)."""
        return (1, self.q.shape[1], self.q.shape[2], self.k.shape[2])

    def rows(self, idx: Sequence[int] | Int[Tensor, "i"]) -> Float[Tensor, "1 h i n"]:
        """What the targets attend to; they sum to 1, to 0 for one that takes no part."""
        targets = torch.as_tensor(idx)
        k = self.k[0].repeat_interleave(self.q.shape[1] // self.k.shape[1], 0)
        return masked_softmax(self.q[0][:, targets] @ k.transpose(1, 2) * self.scale, self.layout, self.reach, targets)[
            None
        ]

    def attention_distances(self) -> tuple[Float[Tensor, "h"], Float[Tensor, "h"]]:
        """How far each head looks: in time, in frames, and in space, in patches. Means over all patches of the distance
        to what a patch attends to among the patches, weighted by attention (in space: Dosovitskiy et al. 2021, D.7)."""
        layout = self.layout
        centres = torch.tensor(layout.centres, dtype=torch.float32)
        in_time = torch.cdist(centres[:, None], centres[:, None])
        spots = torch.arange(layout.patches)
        places = torch.stack([spots // layout.grid[1], spots % layout.grid[1]], dim=-1).float()
        in_space = torch.cdist(places, places)
        k = self.k[0].repeat_interleave(self.q.shape[1] // self.k.shape[1], 0)
        if self.reach != "film":
            first = 0 if self.reach == "time" else len(layout.prefix)
            rows = divided_attention_scores(self.q[0], k, layout, self.reach).mul(self.scale).softmax(-1)[..., first:]
            far = (rows * (in_time if self.reach == "time" else in_space)).sum(-1) / rows.sum(-1).clamp_min(1e-30)
            found = far.mean(dim=(0, 2))
            return (found, torch.zeros_like(found)) if self.reach == "time" else (torch.zeros_like(found), found)
        first, total = len(layout.prefix), torch.zeros(2, self.q.shape[1])
        for targets in layout.targets.split(TILE):
            rows = self.rows(targets)[0, :, :, first:].unflatten(2, (len(layout.groups), layout.patches))
            group, place = (targets - first) // layout.patches, (targets - first) % layout.patches
            mass = rows.sum(dim=(2, 3)).clamp_min(1e-30)
            total[0] += ((rows.sum(dim=3) * in_time[group]).sum(-1) / mass).sum(-1)
            total[1] += ((rows.sum(dim=2) * in_space[place]).sum(-1) / mass).sum(-1)
        total /= len(layout.targets)
        return total[0], total[1]


def divided_attention_scores(
    q: Float[Tensor, "h n k"], k: Float[Tensor, "h n k"], layout: FilmLayout, reach: Literal["time", "space"]
) -> Float[Tensor, "b h i m"]:
    """q·k of divided attention, without the products that it has no use for. Over time, b counts the places, and i and
    m the groups; over space, b counts the groups, i their patches, and m the prefix and these patches."""
    first, size = len(layout.prefix), (len(layout.groups), layout.patches)
    targets, sources = (x[:, first:].unflatten(1, size) for x in (q, k))  # (h t p k)
    if reach == "time":
        return targets.permute(2, 0, 1, 3) @ sources.permute(2, 0, 3, 1)
    prefix = k[:, None, :first].expand(-1, size[0], -1, -1)
    return targets.transpose(0, 1) @ torch.cat([prefix, sources], dim=2).permute(1, 0, 3, 2)


def patch_logsumexp(
    scores: Float[Tensor, "b h i m"], layout: FilmLayout, reach: Literal["time", "space"]
) -> Float[Tensor, "h n"]:
    """Log of the sum of exp(score) of each patch, of `divided_attention_scores`; 0 for the prefix, which has none or
    several."""
    sums = scores.logsumexp(-1)  # (p h t) or (t h p)
    patches = (sums.permute(1, 2, 0) if reach == "time" else sums.transpose(0, 1)).flatten(1)
    return torch.cat([patches.new_zeros(len(patches), len(layout.prefix)), patches], dim=1)


def masked_softmax(
    scores: Float[Tensor, "h i n"], layout: FilmLayout, reach: Reach, targets: Int[Tensor, "i"]
) -> Float[Tensor, "h i n"]:
    """Softmax of scores over what each target may attend to, 0 elsewhere."""
    allowed = layout.attention_mask(reach, targets)
    rows = scores.masked_fill(~allowed, -torch.inf).softmax(dim=-1).nan_to_num(0.0)
    first = len(layout.prefix)
    if reach == "space":
        for i in (targets < first).nonzero()[:, 0].tolist():
            rows[:, i] = _mean_over_groups(scores[:, i], layout)
    return rows


def _mean_over_groups(scores: Float[Tensor, "h n"], layout: FilmLayout) -> Float[Tensor, "h n"]:
    """The mean over groups of a prefix token's weights over the prefix and the patches of that group."""
    first, count = len(layout.prefix), len(layout.groups)
    patches = scores[:, first:].unflatten(1, (count, layout.patches))
    prefix = scores[:, None, :first].expand(-1, count, -1)
    rows = torch.cat([prefix, patches], dim=2).softmax(dim=-1) / count
    return torch.cat([rows[..., :first].sum(dim=1), rows[..., first:].flatten(1)], dim=1)


def film_calls(
    trace: Trace, layout: FilmLayout, order: Int[Tensor, "n"] | None = None
) -> tuple[list[FilmAttentionCall], list[str]]:
    """The self-attention calls over all tokens of a film, and notes on the others.

    order: index in the model's tokens of each token of the layout, where the model has them in another order.

    Raises SaccadeError if there are none.
    """
    calls, notes = list[FilmAttentionCall](), missed_notes(trace)
    for call in trace:
        if why := misfit_reason(call, (1, layout.tokens)):
            notes.append(f"Not shown: {call.name}: {why}.")
            continue
        q, k = call.q.cpu().float(), call.k.cpu().float()
        if order is not None:
            q, k = q[:, :, order], k[:, :, order]
        calls.append(FilmAttentionCall(call.name, len(calls) + 1, layout, q, k, call.scale))
    return at_least_one(calls, notes, layout), notes


def misfit_reason(call: Call, expected: tuple[int, int]) -> str:
    """Why a call is not self-attention of this many sequences of tokens; "" if it is."""
    b, _, n, m = call.shape
    if call.kind != "self" or (n, m) != (expected[1], expected[1]) or b != expected[0]:
        return f"it is {call.kind}-attention of {b} x {n} to {m} tokens, not of {expected[0]} x {expected[1]} to itself"
    if call.masked:
        return "it has a mask"
    return "" if bool(call.q.isfinite().all() and call.k.isfinite().all()) else "its queries or keys are not all finite"


def at_least_one(calls: list[FilmAttentionCall], notes: list[str], layout: FilmLayout) -> list[FilmAttentionCall]:
    """These calls. Raises SaccadeError if there are none."""
    if not calls:
        found = " ".join(notes[:3])
        raise SaccadeError(
            f"no attention call fits a film of {len(layout.groups)} x {layout.grid[0]} x {layout.grid[1]} tokens after "
            f"{len(layout.prefix)} others. {found}"
        )
    return calls
