"""Traces as safetensors files: the tensors of each call by number, and a JSON header that says what they are.

tensors   "0.q" (b h n k), "0.k" (b g m k), "0.lse" (b h n), "0.v" and "0.gradient" (b h n c) if kept,
          "mask.0" (shared by calls), "0.windows" (b n 3) if its tokens lie in windows, "0.source_windows" (b m 3) if
          its sources lie on another grid
metadata  format "saccade.trace", version "1", calls (JSON list), missed (JSON object), skipped (JSON object, if any)
"""

import json
import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from os import PathLike
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from saccade.errors import CheckpointError, DataError
from saccade.lens.dataflow.lineage import broken_link
from saccade.lens.dataflow.windows import Windows
from saccade.lens.trace.blocks import check_parts_cover
from saccade.lens.trace.call import Call
from saccade.lens.trace.gradients import Gradient

FORMAT, VERSION = "saccade.trace", "1"
CHECKED = 8  # rows of each call whose stored lse is computed again on loading


def save(
    path: str | PathLike[str], calls: Sequence[Call], missed: dict[str, str], skipped: dict[str, set[int]]
) -> None:
    """Write the calls. Raises DataError if the file cannot be written."""
    tensors: dict[str, Tensor] = {}
    masks: dict[tuple, str] = {}
    header = []
    for i, call in enumerate(calls):
        tensors |= {f"{i}.q": call.q, f"{i}.k": call.k, f"{i}.lse": call.lse}
        if call.v is not None:
            tensors[f"{i}.v"] = call.v
        if call.gradient is not None and call.gradient.known:
            tensors[f"{i}.gradient"] = call.gradient.value(call.name)
        about = {"name": call.name, "kind": call.kind, "scale": call.scale, "causal": call.causal, "run": call.run}
        about |= {key: value for key, value in (("note", call.note), ("component", call.component)) if value}
        if call.parts:
            about["parts"] = {name: [part.start, part.stop] for name, part in call.parts.items()}
        if call.source_parts is not None:
            about["source_parts"] = {name: [part.start, part.stop] for name, part in call.source_parts.items()}
        if call.tokens_before > call.shape[2]:
            about["tokens_before"] = call.tokens_before
        if call.lengths:
            about["lengths"] = list(call.lengths)
        if call.windows is not None:
            tensors[f"{i}.windows"], about["grid"] = call.windows.places, call.windows.grid
            if (sources := call.windows.sources) is not None:
                tensors[f"{i}.source_windows"], about["source_grid"] = sources.places, sources.grid
        if why := _apart(call, calls[:i]):
            about["apart"] = why
        if call.mask is not None:
            mask = call.mask
            same = (mask.data_ptr(), mask.shape, mask.stride(), mask.dtype)
            about["mask"] = masks.setdefault(same, f"mask.{len(masks)}")
            tensors[masks[same]] = mask
        header.append(about)
    metadata = {"format": FORMAT, "version": VERSION, "calls": json.dumps(header), "missed": json.dumps(missed)}
    if skipped:
        metadata["skipped"] = json.dumps({name: sorted(runs) for name, runs in skipped.items()})
    # The format refuses views and tensors that share memory, so each is laid out afresh.
    laid = {name: t.clone(memory_format=torch.contiguous_format) for name, t in tensors.items()}
    try:
        save_file(laid, path, metadata)
    except (OSError, SafetensorError) as error:
        raise DataError(f"{path}: the trace cannot be written ({error}); is the folder there and writable?") from error


def load(path: str | PathLike[str]) -> tuple[list[Call], dict[str, str], dict[str, set[int]]]:
    """The calls, the missed and the skipped modules of a file that `save` wrote. Of each call a few rows are computed
    again, so that a log-sum-exp of other tensors is noticed."""
    if not Path(path).is_file():
        raise DataError(f"{path}: there is no such file; expected a trace that Trace.save wrote")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise CheckpointError(
                    f"{path}: a safetensors file of {_few(list(file.keys()))}, not a trace; expected one that "
                    "Trace.save wrote"
                )
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"{path}: truncated, damaged or not a safetensors file ({error}); save the trace again"
        ) from error
    if metadata.get("version") != VERSION:
        raise CheckpointError(
            f"{path}: a trace of version {metadata.get('version')!r}, this library reads {VERSION!r}; update saccade"
        )
    try:
        header = json.loads(metadata["calls"])
        if not isinstance(header, list):
            raise TypeError("its list of calls is not a list")
        calls = [_call(i, about, tensors) for i, about in enumerate(header)]
        missed = {str(name): str(why) for name, why in json.loads(metadata["missed"]).items()}
        given = json.loads(metadata.get("skipped", "{}"))
        skipped = {str(name): {int(run) for run in runs} for name, runs in given.items()}
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError, ArithmeticError) as error:
        raise CheckpointError(f"{path}: the trace is damaged ({error!r}); save it again") from error
    return calls, missed, skipped


