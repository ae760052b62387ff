"""Training a detector from random weights for the same time: ours and transformers' DETR, on drawn scenes.

    python -m benchmarks.training.detect --minutes 30 --json-file detect.json --chart detect.svg
    python -m benchmarks.training.detect --quick              # shows that it works; its figures mean nothing

On a CPU, both from random weights, in one run: they train in turns of a minute, so that whatever else the machine does
falls on both alike, and each has a clock that counts its own training only (drawing its scenes too; scoring not). Both
see the same endless scenes of the same size in batches of the same number, in bf16 autocast, and after every turn are
scored on the same held-out scenes by the same evaluator.

Ours: the recipe of `saccade train detect` (Muon and AdamW on a half cosine that ends with the minutes; the moving
average of its weights is scored).

transformers': DetrForObjectDetection with as many encoder and decoder layers, width and queries as ours, on a ResNet
of transformers' that brings it to at least as many parameters, its features at a stride of 16 pixels so that small
objects are not lost to it from the start; with its own loss, its auxiliary losses and AdamW. DETR's own rate is 1e-4
for batches of 64; `--peer-lr` sets another, and three times as much is the default, which suits a run this short
better. Its rate falls on the same half cosine and a moving average of its weights is scored beside them, of which the
better counts.

Last, both are timed on images of the same size, one by one and in a batch, in fp32, in turns.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import cyclopts
import torch
from torch import Tensor, nn
from transformers import DetrConfig, DetrForObjectDetection, ResNetConfig

from benchmarks.common.outputs import FLAT, Outputs
from benchmarks.training.equal_time import RecipeRun, Settings, TrainingRun, begin, compare_pair, parameters
from saccade.data.scenes import Scenes
from saccade.models.detector import Detector
from saccade.ops.boxes import cxcywh_to_xyxy, xyxy_to_cxcywh
from saccade.tasks import DetectRecipe, DetectTraining
from saccade.tasks.detect.result import Detections
from saccade.tasks.detect.scores import detection_scores
from saccade.tasks.detect.task import postprocess
from saccade.train.config import TrainConfig

Predict = Callable[[Tensor], list[Detections]]


@dataclass
class DetectSettings(Settings):
    """The settings of this benchmark.

    Parameters
    ----------
    minutes
        Minutes of training for each model.
    queries
        Object queries of both models.
    peer_lr
        Peak learning rate of the peer's AdamW.
    """

    minutes: float = 30.0
    queries: int = 30
    peer_lr: float = 3e-4


class Ours(RecipeRun):
    """The recipe of `saccade train detect`."""

    task: DetectTraining

    def scores(self, model: nn.Module) -> dict[str, float]:
        return detection_metrics(self.task, lambda images: self._predict(model, images))

    def _predict(self, model: nn.Module, images: Tensor) -> list[Detections]:
        return postprocess(model(self.task.preprocess.normalize(images)), self.task.size)


class Theirs(TrainingRun):
    """transformers' DETR with its own loss and AdamW."""

    name = "transformers' DETR"

    def __init__(self, task: DetectTraining, settings: DetectSettings):
        assert isinstance(task.model, Detector)
        self.task, self.model = task, detr(task.model, settings.queries, settings.seed)
        backbone = [p for n, p in self.model.named_parameters() if "backbone" in n and p.requires_grad]
        rest = [p for n, p in self.model.named_parameters() if "backbone" not in n]
        groups = [{"params": rest}, {"params": backbone}]
        optimizer = torch.optim.AdamW(groups, lr=settings.peer_lr, weight_decay=1e-4)
        super().__init__(settings, [optimizer], TrainConfig().ema)

    def loss(self, generator: torch.Generator) -> Tensor:
        size = self.task.size
        images, objects = self.task.source.samples(torch.arange(self.settings.batch), size, generator)
        scale = torch.tensor([size[1], size[0], size[1], size[0]])
        labels = [{"class_labels": o.labels, "boxes": xyxy_to_cxcywh(o.boxes) / scale} for o in objects]
        return self.model(self.task.preprocess.standardize(images), labels=labels).loss

    def clip_gradients(self) -> None:
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 0.1)  # as DETR's recipe has it

    def scores(self, model: nn.Module) -> dict[str, float]:
        return detection_metrics(self.task, lambda images: self._predict(model, images))

    def _predict(self, model: nn.Module, images: Tensor) -> list[Detections]:
        out = model(self.task.preprocess.normalize(images))
        scores, labels = out.logits.float().softmax(dim=-1)[..., :-1].max(dim=-1)
        height, width = self.task.size
        boxes = cxcywh_to_xyxy(out.pred_boxes.float()).clamp(0, 1) * scores.new_tensor([width, height, width, height])
        valid = (boxes[..., 2:] > boxes[..., :2]).all(dim=-1)
        return [Detections(b[s], p[s], c[s]) for b, p, c, s in zip(boxes, scores, labels, valid, strict=True)]


def detr(detector: Detector, queries: int, seed: int) -> DetrForObjectDetection:
    """DETR of our width and depth on the smallest ResNet that gives it as many parameters as ours."""
    ours, block = detector.config, detector.config.vit.block
    for widths in ([16, 32, 64], [32, 64, 128], [48, 96, 192], [64, 128, 256], [96, 192, 384], [128, 256, 512]):
        # the stem halves the picture twice, each stage after the first once more: a stride of 16
        resnet = ResNetConfig(
            embedding_size=widths[0], hidden_sizes=widths, depths=[2, 2, 2], layer_type="basic", out_features=["stage3"]
        )
        config = DetrConfig(
            use_timm_backbone=False,
            use_pretrained_backbone=False,
            backbone=None,
            backbone_config=resnet,
            num_labels=ours.classes,
            num_queries=queries,
            d_model=block.width,
            encoder_layers=ours.vit.depth,
            decoder_layers=ours.depth,
            encoder_attention_heads=block.heads,
            decoder_attention_heads=block.heads,
            encoder_ffn_dim=2 * block.hidden,
            decoder_ffn_dim=2 * block.hidden,
            auxiliary_loss=True,
        )
        torch.manual_seed(seed)
        model = DetrForObjectDetection(config)
        if parameters(model) >= parameters(detector):
            break
    return model


def main(
    settings: Annotated[DetectSettings, FLAT] = DetectSettings(),  # noqa: B008  # never modified
    outputs: Annotated[Outputs, FLAT] = Outputs(),  # noqa: B008
) -> None:
    """Train our detector and the peer for the same time, and time both."""
    settings = begin(settings)
    recipe = DetectRecipe(model=settings.model, size=settings.size, queries=settings.queries)
    scenes = (Scenes(1000, settings.size, seed=1), Scenes(settings.held_out, settings.size, seed=0))
    task = DetectTraining(*scenes, recipe, settings.seed)
    title = f"Training a detector on drawn scenes, {settings.size} pixels"
    compare_pair(Ours(task, settings), Theirs(task, settings), outputs, title)


def detection_metrics(task: DetectTraining, predict: Predict) -> dict[str, float]:
    """mAP and mAP50 on the held-out scenes."""
    predictions = [
        each for some in torch.arange(len(task.val_pictures)).split(25) for each in predict(task.val_pictures[some][0])
    ]
    scores = detection_scores(predictions, task.val_objects, task.labels)
    return {name: scores[name] or 0.0 for name in ("mAP", "mAP50")}


if __name__ == "__main__":
    cyclopts.run(main)
