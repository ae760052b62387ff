"""The class that a segmenter gave every pixel of an image, and the attention of each class token."""

import zlib
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from saccade.data import Picture
from saccade.data.segments import IGNORE_INDEX
from saccade.errors import SaccadeError
from saccade.lens import Trace
from saccade.studio.inputs.padded_image import PaddedImage
from saccade.studio.page.queries import query_layers, rounded
from saccade.studio.page.targets import Queries
from saccade.tasks.drawing import Colour
from saccade.tasks.segment.colours import class_colours
from saccade.tasks.segment.draw import transparent_classes
from saccade.tasks.segment.result import Segmentation
from saccade.tasks.segment.task import SegmentTask
from saccade.tasks.segment.tiles import segment_tiled

MOST = 64  # classes with maps on a page: all that most data sets have, and more than a person clicks through
RANKS = 4  # most probable classes kept of a patch


@dataclass(frozen=True, kw_only=True)
class SegmentedClasses(Queries):
    """All classes of a segmenter with the attention of their tokens: those of most pixels first, those of none by
    their highest probability in any patch.

    Values of `mask` and of `ranks` are indices in this order. transparent_classes: classes without a colour, such as a
    background. pixels: share of the image's pixels. mask: class of each pixel on the page, IGNORE_INDEX on padding.
    coverage: share of each patch's pixels that have the class. ranks, probabilities: the RANKS most probable classes
    of each patch, and the mean of their probability over its pixels; 0 on padding. count: classes with maps.
    """

    kind, region = "classes", "area"

    classes: list[str]
    colours: list[Colour]
    transparent_classes: list[int]
    pixels: Float[Tensor, "classes"]
    mask: UInt8[Tensor, "y x"]
    coverage: Float[Tensor, "classes m"]
    ranks: UInt8[Tensor, "ranks m"]
    probabilities: Float[Tensor, "ranks m"]
    count: int

    def __len__(self) -> int:
        return self.count

    @property
    def names(self) -> list[str]:
        return self.classes

    @property
    def region_coverage(self) -> Float[Tensor, "n m"]:
        return self.coverage[: self.count]

    def first_targets(self, n: int) -> "SegmentedClasses":
        n = min(n, self.count)
        return replace(self, layers=self._layers_of(n), count=n)

    def truncation_note(self, n: int) -> str:
        return f"the page shows the maps of {n} of {len(self.classes)} classes, to stay small"

    def details(self) -> dict[str, Any]:
        return {
            "queries": len(self.classes),
            "count": self.count,
            "colours": [hex_colour(colour) for colour in self.colours],
            "transparent_classes": self.transparent_classes,
            "pixels": rounded(self.pixels),
            "mask": list(self.mask.shape),
            "ranks": len(self.ranks),
        }

    def planes(self) -> dict[str, bytes]:
        """The mask, row by row; for each rank the class of every patch, then its probability as a 16-bit number of
        1/65535, all low bytes and then all high ones."""
        steps = (self.probabilities * 65535).round().to(torch.int32)
        coded = torch.stack([self.ranks.int(), steps & 255, steps >> 8], dim=1).to(torch.uint8)
        planes = {"mask": self.mask, "likely": coded}
        return {name: zlib.compress(plane.contiguous().numpy().tobytes(), 9) for name, plane in planes.items()}


