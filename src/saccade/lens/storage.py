"""Traces as safetensors files: the tensors of each call by number, and a JSON header that says what they are.

tensors   "0.q" (b h n k), "0.k" (b g m k), "0.lse" (b h n), "0.v" if kept, "mask.0" (shared by calls)
metadata  format "saccade.trace", version "1", calls (JSON list), missed (JSON object)
"""

import json
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from saccade.errors import CheckpointError, DataError
from saccade.lens.call import Call

FORMAT, VERSION = "saccade.trace", "1"


def save(path: str | PathLike[str], calls: Sequence[Call], missed: dict[str, str]) -> None:
    """Write the calls. Raises DataError if the file cannot be written."""
    tensors: dict[str, Tensor] = {}
    masks: dict[tuple, str] = {}
    header = []
    for i, call in enumerate(calls):
        tensors |= {f"{i}.q": call.q, f"{i}.k": call.k, f"{i}.lse": call.lse}
        if call.v is not None:
            tensors[f"{i}.v"] = call.v
        about = {"name": call.name, "kind": call.kind, "scale": call.scale, "causal": call.causal, "run": call.run}
        if call.mask is not None:
            mask = call.mask
            same = (mask.data_ptr(), mask.shape, mask.stride(), mask.dtype)
            about["mask"] = masks.setdefault(same, f"mask.{len(masks)}")
            tensors[masks[same]] = mask
        header.append(about)
    metadata = {"format": FORMAT, "version": VERSION, "calls": json.dumps(header), "missed": json.dumps(missed)}
    # The format refuses views and tensors that share memory, so each is laid out afresh.
    laid = {name: t.clone(memory_format=torch.contiguous_format) for name, t in tensors.items()}
    try:
        save_file(laid, path, metadata)
    except (OSError, SafetensorError) as error:
        raise DataError(f"{path}: the trace cannot be written ({error}); is the folder there and writable?") from error


def load(path: str | PathLike[str]) -> tuple[list[Call], dict[str, str]]:
    """The calls and the missed modules of a file that `save` wrote."""
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
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError, ArithmeticError) as error:
        raise CheckpointError(f"{path}: the trace is damaged ({error!r}); save it again") from error
    return calls, missed


def _call(i: int, about: dict, tensors: dict[str, Tensor]) -> Call:
    q, k, lse, v = tensors[f"{i}.q"], tensors[f"{i}.k"], tensors[f"{i}.lse"], tensors.get(f"{i}.v")
    mask = tensors[about["mask"]] if "mask" in about else None
    fits = q.ndim == k.ndim == 4 and q.shape[::3] == k.shape[::3] and q.shape[1] % k.shape[1] == 0
    fits = fits and lse.shape == q.shape[:3] and (v is None or v.shape[:3] == k.shape[:3])
    if fits and mask is not None:
        fits = torch.broadcast_shapes(mask.shape, (*q.shape[:3], k.shape[2])) == (*q.shape[:3], k.shape[2])
    if not fits or about["kind"] not in ("self", "cross"):
        raise ValueError(f"the tensors of call {i} do not fit together")
    name, kind, scale, causal, run = (about[key] for key in ("name", "kind", "scale", "causal", "run"))
    return Call(str(name), kind, q, k, v, lse, mask, float(scale), bool(causal), int(run))


def _few(names: list[str]) -> str:
    return ", ".join(repr(name) for name in names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
