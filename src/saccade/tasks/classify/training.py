"""Training of a classifier on small data sets."""

import math
from pathlib import Path
from typing import Literal, Self

import torch
from torch import Generator, Tensor, nn

from saccade.data import Arrays, ImageFolder, Streamed, prepare
from saccade.data.preprocess import Preprocess
from saccade.device import Device
from saccade.models import Classifier, ClassifierConfig
from saccade.tasks.base import Task
from saccade.tasks.classify.batches import Augmentation, Batch
from saccade.tasks.classify.calibrate import PICTURES, fit_ood_detector
from saccade.tasks.classify.loss import classification_loss
from saccade.tasks.classify.ood import ACCEPTED
from saccade.tasks.classify.recipe import ClassifyRecipe
from saccade.tasks.classify.scores import classification_scores
from saccade.tasks.classify.task import ClassifyTask, probabilities
from saccade.tasks.encoders import channel_stats, encoder_config, floor_to_patches, freeze_encoder, load_pretrained
from saccade.tasks.training import Training


class ClassifyTraining(Training):
    """Training and validation pictures, a new classifier for their classes, and its loss."""

    recipe: ClassifyRecipe
    selection_metric = "top1"

    def __init__(
        self,
        train: ImageFolder,
        val: ImageFolder,
        recipe: ClassifyRecipe,
        seed: int = 0,
        pretrained: Task | None = None,
    ):
        super().__init__(train, val, recipe, seed, pretrained)
        encoder = encoder_config(recipe.model, (recipe.size, recipe.size), recipe.drop_path, pretrained)
        self.patch, size = encoder.patch, floor_to_patches((recipe.size, recipe.size), encoder.patch)[0]
        pool: Literal["cls", "mean"] = "mean" if pretrained is not None and pretrained.target == "mean" else "cls"
        self.model: nn.Module = Classifier(ClassifierConfig(vit=encoder, classes=len(self.labels), pool=pool))
        if pretrained is not None:
            self.notes.append(load_pretrained(self.model, pretrained, self.labels))
        if recipe.freeze_encoder:
            freeze_encoder(self.model, pretrained)
        cached = recipe.cache_size or math.ceil(size * 9 / 8)
        self.data = prepare(train, Preprocess((cached, cached), "crop"), draft=True, budget=recipe.cache)
        mean, std = channel_stats(lambda indices: self.data[indices][0], len(self.data), pretrained)
        detail = cached if cached < size else None
        self.preprocess = Preprocess((size, size), "crop", mean=mean, std=std, detail=detail)
        self.sets: tuple[ImageFolder, ImageFolder] | None = train, val
        self.val: Arrays | Streamed = prepare(val, self.preprocess, budget=recipe.cache)
        self.augmentation = Augmentation(recipe, len(self.labels), self.preprocess)
        if recipe.balance:
            by_name = dict(zip(train.names, train.labels.tolist(), strict=True))
            streamed = (by_name[name] for name in self.data.names)  # which have no labels before they are decoded
            labels = self.data.targets.tolist() if isinstance(self.data, Arrays) else streamed
            self._balance([label] for label in labels)
        self.about |= {"pictures": len(self.data), "validation pictures": len(self.val)}

    def __len__(self) -> int:
        return len(self.data)

    def batch(self, indices: Tensor, generator: Generator, progress: float) -> Batch:
        """Augmented pictures and soft labels."""
        size = max(self.patch, self.recipe.size_at(progress) // self.patch * self.patch)
        augment = self.augmentation.for_size(size, mix=progress < 1 - self.recipe.mixup_off_fraction)
        return Batch(*augment(*self.data[self._drawn(indices, generator)], generator))

    def loss(self, model: nn.Module, batches: list[Batch], device: torch.device) -> Tensor:
        """Cross-entropy with the soft labels."""
        pictures, labels = (torch.cat(parts).to(device, non_blocking=True) for parts in zip(*batches, strict=True))
        return classification_loss(model(pictures), labels)

    @torch.no_grad()
    def evaluate(self, model: nn.Module, device: Device) -> dict[str, float]:
        """top1, top5, loss and calibration error on the validation pictures, split among the processes."""
        predicted = torch.zeros(len(self.val), len(self.labels), device=device.device)
        truth = torch.zeros(len(self.val), dtype=torch.long, device=device.device)
        for indices in list(torch.arange(len(self.val)).split(250))[device.rank :: device.world]:
            pictures, labels = self.val[indices]
            with device.autocast_context():
                predicted[indices] = probabilities(model, self.preprocess.normalize(pictures.to(device.device)))
            truth[indices] = labels.to(device.device)
        return classification_scores(device.sum_over_processes(predicted).cpu(), device.sum_over_processes(truth).cpu())

    def sampler(self) -> Self:
        other = super().sampler()
        other.sets = None
        return other

    @property
    def calibration_cost(self) -> float:
        """Pictures that `fit_ood_detector` looks at, for each one of a validation."""
        if self.sets is None:
            return 0.0
        return sum(min(len(data), PICTURES) for data in self.sets) / max(1, len(self.sets[1]))

    def calibrate(self, folder: Path, device: Device) -> tuple[ClassifyTask | None, str]:
        """The model in `folder` with an out-of-distribution detector, unless it has one."""
        task = ClassifyTask.open(folder)
        if task.ood is not None or self.sets is None:
            return None, ""
        try:
            task = fit_ood_detector(task, *self.sets, device)
        except ValueError as error:
            return None, f"the model has no out-of-distribution score: {error}"
        task.model.cpu()
        assert task.ood is not None
        return task, (
            f"out-of-distribution score: {ACCEPTED:.0%} of the validation pictures are below {task.ood.threshold:.2f}; "
            f"answers with a margin below {task.ood.margin:.2f} are called unsure"
        )

    def trained(self, model: nn.Module, name: str) -> ClassifyTask:
        """The task around a network."""
        assert isinstance(model, Classifier)
        return ClassifyTask(model, self.preprocess, name, labels=self.labels)
