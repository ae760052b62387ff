"""How a classifier is trained on little data: what the loop of `saccade.train` asks for."""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saccade.data import Arrays, Augment, ImageFolder, Streamed, prepare
from saccade.data.preprocess import Preprocess
from saccade.device import Device
from saccade.models import Classifier, ClassifierConfig
from saccade.tasks.base import Task
from saccade.tasks.classify.recipe import ClassifyRecipe
from saccade.tasks.classify.task import ClassifyTask, probabilities, score
from saccade.tasks.encoders import colours, encoder_for, whole_patches
from saccade.tasks.training import Training


class ClassifyTraining(Training):
    """Training and validation pictures, a new classifier for their classes, and its loss."""

    recipe: ClassifyRecipe
    selection_metric = "top1"

    def __init__(
        self, train: ImageFolder, val: ImageFolder, recipe: ClassifyRecipe, seed: int = 0, start: Task | None = None
    ):
        super().__init__(train, val, recipe, seed, start)
        encoder = encoder_for(recipe.model, (recipe.size, recipe.size), recipe.drop_path, start)
        self._patch, size = encoder.patch, whole_patches((recipe.size, recipe.size), encoder.patch)[0]
        pool: Literal["cls", "mean"] = "mean" if start is not None and start.target == "mean" else "cls"
        self.model: nn.Module = Classifier(ClassifierConfig(vit=encoder, classes=len(self.labels), pool=pool))
        if start is not None:
            self.model.vit.load_state_dict(start.vit.state_dict())
        kept = recipe.cache_size or math.ceil(size * 9 / 8)
        self.data = prepare(train, Preprocess((kept, kept), "crop"), draft=True)
        mean, std = colours(lambda some: self.data[some][0], len(self.data), start)
        self.preprocess = Preprocess((size, size), "crop", mean=mean, std=std, detail=kept if kept < size else None)
        self.val: Arrays | Streamed = prepare(val, self.preprocess)
        self.about |= {"pictures": len(self.data), "validation pictures": len(self.val)}
        self._augments: dict[tuple[int, bool], Augment] = {}

    def __len__(self) -> int:
        return len(self.data)

    def batch(self, indices: Tensor, generator: torch.Generator, progress: float) -> tuple[Tensor, Tensor]:
        """Augmented pictures (b 3 y x) and soft labels (b classes)."""
        size = max(self._patch, self.recipe.size_at(progress) // self._patch * self._patch)
        augment = self._augment(size, progress >= 1 - self.recipe.mixup_off_fraction)
        return augment(*self.data[indices], generator)

    def loss(self, model: nn.Module, batches: list[tuple[Tensor, Tensor]], device: torch.device) -> Tensor:
        """Cross-entropy with the soft labels."""
        pictures = torch.cat([x for x, _ in batches]).to(device, non_blocking=True)
        labels = torch.cat([y for _, y in batches]).to(device, non_blocking=True)
        return F.cross_entropy(model(pictures).float(), labels)

    @torch.no_grad()
    def evaluate(self, model: nn.Module, device: Device) -> dict[str, float]:
        """top1, top5, loss and calibration error on the validation pictures, shared among the processes."""
        said = torch.zeros(len(self.val), len(self.labels), device=device.device)
        truth = torch.zeros(len(self.val), dtype=torch.long, device=device.device)
        for at in list(torch.arange(len(self.val)).split(250))[device.rank :: device.world]:
            pictures, labels = self.val[at]
            with device.precision():
                said[at] = probabilities(model, self.preprocess.normalize(pictures.to(device.device)))
            truth[at] = labels.to(device.device)
        return score(device.sum(said).cpu(), device.sum(truth).cpu())

    def trained(self, model: nn.Module, name: str) -> ClassifyTask:
        """The classifier around a network."""
        assert isinstance(model, Classifier)
        return ClassifyTask(model, self.preprocess, name, labels=self.labels)

    def _augment(self, size: int, calm: bool) -> Augment:
        if (size, calm) not in self._augments:
            r, p = self.recipe, self.preprocess
            self._augments[size, calm] = Augment(
                (size, size),
                len(self.labels),
                crop=r.crop,
                trivial_augment=r.trivial_augment,
                random_erasing=r.random_erasing,
                mixup=r.mixup,
                cutmix=r.cutmix,
                mixup_prob=0.0 if calm else r.mixup_prob,
                label_smoothing=r.smoothing,
                mean=p.mean,
                std=p.std,
            )
        return self._augments[size, calm]
