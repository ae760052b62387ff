"""The attention of a decoder's queries, one per object or one per class, in every layer that can be recorded.

Two kinds of network are recognized by the shapes of their calls alone. A decoder's queries attend to the image's
patches (cross-attention) and to one another (DETR and ours). Or the queries are tokens after the patches, and both are
parts of one self-attention (YOLOS).
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from saccade.lens import Call, Trace

_BYTE = 255


@dataclass(frozen=True)
class QueryLayer:
    """What n queries attended to in one layer.

    weights: over the m patches of the image. self_weights: over these n queries, None where the call is ambiguous.
    tokens: number of tokens that the softmax of a row of `weights` runs over; more than m where queries and patches
    are tokens of one self-attention.
    """

    name: str
    weights: Float[Tensor, "h n m"]
    self_weights: Float[Tensor, "h n n"] | None
    tokens: int

    def attention_inside_region(self, cover: Float[Tensor, "n m"]) -> Float[Tensor, "h+1 n"]:
        """Share of each query's attention to the patches that lies in its region: of the mean of the heads, then of
        each head. cover: the share of each patch that is in its region, 0 to 1."""
        weights = torch.cat([self.weights.mean(dim=0, keepdim=True), self.weights])
        return (weights * cover).sum(dim=-1) / weights.sum(dim=-1).clamp(min=1e-12)

    def entropy(self) -> Float[Tensor, "h n"]:
        """In nats, over the patches alone: 0 (one patch) to log m (uniform)."""
        share = self.weights / self.weights.sum(dim=-1, keepdim=True).clamp(min=1e-12)
        return torch.special.entr(share).sum(dim=-1)

    def packed(self) -> tuple[bytes, list[list[float]]]:
        """The maps as bytes, head by head and query by query, compressed, and the largest weight of each (h n).

        weight = largest · (byte / 255)²: off by at most 1/255 of the largest, and by less where weights are small.
        """
        most = self.weights.amax(dim=-1)
        coded = (self.weights / most.clamp(min=1e-30)[..., None]).clamp(min=0).sqrt().mul(_BYTE).round()
        return zlib.compress(coded.to(torch.uint8).contiguous().numpy().tobytes(), 9), rounded(most, 6)


@dataclass(frozen=True)
class QueryLayers:
    """The layers in which queries attend to patches, all other calls, and notes on those that could not be shown."""

    layers: list[QueryLayer]
    others: Trace
    notes: list[str]


def query_layers(trace: Trace, queries: Int64[Tensor, "n"], count: int, patches: int, prefix: int = 0) -> QueryLayers:
    """What some of `count` queries attended to, in every layer of one forward pass over one image.

    queries: indices of those to keep. patches: number of patches, m. prefix: tokens before the patches where queries
    are tokens beside them. Calls are recognized by their kind and shape, and the self-attention of a decoder layer by
    the parent module of both of its attentions; what does not fit is left out and named in the notes.
    """
    cross = [call for call in trace if call.kind == "cross" and call.shape[2:] == (count, patches)]
    tokens = prefix + patches + count
    joint = [call for call in trace if call.kind == "self" and call.shape[2:] == (tokens, tokens)]
    layers, used, notes = list[QueryLayer](), list[Call](), list[str]()
    for call in cross or joint:
        if why := _misfit(call, (cross or joint)[0]):
            notes.append(f"Not shown: {call.name}: {why}.")
            continue
        used.append(call)
        if not cross:
            layers.append(_joint(call, queries, patches, prefix))
            continue
        own = _self_attention_of(call, trace, count)
        if own is None:
            notes.append(f"{call.name}: its queries' own self-attention is ambiguous and not shown.")
        else:
            used.append(own)
        layers.append(_separate(call, own, queries))
    if layers and not cross:
        notes.append("Patches and queries attend together in its layers: attention of patches alone is not shown.")
    others = Trace([call for call in trace if not any(call is one for one in used)], trace.missed)
    if not layers:
        notes.append(f"No layer was recorded in which {count} queries attend to {patches} patches: there are no maps.")
    return QueryLayers(layers, others, [*notes, *_other_cross_attention(others, count, patches)])


def _misfit(call: Call, first: Call) -> str:
    if call.shape[0] != 1:
        return "it holds more than one image"
    if call.run != first.run:
        return "it belongs to another forward pass"
    return "" if bool(call.q.isfinite().all() and call.k.isfinite().all()) else "its queries or keys are not all finite"


def _self_attention_of(call: Call, trace: Trace, count: int) -> Call | None:
    """The only self-attention between the queries under the parent module of this cross-attention."""
    found = [
        one
        for one in trace
        if one.kind == "self" and one.shape[2:] == (count, count) and not _misfit(one, call)
        if _parent(one) == _parent(call)
    ]
    return found[0] if len(found) == 1 else None


def _parent(call: Call) -> str:
    return call.name.rpartition(".")[0]


def _separate(call: Call, own: Call | None, queries: Tensor) -> QueryLayer:
    self_weights = None if own is None else own.rows(queries)[0][:, :, queries.to(own.q.device)].cpu()
    return QueryLayer(call.name, call.rows(queries)[0].cpu(), self_weights, call.shape[3])


def _joint(call: Call, queries: Tensor, patches: int, prefix: int) -> QueryLayer:
    targets = queries + prefix + patches
    rows = call.rows(targets)[0].cpu()
    return QueryLayer(call.name, rows[..., prefix : prefix + patches], rows[..., targets.cpu()], call.shape[3])


def _other_cross_attention(others: Trace, count: int, patches: int) -> list[str]:
    """Notes on cross-attention of other sizes, which the page cannot show."""
    return [
        f"Not shown: {call.name}: {call.shape[2]} targets attend to {call.shape[3]} sources there, not {count} queries "
        f"to {patches} patches."
        for call in others
        if call.kind == "cross"
    ]


def rounded(x: Tensor, digits: int = 3) -> Any:
    """Nested lists of numbers, rounded to `digits` significant digits."""
    x = x.cpu().double()  # not every device has float64
    return _map_nested(torch.nan_to_num(x).tolist(), lambda value: float(f"{value:.{digits}g}"))


def _map_nested(nested: Any, function: Callable[[float], float]) -> Any:
    return [_map_nested(one, function) for one in nested] if isinstance(nested, list) else function(nested)
