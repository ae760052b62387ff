"""Drawn scenes to train a generator: with captions, and with pictures to make them from."""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Generator, Tensor

from saccade.data.scenes import (
    Scene,
    Scenes,
    edited_pair,
    restyled,
    sample_caption,
    sample_conditioning_image,
    sample_inpainting_mask,
    sample_style,
)
from saccade.data.scenes.conditioning import GUIDE
from saccade.data.scenes.random_stream import RandomStream
from saccade.data.scenes.style import STYLE
from saccade.tasks.generate.batches import Samples, SourcePixels
from saccade.tasks.generate.recipe import GenerateRecipe

_CAPTIONS = 4  # stream of random numbers, beside those of scenes, films, edits, pairs, styles and guides
_SOURCES = 7  # the same, of what a scene is painted from
_EDITS = 0.5  # of the pictures to paint from, show the scene before an edit; the others are guides
_INSTRUCTIONS = 0.7  # of the captions of edits, say what changes, the others what results
_CONTENT = 0.5  # of the scenes with a style come with the plain scene too


class TrainingExample(NamedTuple):
    """A picture to paint, uint8 (y x 3), with captions and the pictures to paint it from: those of `Generator`'s
    sources, and of "masked" a mask, uint8 (y x), 1 where it is known. captioned: whether the captions are true of it.
    """

    pixels: np.ndarray
    captions: list[str]
    sources: dict[str, np.ndarray]
    captioned: bool = True


class ScenesToPaint:
    """Scenes that never repeat. Each is in `views` samples of a batch, with a caption drawn for each; some have
    pictures to be made from."""

    title = "scenes with captions, rendered for each batch"
    frames = 1

    def __init__(self, scenes: Scenes, recipe: GenerateRecipe, views: int):
        self.scenes, self.recipe, self.views = scenes, recipe, views

    def __len__(self) -> int:
        return len(self.scenes)

    def samples(self, indices: Tensor, size: tuple[int, int], generator: Generator) -> Samples:
        n, views = len(indices), self.views
        seeds: list[int] = torch.randint(2**62, (-(-n // views),), generator=generator).tolist()
        drawn = [random_training_example(self.scenes, self.recipe, views, size, seed) for seed in seeds]
        captions = [caption for painting in drawn for caption in painting.captions]
        captioned = torch.tensor([painting.captioned for painting in drawn]).repeat_interleave(views)
        sources = {}
        for name in self.recipe.sources:
            present = torch.tensor([name in painting.sources for painting in drawn]).repeat_interleave(views)
            empty = np.zeros((*size, 1) if name == "masked" else (*size, 3), np.uint8)
            found = [painting.sources.get(name, empty) for painting in drawn]
            sources[name] = SourcePixels(_repeated(found, views)[:n], present[:n])
        pictures = _repeated([painting.pixels for painting in drawn], views)
        return Samples(pictures[:n, None], captions[:n], captioned[:n], sources)


def _repeated(pictures: list[np.ndarray], views: int) -> UInt8[Tensor, "b c y x"]:
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).repeat_interleave(views, dim=0)


def random_training_example(
    scenes: Scenes, recipe: GenerateRecipe, views: int, size: tuple[int, int], seed: int
) -> TrainingExample:
    """The scene of a seed, with `views` captions, and by lot with a picture to be made from, a mask or a style."""
    scene, stream, chance = scenes.fresh(size, seed), RandomStream(seed, _CAPTIONS), RandomStream(seed, _SOURCES)
    captions = [sample_caption(scene.description, stream).text for _ in range(views)]
    u = chance.uniform(0, 1)
    if u < recipe.picture_share:
        return example_from_picture(scenes, scene, captions, chance)
    if u < recipe.picture_share + recipe.mask_share:
        hole = sample_inpainting_mask(size, RandomStream(seed, GUIDE), scene)
        return TrainingExample(scene.pixels, captions, {"masked": (~hole).astype(np.uint8)[..., None]})
    if u < recipe.picture_share + recipe.mask_share + recipe.style_share:
        return example_from_style(scenes, scene, captions, scenes.fresh(size, seed + 1), chance)
    return TrainingExample(scene.pixels, captions, {})


def example_from_picture(scenes: Scenes, scene: Scene, captions: list[str], stream: RandomStream) -> TrainingExample:
    """The scene from a guide, or an edit of it from the scene and an instruction."""
    pair = edited_pair(scenes, scene, stream) if stream.bernoulli(_EDITS) else None
    if pair is not None:
        texts = [pair.instruction if stream.bernoulli(_INSTRUCTIONS) else pair.caption.text for _ in captions]
        return TrainingExample(pair.after.pixels, texts, {"picture": pair.before.pixels})
    return TrainingExample(
        scene.pixels, captions, {"picture": sample_conditioning_image(scene, RandomStream(scene.key[0], GUIDE)).pixels}
    )


def example_from_style(
    scenes: Scenes, scene: Scene, captions: list[str], other: Scene, stream: RandomStream
) -> TrainingExample:
    """The scene in a style that another scene shows, which teaches style and not content; some with the plain scene,
    and all whose colours the style changes."""
    style = sample_style(RandomStream(scene.key[0], STYLE))
    sources = {"style": restyled(scenes, other, style)}
    if not style.keeps_colours or stream.bernoulli(_CONTENT):
        sources["picture"] = scene.pixels
    return TrainingExample(restyled(scenes, scene, style), captions, sources, style.keeps_colours)
