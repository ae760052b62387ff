"""What each step of writing attended to, kept as it passes: sums by place, never a map."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from saccade.lens import Call
from saccade.tasks.ask.answer import LayerAttention
from saccade.tasks.ask.image_token_layout import ImageTokenLayout


class AttentionRecorder:
    """Keeps of each call of the network of text the last row, summed up by places and shares.

    A view of `watch`: called with every attention call as it passes.
    """

    def __init__(self, places: ImageTokenLayout, kind: Literal["self", "cross"]):
        self._kind = kind
        self._sources, self._image = places.sources, places.image
        self._mix, self._count = places.mix, places.count
        self._place_of = places.token_places() if places.mix is None else torch.zeros(0)
        self._calls: dict[str, int] = {}
        self._others: set[str] = set()
        self._rows: dict[str, list[tuple[Tensor, Tensor]]] = {}
        self._tokens: dict[str, int] = {}
        self._left_out: dict[str, str] = {}

    def __call__(self, call: Call) -> None:
        step = self._calls.get(call.name, 0)
        if step == 0 and call.kind != self._kind:  # the kind of a module's first call holds for all
            self._others.add(call.name)
            if self._kind == "self":
                self._left_out[call.name] = f"it is cross-attention to {call.shape[3]} other sources"
        if call.name in self._others:
            return
        self._calls[call.name] = step + 1
        b, _, n, m = call.shape
        known = self._sources + (step if self._kind == "self" else 0)
        first = self._sources if self._kind == "self" else n
        if b != 1 or m < known or (step == 0 and n != first) or n not in (1, first, known):
            self._left_out[call.name] = f"it has {m} sources in step {step}, where {known} tokens are known"
            return
        row = call.rows(-1)[0, :, 0].float().cpu()
        if bool(row[:, known:].any()):
            self._left_out[call.name] = "it attends to more than the prompt and the words before"
            return
        self._rows.setdefault(call.name, []).append(self._summed(row, known))
        self._tokens[call.name] = known

    def _summed(self, row: Float[Tensor, "h m"], known: int) -> tuple[Float[Tensor, "h p"], Float[Tensor, "h 4"]]:
        prompt = row[:, : self._sources]
        if self._mix is None:
            there = self._place_of >= 0
            weights = torch.zeros(len(row), self._count).index_add_(1, self._place_of[there], prompt[:, there])
        else:
            weights = prompt @ self._mix
        image = (prompt * self._image).sum(dim=1)
        located, written = weights.sum(dim=1), row[:, self._sources : known].sum(dim=1)
        text = (1 - image - written).clamp(min=0)
        return weights, torch.stack([located, (image - located).clamp(min=0), text, written], dim=1)

    def layers(self, steps: int) -> list[LayerAttention]:
        """Of every module that was seen once in each of all steps, in order."""
        out = []
        for name, rows in self._rows.items():
            if len(rows) != steps:
                self._left_out.setdefault(name, f"it was seen in {len(rows)} of {steps} steps")
                continue
            weights, shares = (torch.stack(each, dim=1) for each in zip(*rows, strict=True))
            out.append(LayerAttention(name, weights, shares, self._tokens[name]))
        return out

    def notes(self) -> list[str]:
        """On layers that were left out."""
        return [f"not shown: {name}: {why}" for name, why in list(self._left_out.items())[:3]]
