"""A run on disk: everything needed to go on with it, in safetensors and JSON, complete or not there at all."""

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

_KEPT = 2  # complete checkpoints kept, so that a damaged newest one does not lose the run


def save_state(
    folder: Path, step: int, modules: dict[str, nn.Module], optimizers: list[torch.optim.Optimizer], extra: dict
) -> None:
    """Write `folder`/step-N. It is built under another name and moved when whole; older ones are swept."""
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
    whole = folder / f"step-{step:09d}"
    shutil.rmtree(whole, ignore_errors=True)
    os.replace(partial, whole)
    for old in complete(folder)[:-_KEPT] + list(folder.glob("partial-*")):
        shutil.rmtree(old, ignore_errors=True)


def load_state(
    folder: Path, modules: dict[str, nn.Module], optimizers: list[torch.optim.Optimizer]
) -> dict[str, Any] | None:
    """Restore the newest complete checkpoint of `folder`; None if there is none. Returns what state.json holds."""
    found = complete(folder)
    if not found:
        return None
    newest = found[-1]
    try:
        for name, module in modules.items():
            module.load_state_dict(load_file(newest / f"{name}.safetensors"))
        state = json.loads((newest / "state.json").read_text())
        for i, optimizer in enumerate(optimizers):
            saved = state["optimizers"][i]
            restored = _join_state(load_file(newest / f"optimizer-{i}.safetensors"), saved["numbers"])
            optimizer.load_state_dict({"state": restored, "param_groups": saved["groups"]})
        if type(state["step"]) is not int:
            raise TypeError(f"step {state['step']!r} is no number")
    except (OSError, LookupError, TypeError, AttributeError, ValueError, RuntimeError, SafetensorError) as error:
        raise CheckpointError(
            f"{newest} cannot be resumed: {in_one_line(error)}. If the run was started with another model or "
            "other options, use another --name; if the folder is damaged, delete it and the one before it is used"
        ) from error
    return state


def complete(folder: Path) -> list[Path]:
    return sorted(p for p in folder.glob("step-*") if (p / "state.json").is_file())


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
