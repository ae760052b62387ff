"""A trace without a picture as a page: the list of its calls, and rows of each as bars over its sources."""

import zlib
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from saccade.errors import SaccadeError
from saccade.lens import Call, Trace
from saccade.studio.notebook.iframe import iframe_html
from saccade.studio.page.document import render_document

BYTES = 1_500_000  # of all rows together, before they are compressed
MOST_CALLS = 300  # with rows; a trace of a denoiser has thousands
MOST_ROWS = 256  # a call
HEIGHT = 560


def trace_html(trace: Trace) -> str:
    """A trace as the output of a notebook's cell."""
    return iframe_html(trace_page(trace).decode("utf-8"), "Attention calls", HEIGHT)


def trace_page(trace: Trace) -> bytes:
    """A page of at most about `BYTES`: every call by name, kind and shape, and of each the weights of some targets.

    Weights are of the first picture of a batch. Where not all fit, targets are left out evenly, then heads (their mean
    stays), then calls, and the page says so.
    """
    calls = list(trace[:MOST_CALLS]) if len(trace) else []
    share = BYTES // max(1, len(calls))
    entries, data = [], {}
    for i, call in enumerate(calls):
        entry, packed = _entry(call, share)
        entries.append(entry)
        if packed:
            data[f"call-{i}"] = packed
    content = {
        "title": f"{len(trace)} attention call{'s' * (len(trace) != 1)}",
        "calls": entries,
        "count": len(trace),
        "missed": list(trace.missed.items()),
        "empty": "" if len(trace) else repr(trace).splitlines()[-1],
    }
    return render_document("calls", content, data)


def _entry(call: Call, share: int) -> tuple[dict[str, Any], bytes]:
    """What the page says of a call, and the weights of some of its targets."""
    entry: dict[str, Any] = {
        "name": call.name,
        "kind": call.kind,
        "shape": call.shape,
        "run": call.run,
        "note": call.note,
        "parts": _spans(call.parts if call.source_parts is None else call.source_parts),
        "targets": [],
    }
    n, m = call.shape[2:]
    heads = call.shape[1] if call.shape[1] * m <= share else 1
    rows = min(n, MOST_ROWS, share // max(1, heads * m))
    if not rows or not call.shape[0]:
        return entry, b""
    targets = torch.linspace(0, n - 1, rows).round().long().unique().tolist()
    try:
        weights = _weights(call, targets)
    except SaccadeError as error:
        return {**entry, "note": str(error)}, b""
    weights = weights if heads == call.shape[1] else weights.mean(0, keepdim=True)
    return {**entry, "targets": targets, "heads": heads}, _packed(weights)


@torch.no_grad()
def _weights(call: Call, targets: list[int]) -> Float[Tensor, "h t m"]:
    """Of some targets of the first picture, as a call of these alone: for other rows nothing is computed."""
    q, k, mask = call.q, call.k, call.mask
    mask = None if mask is None else mask.expand(call.shape)[:1, :, targets]
    past = call.seen(torch.tensor(targets, device=q.device))
    if past is not None:
        bias = torch.zeros(past.shape, device=q.device).masked_fill(~past, -torch.inf)
        mask = past if mask is None else past & mask if mask.dtype == torch.bool else mask + bias
    return Call(call.name, "cross", q[:1, :, targets], k[:1], mask=mask, scale=call.scale).weights()[0].float().cpu()


def _packed(weights: Float[Tensor, "h t m"]) -> bytes:
    """The largest weight of each row as a float, then all weights: the root of their share of it, in a byte each, so
    that a weight w has an error of at most √w·√largest / 255."""
    weights = weights.nan_to_num()
    largest = weights.amax(-1, keepdim=True)
    steps = (weights / largest.clamp(min=1e-30)).sqrt().mul(255).round().to(torch.uint8)
    return zlib.compress(largest.numpy().astype("<f4").tobytes() + steps.numpy().tobytes(), 9)


def _spans(parts: dict[str, slice] | None) -> list[tuple[str, int, int]]:
    return [(name, part.start, part.stop) for name, part in (parts or {}).items()]
