"""What the training of every task starts with: an encoder, and the colours of its pictures."""

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

Colours = tuple[tuple[float, ...], tuple[float, ...]]


def encoder_for(model: str, size: tuple[int, int], drop_path: float, start: Task | None) -> ViTConfig:
    """The preset's shape for pictures of `size` (height, width), or that of the model to start from, whose native grid
    stays."""
    shape = preset(model) if start is None else start.vit.config
    if start is None:
        rows, columns = (side // shape.patch for side in whole_patches(size, shape.patch))
        shape = preset(model, grid=(rows, columns))
    block = shape.block.model_copy(update={"drop_path": drop_path})
    return shape.model_copy(update={"block": block})


def whole_patches(size: tuple[int, int], patch: int) -> tuple[int, int]:
    """The size, or what is left of it in whole patches: the model would not see the rest."""
    if min(size) < patch:
        raise SaccadeError(f"a size of {min(size)} pixels is less than one patch of {patch}: use a larger --size")
    return size[0] // patch * patch, size[1] // patch * patch


def up_to_patches(size: tuple[int, int], patch: int) -> tuple[int, int]:
    """The least whole patches that hold the size: no pixel of a picture goes unseen."""
    return -(-size[0] // patch) * patch, -(-size[1] // patch) * patch


def fitting_size(sizes: Iterable[tuple[int, int]], longest: int) -> tuple[int, int]:
    """(height, width) in pixels for pictures of these (height, width): the longer side as told, the shorter in their
    middle proportion."""
    ratio = torch.tensor([height / width for height, width in sizes] or [1.0]).median().item()
    if ratio <= 1:
        return max(1, round(longest * ratio)), longest
    return longest, max(1, round(longest / ratio))


def take_over(model: Any, start: Task, labels: list[str], relations: list[str] | None = None) -> None:
    """The encoder's weights; of a network of the same kind also all others of the same shape, but not those for
    classes or relations of other names."""
    mine = model.state_dict()
    known = {f"vit.{name}": value for name, value in start.vit.state_dict().items()}
    if type(start.model) is type(model):
        known = dict(start.model.state_dict())
        for what, names in (("classes", labels), ("relations", relations)):
            if names is not None and getattr(start, "labels" if what == "classes" else what) != names:
                known = {name: value for name, value in known.items() if name not in _depending(model, what)}
    mine.update({name: value for name, value in known.items() if name in mine and mine[name].shape == value.shape})
    model.load_state_dict(mine)


def _depending(model: Any, count: str) -> set[str]:
    """Names of the weights whose shape a count in the network's config decides, or whether they are there."""
    config = model.config
    with torch.device("meta"):
        other = type(model)(config.model_copy(update={count: getattr(config, count) + 1})).state_dict()
    return {name for name, value in model.state_dict().items() if name not in other or other[name].shape != value.shape}


def digest(*told: object) -> str:
    """The same for the same told things, which go to JSON, else another."""
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]


def colours(pictures: Callable[[Tensor], UInt8[Tensor, "b c y x"]], count: int, start: Task | None) -> Colours:
    """Mean and deviation a channel, 0 to 1: those of the model to start from, else of (up to 5,000 of) `count`
    pictures, which are asked for by index."""
    if start is not None:
        return start.preprocess.mean, start.preprocess.std
    chosen = torch.arange(0, count, math.ceil(count / 5000))
    sums, squares, n = torch.zeros(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64), 0
    for some in chosen.split(250):  # a batch at a time: large pictures would not fit together in fp32
        values = pictures(some).double() / 255
        sums += values.sum(dim=(0, 2, 3))
        squares += values.square().sum(dim=(0, 2, 3))
        n += values.numel() // 3
    mean = sums / n
    deviation = (squares / n - mean.square()).clamp(min=0).sqrt()
    return tuple(round(v, 4) for v in mean.tolist()), tuple(max(round(v, 4), 0.01) for v in deviation.tolist())
