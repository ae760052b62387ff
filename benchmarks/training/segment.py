"""Training a segmenter from random weights for the same time: ours and transformers' SegFormer-B0.

    python -m benchmarks.training.segment --minutes 20 --json-file segment.json --chart segment.svg
    python -m benchmarks.training.segment --quick             # shows that it works; its figures mean nothing

On a CPU, both from random weights, in one run: they train in turns of a minute, so that whatever else the machine does
falls on both alike, and each has a clock that counts its own training only (drawing its scenes too; scoring not). Both
see the same endless scenes of the same size in batches of the same number, in bf16 autocast, and after every turn are
scored on the same held-out scenes: mIoU, and boundary F at 1 pixel.

Ours: the recipe of `saccade train segment` (Muon and AdamW on a half cosine that ends with the minutes; the moving
average of its weights is scored).

transformers': SegformerForSemanticSegmentation with its defaults, which are B0, its own loss and AdamW. The paper's
rate, 6e-5, is for pretrained weights; `--peer-lr` sets another. Its rate falls on the same half cosine and a moving
average of its weights is scored beside them, of which the better counts. Its logits, a quarter of the image's size,
are brought to the image's as its own post-processing does.

Last, both are timed on images of the same size, one by one and in a batch, in fp32, in turns.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import cyclopts
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import SegformerConfig, SegformerForSemanticSegmentation

from benchmarks.common.outputs import FLAT, Outputs
from benchmarks.training.equal_time import RecipeRun, Settings, TrainingRun, begin, compare_pair
from saccade.data.scenes import Scenes
from saccade.data.scenes.scenes import SceneSegments
from saccade.data.segments import IGNORE_INDEX
from saccade.tasks import SegmentRecipe, SegmentTraining
from saccade.tasks.segment.scores import SegmentScores
from saccade.train.config import TrainConfig

Predict = Callable[[Tensor], Tensor]


@dataclass
class SegmentSettings(Settings):
    """The settings of this benchmark.

    Parameters
    ----------
    peer_lr
        Peak learning rate of the peer's AdamW.
    """

    peer_lr: float = 1e-3


class Ours(RecipeRun):
    """The recipe of `saccade train segment`."""

    task: SegmentTraining

    def scores(self, model: nn.Module) -> dict[str, float]:
        return segmentation_metrics(self.task, lambda images: self._predict(model, images))

    def _predict(self, model: nn.Module, images: Tensor) -> Tensor:
        return model(self.task.preprocess.normalize(images)).logits.argmax(dim=1)


class Theirs(TrainingRun):
    """transformers' SegFormer with its own loss and AdamW."""

    name = "transformers' SegFormer-B0"

    def __init__(self, task: SegmentTraining, settings: SegmentSettings):
        self.task = task
        torch.manual_seed(settings.seed)
        self.model = SegformerForSemanticSegmentation(
            SegformerConfig(num_labels=len(task.labels), semantic_loss_ignore_index=IGNORE_INDEX)
        )
        optimizer = torch.optim.AdamW(self.model.parameters(), lr=settings.peer_lr, weight_decay=0.01)
        super().__init__(settings, [optimizer], TrainConfig().ema)

    def loss(self, generator: torch.Generator) -> Tensor:
        batch = self.task.batch(torch.arange(self.settings.batch), generator, 1.0)
        return self.model(batch.pictures, labels=batch.masks.long()).loss

    def scores(self, model: nn.Module) -> dict[str, float]:
        return segmentation_metrics(self.task, lambda images: self._predict(model, images))

    def _predict(self, model: nn.Module, images: Tensor) -> Tensor:
        logits = model(self.task.preprocess.normalize(images)).logits
        return F.interpolate(logits.float(), size=images.shape[2:], mode="bilinear", align_corners=False).argmax(1)


def segmentation_metrics(task: SegmentTraining, predict: Predict) -> dict[str, float]:
    """mIoU, and boundary F at 1 pixel, on the held-out scenes."""
    scores = SegmentScores(task.labels)
    for indices in torch.arange(len(task.val)).split(25):
        arrays = [np.asarray(task.val.picture(i).image) for i in indices.tolist()]
        images = torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2)
        for i, labels in zip(indices.tolist(), predict(images).byte(), strict=True):
            scores.add(labels, task.val.mask(i))
    result = scores.result()
    return {name: result[name] or 0.0 for name in ("mIoU", "boundary_F@1")}


def main(
    settings: Annotated[SegmentSettings, FLAT] = SegmentSettings(),  # noqa: B008  # never modified
    outputs: Annotated[Outputs, FLAT] = Outputs(),  # noqa: B008
) -> None:
    """Train our segmenter and the peer for the same time, and time both."""
    settings = begin(settings)
    recipe = SegmentRecipe(model=settings.model, size=settings.size, crop=None)
    scenes = (Scenes(n, settings.size, seed=seed) for n, seed in ((1000, 1), (settings.held_out, 0)))
    task = SegmentTraining(*map(SceneSegments, scenes), recipe, settings.seed)
    title = f"Training a segmenter on drawn scenes, {settings.size} pixels"
    compare_pair(Ours(task, settings), Theirs(task, settings), outputs, title)


if __name__ == "__main__":
    cyclopts.run(main)
