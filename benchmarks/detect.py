"""Training a detector from nothing: ours beside transformers' DETR, on the same drawn scenes for the same time.

    python benchmarks/detect.py --minutes 30 --json-file detect.json --chart detect.svg
    python benchmarks/detect.py --quick              # proof that it works; its figures mean nothing

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

Last, both are timed on pictures of the same size, one by one and in a batch, in fp32, in turns.
"""

import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import cyclopts
import torch
from chart import line_chart
from side_by_side import machine, ratio, timed
from torch import Tensor, nn
from transformers import DetrConfig, DetrForObjectDetection, ResNetConfig

from saccade.data.objects import Objects
from saccade.data.scenes import Scenes
from saccade.models.detector import Detector
from saccade.ops.boxes import to_centred, to_corners
from saccade.tasks import DetectRecipe, DetectTraining
from saccade.tasks.detect import detections
from saccade.tasks.detect_scores import detection_scores
from saccade.tasks.detections import Detections
from saccade.train.config import TrainConfig
from saccade.train.optim import averaged, optimizers

OURS, PEER = "Saccade", "transformers' DETR"


@dataclass
class Settings:
    """How the race is run.

    minutes: of training, for each. size: pixels of a scene's side. batch: scenes an update. turn: seconds. held_out:
    scenes to score on. model: our encoder's preset. queries: of both. peer_lr: peak rate of AdamW for the peer.
    quick: tiny models for a few seconds.
    """

    minutes: float = 30.0
    size: int = 128
    batch: int = 32
    turn: float = 60.0
    held_out: int = 200
    model: str = "small/8"
    queries: int = 30
    peer_lr: float = 3e-4
    seed: int = 0
    quick: bool = False


class Side:
    """One of the two: its model, its clock, its curve."""

    name: str
    model: nn.Module

    def __init__(self, settings: Settings, found: list[torch.optim.Optimizer], ema: float):
        self.settings, self.optimizers = settings, found
        self.average = averaged(self.model, ema)
        self.peaks = [[group["lr"] for group in o.param_groups] for o in found]
        self.seconds, self.step, self.pictures = 0.0, 0, 0
        self.curve: list[tuple[float, int, float, float]] = []  # seconds, pictures, mAP, mAP50

    def train(self, turn: float) -> None:
        until = min(self.seconds + turn, self.settings.minutes * 60)
        while self.seconds < until:
            begun = time.perf_counter()
            self._rates(self.seconds / (self.settings.minutes * 60))
            with torch.autocast("cpu", torch.bfloat16):
                loss = self.loss(torch.Generator().manual_seed((self.settings.seed << 32) + self.step))
            loss.backward()
            self.clip()
            for optimizer in self.optimizers:
                optimizer.step()
                optimizer.zero_grad()
            self.average.update_parameters(self.model)
            self.step, self.pictures = self.step + 1, self.pictures + self.settings.batch
            self.seconds += time.perf_counter() - begun

    def score(self, pictures: Tensor, truth: list[Objects], labels: list[str]) -> None:
        """Of the weights as they are and of their average, the better."""
        results = []
        for model in (self.model, self.average.module):
            model.eval()
            with torch.no_grad():
                found = [one for some in pictures.split(25) for one in self.found(model, some)]
            model.train()
            scores = detection_scores(found, truth, labels)
            results.append((scores["mAP"] or 0.0, scores["mAP50"] or 0.0))
        best = max(results)
        self.curve.append((self.seconds, self.pictures, *best))
        far = f"{self.seconds / 60:6.2f} min  {self.pictures:7} scenes"
        print(f"{self.name:20} {far}  mAP {best[0]:.4f}  mAP50 {best[1]:.4f}", flush=True)

    def _rates(self, progress: float) -> None:
        factor = min(1.0, progress / 0.05 + 1e-3) * 0.5 * (1 + torch.cos(torch.tensor(torch.pi * progress)).item())
        for optimizer, peaks in zip(self.optimizers, self.peaks, strict=True):
            for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                group["lr"] = peak * factor

    def loss(self, generator: torch.Generator) -> Tensor:
        raise NotImplementedError

    def clip(self) -> None:
        """Nothing, unless the recipe does."""

    def found(self, model: nn.Module, pictures: Tensor) -> list[Detections]:
        raise NotImplementedError


class Ours(Side):
    """The recipe of `saccade train detect`."""

    name = OURS

    def __init__(self, task: DetectTraining, settings: Settings):
        self.task, self.model = task, task.model
        config = TrainConfig(seed=settings.seed)
        super().__init__(settings, optimizers(self.model, config), config.ema)

    def loss(self, generator: torch.Generator) -> Tensor:
        batch = self.task.batch(torch.arange(self.settings.batch), generator, 1.0)
        return self.task.loss(self.model, [batch], torch.device("cpu"))

    def found(self, model: nn.Module, pictures: Tensor) -> list[Detections]:
        return detections(model(self.task.preprocess.normalised(pictures)), self.task.size)


