"""Semantic segmentation: pictures in, the class of every pixel out."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float, UInt8
from pydantic import BaseModel
from torch import Tensor, nn
from tqdm.auto import tqdm

from saccade.data import read_image
from saccade.data.cache import read_or_skip
from saccade.data.images import Picture, Source
from saccade.data.segments import SegmentSet
from saccade.device import Device
from saccade.models.segmenter import Segmenter, SegmenterConfig
from saccade.tasks.encoders import ceil_to_patches
from saccade.tasks.saved import TrainedTask, check_classes, no_pictures_error
from saccade.tasks.segment.result import Segmentation
from saccade.tasks.segment.tiles import segment_tiled


class BaseSegmentTask:
    """`predict` and `val` of every segmenter. A subclass defines `segment`."""

    model: nn.Module
    name: str
    labels: list[str]
    notes: list[str]

    def segment(self, picture: Picture) -> UInt8[Tensor, "y x"]:
        """Class index of each pixel, at the size of the picture, on the CPU."""
        raise NotImplementedError

    def predict(self, source: Source) -> Segmentation:
        """The class of every pixel of one picture: a path, bytes, Pillow image, array or tensor.

        Raises DataError for a picture that cannot be read.
        """
        return next(iter(self.predict_all([source])))

    def predict_all(self, sources: Iterable[Source]) -> Iterator[Segmentation]:
        """`predict` for many pictures, in order; one at a time, as masks of large pictures take much memory."""
        for picture in map(read_image, sources):
            yield Segmentation(picture.name, self.segment(picture), tuple(self.labels), picture.notes)

    def val(self, data: SegmentSet, device: Device) -> Iterator[tuple[int, UInt8[Tensor, "y x"], UInt8[Tensor, "y x"]]]:
        """For every picture its index in `data`, the predicted mask and the true mask.

        Unreadable pictures raise, or are skipped and recorded in `data.skipped`, according to `data.on_error`. Raises
        DataError if none can be read, and if the classes of the data are not the model's.
        """
        check_classes(data.classes, self.labels, data.title, self.name)
        self.model.to(device.device).eval()
        count = 0
        for i in tqdm(range(len(data)), unit="pictures", delay=1, disable=None):
            with device.autocast_context():
                masks = read_or_skip(data, i, lambda i: (self.segment(data.picture(i)), data.mask(i)))
            if masks is not None:
                count += 1
                yield i, *masks
        if not count:
            raise no_pictures_error(data.title, data.skipped)


@dataclass
class SegmentTask(BaseSegmentTask, TrainedTask):
    """A segmenter with its preprocessing and the names of its classes.

    Pictures are resized to `preprocess.shortest` pixels on the shorter side; those larger than the network's input,
    `preprocess.size`, are segmented in overlapping tiles.
    """

    model: Segmenter

    kind: ClassVar[str] = "segment"
    network: ClassVar[type[nn.Module]] = Segmenter
    network_config: ClassVar[type[BaseModel]] = SegmenterConfig

    @property
    def target(self) -> Literal["mean"]:
        """The mean of the patches: no single token represents the picture."""
        return "mean"

    def segment(self, picture: Picture) -> UInt8[Tensor, "y x"]:
        """Class index of each pixel. Boundaries are as fine as the resized picture."""
        image = self.preprocess.resize_shortest(picture.image)
        pixels = torch.from_numpy(np.array(image)).view(image.height, image.width, -1).permute(2, 0, 1)
        size = (picture.image.height, picture.image.width)
        return self.segment_pixels(self.preprocess.normalize(pixels), size)

    def segment_pixels(self, pixels: Float[Tensor, "c y x"], size: tuple[int, int]) -> UInt8[Tensor, "rows columns"]:
        """`segment` for a preprocessed picture. size: (height, width) of the result."""
        pixels = pixels.to(next(self.model.parameters()).device)
        model, tile = self.model.eval(), ceil_to_patches(self.preprocess.size, self.vit.config.patch)
        return segment_tiled(pixels, tile, len(self.labels), lambda tiles: model(tiles).logits, size)

    def with_shorter_side(self, shortest: int) -> "SegmentTask":
        """The same task with pictures resized to `shortest` pixels on the shorter side."""
        return replace(self, preprocess=replace(self.preprocess, shortest=shortest))
