"""The classes that a segmenter gave a picture's pixels, and where the token of each looked."""

import zlib
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from saccade.data import Picture
from saccade.data.segments import IGNORED
from saccade.errors import SaccadeError
from saccade.lens import Trace
from saccade.models.segmenter import Segmented
from saccade.studio.canvas import Canvas
from saccade.studio.queries import query_layers, rounded
from saccade.studio.targets import Queries
from saccade.tasks.drawing import Colour
from saccade.tasks.segment.colours import class_colours
from saccade.tasks.segment.draw import unpainted
from saccade.tasks.segment.result import Segmentation
from saccade.tasks.segment.task import SegmentTask
from saccade.tasks.segment.tiles import classes_of_pixels

MOST = 64  # classes with maps on a page: all that most data sets have, and more than a person clicks through
RANKS = 4  # likeliest classes kept of a patch


@dataclass(frozen=True, kw_only=True)
class ClassAreas(Queries):
    """All classes of a segmenter, those of most pixels first and those of none by how likely they come anywhere, and
    where their tokens looked.

    Values of masks and of `ranks` are places in this order. pixels: how many of the picture each was given, as a
    share. mask: class of each pixel that the page shows, IGNORED beside the picture. parts: the part of each patch
    that is a class's. ranks, chances: of the RANKS likeliest classes of each patch, the mean over its pixels of how
    likely each is, 0 to 1; patches beside the picture have chances of 0.
    """

    kind, place = "classes", "area"

    classes: list[str]
    colours: list[Colour]
    bare: list[int]
    pixels: Float[Tensor, "classes"]
    mask: UInt8[Tensor, "y x"]
    parts: Float[Tensor, "classes m"]
    ranks: UInt8[Tensor, "ranks m"]
    chances: Float[Tensor, "ranks m"]
    count: int

    def __len__(self) -> int:
        return self.count

    @property
    def names(self) -> list[str]:
        return self.classes

    @property
    def cover(self) -> Float[Tensor, "n m"]:
        return self.parts[: self.count]

    def first(self, n: int) -> "ClassAreas":
        n = min(n, self.count)
        return replace(self, layers=self._layers_of(n), count=n)

    def cut(self, n: int) -> str:
        return f"the page shows the maps of {n} of {len(self.classes)} classes, to stay small"

    def details(self) -> dict[str, Any]:
        return {
            "queries": len(self.classes),
            "count": self.count,
            "colours": ["#{:02x}{:02x}{:02x}".format(*colour) for colour in self.colours],
            "bare": self.bare,
            "pixels": rounded(self.pixels),
            "mask": list(self.mask.shape),
            "ranks": len(self.ranks),
        }

    def planes(self) -> dict[str, bytes]:
        """The mask, row by row; for each rank the class of every patch, then its chance as a 16-bit number of
        1/65535, all low bytes and then all high ones."""
        steps = (self.chances * 65535).round().to(torch.int32)
        coded = torch.stack([self.ranks.int(), steps & 255, steps >> 8], dim=1).to(torch.uint8)
        planes = {"mask": self.mask, "likely": coded}
        return {name: zlib.compress(plane.contiguous().numpy().tobytes(), 9) for name, plane in planes.items()}


def find_areas(
    task: SegmentTask, out: Segmented, canvas: Canvas, picture: Picture, trace: Trace
) -> tuple[Segmentation, ClassAreas]:
    """What a segmenter says of one picture that it saw in one piece, and where its class tokens looked.

    Raises SaccadeError if its answer is not a number."""
    logits, grid = out.pixels[0].float().cpu(), canvas.grid
    if not logits.isfinite().all():
        raise SaccadeError(
            f"the answer of {task.name} is not a number: its weights are damaged, fetch or train it again"
        )

    def classes_at(size: tuple[int, int]) -> UInt8[Tensor, "y x"]:
        """As `predict` makes classes of logits."""
        return classes_of_pixels(canvas.pixels, canvas.padded, len(task.labels), lambda _: logits[None], size)

    mask = classes_at((picture.image.height, picture.image.width))
    said = Segmentation(picture.name, mask, tuple(task.labels), picture.notes)
    chances = chances_of_patches(logits, canvas.patch, canvas.size)
    counts = torch.bincount(mask.flatten(), minlength=len(task.labels)).double()
    # sorted by the pixels given, then by where a class is likeliest
    order = sorted(range(len(task.labels)), key=lambda i: (-float(counts[i]), -float(chances[i].max()), i))
    place = torch.full((256,), IGNORED, dtype=torch.uint8)
    place[order] = torch.arange(len(order), dtype=torch.uint8)
    coarse = torch.full(logits.shape[1:], IGNORED, dtype=torch.uint8)
    rows, columns = canvas.size
    coarse[:rows, :columns] = place[logits[:, :rows, :columns].argmax(dim=0)]
    whole, part = canvas.mask_sizes
    shown, inner = torch.full(whole, IGNORED, dtype=torch.uint8), classes_at(part)
    shown[: inner.shape[0], : inner.shape[1]] = place[inner.long()]
    likeliest, ranks = chances[order].topk(min(RANKS, len(order)), dim=0)
    count = min(MOST, len(order))
    seen = query_layers(trace, torch.tensor(order[:count]), len(order), grid[0] * grid[1])
    notes = seen.notes
    if count < len(order):
        notes = [f"the page shows the maps of {count} of {len(order)} classes", *notes]
    colours, bare = class_colours(len(order)), unpainted(task.labels, None)
    areas = ClassAreas(
        classes=[task.labels[i] for i in order],
        colours=[colours[i] for i in order],
        bare=[at for at, i in enumerate(order) if i in bare],
        pixels=(counts[order] / mask.numel()).float(),
        mask=shown,
        parts=part_of_patches(coarse, len(order), grid),
        ranks=ranks.to(torch.uint8),
        chances=likeliest,
        count=count,
        layers=seen.layers,
        others=seen.others,
        grid=grid,
        notes=notes,
    )
    return said, areas


def chances_of_patches(
    logits: Float[Tensor, "classes y x"], patch: int, size: tuple[int, int]
) -> Float[Tensor, "classes m"]:
    """How likely each class is in each patch: the mean of the softmax over its pixels that lie within the picture of
    `size` (height, width) in the upper left corner; 0 for patches beside it."""
    out = []
    for top in range(0, logits.shape[1], patch):
        rows = max(0, min(patch, size[0] - top))
        chance = logits[:, top : top + rows].softmax(dim=0)
        chance[:, :, size[1] :] = 0
        columns = (size[1] - torch.arange(0, logits.shape[2], patch)).clamp(0, patch)
        out.append(chance.sum(dim=1).unflatten(1, (-1, patch)).sum(dim=2) / (rows * columns).clamp(min=1))
    return torch.stack(out, dim=1).flatten(1)


def part_of_patches(mask: UInt8[Tensor, "y x"], count: int, grid: tuple[int, int]) -> Float[Tensor, "n m"]:
    """The part of every patch's pixels that is of each class 0 to count - 1. mask: of whole patches."""
    rows, columns = grid
    patches = mask.unflatten(0, (rows, -1)).unflatten(2, (columns, -1)).transpose(1, 2).flatten(2).flatten(0, 1)
    counts = torch.zeros(rows * columns, 256)
    counts.scatter_add_(1, patches.long(), torch.ones(()).expand(patches.shape))
    return counts[:, :count].T / patches.shape[1]
