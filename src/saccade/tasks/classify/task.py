"""Image classification: pictures in, classes with their probabilities out."""

import csv
import io
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from pydantic import BaseModel
from torch import Tensor, nn
from tqdm.auto import tqdm

from saccade.data import ImageFolder, read_image
from saccade.data.cache import read_or_skip
from saccade.data.files import escape
from saccade.data.images import Source
from saccade.data.output import csv_cell
from saccade.device import Device
from saccade.errors import DataError, SaccadeError
from saccade.models import Classifier, ClassifierConfig
from saccade.tasks.saved import TrainedTask, same_classes


@dataclass(frozen=True)
class Classification:
    """What a classifier says of one picture: classes and their probabilities (0 to 1), most likely first."""

    name: str
    labels: tuple[str, ...]
    probabilities: tuple[float, ...]
    notes: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """The most likely class."""
        return self.labels[0]

    def __str__(self) -> str:
        said = "  ".join(f"{label} {p:.0%}" for label, p in zip(self.labels, self.probabilities, strict=True))
        return escape(f"{self.name}: {said}")

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


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
        # Only what the model takes is kept of a picture: a batch of large photographs would fill the memory.
        fitted = ((picture.name, picture.notes, self.preprocess(picture.image)) for picture in map(read_image, sources))
        while some := list(islice(fitted, batch)):
            with torch.no_grad():
                said = probabilities(self.model.eval(), torch.stack([x for *_, x in some]).to(device)).cpu()
            yield from (self.named(row, name, notes, top) for row, (name, notes, _) in zip(said, some, strict=True))

    def named(self, said: Float[Tensor, "classes"], name: str, notes: tuple[str, ...], top: int) -> Classification:
        """The `top` most likely classes of one picture, from the probabilities of all."""
        best, order = said.topk(min(top, len(self.labels)))
        return Classification(name, tuple(self.labels[i] for i in order), tuple(best.tolist()), notes)

    @torch.no_grad()
    def val(self, data: ImageFolder, device: Device, batch: int = 250) -> tuple[Tensor, Tensor]:
        """Probabilities (n, classes) and true classes (n,) of labelled pictures; `score` sums them up.

        Unreadable pictures raise, or are left out and recorded in `data.skipped`, as `data.on_error` says. Raises
        DataError if the classes of the data are not the model's.
        """
        same_classes(data.classes, self.labels, data.label, self.name)
        model = self.model.to(device.device).eval()
        said, truth = [], []
        with ThreadPoolExecutor() as pool, tqdm(total=len(data), unit="pictures", delay=1, disable=None) as bar:
            for at in torch.arange(len(data)).split(batch):
                tried = pool.map(lambda i: read_or_skip(data, int(i), lambda i: self._prepared(data, i)), at)
                read = [r for r in tried if r is not None]
                bar.update(len(at))
                if not read:
                    continue
                with device.precision():
                    pictures = torch.stack([picture for picture, _ in read]).to(device.device)
                    said.append(probabilities(model, pictures).cpu())
                truth += [label for _, label in read]
        if not truth:
            raise DataError(f"no picture of {data.store.label} could be read: {next(iter(data.skipped.values()))}")
        return torch.cat(said), torch.tensor(truth)

    def _prepared(self, data: ImageFolder, index: int) -> tuple[Tensor, int]:
        picture, label = data[index]
        return self.preprocess(picture.image), label


def probabilities(model: nn.Module, pictures: Float[Tensor, "b c y x"]) -> Float[Tensor, "b classes"]:
    """The model's probabilities in fp32. Raises SaccadeError if they are not finite."""
    return shares(model(pictures))


def shares(logits: Float[Tensor, "b classes"]) -> Float[Tensor, "b classes"]:
    """Probabilities of logits, in fp32. Raises SaccadeError if they are not finite."""
    said = logits.float().softmax(dim=-1)
    if not said.isfinite().all():
        raise SaccadeError("the model's answer is not a number: its weights are damaged, fetch or train it again")
    return said


def score(said: Float[Tensor, "n classes"], truth: Int[Tensor, "n"]) -> dict[str, float]:
    """top1 and top5 (share of pictures whose class is the most likely, or among the five), cross-entropy in
    nats, and expected calibration error over 15 bins (Guo et al. 2017, eq. 5), all 0 to 1 but the loss."""
    from torchmetrics.functional.classification import multiclass_calibration_error

    classes = said.shape[1]
    ranked = said.topk(min(5, classes), dim=-1).indices == truth[:, None]
    return {
        "top1": ranked[:, 0].float().mean().item(),
        "top5": ranked.any(dim=-1).float().mean().item(),
        "loss": torch.nn.functional.nll_loss(said.clamp_min(1e-12).log(), truth).item(),
        "ece": multiclass_calibration_error(said, truth, num_classes=classes, n_bins=15).item(),
    }


def confusion(said: Float[Tensor, "n classes"], truth: Int[Tensor, "n"]) -> Int[Tensor, "classes classes"]:
    """How often pictures of a row's class were called a column's class."""
    from torchmetrics.functional.classification import multiclass_confusion_matrix

    return multiclass_confusion_matrix(said, truth, num_classes=said.shape[1])


def to_csv(results: Iterable[Classification]) -> str:
    """A line a picture: name, then label and probability for each class listed. Names and labels that a spreadsheet
    would take for formulas have an apostrophe in front (`csv_cell`)."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for i, result in enumerate(results):
        if i == 0:
            ranks = range(1, len(result.labels) + 1)
            writer.writerow(["name", *(f"{what}_{r}" for r in ranks for what in ("label", "probability"))])
        pairs = zip(result.labels, result.probabilities, strict=True)
        cells = (cell for label, p in pairs for cell in (csv_cell(label), f"{p:.6f}"))
        writer.writerow([csv_cell(result.name), *cells])
    return out.getvalue()
