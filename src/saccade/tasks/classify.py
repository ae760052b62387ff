"""Image classification: pictures in, classes with their probabilities out."""

import csv
import io
import json
import unicodedata
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from pydantic import BaseModel, model_validator
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from tqdm.auto import tqdm

from saccade.data import ImageFolder, read_image
from saccade.data.files import shown
from saccade.data.images import Source
from saccade.data.preprocess import Preprocess
from saccade.device import Device
from saccade.errors import CheckpointError, DataError, SaccadeError, in_one_line
from saccade.models import Classifier, ClassifierConfig
from saccade.tasks.task import Task


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
        return shown(f"{self.name}: {said}")

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


class _Config(BaseModel):
    """What config.json holds."""

    model: ClassifierConfig
    labels: list[str]
    preprocess: Preprocess
    card: dict[str, Any] = {}

    @model_validator(mode="after")
    def _names_every_class(self) -> "_Config":
        if len(self.labels) != self.model.classes:
            raise ValueError(f"there are {len(self.labels)} labels for {self.model.classes} classes")
        for i, name in enumerate(self.labels):
            if name in ("", *self.labels[:i]) or any(unicodedata.category(c) in ("Cc", "Cs") for c in name):
                raise ValueError(f"labels must be printable and different from each other; one is {name!a}")
        return self


@dataclass
class ClassifyTask(Task):
    """A classifier with the names of its classes.

    `predict` on a picture, `val` on a folder of labelled ones, `save` and `ClassifyTask.open` for its folder.
    """

    model: Classifier
    labels: list[str] = field(default_factory=list)

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

        Unreadable pictures raise, or are left out and recorded in `data.skipped`, as `data.bad` says. Raises
        DataError if the classes of the data are not the model's.
        """
        if data.classes != self.labels:
            raise DataError(
                f"the classes of {data.store.label} are not those of the model {self.name}: "
                f"{_difference(data.classes, self.labels)}; name its folders as the model's classes"
            )
        model = self.model.to(device.device).eval()
        said, truth = [], []
        with ThreadPoolExecutor() as pool, tqdm(total=len(data), unit="pictures", delay=1, disable=None) as bar:
            for at in torch.arange(len(data)).split(batch):
                read = [r for r in pool.map(lambda i: self._prepared(data, int(i)), at) if r is not None]
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

    def _prepared(self, data: ImageFolder, index: int) -> tuple[Tensor, int] | None:
        try:
            picture, label = data[index]
        except DataError as error:
            if data.bad == "fail":
                raise
            data.skipped[data.names[index]] = str(error)
            return None
        return self.preprocess(picture.image), label

    def save(self, folder: Path, **card: Any) -> None:
        """Write model.safetensors and config.json; `card` is kept with them (scores, recipe, data)."""
        folder.mkdir(parents=True, exist_ok=True)
        config = {
            "saccade": 1,
            "task": "classify",
            "model": self.model.config.model_dump(),
            "labels": self.labels,
            "preprocess": asdict(self.preprocess),
            "card": {**self.card, **card},
        }
        save_file({k: v.contiguous() for k, v in self.model.state_dict().items()}, folder / "model.safetensors")
        (folder / "config.json").write_text(json.dumps(config, indent=1, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def open(cls, folder: Path, name: str | None = None) -> "ClassifyTask":
        """Read what `save` wrote. Raises CheckpointError naming the file and what is wrong with it."""
        try:
            config = _Config.model_validate_json((folder / "config.json").read_bytes())
            weights = {k: v.float() for k, v in load_file(folder / "model.safetensors").items()}
            with torch.device("meta"):  # without memory, until it is known to be of the size of the file
                Classifier(config.model).load_state_dict(weights, assign=True)
            model = Classifier(config.model)
            model.load_state_dict(weights)
        except (OSError, ValueError, RuntimeError, SafetensorError) as error:
            raise CheckpointError(f"{folder} is not a whole Saccade model: {in_one_line(error)}") from error
        return cls(model.eval(), config.preprocess, name or folder.name, card=config.card, labels=config.labels)


def _difference(found: list[str], expected: list[str]) -> str:
    lacks, adds = ([n for n in a if n not in b][:12] for a, b in ((expected, found), (found, expected)))
    said = [f"{what} {', '.join(map(shown, names))}" for what, names in (("lacks", lacks), ("adds", adds)) if names]
    return f"it {' and '.join(said)}" if said else "they come in another order"


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
    """A line a picture: name, then label and probability for each class listed."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for i, result in enumerate(results):
        if i == 0:
            ranks = range(1, len(result.labels) + 1)
            writer.writerow(["name", *(f"{what}_{r}" for r in ranks for what in ("label", "probability"))])
        pairs = zip(result.labels, result.probabilities, strict=True)
        writer.writerow([result.name, *(cell for label, p in pairs for cell in (label, f"{p:.6f}"))])
    return out.getvalue()
