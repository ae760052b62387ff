"""Whether a generator copies its training pictures: the nearest of them beside the nearest picture it never saw.

    python -m benchmarks.generation.memory --run runs/painter --worst worst.png
    python -m benchmarks.generation.memory --run runs/painter --quick         # shows that it works

Training draws scenes that never repeat. Those of a run follow from its seed, so that a random part of the pictures that
it has trained on is drawn again here; as many fresh scenes of the same kind are the pictures that it never saw. Each
generated picture, of a caption that is in neither, has a ratio: its distance to the nearest training picture over that
to the nearest unseen one. A generator that copies has ratios near 0, one that does not has a median near 1. Distances
are root mean squares over the values, 0 to 1, of all pixels.

The control are the scenes of the same captions in place of the generated pictures: no ratio of theirs can come from
copying. With R references each, only copies of these R pictures, of all that the run has seen, are noticed.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import cyclopts
import numpy as np
import torch
from PIL import Image, ImageDraw
from tqdm.auto import tqdm

from benchmarks.common.machine import print_machine
from benchmarks.common.outputs import FLAT, Outputs
from saccade.data.scenes import Scenes
from saccade.device import init_device
from saccade.errors import UsageError
from saccade.tasks.drawing import INK, PAPER, font, truncate_text
from saccade.tasks.generate.neighbours import Neighbours, Pictures
from saccade.tasks.generate.recipe import GenerateRecipe
from saccade.tasks.generate.sample import Sampler, Sampling
from saccade.tasks.generate.scene_prompts import scene_prompts
from saccade.tasks.generate.scores import paint
from saccade.tasks.generate.task import GenerateTask
from saccade.tasks.loading import load
from saccade.tasks.scenes import scene_splits
from saccade.train.config import SHARDS
from saccade.train.seeds import combined_seed

UNSEEN_SEED, PROMPT_SEED = 7_000_003, 7_000_037  # of scenes that neither training nor validation draws
WORST = 16
app = cyclopts.App(help=__doc__, help_format="plaintext")


@dataclass
class MemorySettings:
    """What is compared.

    Parameters
    ----------
    run
        The folder of a run of `saccade train generate` on scenes.
    n
        Generated pictures.
    references
        Training pictures, and as many unseen ones.
    steps
        Steps of the sampler.
    guidance
        Scale of the guidance. Default: the generator's own.
    sampler
        euler, heun or mean-flow.
    device
        Where to paint.
    precision
        fp32, as `saccade generate` paints, or bf16.
    worst
        A PNG for the 16 pictures with the lowest ratios: the picture, the nearest training picture, the nearest unseen.
    quick
        4 pictures in 2 steps, 40 references; the figures mean nothing.
    """

    run: Path = Path("runs/painter")
    n: int = 500
    references: int = 20_000
    steps: int = 25
    guidance: float | None = None
    sampler: Sampler = "euler"
    device: str = "auto"
    precision: str = "fp32"
    worst: Path | None = None
    quick: bool = False

    def __post_init__(self) -> None:
        if self.quick:
            self.n, self.references, self.steps = 4, 40, 2


@app.default
def main(settings: Annotated[MemorySettings, FLAT] | None = None, out: Annotated[Outputs, FLAT] | None = None) -> None:
    settings, out = settings or MemorySettings(), out or Outputs()
    print_machine()
    device, task = init_device(settings.device, settings.precision), load(settings.run)
    if not isinstance(task, GenerateTask):
        raise UsageError(f"--run {settings.run}: a run of a generator is expected")
    task.model.to(device.device)
    training = Training.read(settings.run, task)
    seen = training.seen(settings.references)
    unseen = training.fresh(len(seen), UNSEEN_SEED)
    prompts = scene_prompts(training.world(settings.n, PROMPT_SEED), "en")
    scale = task.default_sampling.guidance if settings.guidance is None else settings.guidance
    sampling = Sampling(settings.steps, scale, sampler=settings.sampler)
    with device.autocast_context():
        painted = np.stack([np.asarray(each.image) for each in paint(task, prompts, sampling)])
    print(
        f"{task.name} ({task.digest}): {training.pictures} pictures seen, {len(seen)} of them and as many unseen ones"
    )
    rows = {
        "generated": Neighbours.of(painted, seen, unseen),
        "control: real": Neighbours.of(np.stack([each.pixels for each in prompts]), seen, unseen),
    }
    for name, each in rows.items():
        print(f"{name:<14} {each}")
    if settings.worst:
        draw_worst(painted, seen, unseen, rows["generated"], [each.text for each in prompts]).save(settings.worst)
    about = {"model": task.name, "digest": task.digest, "pictures seen": training.pictures, "references": len(seen)}
    out.write({**about, **{name: each.to_dict() for name, each in rows.items()}}, settings)


@dataclass(frozen=True)
class Training:
    """The pictures of a run. scenes: its world. seed: of the run. steps: done. batch: samples of a step. views: samples
    of one scene."""

    scenes: Scenes
    seed: int
    steps: int
    batch: int
    views: int
    film_share: float = 0.0

    @classmethod
    def read(cls, run: Path, task: GenerateTask) -> "Training":
        """Raises UsageError for a folder without the files of a run on scenes."""
        try:
            config = json.loads((run / "config.json").read_text())
            log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
            recipe = GenerateRecipe.model_validate(config["recipe"])
            steps = max(entry.get("step", 0) for entry in log)
            batch, seed = int(config["batch"]), int(config["seed"])
            fewest, most = task.card["objects"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(f"--run {run}: not the folder of a run of a generator on scenes: {error}") from error
        apart = ",apart" * bool(task.card.get("apart"))
        splits = scene_splits(Path(f"scenes:1,objects={fewest}-{most}{apart}"), recipe.size, seed)
        assert splits is not None
        return cls(splits[0], seed, steps, batch, recipe.views, recipe.film_share)

    @property
    def pictures(self) -> int:
        """How many it has drawn so far."""
        return self.steps * SHARDS * self._of_shard

    def seen(self, n: int) -> Pictures:
        """n of the pictures drawn so far, or all, from random shards of random steps (`saccade.train.loop`)."""
        shards = min(self.steps * SHARDS, math.ceil(n / self._of_shard))
        chosen = np.random.default_rng(0).permutation(self.steps * SHARDS)[:shards].tolist()
        parts = []
        for each in tqdm(chosen, "training pictures", delay=1, disable=None, leave=False):
            generator = torch.Generator().manual_seed(combined_seed(self.seed, each // SHARDS, each % SHARDS))
            _, scenes = self.scenes.batch(self._of_shard, self.scenes.size, generator)
            parts += [scene.pixels for scene in scenes]
        return np.stack(parts[:n])

    def fresh(self, n: int, seed: int) -> Pictures:
        """n pictures of the same kind."""
        world = self.world(n, seed)
        return np.stack(
            [world.scene(i).pixels for i in tqdm(range(n), "unseen pictures", delay=1, disable=None, leave=False)]
        )

    def world(self, n: int, seed: int) -> Scenes:
        """n scenes of the same kind."""
        about = self.scenes.composition
        return Scenes(
            n, self.scenes.size, seed, objects=about.objects, apart=about.apart, combinations=about.combinations
        )

    @property
    def _of_shard(self) -> int:
        samples = math.ceil(self.batch / SHARDS)
        return math.ceil((samples - round(samples * self.film_share)) / self.views)


def draw_worst(
    pictures: Pictures, seen: Pictures, unseen: Pictures, found: Neighbours, texts: Sequence[str]
) -> Image.Image:
    """The pictures of the lowest ratios, each beside its nearest training picture and its nearest unseen one."""
    side, gap, line = 128, 8, 16
    worst = np.argsort(found.ratios)[:WORST].tolist()
    across, down = 3 * side + 3 * gap, side + 2 * line + gap
    sheet = Image.new("RGB", (2 * across + gap, math.ceil(len(worst) / 2) * down + 2 * line), PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((gap, line), "generated, nearest training picture, nearest unseen picture", INK, font(13), anchor="lm")
    for place, i in enumerate(worst):
        left, top = gap + place % 2 * across, 2 * line + place // 2 * down
        for column, each in enumerate((pictures[i], seen[found.seen[i]], unseen[found.unseen[i]])):
            enlarged = Image.fromarray(each).resize((side, side), Image.Resampling.NEAREST)
            sheet.paste(enlarged, (left + column * (side + gap // 2), top))
        title = f"ratio {found.ratios[i]:.2f}   {truncate_text(texts[i], 56)}"
        draw.text((left, top + side + line), title, INK, font(11, title), anchor="lm")
    return sheet


if __name__ == "__main__":
    app()
