"""Training a segmenter from nothing: ours beside transformers' SegFormer-B0, on the same pictures for the same time.

    python -m benchmarks.training.segment --minutes 20 --json-file segment.json --chart segment.svg
    python -m benchmarks.training.segment --quick             # proof that it works; its figures mean nothing

On a CPU, both from random weights, in one run: they train in turns of a minute, so that whatever else the machine does
falls on both alike, and each has a clock that counts its own training only (drawing its scenes too; scoring not). Both
see the same endless scenes of the same size in batches of the same number, in bf16 autocast, and after every turn are
scored on the same held-out scenes: mIoU, and boundary F at 1 pixel.

Ours: the recipe of `saccade train segment` (Muon and AdamW on a half cosine that ends with the minutes; the moving
average of its weights is scored).

transformers': SegformerForSemanticSegmentation with its defaults, which are B0, its own loss and AdamW. The paper's
rate, 6e-5, is for pretrained weights; `--peer-lr` sets another. Its rate falls on the same half cosine and a moving
average of its weights is scored beside them, of which the better counts. Its logits, a quarter of the picture's size,
are brought to the picture's as its own post-processing does.

Last, both are timed on pictures of the same size, one by one and in a batch, in fp32, in turns.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import cyclopts
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import SegformerConfig, SegformerForSemanticSegmentation

from benchmarks.common.paired import machine
from benchmarks.training.equal_time import Side, race
from saccade.data.scenes import Scenes
from saccade.data.scenes.segments import SceneSegments
from saccade.data.segments import IGNORED
from saccade.tasks import SegmentRecipe, SegmentTraining
from saccade.tasks.segment.scores import SegmentScores
from saccade.train.config import TrainConfig
from saccade.train.optim import optimizers

OURS, PEER = "Saccade", "transformers' SegFormer-B0"
Finder = Callable[[nn.Module, Tensor], Tensor]


@dataclass
class Settings:
    """How the race is run.

    minutes: of training, for each. size: pixels of a scene's side. batch: scenes an update. turn: seconds. held_out:
    scenes to score on. model: our encoder's preset. peer_lr: peak rate of AdamW for the peer. quick: tiny models for a
    few seconds.
    """

    minutes: float = 20.0
    size: int = 128
    batch: int = 32
    turn: float = 60.0
    held_out: int = 200
    model: str = "small/8"
    peer_lr: float = 1e-3
    seed: int = 0
    quick: bool = False


class Ours(Side):
    """The recipe of `saccade train segment`."""

    name = OURS

    def __init__(self, task: SegmentTraining, settings: Settings):
        self.task, self.model = task, task.model
        config = TrainConfig(seed=settings.seed)
        super().__init__(settings, optimizers(self.model, config), config.ema)

    def loss(self, generator: torch.Generator) -> Tensor:
        batch = self.task.batch(torch.arange(self.race.batch), generator, 1.0)
        return self.task.loss(self.model, [batch], torch.device("cpu"))

    def found(self, model: nn.Module, pictures: Tensor) -> Tensor:
        return model(self.task.preprocess.normalised(pictures)).pixels.argmax(dim=1)


class Theirs(Side):
    """transformers' SegFormer with its own loss and AdamW."""

    name = PEER

    def __init__(self, task: SegmentTraining, settings: Settings):
        self.task = task
        torch.manual_seed(settings.seed)
        self.model = SegformerForSemanticSegmentation(
            SegformerConfig(num_labels=len(task.labels), semantic_loss_ignore_index=IGNORED)
        )
        found = torch.optim.AdamW(self.model.parameters(), lr=settings.peer_lr, weight_decay=0.01)
        super().__init__(settings, [found], TrainConfig().ema)

    def loss(self, generator: torch.Generator) -> Tensor:
        batch = self.task.batch(torch.arange(self.race.batch), generator, 1.0)
        return self.model(batch.pictures, labels=batch.masks.long()).loss

    def found(self, model: nn.Module, pictures: Tensor) -> Tensor:
        logits = model(self.task.preprocess.normalised(pictures)).logits
        return F.interpolate(logits.float(), size=pictures.shape[2:], mode="bilinear", align_corners=False).argmax(1)


def judged(found: Finder, model: nn.Module, task: SegmentTraining) -> dict[str, float]:
    """mIoU, and boundary F at 1 pixel, on the held-out scenes."""
    scores = SegmentScores(task.labels)
    for at in torch.arange(len(task.val)).split(25):
        seen = [np.asarray(task.val.picture(i).image) for i in at.tolist()]
        pictures = torch.from_numpy(np.stack(seen)).permute(0, 3, 1, 2)
        for i, said in zip(at.tolist(), found(model, pictures).byte(), strict=True):
            scores.add(said, task.val.mask(i))
    result = scores.result()
    return {name: result[name] or 0.0 for name in ("mIoU", "boundary_F@1")}


def main(
    settings: Annotated[Settings, cyclopts.Parameter(name="*")] = Settings(),  # noqa: B008  # it is never changed
    *,
    json_file: Path | None = None,
    chart: Path | None = None,
) -> None:
    """Train both for as long, and time both.

    Parameters
    ----------
    json_file
        Write all figures there.
    chart
        Draw both curves there, as SVG.
    """
    if settings.quick:
        settings = replace(settings, minutes=0.1, size=64, batch=4, turn=3.0, held_out=4)
    print("  ".join(f"{key} {value}" for key, value in machine().items()))
    recipe = SegmentRecipe(model=settings.model, size=settings.size, crop=None)
    scenes = (Scenes(n, settings.size, seed=seed) for n, seed in ((1000, 1), (settings.held_out, 0)))
    task = SegmentTraining(*map(SceneSegments, scenes), recipe, settings.seed)
    ours, peer = Ours(task, settings), Theirs(task, settings)
    title = f"Training a segmenter on drawn scenes, {settings.size} pixels"
    race(ours, peer, lambda side, model: judged(side.found, model, task), json_file, chart, title)


if __name__ == "__main__":
    cyclopts.run(main)
