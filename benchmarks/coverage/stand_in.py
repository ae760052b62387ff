"""Inputs that depend on a picture, in the form that a tiny model of a family takes: what its processor would make."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from PIL import Image
from torch import Tensor

from benchmarks.coverage.families.cases import Subject

PICTURES = (
    "pixel_values", "pixel_values_images", "images", "image_pixel_values", "pixel_patches", "flattened_patches",
    "pixel_values_videos",
)  # fmt: skip


def one_example(subject: Subject) -> Subject:
    """The first example of a batch."""
    ids = next((each for name, each in subject.inputs.items() if name.endswith("input_ids")), None)
    pixels = subject.inputs.get("pixel_values")
    if ids is None or pixels is None or pixels.ndim < 4 or len(pixels) == 1:
        return subject
    count = min(len(each) for each in subject.inputs.values() if isinstance(each, Tensor))
    if any(isinstance(each, Tensor) and len(each) % count for each in subject.inputs.values()):
        return subject
    first = {
        name: each[: len(each) // count] if isinstance(each, Tensor) else each for name, each in subject.inputs.items()
    }
    return Subject(subject.model, subject.args, first, subject.eager)


def preparation(subject: Subject, name: str) -> Callable[[Image.Image], dict[str, Any]]:
    """From a picture to the inputs of the subject, of which `name` is the picture: as it is, as the tiles of a picture,
    or as a list of its patches in the order of the family's processor."""
    like = subject.inputs[name]

    def prepare(image: Image.Image) -> dict[str, Any]:
        if like.ndim >= 4 and like.shape[-3] == 3 and not _lists_patches(subject):
            made = _tiles(image, like)
        else:
            made = _patches(image, like, _order(subject, like))
        return {**subject.inputs, name: made}

    return prepare


def _lists_patches(subject: Subject) -> bool:
    return any(name.endswith("grid_thw") for name in subject.inputs)


def in_cell(subject: Subject, like: Tensor, row: int, column: int, grid: tuple[int, int]) -> Bool[Tensor, "..."]:
    """The numbers of an input that lie in a cell of a grid over the picture, or over its tiles, laid out in rows that
    are as long as there are of them, or one longer."""
    found, (rows, columns) = torch.zeros(like.shape, dtype=torch.bool), grid
    if like.ndim >= 4 and like.shape[-3] == 3 and not _lists_patches(subject):
        tiles = found.flatten(0, -4)
        across = math.ceil(len(tiles) ** 0.5)
        high, wide = rows // -(-len(tiles) // across), columns // across
        tile = tiles[row // high * across + column // wide]
        y, x = tile.shape[1] / high, tile.shape[2] / wide
        row, column = row % high, column % wide
        tile[:, round(row * y) : round((row + 1) * y), round(column * x) : round((column + 1) * x)] = True
        return found
    order = _order(subject, like)
    size = order.amax(0) + 1
    cells = order * torch.tensor(grid) // size
    there = (cells == torch.tensor([row, column])).all(1)
    lists = found.view(len(order), -1)
    lists[there] = True
    lists[:, : _fixed(lists.shape[1])] = False
    return found


def _fixed(numbers: int) -> int:
    """How many numbers of a patch come before its pixels: Pix2Struct's row and column."""
    return 2 if numbers % 3 else 0


def _pixels(image: Image.Image, height: int, width: int) -> Float[Tensor, "3 y x"]:
    small = np.array(image.convert("RGB").resize((width, height), Image.Resampling.BILINEAR))
    return torch.from_numpy(small).permute(2, 0, 1).float() / 127.5 - 1


def _tiles(image: Image.Image, like: Tensor) -> Tensor:
    """Strips of the picture from left to right, one a tile."""
    count, (height, width) = like.shape[:-3].numel(), like.shape[-2:]
    wide = _pixels(image, height, count * width)
    return torch.stack(wide.split(width, dim=2)).view(like.shape).to(like.dtype)


def _patches(image: Image.Image, like: Tensor, order: Int[Tensor, "n 2"]) -> Tensor:
    """The pixels of each patch."""
    lead = like.shape[:-1] if like.ndim <= 3 else like.shape[:1]
    numbers = like.numel() // lead.numel()
    fixed = _fixed(numbers)
    rows, columns = (order.amax(0) + 1).tolist()
    side = int(((numbers - fixed) / 3) ** 0.5)
    whole = _pixels(image, rows * side, columns * side)
    made = like.clone().view(lead.numel(), numbers)
    for patch, (row, column) in zip(made, order.tolist(), strict=False):
        cell = whole[:, row * side : (row + 1) * side, column * side : (column + 1) * side].flatten()
        patch[fixed:] = cell.repeat(-(-numbers // len(cell)))[: numbers - fixed]
    return made.view(like.shape)


def _order(subject: Subject, like: Tensor) -> Int[Tensor, "n 2"]:
    """Row and column of each patch."""
    given = subject.inputs
    for name, each in given.items():
        if name.endswith("position_ids") and isinstance(each, Tensor) and each.shape[-1] == 2:
            return each[0].flip(-1)  # columns first
    count = like.shape[0] if like.ndim in (2, 4) else like.shape[1]
    side = int(count**0.5)
    merge = _merge(subject)
    cells = torch.stack(torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij"), dim=-1)
    blocks = cells.view(side // merge, merge, side // merge, merge, 2).transpose(1, 2)
    return blocks.reshape(-1, 2)


def _merge(subject: Subject) -> int:
    """Patches a side that are put together later, and are next to one another in the list."""
    config = subject.model.config
    for each in (config, getattr(config, "vision_config", None), getattr(config, "image_config", None)):
        if (merge := getattr(each, "spatial_merge_size", None)) is not None:
            return int(merge)
    given = subject.inputs.get("image_merge_sizes")
    return 1 if given is None else int(given[0])
