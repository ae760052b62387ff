"""Training time to 70 % test accuracy on CIFAR-10: our recipe and transformers' ViT of the same size.

    python -m benchmarks.training.time_to_accuracy --json-file accuracy.json --chart accuracy.svg

On a CPU, both from scratch, in one run: they train in turns of a minute, so that whatever else the machine does falls
on both alike, and each has a clock that counts its own training only (compiling too; measuring accuracy not).

The same for both: width, depth, heads, hidden width, patches of 4 pixels on images of 32 x 32; the batch; random
shifts, flips, MixUp, CutMix and label smoothing; bf16 autocast; torch.compile; and a moving average of the weights,
of which and of the weights themselves the better counts.

Ours: the preset and the optimizers of `saccade train classify` (Muon and AdamW) on a half cosine over `epochs`, chosen
beforehand; mixing stops in the last tenth, as its recipe has it. Its growing images are switched off: compiling for
each size takes a minute or two, which pays in a run of an hour and not in one of minutes (tried: 4 epochs with growth
came to 65 % in ten minutes).

transformers': ViTForImageClassification under its default attention, AdamW at 1e-3 with weight decay 0.05 on matrices,
one epoch of warm-up, then a constant rate. Its usual schedule is a cosine over 100 epochs or more, which in the part
of it that matters here is as good as constant; a short cosine would have to know beforehand when the run stops, and
would keep it from showing what it can do before its end. Averaged weights give it at any moment what falling rates
give at the end. `--peer-epochs` gives it a cosine over so many epochs instead.

Rule: accuracy is measured every `every` steps on 2,000 test images; where that reaches the target, on all 10,000,
which decides. Once ours is there after T seconds, the peer goes on until it is there too or has used `patience` x T.
"""

import os
import tempfile
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

os.environ.setdefault("TORCHINDUCTOR_FORCE_DISABLE_CACHES", "1")  # nobody profits from an earlier run's compiling

import cyclopts
import torch
from torch import Tensor, nn

from benchmarks.common.machine import print_machine
from benchmarks.common.outputs import FLAT, Outputs
from benchmarks.core.classic_vits import Size, hf_vit
from benchmarks.training.trainer import Schedule, Trainer, accuracy
from saccade.data import Augment, ImageFolder
from saccade.models import Classifier
from saccade.tasks.classify.training import ClassifyRecipe, ClassifyTraining
from saccade.train.config import TrainConfig
from saccade.train.optim import optimizers, schedulers, warmup_cosine

OURS, PEER = "Saccade", "transformers"


@dataclass
class Settings:
    """The settings of this benchmark.

    Parameters
    ----------
    data
        Folder of cifar10-train.tar.gz and cifar10-test.tar.gz.
    model
        Our preset, and the size of both models.
    target
        Test accuracy to reach.
    batch
        Images per step.
    epochs
        Length of our schedule.
    peer_epochs
        Length of a cosine schedule for the peer; 0 for its constant rate.
    turn
        Seconds that one model trains before the other takes its turn.
    every
        Steps between measurements of the accuracy.
    patience
        How long the peer may go on, as a multiple of our time.
    compile
        Use torch.compile, for both.
    seed
        Of weights and batches.
    quick
        A few generated images and tiny models, to show that the script works; its figures mean nothing.
    """

    data: Path = Path("../shared/data")
    model: str = "small"
    target: float = 0.70
    batch: int = 128
    epochs: int = 6
    peer_epochs: int = 0
    turn: float = 60.0
    every: int = 50
    patience: float = 3.5
    compile: bool = True
    seed: int = 0
    quick: bool = False


def main(
    settings: Annotated[Settings, FLAT] = Settings(),  # noqa: B008  # never modified
    outputs: Annotated[Outputs, FLAT] = Outputs(),  # noqa: B008
) -> None:
    """Train both to the target accuracy."""
    if settings.quick:
        settings = replace(settings, target=0.95, batch=16, turn=2.0, every=2)
    print_machine()
    task = make_task(settings)
    ours, peer = our_trainer(task, settings), peer_trainer(task, settings)
    results = train_both(ours, peer, task, settings)
    print(f"\n{results['verdict']}")
    outputs.write(results, settings)
    curves = {
        side.name: [(seconds / 60, max(raw, average)) for seconds, _, raw, average in side.curve]
        for side in (ours, peer)
    }
    title = f"Training on CIFAR-10 to {settings.target:.0%} of the test images"
    outputs.draw(title, "test accuracy", curves, settings.target)


def train_both(ours: Trainer, peer: Trainer, task: ClassifyTraining, settings: Settings) -> dict[str, Any]:
    """Train both in turns until the rule ends the run. Returns the results for JSON."""
    while not finished(ours, peer, settings):
        for side in (ours, peer):
            if side.reached is None:
                side.train(settings.turn, partial(reached_target, side, task, settings))
    return {"verdict": verdict(ours, peer, settings), "sides": [side.figures() for side in (ours, peer)]}


def finished(ours: Trainer, peer: Trainer, settings: Settings) -> bool:
    """Whether the rule ends the run."""
    if ours.reached is None:
        return ours.step >= ours.steps
    return peer.reached is not None or peer.step >= peer.steps or peer.seconds >= settings.patience * ours.reached


