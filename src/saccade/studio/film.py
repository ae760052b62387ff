"""A film on a page: its frames, and attention between all places of all frames, computed on demand from q and k."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float, Int
from PIL import Image
from torch import Tensor

from saccade.studio.budget import Attention, Fitted, fit
from saccade.studio.pack import Rounded
from saccade.studio.page import TARGETS_SHARE, data_url
from saccade.studio.queries import rounded
from saccade.studio.targets import Targets

Reach = Literal["film", "time", "space"]
TILE = 64  # target rows at once
FILL = 0.9  # of the bytes of a page, for attention and frames


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

    def token(self, group: int, row: int, column: int) -> int:
        """The token of a place."""
        return len(self.prefix) + group * self.patches + row * self.grid[1] + column

    def allowed(self, reach: Reach, targets: Int[Tensor, "i"]) -> Bool[Tensor, "i n"]:
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
class FilmCall:
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
        return weights(self.q[0][:, targets] @ k.transpose(1, 2) * self.scale, self.layout, self.reach, targets)[None]

    def tiles(self) -> Iterator[tuple[Int[Tensor, "i"], Float[Tensor, "h i n"]]]:
        """All patches with their rows, some at a time."""
        for targets in torch.arange(len(self.layout.prefix), self.layout.tokens).split(TILE):
            yield targets, self.rows(targets)[0]

    def distances(self) -> tuple[Float[Tensor, "h"], Float[Tensor, "h"]]:
        """How far each head looks: in time, in frames, and in space, in patches. Means over all patches of the distance
        to what a patch attends to among the patches, weighted by attention (in space: Dosovitskiy et al. 2021, D.7)."""
        layout, first = self.layout, len(self.layout.prefix)
        frame = torch.tensor(layout.centres, dtype=torch.float32).repeat_interleave(layout.patches)
        spot = torch.arange(layout.patches).repeat(len(layout.groups))
        place = torch.stack([spot // layout.grid[1], spot % layout.grid[1]], dim=-1).float()
        total = torch.zeros(2, self.q.shape[1])
        for targets, rows in self.tiles():
            among, at = rows[..., first:], targets - first
            far = torch.stack([(frame[at, None] - frame).abs(), torch.cdist(place[at], place)])  # (2 i n)
            share = among / among.sum(-1, keepdim=True).clamp_min(1e-30)
            total += torch.einsum("hin,din->dh", share, far)
        total /= layout.tokens - first
        return total[0], total[1]


def weights(
    scores: Float[Tensor, "h i n"], layout: FilmLayout, reach: Reach, targets: Int[Tensor, "i"]
) -> Float[Tensor, "h i n"]:
    """Softmax of scores over what each target may attend to, 0 elsewhere."""
    allowed = layout.allowed(reach, targets)
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


@dataclass(frozen=True)
class FilmAttention(Attention):
    """The calls of a film, for packing: the film is one tall picture, group under group."""

    calls: Sequence[Any]  # FilmCall, of which a page needs what `Call` has too

    def weights(self, layer: int, rounded: Rounded, rows: Sequence[int]) -> Float[Tensor, "h i m"]:
        call = self.calls[layer]
        return weights(rounded.scores(rows).double(), call.layout, call.reach, torch.as_tensor(rows))

    def sums(self, layer: int) -> Callable[[Rounded, int], tuple[Tensor, Tensor]]:
        call = self.calls[layer]
        if call.reach == "film":
            return Rounded.sums

        def within(rounded: Rounded, first: int) -> tuple[Tensor, Tensor]:
            lse = []
            for targets in torch.arange(call.layout.tokens).split(TILE):
                scores = rounded.scores(targets.tolist())
                scores = scores.masked_fill(~call.layout.allowed(call.reach, targets), -torch.inf)
                lse.append(scores.logsumexp(-1).nan_to_num(0.0, neginf=0.0))
            return torch.cat(lse, 1), torch.zeros(0)

        return within


@dataclass(frozen=True, kw_only=True)
class Film(Targets):
    """The frames of a film and the attention between all of its places, for the viewer's scene "film".

    layers: calls in order. start: the token that is selected first. speaker: name of the prefix token, or "mean" of all
    tokens, that the prediction is read from; "" for none. packed: by `fitting`.
    """

    kind = "film"

    layers: Sequence[FilmCall]
    layout: FilmLayout
    start: int
    speaker: str = ""
    packed: Fitted | None = None

    def __len__(self) -> int:
        return self.layout.tokens

    @property
    def names(self) -> list[str]:
        return [group_name(group) for group in self.layout.groups]

    @property
    def fitted(self) -> Fitted | None:
        return self.packed

    def first(self, n: int) -> "Film":
        return self  # nothing is left out of a film but whole layers, by `fitting`

    def truncation_note(self, n: int) -> str:
        return ""

    def fitting(self, budget: float) -> "Film":
        """Packed into what a page has besides its frames: it shows nothing else."""
        rows, columns = self.layout.grid
        attention = FilmAttention(self.layers, (len(self.layout.groups) * rows, columns))
        frames = sum(len(data_url(frame)) for frame in self.layout.frames)
        return replace(self, packed=fit(attention, int(budget / TARGETS_SHARE * FILL) - frames))

    def content(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        assert self.packed is not None
        layers = []
        for call, packed in zip(self.layers, self.packed.layers, strict=True):
            in_time, in_space = call.distances()
            shown = {
                "name": call.name,
                "layer": call.layer,
                "reach": call.reach,
                "heads": call.shape[1],
                "groups": call.k.shape[1],
                "width": call.q.shape[-1],
                "scale": call.scale,
                "time": rounded(in_time, 4),
                "space": rounded(in_space, 4),
            }
            layers.append(shown | (packed.meta if packed else {}))
        layout = self.layout
        return {
            "kind": self.kind,
            "names": self.names,
            "layers": layers,
            "prefix": list(layout.prefix),
            "frames": [
                {"src": data_url(frame), "time": round(time, 4)}
                for frame, time in zip(layout.frames, layout.times, strict=True)
            ],
            "groups": [list(group) for group in layout.groups],
            "start": self.start,
            "speaker": self.speaker,
            "precision": self.packed.words,
        }, {str(i): layer.data for i, layer in enumerate(self.packed.layers) if layer}


def group_name(group: Sequence[int]) -> str:
    """The frames of a group, from 1: "3", or "3–4"."""
    return str(group[0] + 1) if len(group) == 1 else f"{group[0] + 1}–{group[-1] + 1}"