class Theirs(Side):
    """transformers' DETR with its own loss and AdamW."""

    name = PEER

    def __init__(self, task: DetectTraining, settings: Settings):
        self.task, self.model = task, detr(task, settings)
        backbone = [p for n, p in self.model.named_parameters() if "backbone" in n and p.requires_grad]
        rest = [p for n, p in self.model.named_parameters() if "backbone" not in n]
        groups = [{"params": rest}, {"params": backbone}]
        found = torch.optim.AdamW(groups, lr=settings.peer_lr, weight_decay=1e-4)
        super().__init__(settings, [found], TrainConfig().ema)

    def loss(self, generator: torch.Generator) -> Tensor:
        size = self.task.size
        pictures, objects = self.task.source.samples(torch.arange(self.settings.batch), size, generator)
        scale = torch.tensor([size[1], size[0], size[1], size[0]])
        labels = [{"class_labels": o.labels, "boxes": to_centred(o.boxes) / scale} for o in objects]
        return self.model(self.task.preprocess.standardised(pictures), labels=labels).loss

    def clip(self) -> None:
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 0.1)  # as DETR's recipe has it

    def found(self, model: nn.Module, pictures: Tensor) -> list[Detections]:
        out = model(self.task.preprocess.normalised(pictures))
        scores, labels = out.logits.float().softmax(dim=-1)[..., :-1].max(dim=-1)
        height, width = self.task.size
        boxes = to_corners(out.pred_boxes.float()).clamp(0, 1) * scores.new_tensor([width, height, width, height])
        sound = (boxes[..., 2:] > boxes[..., :2]).all(dim=-1)
        return [Detections(b[s], p[s], c[s]) for b, p, c, s in zip(boxes, scores, labels, sound, strict=True)]


def detr(task: DetectTraining, settings: Settings) -> DetrForObjectDetection:
    """DETR of our width and depth on the smallest ResNet that gives it as many parameters as ours."""
    assert isinstance(task.model, Detector)
    ours, block = task.model.config, task.model.config.vit.block
    mine = sum(p.numel() for p in task.model.parameters())
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
            num_labels=len(task.labels),
            num_queries=settings.queries,
            d_model=block.width,
            encoder_layers=ours.vit.depth,
            decoder_layers=ours.depth,
            encoder_attention_heads=block.heads,
            decoder_attention_heads=block.heads,
            encoder_ffn_dim=2 * block.hidden,
            decoder_ffn_dim=2 * block.hidden,
            auxiliary_loss=True,
        )
        torch.manual_seed(settings.seed)
        model = DetrForObjectDetection(config)
        if sum(p.numel() for p in model.parameters()) >= mine:
            break
    return model


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
    recipe = DetectRecipe(model=settings.model, size=settings.size, queries=settings.queries)
    scenes = (Scenes(1000, settings.size, seed=1), Scenes(settings.held_out, settings.size, seed=0))
    task = DetectTraining(*scenes, recipe, settings.seed)
    sides: list[Side] = [Ours(task, settings), Theirs(task, settings)]
    for side in sides:
        print(f"{side.name}: {sum(p.numel() for p in side.model.parameters()) / 1e6:.2f} M parameters")
    while any(side.seconds < settings.minutes * 60 for side in sides):
        for side in sides:
            side.train(settings.turn)
            side.score(task.val_pictures, task.val_objects, task.labels)
    said = {"verdict": verdict(sides), "sides": [figures(side) for side in sides], "speed": speed(sides, settings)}
    print(said["verdict"])
    if json_file:
        told = {**said, "machine": machine(), "settings": {k: str(v) for k, v in vars(settings).items()}}
        json_file.write_text(json.dumps(told, indent=1))
    if chart:
        lines = {side.name: [(seconds / 60, score) for seconds, _, score, _ in side.curve] for side in sides}
        title = f"Training a detector on drawn scenes, {settings.size} pixels"
        line_chart(chart, title, "minutes of training", "mAP on held-out scenes", lines, 0.85)


def verdict(sides: list[Side]) -> str:
    """Where both came to, and when ours was where the peer ended."""
    ours, peer = (side.curve[-1] for side in sides)
    before = next((seconds for seconds, _, score, _ in sides[0].curve if score >= peer[2]), None)
    when = "never came to that" if before is None else f"had that after {before / 60:.1f} min"
    return (
        f"after {ours[0] / 60:.1f} min each: {OURS} mAP {ours[2]:.4f}, mAP50 {ours[3]:.4f}; {PEER} mAP {peer[2]:.4f}, "
        f"mAP50 {peer[3]:.4f}; {OURS} {when}"
    )


def figures(side: Side) -> dict[str, Any]:
    columns = ("seconds", "scenes", "mAP", "mAP50")
    curve = [dict(zip(columns, point, strict=True)) for point in side.curve]
    return {"name": side.name, "parameters": sum(p.numel() for p in side.model.parameters()), "curve": curve}


@torch.no_grad()
def speed(sides: list[Side], settings: Settings) -> dict[str, Any]:
    """Pictures a second of both, in fp32."""
    found: dict[str, Any] = {}
    for batch in (1, 16):
        pictures = torch.randn(batch, 3, settings.size, settings.size)
        ways = {side.name: (lambda s=side, p=pictures: s.average.module.eval()(p)) for side in sides}
        times = timed(ways, 3 if settings.quick else 15, warmup=2)
        rates = {name: batch / sorted(took)[len(took) // 2] for name, took in times.items()}
        found[f"batch {batch}"] = {**rates, "ours / theirs": str(ratio(times, OURS, PEER))}
        said = ", ".join(f"{name} {rate:.1f}" for name, rate in rates.items())
        print(f"pictures a second at batch {batch}, fp32: {said}; ours {ratio(times, OURS, PEER)}")
    return found


if __name__ == "__main__":
    cyclopts.run(main)