def reached_target(side: Trainer, task: ClassifyTraining, settings: Settings) -> bool:
    """Record the accuracy; True once all test images confirm that it has reached the target."""
    if side.step % settings.every and side.step < side.steps:
        return False
    part = torch.arange(0, len(task.val), max(1, len(task.val) // 2000))
    raw, average = (accuracy(model, task, part) for model in side.models())
    side.curve.append((side.seconds, side.step, raw, average))
    line = f"{side.name:13} {side.seconds / 60:6.2f} min  step {side.step:5}  loss {side.loss:.3f}"
    print(f"{line}  accuracy {raw:.4f}, averaged {average:.4f}", flush=True)
    if max(raw, average) < settings.target:
        return False
    whole = max(accuracy(model, task, torch.arange(len(task.val))) for model in side.models())
    print(f"{side.name:13} on all {len(task.val)} test images: {whole:.4f}", flush=True)
    if whole >= settings.target:
        side.reached, side.confirmed = side.seconds, whole
    return side.reached is not None


def verdict(ours: Trainer, peer: Trainer, settings: Settings) -> str:
    """The result in one sentence."""
    target = f"{settings.target:.0%}"
    if ours.reached is None:
        return f"{ours.name} did not reach {target} within its {settings.epochs} epochs ({ours.seconds / 60:.1f} min)"
    first = f"{ours.name} reached {target} in {ours.reached / 60:.1f} min"
    if peer.reached is not None:
        times = peer.reached / ours.reached
        return f"{first}, {peer.name} in {peer.reached / 60:.1f} min: {times:.2f} times as long"
    best = max((max(raw, average) for _, _, raw, average in peer.curve), default=0.0)
    times = peer.seconds / ours.reached
    return f"{first}; {peer.name} had {best:.1%} after {times:.1f} times as long: more than {times:.1f} times as long"


def make_task(settings: Settings) -> ClassifyTraining:
    """Decoded images and our model."""
    model = "tiny" if settings.quick else settings.model
    recipe = ClassifyRecipe(model=model, size=32, cache_size=32, crop="pad", progressive_resize=False)
    if not settings.quick:
        train, test = (ImageFolder(settings.data / f"cifar10-{part}.tar.gz") for part in ("train", "test"))
        return ClassifyTraining(train, test, recipe, settings.seed)
    with tempfile.TemporaryDirectory() as folder:
        draw(Path(folder), classes=4, each=80)
        train, test = ImageFolder(folder, split="train"), ImageFolder(folder, split="test")
        return ClassifyTraining(train, test, recipe, settings.seed)


def our_trainer(task: ClassifyTraining, settings: Settings) -> Trainer:
    """Our recipe as `saccade train classify` runs it."""
    steps = settings.epochs * (len(task) // settings.batch)
    config = TrainConfig(epochs=settings.epochs, batch=settings.batch, seed=settings.seed)
    chosen = optimizers(task.model, config)
    schedule = Schedule(chosen, schedulers(chosen, warmup_cosine(steps, config.warmup)))
    return Trainer(OURS, task.model, schedule, task.batch, len(task), settings, steps, config.ema)


def peer_trainer(task: ClassifyTraining, settings: Settings) -> Trainer:
    """transformers' ViT with AdamW, on our augmentation."""
    assert isinstance(task.model, Classifier)
    vit, recipe, pixels = task.model.vit.config, task.recipe, task.preprocess
    block = vit.block
    size = Size(recipe.size, vit.patch, block.width, block.heads, vit.depth, block.hidden)
    torch.manual_seed(settings.seed)
    model = hf_vit(size, classes=len(task.labels))
    augment = Augment(
        pixels.size,
        len(task.labels),
        crop=recipe.crop,
        mixup=recipe.mixup,
        cutmix=recipe.cutmix,
        mixup_prob=recipe.mixup_prob,
        label_smoothing=recipe.smoothing,
        mean=pixels.mean,
        std=pixels.std,
    )

    def batch(indices: Tensor, generator: torch.Generator, progress: float) -> tuple[Tensor, Tensor]:
        return augment(*task.data[indices], generator)

    schedule = adamw(model, len(task) // settings.batch, settings.peer_epochs)
    steps = (settings.peer_epochs or 10**6) * (len(task) // settings.batch)
    return Trainer(PEER, model, schedule, batch, len(task), settings, steps, TrainConfig().ema)


def adamw(model: nn.Module, per_epoch: int, epochs: int) -> Schedule:
    """AdamW, 1e-3, decay 0.05 on matrices; an epoch of warm-up, then constant or a half cosine over `epochs`."""
    groups = [
        {"params": [p for p in model.parameters() if p.ndim > 1], "weight_decay": 0.05},
        {"params": [p for p in model.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, fused=True)
    warmup = torch.optim.lr_scheduler.LinearLR(optimizer, 1 / per_epoch, total_iters=per_epoch)
    if not epochs:
        return Schedule([optimizer], [warmup])
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, (epochs - 1) * per_epoch))
    return Schedule([optimizer], [torch.optim.lr_scheduler.SequentialLR(optimizer, [warmup, cosine], [per_epoch])])


def draw(folder: Path, classes: int, each: int) -> None:
    """Images of noise with a bright spot whose colour tells the class."""
    from PIL import Image

    generator = torch.Generator().manual_seed(0)
    for i in range(classes * each):
        pixels = torch.randint(0, 160, (32, 32, 3), generator=generator, dtype=torch.uint8)
        kind = i % classes
        y, x = torch.randint(4, 20, (2,), generator=generator).tolist()
        pixels[y : y + 8, x : x + 8, kind % 3] = 250 if kind < 3 else 0
        place = folder / ("test" if i % 5 == 0 else "train") / f"class {kind}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.numpy()).save(place / f"{i}.png")


if __name__ == "__main__":
    cyclopts.run(main)
