"""Image classification: pictures in, classes with their probabilities out."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import ClassVar

import torch
from jaxtyping import Float
from pydantic import BaseModel
from torch import Tensor, nn
from tqdm.auto import tqdm

from saccade.data import ImageFolder, read_image
from saccade.data.cache import read_or_skip
from saccade.data.images import Source
from saccade.device import Device
from saccade.models import Classifier, ClassifierConfig
from saccade.tasks.classify.result import Classification
from saccade.tasks.saved import TrainedTask, check_classes, no_readable_pictures, not_finite


@dataclass
class ClassifyTask(TrainedTask):
    """A classifier with the names of its classes.

    `predict` on a picture, `val` on a folder of labelled ones, `save` and `ClassifyTask.open` for its folder.
    """

    model: Classifier

    kind: ClassVar[str] = "classify"
    network: ClassVar[type[nn.Module]] = Classifier
    network_config: ClassVar[type[BaseModel]] = ClassifierConfig

    def predict(self, source: Source, top: int = 5) -> Classification:
        """The `top` most likely classes of one picture: a path, bytes, Pillow image, array or tensor.

        Raises DataError for a picture that cannot be read.
        """
        return next(iter(self.predict_all([source], top)))

    def predict_all(self, sources: Iterable[Source], top: int = 5, batch: int = 32) -> Iterator[Classification]:
        """`predict` for many, in batches, in order."""
        device = next(self.model.parameters()).device
        # Resized at once: a batch of large photographs would fill the memory.
        inputs = ((picture.name, picture.notes, self.preprocess(picture.image)) for picture in map(read_image, sources))
        while chunk := list(islice(inputs, batch)):
            with torch.no_grad():
                rows = probabilities(self.model.eval(), torch.stack([x for *_, x in chunk]).to(device)).cpu()
            yield from (self.named(row, name, notes, top) for row, (name, notes, _) in zip(rows, chunk, strict=True))

    def named(
        self, probabilities: Float[Tensor, "classes"], name: str, notes: tuple[str, ...], top: int
    ) -> Classification:
        """The `top` most likely classes of one picture, from the probabilities of all."""
        best, order = probabilities.topk(min(top, len(self.labels)))
        return Classification(name, tuple(self.labels[i] for i in order), tuple(best.tolist()), notes)

    @torch.no_grad()
    def val(self, data: ImageFolder, device: Device, batch: int = 250) -> tuple[Tensor, Tensor]:
        """Probabilities (n, classes) and true classes (n,) of labelled pictures, for `scores.score`.

        Unreadable pictures raise, or are left out and recorded in `data.skipped`, as `data.on_error` says. Raises
        DataError if the classes of the data are not the model's.
        """
        check_classes(data.classes, self.labels, data.label, self.name)
        model = self.model.to(device.device).eval()
        predicted, truth = [], []
        with ThreadPoolExecutor() as pool, tqdm(total=len(data), unit="pictures", delay=1, disable=None) as bar:
            for indices in torch.arange(len(data)).split(batch):
                samples = list(pool.map(lambda i: read_or_skip(data, int(i), lambda i: self._sample(data, i)), indices))
                readable = [sample for sample in samples if sample is not None]
                bar.update(len(indices))
                if not readable:
                    continue
                with device.precision():
                    pictures = torch.stack([picture for picture, _ in readable]).to(device.device)
                    predicted.append(probabilities(model, pictures).cpu())
                truth += [label for _, label in readable]
        if not truth:
            raise no_readable_pictures(data.store.label, data.skipped)
        return torch.cat(predicted), torch.tensor(truth)

    def _sample(self, data: ImageFolder, index: int) -> tuple[Tensor, int]:
        picture, label = data[index]
        return self.preprocess(picture.image), label


def probabilities(model: nn.Module, pictures: Float[Tensor, "b c y x"]) -> Float[Tensor, "b classes"]:
    """Softmax of the model's logits in fp32. Raises SaccadeError if they are not finite."""
    return softmax(model(pictures))


def softmax(logits: Float[Tensor, "b classes"]) -> Float[Tensor, "b classes"]:
    """In fp32. Raises SaccadeError if the result is not finite."""
    result = logits.float().softmax(dim=-1)
    if not result.isfinite().all():
        raise not_finite()
    return result
