"""What the training of every task starts with: an encoder, its pretrained weights, and the statistics of the data."""

import hashlib
import json
import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from jaxtyping import UInt8
from torch import Tensor

from saccade.errors import SaccadeError
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


def load_pretrained(model: Any, pretrained: Task, labels: list[str], relations: list[str] | None = None) -> None:
    """Load the encoder's weights; from a network of the same kind also all others of the same shape, except those that
    depend on classes or relations with other names."""
    own = model.state_dict()
    weights = {f"vit.{name}": value for name, value in pretrained.vit.state_dict().items()}
    if type(pretrained.model) is type(model):
        weights = dict(pretrained.model.state_dict())
        for field, names in (("classes", labels), ("relations", relations)):
            if names is not None and getattr(pretrained, "labels" if field == "classes" else field) != names:
                weights = {name: value for name, value in weights.items() if name not in _dependent(model, field)}
    own.update({name: value for name, value in weights.items() if name in own and own[name].shape == value.shape})
    model.load_state_dict(own)


def _dependent(model: Any, field: str) -> set[str]:
    """Names of the weights that change in shape, or exist, with a count in the network's config."""
    config = model.config
    with torch.device("meta"):
        other = type(model)(config.model_copy(update={field: getattr(config, field) + 1})).state_dict()
    return {name for name, value in model.state_dict().items() if name not in other or other[name].shape != value.shape}


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
