"""States of a run on disk, in safetensors and JSON with checksums, from which it can be resumed."""

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from saccade.errors import CheckpointError, in_one_line

_KEPT = 2  # states kept, so that a damaged newest one does not lose the run
_SUMS = "sha256.json"  # the digest of every other file of a state, written last


def save_state(
    folder: Path, step: int, modules: dict[str, nn.Module], optimizers: list[torch.optim.Optimizer], extra: dict
) -> None:
    """Write `folder`/step-N with checksums of its files. It is written under another name and renamed when complete;
    older states are removed."""
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"partial-{step}"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    for name, module in modules.items():
        save_file(_flat(module), partial / f"{name}.safetensors")
    groups = []
    for i, optimizer in enumerate(optimizers):
        state = optimizer.state_dict()
        tensors, numbers = _split_state(state["state"])
        save_file(tensors, partial / f"optimizer-{i}.safetensors")
        groups.append({"numbers": numbers, "groups": state["param_groups"]})
    (partial / "state.json").write_text(json.dumps({"step": step, "optimizers": groups, **extra}))
    sums = {file.name: _digest(file) for file in sorted(partial.iterdir())}
    (partial / _SUMS).write_text(json.dumps(sums, indent=1))
    whole = folder / f"step-{step:09d}"
    shutil.rmtree(whole, ignore_errors=True)
    os.replace(partial, whole)
    for old in states(folder)[:-_KEPT] + list(folder.glob("partial-*")):
        shutil.rmtree(old, ignore_errors=True)


def load_state(
    folder: Path, modules: dict[str, nn.Module], optimizers: list[torch.optim.Optimizer]
) -> tuple[dict[str, Any], list[str]] | None:
    """Restore the newest intact state of `folder`; None if there are no states.

    Returns the contents of state.json, and a line about each newer state that was skipped because it is damaged.
    Raises CheckpointError if all are damaged, or if the intact one is of another model.
    """
    damaged: list[tuple[Path, str]] = []
    for place in reversed(states(folder)):
        why = _damage(place)
        if not why:
            notes = [f"{place} is damaged ({why}) and left out" for place, why in damaged]
            return _restored(place, modules, optimizers), notes
        damaged.append((place, why))
    if not damaged:
        return None
    newest, why = damaged[0]
    raise CheckpointError(f"{newest} is damaged ({why}), and no other state is sound: start a run under a new name")


def states(folder: Path) -> list[Path]:
    """The states of a run, oldest first."""
    return sorted(folder.glob("step-*"))


def _restored(place: Path, modules: dict[str, nn.Module], optimizers: list[torch.optim.Optimizer]) -> dict[str, Any]:
    try:
        for name, module in modules.items():
            module.load_state_dict(load_file(place / f"{name}.safetensors"))
        state = json.loads((place / "state.json").read_text())
        for i, optimizer in enumerate(optimizers):
            saved = state["optimizers"][i]
            restored = _join_state(load_file(place / f"optimizer-{i}.safetensors"), saved["numbers"])
            optimizer.load_state_dict({"state": restored, "param_groups": saved["groups"]})
        if type(state["step"]) is not int:
            raise TypeError(f"step {state['step']!r} is not a number")
    except (OSError, LookupError, TypeError, AttributeError, ValueError, RuntimeError, SafetensorError) as error:
        raise CheckpointError(
            f"{place} cannot be resumed: {in_one_line(error)}. If the run was started with another model or other "
            "options, use another --name"
        ) from error
    return state


def _damage(place: Path) -> str:
    """Description of the damage to the files of a state; "" if they match their checksums."""
    try:
        sums = json.loads((place / _SUMS).read_text())
        changed = [name for name in {**sums, "state.json": ""} if sums[name] != _digest(place / name)]
    except (OSError, LookupError, TypeError, AttributeError, ValueError) as error:
        return in_one_line(error)
    return f"{', '.join(changed)} not as written" if changed else ""


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _flat(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in module.state_dict().items()}


def _split_state(state: dict[int, dict[str, Any]]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """An optimizer's state as tensors for safetensors and plain numbers for JSON, by "parameter.name"."""
    tensors, numbers = {}, {}
    for index, entries in state.items():
        for name, value in entries.items():
            if isinstance(value, Tensor):
                tensors[f"{index}.{name}"] = value.detach().cpu().contiguous()
            else:
                numbers[f"{index}.{name}"] = value
    return tensors, numbers


def _join_state(tensors: dict[str, Tensor], numbers: dict[str, Any]) -> dict[int, dict[str, Any]]:
    state: dict[int, dict[str, Any]] = {}
    for key, value in {**tensors, **numbers}.items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = value
    return state