def segmentation_with_attention(
    task: SegmentTask, output: Float[Tensor, "1 classes y x"], canvas: PaddedImage, picture: Picture, trace: Trace
) -> tuple[Segmentation, SegmentedClasses]:
    """The prediction for one image that the model saw in one piece, and the attention of its class tokens. output:
    logits of the canvas' pixels.

    Raises SaccadeError if a logit is not a number."""
    logits, grid, count = output[0].float().cpu(), canvas.grid, len(task.labels)
    if not logits.isfinite().all():
        raise SaccadeError(
            f"the output of {task.name} is not a number: its weights are damaged, fetch or train it again"
        )

    def classes_at(size: tuple[int, int]) -> UInt8[Tensor, "y x"]:
        """As `predict` makes classes of logits."""
        return segment_tiled(canvas.pixels, canvas.padded, count, lambda _: logits[None], size)

    mask = classes_at((picture.image.height, picture.image.width))
    probabilities = patch_probabilities(logits, canvas.patch, canvas.size)
    pixels = torch.bincount(mask.flatten(), minlength=count).double()
    order = sorted(range(count), key=lambda i: (-float(pixels[i]), -float(probabilities[i].max()), i))
    rank = torch.full((256,), IGNORE_INDEX, dtype=torch.uint8)
    rank[order] = torch.arange(count, dtype=torch.uint8)
    highest, ranks = probabilities[order].topk(min(RANKS, count), dim=0)
    shown = min(MOST, count)
    seen = query_layers(trace, torch.tensor(order[:shown]), count, grid[0] * grid[1])
    notes = [f"the page shows the maps of {shown} of {count} classes"] if shown < count else []
    colours, unpainted_labels = class_colours(count), transparent_classes(task.labels, None)
    areas = SegmentedClasses(
        classes=[task.labels[i] for i in order],
        colours=[colours[i] for i in order],
        transparent_classes=[at for at, i in enumerate(order) if i in unpainted_labels],
        pixels=(pixels[order] / mask.numel()).float(),
        mask=_on_canvas(rank[classes_at(canvas.mask_sizes[1]).long()], canvas.mask_sizes[0]),
        coverage=patch_coverage(_on_canvas(rank[_highest(logits, canvas.size)], canvas.padded), count, grid),
        ranks=ranks.to(torch.uint8),
        probabilities=highest,
        count=shown,
        layers=seen.layers,
        others=seen.others,
        grid=grid,
        notes=[*notes, *seen.notes],
    )
    return Segmentation(picture.name, mask, tuple(task.labels), picture.notes), areas


def hex_colour(colour: Colour) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


def _highest(logits: Float[Tensor, "classes y x"], size: tuple[int, int]) -> Tensor:
    """The class of highest logit of every pixel of the image."""
    return logits[:, : size[0], : size[1]].argmax(dim=0)


def _on_canvas(mask: UInt8[Tensor, "y x"], size: tuple[int, int]) -> UInt8[Tensor, "rows columns"]:
    """The mask in the upper left corner of a larger one, IGNORE_INDEX elsewhere."""
    out = torch.full(size, IGNORE_INDEX, dtype=torch.uint8)
    out[: mask.shape[0], : mask.shape[1]] = mask
    return out


def patch_probabilities(
    logits: Float[Tensor, "classes y x"], patch: int, size: tuple[int, int]
) -> Float[Tensor, "classes m"]:
    """Probability of each class in each patch: the mean of the softmax over its pixels inside the image of `size`
    (height, width) in the upper left corner; 0 for patches outside it."""
    out = []
    for top in range(0, logits.shape[1], patch):
        rows = max(0, min(patch, size[0] - top))
        probability = logits[:, top : top + rows].softmax(dim=0)
        probability[:, :, size[1] :] = 0
        columns = (size[1] - torch.arange(0, logits.shape[2], patch)).clamp(0, patch)
        out.append(probability.sum(dim=1).unflatten(1, (-1, patch)).sum(dim=2) / (rows * columns).clamp(min=1))
    return torch.stack(out, dim=1).flatten(1)


def patch_coverage(mask: UInt8[Tensor, "y x"], count: int, grid: tuple[int, int]) -> Float[Tensor, "n m"]:
    """Share of every patch's pixels that have each of the classes 0 to count - 1. mask: of whole patches."""
    rows, columns = grid
    patches = mask.unflatten(0, (rows, -1)).unflatten(2, (columns, -1)).transpose(1, 2).flatten(2).flatten(0, 1)
    counts = torch.zeros(rows * columns, 256)
    counts.scatter_add_(1, patches.long(), torch.ones(()).expand(patches.shape))
    return counts[:, :count].T / patches.shape[1]
