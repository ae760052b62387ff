"""Where a decoder's queries look, one an object or one a class, in every layer that can be seen.

Two kinds of network are known by the shapes of their calls alone. A decoder's queries attend to the picture's patches
(cross-attention) and to one another (DETR and ours). Or the queries are tokens among the patches, after them, and both
are parts of one self-attention (YOLOS).
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

    looks: weights over the m patches of the picture. among: weights over one another's queries, None where it could
    not be told. tokens: how many tokens a row of `looks` was shared over; more than m where queries and patches are
    tokens of one self-attention.
    """

    name: str
    looks: Float[Tensor, "h n m"]
    among: Float[Tensor, "h n n"] | None
    tokens: int

    def inside(self, cover: Float[Tensor, "n m"]) -> Float[Tensor, "h+1 n"]:
        """The share of what each query gives to the patches that lies in its place: of the mean of the heads,
        then of each head. cover: the part of each patch that is its place, 0 to 1."""
        looks = torch.cat([self.looks.mean(dim=0, keepdim=True), self.looks])
        return (looks * cover).sum(dim=-1) / looks.sum(dim=-1).clamp(min=1e-12)

    def entropy(self) -> Float[Tensor, "h n"]:
        """In nats, over the patches alone: 0 (one patch) to log m (all alike)."""
        share = self.looks / self.looks.sum(dim=-1, keepdim=True).clamp(min=1e-12)
        return torch.special.entr(share).sum(dim=-1)

    def packed(self) -> tuple[bytes, list[list[float]]]:
        """The maps as bytes, head by head and query by query, compressed, and the largest weight of each (h n).

        weight = largest · (byte / 255)²: off by at most 1/255 of the largest, and by less where weights are small.
        """
        most = self.looks.amax(dim=-1)
        coded = (self.looks / most.clamp(min=1e-30)[..., None]).clamp(min=0).sqrt().mul(_BYTE).round()
        return zlib.compress(coded.to(torch.uint8).contiguous().numpy().tobytes(), 9), rounded(most, 6)


@dataclass(frozen=True)
class QueryLayers:
    """The layers in which queries were seen to look at patches, the calls that are none of theirs, and what to say of
    those that could not be shown."""

    layers: list[QueryLayer]
    others: Trace
    notes: list[str]


def query_layers(trace: Trace, queries: Int64[Tensor, "n"], count: int, patches: int, prefix: int = 0) -> QueryLayers:
    """What some of `count` queries attended to, in every layer of one forward pass over one picture.

    queries: indices of those to keep. patches: of the picture, m. prefix: tokens before the patches where queries
    are tokens beside them. Calls are told by their kind and shape, and the self-attention of a decoder's layer by the
    module that holds both of its attentions; what does not fit is left out and named in the notes.
    """
    cross = [call for call in trace if call.kind == "cross" and call.shape[2:] == (count, patches)]
    tokens = prefix + patches + count
    joint = [call for call in trace if call.kind == "self" and call.shape[2:] == (tokens, tokens)]
    layers, used, notes = list[QueryLayer](), list[Call](), list[str]()
    for call in cross or joint:
        if why := _unfit(call, (cross or joint)[0]):
            notes.append(f"Not shown: {call.name}: {why}.")
            continue
        used.append(call)
        if not cross:
            layers.append(_joint(call, queries, patches, prefix))
            continue
        own = _beside(call, trace, count)
        if own is None:
            notes.append(f"Of {call.name} it could not be told how its queries attend to one another.")
        else:
            used.append(own)
        layers.append(_crossed(call, own, queries))
    if layers and not cross:
        notes.append("Patches and queries attend together in its layers: attention of patches alone is not shown.")
    others = Trace([call for call in trace if not any(call is one for one in used)], trace.missed)
    if not layers:
        notes.append(f"No layer was seen in which {count} queries attend to {patches} patches: there are no maps.")
    return QueryLayers(layers, others, [*notes, *_unlike(others, count, patches)])


def _unfit(call: Call, first: Call) -> str:
    if call.shape[0] != 1:
        return "it holds more than one picture"
    if call.run != first.run:
        return "it is of another forward pass"
    return "" if bool(call.q.isfinite().all() and call.k.isfinite().all()) else "its queries or keys are not all finite"


def _beside(call: Call, trace: Trace, count: int) -> Call | None:
    """The only self-attention among the queries in the module that holds this cross-attention."""
    found = [
        one
        for one in trace
        if one.kind == "self" and one.shape[2:] == (count, count) and not _unfit(one, call)
        if _holder(one) == _holder(call)
    ]
    return found[0] if len(found) == 1 else None


def _holder(call: Call) -> str:
    return call.name.rpartition(".")[0]


def _crossed(call: Call, own: Call | None, queries: Tensor) -> QueryLayer:
    among = None if own is None else own.rows(queries)[0][:, :, queries.to(own.q.device)].cpu()
    return QueryLayer(call.name, call.rows(queries)[0].cpu(), among, call.shape[3])


def _joint(call: Call, queries: Tensor, patches: int, prefix: int) -> QueryLayer:
    targets = queries + prefix + patches
    rows = call.rows(targets)[0].cpu()
    return QueryLayer(call.name, rows[..., prefix : prefix + patches], rows[..., targets.cpu()], call.shape[3])


def _unlike(others: Trace, count: int, patches: int) -> list[str]:
    """Cross-attention of other sizes, which the page has no place for."""
    return [
        f"Not shown: {call.name}: {call.shape[2]} targets attend to {call.shape[3]} sources there, not {count} queries "
        f"to {patches} patches."
        for call in others
        if call.kind == "cross"
    ]


def rounded(x: Tensor, digits: int = 3) -> Any:
    """Nested lists of numbers with so many significant digits."""
    x = x.cpu().double()  # not every device has float64
    return _each(torch.nan_to_num(x).tolist(), lambda value: float(f"{value:.{digits}g}"))


def _each(nested: Any, do: Callable[[float], float]) -> Any:
    return [_each(one, do) for one in nested] if isinstance(nested, list) else do(nested)
