"""A film on a page: its frames, and attention between all places of all frames, computed on demand from q and k."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from saccade.studio.film.attention import (
    FilmAttentionCall,
    FilmLayout,
    divided_attention_scores,
    masked_softmax,
    patch_logsumexp,
)
from saccade.studio.page.budget import PackingResult, PageAttention, pack_to_budget
from saccade.studio.page.pack import QuantizedQueriesKeys
from saccade.studio.page.page import TARGETS_SHARE, data_url
from saccade.studio.page.queries import rounded
from saccade.studio.page.targets import Targets

FILL = 0.9  # of the bytes of a page, for attention and frames


@dataclass(frozen=True)
class FilmAttention(PageAttention):
    """The calls of a film, for packing: the film is one tall picture, group under group."""

    calls: Sequence[Any]  # FilmCall, of which a page needs what `Call` has too

    def weights(self, layer: int, rounded: QuantizedQueriesKeys, rows: Sequence[int]) -> Float[Tensor, "h i m"]:
        call = self.calls[layer]
        return masked_softmax(rounded.scores(rows).double(), call.layout, call.reach, torch.as_tensor(rows))

    def row_statistics_function(self, layer: int) -> Callable[[QuantizedQueriesKeys, int], tuple[Tensor, Tensor]]:
        call = self.calls[layer]
        if call.reach == "film":
            return QuantizedQueriesKeys.row_statistics

        def within(rounded: QuantizedQueriesKeys, first: int) -> tuple[Tensor, Tensor]:
            group = rounded.q.shape[0] // rounded.k.shape[0]
            q = rounded.q * (rounded.gain * rounded.scale).repeat_interleave(group, 0)[:, None]
            products = divided_attention_scores(q, rounded.k.repeat_interleave(group, 0), call.layout, call.reach)
            return patch_logsumexp(products, call.layout, call.reach), torch.zeros(0)

        return within


@dataclass(frozen=True, kw_only=True)
class FilmPageData(Targets):
    """The frames of a film and the attention between all of its places, for the viewer's scene "film".

    layers: calls in order. start: the token that is selected first. speaker: name of the prefix token, or "mean" of all
    tokens, that the prediction is read from; "" for none. packed: by `fitting`.
    """

    kind = "film"

    layers: Sequence[FilmAttentionCall]
    layout: FilmLayout
    start: int
    speaker: str = ""
    packed: PackingResult | None = None

    def __len__(self) -> int:
        return self.layout.tokens

    @property
    def names(self) -> list[str]:
        return [frame_range_label(group) for group in self.layout.groups]

    @property
    def packing_result(self) -> PackingResult | None:
        return self.packed

    def first_targets(self, n: int) -> "FilmPageData":
        return self  # nothing is left out of a film but whole layers, by `fitting`

    def truncation_note(self, n: int) -> str:
        return ""

    def fitting(self, budget: float) -> "FilmPageData":
        """Packed into what a page has besides its frames: it shows nothing else."""
        rows, columns = self.layout.grid
        attention = FilmAttention(self.layers, (len(self.layout.groups) * rows, columns))
        frames = sum(len(data_url(frame)) for frame in self.layout.frames)
        return replace(self, packed=pack_to_budget(attention, int(budget / TARGETS_SHARE * FILL) - frames))

    def content(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        assert self.packed is not None
        layers = []
        for call, packed in zip(self.layers, self.packed.layers, strict=True):
            in_time, in_space = call.attention_distances()
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


def frame_range_label(group: Sequence[int]) -> str:
    """The frames of a group, from 1: "3", or "3–4"."""
    return str(group[0] + 1) if len(group) == 1 else f"{group[0] + 1}–{group[-1] + 1}"
