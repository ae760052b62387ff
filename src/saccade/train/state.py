"""States of a run on disk, in safetensors and JSON with digests, from which it can be resumed."""

import copy
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from saccade.data.digests import file_digest
from saccade.data.output import atomic_folder, make_folder, remove_leftovers
from saccade.data.tensor_files import write_tensors
from saccade.errors import CheckpointError, in_one_line

_KEPT = 2  # states kept, so that a damaged newest one does not lose the run
_SUMS = "sha256.json"  # the digest of every other file of a state
_BEST = "best"  # the weights of the model with the best scores


@dataclass(frozen=True)
class State:
    """A copy of what a run is resumed from.

    Attributes:
        step: updates so far.
        tensors: file name without suffix -> tensors.
        fields: everything else, as JSON.
    """

    step: int
    tensors: dict[str, dict[str, Tensor]]
    fields: dict[str, Any]


def copy_state(
    step: int,
    modules: Mapping[str, nn.Module],
    optimizers: list[torch.optim.Optimizer],
    extra: dict[str, Any],
    best: dict[str, Tensor] | None = None,
) -> State:
    """A copy, in main memory, of a run after `step` updates. best: weights of the best model, not copied."""
    tensors = {name: copy_weights(module) for name, module in modules.items()}
    groups = []
    for i, optimizer in enumerate(optimizers):
        state = optimizer.state_dict()
        tensors[f"optimizer-{i}"], numbers = _split_state(state["state"])
        groups.append({"numbers": numbers, "groups": copy.deepcopy(state["param_groups"])})
    if best is not None:
        tensors[_BEST] = best
    return State(step, tensors, {"step": step, "optimizers": groups, **extra})


def write_state(folder: Path, state: State) -> None:
    """Write `folder`/step-N with digests of its files, as one and on disk when this returns. Older states are removed,
    and newer ones, which are damaged or of updates that were repeated. Raises DataError if it cannot be written."""
    make_folder(folder)
    with atomic_folder(folder / _name(state.step), replace=True) as place:
        for name, tensors in state.tensors.items():
            write_tensors(tensors, place / f"{name}.safetensors")
        (place / "state.json").write_text(json.dumps(state.fields))
        sums = {file.name: file_digest(file) for file in sorted(place.iterdir())}
        (place / _SUMS).write_text(json.dumps(sums, indent=1))
    names = [_name(state.step), *(place.name for place in list_states(folder) if place.name < _name(state.step))]
    for place in list_states(folder):
        if place.name not in sorted(names)[-_KEPT:]:
            shutil.rmtree(place, ignore_errors=True)


def load_state(
    folder: Path, modules: Mapping[str, nn.Module], optimizers: list[torch.optim.Optimizer]
) -> tuple[dict[str, Any], list[str]] | None:
    """Restore the newest intact state of `folder`; None if there are no states.

    Returns the fields of the state, with the weights of the best model as "best" if there are some, and a line about
    each newer state that was skipped because it is damaged. Raises CheckpointError if all are damaged, or if the intact
    one is of another model.
    """
    damaged: list[tuple[Path, str]] = []
    for place in reversed(list_states(folder)):
        why = _damage(place)
        if not why:
            notes = [f"{place} is damaged ({why}) and left out" for place, why in damaged]
            return _restored(place, modules, optimizers), notes
        damaged.append((place, why))
    if not damaged:
        return None
    newest, why = damaged[0]
    raise CheckpointError(f"{newest} is damaged ({why}), and no other state is sound: start a run under a new name")


def list_states(folder: Path) -> list[Path]:
    """The states of a run, oldest first."""
    return sorted(place for place in folder.glob("step-*") if place.name.removeprefix("step-").isdecimal())


def describe_saved_state(folder: Path) -> str:
    """From which state a run can be resumed, in words."""
    newest = [int(place.name.removeprefix("step-")) for place in list_states(folder / "state")]
    return (
        f"the state of step {newest[-1]} is kept, and --resume goes on from it" if newest else "no state was saved yet"
    )


def remove_partial_files(folder: Path) -> None:
    """Remove what killed processes left of files and folders that they were writing."""
    for place in (folder / "state").glob("partial-*"):  # of earlier versions
        shutil.rmtree(place, ignore_errors=True)
    for place in [*folder.glob(".*-*"), *(folder / "state").glob(".*-*")]:
        remove_leftovers(place.with_name(place.name[1:].rpartition("-")[0]))


def copy_weights(module: nn.Module) -> dict[str, Tensor]:
    """A copy of the weights of a module in main memory."""
    return {name: _copy(tensor) for name, tensor in module.state_dict().items()}


def _name(step: int) -> str:
    return f"step-{step:09d}"


def _restored(place: Path, modules: Mapping[str, nn.Module], optimizers: list[torch.optim.Optimizer]) -> dict[str, Any]:
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
        if (file := place / f"{_BEST}.safetensors").is_file():
            state[_BEST] = load_file(file)
    except (OSError, LookupError, TypeError, AttributeError, ValueError, RuntimeError, SafetensorError) as error:
        raise CheckpointError(
            f"{place} cannot be resumed: {in_one_line(error)}. If the run was started with another model or other "
            "options, use another --name"
        ) from error
    return state


def _damage(place: Path) -> str:
    """Description of the damage to the files of a state; "" if they match their digests."""
    try:
        sums = json.loads((place / _SUMS).read_text())
        changed = [name for name in {**sums, "state.json": ""} if sums[name] != file_digest(place / name)]
    except (OSError, LookupError, TypeError, AttributeError, ValueError, RecursionError) as error:
        return in_one_line(error)
    return f"{', '.join(changed)} not as written" if changed else ""


def _copy(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)


def _split_state(state: dict[int, dict[str, Any]]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """An optimizer's state as copies of tensors for safetensors and plain numbers for JSON, by "parameter.name"."""
    tensors, numbers = {}, {}
    for index, entries in state.items():
        for name, value in entries.items():
            if isinstance(value, Tensor):
                tensors[f"{index}.{name}"] = _copy(value)
            else:
                numbers[f"{index}.{name}"] = value
    return tensors, numbers


def _join_state(tensors: dict[str, Tensor], numbers: dict[str, Any]) -> dict[int, dict[str, Any]]:
    state: dict[int, dict[str, Any]] = {}
    for key, value in {**tensors, **numbers}.items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = value
    return state
