"""Prompts that score a generator: captions of drawn scenes that mention every object with its colour.

Backgrounds may be named; the judge does not look at them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from saccade.data.scenes import Description, Scenes, is_held_out, sample_caption
from saccade.data.scenes.phrasing import Caption, Language
from saccade.data.scenes.random_stream import RandomStream
from saccade.errors import DataError

OBJECTS = (1, 2, 3)  # of the prompts of `balanced_prompts`
DRAWS = 32  # captions of a scene from which one is chosen
_PROMPT = 8  # stream of random numbers; candidates, edits and controls of matching use 4 to 6


@dataclass(frozen=True)
class ScenePrompt:
    """A caption and the scene it is of.

    Attributes:
        text: the caption.
        description: its content.
        pixels: uint8 (y x 3), the scene.
    """

    text: str
    description: Description
    pixels: UInt8[np.ndarray, "y x 3"]

    @property
    def image(self) -> Image.Image:
        """The scene as a picture."""
        return Image.fromarray(self.pixels)

    @property
    def held_out(self) -> bool:
        """Whether the caption has a combination that training never draws."""
        return is_held_out(self.description.objects, self.description.relations)


def scene_prompts(world: Scenes, language: Language) -> list[ScenePrompt]:
    """A caption of each scene, of `DRAWS` drawn ones the first with the most relations."""
    prompts = []
    for i in range(len(world)):
        scene = world.scene(i)
        stream = RandomStream(world.seed, _PROMPT, i)
        chosen = max(_captions(scene.description, stream, language), key=lambda each: len(each.description.relations))
        prompts.append(ScenePrompt(chosen.text, chosen.description, scene.pixels))
    return prompts


def balanced_prompts(world: Scenes, n: int, languages: Sequence[Language]) -> dict[Language, list[ScenePrompt]]:
    """`n` captions in each language, of the same scenes, in turn of one object, of two with one relation and of three
    with two relations; "same colour", which colours imply, is none of them.

    Of a world with held-out combinations, each caption has one. Raises DataError if the world has too few scenes.
    """
    kinds = [_of_objects(world, k, languages) for k in OBJECTS]
    found: dict[Language, list[ScenePrompt]] = {language: [] for language in languages}
    for i in range(n):
        prompts = next(kinds[i % len(kinds)], None)
        if prompts is None:
            raise DataError(
                f"the {len(world)} scenes have fewer than {n} captions with the expected relations; use more scenes"
            )
        for language, prompt in prompts.items():
            found[language].append(prompt)
    return found


def _of_objects(world: Scenes, k: int, languages: Sequence[Language]) -> Iterator[Mapping[Language, ScenePrompt]]:
    """Captions of the scenes with k objects that have one with k - 1 relations in every language."""
    world = world.with_constraints(objects=(k, k))
    held_out = world.composition.combinations == "held-out"
    for i in range(len(world)):
        scene = world.scene(i)
        prompts: dict[Language, ScenePrompt] = {}
        if _relations(scene.description) < k - 1:
            continue
        for language in languages:
            captions = _captions(scene.description, RandomStream(world.seed, _PROMPT, i), language)
            fitting = (ScenePrompt(each.text, each.description, scene.pixels) for each in captions if _has(each, k - 1))
            chosen = next((each for each in fitting if each.held_out or not held_out), None)
            if chosen is not None:
                prompts[language] = chosen
        if len(prompts) == len(languages):
            yield prompts


def _captions(description: Description, stream: RandomStream, language: Language) -> Iterator[Caption]:
    """`DRAWS` captions or more, until one of them mentions all objects with their colours; only those that do."""
    found, draws = 0, 0
    while draws < DRAWS or not found:
        caption = sample_caption(description, stream, language)
        draws += 1
        if sorted(caption.description.objects) == sorted(description.objects):
            found += 1
            yield caption


def _has(caption: Caption, relations: int) -> bool:
    found = len(caption.description.relations)
    return found == relations == _relations(caption.description)


def _relations(description: Description) -> int:
    """How many there are, without those of equal colours."""
    return sum(name != "same colour" for _, name, _ in description.relations)
