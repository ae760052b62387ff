"""The base of the training of every task."""

import copy
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, Self

import torch
from pydantic import BaseModel
from torch import Generator, Tensor, nn

from saccade.data.files import escape
from saccade.data.scenes import Scenes
from saccade.data.scenes.scenes import MIN_SIDE
from saccade.errors import DataError, SaccadeError, UsageError
from saccade.tasks.balance import balanced_weights, mirrored_classes
from saccade.tasks.base import Task
from saccade.tasks.encoders import ChannelStats, channel_stats, digest, floor_to_patches
from saccade.tasks.saved import TrainedTask

PART_PIXELS = 2**19  # of pictures whose activations are in memory at once; about 1 GB in a small segmenter


class Dataset(Protocol):
    """Pictures with labels."""

    title: str

    @property
    def classes(self) -> list[str]: ...

    @property
    def names(self) -> Sequence[str]: ...


class Training:
    """What `saccade.train.train` trains. A subclass sets `model` and defines `batch`, `loss` and `evaluate`.

    Attributes:
        labels: names of the classes.
        about: what the card of the trained model says of its data.
        notes: on what was taken from the pretrained model, and what may surprise.
    """

    recipe: BaseModel
    model: nn.Module
    _weights: Tensor | None = None  # with --balance, how often each picture is drawn

    def __init__(self, train: Dataset, val: Dataset, recipe: BaseModel, seed: int, pretrained: Task | None):
        """Raises DataError if the sets have different classes."""
        if val.classes != train.classes:
            raise DataError(f"the classes of {val.title} are not those of {train.title}: they must be the same")
        self.recipe, self.labels, self.pretrained = recipe, train.classes, pretrained
        self.about: dict[str, Any] = {
            "data": train.title,
            "validated on": val.title,
            "start": None if pretrained is None else pretrained.name,
        }
        self.notes: list[str] = []
        pair = mirrored_classes(self.labels) if getattr(recipe, "hflip", False) else None
        if pair is not None:
            left, right = map(escape, pair)
            self.notes.append(
                f"half of the pictures are flipped, and the classes {left} and {right} seem to be mirror images: "
                "--no-hflip tells them apart"
            )
        self._identity: list[object] = [train.classes, [train.names, val.names]]
        torch.manual_seed(seed)

    @property
    def identity(self) -> str:
        """A hash of the class names, of the names of all pictures, and of the name of the pretrained model."""
        return digest(*self._identity, self.about["start"])

    def _balance(self, shown: Iterable[Iterable[int]]) -> None:
        """Draw pictures by the classes they show. shown: the classes of each."""
        self._weights = balanced_weights(shown, len(self.labels))

    def _drawn(self, indices: Tensor, generator: Generator) -> Tensor:
        """The indices of a batch, or with --balance as many that are drawn at random, with replacement."""
        if self._weights is None:
            return indices
        return torch.multinomial(self._weights, len(indices), replacement=True, generator=generator)

    def collate(self, batches: list[Any]) -> list[Any]:
        """The batches of one process and step as `loss` takes them."""
        return batches

    def sampler(self) -> Self:
        """A copy without networks, which makes batches in a worker process."""
        other = copy.copy(self)
        for name in ("model", "pretrained"):
            setattr(other, name, None)
        return other

    def compiled(self, model: nn.Module) -> Any:
        """The model with `torch.compile` where it pays: the whole of it, unless a task knows better. Each image size is
        compiled for itself: for sizes in general, which is PyTorch's default from the second one on, its compiler for
        the CPU fails (torch 2.13), and the code would be slower."""
        return torch.compile(model, dynamic=False)

    def trained(self, model: nn.Module, name: str) -> TrainedTask:
        """The task around a network."""
        raise NotImplementedError

    def save(self, model: nn.Module, folder: Path, scores: dict[str, float | None]) -> None:
        """Write the model for `saccade.load`."""
        task = self.trained(model, folder.parent.name)
        task.save(folder, scores=scores, recipe=self.recipe.model_dump(mode="json"), **self.about)


