"""What the training of every task starts with: an encoder, its pretrained weights, and the statistics of the data."""

import hashlib
import json
import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from jaxtyping import UInt8
from torch import Tensor

from saccade.data.files import escape
from saccade.errors import SaccadeError, UsageError, shorten_list
from saccade.models import ViTConfig, preset
from saccade.tasks.base import Task

ChannelStats = tuple[tuple[float, ...], tuple[float, ...]]  # mean and standard deviation of each channel, 0 to 1


def encoder_config(model: str, size: tuple[int, int], drop_path: float, pretrained: Task | None) -> ViTConfig:
    """Config of the preset `model` for pictures of `size` (height, width); of a pretrained model its own config, whose
    native grid stays."""
    config = preset(model) if pretrained is None else pretrained.vit.config
    if pretrained is None:
        rows, columns = (side // config.patch for side in floor_to_patches(size, config.patch))
        config = preset(model, grid=(rows, columns))
    block = config.block.model_copy(update={"drop_path": drop_path})
    return config.model_copy(update={"block": block})


def floor_to_patches(size: tuple[int, int], patch: int) -> tuple[int, int]:
    """The size rounded down to multiples of the patch. Raises SaccadeError for less than one patch."""
    if min(size) < patch:
        raise SaccadeError(f"a size of {min(size)} pixels is less than one patch of {patch}: use a larger --size")
    return size[0] // patch * patch, size[1] // patch * patch


def ceil_to_patches(size: tuple[int, int], patch: int) -> tuple[int, int]:
    """The size rounded up to multiples of the patch."""
    return -(-size[0] // patch) * patch, -(-size[1] // patch) * patch


def input_size(sizes: Iterable[tuple[int, int]], longest: int) -> tuple[int, int]:
    """(height, width) of the input for pictures of these (height, width): `longest` pixels on the longer side, with
    their median aspect ratio."""
    ratio = torch.tensor([height / width for height, width in sizes] or [1.0]).median().item()
    if ratio <= 1:
        return max(1, round(longest * ratio)), longest
    return longest, max(1, round(longest / ratio))


def load_pretrained(model: Any, pretrained: Task, labels: list[str], relations: list[str] | None = None) -> str:
    """Load the encoder's weights; from a network of the same kind also all others of the same shape. Rows of classes
    and relations are taken by their names, in whatever order they are. Returns what was taken, in one sentence."""
    own = model.state_dict()
    weights = {f"vit.{name}": value for name, value in pretrained.vit.state_dict().items()}
    named = []
    if type(pretrained.model) is type(model):
        weights = dict(pretrained.model.state_dict())
        for field, names in (("classes", labels), ("relations", relations)):
            if names:
                known = getattr(pretrained, "labels" if field == "classes" else field)
                axes = _axes_of(model, field)
                rows = {name: _rows_by_name(own[name], weights.pop(name, None), axis, names, known)
                        for name, axis in axes.items()}  # fmt: skip
                weights |= {name: value for name, value in rows.items() if value is not None}
                taken = any(value is not None for value in rows.values())
                named.append(_describe_names(field, names, known if taken else []))
    fitting = {name: value for name, value in weights.items() if name in own and own[name].shape == value.shape}
    own.update(fitting)
    model.load_state_dict(own)
    anew = dict.fromkeys(name.split(".")[0] for name in own if name not in fitting)
    parts = [f"{len(fitting)} of {len(own)} tensors{f' (new: {shorten_list(anew, 6)})' if anew else ''}", *named]
    return f"weights of {pretrained.name}: {'; '.join(parts)}"


def freeze_encoder(model: Any, pretrained: Task | None) -> None:
    """Train all weights but the encoder's. Raises UsageError without a pretrained one."""
    if pretrained is None:
        raise UsageError("--freeze-encoder keeps the encoder as it is: give --weights with a pretrained one")
    model.vit.requires_grad_(False)


def _axes_of(model: Any, field: str) -> dict[str, int]:
    """Name of a weight that has a row for each class or relation, by its count in the network's config -> the axis."""
    config, own = model.config, model.state_dict()
    with torch.device("meta"):
        other = type(model)(config.model_copy(update={field: getattr(config, field) + 1})).state_dict()
    sizes = {name: zip(value.shape, other[name].shape, strict=True) for name, value in own.items() if name in other}
    differ = {name: [axis for axis, (a, b) in enumerate(pairs) if a != b] for name, pairs in sizes.items()}
    return {name: axes[0] for name, axes in differ.items() if axes}


def _rows_by_name(
    new: Tensor, known: Tensor | None, axis: int, names: list[str], known_names: list[str]
) -> Tensor | None:
    """`new` with the rows of `known` for the names in both, and for what comes after them (the row of "no class"). None
    where nothing can be taken."""
    shared = [name for name in names if name in known_names]
    rest = new.shape[axis] - len(names)
    if known is None or not shared or known.shape[axis] - len(known_names) != rest:
        return None
    if known.movedim(axis, 0).shape[1:] != new.movedim(axis, 0).shape[1:]:
        return None
    to = [*map(names.index, shared), *range(len(names), len(names) + rest)]
    come_from = [*map(known_names.index, shared), *range(len(known_names), len(known_names) + rest)]
    rows = known.index_select(axis, torch.tensor(come_from)).to(new)
    return new.clone().index_copy(axis, torch.tensor(to), rows)


def _describe_names(field: str, names: list[str], known: list[str]) -> str:
    """Which classes or relations were taken, start anew, and are not used."""
    kinds = {
        "taken": [name for name in names if name in known],
        "new": [name for name in names if name not in known],
        "not used": [name for name in known if name not in names],
    }
    return f"{field}: " + ", ".join(
        f"{what} {shorten_list(map(escape, some), 9)}" for what, some in kinds.items() if some
    )


def digest(*values: object) -> str:
    """A short hash of values that can be written as JSON."""
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:16]


def channel_stats(
    pictures: Callable[[Tensor], UInt8[Tensor, "b c y x"]], count: int, pretrained: Task | None
) -> ChannelStats:
    """Mean and standard deviation of each channel: those of the pretrained model, else of at most 5,000 of `count`
    pictures. pictures: indices -> the pictures."""
    if pretrained is not None:
        return pretrained.preprocess.mean, pretrained.preprocess.std
    sums, squares, n = torch.zeros(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64), 0
    for indices in torch.arange(0, count, math.ceil(count / 5000)).split(250):  # bounds the memory of large pictures
        values = pictures(indices).double() / 255
        sums += values.sum(dim=(0, 2, 3))
        squares += values.square().sum(dim=(0, 2, 3))
        n += values.numel() // 3
    mean = sums / n
    deviation = (squares / n - mean.square()).clamp(min=0).sqrt()
    return tuple(round(v, 4) for v in mean.tolist()), tuple(max(round(v, 4), 0.01) for v in deviation.tolist())
