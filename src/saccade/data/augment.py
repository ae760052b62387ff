"""Training augmentation for classification, on whole batches: uint8 pictures in, normalised pictures and soft
labels out.

Training a small model on two cores takes about 3 ms for each picture, so all operations work on batches. All random
numbers come from one generator, so a seed gives the same pictures on any device.
"""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64, UInt8
from torch import Generator, Tensor

from saccade.data.augment_ops import resample
from saccade.data.trivial_augment import trivial_augment
from saccade.errors import DataError

Crop = Literal["pad", "resized", "none"]
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
ASPECT = (3 / 4, 4 / 3)  # width / height of resized crops and erased boxes


class Augment:
    """Random crop, flip, TrivialAugment, erasing, then MixUp or CutMix.

    Args:
        size: (rows, columns) of the result.
        num_classes: number of classes of the soft labels.
        crop: "pad" shifts the picture by up to 1/8 of its size, with reflection padding; "resized" crops a random part
            of `scale` of its area and resizes it (Szegedy et al., arXiv 1409.4842, section 6); "none" only resizes.
        scale: minimum and maximum fraction of the area in a resized crop.
        hflip: flip horizontally with probability 0.5.
        trivial_augment: apply one random operation to each picture (TrivialAugment, arXiv 2103.10158).
        random_erasing: probability that a box of a picture is erased (arXiv 1708.04896).
        mixup, cutmix: alpha of Beta(alpha, alpha) for the mixing weight, 0 to disable (MixUp arXiv 1710.09412, CutMix
            arXiv 1905.04899). With both, each batch uses one of them.
        mixup_prob: probability that MixUp or CutMix is applied to a batch.
        label_smoothing: fraction 0..1 of each label spread over all classes (arXiv 1512.00567, section 7).
        mean, std: for each channel, of the normalization (x / 255 - mean) / std.

    Raises:
        DataError: a number outside its range.
    """

    def __init__(
        self,
        size: tuple[int, int],
        num_classes: int,
        crop: Crop = "resized",
        scale: tuple[float, float] = (0.35, 1.0),
        hflip: bool = True,
        trivial_augment: bool = False,
        random_erasing: float = 0.0,
        mixup: float = 0.0,
        cutmix: float = 0.0,
        mixup_prob: float = 1.0,
        label_smoothing: float = 0.0,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
    ):
        shares = {"random_erasing": random_erasing, "mixup_prob": mixup_prob, "label_smoothing": label_smoothing}
        for name, share in shares.items():
            if not 0 <= share <= 1:
                raise DataError(f"{name}={share} was given; 0 to 1 expected")
        if mixup < 0 or cutmix < 0:
            raise DataError(f"mixup={mixup} and cutmix={cutmix} were given; 0 (off) or more expected")
        if crop not in ("pad", "resized", "none"):
            raise DataError(f'crop={crop!r} was given; "pad", "resized" or "none" expected')
        if not 0 < scale[0] <= scale[1] <= 1:
            raise DataError(f"scale={scale} was given; 0 < least <= greatest <= 1 expected")
        self.size, self.num_classes, self.crop, self.scale, self.hflip = size, num_classes, crop, scale, hflip
        self.trivial_augment = trivial_augment
        self.random_erasing, self.mixup, self.cutmix, self.mixup_prob = random_erasing, mixup, cutmix, mixup_prob
        self.label_smoothing, self.mean, self.std = label_smoothing, mean, std

    def __call__(
        self, pictures: UInt8[Tensor, "b c y x"], labels: Int64[Tensor, "b"], generator: Generator
    ) -> tuple[Float[Tensor, "b c y x"], Float[Tensor, "b classes"]]:
        """One augmented batch on the pictures' device: float32 pictures, and labels that sum to 1."""
        if pictures.dtype != torch.uint8:
            raise DataError(f"pictures of type {pictures.dtype} were given; uint8 (0..255) expected")
        x = self._cropped(pictures, generator)
        if self.trivial_augment:
            x = trivial_augment(x, generator)
        x = _normalised(x, self.mean, self.std)
        if self.random_erasing:
            x = _erased(x, self.random_erasing, generator)
        return self._mixed(x, smooth_labels(labels, self.num_classes, self.label_smoothing), generator)

    def _cropped(self, pictures: Tensor, generator: Generator) -> Tensor:
        """-> float (b c y x), 0..1, of `size`."""
        if self.crop == "resized":
            return _resized_crop(pictures, self.size, self.scale, self.hflip, generator)
        x = _padded_crop(pictures, self.crop == "pad", self.hflip, generator)
        if tuple(x.shape[2:]) == tuple(self.size):
            return x.float().div_(255)
        if x.device.type == "cpu":  # resizing bytes is several times faster than floats
            return F.interpolate(x, self.size, mode="bilinear", antialias=True).float().div_(255)
        return F.interpolate(x.float().div_(255), self.size, mode="bilinear", antialias=True)

    def _mixed(self, x: Tensor, labels: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        coin, choice = _uniform(2, generator).tolist()
        if coin >= self.mixup_prob or not (self.mixup or self.cutmix):
            return x, labels
        other = torch.randperm(len(x), generator=generator).to(x.device)
        if self.mixup and (not self.cutmix or choice < 0.5):
            share = _beta(self.mixup, generator)
            x = torch.lerp(x[other], x, share)
        else:
            x, share = _cut_in(x, x[other], _beta(self.cutmix, generator), generator)
        return x, torch.lerp(labels[other], labels, share)


def smooth_labels(labels: Int64[Tensor, "b"], num_classes: int, smoothing: float) -> Float[Tensor, "b classes"]:
    """1 - smoothing for the true class, and smoothing / classes for each; rows sum to 1.

    Raises:
        DataError: a label outside 0..classes - 1.
    """
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < num_classes:
        raise DataError(f"labels lie in {int(labels.min())}..{int(labels.max())}; 0..{num_classes - 1} expected")
    return F.one_hot(labels, num_classes).float().mul_(1 - smoothing).add_(smoothing / num_classes)


def _normalised(x: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    m, s = (torch.tensor(v, device=x.device).view(1, -1, 1, 1) for v in (mean, std))
    return x.sub_(m).div_(s)


def _uniform(n: int, generator: Generator, low: float = 0.0, high: float = 1.0) -> Tensor:
    return torch.rand(n, generator=generator, device=generator.device).mul_(high - low).add_(low)


def _beta(alpha: float, generator: Generator) -> float:
    """A sample of Beta(alpha, alpha), from numpy: torch's samples use the global generator only."""
    seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
    return float(np.random.default_rng(seed).beta(alpha, alpha))


def _padded_crop(x: Tensor, move: bool, hflip: bool, generator: Generator) -> Tensor:
    """Shift with reflection padding and flip, in one gather; keeps size and type."""
    b, c, height, width = x.shape
    rows, columns = torch.arange(height).expand(b, -1), torch.arange(width).expand(b, -1)
    if move:
        rows = _mirror(rows + _shift(b, height // 8, generator), height)
        columns = _mirror(columns + _shift(b, width // 8, generator), width)
    if hflip:
        turned = (_uniform(b, generator).cpu() < 0.5)[:, None]
        columns = torch.where(turned, columns.flip(1), columns)
    if not (move or hflip):
        return x
    source = (rows[:, :, None] * width + columns[:, None, :]).to(x.device)
    return x.flatten(2).gather(2, source.view(b, 1, -1).expand(b, c, -1)).view_as(x)


def _shift(b: int, most: int, generator: Generator) -> Tensor:
    return torch.randint(-most, most + 1, (b, 1), generator=generator, device=generator.device).cpu()


def _mirror(index: Tensor, n: int) -> Tensor:
    """Reflect indices at the border: -1 -> 1, n -> n - 2."""
    return (n - 1) - (n - 1 - index.abs()).abs()


def _boxes(b: int, share: tuple[float, float], size: tuple[int, int], generator: Generator) -> Tensor:
    """Random boxes (b 4) inside the picture: top, left, height, width in pixels, with an area in the range `share`."""
    height, width = size
    area = _uniform(b, generator, *share) * (height * width)
    aspect = _uniform(b, generator, math.log(ASPECT[0]), math.log(ASPECT[1])).exp()
    h = (area / aspect).sqrt().round().clamp(1, height)
    w = (area * aspect).sqrt().round().clamp(1, width)
    top = (_uniform(b, generator) * (height - h + 1)).floor().clamp(max=height - h)
    left = (_uniform(b, generator) * (width - w + 1)).floor().clamp(max=width - w)
    return torch.stack([top, left, h, w], dim=1).long().cpu()


def _resized_crop(
    x: Tensor, size: tuple[int, int], scale: tuple[float, float], hflip: bool, generator: Generator
) -> Tensor:
    """-> float 0..1 of `size`: a random box of each picture, resized (bilinear, antialiased)."""
    boxes = _boxes(len(x), scale, (x.shape[2], x.shape[3]), generator)
    turned = (_uniform(len(x), generator) < 0.5).cpu() & hflip
    return resample(x, boxes, size, mirrored=turned)


def _erased(x: Tensor, chance: float, generator: Generator) -> Tensor:
    """Boxes of 2 % to 33 % of the area are set to 0, the mean colour of normalized pictures."""
    height, width = x.shape[2:]
    boxes = _boxes(len(x), (0.02, 0.33), (height, width), generator)
    boxes[_uniform(len(x), generator).cpu() >= chance] = 0  # empty: nothing is erased
    top, left, h, w = boxes.to(x.device)[:, :, None].unbind(1)
    y, z = torch.arange(height, device=x.device), torch.arange(width, device=x.device)
    rows, columns = (y >= top) & (y < top + h), (z >= left) & (z < left + w)
    return x.masked_fill_((rows[:, :, None] & columns[:, None, :])[:, None], 0)


def _cut_in(x: Tensor, other: Tensor, share: float, generator: Generator) -> tuple[Tensor, float]:
    """CutMix: replace a box of about 1 - share of the area by `other`. Returns the exact fraction of x that is kept."""
    height, width = x.shape[2:]
    side = math.sqrt(1 - share)
    h, w = round(height * side), round(width * side)
    u, v = _uniform(2, generator).tolist()
    # the centre is uniform, so the box may be clipped at the border (algorithm 1 of the paper)
    top, left = round(u * height - h / 2), round(v * width - w / 2)
    rows = slice(max(top, 0), max(min(top + h, height), 0))
    columns = slice(max(left, 0), max(min(left + w, width), 0))
    x[:, :, rows, columns] = other[:, :, rows, columns]
    cut = max(rows.stop - rows.start, 0) * max(columns.stop - columns.start, 0)
    return x, 1 - cut / (height * width)
