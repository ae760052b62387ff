"""Preprocessing of RF-DETR from its preprocessor_config.json, which transformers offers only with torchvision."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from saccade.checkpoints.family import IMAGENET, height_width


@dataclass(frozen=True)
class RfDetrImageProcessor:
    """Scaled to 0..1, stretched to `size` (height, width) without smoothing, then normalised: in this order, and in
    fp32 throughout, unlike DETR's pictures, which are resized as bytes and smoothed."""

    size: tuple[int, int]
    factor: float = 1 / 255
    way: str = "bilinear"
    mean: tuple[float, ...] = IMAGENET["mean"]
    std: tuple[float, ...] = IMAGENET["std"]

    @classmethod
    def from_dict(cls, raw_config: Mapping[str, Any]) -> "RfDetrImageProcessor":
        """Raises ValueError for what RF-DETR's own checkpoints do not do."""
        size, way = (
            height_width(raw_config.get("size")),
            {2: "bilinear", 3: "bicubic"}.get(raw_config.get("resample", 2)),
        )
        if size is None or min(size) < 1 or not raw_config.get("do_resize", True):
            raise ValueError(f"the size is {raw_config.get('size')!r}; expected a height and a width")
        if way is None:
            raise ValueError(f"resample is {raw_config.get('resample')!r}; expected 2 (bilinear) or 3 (bicubic)")
        plain = raw_config.get("do_normalize") is False
        return cls(
            size,
            float(raw_config.get("rescale_factor", 1 / 255)) if raw_config.get("do_rescale", True) else 1.0,
            way,
            (0.0,) * 3 if plain else tuple(map(float, raw_config.get("image_mean", IMAGENET["mean"]))),
            (1.0,) * 3 if plain else tuple(map(float, raw_config.get("image_std", IMAGENET["std"]))),
        )

    def __call__(self, images: Sequence[Image.Image], **_: object) -> dict[str, Tensor]:
        """pixel_values (b 3 y x), and pixel_mask (b y x), all 1: nothing is filled up."""
        mean, std = (torch.tensor(values)[:, None, None] for values in (self.mean, self.std))
        prepared = []
        for image in images:
            pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).float() * self.factor
            resized = F.interpolate(pixels[None], self.size, mode=self.way, align_corners=False)[0]
            prepared.append((resized - mean) / std)
        values = torch.stack(prepared)
        return {"pixel_values": values, "pixel_mask": torch.ones(len(values), *self.size, dtype=torch.int64)}
