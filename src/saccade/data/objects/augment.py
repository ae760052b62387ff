"""Training augmentation for detection, on whole batches of pictures with boxes, masks and relations.

All random numbers come from one generator, so a seed gives the same pictures on any device.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, UInt8
from torch import Generator, Tensor

from saccade.data.augment_ops import jitter_colors, mean_color, random_window, resample, uniform
from saccade.data.objects import ObjectAnnotations
from saccade.data.objects.transforms import apply_placement, mirror, transpose, vflip
from saccade.data.preprocess import Placement
from saccade.errors import DataError


class ObjectAugment:
    """Random zoom in or out, flips, rotations by 90 degrees, then colour jitter.

    Args:
        size: (rows, columns) of the result.
        scale: minimum and maximum zoom, log-uniform for each picture. Above 1, a random crop with 1 / zoom of the sides
            is used; below 1, the whole picture is placed at random on the mean colour of the batch.
        min_visible: fraction 0..1 of an object that must remain in a crop, else the object is removed.
        hflip: flip horizontally with probability 0.5.
        vflip: flip vertically with probability 0.5.
        rot90: transpose with probability 0.5; with both flips, all eight orientations are equally likely.
        color_jitter: brightness, contrast and saturation are each multiplied by a random factor from 1 - color_jitter
            to 1 + color_jitter.
        relations: names of the relations, of which spatial ones change with the picture (`data/objects/transforms.py`).

    Raises:
        DataError: a number outside its range; rot90 for a `size` that is not square.
    """

    def __init__(
        self,
        size: tuple[int, int],
        scale: tuple[float, float] = (0.5, 1.5),
        min_visible: float = 0.25,
        hflip: bool = True,
        vflip: bool = False,
        rot90: bool = False,
        color_jitter: float = 0.3,
        relations: Sequence[str] = (),
    ):
        if not 0 < scale[0] <= scale[1]:
            raise DataError(f"scale={scale} was given; 0 < least <= greatest expected")
        for name, share in (("min_visible", min_visible), ("color_jitter", color_jitter)):
            if not 0 <= share <= 1:
                raise DataError(f"{name}={share} was given; 0 to 1 expected")
        if rot90 and size[0] != size[1]:
            raise DataError(f"rot90 was given with size={tuple(size)}; equal sides expected")
        self.size, self.scale, self.min_visible = (int(size[0]), int(size[1])), scale, min_visible
        self.hflip, self.vflip, self.rot90 = hflip, vflip, rot90
        self.color_jitter, self.relations = color_jitter, list(relations)

    def __call__(
        self, pictures: UInt8[Tensor, "b c y x"], objects: Sequence[ObjectAnnotations], generator: Generator
    ) -> tuple[Float[Tensor, "b c rows columns"], list[ObjectAnnotations]]:
        """One augmented batch on the device of the pictures: float32 0..1, and the transformed objects."""
        if pictures.dtype != torch.uint8:
            raise DataError(f"pictures of type {pictures.dtype} were given; uint8 (0..255) expected")
        height, width = pictures.shape[2:]
        wrong = next((o.size for o in objects if o.size != (height, width)), None)
        if wrong is not None or len(objects) != len(pictures):
            found = f"objects of {wrong[1]} x {wrong[0]} pixels" if wrong else f"objects for {len(objects)}"
            raise DataError(
                f"{len(pictures)} pictures of {width} x {height} pixels came with {found}; the same expected"
            )
        source, target = self._windows(len(pictures), height, width, generator)
        wanted = torch.tensor([[self.hflip], [self.vflip], [self.rot90]])
        turns = (uniform((3, len(pictures)), generator) < 0.5) & wanted
        fill = mean_color(pictures)
        x = resample(pictures, source, self.size, target, mirrored=turns[0], fill=fill)
        x = _turned(x, turns[1].to(x.device), turns[2].to(x.device))
        if self.color_jitter:
            x = jitter_colors(x, self.color_jitter, generator)
        parts = zip(objects, source.tolist(), target.tolist(), turns.T.tolist(), strict=True)
        return x, [self._moved(*each) for each in parts]

    def _windows(self, b: int, height: int, width: int, generator: Generator) -> tuple[Tensor, Tensor]:
        """For each picture the crop, and the box of the result that it fills: (b 4) each, top, left, height, width in
        pixels."""
        low, high = math.log(self.scale[0]), math.log(self.scale[1])
        zoom = (uniform((b,), generator) * (high - low) + low).exp()
        at = uniform((b, 2), generator)
        source = random_window(at, torch.tensor([height, width]), 1 / zoom.clamp(min=1))
        return source, random_window(at, torch.tensor(self.size), zoom.clamp(max=1))

    def _moved(
        self, objects: ObjectAnnotations, source: list[int], target: list[int], turns: list[bool]
    ) -> ObjectAnnotations:
        (top, left, h, w), (row, column, rows, columns) = source, target
        scale_x, scale_y = columns / w, rows / h
        placement = Placement(scale_x, scale_y, column - left * scale_x, row - top * scale_y)
        moved = apply_placement(objects, placement, self.size, self.min_visible, self.relations)
        for turn, move in zip(turns, (mirror, vflip, transpose), strict=True):
            moved = move(moved, self.relations) if turn else moved
        return moved


def _turned(x: Tensor, over: Tensor, across: Tensor) -> Tensor:
    for chosen, turn in ((over, lambda part: part.flip(-2)), (across, lambda part: part.mT)):
        if chosen.any():
            x[chosen] = turn(x[chosen])
    return x