class SampleSource(Protocol):
    """Training samples at any size."""

    title: str

    def __len__(self) -> int: ...

    def samples(self, indices: Tensor, size: tuple[int, int], generator: Generator) -> Any:
        """A tuple of pictures (b c y x), 0 to 1 unless a task knows better, of `size` (height, width), and their
        annotations."""


class SceneSource:
    """Scenes that are rendered for each batch and never repeat. A subclass defines `annotations`."""

    title = "scenes, rendered for each batch"

    def __init__(self, scenes: Scenes):
        self.scenes = scenes

    def __len__(self) -> int:
        return len(self.scenes)

    def samples(self, indices: Tensor, size: tuple[int, int], generator: Generator) -> tuple[Tensor, Any]:
        pictures, scenes = self.scenes.batch(len(indices), size, generator)
        return pictures, self.annotations(scenes)

    def annotations(self, scenes: list[Any]) -> Any:
        """Of rendered scenes."""
        raise NotImplementedError


class AnySizeTraining(Training):
    """Training on the samples of a `SampleSource`, for networks whose inputs need not be square.

    Attributes:
        size: (height, width) of the input at the end of the run.
        patch: side of a patch of the encoder.
    """

    recipe: Any
    source: Any  # a `SampleSource`; to be balanced, with `shown`: the classes in each sample
    size: tuple[int, int]
    patch: int

    def __len__(self) -> int:
        return len(self.source)

    def _size_at(self, progress: float) -> tuple[int, int]:
        """(height, width) of the training pictures at a fraction of the run, 0 to 1."""
        scale = self.recipe.size_at(progress) / self.recipe.size_at(1)
        return floor_to_patches((round(self.size[0] * scale), round(self.size[1] * scale)), self.patch)

    def _channel_stats(self, seed: int) -> ChannelStats:
        generator = torch.Generator().manual_seed(seed)

        def pictures(indices: Tensor) -> Tensor:
            return (self.source.samples(indices, self.size, generator)[0] * 255).round().byte()

        return channel_stats(pictures, min(len(self.source), 1000), self.pretrained)

    def _balance_source(self) -> None:
        """`_balance` by the classes of the source. Raises UsageError for one without."""
        if isinstance(self.source, SceneSource):
            raise UsageError("--balance: scenes are rendered anew for each batch, none is rare; leave it out")
        self._balance(self.source.classes_per_picture())

    def _describe_data(self, validation: int) -> None:
        self.about |= {
            "data": self.source.title,
            "pictures": len(self.source),
            "validation pictures": validation,
        }


def split_microbatches(batches: list[Any], device: torch.device) -> list[list[Any]]:
    """Batches with `pictures` in groups of at most PART_PIXELS, or of one batch, and of equal size: a processor
    computes these as fast as the whole step, in a fraction of its memory. All together on other devices."""
    if device.type != "cpu":
        return [batches]
    pixels = sum(math.prod(batch.pictures.shape[-2:]) * len(batch.pictures) for batch in batches)
    sizes = (n for n in range(len(batches), 0, -1) if len(batches) % n == 0)
    n = next((n for n in sizes if n * pixels <= PART_PIXELS * len(batches)), 1)
    return [batches[i : i + n] for i in range(0, len(batches), n)]


def check_scene_size(size: tuple[int, int], recipe: Any) -> None:
    """Raises SaccadeError where progressive resizing begins with scenes that are too small to draw."""
    if min(size) * recipe.size_at(0) < MIN_SIDE * recipe.size_at(1):
        raise SaccadeError(
            f"a size of {min(size)} pixels with --progressive-resize begins with scenes of fewer than {MIN_SIDE} "
            "pixels: use a larger --size"
        )


def picture_sizes(count: int, size: Callable[[int], tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """(height, width) of about a hundred of `count` pictures. size: index -> (height, width). Unreadable
    ones are passed over; they are reported when the pictures are decoded."""
    for i in range(0, count, max(1, count // 100)):
        with suppress(DataError):
            yield size(i)