def _call(i: int, about: dict, tensors: dict[str, Tensor]) -> Call:
    q, k, lse, v = tensors[f"{i}.q"], tensors[f"{i}.k"], tensors[f"{i}.lse"], tensors.get(f"{i}.v")
    mask = tensors[about["mask"]] if "mask" in about else None
    fits = q.ndim == k.ndim == 4 and q.shape[::3] == k.shape[::3] and q.shape[1] % k.shape[1] == 0
    fits = fits and lse.shape == q.shape[:3] and (v is None or v.shape[:3] == k.shape[:3])
    gradient = tensors.get(f"{i}.gradient")
    if gradient is not None:
        fits = fits and v is not None and gradient.shape == (*q.shape[:3], v.shape[-1]) and gradient.is_floating_point()
    n, m = (q.shape[2], k.shape[2]) if fits else (0, 0)
    if fits and mask is not None:
        fits = torch.broadcast_shapes(mask.shape, (*q.shape[:3], m)) == (*q.shape[:3], m)
    fits = fits and all(t.is_floating_point() for t in (q, k, lse))
    fits = fits and (n == m or about["kind"] == "cross" or (about["kind"] == "self" and n < m))
    if not fits or about["kind"] not in ("self", "cross", "joint", "channels"):
        raise ValueError(f"the tensors of call {i} do not fit together")
    name, kind, scale, causal, run = (about[key] for key in ("name", "kind", "scale", "causal", "run"))
    if not math.isfinite(float(scale)):
        raise ValueError(f"the scale of call {i} is {scale}")
    lengths = tuple(int(length) for length in about["lengths"]) if "lengths" in about else None
    if lengths is not None and (min(lengths, default=0) < 1 or not sum(lengths) == n == m):
        raise ValueError(f"the lengths of call {i} do not make up its tokens")
    _check_lse(i, q, k, lse, mask, float(scale), bool(causal), lengths)
    parts = None
    if kind == "joint":
        parts = check_parts_cover({name: slice(int(a), int(z)) for name, (a, z) in about["parts"].items()}, n)
    note, component = (str(about.get(key, "")) for key in ("note", "component"))
    call = Call(
        str(name), kind, q, k, v, lse, mask, float(scale), bool(causal), int(run), note, component, parts,
        lengths=lengths,
    )  # fmt: skip
    if "source_parts" in about:
        call.source_parts = {name: slice(int(a), int(z)) for name, (a, z) in about["source_parts"].items()}
    call.tokens_before = max(n, int(about.get("tokens_before", n)))
    call.apart = str(about.get("apart", ""))
    call.gradient = None if gradient is None else Gradient.of(gradient)
    if "grid" in about:
        windows = Windows.checked(tensors[f"{i}.windows"], about["grid"], q.shape[0], n)
        if "source_grid" in about:
            sources = Windows.checked(tensors[f"{i}.source_windows"], about["source_grid"], q.shape[0], m)
            windows = Windows(windows.places, windows.grid, sources)
        elif n != m:
            raise ValueError(f"the windows of call {i} are those of its targets only")
        call.set_layout(windows)
    return call


def _apart(call: Call, before: Sequence[Call]) -> str:
    """Why a call does not follow the last of those before it that it could be a layer above, "" if it does."""
    sized = (call.run, call.component, call.shape[0], *call.shape[2:])
    layers = [c for c in before if c.kind != "cross" and (c.run, c.component, c.shape[0], *c.shape[2:]) == sized]
    return "" if call.kind == "cross" or not layers else call.apart or broken_link(layers[-1].node, call.node)


def _check_lse(
    i: int, q: Tensor, k: Tensor, lse: Tensor, mask: Tensor | None, scale: float, causal: bool,
    lengths: tuple[int, ...] | None,
) -> None:  # fmt: skip
    """Refuse a log-sum-exp under which the weights of a row would not sum to 1. Rows that may attend to nothing, or
    whose scores are not finite, have none."""
    b, h, n, _ = q.shape
    m = k.shape[2]
    count = min(CHECKED, b * h * n)
    for row in {r * (b * h * n - 1) // max(1, count - 1) for r in range(count)} if m else ():
        picture, head, target = row // (h * n), row // n % h, row % n
        one = (slice(picture, picture + 1), slice(head, head + 1), slice(target, target + 1))
        group = head * k.shape[1] // h
        ends = [0, *accumulate(lengths or (m,))]
        own = bisect_right(ends, target) if lengths else 1
        sources = slice(ends[own - 1], min(ends[own], target + 1) if causal else ends[own])
        keys = k[one[0], group : group + 1, sources]
        seen = None if mask is None else mask.expand(b, h, n, m)[one][..., sources]
        # A call of one row, without its lse, computes it itself.
        alone = Call("", "cross", q[one], keys, mask=seen, scale=scale)
        true, found = float(alone.lse), float(lse[picture, head, target])
        if bool(alone.weights().sum() > 0) and not abs(true - found) <= 1e-3 * max(1.0, abs(true)):
            raise ValueError(f"the log-sum-exp of call {i} does not belong to its queries and keys")


def _few(names: list[str]) -> str:
    return ", ".join(repr(name) for name in names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
