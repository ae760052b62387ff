"""Image classification: pictures in, classes with their probabilities out."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any, ClassVar, NamedTuple

import torch
from jaxtyping import Float, Int
from pydantic import BaseModel
from torch import Tensor, nn
from tqdm.auto import tqdm

from saccade.data import ImageFolder, read_image
from saccade.data.cache import read_or_skip
from saccade.data.images import Source
from saccade.device import Device
from saccade.models import Classifier, ClassifierConfig
from saccade.tasks.classify.confidence import Confidence, margin
from saccade.tasks.classify.ood import FILE, KEY, OODDetector, feature_count, record_pooled
from saccade.tasks.classify.result import Classification, build_classification
from saccade.tasks.saved import ExtraTensors, TrainedTask, check_classes, no_pictures_error, not_finite_error


class Predictions(NamedTuple):
    """Of labelled pictures: probabilities, true classes, and out-of-distribution scores of a model that has them."""

    probabilities: Float[Tensor, "n classes"]
    truth: Int[Tensor, "n"]
    ood_scores: Float[Tensor, "n"] | None


@dataclass
class ClassifyTask(TrainedTask):
    """A classifier with the names of its classes.

    `predict` on a picture, `val` on a folder of labelled ones, `save` and `ClassifyTask.open` for its folder.

    Attributes:
        ood: scores how unlike its training pictures a picture is; None for a model without it.
    """

    model: Classifier
    ood: OODDetector | None = None

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
                rows, ood_scores = self.probabilities_and_ood(torch.stack([x for *_, x in chunk]).to(device))
            for row, score, (name, notes, _) in zip(rows, ood_scores, chunk, strict=True):
                yield build_classification(name, self.labels, row, top, notes, self._confidence(row, score))

    def probabilities_and_ood(
        self, inputs: Float[Tensor, "b c y x"]
    ) -> tuple[Float[Tensor, "b classes"], Float[Tensor, "b"] | list[None]]:
        """Probabilities of preprocessed pictures, and their out-of-distribution scores where there is an
        `ood_at_this_size`, on the CPU. Raises SaccadeError for probabilities that are not finite."""
        with record_pooled(self.vit) as features:
            rows = probabilities(self.model.eval(), inputs).cpu()
        if self.ood_at_this_size is None:
            return rows, [None] * len(rows)
        return rows, self.ood_at_this_size(torch.cat(features)).cpu()

    def to_classification(
        self,
        probabilities: Float[Tensor, "classes"],
        features: Float[Tensor, "e"],
        name: str,
        notes: tuple[str, ...],
        top: int,
    ) -> Classification:
        """The `top` most likely classes of one picture, from the probabilities of all and its `pooled_features`."""
        score = None if self.ood_at_this_size is None else self.ood_at_this_size(features[None])[0]
        return build_classification(
            name, self.labels, probabilities, top, notes, self._confidence(probabilities, score)
        )

    def _confidence(self, probabilities: Float[Tensor, "classes"], score: Float[Tensor, ""] | None) -> Confidence:
        known = float(margin(probabilities))
        if self.ood_at_this_size is None or score is None:
            return Confidence(known)
        return Confidence(known, self.ood_at_this_size.margin, float(score), self.ood_at_this_size.threshold)

    @property
    def ood_at_this_size(self) -> OODDetector | None:
        """`ood`, if it holds for the size of the input."""
        return self.ood if self.ood is not None and self.ood.size == tuple(self.preprocess.size) else None

    @torch.no_grad()
    def val(self, data: ImageFolder, device: Device, batch: int = 250) -> Predictions:
        """Predictions of labelled pictures, for `scores.score`.

        Unreadable pictures raise, or are left out and recorded in `data.skipped`, as `data.on_error` says. Raises
        DataError if the classes of the data are not the model's.
        """
        check_classes(data.classes, self.labels, data.title, self.name)
        self.model.to(device.device)
        predicted: list[Tensor] = []
        truth: list[int] = []
        unlike: list[Tensor] = []
        with ThreadPoolExecutor() as pool, tqdm(total=len(data), unit="pictures", delay=1, disable=None) as bar:
            for indices in torch.arange(len(data)).split(batch):
                samples = list(pool.map(lambda i: read_or_skip(data, int(i), lambda i: self._sample(data, i)), indices))
                readable = [sample for sample in samples if sample is not None]
                bar.update(len(indices))
                if not readable:
                    continue
                with device.autocast_context():
                    rows, ood_scores = self.probabilities_and_ood(
                        torch.stack([picture for picture, _ in readable]).to(device.device)
                    )
                predicted.append(rows)
                unlike += [ood_scores] if isinstance(ood_scores, Tensor) else []
                truth += [label for _, label in readable]
        if not truth:
            raise no_pictures_error(data.store.title, data.skipped)
        return Predictions(torch.cat(predicted), torch.tensor(truth), torch.cat(unlike) if unlike else None)

    def _sample(self, data: ImageFolder, index: int) -> tuple[Tensor, int]:
        picture, label = data[index]
        return self.preprocess(picture.image), label

    @property
    def extra_tensors(self) -> ExtraTensors:
        return {} if self.ood is None else {FILE: self.ood.tensors}

    @classmethod
    def load_extra(cls, tensors: ExtraTensors, card: dict[str, Any], model: nn.Module) -> dict[str, Any]:
        assert isinstance(model, Classifier)
        width = feature_count(model.vit)
        return {"ood": OODDetector.load(tensors[FILE], card.get(KEY, {}), width)} if FILE in tensors else {}


def probabilities(model: nn.Module, pictures: Float[Tensor, "b c y x"]) -> Float[Tensor, "b classes"]:
    """Softmax of the model's logits in fp32. Raises SaccadeError if they are not finite."""
    return softmax(model(pictures))


def softmax(logits: Float[Tensor, "b classes"]) -> Float[Tensor, "b classes"]:
    """In fp32. Raises SaccadeError if the result is not finite."""
    result = logits.float().softmax(dim=-1)
    if not result.isfinite().all():
        raise not_finite_error()
    return result
