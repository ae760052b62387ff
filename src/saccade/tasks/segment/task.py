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
from saccade.errors import DataError
from saccade.models.segmenter import Segmenter, SegmenterConfig
from saccade.tasks.encoders import up_to_patches
from saccade.tasks.saved import TrainedTask, same_classes
from saccade.tasks.segment.result import Segmentation
from saccade.tasks.segment.tiles import classes_of_pixels


class BaseSegmentTask:
    """What every segmenter does once it can `segment`: `predict` on a picture, `val` on a set with known masks."""

    model: nn.Module
    name: str
    labels: list[str]
    notes: list[str]

    def segment(self, picture: Picture) -> UInt8[Tensor, "y x"]:
        """The index of each pixel's class, at the size of the picture, on the CPU."""
        raise NotImplementedError

    def predict(self, source: Source) -> Segmentation:
        """The class of every pixel of one picture: a path, bytes, Pillow image, array or tensor.

        Raises DataError for a picture that cannot be read.
        """
        return next(iter(self.predict_all([source])))

    def predict_all(self, sources: Iterable[Source]) -> Iterator[Segmentation]:
        """`predict` for many, in order; one at a time, as masks of large pictures take much memory."""
        for picture in map(read_image, sources):
            yield Segmentation(picture.name, self.segment(picture), tuple(self.labels), picture.notes)

    def val(self, data: SegmentSet, device: Device) -> Iterator[tuple[int, UInt8[Tensor, "y x"], UInt8[Tensor, "y x"]]]:
        """For every picture its index in `data`, what is said of its pixels and what is true.

        Unreadable pictures raise, or are left out and recorded in `data.skipped`, as `data.on_error` says. Raises
        DataError if none can be read, and if the classes of the data are not the model's.
        """
        same_classes(data.classes, self.labels, data.label, self.name)
        self.model.to(device.device).eval()
        read = 0
        for i in tqdm(range(len(data)), unit="pictures", delay=1, disable=None):
            with device.precision():
                both = read_or_skip(data, i, lambda i: (self.segment(data.picture(i)), data.mask(i)))
            if both is not None:
                read += 1
                yield i, *both
        if not read:
            why = next(iter(data.skipped.values()), "it is empty")
            raise DataError(f"no picture of {data.label} could be read: {why}")


@dataclass
class SegmentTask(BaseSegmentTask, TrainedTask):
    """A segmenter with what it takes to use it on pictures, and the names of its classes.

    `preprocess` says how large pictures are when they are segmented (their shorter side is `shortest`) and how much of
    them the network sees at once (`size`): larger pictures are seen in tiles that overlap.
    """

    model: Segmenter

    kind: ClassVar[str] = "segment"
    network: ClassVar[type[nn.Module]] = Segmenter
    network_config: ClassVar[type[BaseModel]] = SegmenterConfig

    @property
    def target(self) -> Literal["mean"]:
        """No token speaks for the picture: the patches are what its classes look at."""
        return "mean"

    def segment(self, picture: Picture) -> UInt8[Tensor, "y x"]:
        """The index of each pixel's class. Borders are as fine as the size at which the picture is segmented."""
        image = self.preprocess.resize_shortest(picture.image)
        pixels = torch.from_numpy(np.array(image)).view(image.height, image.width, -1).permute(2, 0, 1)
        size = (picture.image.height, picture.image.width)
        return self.classes_of_pixels(self.preprocess.normalize(pixels), size)

    def classes_of_pixels(self, pixels: Float[Tensor, "c y x"], size: tuple[int, int]) -> UInt8[Tensor, "rows columns"]:
        """As `segment`, of a picture that is prepared."""
        pixels = pixels.to(next(self.model.parameters()).device)
        model, tile = self.model.eval(), up_to_patches(self.preprocess.size, self.vit.config.patch)
        return classes_of_pixels(pixels, tile, len(self.labels), lambda tiles: model(tiles).logits, size)

    def at(self, shortest: int) -> "SegmentTask":
        """The same for pictures whose shorter side is brought to another size, in pixels."""
        return replace(self, preprocess=replace(self.preprocess, shortest=shortest))
