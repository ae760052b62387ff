"""Semantic segmentation: pictures in, the class of every pixel out."""

from collections.abc import Iterable, Iterator

from jaxtyping import UInt8
from torch import Tensor, nn
from tqdm.auto import tqdm

from saccade.data import read_image
from saccade.data.cache import unless_bad
from saccade.data.images import Picture, Source
from saccade.data.segments import SegmentSet
from saccade.device import Device
from saccade.errors import DataError
from saccade.tasks.segmentation import Segmentation


class SegmentsPictures:
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

        Unreadable pictures raise, or are left out and recorded in `data.skipped`, as `data.bad` says. Raises
        DataError if none can be read.
        """
        self.model.to(device.device).eval()
        read = 0
        for i in tqdm(range(len(data)), unit="pictures", delay=1, disable=None):
            both = unless_bad(data, i, lambda i: (data.picture(i), data.mask(i)))
            if both is None:
                continue
            read += 1
            with device.precision():
                yield i, self.segment(both[0]), both[1]
        if not read:
            why = next(iter(data.skipped.values()), "it is empty")
            raise DataError(f"no picture of {data.label} could be read: {why}")
